// Goal: loading ahead is a hint. Whatever the keys and the shape of the tables, it reads nothing from disk,
// counts nothing, and changes no answer.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "base/checksum.h"
#include "support/engine_world.h"

namespace varve {
namespace {

struct Fixture {
  test::EngineWorld world{1};

  Fixture() {
    EngineOptions& options = world.options();
    options.random_miss_one_in = 0;
    options.keep_flushed_memtable = false;
    options.memtable_size = 1 << 20;
    options.block_cache_size = 16 << 20;
    options.sync = SyncMode::kAlways;
    REQUIRE(world.open().ok());
  }
  Engine& engine() { return world.engine(); }
  // Every `step`th key from `first`, into a table of its own.
  void write(int first, int step, size_t value_size) {
    for (int i = first; i < kKeys; i += step) {
      WriteBatch batch;
      batch.put(key(i), std::string(value_size, 'v') + key(i));
      REQUIRE(engine().admit(batch.byte_size()).verdict == Admission::Verdict::kGo);
      engine().commit(batch);
      engine().end_of_turn();
      if (i % 50 == 0) REQUIRE(world.settle());
    }
    bool flushed = false;
    engine().flush([&](const Status& status) { flushed = status.ok(); });
    REQUIRE(world.settle());
    REQUIRE(flushed);
  }
  // Through a snapshot: blocks come into the cache, but no rows, which would end the way.
  std::string get(const std::string& key) {
    ReadContext context;
    context.blocking = true;
    ReadValue value;
    auto now = engine().snapshot();
    ReadState state = engine().get(context, key, &value, now.get());
    return state == ReadState::kFound ? std::string(value.value) : "-";
  }
  // All keys and as many that are absent, sixteen at once, not in order.
  void prefetch_all() {
    std::string made[Engine::kPrefetched];
    std::string_view keys[Engine::kPrefetched];
    uint64_t hashes[Engine::kPrefetched];
    for (int from = 0; from < 2 * kKeys; from += static_cast<int>(Engine::kPrefetched)) {
      for (size_t i = 0; i < Engine::kPrefetched; ++i) {
        made[i] = key((from + static_cast<int>(i)) * 7919 % (2 * kKeys));
        keys[i] = made[i];
        hashes[i] = hash_key(made[i]);
      }
      engine().prefetch(keys, hashes, Engine::kPrefetched);
    }
    engine().prefetch(keys, hashes, 0);
  }
  // What loading ahead must leave alone.
  std::vector<uint64_t> counts() {
    EngineStats s = engine().stats();
    return {s.cache_hits,         s.cache_misses,       s.cache_bytes,   s.row_hits,    s.row_misses,  s.gets,
            s.get_tables_touched, s.get_blocks_touched, s.filter_useful, s.block_reads, s.nowait_reads};
  }
  void check_hint() {
    std::vector<uint64_t> before = counts();
    prefetch_all();
    CHECK(counts() == before);
  }
  static std::string key(int i) { return fmt::format("key:{:06}", i * 3); }
  static constexpr int kKeys = 800;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "keys in tables are loaded ahead without a trace") {
  check_hint();  // no table at all
  for (size_t value_size : {10, 300}) {
    write(0, 1, value_size);
    write(1, 3, value_size + 1);  // hides a third of it
    check_hint();                 // no block of these in the cache
    for (int pass = 0; pass < 2; ++pass) {
      for (int i = 0; i < kKeys; ++i) {
        size_t size = value_size + (i % 3 == 1 ? 1 : 0);
        REQUIRE(get(key(i)) == std::string(size, 'v') + key(i));
        REQUIRE(get(key(kKeys + i)) == "-");
      }
      check_hint();  // all of them
    }
  }
}

}  // namespace varve
