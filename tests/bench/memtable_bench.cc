// What the memtable's operations cost, in nanoseconds each. Usage: memtable_bench [--tiny] [entries]
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "base/random.h"
#include "lsm/memtable.h"

namespace varve {
namespace {

// Key shapes: A is redis-benchmark's, B an element's (long shared prefix, then a hash and a name), C lets the
// 8-byte numbers of the tree tie (what differs lies on both sides of shared bytes).
enum class Shape { kShort, kElement, kTied };
constexpr Shape kShapes[] = {Shape::kShort, Shape::kElement, Shape::kTied};

const char* shape_name(Shape shape) {
  switch (shape) {
    case Shape::kShort:
      return "key:000000000123";
    case Shape::kElement:
      return "collection, hash, field";
    case Shape::kTied:
      return "user:123:profile:name:4";
  }
  return "";
}

std::string make_key(Shape shape, uint64_t n) {
  switch (shape) {
    case Shape::kShort:
      return fmt::format("key:{:016}", n);
    case Shape::kElement:
      return fmt::format("e\x01{:016}{:08x}field:{:010}", n / 1000, n * 2654435761 % 4294967296, n);
    case Shape::kTied:
      return fmt::format("user:{}:profile:name:{}", n / 16, n % 16);
  }
  return "";
}

// Keys in the order of their use, one behind the other in memory: a caller has its key at hand.
class Keys {
 public:
  Keys(Shape shape, uint64_t from, uint64_t count, bool shuffled, uint64_t seed) {
    std::vector<uint64_t> order(count);
    std::iota(order.begin(), order.end(), from);
    Random random(seed);
    for (uint64_t i = count; shuffled && i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    for (uint64_t n : order) {
      bytes_ += make_key(shape, n);
      ends_.push_back(bytes_.size());
    }
  }
  size_t size() const { return ends_.size(); }
  std::string_view operator[](size_t i) const {
    size_t begin = i == 0 ? 0 : ends_[i - 1];
    return {bytes_.data() + begin, ends_[i] - begin};
  }

 private:
  std::string bytes_;
  std::vector<size_t> ends_;
};

template <class Work>
void measure(const char* what, uint64_t operations, Work work) {
  int64_t begin = system_clock().monotonic_us();
  work();
  double ns = 1000.0 * static_cast<double>(system_clock().monotonic_us() - begin);
  fmt::print("  {:<28}{:>8.0f} ns\n", what, ns / static_cast<double>(operations));
}

void fill(MemTable* table, const Keys& keys, std::string_view value, Sequence* sequence) {
  for (size_t i = 0; i < keys.size(); ++i) table->add(++*sequence, Kind::kPut, false, keys[i], value, 0);
}

// As a server finds the keys of commands that wait in line.
void find_prefetched(const MemTable& table, const Keys& keys) {
  uint64_t hashes[MemTable::kPrefetched];
  uint64_t unknown[MemTable::kPrefetched];
  MemTable::Hit hit;
  for (size_t i = 0; i < keys.size(); i += MemTable::kPrefetched) {
    size_t count = std::min(keys.size() - i, MemTable::kPrefetched);
    for (size_t j = 0; j < count; ++j) hashes[j] = hash_key(keys[i + j]);
    VARVE_CHECK(table.prefetch(hashes, count, unknown) == 0);
    for (size_t j = 0; j < count; ++j) VARVE_CHECK(table.find(keys[i + j], hashes[j], kMaxSequence, &hit));
  }
}

void run(Shape shape, uint64_t entries) {
  const std::string value(100, 'v');
  fmt::print("{}, {} entries\n", shape_name(shape), entries);
  {
    MemTable table;
    Sequence sequence = 0;
    Keys keys(shape, 0, entries, false, 0);
    measure("insert in order", entries, [&] { fill(&table, keys, value, &sequence); });
  }
  MemTable table;
  Sequence sequence = 0;
  {
    Keys keys(shape, 0, entries, true, 1);
    measure("insert at random", entries, [&] { fill(&table, keys, value, &sequence); });
  }
  fmt::print("  {:<28}{:>8.1f} bytes\n", "memory per entry",
             static_cast<double>(table.memory_used()) / static_cast<double>(entries));
  Keys keys(shape, 0, entries, true, 2);
  measure("overwrite", entries, [&] { fill(&table, keys, value, &sequence); });
  MemTable::Hit hit;
  keys = Keys(shape, 0, entries, true, 3);
  measure("find, hit", entries, [&] {
    for (size_t i = 0; i < entries; ++i) VARVE_CHECK(table.find(keys[i], kMaxSequence, &hit));
  });
  measure("find, hit, prefetched", entries, [&] { find_prefetched(table, keys); });
  Keys absent(shape, entries, entries, true, 4);
  measure("find, miss", entries, [&] {
    for (size_t i = 0; i < entries; ++i) VARVE_CHECK(!table.find(absent[i], kMaxSequence, &hit));
  });
  auto it = table.new_iterator();
  uint64_t seeks = entries / 4;
  measure("seek", seeks, [&] {
    for (uint64_t i = 0; i < seeks; ++i) {
      it->seek(keys[i]);
      VARVE_CHECK(it->valid() && it->key() == keys[i]);
    }
  });
  uint64_t seen = 0;
  measure("iterate", entries, [&] {
    for (it->seek_to_first(); it->valid(); it->next()) seen += it->value().size() > 0;
  });
  VARVE_CHECK(seen == entries);
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  uint64_t entries = 1000000;
  for (int i = 1; i < argc; ++i) {
    entries = std::strcmp(argv[i], "--tiny") == 0 ? 2000 : std::strtoull(argv[i], nullptr, 10);
  }
  for (varve::Shape shape : varve::kShapes) varve::run(shape, entries);
}
