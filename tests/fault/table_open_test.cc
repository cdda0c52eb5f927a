// Goal: tables are opened when they are first read, few at a time; what is wrong with one then is an error
// that names it, never a key that is not there. Method: a real engine over simulated files, with many small
// tables and room for few; the file system counts how many are open.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

#include "lsm/engine.h"
#include "lsm/table.h"
#include "support/crash_fs.h"
#include "support/manual_clock.h"
#include "support/sim_executor.h"

using namespace varve;
using namespace varve::test;

namespace {

constexpr int kKeys = 600;

std::string key_of(int i) {
  return fmt::format("key:{:05}", i);
}
std::string value_of(int i) {
  return fmt::format("{} ", i) + std::string(100, 'v');
}

// A directory of many tables, reopened: nothing of it is in memory. `cached_percent`: how much of it the
// system's page cache has.
class Bench {
 public:
  explicit Bench(size_t open_max, int cached_percent = 0)
      : files_(CrashFs::Options{.nowait_percent = cached_percent}) {
    options_.fs = &files_;
    options_.clock = &clock_;
    options_.dir = "/db";
    options_.log_segment_size = 1 << 20;
    options_.table_size = 2048;
    options_.base_level_size = 1 << 20;
    options_.block_size = 256;
    options_.compression = options_.bottom_compression = Compression::kNone;
    options_.table_cache_files = open_max;
    REQUIRE(open().ok());
    WriteBatch batch;
    for (int i = 0; i < kKeys; ++i) batch.put(key_of(i), value_of(i));
    REQUIRE(engine_->admit(batch.byte_size()).verdict == Admission::Verdict::kGo);
    engine_->commit(batch);
    finish([this](auto done) { engine_->flush(done); });
    reopen();
    tables_ = engine_->stats().tables;
    REQUIRE(tables_ > 20);
  }

  Status open() {
    executor_.emplace(++seed_);
    options_.executor = &*executor_;
    uint64_t before = files_.calls(Call::kOpenRead);
    auto opened = Engine::open_blocking(options_);
    if (opened) engine_ = opened.take();
    opened_at_start_ = files_.calls(Call::kOpenRead) - before;
    files_.forget_open();
    return opened.status();
  }
  void close() {
    finish([this](auto done) { engine_->close(done); });
    engine_.reset();
  }
  void reopen() {
    close();
    Status opened = open();
    REQUIRE_MESSAGE(opened.ok(), opened.to_string());
  }

  template <class Start>
  Status result_of(Start start) {
    std::optional<Status> result;
    start([&result](const Status& status) { result = status; });
    while (!result) {
      turn();
      executor_->wait_completions();
    }
    return *result;
  }
  template <class Start>
  void finish(Start start) {
    Status result = result_of(start);
    CHECK_MESSAGE(result.ok(), result.to_string());
  }
  // What the loop does now and then.
  void turn() {
    engine_->end_of_turn();
    clock_.advance_us(1000);
    engine_->tick();
  }
  // Until nothing is under way.
  void rest() {
    while (executor_->pending() > 0) executor_->wait_completions();
  }

  // What a client would get, through misses: the value, or the error. Checks that it is not simply absent.
  Result<std::string> get(const std::string& key) {
    ReadContext context;
    while (true) {
      context.begin_run();
      ReadValue value;
      ReadState state = engine_->get(context, key, &value);
      REQUIRE(state != ReadState::kAbsent);
      if (state == ReadState::kFound) return std::string(value.value);
      if (!context.error.ok()) return context.error;
      bool fetched = false;
      engine_->fetch(context, [&fetched] { fetched = true; });
      while (!fetched) executor_->wait_completions();
    }
  }
  void check_get(int i) {
    auto value = get(key_of(i));
    REQUIRE_MESSAGE(value.ok(), value.status().to_string());
    CHECK(*value == value_of(i));
  }

  // The file of the n-th table in key order: it holds keys from about kKeys * n / tables() on.
  std::string table_path(size_t n) {
    std::vector<std::string> paths;
    for (const std::string& path : files_.all_files("/db")) {
      if (path.ends_with(".sst")) paths.push_back(path);
    }
    return paths.at(n);
  }
  uint64_t tables() const { return tables_; }
  uint64_t opened_at_start() const { return opened_at_start_; }
  CrashFs& files() { return files_; }
  Engine& engine() { return *engine_; }
  ManualClock& clock() { return clock_; }

 private:
  CrashFs files_;
  ManualClock clock_;
  EngineOptions options_;
  uint64_t seed_ = 0;
  uint64_t tables_ = 0;
  uint64_t opened_at_start_ = 0;
  std::optional<SimExecutor> executor_;
  std::unique_ptr<Engine> engine_;
};

// Every key of the n-th table is an error that names it, all others are there. How many errors.
int check_all_but(Bench& bench, const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  int errors = 0;
  for (int i = 0; i < kKeys; ++i) {
    auto value = bench.get(key_of(i));
    if (value) {
      CHECK(*value == value_of(i));
      continue;
    }
    ++errors;
    CHECK(value.status().is_corruption());
    CHECK_MESSAGE(value.status().message().find(name) != std::string::npos, value.status().to_string());
  }
  return errors;
}

}  // namespace

TEST_CASE("opening a directory opens one table, the last, however many there are") {
  Bench bench(3);
  CHECK(bench.opened_at_start() < 8);  // CURRENT, the manifest, the log's segments
  CHECK(bench.files().open_readers() == 0);
  CHECK(bench.engine().stats().open_tables == 0);
  CHECK(bench.engine().stats().open_tables_max == 3);
}

TEST_CASE("point reads of all tables keep to the bound") {
  for (size_t open_max : {1, 2, 7}) {
    Bench bench(open_max);
    for (int i = 0; i < kKeys; i += 7) bench.check_get(i * 37 % kKeys);
    CHECK(bench.files().most_open_readers() == open_max);
    EngineStats stats = bench.engine().stats();
    CHECK(stats.open_tables == open_max);
    CHECK(stats.open_tables_bytes > 0);
    CHECK(stats.table_opens > bench.tables() / 2);
    CHECK(stats.table_open_errors == 0);
  }
}

TEST_CASE("one command's misses in many tables wait for places") {
  Bench bench(2);
  ReadContext context;
  std::vector<std::string> values(kKeys);
  for (bool complete = false; !complete;) {
    complete = true;
    context.begin_run();
    for (int i = 0; i < kKeys; ++i) {
      ReadValue value;
      ReadState state = bench.engine().get(context, key_of(i), &value);
      REQUIRE(state != ReadState::kAbsent);
      complete = complete && state == ReadState::kFound;
      if (state == ReadState::kFound) values[static_cast<size_t>(i)] = value.value;
    }
    REQUIRE(context.error.ok());
    if (complete) break;
    bool fetched = false;
    bench.engine().fetch(context, [&fetched] { fetched = true; });
    while (!fetched) bench.rest();
  }
  for (int i = 0; i < kKeys; ++i) CHECK(values[static_cast<size_t>(i)] == value_of(i));
  CHECK(bench.files().most_open_readers() == 2);
}

TEST_CASE("an iterator goes on while its tables are closed behind it") {
  Bench bench(1);
  ReadContext context;
  context.blocking = true;
  auto it = bench.engine().new_iterator(context, "", "");
  int i = 0;
  for (it->seek_to_first(); it->valid(); it->next(), ++i) {
    CHECK(it->key() == key_of(i));
    CHECK(it->value() == value_of(i));
    if (i % 5 == 0) {
      ReadContext other;
      other.blocking = true;
      ReadValue value;
      REQUIRE(bench.engine().get(other, key_of((i + kKeys / 2) % kKeys), &value) == ReadState::kFound);
    }
  }
  CHECK(it->state() == IterState::kEnd);
  CHECK(i == kKeys);
  CHECK(bench.files().most_open_readers() == 1);
}

TEST_CASE("compactions keep to one file a run, and what is gone is closed") {
  Bench bench(2);
  for (int i = 0; i < kKeys; i += 3) bench.check_get(i);
  bench.files().forget_open();
  bench.finish([&](auto done) { bench.engine().compact_range("", "", done); });
  // What is open for reads; two runs of the job; an output that is checked.
  CHECK(bench.files().most_open_readers() <= 2 + 2 + 1);
  bench.rest();
  EngineStats stats = bench.engine().stats();
  CHECK(stats.compactions + stats.trivial_moves > 0);
  CHECK(bench.files().open_readers() == stats.open_tables);
  for (int i = 0; i < kKeys; i += 3) bench.check_get(i);
}

TEST_CASE("a table that is missing when it is first read is damage, not absence") {
  Bench bench(3);
  std::string path = bench.table_path(5);
  REQUIRE(bench.files().remove(path).ok());
  CHECK(check_all_but(bench, path) > 3);
  bench.rest();
  EngineStats stats = bench.engine().stats();
  CHECK(stats.quarantined_tables == 1);
  CHECK(stats.table_open_errors > 0);
  CHECK_FALSE(stats.fenced);

  ReadContext context;
  context.blocking = true;
  auto it = bench.engine().new_iterator(context, "", "");
  for (it->seek_to_first(); it->valid();) it->next();
  CHECK(it->state() == IterState::kError);
  CHECK(context.error.is_corruption());
}

TEST_CASE("a table whose footer or identity is wrong is found when it is first read") {
  Bench bench(3);
  std::string path = bench.table_path(7);
  SUBCASE("footer") {
    bench.files().flip_bit(path, 8 * bench.files().contents(path).size() - 100);
  }
  SUBCASE("another table") {
    bench.files().put(path, bench.files().contents(bench.table_path(8)));
  }
  CHECK(check_all_but(bench, path) > 3);
  bench.rest();
  CHECK(bench.engine().stats().quarantined_tables == 1);
  // The rest is compacted as ever, and who asked for it hears what was left out.
  Status compacted = bench.result_of([&](auto done) { bench.engine().compact_range("", "", done); });
  CHECK(compacted.is_corruption());
  CHECK_MESSAGE(compacted.message().find(path.substr(path.rfind('/') + 1)) != std::string::npos,
                compacted.to_string());
  CHECK(check_all_but(bench, path) > 3);
}

TEST_CASE("a table that cannot be opened now is an error now, and read later") {
  Bench bench(3);
  bench.files().add_fault({.kind = Fault::Kind::kIoError, .call = Call::kOpenRead, .path = "*.sst"});
  auto failed = bench.get(key_of(100));
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.status().is_io_error());
  CHECK(failed.status().message().find(".sst") != std::string::npos);
  bench.check_get(100);
  CHECK(bench.engine().stats().quarantined_tables == 0);
  CHECK(bench.engine().stats().table_open_errors == 1);
}

TEST_CASE("what is closed is not charged to the block cache any more") {
  Bench bench(1);
  bench.check_get(0);
  bench.rest();
  EngineStats before = bench.engine().stats();
  REQUIRE(before.open_tables == 1);
  size_t charged = before.open_tables_bytes;
  size_t blocks = before.cache_bytes - charged - before.row_bytes;
  bench.files().add_fault({.kind = Fault::Kind::kIoError, .call = Call::kOpenRead, .path = "*.sst"});
  REQUIRE_FALSE(bench.get(key_of(kKeys - 1)).ok());
  bench.rest();
  EngineStats after = bench.engine().stats();
  CHECK(after.open_tables == 0);
  CHECK(after.cache_bytes == blocks + after.row_bytes);
}

TEST_CASE("a walk after the start opens every table once, and finds what is damaged") {
  Bench bench(3);
  std::string path = bench.table_path(7);
  bench.close();
  bench.files().flip_bit(path, 8 * bench.files().contents(path).size() - 100);
  REQUIRE(bench.open().ok());
  CHECK(bench.engine().stats().startup_tables_checked == 0);
  for (int i = 0; i < 1000; ++i) {
    bench.turn();
    bench.rest();
  }
  EngineStats stats = bench.engine().stats();
  CHECK(stats.startup_tables_checked == bench.tables());
  CHECK(stats.quarantined_tables == 1);
  CHECK(stats.open_tables == 0);
  CHECK(bench.files().most_open_readers() == 1);
}

TEST_CASE("a check of a table in quarantine does not hold back a close") {
  Bench bench(3);
  std::string path = bench.table_path(5), bytes = bench.files().contents(path);
  REQUIRE(bench.files().remove(path).ok());
  CHECK(check_all_but(bench, path) > 3);
  bench.rest();
  bench.files().put(path, bytes);
  for (int i = 0; i < 1000; ++i) {  // the walk ends
    bench.turn();
    bench.rest();
  }
  REQUIRE(bench.engine().stats().quarantined_tables == 1);
  bench.clock().advance_us(3600 * 1'000'000ll);
  bench.turn();
  REQUIRE(bench.engine().stats().quarantine_checks == 1);
  uint64_t before = bench.files().calls(Call::kRead);
  bench.close();
  CHECK(bench.files().calls(Call::kRead) <= before + 2);  // footer and properties, no blocks
}

TEST_CASE("a walk does not hold back a close") {
  Bench bench(3);
  bench.turn();
  uint64_t before = bench.files().calls(Call::kOpenRead);
  bench.close();
  CHECK(bench.files().calls(Call::kOpenRead) == before);
}

TEST_CASE("a start is refused when a table is missing, has another size, or is a damaged last one") {
  Bench bench(3);
  bench.close();
  std::string path = bench.table_path(4);
  SUBCASE("missing") {
    REQUIRE(bench.files().remove(path).ok());
  }
  SUBCASE("cut short") {
    bench.files().cut(path, bench.files().contents(path).size() - 1);
  }
  SUBCASE("the last one, damaged") {
    path = bench.table_path(bench.tables() - 1);
    bench.files().flip_bit(path, 8 * bench.files().contents(path).size() - 100);
  }
  Status refused = bench.open();
  CHECK(refused.is_corruption());
  for (const std::string& word :
       {path.substr(path.rfind('/') + 1), std::string("Copy /db first"), std::string("varve-tool check"),
        std::string("restore a backup"), std::string("salvage")}) {
    CHECK_MESSAGE(refused.message().find(word) != std::string::npos, refused.to_string());
  }
  CHECK(refused.message().find("accept-loss") == std::string::npos);  // it would not help
}

TEST_CASE("reads of memory alone open tables while there are places, and then know what they hold") {
  Bench bench(1000, 100);
  auto known = [&] {
    int found = 0;
    for (int i = 0; i < kKeys; ++i) {
      ReadValue value;
      ReadState state = bench.engine().get_in_memory(key_of(i), &value);
      REQUIRE(state != ReadState::kAbsent);
      if (state == ReadState::kFound) ++found;
    }
    return found;
  };
  CHECK(known() == 0);
  bench.rest();
  CHECK(known() == kKeys);
  CHECK(bench.engine().stats().open_tables == bench.tables());

  bench.engine().set_table_cache_files(2);
  CHECK(bench.files().open_readers() == 2);
  CHECK(bench.engine().stats().open_tables_max == 2);
  for (int i = 0; i < kKeys; i += 50) bench.check_get(i);
}
