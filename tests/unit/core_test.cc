// Goal: engine, commands and clients hang together as the Server and the simulator expect. (Replies, crashes
// and failures of the whole are the simulator's: tests/prove/sim*.)
#include <doctest/doctest.h>

#include <optional>

#include "server/core.h"
#include "server/in_process.h"

using namespace varve;
using namespace varve::test;

namespace {

EngineOptions engine_options(CrashFs& files, SimExecutor& executor, test::ManualClock& clock) {
  EngineOptions options;
  options.fs = &files;
  options.executor = &executor;
  options.clock = &clock;
  options.random_seed = 1;
  options.dir = "/data";
  options.log_segment_size = 1 << 20;
  return options;
}

}  // namespace

TEST_CASE("core: a sync mode set while the data is being opened reaches the engine") {
  CrashFs files;
  REQUIRE(files.create_dir("/data").ok());
  SimExecutor executor(1);
  test::ManualClock clock;
  PlainHost host;
  Core core(host, clock, 1, [] {});
  EngineOptions options = engine_options(files, executor, clock);
  options.sync = SyncMode::kNo;
  std::optional<Status> opened;
  core.open(options, [&opened](const Status& status) { opened = status; });
  REQUIRE(core.stage() == Core::Stage::kLoading);
  CHECK(core.engine() == nullptr);
  core.set_sync_mode(SyncMode::kAlways);
  while (!opened) executor.wait_completions();
  REQUIRE(opened->ok());
  CHECK(core.stage() == Core::Stage::kServing);
  CHECK(core.engine()->options().sync == SyncMode::kAlways);

  core.shut_down();
  while (!core.drained()) {
    core.turn();
    core.advance_shutdown();
    executor.run_completions();
  }
  CHECK(core.shutdown_status().ok());
  CHECK(core.engine() == nullptr);
  core.stop();
}

TEST_CASE("core: a log write that fails while the server stops is no crash") {
  CrashFs files;
  REQUIRE(files.create_dir("/data").ok());
  SimExecutor executor(1);
  test::ManualClock clock;
  PlainHost host;
  Core core(host, clock, 1, [] {});
  std::optional<Status> opened;
  core.open(engine_options(files, executor, clock), [&opened](const Status& status) { opened = status; });
  while (!opened) executor.wait_completions();
  REQUIRE(opened->ok());
  WriteBatch batch;
  batch.put("key", "value");
  REQUIRE(core.engine()->admit(batch.byte_size()).verdict == Admission::Verdict::kGo);
  core.engine()->commit(batch);
  files.add_fault({.kind = Fault::Kind::kIoError, .call = Call::kWrite, .path = "*.log"});
  core.engine()->end_of_turn();  // the write is on its way
  core.stop();
  CHECK(core.engine() == nullptr);
}
