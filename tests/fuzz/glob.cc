// Patterns of KEYS, SCAN and CONFIG GET: a match ends within its steps, agrees with a plain matcher where the
// pattern has no classes and no escapes, and begins with the pattern's literal prefix. An input is a pattern,
// a newline, and a text.
#include <algorithm>

#include "base/check.h"
#include "command/glob.h"
#include "fuzz/target.h"

namespace varve::fuzz {
namespace {

// By a table over all prefixes of both.
bool matches_plainly(std::string_view pattern, std::string_view text) {
  std::vector<char> row(text.size() + 1, 0);
  row[0] = 1;
  for (char p : pattern) {
    std::vector<char> next(text.size() + 1, 0);
    next[0] = p == '*' ? row[0] : 0;
    for (size_t i = 1; i <= text.size(); ++i) {
      if (p == '*')
        next[i] = row[i] || next[i - 1] ? 1 : 0;
      else
        next[i] = row[i - 1] && (p == '?' || p == text[i - 1]) ? 1 : 0;
    }
    row = std::move(next);
  }
  return row[text.size()] != 0;
}

void run(std::string_view input) {
  size_t end = std::min(input.find('\n'), input.size());
  std::string_view pattern = input.substr(0, end);
  std::string_view text = input.substr(std::min(end + 1, input.size()));
  uint64_t spent = 0;
  bool found = glob_matches(pattern, text, false, &spent);
  VARVE_CHECK(spent <= kGlobStepsMax + 1);
  if (spent < kGlobStepsMax && pattern.find_first_of("[\\") == std::string_view::npos) {
    // Redis's corner: an empty text matches only the empty pattern.
    bool expected = text.empty() ? pattern.empty() : matches_plainly(pattern, text);
    VARVE_CHECK(found == expected);
  }
  uint64_t spent_folded = 0;
  bool folded = glob_matches(pattern, text, true, &spent_folded);
  VARVE_CHECK(spent_folded <= kGlobStepsMax + 1);
  // A class may be a range, which folding turns into another one.
  if (found && pattern.find('[') == std::string_view::npos) VARVE_CHECK(folded);
  bool whole = false;
  std::string prefix = glob_literal_prefix(pattern, &whole);
  if (found) VARVE_CHECK(text.starts_with(prefix));
  if (found && whole) VARVE_CHECK(text == prefix);
}

std::string make(Random* random) {
  static const char* const kPieces[] = {"*",  "?", "a", "b", "[ab]", "[^a-c]", "\\*",
                                        "\\", "[", "]", "-", "ab",   "**"};
  std::string out;
  for (uint64_t n = random->below(12); n > 0; --n) out += kPieces[random->below(std::size(kPieces))];
  out += '\n';
  for (uint64_t n = random->below(20); n > 0; --n) out += static_cast<char>('a' + random->below(4));
  return out;
}

void mutate(std::string* input, Random* random) {
  static const char* const kPieces[] = {"*", "[",  "^",       "]",  "\\",  "-",
                                        "?", "\n", "a*a*a*b", "[^", "[a-", "aaaa"};
  if (random->one_in(3)) return mutate_bytes(input, random);
  input->insert(random->below(input->size() + 1), kPieces[random->below(std::size(kPieces))]);
}

uint64_t allocation_max(size_t input_size) {
  return 4096 + 4 * input_size;
}

const Registration registration({"glob", "patterns against a plain matcher", 2048, run, make, mutate,
                                 allocation_max});

}  // namespace
}  // namespace varve::fuzz
