// Goal: Redis's pattern semantics, its odd corners included, and no exponential time.
#include "command/glob.h"

#include <doctest/doctest.h>

#include <string>

namespace varve {
namespace {

TEST_CASE("glob: what matches what") {
  struct Case {
    const char* pattern;
    const char* text;
    bool matches;
  };
  const Case cases[] = {
      {"", "", true},
      {"", "a", false},
      {"*", "a", true},
      {"*", "abc", true},
      {"a", "a", true},
      {"a", "b", false},
      {"a", "ab", false},
      {"ab", "a", false},
      {"a*", "a", true},
      {"a*", "abc", true},
      {"*c", "abc", true},
      {"*b", "abc", false},
      {"a*c", "abbbc", true},
      {"a*c", "abbbd", false},
      {"a**c", "abc", true},
      {"*a*b*", "xxaxxbxx", true},
      {"*a*b*", "xxbxxa", false},
      {"?", "a", true},
      {"?", "", false},
      {"??", "a", false},
      {"a?c", "abc", true},
      {"[abc]", "b", true},
      {"[abc]", "d", false},
      {"[^abc]", "d", true},
      {"[^abc]", "a", false},
      {"[a-c]", "b", true},
      {"[a-c]", "d", false},
      {"[c-a]", "b", true},
      {"[a-cx]", "x", true},
      {"[\\]]", "]", true},
      {"[\\^a]", "^", true},
      {"\\*", "*", true},
      {"\\*", "a", false},
      {"a\\", "a\\", true},
      {"*\\?", "a?", true},
      {"[abc", "b", true},
      {"[abc", "d", false},
      {"[", "a", false},
      {"[^", "a", true},
      {"[]", "a", false},
      {"x[a-]y", "xay", false},
      {"user:[0-9]*", "user:12", true},
      {"user:[0-9]", "user:12", false},
      // Redis's own: an empty text is matched by nothing but the empty pattern.
      {"*", "", false},
      {"**", "", false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.pattern);
    CAPTURE(c.text);
    CHECK(glob_matches(c.pattern, c.text) == c.matches);
  }
}

TEST_CASE("glob: ignoring case") {
  CHECK(glob_matches("AbC*", "aBcd", true));
  CHECK(glob_matches("[A-C]x", "bX", true));
  CHECK_FALSE(glob_matches("AbC", "abc"));
}

TEST_CASE("glob: stars do not multiply") {
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "a*";
  pattern += "b";
  CHECK_FALSE(glob_matches(pattern, std::string(10'000, 'a')));
  // Beyond its bound of steps it gives up instead of going on.
  CHECK_FALSE(glob_matches("*" + std::string(30'000, 'a') + "b", std::string(60'000, 'a')));
}

TEST_CASE("glob: the literal prefix") {
  bool whole = false;
  CHECK(glob_literal_prefix("user:*", &whole) == "user:");
  CHECK_FALSE(whole);
  CHECK(glob_literal_prefix("user", &whole) == "user");
  CHECK(whole);
  CHECK(glob_literal_prefix("a\\*b[c]", &whole) == "a*b");
  CHECK_FALSE(whole);
  CHECK(glob_literal_prefix("*", &whole).empty());
  CHECK(glob_literal_prefix("a\\", &whole) == "a\\");
}

}  // namespace
}  // namespace varve
