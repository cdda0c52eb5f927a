// What is noted of commands that have run: the slow log, latency series and histograms, monitors. Method:
// each piece with drawn values; the joined thing in process, under a clock that stands still.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "command/latency_histogram.h"
#include "command/latency_monitor.h"
#include "command/monitors.h"
#include "command/slow_log.h"
#include "server/in_process.h"

namespace varve {
namespace {

using test::InProcessServer;

TEST_CASE("a histogram's percentiles are right within one percent") {
  LatencyHistogram histogram;
  CHECK(histogram.percentile_us(50) == 0);
  for (int64_t us = 1; us <= 10'000; ++us) histogram.add_us(us);
  for (double percent : {1.0, 50.0, 99.0, 99.9, 100.0}) {
    double wanted = percent * 100;
    CHECK(histogram.percentile_us(percent) >= wanted);
    CHECK(histogram.percentile_us(percent) <= wanted * 1.01);
  }
  CHECK(histogram.total() == 10'000);
}

TEST_CASE("a histogram's steps double, and leave out what adds nothing") {
  LatencyHistogram histogram;
  for (int64_t us : {0, 1, 1, 40, 70'000'000}) histogram.add_us(us);
  std::string text;
  for (const auto& step : histogram.steps()) text += fmt::format("{}:{} ", step.usec, step.count);
  CHECK(text == "1:3 66:4 1082130:5 ");
}

TEST_CASE("a series keeps the longest of each second, and 160 of them") {
  LatencySeries series;
  series.add({100, 5});
  series.add({100, 9});
  series.add({100, 7});
  series.add({101, 3});
  CHECK(series.samples().size() == 2);
  CHECK(series.samples()[0].ms == 9);
  CHECK(series.latest().ms == 3);
  for (int64_t s = 102; s < 400; ++s) series.add({s, 1});
  CHECK(series.samples().size() == LatencySeries::kSamples);
  CHECK(series.samples().front().time_s == 240);
  CHECK(series.max_ms() == 9);
}

TEST_CASE("a latency graph") {
  LatencySeries series;
  series.add({1000, 11});
  series.add({1940, 50});
  series.add({1990, 30});
  series.add({1999, 20});
  CHECK(latency_graph("command", series, 2000) == "command - high 50 ms, low 11 ms (all time high 50 ms)\n" +
                                                      std::string(80, '-') +
                                                      "\n #  \n |  \n |# \n_||#\n    \n1111\n6m0s\nm s \n");
}

TEST_CASE("the slow log bounds entries, arguments and their length") {
  SlowLog log;
  std::string longer(200, 'b');
  std::vector<std::string_view> many(40, "a");
  log.add({"set", "k", longer}, 12, 1000, "1.2.3.4:5", "me", 2);
  log.add(many, 13, 1001, "1.2.3.4:5", "", 2);
  REQUIRE(log.entries().size() == 2);
  CHECK(log.entries()[0].args.size() == 32);
  CHECK(log.entries()[0].args.back() == "... (9 more arguments)");
  CHECK(log.entries()[1].args[2] == std::string(128, 'b') + "... (72 more bytes)");
  CHECK(log.entries()[1].name == "me");
  size_t bytes = log.memory_used();
  log.add({"get"}, 14, 1002, "", "", 2);
  CHECK(log.entries().size() == 2);
  CHECK(log.entries()[0].id == 2);
  CHECK(log.memory_used() < bytes);
  log.clear();
  CHECK(log.memory_used() == 0);
  log.add({"get"}, 15, 1003, "", "", 2);
  CHECK(log.entries()[0].id == 3);
}

TEST_CASE("a monitor's line escapes what is not printable") {
  ClientState client;
  client.address = "127.0.0.1:60866";
  std::string bytes("x\0\n\r\t\a\b\"\\\xff\x7f'", 12);
  CHECK(monitor_line(1'339'518'083'007'412, client, 3, {"set", bytes}) ==
        "1339518083.007412 [3 127.0.0.1:60866] \"set\" \"x\\x00\\n\\r\\t\\a\\b\\\"\\\\\\xff\\x7f'\"");
  client.unix_socket = true;
  client.address = "/tmp/v.sock:0";
  CHECK(monitor_line(1'000'000, client, 0, {"ping"}) == "1.000000 [0 unix:/tmp/v.sock] \"ping\"");
}

TEST_CASE("passwords are shown to nobody") {
  InProcessServer server({});
  server.run(1, {"CONFIG", "SET", "slowlog-log-slower-than", "0"});
  server.run(9, {"MONITOR"});
  server.run(1, {"AUTH", "default", "secret"});
  server.run(1, {"HELLO", "2", "AUTH", "default", "secret"});
  server.run(1, {"ACL", "SETUSER", "secretary", "on", ">secret"});
  server.run(1, {"ACL", "SETUSER", "secretary", "(", ">secret"});
  server.run(1, {"CONFIG", "SET", "masterauth", "secret"});
  server.run(1, {"CONFIG", "SET", "requirepass", "secret"});
  std::string seen = server.take(9) + server.run(1, {"SLOWLOG", "GET", "-1"});
  CHECK(seen.find("secret") == std::string::npos);
  CHECK(seen.find("\"AUTH\" \"(redacted)\" \"(redacted)\"") != std::string::npos);
  CHECK(seen.find("\"HELLO\" \"2\" \"AUTH\" \"(redacted)\" \"(redacted)\"") != std::string::npos);
}

// Every command faults now and then and runs again: it is shown and counted once.
TEST_CASE("commands that run again are noted once") {
  InProcessServer server({.random_miss_one_in = 2, .flush_often = true});
  server.run(1, {"CONFIG", "SET", "slowlog-log-slower-than", "0"});
  server.run(9, {"MONITOR"});
  for (int i = 0; i < 50; ++i) server.run(1, {"SET", fmt::format("k{}", i), "v"});
  server.take(9);
  server.run(1, {"SLOWLOG", "RESET"});
  uint64_t faults = server.faults();
  for (int i = 0; i < 50; ++i) server.run(1, {"GET", fmt::format("k{}", i)});
  server.run(1, {"MULTI"});
  server.run(1, {"GET", "k1"});
  server.run(1, {"GET", "k2"});
  server.run(1, {"EXEC"});
  CHECK(server.faults() > faults);
  std::string seen = server.take(9);
  size_t lines = 0;
  for (size_t at = 0; (at = seen.find("\r\n", at)) != std::string::npos; at += 2) ++lines;
  CHECK(lines == 54);
  // SLOWLOG RESET, 52 times GET and MULTI; EXEC is not there.
  CHECK(server.run(1, {"SLOWLOG", "LEN"}) == ":54\r\n");
  CHECK(server.dispatcher().commandstats_text().find("cmdstat_get:calls=52,") != std::string::npos);
}

TEST_CASE("monitors that are gone, or were reset, are shown nothing") {
  InProcessServer server({});
  server.run(8, {"MONITOR"});
  server.run(9, {"MONITOR"});
  server.run(8, {"RESET"});
  server.disconnect(9);
  server.run(1, {"SET", "a", "1"});
  CHECK(server.take(8).empty());
  CHECK(server.run(8, {"GET", "a"}) == "$1\r\n1\r\n");
}

TEST_CASE("the mean of what expiring keys have left") {
  InProcessServer server({});
  for (int i = 0; i < 400; ++i) server.run(1, {"SET", fmt::format("k{}", i), "v", "EX", "100"});
  CHECK(server.dispatcher().keyspace_text() == "db0:keys=400,expires=400,avg_ttl=100000\r\n");
  server.advance_clock_ms(40'000);
  CHECK(server.dispatcher().keyspace_text() == "db0:keys=400,expires=400,avg_ttl=60000\r\n");
  server.run(1, {"FLUSHALL"});
  server.run(1, {"SET", "a", "1"});
  CHECK(server.dispatcher().keyspace_text() == "db0:keys=1,expires=0,avg_ttl=0\r\n");
}

}  // namespace
}  // namespace varve
