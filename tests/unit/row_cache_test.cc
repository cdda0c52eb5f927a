// Goal: the row cache never answers what is no longer so, keeps within its room, and keeps what is used.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/random.h"
#include "lsm/row_cache.h"
#include "support/engine_world.h"

namespace varve {
namespace {

void put(RowCache& cache, const std::string& key, std::string_view value) {
  cache.insert(key, hash_key(key), {true, value});
}

// "-" when the cache does not know, "absent" when it knows that there is no such key.
std::string get(RowCache& cache, const std::string& key) {
  RowCache::Row row;
  if (!cache.lookup(key, hash_key(key), &row)) return "-";
  return row.found ? std::string(row.value) : "absent";
}

void erase(RowCache& cache, const std::string& key) {
  cache.erase(key, hash_key(key));
}

std::string key(uint64_t i) {
  return "key:" + std::to_string(i);
}

}  // namespace

TEST_CASE("loading ahead tells which keys have no row, and counts nothing") {
  RowCache cache(1 << 20);
  uint64_t hashes[RowCache::kPrefetched];
  for (size_t i = 0; i < RowCache::kPrefetched; ++i) hashes[i] = hash_key(key(i));
  std::vector<uint64_t> all(hashes, hashes + RowCache::kPrefetched), absent;
  uint64_t unknown[RowCache::kPrefetched];
  CHECK(cache.prefetch(hashes, all.size(), unknown) == all.size());
  CHECK(std::vector<uint64_t>(unknown, unknown + all.size()) == all);
  for (size_t i = 0; i < all.size(); ++i) {
    if (i % 3 == 0)
      put(cache, key(i), "value");
    else
      absent.push_back(all[i]);
  }
  size_t rest = cache.prefetch(hashes, all.size(), hashes);
  CHECK(std::vector<uint64_t>(hashes, hashes + rest) == absent);
  CHECK(cache.hits() + cache.misses() == 0);
}

TEST_CASE("rows are found until they are taken out") {
  RowCache cache(1 << 20);
  CHECK(get(cache, "a") == "-");
  put(cache, "a", "1");
  cache.insert("b", hash_key("b"), {false, {}});
  put(cache, "", "the empty key");
  CHECK(get(cache, "a") == "1");
  CHECK(get(cache, "b") == "absent");
  CHECK(get(cache, "") == "the empty key");
  put(cache, "a", "2");
  CHECK(get(cache, "a") == "2");
  erase(cache, "a");
  erase(cache, "c");
  CHECK(get(cache, "a") == "-");
  CHECK(cache.row_count() == 2);
  CHECK(cache.hits() == 4);
  CHECK(cache.misses() == 2);
}

TEST_CASE("a row has the value that was written last; a write makes none") {
  RowCache cache(1 << 20);
  auto write = [&](const std::string& key, std::string_view value) {
    cache.replace(key, hash_key(key), value);
  };
  put(cache, "a", "1");
  cache.insert("b", hash_key("b"), {false, {}});
  write("a", "second");
  write("b", "is there now");
  write("c", "nobody asked for it");
  CHECK(get(cache, "a") == "second");
  CHECK(get(cache, "b") == "is there now");
  CHECK(get(cache, "c") == "-");
  CHECK(cache.row_count() == 2);
  size_t used = cache.memory_used();
  write("b", "is there too");
  CHECK(cache.memory_used() == used);
  SUBCASE("a long one is no row any more") {
    write("a", std::string(RowCache::kRowMax, 'x'));
    CHECK(get(cache, "a") == "-");
  }
  SUBCASE("a row that a range delete took is there again") {
    cache.erase_range("", "b");
    CHECK(get(cache, "a") == "-");
    put(cache, "a", "3");
    cache.erase_range("", "b");
    write("a", "4");
    CHECK(get(cache, "a") == "4");
  }
}

TEST_CASE("rows that grow keep within the room") {
  RowCache cache(100'000);
  for (uint64_t i = 0; i < 500; ++i) put(cache, key(i), "short");
  const std::string longer(3000, 'x');
  size_t most = 0;
  for (uint64_t i = 0; i < 500; ++i) {
    cache.replace(key(i), hash_key(key(i)), longer);
    most = std::max(most, cache.memory_used());
  }
  CHECK(most < 100'000 + 4000);
  CHECK(most > 50'000);
}

TEST_CASE("a value stays readable until it is released") {
  RowCache cache(1 << 20);
  put(cache, "a", "first");
  RowCache::Row row;
  REQUIRE(cache.lookup("a", hash_key("a"), &row));
  put(cache, "a", "second");
  erase(cache, "a");
  CHECK(row.value == "first");
  cache.release_retired();
}

TEST_CASE("a range takes its rows out, and no row outside of its prefix if it has one") {
  const std::string in = "collect01", other = "collect02";
  RowCache cache(1 << 20);
  auto fill = [&] {
    for (const std::string& k : {in + "a", in + "b", in + "c", other + "a", std::string("short")})
      put(cache, k, k);
  };
  auto known = [&] {
    std::string list;
    for (const std::string& k : {in + "a", in + "b", in + "c", other + "a", std::string("short")}) {
      if (get(cache, k) != "-") list += k + " ";
    }
    return list;
  };
  SUBCASE("within a prefix") {
    fill();
    cache.erase_range(in + "a", in + "c");
    CHECK(known() == "collect02a short ");
  }
  SUBCASE("all that has the prefix") {
    fill();
    cache.erase_range(in, other);
    CHECK(known() == "collect02a short ");
  }
  SUBCASE("all that has the prefix, where the next one carries over") {
    const std::string last = std::string("collect0\xff", 9), next = std::string("collect1\0", 9);
    put(cache, last + "x", "1");
    put(cache, other + "a", "2");
    cache.erase_range(last, next);
    CHECK(get(cache, last + "x") == "-");
    CHECK(get(cache, other + "a") == "2");
  }
  SUBCASE("wider") {
    fill();
    cache.erase_range("collect01", "collect03");
    CHECK(known().empty());
  }
  SUBCASE("what comes later is a row again") {
    fill();
    cache.erase_range(in, other);
    put(cache, in + "b", "new");
    CHECK(get(cache, in + "b") == "new");
  }
}

TEST_CASE("the room is kept, and rows in use stay in it") {
  constexpr size_t kRoom = 256 << 10;
  RowCache cache(kRoom);
  const std::string value(100, 'v');
  for (uint64_t i = 0; i < 50; ++i) put(cache, key(i), value);
  size_t most = 0;
  for (uint64_t i = 50; i < 100'000; ++i) {
    put(cache, key(i), value);
    (void)get(cache, key(i % 50));
    cache.release_retired();
    most = std::max(most, cache.memory_used());
  }
  CHECK(most <= kRoom + RowCache::kRowMax);
  CHECK(cache.memory_used() > kRoom / 2);
  int kept = 0;
  for (uint64_t i = 0; i < 50; ++i) kept += get(cache, key(i)) == value;
  CHECK(kept >= 45);
  cache.set_capacity(kRoom / 8);
  for (int i = 0; i < 1000; ++i) cache.release_retired();
  CHECK(cache.memory_used() <= kRoom / 8);
}

TEST_CASE("what is too long is not kept, and without room nothing is") {
  RowCache cache(1 << 20);
  put(cache, "long", std::string(RowCache::kRowMax, 'v'));
  CHECK(get(cache, "long") == "-");
  RowCache none(0);
  put(none, "a", "1");
  CHECK(get(none, "a") == "-");
  CHECK(none.memory_used() == 0);
}

TEST_CASE("beside a map, random rows, writes and ranges") {
  Random random(11);
  RowCache cache(64 << 10);
  std::map<std::string, std::string> truth;
  auto draw = [&] { return std::string("prefix 0") + char('0' + random.below(3)) + key(random.below(500)); };
  uint64_t known = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string k = draw();
    switch (random.below(10)) {
      case 0:
        truth[k] = std::string(random.below(300), static_cast<char>('a' + random.below(26)));
        erase(cache, k);
        break;
      case 1:
        truth.erase(k);
        erase(cache, k);
        break;
      case 2: {
        if (!random.one_in(100)) break;
        std::string end = draw();
        if (end < k) std::swap(k, end);
        truth.erase(truth.lower_bound(k), truth.lower_bound(end));
        cache.erase_range(k, end);
        break;
      }
      default: {
        auto it = truth.find(k);
        std::string want = it == truth.end() ? "absent" : it->second;
        std::string got = get(cache, k);
        known += got != "-";
        if (got == "-")
          cache.insert(k, hash_key(k), {it != truth.end(), it == truth.end() ? "" : want});
        else
          REQUIRE(got == want);
      }
    }
    if (random.one_in(20)) cache.release_retired();
    if (random.one_in(5000)) cache.set_capacity(random.below(129) << 10);
  }
  CHECK(known > 10'000);
}

// Goal: an absence takes room among the rows only if it was dear to find out.
TEST_CASE("an absence that filters alone tell makes no row") {
  for (bool filters : {true, false}) {
    test::EngineWorld world(1);
    EngineOptions& options = world.options();
    options.random_miss_one_in = 0;
    options.keep_flushed_memtable = false;
    options.filter_bits_per_key = filters ? 10 : 0;
    options.block_cache_size = 8 << 20;
    REQUIRE(world.open().ok());
    WriteBatch batch;
    batch.put("a", "1");
    batch.put("z", "1");
    REQUIRE(world.engine().admit(batch.byte_size()).verdict == Admission::Verdict::kGo);
    world.engine().commit(batch);
    world.engine().end_of_turn();
    bool flushed = false;
    world.engine().flush([&](const Status& status) { flushed = status.ok(); });
    REQUIRE(world.settle());
    REQUIRE(flushed);
    ReadContext context;
    context.blocking = true;
    ReadValue value;
    CHECK(world.engine().get(context, "m", &value) == ReadState::kAbsent);
    CHECK(world.engine().stats().rows == (filters ? 0 : 1));
    CHECK(world.engine().get(context, "a", &value) == ReadState::kFound);
    CHECK(world.engine().stats().rows == (filters ? 1 : 2));
  }
}

}  // namespace varve
