// Goal: what peek_request says of well-formed requests is what the parser says, wherever the input ends; and
// nothing that a client sends makes it read outside its input. Method: random pipelines, every cut of them,
// and damage.
#include "resp/peek.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "resp/parser.h"

namespace varve {
namespace {

std::string request(const std::vector<std::string>& words) {
  std::string text = fmt::format("*{}\r\n", words.size());
  for (const std::string& word : words) text += fmt::format("${}\r\n{}\r\n", word.size(), word);
  return text;
}

std::string random_pipeline(Random& random) {
  std::string text;
  for (uint64_t n = 1 + random.below(5); n > 0; --n) {
    std::vector<std::string> words(1 + random.below(5));
    for (std::string& word : words) word.assign(random.below(12), static_cast<char>(random.below(256)));
    text += request(words);
  }
  return text;
}

TEST_CASE("peek_request agrees with the parser, wherever the input is cut") {
  Random random(1);
  size_t seen = 0;
  for (int round = 0; round < 300; ++round) {
    std::string text = random_pipeline(random);
    for (size_t size = 0; size <= text.size(); ++size) {
      // On the heap, at its exact size: reading past it is an error that the sanitizer sees.
      std::string cut(text, 0, size);
      cut.shrink_to_fit();
      std::string_view peeked = cut;
      std::string_view parsed = cut;
      PeekedRequest request;
      Parser parser;
      while (peek_request(&peeked, &request)) {
        REQUIRE(parser.parse(parsed, {}) == ParseResult::kCommand);
        parsed.remove_prefix(parser.consumed());
        REQUIRE(peeked.size() == parsed.size());
        auto argument = [&](size_t i) {
          return parser.args().size() > i ? parser.args()[i] : std::string_view();
        };
        REQUIRE(request.name == argument(0));
        REQUIRE(request.key == argument(1));
        REQUIRE(request.member == argument(2));
        ++seen;
      }
      REQUIRE(parser.parse(parsed, {}) == ParseResult::kNeedMore);
    }
  }
  CHECK(seen > 10'000);
}

TEST_CASE("peek_request steps past no more than is there, whatever it is shown") {
  Random random(2);
  for (int round = 0; round < 20'000; ++round) {
    std::string text = random_pipeline(random);
    for (uint64_t n = random.below(4); n > 0; --n) {
      static constexpr std::string_view kBytes = "*$\r\n0123456789-";
      text[random.below(text.size())] = kBytes[random.below(kBytes.size())];
    }
    std::string_view input = text;
    PeekedRequest request;
    while (peek_request(&input, &request)) {
      REQUIRE(input.data() + input.size() == text.data() + text.size());
      for (std::string_view part : {request.name, request.key, request.member})
        REQUIRE((part.empty() || (part.data() > text.data() && part.data() + part.size() < input.data())));
    }
  }
  for (std::string_view text :
       {"", "*", "$", "*1", "*1\r\n", "*1\r\n$", "GET a\r\n", "*-1\r\n", "*65\r\n$1\r\na\r\n",
        "*1\r\n$999999999\r\n", "*1\r\n$9999999999999999999\r\na\r\n", "*2\r\n$1\r\na\r\n:1\r\n"}) {
    std::string_view input = text;
    PeekedRequest request;
    CHECK_FALSE(peek_request(&input, &request));
    CHECK(input == text);
  }
}

}  // namespace
}  // namespace varve
