// Goal: which files of tables stay open: the bound, the clock, what is being read. Method: tables without
// files behind them; "open" lists what a lookup finds.
#include "lsm/table_cache.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

namespace varve {
namespace {

OpenTableRef table(uint64_t number) {
  auto made = std::make_shared<OpenTable>();
  made->meta.number = number;
  return made;
}

void open(TableCache& cache, uint64_t number) {
  REQUIRE(cache.take_place());
  cache.insert(table(number));
}

TEST_CASE("table cache: the bound holds, and the first to come is the first to go") {
  TableCache cache(3);
  for (uint64_t number = 1; number <= 5; ++number) {
    open(cache, number);
    CHECK(cache.open_count() <= 3);
  }
  CHECK_FALSE(cache.find(1));
  CHECK_FALSE(cache.find(2));
  for (uint64_t number : {3, 4, 5}) CHECK(cache.find(number)->meta.number == number);
  CHECK(cache.full());
}

TEST_CASE("table cache: one that was used gets another round, but not for ever") {
  TableCache cache(3);
  for (uint64_t number : {1, 2, 3}) open(cache, number);
  CHECK(cache.find(1));
  open(cache, 4);
  CHECK_FALSE(cache.find(2));
  open(cache, 5);  // 3 was not used
  CHECK_FALSE(cache.find(3));
  for (uint64_t number : {1, 4, 5}) CHECK(cache.find(number));
  open(cache, 6);  // all were used: one of them goes
  CHECK(cache.open_count() == 3);
  CHECK(cache.find(6));
}

TEST_CASE("table cache: what is being read stays, and a place is waited for") {
  TableCache cache(2);
  open(cache, 1);
  open(cache, 2);
  CHECK(cache.pin(1));
  CHECK(cache.pin(1));
  CHECK(cache.pin(2));
  CHECK_FALSE(cache.take_place());
  cache.unpin(1);
  CHECK_FALSE(cache.take_place());
  cache.unpin(1);
  CHECK(cache.take_place());
  CHECK_FALSE(cache.find(1));
  CHECK_FALSE(cache.take_place());  // the place is taken before the file is open
  cache.give_back_place();
  CHECK(cache.take_place());
  cache.insert(table(3));
  CHECK(cache.find(2));
  CHECK(cache.find(3));
  cache.unpin(2);
}

TEST_CASE("table cache: one that is no longer live closes once nobody reads it") {
  TableCache cache(2);
  open(cache, 1);
  open(cache, 2);
  CHECK(cache.pin(1));
  cache.erase(1);
  cache.erase(2);
  cache.erase(3);  // was not open
  CHECK(cache.find(1));
  CHECK_FALSE(cache.find(2));
  cache.unpin(1);
  CHECK(cache.open_count() == 0);
  CHECK(cache.memory_used() == 0);
}

TEST_CASE("table cache: opened twice, the first one stays") {
  TableCache cache(3);
  OpenTableRef first = table(1);
  REQUIRE(cache.take_place());
  REQUIRE(cache.take_place());
  cache.insert(first);
  cache.insert(table(1));
  CHECK(cache.find(1) == first);
  CHECK(cache.open_count() == 1);
  open(cache, 2);
  open(cache, 3);
  CHECK(cache.open_count() == 3);
}

TEST_CASE("table cache: a lower bound closes at once what is not being read") {
  TableCache cache(4);
  for (uint64_t number : {1, 2, 3, 4}) open(cache, number);
  CHECK(cache.pin(2));
  CHECK(cache.pin(3));
  size_t before = cache.memory_used();
  cache.set_files_max(1);
  CHECK(cache.open_count() == 2);
  CHECK(cache.memory_used() < before);
  cache.unpin(2);
  CHECK(cache.open_count() == 1);
  CHECK(cache.find(3));
  cache.unpin(3);
  CHECK(cache.open_count() == 1);
}

}  // namespace
}  // namespace varve
