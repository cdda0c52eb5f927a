// Goal: the active expiry goes on whatever it meets: slices without number that had to fetch blocks, and
// records that cannot be read. Method: a real engine in memory, without a page cache, so that every table's
// blocks must be fetched.
#include "keyspace/expiry.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "support/crash_fs.h"
#include "support/manual_clock.h"
#include "support/sim_executor.h"

namespace varve {
namespace {

struct Fixture {
  test::CrashFs files{{.nowait_percent = 0}};
  test::SimExecutor executor{1};
  test::ManualClock clock;
  KeyspaceInspector inspector;
  std::unique_ptr<Engine> engine;
  Keyspace keyspace;
  Transaction tx{keyspace};
  ExpiryCycle expiry{keyspace};

  Fixture() {
    REQUIRE(files.create_dir("/data").ok());
    EngineOptions options;
    options.fs = &files;
    options.executor = &executor;
    options.clock = &clock;
    options.dir = "/data";
    options.application = kEntryFormatName;
    options.inspector = &inspector;
    options.log_segment_size = 1 << 20;
    options.block_cache_size = 1 << 20;
    auto opened = Engine::open_blocking(options);
    REQUIRE(opened.ok());
    engine = opened.take();
    REQUIRE(keyspace.attach(engine.get()).ok());
    turn();
  }
  ~Fixture() {
    expiry.stop();
    finish([&](auto done) { engine->close(std::move(done)); });
    keyspace.detach();
  }

  void turn() {
    engine->end_of_turn();
    engine->tick();
    if (executor.pending() > 0) executor.wait_completions();
  }
  // False when the engine does not come to an end with it. No time passes: a hold does not run out.
  template <class Start>
  bool finish(Start start) {
    auto result = std::make_shared<std::optional<Status>>();
    start([result](Status status) { *result = std::move(status); });
    for (int i = 0; i < 1000 && !*result; ++i) turn();
    return result->has_value() && (*result)->ok();
  }
  int64_t now_ms() { return clock.now_us() / 1000; }
  void put(std::string_view key, int64_t expire_ms) {
    REQUIRE(engine->admit(1000).verdict == Admission::Verdict::kGo);
    ReadContext read;
    read.blocking = true;
    tx.begin(&read, now_ms());
    Entry old;
    tx.find(0, key, &old);
    Record record;
    record.expire_ms = expire_ms;
    tx.put_string(0, key, old, "value", record);
    tx.commit();
    tx.end();
  }
  bool stored(std::string_view key) {
    EngineKey engine_key;
    make_metadata_key(0, key, &engine_key);
    ReadContext read;
    read.blocking = true;
    ReadValue value;
    return engine->get(read, engine_key.view(), &value) == ReadState::kFound;
  }
  void expire_all() {
    for (int i = 0; i < 50; ++i) {
      expiry.run_slice(now_ms(), 100);
      turn();
    }
  }
};

TEST_CASE("expiry: slices that had to fetch do not add up to a hold of the engine") {
  Fixture f;
  for (int i = 0; i < 20; ++i) {
    f.put("key" + std::to_string(i), f.now_ms() + 10);
    REQUIRE(f.finish([&](auto done) { f.engine->flush(std::move(done)); }));
    f.clock.advance_us(20'000);
    f.expire_all();
  }
  CHECK(f.expiry.expired_keys() == 20);
  CHECK(f.engine->stats().block_reads >= 10);  // else this test shows nothing
  CHECK(f.finish([&](auto done) { f.engine->compact_range("", "", std::move(done)); }));
}

TEST_CASE("expiry: the next slice comes soon while blocks are fetched, and at once when there is more") {
  using Next = ExpiryCycle::Next;
  Fixture f;
  for (const char* key : {"a", "b", "c", "d"}) f.put(key, f.now_ms() + 10);
  f.clock.advance_us(20'000);
  CHECK(f.expiry.run_slice(f.now_ms(), 1) == Next::kAtOnce);
  CHECK(f.expiry.run_slice(f.now_ms(), 1) == Next::kAtOnce);
  REQUIRE(f.finish([&](auto done) { f.engine->flush(std::move(done)); }));
  CHECK(f.expiry.run_slice(f.now_ms(), 10) == Next::kSoon);
  CHECK(f.expiry.run_slice(f.now_ms(), 10) == Next::kSoon);
  CHECK(f.expiry.expired_keys() == 2);
  f.expire_all();
  CHECK(f.expiry.expired_keys() == 4);
  CHECK(f.expiry.run_slice(f.now_ms(), 10) == Next::kLater);
}

TEST_CASE("expiry: a record that cannot be understood is stepped over") {
  Fixture f;
  f.put("a", f.now_ms() + 10);
  f.put("b", f.now_ms() + 11);
  f.put("c", f.now_ms() + 12);
  EngineKey damaged;
  make_metadata_key(0, "b", &damaged);
  WriteBatch batch;
  batch.put(damaged.view(), "\xff\xff\xff");
  REQUIRE(f.engine->admit(100).verdict == Admission::Verdict::kGo);
  f.engine->commit(batch);
  f.clock.advance_us(20'000);
  f.expire_all();
  CHECK_FALSE(f.stored("a"));
  CHECK(f.stored("b"));
  CHECK_FALSE(f.stored("c"));
  CHECK(f.expiry.expired_keys() == 2);
}

}  // namespace
}  // namespace varve
