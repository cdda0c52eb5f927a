// Goal: engine, commands and clients hang together as the Server and the simulator expect. (Replies, crashes
// and failures of the whole are the simulator's: tests/prove/sim*.)
#include <doctest/doctest.h>

#include <optional>

#include "server/core.h"
#include "server/in_process.h"

using namespace varve;
using namespace varve::test;

namespace {

struct Bench {
  Bench() {
    REQUIRE(files.create_dir("/data").ok());
    options.fs = &files;
    options.executor = &executor;
    options.clock = &clock;
    options.random_seed = 1;
    options.dir = "/data";
    options.log_segment_size = 1 << 20;
  }
  void open() {
    core.open(options, [this](const Status& status) { opened = status; });
  }
  void wait_until_open() {
    while (!opened) executor.wait_completions();
    REQUIRE(opened->ok());
  }

  CrashFs files;
  SimExecutor executor{1};
  test::ManualClock clock;
  PlainHost host;
  Core core{host, clock, 1, [] {}};
  EngineOptions options;
  std::optional<Status> opened;
};

}  // namespace

TEST_CASE("core: a sync mode set while the data is being opened reaches the engine") {
  Bench bench;
  Core& core = bench.core;
  bench.options.sync = SyncMode::kNo;
  bench.open();
  REQUIRE(core.stage() == Core::Stage::kLoading);
  CHECK(core.engine() == nullptr);
  core.set_sync_mode(SyncMode::kAlways);
  bench.wait_until_open();
  CHECK(core.stage() == Core::Stage::kServing);
  CHECK(core.engine()->options().sync == SyncMode::kAlways);

  core.shut_down();
  while (!core.drained()) {
    core.turn();
    core.advance_shutdown();
    bench.executor.run_completions();
  }
  CHECK(core.shutdown_status().ok());
  CHECK(core.engine() == nullptr);
  core.stop();
}

TEST_CASE("core: a log write that fails while the server stops is no crash") {
  Bench bench;
  Core& core = bench.core;
  bench.open();
  bench.wait_until_open();
  WriteBatch batch;
  batch.put("key", "value");
  REQUIRE(core.engine()->admit(batch.byte_size()).verdict == Admission::Verdict::kGo);
  core.engine()->commit(batch);
  bench.files.add_fault({.kind = Fault::Kind::kIoError, .call = Call::kWrite, .path = "*.log"});
  core.engine()->end_of_turn();  // the write is on its way
  core.stop();
  CHECK(core.engine() == nullptr);
}
