#include "command/numbers.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace varve {
namespace {

// The longest text Redis takes for a long double.
constexpr size_t kLongDoubleTextMax = 5 * 1024;

bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

// Whole numbers that a double holds exactly, the most frequent of all: strtod takes ten times as long.
bool parse_whole_number(std::string_view text, double* value) {
  constexpr size_t kDigitsMax = 15;
  bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  if (text.empty() || text.size() > kDigitsMax) return false;
  int64_t number = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + (c - '0');
  }
  *value = negative ? -static_cast<double>(number) : static_cast<double>(number);
  return true;
}

}  // namespace

bool parse_long_double(std::string_view text, long double* value) {
  if (text.empty() || text.size() >= kLongDoubleTextMax || is_blank(text.front())) return false;
  char buffer[kLongDoubleTextMax];
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  errno = 0;
  char* end = nullptr;
  long double parsed = std::strtold(buffer, &end);
  if (static_cast<size_t>(end - buffer) != text.size() || std::isnan(parsed)) return false;
  if (errno == ERANGE && (std::isinf(parsed) || parsed == 0)) return false;
  *value = parsed;
  return true;
}

bool parse_double(std::string_view text, double* value) {
  if (parse_whole_number(text, value)) return true;
  if (text.empty() || is_blank(text.front())) return false;
  std::string owned(text);
  errno = 0;
  char* end = nullptr;
  double parsed = std::strtod(owned.c_str(), &end);
  if (static_cast<size_t>(end - owned.c_str()) != text.size() || std::isnan(parsed)) return false;
  if (errno == ERANGE && (std::isinf(parsed) || parsed == 0)) return false;
  *value = parsed;
  return true;
}

void format_integer(int64_t value, IntegerText* text) {
  auto result = std::to_chars(text->buffer, text->buffer + sizeof text->buffer, value);
  text->view = {text->buffer, static_cast<size_t>(result.ptr - text->buffer)};
}

std::string format_long_double(long double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[kLongDoubleTextMax];
  int size = std::snprintf(buffer, sizeof buffer, "%.17Lf", value);
  std::string text(buffer, static_cast<size_t>(size));
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

bool equals_ignoring_case(std::string_view a, std::string_view lower_case_b) {
  if (a.size() != lower_case_b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    char c = a[i];
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    if (c != lower_case_b[i]) return false;
  }
  return true;
}

}  // namespace varve
