// Goal: numbers are read and printed exactly as Redis does it.
#include "command/numbers.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <utility>

namespace varve {
namespace {

TEST_CASE("numbers: integers") {
  int64_t value = 0;
  for (int64_t expected : {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{1234567890}, INT64_MAX, INT64_MIN}) {
    IntegerText text;
    format_integer(expected, &text);
    CHECK(parse_integer(text.view, &value));
    CHECK(value == expected);
    CHECK(is_stored_as_integer(text.view));
  }
  value = 77;
  for (const char* bad : {"", "-", "+1", " 1", "1 ", "01", "-0", "-01", "1.0", "1e3", "0x10", "a", "1a",
                          "9223372036854775808", "-9223372036854775809", "111111111111111111111"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_integer(bad, &value));
    CHECK_FALSE(is_stored_as_integer(bad));
  }
  CHECK_FALSE(parse_integer(std::string_view("1\0", 2), &value));
  CHECK(value == 77);
}

TEST_CASE("numbers: floats") {
  long double value = 0;
  CHECK(parse_long_double("3.5", &value));
  CHECK(value == 3.5L);
  CHECK(parse_long_double("-5e3", &value));
  CHECK(value == -5000);
  CHECK(parse_long_double("0x10", &value));
  CHECK(value == 16);
  CHECK(parse_long_double("inf", &value));
  CHECK(parse_long_double(".5", &value));
  for (const char* bad : {"", " 1", "1 ", "nan", "1e5000", "abc", "1.2.3", "--1"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_long_double(bad, &value));
  }
  CHECK_FALSE(parse_long_double(std::string(6000, '1'), &value));
  CHECK_FALSE(parse_long_double(std::string_view("1\0", 2), &value));
}

TEST_CASE("numbers: floats as INCRBYFLOAT prints them") {
  CHECK(format_long_double(10.5L) == "10.5");
  CHECK(format_long_double(3.0L) == "3");
  CHECK(format_long_double(0.1L + 10.5L) == "10.6");
  CHECK(format_long_double(-0.0L) == "0");
  CHECK(format_long_double(-1e-30L) == "0");
  CHECK(format_long_double(100.0L) == "100");
  CHECK(format_long_double(1e20L) == "100000000000000000000");
}

TEST_CASE("numbers: ignoring case") {
  CHECK(equals_ignoring_case("KeepTTL", "keepttl"));
  CHECK_FALSE(equals_ignoring_case("keepttl ", "keepttl"));
  CHECK_FALSE(equals_ignoring_case("", "x"));
}

TEST_CASE("numbers: doubles") {
  double value = 0;
  const std::pair<const char*, double> good[] = {{"1", 1},
                                                 {"-2.5", -2.5},
                                                 {"3e2", 300},
                                                 {"0x10", 16},
                                                 {".5", 0.5},
                                                 {"1e-300", 1e-300},
                                                 {"inf", HUGE_VAL},
                                                 {"-Infinity", -HUGE_VAL},
                                                 {"007", 7},
                                                 {"-999999999999999", -999999999999999.0},
                                                 {"9007199254740993", 9007199254740992.0}};
  for (const auto& pair : good) {
    CAPTURE(pair.first);
    CHECK(parse_double(pair.first, &value));
    CHECK(value == pair.second);
  }
  CHECK(parse_double("-0", &value));
  CHECK(std::signbit(value));
  value = 77;
  for (const char* bad :
       {"", "-", "--1", "1-", " 1", "1 ", "x", "1x", "nan", "1e400", "-1e400", "1e-400", "(1"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_double(bad, &value));
  }
  CHECK_FALSE(parse_double(std::string_view("1\0", 2), &value));
  CHECK(value == 77);
}

}  // namespace
}  // namespace varve
