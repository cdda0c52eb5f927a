#include "base/buffer.h"

#include <algorithm>
#include <cstdlib>

#include "base/check.h"

namespace varve {
namespace {
constexpr size_t kAlignment = 4096;
}

Buffer::~Buffer() {
  std::free(data_);
}

void Buffer::grow(size_t at_least) {
  size_t capacity = std::max(at_least, capacity_ + capacity_ / 2);
  capacity = (capacity + kAlignment - 1) / kAlignment * kAlignment;
  char* bigger = static_cast<char*>(std::aligned_alloc(kAlignment, capacity));
  VARVE_CHECK(bigger != nullptr);
  if (size_ > 0) std::memcpy(bigger, data_, size_);
  std::free(data_);
  data_ = bigger;
  capacity_ = capacity;
}

}  // namespace varve
