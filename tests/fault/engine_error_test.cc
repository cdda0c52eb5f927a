// Goal: errors of the disk that do not end the world. A full disk refuses writes, keeps reading, and resumes
// by itself; a failed sync of the log fences it: nothing more is acknowledged, reads go on, and a restart has
// everything that was durable; any other single failure is survived, tried again, and leaves the data as it
// was. Method: the simulated world, with faults.
#include <doctest/doctest.h>

#include "support/engine_world.h"
#include "support/script.h"

using namespace varve;
using namespace varve::test;

namespace {

void require_no_errors(const EngineWorld& world, uint64_t seed) {
  for (size_t i = 0; i < world.errors.size() && i < 5; ++i)
    FAIL_CHECK("seed " << seed << ": " << world.errors[i]);
  REQUIRE(world.errors.empty());
}

}  // namespace

TEST_CASE("engine: a full disk refuses writes, keeps reading, and resumes by itself") {
  uint64_t refused = 0;
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    EngineWorld world(seed);
    world.options().sync = SyncMode::kAlways;
    REQUIRE(world.open().ok());
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 200; ++i) world.step();
      world.files().set_space(world.files().used_space() + world.random().below(200'000));
      bool was_refused = false;
      for (int i = 0; i < 6000 && !was_refused; ++i) {
        world.step();
        was_refused = world.engine().admit(4000).verdict == Admission::Verdict::kRefuse;
      }
      if (was_refused) {
        ++refused;
        CHECK(world.engine().admit(4000).reason.is_no_space());
        CHECK_FALSE(world.engine().fenced());
        for (int i = 0; i < 20; ++i) world.check_key(world.random_key());
      }
      world.files().set_space(UINT64_MAX);
      bool resumed = false;
      for (int i = 0; i < 3000 && !resumed; ++i) {
        world.clock().advance_us(20'000);
        world.engine().tick();
        world.engine().end_of_turn();
        world.executor().run_completions();
        resumed = world.engine().admit(100).verdict == Admission::Verdict::kGo;
      }
      INFO("seed " << seed << ", " << world.engine().stats().background_error.to_string());
      REQUIRE(resumed);
      uint64_t before = world.committed();
      world.commit_random();
      CHECK(world.committed() == before + 1);
    }
    REQUIRE(world.settle());
    world.check_all();
    world.kill(CrashPolicy::drop_all());
    REQUIRE(world.open().ok());
    require_no_errors(world, seed);
  }
  CHECK(refused > 10);
}

TEST_CASE("engine: a failed log sync fences; reads go on; a restart has everything durable") {
  uint64_t fenced = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    EngineWorld world(seed);
    world.options().sync = SyncMode::kAlways;
    world.options().random_miss_one_in = 0;
    REQUIRE(world.open().ok());
    for (int i = 0; i < 150; ++i) world.step();
    world.files().add_fault({.kind = Fault::Kind::kIoError,
                             .call = seed % 3 == 0 ? Call::kWrite : Call::kSync,
                             .path = "*.log",
                             .nth = 1 + world.random().below(5)});
    for (int i = 0; i < 500 && !world.engine().fenced(); ++i) world.step();
    if (world.engine().fenced()) {
      ++fenced;
      Sequence durable = world.engine().durable_sequence();
      for (int i = 0; i < 200; ++i) world.step();
      CHECK(world.engine().durable_sequence() == durable);
      CHECK(world.engine().admit(10).reason.is_fenced());
      bool called = false;
      world.engine().sync([&called](const Status& status) {
        called = true;
        CHECK(status.is_fenced());
      });
      CHECK(called);
      for (int i = 0; i < 20; ++i) world.check_key(world.random_key());
    }
    world.files().clear_faults();
    world.kill(CrashPolicy{});
    Status reopened = world.open();
    REQUIRE_MESSAGE(reopened.ok(), reopened.to_string());
    require_no_errors(world, seed);
  }
  CHECK(fenced > 20);
}

TEST_CASE("engine: the n-th call fails once, whatever it is; nothing is lost") {
  uint64_t fired = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    EngineWorld world(seed);
    REQUIRE(world.open().ok());
    for (int i = 0; i < 60; ++i) world.step();
    Fault fault;
    uint64_t kind = world.random().below(3);
    fault.kind = kind == 0   ? Fault::Kind::kIoError
                 : kind == 1 ? Fault::Kind::kNoSpace
                             : Fault::Kind::kShortWrite;
    fault.nth = 1 + world.random().below(120);
    fault.changes_only = true;
    uint64_t before = world.files().faults_fired();
    world.files().add_fault(fault);
    for (int i = 0; i < 600; ++i) world.step();
    fired += world.files().faults_fired() - before;
    world.files().clear_faults();
    world.kill(world.random().one_in(2) ? CrashPolicy{} : CrashPolicy::drop_all());
    Status reopened = world.open();
    REQUIRE_MESSAGE(reopened.ok(), "seed " << seed << ": " << reopened.to_string());
    require_no_errors(world, seed);
  }
  CHECK(fired > 100);
}

TEST_CASE("engine: a data directory whose name could not be made durable is made again") {
  EngineWorld world(3);
  world.options().sync = SyncMode::kAlways;
  world.files().add_fault({.call = Call::kSyncDir});
  CHECK(world.open().is_io_error());
  REQUIRE(world.files().faults_fired() == 1);
  REQUIRE(world.open().ok());
  world.commit_random();
  REQUIRE(world.settle());
  REQUIRE(world.durable_batches() == 1);
  world.kill(CrashPolicy::drop_all());
  REQUIRE(world.open().ok());
  require_no_errors(world, 3);
}

TEST_CASE("engine: a manifest that lost its end is named, whatever is missing because of it") {
  EngineWorld world(7);
  world.options().memtable_size = 1 << 20;
  REQUIRE(world.open().ok());
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 20; ++i) world.commit_random();
    bool flushed = false;
    world.engine().flush([&flushed](const Status& status) { flushed = status.ok(); });
    REQUIRE(world.settle());
    REQUIRE(flushed);
    bool compacted = false;
    world.engine().compact_range("", "", [&compacted](const Status& status) { compacted = status.ok(); });
    REQUIRE(world.settle());
    REQUIRE(compacted);
  }
  world.kill(CrashPolicy::keep_all());
  std::string manifest;
  for (const std::string& path : world.files().all_files("/db")) {
    if (path.find("MANIFEST-") != std::string::npos) manifest = path;
  }
  const std::string whole = world.files().contents(manifest);
  uint64_t refused = 0;
  for (uint64_t size = 8192 + 4096 + 16; size + 8192 < whole.size(); size += 4096) {
    world.files().put(manifest, whole.substr(0, size));
    Status status = world.open();
    if (status) break;  // what the lost records destroyed was not needed: nothing is missing
    ++refused;
    CHECK_MESSAGE(status.is_corruption(), status.to_string());
    CHECK_MESSAGE(status.message().find(manifest.substr(4)) != std::string::npos, status.to_string());
  }
  CHECK(refused > 3);
  require_no_errors(world, 7);
}
