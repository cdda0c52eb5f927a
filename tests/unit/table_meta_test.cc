// Goal: a table's meta survives the disk, and damaged ones are refused.
#include <doctest/doctest.h>

#include "base/random.h"
#include "lsm/table_meta.h"
#include "support/script.h"

namespace varve {
namespace {

TableMeta sample() {
  TableMeta m;
  m.number = 12;
  m.file_size = 123456;
  m.identity = {0x0123456789abcdef, 0xfedcba9876543210};
  m.smallest = std::string("a\0b", 3);
  m.largest = "zebra";
  m.largest_exclusive = true;
  m.smallest_sequence = 5;
  m.largest_sequence = kMaxSequence;
  m.records = 1000;
  m.deletes = 10;
  m.range_deletes = 3;
  m.blind = 7;
  m.collections = 2;
  m.raw_key_bytes = 20000;
  m.raw_value_bytes = 90000;
  m.data_blocks = 14;
  m.expiring_bytes = 77;
  m.min_expire_ms = -5;
  m.max_expire_ms = 1700000000000;
  m.top_index = {100000, 300};
  m.range_block = {100309, 40};
  return m;
}

bool survives(const TableMeta& meta) {
  std::string bytes;
  meta.encode(&bytes);
  bytes += "rest";
  std::string_view in = bytes;
  TableMeta again;
  return again.decode(&in) && again == meta && in == "rest";
}

}  // namespace

TEST_CASE("a meta survives") {
  CHECK(survives(sample()));
  TableMeta m = sample();
  m.file_size = 0;  // as in a properties block
  CHECK(survives(m));
}

TEST_CASE("impossible metas are refused") {
  auto refused = [](auto change) {
    TableMeta m = sample();
    change(m);
    return !survives(m);
  };
  CHECK(refused([](TableMeta& m) { m.smallest = "zebra1"; }));
  CHECK(refused([](TableMeta& m) { m.smallest = m.largest; }));  // [zebra, zebra) is empty
  CHECK(refused([](TableMeta& m) { m.largest = std::string(kMaxEngineKeySize + 1, 'z'); }));
  CHECK(refused([](TableMeta& m) { m.largest_sequence = kMaxSequence + 1; }));
  CHECK(refused([](TableMeta& m) { m.smallest_sequence = 9, m.largest_sequence = 8; }));
  CHECK(refused([](TableMeta& m) { m.deletes = m.records + 1; }));
  CHECK(refused([](TableMeta& m) { m.top_index.size = m.file_size; }));
  CHECK(refused([](TableMeta& m) { m.top_index.offset = UINT64_MAX; }));
  CHECK(refused([](TableMeta& m) { m.top_index = {}; }));
  CHECK(refused([](TableMeta& m) { m.range_deletes = 0; }));
}

TEST_CASE("cut short or damaged: refused or another meta, never a read outside") {
  std::string bytes;
  sample().encode(&bytes);
  for (size_t n = 0; n < bytes.size(); ++n) {
    std::vector<char> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    std::string_view in(cut.data(), cut.size());
    TableMeta m;
    CHECK_FALSE(m.decode(&in));
  }
  Random random(test::test_seed(3));
  for (int i = 0; i < 5000; ++i) {
    std::vector<char> damaged(bytes.begin(), bytes.end());
    damaged[random.below(damaged.size())] = static_cast<char>(random.next());
    std::string_view in(damaged.data(), damaged.size());
    TableMeta m;
    if (m.decode(&in)) CHECK(m.smallest <= m.largest);
  }
}

}  // namespace varve
