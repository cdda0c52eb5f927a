// Goal: errors of the disk that do not end the world. A full disk refuses writes, keeps reading, and resumes
// by itself; a failed sync of the log fences it: nothing more is acknowledged, reads go on, and a restart has
// everything that was durable; any other single failure is survived, tried again, and leaves the data as it
// was. Method: the simulated world, with faults.
#include <doctest/doctest.h>

#include <filesystem>
#include <optional>
#include <set>

#include "base/log.h"
#include "base/random.h"
#include "lsm/wal_format.h"
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

void pass_time(EngineWorld& world, int seconds) {
  for (int i = 0; i < seconds; ++i) {
    world.clock().advance_us(1'000'000);
    world.engine().tick();
    world.executor().run_completions();
    world.engine().end_of_turn();
    world.executor().run_completions();
  }
}

std::vector<std::string> tables_of(EngineWorld& world) {
  std::vector<std::string> tables = world.files().all_files();
  std::erase_if(tables, [](const std::string& file) { return !file.ends_with(".sst"); });
  return tables;
}

// Flushes, then compacts everything; what came of it.
Status compact_all(EngineWorld& world) {
  std::optional<Status> result;
  world.engine().compact_range("", "", [&result](const Status& status) { result = status; });
  for (int i = 0; i < 3000 && !result; ++i) pass_time(world, 1);
  return result ? *result : Status::aborted("the compaction did not come to an end");
}

// The last frame with operations: its segment's path, and where in there.
std::pair<std::string, uint64_t> last_group_of(EngineWorld& world) {
  std::pair<std::string, uint64_t> last;
  for (const std::string& path : world.files().all_files("/db")) {
    if (!path.ends_with(".log")) continue;
    Status dumped = dump_log(world.files(), path, false, [&](std::string_view line) {
      if (!line.starts_with(" ") && line.find(": sequences ") != line.npos)
        last = {path, std::stoull(std::string(line))};
    });
    REQUIRE(dumped.ok());
  }
  return last;
}

std::set<std::string> segments_of(EngineWorld& world) {
  std::set<std::string> out;
  for (const std::string& path : world.files().all_files()) {
    if (path.ends_with(".log")) out.insert(path);
  }
  return out;
}

}  // namespace

TEST_CASE("engine: what was durable before a rest has a witness, wherever in its segment it ends") {
  std::set<uint64_t> refused_at;
  for (int groups = 1; groups <= 30; ++groups) {
    INFO("groups " << groups);
    EngineWorld world(1);
    world.options().sync = SyncMode::kAlways;
    world.options().memtable_size = 1 << 20;
    world.options().log_segment_size = 16 * 4096;
    REQUIRE(world.open().ok());
    for (int i = 0; i < groups; ++i) {
      world.commit_random();
      world.engine().end_of_turn();
      world.executor().run_completions();
    }
    pass_time(world, 10);
    REQUIRE(world.durable_batches() == static_cast<uint64_t>(groups));
    world.kill(CrashPolicy::keep_all());
    const auto last = last_group_of(world);
    const uint64_t offset = last.second;
    world.files().flip_bit(last.first, (offset + kFrameHeaderSize + 1) * 8);
    Status opened = world.open();
    // It may stand in a table already.
    CHECK_MESSAGE((opened.is_corruption() || world.errors.empty()), last.first << " " << offset);
    refused_at.insert(opened.is_corruption() ? offset / kLogBlockSize : 0);
  }
  CHECK(refused_at.size() > 10);
}

// Goal: a start writes no whole segments while there are some that were prepared and never used, and what is
// written to those is found again.
TEST_CASE("engine: log segments that were never used are taken over by the next life") {
  EngineWorld world(1);
  world.options().sync = SyncMode::kAlways;
  world.options().log_segment_size = 64 * 4096;
  world.options().log_max_bytes = 16 * world.options().log_segment_size;
  REQUIRE(world.open().ok());
  for (int life = 0; life < 6; ++life) {
    INFO("life " << life);
    for (int i = 0; i < 20; ++i) {
      world.commit_random();
      world.engine().end_of_turn();
      world.executor().run_completions();
    }
    REQUIRE(world.settle());
    if (life % 2 == 0)
      world.kill(CrashPolicy::keep_all());
    else
      REQUIRE(world.close().ok());
    std::set<std::string> before = segments_of(world);
    REQUIRE(world.open().ok());
    for (const std::string& path : segments_of(world)) CHECK_MESSAGE(before.contains(path), path);
    CHECK(world.errors.empty());
  }
}

// Goal: that the log was closed cleanly is forgotten with the first thing the next start does, wherever this
// start is cut short, and whether it has something to replay or not.
TEST_CASE("engine: a clean close is over with the next start") {
  for (bool flushed : {false, true}) {
    for (uint64_t cut_at = 0; cut_at <= 12; ++cut_at) {
      INFO("flushed " << flushed << ", cut at " << cut_at);
      EngineWorld world(cut_at + 1);
      world.options().sync = SyncMode::kAlways;
      world.options().log_segment_size = 64 * 4096;
      world.options().log_max_bytes = 16 * world.options().log_segment_size;
      world.options().memtable_size = 1 << 20;
      auto live = [&] {
        for (int i = 0; i < 20; ++i) {
          world.commit_random();
          world.engine().end_of_turn();
          world.executor().run_completions();
        }
        if (flushed) world.engine().flush([](const Status&) {});
        REQUIRE(world.settle());
      };
      REQUIRE(world.open().ok());
      live();
      REQUIRE(world.close().ok());
      if (cut_at > 0) {
        world.files().add_fault({.kind = Fault::Kind::kCrash, .changes_only = true, .nth = cut_at});
        Status opened = world.open();
        if (opened.ok()) {
          world.kill(CrashPolicy{});
        } else {
          world.files().crash(CrashPolicy{}, cut_at);
        }
        world.files().clear_faults();
      }
      REQUIRE(world.open().ok());
      live();
      world.kill(CrashPolicy{});
      REQUIRE(world.open().ok());
      for (const std::string& error : world.errors) FAIL_CHECK(error);
    }
  }
}

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
      // A large batch may still have to wait for its turn.
      for (int i = 0; i < 1000 && world.committed() == before; ++i) {
        world.commit_random();
        world.engine().tick();
        world.executor().run_completions();
      }
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

// A cable that was loose for a while. Tables that three compactions could not read are left alone; once they
// can be read, they are compacted again, within minutes, or at once when asked.
TEST_CASE("engine: tables that could not be read for a while are healed") {
  uint64_t quarantined = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    EngineWorld world(seed);
    REQUIRE(world.open().ok());
    for (int i = 0; i < 400; ++i) world.step();
    for (int i = 0; i < 100; ++i) world.commit_random();
    (void)compact_all(world);
    // What is written from now on is on another disk, so to speak.
    for (const std::string& table : tables_of(world)) {
      world.files().add_fault(
          {.kind = Fault::Kind::kIoError, .call = Call::kRead, .path = table, .once = false});
    }
    for (int i = 0; i < 400 && world.engine().stats().quarantined_tables == 0; ++i) {
      world.commit_random();
      if (i % 20 == 0) world.engine().flush([](const Status&) {});
      pass_time(world, 2);
    }
    EngineStats stats = world.engine().stats();
    if (stats.quarantined_tables > 0) {
      ++quarantined;
      pass_time(world, 70);
      CHECK(world.engine().stats().quarantine_checks > stats.quarantine_checks);
      CHECK(world.engine().stats().quarantined_tables >= stats.quarantined_tables);
      CHECK(world.engine().stats().quarantine_next_check_s <= 3600);
    }
    world.files().clear_faults();
    pass_time(world, 5);  // what was under way still fails
    if (seed % 2 == 0) {
      Status compacted = compact_all(world);
      CHECK_MESSAGE(compacted.ok(), compacted.to_string());
    } else {
      pass_time(world, 3700);
    }
    stats = world.engine().stats();
    CHECK(stats.quarantined_tables == 0);
    CHECK(stats.quarantine_next_check_s == -1);
    if (quarantined > 0 && stats.quarantine_checks > 0) CHECK(stats.quarantine_healed > 0);
    CHECK(stats.background_error.ok());
    REQUIRE(world.settle());
    world.check_all();
    world.kill(CrashPolicy::drop_all());
    REQUIRE(world.open().ok());
    CHECK(world.engine().stats().quarantined_tables == 0);
    require_no_errors(world, seed);
  }
  CHECK(quarantined > 10);
}

TEST_CASE("engine: the log does not call a compaction repaired that leaves a damaged table out") {
  const std::string path = fmt::format(
      "{}/varve-quarantine-{}.log", std::filesystem::temp_directory_path().string(), random_seed_from_os());
  EngineWorld world(1);
  REQUIRE(world.open().ok());
  for (int i = 0; i < 200; ++i) world.commit_random();
  REQUIRE(compact_all(world).ok());
  REQUIRE(world.settle());
  std::vector<std::string> tables = tables_of(world);
  REQUIRE(!tables.empty());
  world.files().flip_bit(tables.front(), 100);
  REQUIRE(set_log(LogLevel::kNotice, path));
  CHECK(compact_all(world).is_corruption());
  pass_time(world, 2);
  REQUIRE(set_log(LogLevel::kNothing, "/dev/null"));
  auto log = posix_file_system().read_whole(path);
  REQUIRE(log.ok());
  (void)posix_file_system().remove(path);
  CHECK_MESSAGE(log->find("is in quarantine: compactions leave it alone") != std::string::npos, *log);
  CHECK_MESSAGE(log->find("goes on again") == std::string::npos, *log);
  CHECK(world.engine().stats().background_error.ok());
}

TEST_CASE("engine: a damaged table stays in quarantine; work goes on elsewhere") {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    INFO("seed " << seed);
    EngineWorld world(seed);
    REQUIRE(world.open().ok());
    for (int i = 0; i < 200; ++i) world.commit_random();
    REQUIRE(compact_all(world).ok());
    REQUIRE(world.settle());
    std::vector<std::string> tables = tables_of(world);
    REQUIRE(!tables.empty());
    world.files().flip_bit(tables[world.random().below(tables.size())], 100);
    CHECK(compact_all(world).is_corruption());
    pass_time(world, 2);
    CHECK(world.engine().stats().quarantined_tables == 1);
    // After 1, 3, 7, 15, 31, 63, 123, 183 minutes, and when it was asked for.
    uint64_t before = world.engine().stats().quarantine_checks;
    pass_time(world, 185 * 60);
    uint64_t checks = world.engine().stats().quarantine_checks - before;
    CHECK(checks >= 6);
    CHECK(checks <= 8);
    // Who asks for a compaction hears that it was left out.
    Status compacted = compact_all(world);
    CHECK(compacted.is_corruption());
    CHECK_MESSAGE(compacted.message().find(".sst: is in quarantine and was left out") != std::string::npos,
                  compacted.to_string());
    std::optional<Status> elsewhere;
    world.engine().compact_range("~~", "~~~", [&elsewhere](const Status& status) { elsewhere = status; });
    for (int i = 0; i < 100 && !elsewhere; ++i) pass_time(world, 1);
    CHECK((elsewhere && elsewhere->ok()));
    CHECK(world.engine().stats().quarantine_checks == before + checks + 2);
    CHECK(world.engine().stats().quarantined_tables == 1);
    CHECK(world.engine().stats().quarantine_healed == 0);
    uint64_t compactions = world.engine().stats().compactions, committed = world.committed();
    for (int i = 0; i < 600; ++i) {
      world.commit_random();
      pass_time(world, 1);
    }
    CHECK(world.committed() > committed + 100);
    CHECK(world.engine().stats().compactions > compactions);
    CHECK(world.engine().debug_string().find('!') != std::string::npos);
  }
}

// Tables so small that hardly any job fits: most end early, and the power goes in between.
TEST_CASE("engine: compactions in parts lose nothing, through crashes") {
  uint64_t parts = 0, compactions = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    EngineWorld world(seed);
    world.options().table_size = 200 + world.random().below(600);
    world.options().memtable_size = 4096 + world.random().below(16 * 1024);
    REQUIRE(world.open().ok());
    for (int life = 0; life < 3; ++life) {
      for (int i = 0; i < 600; ++i) world.step();
      if (life == 1) CHECK(compact_all(world).ok());
      world.check_all();
      parts += world.engine().stats().compactions_in_parts;
      compactions += world.engine().stats().compactions;
      world.kill(world.random().one_in(2) ? CrashPolicy{} : CrashPolicy::drop_all());
      Status reopened = world.open();
      REQUIRE_MESSAGE(reopened.ok(), reopened.to_string());
    }
    require_no_errors(world, seed);
  }
  CHECK(parts > 100);
  CHECK(compactions > 2 * parts);
}

// What failed is not always tried again: here a manual compaction, of which its owner was told.
TEST_CASE("engine: the failure of a compaction that nobody wants any more is over") {
  EngineWorld world(5);
  world.options().memtable_size = 1 << 20;
  Status opened = world.open();
  REQUIRE_MESSAGE(opened.ok(), opened.to_string());
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 20; ++i) world.commit_random();
    world.engine().flush([](const Status&) {});
    REQUIRE(world.settle());
  }
  world.files().add_fault(
      {.kind = Fault::Kind::kIoError, .call = Call::kWrite, .path = "*.sst", .once = false});
  CHECK_FALSE(compact_all(world).ok());
  CHECK_FALSE(world.engine().stats().background_error.ok());
  world.files().clear_faults();
  pass_time(world, 70);
  CHECK(world.engine().stats().background_error.ok());
  require_no_errors(world, 5);
}

// Blocks reported missing again and again: new versions then wait for the command, and everything agrees.
TEST_CASE("engine: commands that are restarted often hold new versions back") {
  uint64_t holds = 0, held = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    EngineWorld world(seed);
    world.options().random_miss_one_in = 2;
    REQUIRE(world.open().ok());
    for (int i = 0; i < 1500; ++i) world.step();
    holds += world.engine().stats().install_holds;
    held += world.engine().stats().installs_held;
    REQUIRE(world.settle());
    world.check_all();
    require_no_errors(world, seed);
  }
  CHECK(holds > 50);
  CHECK(held > 5);
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
