#include "command/glob.h"

namespace varve {
namespace {

unsigned char fold(unsigned char c, bool ignore_case) {
  return ignore_case && c >= 'A' && c <= 'Z' ? static_cast<unsigned char>(c + ('a' - 'A')) : c;
}

// Matches one character against the class that starts behind '[' at *at; leaves *at behind the class.
bool class_matches(std::string_view pattern, size_t* at, unsigned char c, bool ignore_case, uint64_t* steps) {
  size_t i = *at;
  bool inverted = i < pattern.size() && pattern[i] == '^';
  if (inverted) ++i;
  bool matched = false;
  for (; i < pattern.size() && !(pattern[i] == ']'); ++i, ++*steps) {
    size_t left = pattern.size() - i;
    if (left >= 2 && pattern[i] == '\\') {
      ++i;
      matched |= static_cast<unsigned char>(pattern[i]) == c;
    } else if (left >= 3 && pattern[i + 1] == '-') {
      unsigned char low = fold(static_cast<unsigned char>(pattern[i]), ignore_case);
      unsigned char high = fold(static_cast<unsigned char>(pattern[i + 2]), ignore_case);
      if (low > high) std::swap(low, high);
      unsigned char folded = fold(c, ignore_case);
      matched |= folded >= low && folded <= high;
      i += 2;
    } else {
      matched |= fold(static_cast<unsigned char>(pattern[i]), ignore_case) == fold(c, ignore_case);
    }
  }
  *at = i < pattern.size() ? i + 1 : i;
  return matched != inverted;
}

// Matches one character against the pattern element (not a star) at *at; leaves *at behind it.
bool element_matches(std::string_view pattern, size_t* at, unsigned char c, bool ignore_case,
                     uint64_t* steps) {
  char p = pattern[(*at)++];
  if (p == '?') return true;
  if (p == '[') return class_matches(pattern, at, c, ignore_case, steps);
  if (p == '\\' && *at < pattern.size()) p = pattern[(*at)++];
  return fold(static_cast<unsigned char>(p), ignore_case) == fold(c, ignore_case);
}

bool matches(std::string_view pattern, std::string_view text, bool ignore_case, uint64_t& steps) {
  if (text.empty()) return pattern.empty();
  constexpr size_t kNone = static_cast<size_t>(-1);
  size_t p = 0;
  size_t t = 0;
  size_t behind_star = kNone;  // where the pattern goes on behind the last star
  size_t star_text = 0;        // where that star's match ends at present
  while (t < text.size()) {
    if (++steps > kGlobStepsMax) return false;
    if (p < pattern.size() && pattern[p] == '*') {
      behind_star = ++p;
      star_text = t;
      if (p == pattern.size()) return true;
      continue;
    }
    if (p < pattern.size() &&
        element_matches(pattern, &p, static_cast<unsigned char>(text[t]), ignore_case, &steps)) {
      ++t;
      continue;
    }
    if (behind_star == kNone) return false;
    p = behind_star;
    t = ++star_text;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view text, bool ignore_case, uint64_t* spent) {
  uint64_t steps = 0;
  bool matched = matches(pattern, text, ignore_case, steps);
  if (spent != nullptr) *spent += steps;
  return matched;
}

std::string glob_literal_prefix(std::string_view pattern, bool* whole) {
  std::string prefix;
  size_t i = 0;
  while (i < pattern.size() && pattern[i] != '*' && pattern[i] != '?' && pattern[i] != '[') {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
    prefix.push_back(pattern[i++]);
  }
  *whole = i == pattern.size();
  return prefix;
}

}  // namespace varve
