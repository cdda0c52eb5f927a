// The memtable that was flushed last answers point reads as the tables would.
#include <doctest/doctest.h>

#include "support/engine_world.h"

namespace varve {
namespace {

struct Fixture {
  test::EngineWorld world{1};

  explicit Fixture(int max_frozen_memtables = 2) {
    EngineOptions& options = world.options();
    options.random_miss_one_in = 0;
    options.keep_flushed_memtable = true;
    options.memtable_size = 32 << 10;
    options.max_frozen_memtables = max_frozen_memtables;
    options.sync = SyncMode::kAlways;
    REQUIRE(world.open().ok());
  }
  Engine& engine() { return world.engine(); }
  void commit(const WriteBatch& batch) {
    REQUIRE(engine().admit(batch.byte_size()).verdict == Admission::Verdict::kGo);
    engine().commit(batch);
    engine().end_of_turn();
  }
  void put(std::string_view key, std::string_view value) {
    WriteBatch batch;
    batch.put(key, value);
    commit(batch);
  }
  void flush() {
    bool flushed = false;
    engine().flush([&](const Status& status) { flushed = status.ok(); });
    REQUIRE(world.settle());
    REQUIRE(flushed);
  }
  std::string get(std::string_view key, const Snapshot* snapshot = nullptr) {
    ReadContext context;
    context.blocking = true;
    ReadValue value;
    ReadState state = engine().get(context, key, &value, snapshot);
    return state == ReadState::kFound ? std::string(value.value) : "-";
  }
  // How many tables reading a key asks.
  uint64_t tables_asked(std::string_view key) {
    uint64_t before = engine().stats().get_tables_touched;
    get(key);
    return engine().stats().get_tables_touched - before;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "what was flushed last is found without asking a table") {
  put("a", "1");
  put("b", "1");
  flush();
  CHECK(engine().stats().tables > 0);
  CHECK(engine().stats().frozen_memtables == 0);
  CHECK(get("a") == "1");
  CHECK(tables_asked("a") == 0);
  put("a", "2");
  CHECK(get("a") == "2");
  flush();  // now "b" is in a table only
  CHECK(get("a") == "2");
  CHECK(tables_asked("a") == 0);
  CHECK(get("b") == "1");
}

TEST_CASE_FIXTURE(Fixture, "its deletes and range deletes hide what is in older tables") {
  for (const char* key : {"a", "b", "c"}) put(key, "old");
  flush();
  auto before = engine().snapshot();
  WriteBatch batch;
  batch.remove("a");
  batch.remove_range("b", "c");
  commit(batch);
  flush();
  CHECK(get("a") == "-");
  CHECK(get("b") == "-");
  CHECK(get("c") == "old");
  CHECK(tables_asked("a") == 0);
  CHECK(tables_asked("b") == 0);
  for (const char* key : {"a", "b", "c"}) CHECK(get(key, before.get()) == "old");
  put("b", "new");
  CHECK(get("b") == "new");
}

// Goal: no more memtables than the memory plan counts with.
TEST_CASE("it goes when as many memtables as may be wait to be flushed") {
  Fixture f(1);
  f.put("first", "1");
  f.flush();
  CHECK(f.tables_asked("first") == 0);
  std::string large(20'000, 'x');
  for (int i = 0; f.engine().stats().frozen_memtables < 1; ++i) f.put("k" + std::to_string(i), large);
  CHECK(f.tables_asked("first") == 1);
  REQUIRE(f.world.settle());
  CHECK(f.engine().stats().frozen_memtables == 0);
  CHECK(f.tables_asked("k0") == 0);
  CHECK(f.get("first") == "1");
}

}  // namespace varve
