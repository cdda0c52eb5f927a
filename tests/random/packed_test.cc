// Goal: a packed collection holds what a list of strings would hold, and damage of its bytes is seen, never
// read past.
#include "keyspace/types/packed.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "base/random.h"
#include "support/script.h"

namespace varve {
namespace {

std::vector<std::string> entries(const Packed& packed) {
  std::vector<std::string> all;
  std::string_view entry;
  for (size_t at = 0; packed.read(&at, &entry);) all.emplace_back(entry);
  return all;
}

TEST_CASE("packed: random changes against a vector") {
  uint64_t seed = test::test_seed(32);
  CAPTURE(seed);
  Random random(seed);
  for (int round = 0; round < 100; ++round) {
    std::vector<std::string> truth;
    std::string stored;
    Packed packed;
    for (int step = 0; step < 40; ++step) {
      std::string entry(random.below(random.one_in(5) ? 300 : 20), static_cast<char>('a' + random.below(26)));
      uint64_t index = random.below(truth.size() + 1);
      size_t at = packed.place(index);
      auto place = truth.begin() + static_cast<std::ptrdiff_t>(index);
      if (place == truth.end() || random.one_in(2)) {
        packed.insert(at, entry);
        truth.insert(place, entry);
      } else if (random.one_in(2)) {
        packed.replace(at, entry);
        *place = entry;
      } else {
        packed.erase(at, packed.place(index + 1));
        truth.erase(place);
      }
      REQUIRE(entries(packed) == truth);
      CHECK(packed.whole(truth.size()));
      CHECK_FALSE(packed.whole(truth.size() + 1));
      size_t cost = 0;
      for (const std::string& one : truth) cost += Packed::cost(one);
      CHECK(cost == packed.size());
      if (random.one_in(4)) {  // as if it had been written and read again
        stored.assign(packed.bytes());
        packed.reset(stored);
      }
    }
  }
}

TEST_CASE("packed: damaged bytes end the walk") {
  Packed packed;
  for (const char* entry : {"one", "", "three"}) packed.append(entry);
  std::string bytes(packed.bytes());
  CHECK(bytes == std::string("\3one\0\5three", 11));
  for (size_t n = 1; n < bytes.size(); ++n) {
    Packed cut(std::string_view(bytes).substr(0, n));
    CHECK_FALSE(cut.whole(3));
  }
  std::string too_long = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x";
  Packed damaged(too_long);
  CHECK(entries(damaged).empty());
  CHECK_FALSE(damaged.whole(1));
}

}  // namespace
}  // namespace varve
