#include "prove/allocations.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace varve::prove {
namespace {

thread_local Allocations counted;

void* allocate(size_t n) {
  counted.largest = std::max<uint64_t>(counted.largest, n);
  counted.total += n;
  void* p = std::malloc(n > 0 ? n : 1);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}

}  // namespace

Allocations allocations() {
  return counted;
}

void reset_allocations() {
  counted = Allocations();
}

}  // namespace varve::prove

void* operator new(size_t n) {
  return varve::prove::allocate(n);
}
void* operator new[](size_t n) {
  return varve::prove::allocate(n);
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete[](void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, size_t) noexcept {
  std::free(p);
}
void operator delete[](void* p, size_t) noexcept {
  std::free(p);
}

extern "C" void* aligned_alloc(size_t alignment, size_t n) {
  varve::prove::counted.largest = std::max<uint64_t>(varve::prove::counted.largest, n);
  varve::prove::counted.total += n;
  return memalign(alignment, n);
}
