// Goal: clients, tables and the rest never get more descriptors together than there are.
#include "server/descriptor_plan.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "base/random.h"

namespace varve {
namespace {

MemoryPlan memory_of(uint64_t block_cache) {
  MemoryPlan memory;
  memory.block_cache = block_cache;
  return memory;
}

TEST_CASE("descriptors: with enough of them nothing is lowered") {
  Config config;
  MemoryPlan memory = memory_of(1ull << 30);
  uint64_t wanted = descriptors_wanted(config, memory);
  CHECK(wanted > config.maxclients + 10'000);
  DescriptorPlan plan = plan_descriptors(config, memory, wanted);
  CHECK(plan.maxclients == config.maxclients);
  CHECK(plan.tables == 10'000);
  CHECK(plan.reserved + plan.maxclients + plan.tables == wanted);
  CHECK(plan_descriptors(config, memory, wanted + 1'000'000).tables == plan.tables);
}

TEST_CASE("descriptors: tables take what clients leave, and a part of little") {
  Config config;
  MemoryPlan memory = memory_of(1ull << 30);
  uint64_t reserved = plan_descriptors(config, memory, 1 << 20).reserved;
  DescriptorPlan plan = plan_descriptors(config, memory, reserved + 14'000);
  CHECK(plan.maxclients == 10'000);
  CHECK(plan.tables == 4'000);
  plan = plan_descriptors(config, memory, reserved + 800);
  CHECK(plan.maxclients == 600);
  CHECK(plan.tables == 200);
  config.table_cache_files = 300;
  plan = plan_descriptors(config, memory, reserved + 800);
  CHECK(plan.maxclients == 500);
  CHECK(plan.tables == 300);
  config.table_cache_files = 5000;  // not all of them, though
  plan = plan_descriptors(config, memory, reserved + 800);
  CHECK(plan.maxclients == 400);
  CHECK(plan.tables == 400);
}

TEST_CASE("descriptors: open tables do not fill a small block cache") {
  CHECK(plan_descriptors(Config(), memory_of(8 << 20), 1 << 20).tables == 512);
}

TEST_CASE("descriptors: the log's segments are reserved, as many as there may be") {
  Config few, many;
  few.log_max_size = 4 * few.log_segment_size;
  many.log_max_size = 1000 * many.log_segment_size;
  MemoryPlan memory = memory_of(1ull << 30);
  CHECK(plan_descriptors(many, memory, 1 << 20).reserved ==
        plan_descriptors(few, memory, 1 << 20).reserved + 996);
}

TEST_CASE("descriptors: a live change never takes files from clients that nobody gave up") {
  Config now;
  MemoryPlan memory = memory_of(1ull << 30);
  uint64_t open_files = plan_descriptors(now, memory, 1 << 20).reserved + 800;
  auto check = [&](auto change) {
    Config next = now;
    change(next);
    return check_descriptors(now, memory, next, memory, open_files);
  };
  REQUIRE(plan_descriptors(now, memory, open_files).maxclients == 600);
  Status tables = check([](Config& c) { c.table_cache_files = 5000; });
  CHECK(
      tables.message().starts_with("this would leave open files (ulimit -n) for 400 clients instead of 600"));
  CHECK_FALSE(check([](Config& c) { c.table_cache_files = 300; }).ok());
  CHECK(check([](Config& c) { c.table_cache_files = 200; }).ok());
  CHECK(check([](Config& c) { c.maxclients = 500; }).ok());
  CHECK(check([](Config& c) { c.maxclients = 400, c.table_cache_files = 5000; }).ok());
  CHECK(check([](Config& c) { c.maxclients = 9000; }).ok());  // as before: 600 fit
  CHECK(check([](Config& c) { c.maxclients = 11'000; }).message() ==
        "The operating system is not able to handle the specified number of clients, try with 600");
  // Nor more memory, whose cache would have more tables open.
  CHECK_FALSE(check_descriptors(now, memory_of(100 * 16 * 1024), now, memory, open_files).ok());
}

TEST_CASE("descriptors: drawn settings stay within the limit") {
  Random random(7);
  for (int i = 0; i < 10'000; ++i) {
    Config config;
    config.maxclients = 1 + random.below(20'000);
    config.table_cache_files = random.one_in(2) ? 0 : random.below(20'000);
    config.log_max_size = config.log_segment_size * (4 + random.below(200));
    uint64_t open_files = random.below(40'000);
    DescriptorPlan plan = plan_descriptors(config, memory_of(random.below(1ull << 30)), open_files);
    REQUIRE(plan.maxclients >= 1);
    REQUIRE(plan.maxclients <= config.maxclients);
    REQUIRE(plan.tables >= 1);
    // Below this the process can do nothing useful; it runs as far as it gets.
    if (open_files >= plan.reserved + 2) REQUIRE(plan.reserved + plan.maxclients + plan.tables <= open_files);
  }
}

}  // namespace
}  // namespace varve
