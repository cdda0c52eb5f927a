// integer_text.h: 64-bit integers in the one form that Redis reads and prints them.
#pragma once

#include <cstdint>
#include <string_view>

namespace varve {

// A decimal integer without blanks, plus sign, leading zeros or anything behind it; "-0" is none. False:
// *value is untouched.
bool parse_integer(std::string_view text, int64_t* value);
// True when `text` is such an integer (OBJECT ENCODING int, intset).
bool is_stored_as_integer(std::string_view text);
// <0, 0, >0, as the numbers compare. Both are such integers.
int compare_integer_texts(std::string_view a, std::string_view b);

}  // namespace varve
