#include "base/integer_text.h"

#include <charconv>

namespace varve {

bool parse_integer(std::string_view text, int64_t* value) {
  if (text.empty() || text.size() > 20) return false;
  std::string_view digits = text.front() == '-' ? text.substr(1) : text;
  if (digits.empty() || digits.front() < '0' || digits.front() > '9') return false;
  if (digits.front() == '0' && text.size() > 1) return false;
  int64_t parsed = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  *value = parsed;
  return true;
}

bool is_stored_as_integer(std::string_view text) {
  int64_t value = 0;
  return parse_integer(text, &value);
}

// Without leading zeros the longer number is the larger one.
int compare_integer_texts(std::string_view a, std::string_view b) {
  bool a_negative = !a.empty() && a.front() == '-';
  bool b_negative = !b.empty() && b.front() == '-';
  if (a_negative != b_negative) return a_negative ? -1 : 1;
  int order = a.size() != b.size() ? (a.size() < b.size() ? -1 : 1) : a.compare(b);
  return a_negative ? -order : order;
}

}  // namespace varve
