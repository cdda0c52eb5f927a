// libfuzzer.cc: a target under clang's libFuzzer: `build-fuzz/tests/fuzz_NAME CORPUS`. The mutator repairs
// checksums, so that what coverage finds interesting lies behind them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t size_max, unsigned seed);
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t size_max);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  varve::fuzz::targets().front().run({reinterpret_cast<const char*>(data), size});
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t size_max, unsigned seed) {
  varve::Random random(seed);
  if (random.one_in(3)) size = LLVMFuzzerMutate(data, size, size_max);
  std::string input(reinterpret_cast<const char*>(data), size);
  varve::fuzz::targets().front().mutate(&input, &random);
  size = std::min(input.size(), size_max);
  std::memcpy(data, input.data(), size);
  return size;
}
