// Goal: the parser's commands and errors for given bytes, however they arrive. Method: scripts of bytes; then
// every request of a corpus in one piece, in all two-way splits and byte by byte must give the same.
#include "resp/parser.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "support/script.h"

namespace varve {
namespace {

std::string escape(std::string_view bytes) {
  if (bytes.size() > 200) return fmt::format("{}... {} bytes", escape(bytes.substr(0, 10)), bytes.size());
  std::string text;
  for (char c : bytes) {
    unsigned char u = static_cast<unsigned char>(c);
    if (u < 32 || u > 126)
      text += fmt::format("\\x{:02x}", u);
    else
      text += c;
  }
  return text;
}

std::string unescape(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      bytes += text[i];
      continue;
    }
    switch (text[++i]) {
      case 'r':
        bytes += '\r';
        break;
      case 'n':
        bytes += '\n';
        break;
      case 't':
        bytes += '\t';
        break;
      case '0':
        bytes += '\0';
        break;
      case 'x':
        bytes += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
        i += 2;
        break;
      default:
        bytes += text[i];
    }
  }
  return bytes;
}

// What a connection does with a parser: keeps what is not used up, hands over more as it comes.
struct Reader {
  Parser parser;
  ParserLimits limits;
  std::string pending;
  std::string out;
  bool failed = false;

  void feed(std::string_view bytes) {
    if (failed) return;
    // A fresh copy each time: views into the old input must not matter.
    pending = std::string(pending).append(bytes);
    while (true) {
      ParseResult result = parser.parse(pending, limits);
      if (result == ParseResult::kError) {
        out += "error: " + escape(parser.error()) + "\n";
        failed = true;
        return;
      }
      if (result == ParseResult::kCommand) {
        for (std::string_view arg : parser.args()) out += "[" + escape(arg) + "]";
        out += "\n";
      }
      pending.erase(0, parser.consumed());
      if (result == ParseResult::kNeedMore) {
        if (parser.wanted() != 0) CHECK(parser.wanted() > pending.size());
        return;
      }
    }
  }
};

std::string script_bytes(const test::Step& step) {
  std::string bytes;
  for (const std::string& line : step.input_lines()) {
    if (line.rfind("repeat ", 0) == 0) {
      size_t space = line.find(' ', 7);
      for (int i = std::stoi(line.substr(7)); i > 0; --i) bytes += line.substr(space + 1);
    } else {
      bytes += unescape(line);
    }
  }
  return bytes;
}

std::string parse_in(const std::vector<std::string_view>& pieces, bool unauthenticated) {
  Reader reader;
  reader.limits.unauthenticated = unauthenticated;
  for (std::string_view piece : pieces) reader.feed(piece);
  if (!reader.failed && !reader.pending.empty()) {
    reader.out += fmt::format("{} bytes wait", reader.pending.size());
    if (reader.parser.wanted() != 0) reader.out += fmt::format(" for {}", reader.parser.wanted());
    reader.out += "\n";
  }
  return reader.out;
}

TEST_CASE("parser: scripts, whole and in all splits") {
  test::run_script("script/resp_parser.txt", [](const test::Step& step) {
    std::string bytes = script_bytes(step);
    bool unauthenticated = step.has("unauthenticated");
    std::string whole = parse_in({bytes}, unauthenticated);
    std::string_view view = bytes;
    size_t step_size = bytes.size() > 1000 ? bytes.size() / 50 : 1;
    for (size_t cut = 1; cut < bytes.size(); cut += step_size) {
      INFO("cut at " << cut << " of: " << escape(bytes));
      CHECK(parse_in({view.substr(0, cut), view.substr(cut)}, unauthenticated) == whole);
    }
    if (bytes.size() <= 1000) {
      std::vector<std::string_view> single;
      for (size_t i = 0; i < bytes.size(); ++i) single.push_back(view.substr(i, 1));
      CHECK(parse_in(single, unauthenticated) == whole);
    }
    return whole;
  });
}

TEST_CASE("parser: a long pipeline in pieces of every small size") {
  std::string bytes, expected;
  for (int i = 0; i < 300; ++i) {
    std::string value(static_cast<size_t>(i * 7 % 50), 'v');
    bytes += fmt::format("*3\r\n$3\r\nSET\r\n${}\r\n{}\r\n${}\r\n{}\r\n", std::to_string(i).size(), i,
                         value.size(), value);
    expected += fmt::format("[SET][{}][{}]\n", i, value);
    if (i % 10 == 0) {
      bytes += "PING 'a b'\r\n";
      expected += "[PING][a b]\n";
    }
  }
  for (size_t size : {1u, 2u, 3u, 7u, 16u, 61u, 100u, 4096u, 100000u}) {
    std::vector<std::string_view> pieces;
    for (size_t at = 0; at < bytes.size(); at += size)
      pieces.push_back(std::string_view(bytes).substr(at, size));
    CHECK(parse_in(pieces, false) == expected);
  }
}

TEST_CASE("parser: memory follows the bytes that came, not the lengths declared") {
  Parser parser;
  ParserLimits limits;
  std::string_view input = "*1048576\r\n$536870912\r\nabc";
  CHECK(parser.parse(input, limits) == ParseResult::kNeedMore);
  CHECK(parser.wanted() == 22 + 536870912 + 2);
  CHECK(parser.memory_used() < 1000);
}

TEST_CASE("parser: max_bulk is a setting") {
  Parser parser;
  ParserLimits limits;
  limits.max_bulk = 4;
  CHECK(parser.parse("*1\r\n$4\r\nPING\r\n", limits) == ParseResult::kCommand);
  CHECK(parser.parse("*1\r\n$5\r\nPINGS\r\n", limits) == ParseResult::kError);
  CHECK(parser.error() == "Protocol error: invalid bulk length");
}

TEST_CASE("parser: reset forgets a command parsed in part") {
  Parser parser;
  ParserLimits limits;
  CHECK(parser.parse("*2\r\n$4\r\nPING\r\n$9\r\nx", limits) == ParseResult::kNeedMore);
  parser.reset();
  CHECK(parser.parse("*1\r\n$4\r\nPING\r\n", limits) == ParseResult::kCommand);
  CHECK(parser.args().size() == 1);
}

}  // namespace
}  // namespace varve
