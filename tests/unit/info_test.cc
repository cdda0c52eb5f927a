// INFO's text for drawn values.
#include "server/info.h"

#include <doctest/doctest.h>

#include <set>
#include <sstream>

#include "support/script.h"

namespace varve {
namespace {

InfoData example() {
  InfoData data;
  data.varve_version = "0.1.0";
  data.os = "Linux 6.1.0 x86_64";
  data.compiler = "12.2.0";
  data.build_id = "0123456789abcdef";
  data.run_id = std::string(40, 'a');
  data.executable = "/usr/bin/varve-server";
  data.config_file = "/etc/varve.conf";
  data.process_id = 42;
  data.tcp_port = 6379;
  data.now_us = 1'700'000'000'000'000;
  data.uptime_s = 90'000;
  data.connected_clients = 3;
  data.maxclients = 10000;
  data.plan = plan_memory(Config(), 4ull << 30).take();
  data.used_memory = 1536 << 10;
  data.resident = 3 << 20;
  data.last_checkpoint_s = 1'700'000'000;
  data.last_checkpoint_sequence = 18;
  data.ops_per_second = 12.6;
  data.commandstats = "cmdstat_get:calls=1,usec=2,usec_per_call=2.00,rejected_calls=0,failed_calls=0\r\n";
  data.errorstats = "errorstat_ERR:count=2\r\n";
  data.keyspace = "db0:keys=1,expires=0,avg_ttl=0\r\n";
  EngineStats& engine = data.engine;
  engine.levels = {{0, 3, 3, 3000, 0.75}, {1, 10, 1, 100000, 1.25}};
  engine.tables = 13;
  engine.table_bytes = 103000;
  engine.blind_records = 7;
  engine.cache_hits = 3;
  engine.cache_misses = 1;
  engine.open_tables = 5;
  engine.open_tables_max = 8;
  engine.open_tables_bytes = 4000;
  engine.table_opens = 9;
  engine.table_open_errors = 1;
  engine.log_groups = 4;
  engine.log_batches = 10;
  engine.log_syncs = 4;
  engine.log_sync_us_total = 1000;
  engine.last_sequence = 20;
  engine.durable_sequence = 18;
  engine.background_error = Status::io_error("000012.sst: no\nroom");
  return data;
}

TEST_CASE("info script") {
  test::run_script("script/info.txt", [&](const test::Step& step) {
    InfoData data = example();
    if (step.has("loading")) {
      data.loading = true;
      data.loading_start_s = 1'700'000'000;
    }
    if (step.has("fenced")) data.engine.fenced = true;
    std::vector<std::string> sections;
    for (const std::string& line : step.input_lines()) sections.push_back(line);
    std::string text = info_text(data, sections), out;
    for (char c : text) {
      if (c != '\r') out += c;
    }
    if (!step.has("headers")) return out;
    std::istringstream in(out);
    out.clear();
    for (std::string line; std::getline(in, line);) {
      if (line[0] == '#') out += line + "\n";
    }
    return out;
  });
}

// Goal: parsers can rely on the shape. Method: every line of everything ends in CRLF and is a header, empty
// or name:value.
TEST_CASE("info lines have Redis's shape") {
  std::string text = info_text(example(), {"everything"});
  std::set<std::string> names;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find("\r\n", at);
    REQUIRE(end != std::string::npos);
    std::string line = text.substr(at, end - at);
    at = end + 2;
    CHECK(line.find('\n') == std::string::npos);
    if (line.empty() || line[0] == '#') continue;
    size_t colon = line.find(':');
    REQUIRE(colon != std::string::npos);
    CHECK_MESSAGE(names.insert(line.substr(0, colon)).second, line << " comes twice");
  }
  for (const char* name :
       {"redis_version", "maxmemory_policy", "role", "aof_enabled", "cluster_enabled", "used_memory_rss"}) {
    CHECK(names.count(name) == 1);
  }
}

TEST_CASE("human_bytes") {
  CHECK(human_bytes(0) == "0B");
  CHECK(human_bytes(1023) == "1023B");
  CHECK(human_bytes(941296) == "919.23K");
  CHECK(human_bytes(6ull << 20) == "6.00M");
  CHECK(human_bytes(25276510208) == "23.54G");
  CHECK(human_bytes(UINT64_MAX) == "16384.00P");
}

TEST_CASE("a rate meter averages, and a counter's reset does not count") {
  RateMeter meter;
  uint64_t reading = 0;
  for (int i = 0; i < 40; i++) meter.sample(i * 100'000, reading += 50);
  CHECK(meter.per_second() == doctest::Approx(500));
  meter.sample(4'000'000, 0);
  CHECK(meter.per_second() == doctest::Approx(500));
}

}  // namespace
}  // namespace varve
