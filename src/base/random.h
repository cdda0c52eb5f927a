// random.h: the door to chance (DESIGN.md, law 7). A Random is seeded, so that a run can be repeated; the
// server seeds its own from the operating system. xoshiro256** (Blackman and Vigna, 2018).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/identity.h"

namespace varve {

class Random {
 public:
  explicit Random(uint64_t seed);

  uint64_t next();
  // Uniform in [0, n); n > 0.
  uint64_t below(uint64_t n);
  // True once in n.
  bool one_in(uint64_t n) { return below(n) == 0; }
  // Uniform in [0, 1).
  double real() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  // Never zero.
  Identity identity();

 private:
  uint64_t state_[4];
};

// A seed from the operating system.
uint64_t random_seed_from_os();
// Bytes that nobody can guess.
std::string random_bytes_from_os(size_t n);

}  // namespace varve
