// numbers.h: text to numbers and back exactly as Redis reads and prints them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/integer_text.h"

namespace varve {

// As strtold reads it, but no blank in front, nothing behind, no NaN, no overflow. "inf" is a number.
bool parse_long_double(std::string_view text, long double* value);

// The same for a double, as strtod reads it: a score, an increment.
bool parse_double(std::string_view text, double* value);

// "-12"; the text lives in `buffer`.
struct IntegerText {
  char buffer[24];
  std::string_view view;
};
void format_integer(int64_t value, IntegerText* text);
// INCRBYFLOAT's form: up to 17 decimals, no exponent, no zeros behind.
std::string format_long_double(long double value);

bool equals_ignoring_case(std::string_view a, std::string_view lower_case_b);

}  // namespace varve
