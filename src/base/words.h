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
// One quoted part: from *at, behind its opening `quote`, to behind the closing one; appended to `word`, which
// grows by no more bytes than are read. False as above.
bool read_quoted(std::string_view line, char quote, size_t* at, std::string* word);
// `word` such that split_words gives it back, in quotes only where needed.
std::string quote_word(std::string_view word);

}  // namespace varve
