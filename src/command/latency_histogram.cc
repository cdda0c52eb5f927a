#include "command/latency_histogram.h"

#include <numeric>

namespace varve {

uint64_t LatencyHistogram::highest_like(uint64_t ns) {
  int shift = std::max(0, static_cast<int>(std::bit_width(ns)) - 8);
  return (((ns >> shift) + 1) << shift) - 1;
}

uint64_t LatencyHistogram::highest_in(size_t range) {
  if (range == 0) return 1;
  uint64_t power = (range - 1) / kPerPower;
  uint64_t top = (range - 1) % kPerPower + kPerPower;
  return ((top + 1) << (power + kFirstBits - 8)) - 1;
}

uint64_t LatencyHistogram::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), uint64_t{0});
}

double LatencyHistogram::percentile_us(double percent) const {
  uint64_t all = total();
  if (all == 0) return 0;
  auto wanted = static_cast<uint64_t>(std::min(percent, 100.0) / 100 * static_cast<double>(all) + 0.5);
  wanted = std::max<uint64_t>(wanted, 1);
  uint64_t count = 0;
  size_t range = 0;
  while (range + 1 < kRanges && (count += counts_[range]) < wanted) ++range;
  return static_cast<double>(highest_in(range)) / 1000;
}

std::vector<LatencyHistogram::Step> LatencyHistogram::steps() const {
  std::vector<Step> steps;
  uint64_t all = total();
  uint64_t count = 0;
  size_t range = 0;
  for (uint64_t level = 1024; count < all; level *= 2) {
    uint64_t until = highest_like(level);
    uint64_t before = count;
    for (; range < kRanges && highest_in(range) <= until; ++range) count += counts_[range];
    if (count > before) steps.push_back({static_cast<int64_t>(until / 1000), count});
  }
  return steps;
}

}  // namespace varve
