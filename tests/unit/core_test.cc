// Goal: engine, commands and clients hang together as the Server and the simulator expect. (Replies, crashes
// and failures of the whole are the simulator's: tests/prove/sim*.)
#include <doctest/doctest.h>

#include <optional>

#include "server/core.h"
#include "server/in_process.h"

using namespace varve;
using namespace varve::test;

TEST_CASE("core: a sync mode set while the data is being opened reaches the engine") {
  CrashFs files;
  REQUIRE(files.create_dir("/data").ok());
  SimExecutor executor(1);
  test::ManualClock clock;
  PlainHost host;
  Core core(host, clock, 1, [] {});
  EngineOptions options;
  options.fs = &files;
  options.executor = &executor;
  options.clock = &clock;
  options.random_seed = 1;
  options.dir = "/data";
  options.log_segment_size = 1 << 20;
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
