// peek.h: a look at requests that are not parsed yet, for hints.
#pragma once

#include <string_view>

namespace varve {

// Steps past the request at the front of *input and leaves its second argument, mostly a key, in *key (empty:
// there is none). False, and *input stays: what stands there is not a whole array of bulk strings, or one of
// very many. Much cheaper than parsing, and not the judge of what is well formed: a line's end is taken for
// granted.
bool peek_request(std::string_view* input, std::string_view* key);

}  // namespace varve
