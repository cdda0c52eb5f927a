#include "lsm/filter.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/plant.h"
#include "base/touch.h"

namespace varve {
namespace {

constexpr size_t kLineSize = 64;
constexpr uint32_t kLineBits = kLineSize * 8;
constexpr int kMaxProbes = 16;

size_t line_of(uint64_t hash, size_t lines) {
  return static_cast<size_t>((hash >> 32) * lines >> 32);
}

const char* line_in(std::string_view filter, uint64_t hash) {
  return filter.data() + line_of(hash, filter.size() / kLineSize) * kLineSize;
}

uint32_t first_probe(uint64_t hash) {
  return static_cast<uint32_t>(hash);
}
uint32_t next_probe(uint32_t x) {
  return x * 0x9e3779b9u;
}
uint32_t bit_of(uint32_t x) {
  return x >> 23;
}  // the top nine bits: multiplication mixes upwards
static_assert(kLineBits == 1u << 9);

// Bits in one line are shared unevenly, so fewer probes than the textbook's 0.69 a bit do best.
int probes_for(double bits_per_key) {
  return std::clamp(static_cast<int>(std::lround(bits_per_key * 0.6)), 1, kMaxProbes);
}

}  // namespace

size_t FilterBuilder::size_for(size_t keys) const {
  double lines = std::ceil(static_cast<double>(keys) * bits_per_key_ / kLineBits);
  return std::max<size_t>(1, static_cast<size_t>(lines)) * kLineSize + 1;
}

std::string FilterBuilder::finish() {
  VARVE_CHECK(!hashes_.empty());
  std::string filter(size_for(hashes_.size()), '\0');
  size_t lines = filter.size() / kLineSize;
  int probes = probes_for(bits_per_key_);
  for (uint64_t hash : hashes_) {
    if (planted(Plant::filter_forgets_keys) && hash % 64 == 0) continue;
    char* line = filter.data() + line_of(hash, lines) * kLineSize;
    uint32_t x = first_probe(hash);
    for (int i = 0; i < probes; ++i) {
      x = next_probe(x);
      line[bit_of(x) / 8] = static_cast<char>(line[bit_of(x) / 8] | 1 << (bit_of(x) % 8));
    }
  }
  filter.back() = static_cast<char>(probes);
  hashes_.clear();
  return filter;
}

bool filter_is_valid(std::string_view filter) {
  return filter.size() > kLineSize && filter.size() % kLineSize == 1 && filter.back() >= 1 &&
         filter.back() <= kMaxProbes;
}

bool filter_may_contain(std::string_view filter, uint64_t key_hash) {
  const char* line = line_in(filter, key_hash);
  uint32_t x = first_probe(key_hash);
  for (int left = filter.back(); left > 0; --left) {
    x = next_probe(x);
    if ((line[bit_of(x) / 8] >> (bit_of(x) % 8) & 1) == 0) return false;
  }
  return true;
}

void touch_filter(std::string_view filter, uint64_t key_hash) {
  touch(line_in(filter, key_hash));
  touch(&filter.back());
}

}  // namespace varve
