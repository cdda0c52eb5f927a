// config_text.h: the words of Redis's configuration syntax: lines cut into words with quotes and escapes, and
// sizes with units. Pure functions.
#pragma once

#include <cstdint>
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

// "100", "1k" = 1000, "1kb" = 1024, likewise m, mb, g, gb; case does not matter. Nothing for anything else or
// what does not fit 63 bits.
std::optional<uint64_t> parse_memory(std::string_view text);
// In the largest unit that loses nothing: "64mb", "1500".
std::string format_memory(uint64_t bytes);

std::string lower_case(std::string_view text);

}  // namespace varve
