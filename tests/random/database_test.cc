// Goal: the embedded Database equals a std::map under any mix of operations, options, reopenings. Method:
// real files, real threads, small sizes, so that memtables, levels, segments and the cache all turn over; a
// failure prints its seed.
#include "varve/database.h"

#include <doctest/doctest.h>

#include <map>
#include <string>

#include "base/random.h"
#include "support/script.h"

using namespace varve;
using namespace varve::test;

namespace {

using Model = std::map<std::string, std::string>;

DatabaseOptions draw_options(Random& random) {
  DatabaseOptions o;
  o.memtable_size = 64 * 1024 + random.below(1 << 20);
  o.table_size = 32 * 1024 + random.below(512 * 1024);
  o.base_level_size = 256 * 1024 + random.below(4 << 20);
  o.block_cache_size = random.below(2 << 20);
  o.block_size = 512 + random.below(16 * 1024);
  o.log_segment_size = 4096 * (64 + random.below(512));
  o.log_max_bytes = o.log_segment_size * (4 + random.below(12));
  o.filter_bits_per_key = random.one_in(4) ? 0 : 10;
  o.compress = !random.one_in(3);
  o.compress_last_level_more = random.one_in(2);
  return o;
}

std::string draw_key(Random& random) {
  return "key:" + std::to_string(random.below(3000));
}

void compare_all(Database& db, const Model& model, const DatabaseSnapshot* snapshot = nullptr) {
  auto it = db.scan({}, snapshot);
  auto m = model.begin();
  for (; it->valid() && m != model.end(); it->next(), ++m) {
    REQUIRE(it->key() == m->first);
    REQUIRE(it->value() == m->second);
  }
  REQUIRE(it->status().ok());
  REQUIRE(!it->valid());
  REQUIRE(m == model.end());
  auto r = model.rbegin();
  for (it->seek_to_last(); it->valid() && r != model.rend(); it->prev(), ++r) {
    REQUIRE(it->key() == r->first);
    REQUIRE(it->value() == r->second);
  }
  REQUIRE(!it->valid());
  REQUIRE(r == model.rend());
}

void compare_range(Database& db, const Model& model, Random& random) {
  std::string begin = draw_key(random), end = draw_key(random);
  auto it = db.scan({begin, end});
  std::string at = draw_key(random);
  it->seek(at);
  auto m = model.lower_bound(std::max(at, begin));
  for (int i = 0; i < 5 && it->valid(); ++i, it->next(), ++m)
    REQUIRE((m != model.end() && it->key() == m->first));
  it->seek_before(at);
  m = model.lower_bound(std::min(at, end));
  if (it->valid()) {
    REQUIRE(m != model.begin());
    REQUIRE(it->key() == std::prev(m)->first);
  } else {
    REQUIRE((m == model.begin() || std::prev(m)->first < begin));
  }
}

void run_seed(uint64_t seed, int operations) {
  INFO("VARVE_SEED=" << seed);
  Random random(seed);
  TemporaryDirectory dir;
  Model model;
  for (int life = 0; life < 3; ++life) {
    auto opened = Database::open(dir.path() + "/db", draw_options(random));
    REQUIRE_MESSAGE(opened.ok(), opened.status().to_string());
    Database& db = **opened;
    compare_all(db, model);
    std::unique_ptr<DatabaseSnapshot> snapshot;
    Model seen;
    for (int i = 0; i < operations; ++i) {
      std::string key = draw_key(random);
      Durability durability = random.one_in(100) ? Durability::kSynced : Durability::kBuffered;
      uint64_t what = random.below(1000);
      if (what < 5) {
        std::string end = draw_key(random);
        if (random.one_in(3)) end = key + "5";
        REQUIRE(db.remove_range(key, end, durability).ok());
        if (key < end) model.erase(model.lower_bound(key), model.lower_bound(end));
      } else if (what < 150) {
        REQUIRE(db.remove(key, durability).ok());
        model.erase(key);
      } else if (what < 300) {
        auto got = db.get(key);
        REQUIRE(got.ok());
        auto m = model.find(key);
        REQUIRE(got->has_value() == (m != model.end()));
        if (got->has_value()) REQUIRE(**got == m->second);
      } else if (what < 310) {
        compare_range(db, model, random);
      } else if (what < 312) {
        snapshot = db.snapshot();
        seen = model;
      } else if (what < 314 && snapshot) {
        compare_all(db, seen, snapshot.get());
        snapshot.reset();
      } else if (what < 316) {
        uint64_t how = random.below(3);
        REQUIRE((how == 0 ? db.flush() : how == 1 ? db.settle() : db.compact_range({key, ""})).ok());
      } else {
        std::string value =
            std::to_string(i) + std::string(random.below(random.one_in(50) ? 20'000 : 200), 'v');
        Status status = db.put(key, value, durability);
        REQUIRE_MESSAGE(status.ok(), status.to_string());
        model[key] = value;
      }
    }
    if (snapshot) compare_all(db, seen, snapshot.get());
    snapshot.reset();
    compare_all(db, model);
    if (life == 1) {
      REQUIRE(db.checkpoint(dir.path() + "/copy").ok());
      auto copy = Database::open(dir.path() + "/copy");
      REQUIRE_MESSAGE(copy.ok(), copy.status().to_string());
      compare_all(**copy, model);
    }
    REQUIRE(db.close().ok());
  }
}

}  // namespace

TEST_CASE("database: equals a map, through reopenings") {
  uint64_t first = test_seed(1);
  int seeds = test_seed(0) == 0 ? 4 : 1;
  for (int i = 0; i < seeds; ++i) run_seed(first + static_cast<uint64_t>(i), 6000);
}

TEST_CASE("database: a second opener is told who holds the directory; bad arguments are refused") {
  TemporaryDirectory dir;
  auto db = Database::open(dir.path() + "/db");
  REQUIRE(db.ok());
  auto second = Database::open(dir.path() + "/db");
  CHECK(second.status().code() == StatusCode::kBusy);
  CHECK(second.status().message().find(dir.path()) != std::string::npos);
  CHECK((*db)->put(std::string(kMaxEngineKeySize + 1, 'k'), "v").code() == StatusCode::kInvalidArgument);
  CHECK((*db)->put("k", std::string(kMaxEngineValueSize + 1, 'v')).code() == StatusCode::kInvalidArgument);
  CHECK((*db)->put("k", std::string(kMaxEngineValueSize, 'v')).ok());
  CHECK((*db)->checkpoint(dir.path() + "/db").code() == StatusCode::kInvalidArgument);
  REQUIRE((*db)->close().ok());
  CHECK((*db)->put("k", "v").code() == StatusCode::kAborted);
  DatabaseOptions must_exist;
  must_exist.create_if_missing = false;
  CHECK(Database::open(dir.path() + "/none", must_exist).status().code() == StatusCode::kNotFound);
}
