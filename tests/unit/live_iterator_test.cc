// Goal: an iterator shows what a map would hold at its sequence, wherever the records and the range deletes
// over them lie, and does not look at what is deleted in one piece. Method: a real engine in the simulated
// world, with flushes and compactions between the writes; walks in both directions against std::map; counted
// blocks.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/engine_world.h"
#include "support/script.h"

using namespace varve;
using namespace varve::test;

namespace {

// Snapshots, and what they must show.
struct View {
  std::unique_ptr<Snapshot> snapshot;
  Contents contents;
};

class LiveBench {
 public:
  explicit LiveBench(uint64_t seed) : random_(seed), world_(seed) {
    EngineOptions& o = world_.options();
    o.memtable_size = 64 << 20;  // flushes come from flush() alone
    o.max_frozen_memtables = 3;
    o.log_segment_size = 1 << 20;
    o.log_max_bytes = 64 << 20;
    o.table_size = 2048 + random_.below(8192);
    o.base_level_size = 4096 + random_.below(32 * 1024);
    o.level_multiplier = 2 + static_cast<int>(random_.below(3));
    o.level0_trigger = 1 + static_cast<int>(random_.below(4));
    o.level0_slow = 100;
    o.level0_stop = 200;
    o.block_size = 256;
    o.block_cache_size = 1 << 20;
    o.sync = SyncMode::kAlways;
  }

  EngineWorld& world() { return world_; }
  Engine& engine() { return world_.engine(); }
  Random& random() { return random_; }
  Contents& contents() { return contents_; }

  void put(const std::string& key, const std::string& value) {
    batch_.put(key, value);
    contents_[key] = value;
  }
  void remove(const std::string& key) {
    batch_.remove(key);
    contents_.erase(key);
  }
  void remove_range(const std::string& begin, const std::string& end) {
    if (begin >= end) return;
    batch_.remove_range(begin, end);
    contents_.erase(contents_.lower_bound(begin), contents_.lower_bound(end));
  }
  void commit() {
    if (batch_.empty()) return;
    while (engine().admit(batch_.byte_size()).verdict != Admission::Verdict::kGo) REQUIRE(world_.settle());
    engine().commit(batch_);
    batch_.clear();
  }
  // Everything so far into tables; `settle`: and compacted until there is nothing to do.
  void flush(bool settle) {
    commit();
    bool done = false;
    engine().flush([&done](const Status& status) {
      CHECK_MESSAGE(status.ok(), status.to_string());
      done = true;
    });
    while (!done) {
      engine().end_of_turn();
      world_.executor().wait_completions();
    }
    if (settle) REQUIRE(world_.settle());
  }

  std::string key() { return fmt::format("{:03}", random_.below(400)); }

  // A walk of some steps, each compared with the map; a run that misses blocks fetches them and starts again,
  // as a command does.
  void walk(const Contents& all, const Snapshot* snapshot, bool blocking) {
    std::string begin = random_.one_in(2) ? "" : key(), end = random_.one_in(2) ? "" : key();
    if (!end.empty() && end < begin) std::swap(begin, end);
    Contents in(all.lower_bound(begin), end.empty() ? all.end() : all.lower_bound(end));
    const Random at_start = random_;
    ReadContext context;
    context.blocking = blocking;
    for (int run = 0;; ++run) {
      REQUIRE(run < 1000);
      random_ = at_start;
      context.begin_run();
      auto it = engine().new_iterator(context, begin, end, snapshot);
      if (walk_once(*it, in)) return;
      it.reset();
      REQUIRE(!context.misses.empty());
      bool fetched = false;
      engine().fetch(context, [&fetched] { fetched = true; });
      while (!fetched) world_.executor().wait_completions();
    }
  }

 private:
  // False: blocks are missing.
  bool walk_once(LiveIterator& it, const Contents& in) {
    auto expected = in.end();
    std::string steps;
    for (int i = 0; i < 30; ++i) {
      uint64_t what = it.valid() ? random_.below(12) : random_.below(4);
      std::string to = key();
      if (what == 0) {
        it.seek(to);
        expected = in.lower_bound(to);
        steps += " seek " + to;
      } else if (what == 1) {
        it.seek_before(to);
        expected = in.lower_bound(to);
        expected = expected == in.begin() ? in.end() : std::prev(expected);
        steps += " before " + to;
      } else if (what == 2) {
        it.seek_to_first();
        expected = in.begin();
        steps += " first";
      } else if (what == 3) {
        it.seek_to_last();
        expected = in.empty() ? in.end() : std::prev(in.end());
        steps += " last";
      } else if (what < 8) {
        it.next();
        ++expected;
        steps += " next";
      } else {
        it.prev();
        expected = expected == in.begin() ? in.end() : std::prev(expected);
        steps += " prev";
      }
      if (it.state() == IterState::kMiss) return false;
      INFO(steps);
      REQUIRE(it.state() == (expected == in.end() ? IterState::kEnd : IterState::kValid));
      if (expected == in.end()) continue;
      REQUIRE(it.key() == expected->first);
      REQUIRE(it.value() == expected->second);
    }
    return true;
  }

  Random random_;
  EngineWorld world_;
  WriteBatch batch_;
  Contents contents_;
};

void run_seed(uint64_t seed) {
  INFO("VARVE_SEED=" << seed);
  LiveBench bench(seed);
  Random& random = bench.random();
  bool blocking = random.one_in(2);
  bench.world().options().random_miss_one_in = blocking || random.one_in(2) ? 0 : 10;
  REQUIRE(bench.world().open().ok());
  std::vector<View> views;
  for (int round = 0; round < 40; ++round) {
    for (uint64_t n = random.below(60); n > 0; --n) {
      std::string key = bench.key();
      uint64_t what = random.below(20);
      if (what == 0) {
        std::string end = bench.key();
        bench.remove_range(std::min(key, end), std::max(key, end));
      } else if (what < 3) {
        bench.remove_range(key, key + std::string(1 + random.below(2), '~'));
      } else if (what < 6) {
        bench.remove(key);
      } else {
        bench.put(key, fmt::format("{}.{}", round, n) + std::string(random.below(40), 'v'));
      }
      if (random.one_in(5)) bench.commit();
    }
    bench.commit();
    if (random.one_in(6)) views.push_back({bench.engine().snapshot(), bench.contents()});
    if (random.one_in(6) && !views.empty())
      views.erase(views.begin() + static_cast<ptrdiff_t>(random.below(views.size())));
    if (random.one_in(2)) bench.flush(random.one_in(2));
    for (int i = 0; i < 4; ++i) bench.walk(bench.contents(), nullptr, blocking);
    for (const View& view : views) bench.walk(view.contents, view.snapshot.get(), blocking);
  }
  views.clear();
  CHECK(bench.world().settle());
  CHECK(bench.world().close().ok());
}

uint64_t blocks_touched(LiveBench& bench, const std::function<void(LiveIterator&)>& use) {
  ReadContext context;
  context.blocking = true;
  uint64_t before = bench.engine().stats().get_blocks_touched;
  auto it = bench.engine().new_iterator(context, "", "");
  use(*it);
  return bench.engine().stats().get_blocks_touched - before;
}

}  // namespace

TEST_CASE("live iterator: walks agree with a map, over all levels and snapshots") {
  uint64_t first = test_seed(1);
  uint64_t seeds = test_seed(0) == 0 ? 25 : 1;
  for (uint64_t seed = first; seed < first + seeds; ++seed) run_seed(seed);
}

TEST_CASE("live iterator: of a range deleted as a whole no block is touched") {
  // The tombstone in the active memtable, in a frozen one's place, in a table above.
  for (bool flushed : {false, true}) {
    INFO("flushed " << flushed);
    LiveBench bench(7);
    bench.world().options().level0_trigger = 50;  // what is flushed stays where it is
    bench.world().options().table_size = 1 << 20;
    REQUIRE(bench.world().open().ok());
    for (int i = 0; i < 5000; ++i) bench.put(fmt::format("k{:05}", i), std::string(50, 'v'));
    bench.flush(true);
    uint64_t whole = blocks_touched(bench, [](LiveIterator& it) {
      int n = 0;
      for (it.seek_to_first(); it.valid(); it.next()) ++n;
      CHECK(n == 5000);
    });
    CHECK(whole > 1000);
    // Two neighbours, deleted at different times; between live ends.
    bench.remove_range("k00010", "k02000");
    bench.remove_range("k02000", "k04990");
    bench.put("k03000", "back");
    bench.commit();
    if (flushed) bench.flush(true);
    for (bool backward : {false, true}) {
      INFO("backward " << backward);
      uint64_t touched = blocks_touched(bench, [backward](LiveIterator& it) {
        int n = 0;
        if (backward) {
          for (it.seek_to_last(); it.valid(); it.prev()) ++n;
        } else {
          for (it.seek_to_first(); it.valid(); it.next()) ++n;
        }
        CHECK(it.state() == IterState::kEnd);
        CHECK(n == 21);
      });
      MESSAGE("touched " << touched << " of " << whole);
      CHECK(touched < 30);
      // A seek into the middle of the deleted range.
      touched = blocks_touched(bench, [backward](LiveIterator& it) {
        backward ? it.seek_before("k02500") : it.seek("k03500");
        REQUIRE(it.valid());
        CHECK(it.key() == (backward ? "k00009" : "k04990"));
      });
      CHECK(touched < 15);
    }
    CHECK(bench.world().close().ok());
  }
}

TEST_CASE("live iterator: ranges deleted one beside the other are passed without a look between them") {
  LiveBench bench(8);
  bench.world().options().level0_trigger = 50;
  bench.world().options().table_size = 1 << 20;
  REQUIRE(bench.world().open().ok());
  for (int i = 0; i < 5000; ++i) bench.put(fmt::format("k{:05}", i), std::string(50, 'v'));
  bench.flush(true);
  for (int i = 0; i < 4990; i += 10) {
    bench.remove_range(fmt::format("k{:05}", i), fmt::format("k{:05}", i + 10));
    bench.commit();
  }
  uint64_t touched = blocks_touched(bench, [](LiveIterator& it) {
    it.seek_to_first();
    REQUIRE(it.valid());
    CHECK(it.key() == "k04990");
  });
  MESSAGE("touched " << touched);
  CHECK(touched < 60);
  CHECK(bench.world().close().ok());
}

TEST_CASE("live iterator: what is deleted beyond its bounds is not walked") {
  LiveBench bench(9);
  REQUIRE(bench.world().open().ok());
  for (const char* key : {"a1", "a2", "m", "z1", "z2"}) bench.put(key, "v");
  bench.commit();
  Sequence before = bench.engine().last_sequence();
  bench.remove_range("a", "b");
  bench.remove_range("z", "zz");
  bench.commit();
  for (bool backward : {false, true}) {
    INFO("backward " << backward);
    ReadContext read;
    auto it = bench.engine().new_iterator(read, "m", "n");
    backward ? it->seek_to_last() : it->seek_to_first();
    REQUIRE(it->valid());
    backward ? it->prev() : it->next();
    CHECK(it->state() == IterState::kEnd);
    CHECK(read.seen <= before);  // no tombstone was met
  }
  CHECK(bench.world().close().ok());
}
