#include "lsm/memtable.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/random.h"

namespace varve {
namespace {

std::string describe(const RecordIterator& it) {
  std::string blind = it.tag().blind() ? "blind " : "";
  std::string what = it.tag().kind() == Kind::kPut ? fmt::format("put {}", it.value()) : "delete";
  return fmt::format("{}#{} {}{}", it.key(), it.tag().sequence(), blind, what);
}

// "a#3 put x; b#1 delete"
std::string contents(const MemTable& table) {
  std::string out;
  auto it = table.new_iterator();
  for (it->seek_to_first(); it->valid(); it->next()) out += (out.empty() ? "" : "; ") + describe(*it);
  return out;
}

std::string find(const MemTable& table, std::string_view key, Sequence at = kMaxSequence) {
  MemTable::Hit hit;
  if (!table.find(key, at, &hit)) return "none";
  return hit.tag.kind() == Kind::kPut ? std::string(hit.value) : "delete";
}

TEST_CASE("a write replaces the record before it") {
  MemTable table;
  table.add(1, Kind::kPut, false, "b", "one", 0);
  table.add(2, Kind::kPut, false, "a", "two", 0);
  table.add(3, Kind::kPut, false, "b", "a longer value than before", 0);
  CHECK(contents(table) == "a#2 put two; b#3 put a longer value than before");
  table.add(4, Kind::kDelete, false, "b", "", 0);
  CHECK(contents(table) == "a#2 put two; b#4 delete");
  table.add(5, Kind::kPut, false, "b", "back", 0);
  CHECK(contents(table) == "a#2 put two; b#5 put back");
  CHECK(table.entry_count() == 2);
  CHECK(table.first_sequence() == 1);
  CHECK(table.last_sequence() == 5);
}

TEST_CASE("a version that a snapshot sees stays") {
  MemTable table;
  table.add(1, Kind::kPut, false, "a", "one", 0);
  table.add(3, Kind::kPut, false, "a", "three", 2);  // a snapshot reads at 2
  table.add(4, Kind::kPut, false, "a", "four", 2);   // nobody can see #3
  table.add(6, Kind::kDelete, false, "a", "", 5);    // another reads at 5
  CHECK(contents(table) == "a#6 delete; a#4 put four; a#1 put one");
  CHECK(find(table, "a") == "delete");
  CHECK(find(table, "a", 5) == "four");
  CHECK(find(table, "a", 2) == "one");
  CHECK(find(table, "a", 0) == "none");
  CHECK(table.entry_count() == 3);
}

TEST_CASE("a blind mark is handed on until it is settled") {
  MemTable table;
  table.add(1, Kind::kPut, true, "a", "one", 0);
  table.add(2, Kind::kPut, false, "a", "two", 0);
  CHECK(contents(table) == "a#2 blind put two");
  table.add(3, Kind::kDelete, false, "a", "", 0);
  CHECK(contents(table) == "a#3 blind delete");
}

TEST_CASE("a record whose death the flush has to settle is not replaced") {
  MemTable table;
  SUBCASE("the new one is blind") {
    table.add(1, Kind::kPut, false, "a", "one", 0);
    table.add(2, Kind::kPut, true, "a", "two", 0);
    CHECK(contents(table) == "a#2 blind put two; a#1 put one");
  }
  SUBCASE("a range delete came between") {
    table.add(1, Kind::kPut, false, "a", "one", 0);
    table.add(2, Kind::kPut, false, "x", "two", 0);
    table.add_range_delete(3, "a", "c");
    table.add(4, Kind::kPut, false, "a", "four", 0);
    table.add(5, Kind::kPut, false, "a", "five", 0);
    table.add(6, Kind::kPut, false, "x", "six", 0);
    CHECK(contents(table) == "a#5 put five; a#1 put one; x#6 put six");
  }
}

TEST_CASE("bytes of the newest value can be overwritten, unless someone needs it as it was") {
  MemTable table;
  auto amend = [&](std::string_view key, Sequence sequence, size_t offset, std::string_view bytes,
                   Sequence newest_snapshot = 0) {
    return table.amend(key, hash_key(key), sequence, offset, bytes, newest_snapshot);
  };
  table.add(1, Kind::kPut, false, "a", "12345678", 0);
  CHECK(amend("a", 1, 0, "X"));
  CHECK(amend("a", 1, 6, "YZ"));
  CHECK_FALSE(amend("a", 1, 7, "YZ"));  // it would grow
  CHECK_FALSE(amend("a", 1, 9, ""));
  CHECK_FALSE(amend("b", 1, 0, "X"));
  CHECK(contents(table) == "a#1 put X23456YZ");
  CHECK_FALSE(amend("a", 1, 0, "-", 1));  // a snapshot reads at 1
  table.add(2, Kind::kPut, false, "a", "a value of another length", 1);
  CHECK_FALSE(amend("a", 1, 0, "-", 1));
  CHECK(amend("a", 2, 0, "A", 1));
  CHECK(contents(table) == "a#2 put A value of another length; a#1 put X23456YZ");
  table.add_range_delete(3, "a", "b");
  CHECK_FALSE(amend("a", 2, 0, "-", 1));
  table.add(4, Kind::kDelete, false, "a", "", 0);
  CHECK_FALSE(amend("a", 4, 0, ""));
}

TEST_CASE("range deletes and counters stand beside the records") {
  MemTable table;
  CHECK(table.empty());
  table.add_range_delete(1, "a", "c");
  table.add_count(7, 2);
  table.add_count(7, -3);
  CHECK(!table.empty());
  CHECK(table.entry_count() == 0);
  CHECK(table.range_tombstones().debug_string() == "[a,c) 1");
  CHECK(table.counters().at(7) == -1);
  CHECK(table.last_sequence() == 1);
}

TEST_CASE("the iterator goes both ways and turns anywhere") {
  MemTable table;
  table.add(1, Kind::kPut, false, "b", "1", 0);
  table.add(2, Kind::kPut, false, "d", "2", 0);
  table.add(3, Kind::kPut, false, "b", "3", 2);
  auto it = table.new_iterator();
  it->seek("c");
  CHECK(describe(*it) == "d#2 put 2");
  it->prev();
  CHECK(describe(*it) == "b#1 put 1");
  it->prev();
  CHECK(describe(*it) == "b#3 put 3");
  it->next();
  CHECK(describe(*it) == "b#1 put 1");
  it->seek_before("d");
  CHECK(describe(*it) == "b#1 put 1");
  it->seek_before("zz");
  CHECK(describe(*it) == "d#2 put 2");
  it->next();
  CHECK(!it->valid());
  it->seek_before("b");
  CHECK(!it->valid());
  it->seek("e");
  CHECK(!it->valid());
  it->seek_to_last();
  CHECK(describe(*it) == "d#2 put 2");
}

// Keys that come beside the one before, at both ends of several runs, and keys from anywhere; some records
// are still waiting for their place when someone looks.
TEST_CASE("the order is that of the keys, in whatever order they come") {
  Random random(7);
  for (uint64_t looks_one_in : {uint64_t{1} << 40, uint64_t{1000}, uint64_t{3}}) {
    MemTable table;
    std::set<std::string> keys;
    Sequence sequence = 0;
    auto look = [&] {
      std::vector<std::string> there;
      auto it = table.new_iterator();
      for (it->seek_to_first(); it->valid(); it->next()) there.emplace_back(it->key());
      REQUIRE(std::equal(there.begin(), there.end(), keys.begin(), keys.end()));
    };
    uint64_t head[4] = {1 << 20, 1 << 20, 1 << 20, 1 << 20}, tail[4] = {1 << 20, 1 << 20, 1 << 20, 1 << 20};
    for (int round = 0; round < 300; ++round) {
      uint64_t what = random.below(12), run = random.below(4);
      for (uint64_t i = random.below(100); i > 0; --i) {
        std::string key;
        if (what < 8)
          key = fmt::format("run{}{:08}", run, what < 4 ? --head[run] : tail[run]++);
        else if (what < 10)
          key = fmt::format("a long way that all keys from anywhere share {}", random.next());
        else
          key = std::string(random.below(20), static_cast<char>(random.below(3)));
        table.add(++sequence, Kind::kPut, false, key, "v", 0);
        keys.insert(key);
        if (keys.size() < 500 && random.one_in(looks_one_in)) look();
      }
      if (random.one_in(looks_one_in)) look();
    }
    table.freeze();
    CHECK(table.entry_count() == keys.size());
    look();
  }
}

TEST_CASE("keys in order take the same room upward, downward, and in the middle of others") {
  auto memory = [](int step, bool amid_others) {
    MemTable table;
    Sequence sequence = 0;
    auto add = [&](const std::string& key) { table.add(++sequence, Kind::kPut, false, key, "v", 0); };
    for (int i = 0; amid_others && i < 40; ++i) add(fmt::format("{}{:08}", i % 2 == 0 ? "a" : "z", i));
    for (int i = 0, at = 200'000; i < 200'000; ++i, at += step) add(fmt::format("run{:08}", at));
    return table.memory_used();
  };
  size_t most = memory(1, false) / 20 * 21;
  CHECK(memory(-1, false) <= most);
  CHECK(memory(1, true) <= most);
  CHECK(memory(-1, true) <= most);
}

TEST_CASE("an empty memtable has no records") {
  MemTable table;
  auto it = table.new_iterator();
  it->seek_to_first();
  CHECK(!it->valid());
  it->seek_to_last();
  CHECK(!it->valid());
  it->seek("a");
  CHECK(!it->valid());
  it->seek_before("a");
  CHECK(!it->valid());
  CHECK(find(table, "a") == "none");
}

TEST_CASE("keys: empty, with zeros, as long as allowed") {
  MemTable table;
  std::string longest(kMaxEngineKeySize, 'k');
  table.add(1, Kind::kPut, false, longest, "long", 0);
  table.add(2, Kind::kPut, false, "", "empty", 0);
  table.add(3, Kind::kPut, false, std::string_view("\0", 1), "zero", 0);
  table.add(4, Kind::kPut, false, std::string_view("\0\0", 2), "zeros", 0);
  CHECK(find(table, "") == "empty");
  CHECK(find(table, std::string_view("\0", 1)) == "zero");
  CHECK(find(table, longest) == "long");
  auto it = table.new_iterator();
  std::string order;
  for (it->seek_to_first(); it->valid(); it->next()) order += std::string(it->value()) + " ";
  CHECK(order == "empty zero zeros long ");
}

TEST_CASE("memory: overwriting in place is free, everything else counts") {
  MemTable table;
  table.add(1, Kind::kPut, false, "counter", "10000", 0);
  size_t before = table.memory_used();
  for (Sequence s = 2; s < 10000; ++s)
    table.add(s, Kind::kPut, false, "counter", std::to_string(10000 + s), 0);
  CHECK(table.memory_used() == before);
  table.add(10000, Kind::kPut, false, "big", std::string(1 << 20, 'v'), 0);
  CHECK(table.memory_used() >= before + (1 << 20));
}

// APPEND to one value: what the outgrown copies waste stays in proportion to the value.
TEST_CASE("memory: a growing value wastes little") {
  MemTable table;
  std::string value;
  for (Sequence s = 1; s <= 20000; ++s) table.add(s, Kind::kPut, false, "log", value += "x", 0);
  CHECK(find(table, "log") == value);
  CHECK(table.memory_used() < 20 * value.size());
}

// The hash has no secret. Keys that collide in all 64 bits must cost time at most.
TEST_CASE("loading ahead tells which keys are not here, whatever the order and in place of the hashes") {
  MemTable table;
  Sequence sequence = 0;
  for (int i = 0; i < 2000; i += 2) table.add(++sequence, Kind::kPut, false, fmt::format("k{}", i), "v", 0);
  for (int from : {0, 1, 16, 1984}) {
    uint64_t hashes[MemTable::kPrefetched];
    std::vector<uint64_t> absent;
    for (size_t j = 0; j < MemTable::kPrefetched; ++j) {
      int key = from + static_cast<int>(j);
      hashes[j] = hash_key(fmt::format("k{}", key));
      if (key % 2 != 0) absent.push_back(hashes[j]);
    }
    size_t unknown = table.prefetch(hashes, MemTable::kPrefetched, hashes);
    CHECK(std::vector<uint64_t>(hashes, hashes + unknown) == absent);
  }
  uint64_t none = 0;
  CHECK(table.prefetch(&none, 0, &none) == 0);
}

TEST_CASE("keys made to collide are all found") {
  MemTable table;
  const uint64_t hash = 0x123456789abcdef0;
  for (int i = 0; i < 2000; ++i) {
    std::string key = fmt::format("key{}", i);
    table.add(static_cast<Sequence>(i) + 1, Kind::kPut, false, key, key, 0, hash);
  }
  MemTable::Hit hit;
  for (int i = 0; i < 2000; ++i) {
    std::string key = fmt::format("key{}", i);
    REQUIRE(table.find(key, hash, kMaxSequence, &hit));
    REQUIRE(hit.value == key);
  }
  CHECK(!table.find("absent", hash, kMaxSequence, &hit));
  CHECK(table.entry_count() == 2000);
  table.add(2001, Kind::kPut, false, "key1999", "new", 0, hash);
  CHECK(table.entry_count() == 2000);
  CHECK(table.memory_used() < 1 << 20);
}

}  // namespace
}  // namespace varve
