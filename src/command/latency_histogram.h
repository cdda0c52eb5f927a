// latency_histogram.h: how long a command's runs took: counts in ranges that grow with the time, 128 of them
// for each power of two, so that a percentile is right within 1 %. Nanoseconds, from 1 to a second; longer
// ones count as a second. 20 KiB once there is something to count. Loop thread only.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace varve {

class LatencyHistogram {
 public:
  void add_us(int64_t usec) {
    uint64_t ns = static_cast<uint64_t>(std::min<int64_t>(usec, kMaxUs)) * 1000;
    if (counts_.empty()) counts_.resize(kRanges);
    ++counts_[range_of(ns)];
  }
  bool empty() const { return counts_.empty(); }
  uint64_t total() const;

  // The time within which so many percent of the runs were, microseconds. 0 when there was none.
  double percentile_us(double percent) const;

  // Cumulative counts at about 1, 2, 4, ... microseconds, those that add none left out.
  struct Step {
    int64_t usec;
    uint64_t count;
  };
  std::vector<Step> steps() const;

 private:
  static constexpr int64_t kMaxUs = 1'000'000;
  static constexpr int kFirstBits = 10;  // nothing lies between 1 ns and 1000 ns
  static constexpr int kLastBits = 30;
  static constexpr size_t kPerPower = 128;
  static constexpr size_t kRanges = 1 + (kLastBits - kFirstBits + 1) * kPerPower;

  // Range 0 is what took less than a microsecond.
  static size_t range_of(uint64_t ns) {
    if (ns == 0) return 0;
    int bits = static_cast<int>(std::bit_width(ns));
    return static_cast<size_t>(bits - kFirstBits) * kPerPower + (ns >> (bits - 8)) - kPerPower + 1;
  }
  // The longest time in the range that this time is in.
  static uint64_t highest_like(uint64_t ns);
  static uint64_t highest_in(size_t range);

  std::vector<uint64_t> counts_;  // empty until there is one
};

}  // namespace varve
