// Goal: a range of a stream that goes out piece by piece comes whole, wherever blocks are missing. Method: a
// real dispatcher and engine; every second block that is cached is said to be missing.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "server/in_process.h"

namespace varve {
namespace {

std::string entry_reply(const std::string& id, const std::string& value) {
  return fmt::format("*2\r\n${}\r\n{}\r\n*2\r\n$1\r\nf\r\n${}\r\n{}\r\n", id.size(), id, value.size(), value);
}

TEST_CASE("streamed entries: the last one in pieces, and none at all behind it") {
  const std::string text(300'000, 'x');
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    test::InProcessServer server({.seed = seed, .random_miss_one_in = 2, .flush_often = true});
    server.run(1, {"XADD", "s", "1-1", "f", "short"});
    server.run(1, {"XADD", "s", "2-1", "f", text});
    CHECK(server.run(1, {"XRANGE", "s", "-", "+"}) ==
          "*2\r\n" + entry_reply("1-1", "short") + entry_reply("2-1", text));
    CHECK(server.run(1, {"XREVRANGE", "s", "+", "2"}) == "*1\r\n" + entry_reply("2-1", text));
    CHECK(server.run(1, {"PING"}) == "+PONG\r\n");
  }
}

}  // namespace
}  // namespace varve
