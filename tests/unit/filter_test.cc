// Goal: a filter never denies a key it holds, and wrongly admits about as many others as its bits allow.
#include <doctest/doctest.h>

#include "base/checksum.h"
#include "lsm/filter.h"

namespace varve {
namespace {

uint64_t hash_of(int i) {
  return hash_key("key:" + std::to_string(i));
}

// Share of absent keys admitted, percent. Filters of `keys` keys each, as partitions are.
double false_positives(double bits_per_key, int keys, int filters) {
  int admitted = 0, asked = 0, next = 0;
  for (int f = 0; f < filters; ++f) {
    FilterBuilder builder(bits_per_key);
    int first = next;
    for (; next < first + keys; ++next) builder.add(hash_of(next));
    size_t size = builder.size_for(builder.key_count());
    std::string filter = builder.finish();
    REQUIRE(filter.size() == size);
    REQUIRE(filter_is_valid(filter));
    for (int i = first; i < next; ++i) REQUIRE(filter_may_contain(filter, hash_of(i)));
    for (int i = 0; i < keys; ++i, ++asked) admitted += filter_may_contain(filter, hash_of(-1 - asked));
  }
  return 100.0 * admitted / asked;
}

}  // namespace

TEST_CASE("false positives at various bits a key") {
  double at10 = false_positives(10, 3200, 20);
  CHECK(at10 > 0.7);
  CHECK(at10 < 1.4);
  CHECK(false_positives(16, 2000, 20) < 0.35);
  CHECK(false_positives(8, 4000, 20) < 3.2);
  double at9 = false_positives(9.5, 3200, 20);  // fractions count
  CHECK(at9 > at10);
  CHECK(at9 < false_positives(9, 3200, 20));
}

TEST_CASE("the smallest filters") {
  FilterBuilder builder(10);
  builder.add(hash_of(1));
  std::string filter = builder.finish();
  CHECK(filter.size() == 65);
  CHECK(filter_may_contain(filter, hash_of(1)));
  CHECK_FALSE(filter_may_contain(filter, hash_of(2)));
  CHECK(builder.key_count() == 0);
}

TEST_CASE("what is not shaped like a filter") {
  CHECK_FALSE(filter_is_valid(""));
  CHECK_FALSE(filter_is_valid(std::string(1, '\1')));
  CHECK_FALSE(filter_is_valid(std::string(64, '\1')));
  CHECK_FALSE(filter_is_valid(std::string(65, '\0')));
  CHECK_FALSE(filter_is_valid(std::string(65, '\x7f')));
  CHECK(filter_is_valid(std::string(65, '\1')));
}

// Hashes and bits are on disk: they may never change.
TEST_CASE("the filter of three keys, for ever") {
  FilterBuilder builder(10);
  for (int i = 0; i < 3; ++i) builder.add(hash_of(i));
  CHECK(checksum(builder.finish()) == 12902806427742947713u);
}

}  // namespace varve
