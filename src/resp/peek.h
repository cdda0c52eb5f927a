// peek.h: a look at requests that are not parsed yet, for hints.
#pragma once

#include <string_view>

namespace varve {

// The first arguments of a request; empty: there is none.
struct PeekedRequest {
  std::string_view name;
  std::string_view key;     // the second one, which mostly is a key
  std::string_view member;  // the third one
};

// Steps past the request at the front of *input and tells its first arguments. False, and *input stays: what
// stands there is not a whole array of bulk strings, or one of very many. Much cheaper than parsing, and not
// the judge of what is well formed: a line's end is taken for granted.
bool peek_request(std::string_view* input, PeekedRequest* request);

}  // namespace varve
