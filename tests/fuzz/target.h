// target.h: one thing that reads bytes from outside, as the fuzzers see it. Two drivers run targets:
// driver.cc (the tool `fuzz` of varve_prove: any compiler, seeded, repeatable) and libfuzzer.cc (clang's,
// guided by coverage; scripts/dev build fuzz).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace varve::fuzz {

struct Target {
  const char* name;
  const char* help;  // one line
  size_t size_max;   // of an input
  // Whatever the input, this must return: a wrong answer is a failed check. Depends on nothing but the input.
  void (*run)(std::string_view input);
  // A sound input.
  std::string (*make)(Random* random);
  // Changes what the input means and repairs what would keep readers from looking at it (checksums).
  void (*mutate)(std::string* input, Random* random);
  // No single allocation may be larger, whatever the input says.
  uint64_t (*allocation_max)(size_t input_size);
};

std::vector<Target>& targets();
struct Registration {
  explicit Registration(const Target& target) { targets().push_back(target); }
};

// One change that knows nothing of the format: bits, bytes, lengths, repetitions, numbers at the edges.
void mutate_bytes(std::string* input, Random* random);
// A number that lengths and counts break at, below 2^bits.
uint64_t edge_number(Random* random, int bits);

}  // namespace varve::fuzz
