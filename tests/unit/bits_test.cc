// Goal: what commands on bits, HyperLogLogs and places compute is what its definition says. Method: a plain
// way of computing the same, on drawn inputs; and the edges by hand.
#include "command/bits.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "base/random.h"
#include "command/bit_scan.h"
#include "command/geohash.h"
#include "command/hyperloglog.h"
#include "command/longest_common.h"
#include "command/partial_sort.h"
#include "support/script.h"

namespace varve::test {
namespace {

std::string drawn_bytes(Random& random, uint64_t size_max) {
  std::string bytes(random.below(size_max + 1), random.one_in(2) ? '\0' : '\xff');
  for (char& c : bytes) {
    if (random.one_in(4)) c = static_cast<char>(random.below(256));
  }
  return bytes;
}

bool bit_of(std::string_view bytes, uint64_t bit) {
  return bit / 8 < bytes.size() && (static_cast<unsigned char>(bytes[bit / 8]) >> (7 - bit % 8) & 1) != 0;
}

TEST_CASE("bits are counted and found") {
  Random random(test_seed(3));
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = drawn_bytes(random, 70);
    uint64_t count = 0;
    uint64_t first[2] = {kNoBit, kNoBit};
    for (uint64_t bit = bytes.size() * 8; bit > 0; --bit) {
      bool set = bit_of(bytes, bit - 1);
      count += set ? 1 : 0;
      first[set ? 1 : 0] = bit - 1;
    }
    CHECK(count_bits(bytes) == count);
    CHECK(find_bit(bytes, false) == first[0]);
    CHECK(find_bit(bytes, true) == first[1]);
  }
}

TEST_CASE("a scan of bits comes to the same in any pieces") {
  Random random(test_seed(4));
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = drawn_bytes(random, 60) + "x";
    uint64_t first = random.below(bytes.size() * 8);
    uint64_t last = first + random.below(bytes.size() * 8 - first);
    bool set = random.one_in(2);
    int64_t count = 0;
    int64_t found = -1;
    for (uint64_t bit = last + 1; bit > first; --bit) {
      count += bit_of(bytes, bit - 1) ? 1 : 0;
      if (bit_of(bytes, bit - 1) == set) found = static_cast<int64_t>(bit - 1);
    }
    BitScan counting = BitScan::counting(first, last);
    BitScan finding = BitScan::finding(set, first, last, -1);
    for (BitScan* scan : {&counting, &finding}) {
      for (uint64_t at = scan->first_byte(); at < scan->end_byte() && !scan->settled();) {
        uint64_t size = 1 + random.below(scan->end_byte() - at);
        std::string_view piece = std::string_view(bytes).substr(at, size);
        // Zeros at the end may be lacking.
        while (random.one_in(2) && !piece.empty() && piece.back() == '\0') piece.remove_suffix(1);
        scan->look(at, piece, size);
        at += size;
      }
    }
    CHECK(counting.answer() == count);
    CHECK(finding.answer() == found);
  }
}

TEST_CASE("numbers in fields") {
  std::string bytes(16, '\0');
  for (unsigned first : {0u, 3u, 7u}) {
    for (BitfieldType type : {BitfieldType{true, 64}, {false, 63}, {true, 1}, {false, 1}, {true, 9}}) {
      CAPTURE(first);
      CAPTURE(type.bits);
      int64_t most = type.is_signed ? -1 : static_cast<int64_t>(~uint64_t{0} >> (64 - type.bits));
      write_field(bytes.data(), first, type, most);
      CHECK(read_field(bytes, first, type) == most);
      CHECK(count_bits(bytes) == type.bits);
      CHECK(find_bit(bytes, true) == first);
      write_field(bytes.data(), first, type, 0);
      CHECK(count_bits(bytes) == 0);
    }
  }
  CHECK(read_field("\xff", 4, {false, 8}) == 0xf0);  // behind the string there are zeros
}

TEST_CASE("numbers that fields cannot hold") {
  struct Case {
    BitfieldType type;
    int64_t value, by;
    bool overflows;
    int64_t wrapped, saturated;
  };
  constexpr int64_t kMax = INT64_MAX;
  constexpr int64_t kMin = INT64_MIN;
  const Case cases[] = {
      {{false, 8}, 250, 5, false, 255, 255},   {{false, 8}, 250, 6, true, 0, 255},
      {{false, 8}, 3, -4, true, 255, 0},       {{false, 63}, kMax, 1, true, 0, kMax},
      {{true, 8}, 127, 1, true, -128, 127},    {{true, 8}, -128, -1, true, 127, -128},
      {{true, 8}, 300, 0, true, 44, 127},      {{true, 8}, -200, 0, true, 56, -128},
      {{true, 8}, kMin, 0, true, 0, 127},  // as in Redis, whose room to the top has wrapped
      {{true, 64}, kMax, 1, true, kMin, kMax}, {{true, 64}, kMin, -1, true, kMax, kMin},
      {{true, 64}, kMin, kMax, false, -1, -1}, {{true, 1}, 0, 1, true, -1, 0},
  };
  for (const Case& one : cases) {
    CAPTURE(one.value);
    CAPTURE(one.by);
    int64_t result = 0;
    CHECK(add_in_field(one.type, one.value, one.by, Overflow::kWrap, &result) == one.overflows);
    CHECK(result == one.wrapped);
    CHECK(add_in_field(one.type, one.value, one.by, Overflow::kSaturate, &result) == one.overflows);
    CHECK(result == one.saturated);
    CHECK(add_in_field(one.type, one.value, one.by, Overflow::kFail, &result) == one.overflows);
  }
}

// The table of lengths and the way back through it, as everybody writes them.
std::string common_by_table(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> table(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      table[i][j] =
          a[i - 1] == b[j - 1] ? table[i - 1][j - 1] + 1 : std::max(table[i - 1][j], table[i][j - 1]);
    }
  }
  std::string common;
  for (size_t i = a.size(), j = b.size(); i > 0 && j > 0;) {
    if (a[i - 1] == b[j - 1]) {
      common.push_back(a[--i]);
      --j;
    } else {
      table[i - 1][j] > table[i][j - 1] ? --i : --j;
    }
  }
  std::reverse(common.begin(), common.end());
  return common;
}

TEST_CASE("the longest common subsequence is that of the table") {
  Random random(test_seed(5));
  for (int i = 0; i < 500; ++i) {
    std::string texts[2];
    for (std::string& text : texts) {
      text.resize(random.below(200));
      for (char& c : text) c = static_cast<char>('a' + random.below(random.one_in(2) ? 3 : 20));
    }
    std::string expected = common_by_table(texts[0], texts[1]);
    LongestCommon common(texts[0], texts[1], true);
    REQUIRE(common.length() == expected.size());
    REQUIRE(LongestCommon(texts[0], texts[1], false).length() == expected.size());
    std::string text;
    for (const LongestCommon::Run& run : common.runs()) {
      REQUIRE(texts[0].substr(run.a, run.size) == texts[1].substr(run.b, run.size));
      text.insert(0, texts[0].substr(run.a, run.size));
    }
    REQUIRE(text == expected);
  }
}

TEST_CASE("a HyperLogLog counts the same in both encodings, and grows from one into the other") {
  HyperLogLog sparse(HyperLogLog::empty_value(), SIZE_MAX);
  HyperLogLog dense(HyperLogLog::empty_value(), 0);
  HyperLogLog grows(HyperLogLog::empty_value(), 3000);
  REQUIRE(dense.make_dense());
  for (int i = 1; i <= 20000; ++i) {
    std::string element = "element " + std::to_string(i);
    bool was_dense = grows.dense();
    HyperLogLog::Added added = dense.add(element);
    REQUIRE(sparse.add(element) == added);
    REQUIRE(grows.add(element) == added);
    if (!was_dense && grows.dense()) {
      HyperLogLog copy = sparse;
      REQUIRE(copy.make_dense());
      REQUIRE(copy.value() == grows.value());
    }
    if (i % 1000 != 0) continue;
    uint64_t estimates[2] = {};
    REQUIRE(sparse.estimate(&estimates[0]));
    REQUIRE(dense.estimate(&estimates[1]));
    CHECK(estimates[0] == estimates[1]);
    CHECK(std::fabs(static_cast<double>(estimates[1]) / i - 1) < 0.03);
  }
  CHECK(grows.value() == dense.value());
  CHECK_FALSE(sparse.dense());  // no register has seen more than 32 zeros
  REQUIRE(sparse.make_dense());
  CHECK(sparse.value() == dense.value());
}

TEST_CASE("registers raised in order make the runs that elements one by one make") {
  // The order in which registers are raised decides what runs come of it: here it is theirs.
  HyperLogLog::Registers registers = {};
  Random random(test_seed(6));
  for (int i = 0; i < 700; ++i) registers[random.below(600)] = static_cast<uint8_t>(1 + random.below(3));
  HyperLogLog once(HyperLogLog::empty_value(), SIZE_MAX);
  once.raise(registers);
  HyperLogLog step_by_step(HyperLogLog::empty_value(), SIZE_MAX);
  for (size_t i = 0; i < registers.size(); ++i) {
    HyperLogLog::Registers single = {};
    single[i] = registers[i];
    if (registers[i] > 0) step_by_step.raise(single);
  }
  CHECK(once.describe_runs() == step_by_step.describe_runs());
  HyperLogLog::Registers merged = {};
  REQUIRE(once.merge_into(&merged));
  CHECK((merged == registers));
  CHECK(HyperLogLog::estimate(merged) == HyperLogLog::estimate(registers));
}

TEST_CASE("HyperLogLogs that are none") {
  std::string good = HyperLogLog::empty_value();
  CHECK(HyperLogLog::is_one(good));
  CHECK_FALSE(HyperLogLog::is_one(good.substr(0, 15)));
  CHECK_FALSE(HyperLogLog::is_one("HYLX" + good.substr(4)));
  std::string unknown = good;
  unknown[4] = 2;
  CHECK_FALSE(HyperLogLog::is_one(unknown));
  unknown[4] = 0;  // dense, but too short
  CHECK_FALSE(HyperLogLog::is_one(unknown));
  uint64_t cardinality = 0;
  for (const char* runs : {"", "\x7f", "\x7f\xfe", "\x7f\xff\x80"}) {
    HyperLogLog damaged(good.substr(0, 16) + runs, 3000);
    CHECK_FALSE(damaged.estimate(&cardinality));
    CHECK_FALSE(damaged.make_dense());
    HyperLogLog::Registers registers = {};
    CHECK_FALSE(damaged.merge_into(&registers));
  }
}

TEST_CASE("places at the ends of the map") {
  GeoPoint places[] = {
      {0, 0}, {180, 0}, {-180, 0}, {0, kLatitudeMax}, {0, -kLatitudeMax}, {13.361389, 38.115556}};
  for (const GeoPoint& place : places) {
    GeoPoint back = geo_point(geo_score(place));
    CAPTURE(place.longitude);
    CAPTURE(place.latitude);
    // At 180 degrees a carry leaves the 52 bits: what comes back is the same meridian.
    CHECK(geo_distance(place, back) < 1);
  }
  CHECK(geo_text(geo_score({13.361389, 38.115556})) == "sqc8b49rny0");
  CHECK(geo_distance({179.9999, 0}, {-179.9999, 0}) < 30);
  CHECK(geo_distance({0, 90}, {77, 90}) < 0.001);
  // Scores that are no places are some place all the same.
  for (double score : {-1.0, -1e300, 1e300, HUGE_VAL, -HUGE_VAL, 1.8e19}) {
    GeoPoint point = geo_point(score);
    CHECK(std::fabs(point.longitude) <= kLongitudeMax);
    CHECK(std::fabs(point.latitude) <= kLatitudeMax);
  }
}

TEST_CASE("cells hold everything in the shape they are drawn around") {
  Random random(test_seed(7));
  auto between = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(random.below(1'000'001)) / 1e6;
  };
  for (int i = 0; i < 3000; ++i) {
    GeoShape shape;
    shape.center = {between(-180, 180), between(-70, 70)};
    shape.is_box = random.one_in(2);
    shape.radius = shape.width = std::pow(10.0, between(1, 5.5));
    shape.height = std::pow(10.0, between(1, 5.5));
    std::vector<ScoreRange> cells = cells_around(shape);
    REQUIRE(cells.size() <= 9);
    for (int tries = 0; tries < 20; ++tries) {
      double reach = std::max(shape.width, shape.height) / 111'000;
      GeoPoint drawn = {shape.center.longitude + between(-3 * reach, 3 * reach),
                        std::clamp(shape.center.latitude + between(-reach, reach), -85.0, 85.0)};
      if (std::fabs(drawn.longitude) > 179.99) continue;
      double score = geo_score(drawn);
      double distance = 0;
      if (!shape.contains(geo_point(score), &distance)) continue;
      bool held = std::any_of(cells.begin(), cells.end(),
                              [&](const ScoreRange& cell) { return score >= cell.min && score < cell.max; });
      CHECK(held);
    }
  }
}

TEST_CASE("a partial sort brings the first ones to their places") {
  Random random(test_seed(8));
  for (int i = 0; i < 1000; ++i) {
    std::vector<uint64_t> numbers(1 + random.below(200));
    for (uint64_t& number : numbers) number = random.below(random.one_in(2) ? 10 : 100000);
    std::vector<uint64_t> sorted = numbers;
    std::sort(sorted.begin(), sorted.end());
    size_t wanted = 1 + random.below(numbers.size());
    PartialSort(numbers, wanted, [](uint64_t a, uint64_t b) { return a < b ? -1 : a > b ? 1 : 0; });
    CHECK(std::equal(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(wanted), numbers.begin()));
  }
}

}  // namespace
}  // namespace varve::test
