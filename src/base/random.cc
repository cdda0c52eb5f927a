#include "base/random.h"

#include <sys/random.h>

#include "base/check.h"

namespace varve {

Random::Random(uint64_t seed) {
  // splitmix64 spreads any seed, zero included, over the whole state.
  for (uint64_t& s : state_) {
    seed += 0x9e3779b97f4a7c15;
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    s = z ^ (z >> 31);
  }
}

uint64_t Random::next() {
  auto rotl = [](uint64_t x, int k) { return (x << k) | (x >> (64 - k)); };
  uint64_t result = rotl(state_[1] * 5, 7) * 9;
  uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = rotl(state_[3], 45);
  return result;
}

uint64_t Random::below(uint64_t n) {
  VARVE_DCHECK(n > 0);
  return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
}

Identity Random::identity() {
  Identity id{next(), next()};
  if (id.is_zero()) id.low = 1;
  return id;
}

uint64_t random_seed_from_os() {
  uint64_t seed = 0;
  VARVE_CHECK(getrandom(&seed, sizeof seed, 0) == sizeof seed);
  return seed;
}

std::string random_bytes_from_os(size_t n) {
  std::string bytes(n, '\0');
  for (size_t at = 0; at < n;) {
    ssize_t some = getrandom(bytes.data() + at, n - at, 0);
    VARVE_CHECK(some > 0);
    at += static_cast<size_t>(some);
  }
  return bytes;
}

}  // namespace varve
