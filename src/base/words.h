// words.h: lines cut into words with quotes and escapes, as in Redis's configuration files, redis-cli and the
// selectors of ACL rules. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace varve {

// Words separated by blanks. "..." knows \n \r \t \b \a \xHH and \ before any other character; '...' knows
// \'. A closing quote must be followed by a blank or the end. Nothing for unbalanced quotes.
std::optional<std::vector<std::string>> split_words(std::string_view line);
// `word` such that split_words gives it back, in quotes only where needed.
std::string quote_word(std::string_view word);

}  // namespace varve
