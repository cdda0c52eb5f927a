#include "prove/allocations.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace varve::prove {
namespace {

thread_local Allocations counted;

void* try_allocate(size_t n) {
  counted.largest = std::max<uint64_t>(counted.largest, n);
  counted.total += n;
  return std::malloc(n > 0 ? n : 1);
}

void* allocate(size_t n) {
  void* p = try_allocate(n);
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
// The library's temporary buffers come this way: all forms are replaced, or none.
void* operator new(size_t n, const std::nothrow_t&) noexcept {
  return varve::prove::try_allocate(n);
}
void* operator new[](size_t n, const std::nothrow_t&) noexcept {
  return varve::prove::try_allocate(n);
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

void operator delete(void* p, const std::nothrow_t&) noexcept {
  std::free(p);
}
void operator delete[](void* p, const std::nothrow_t&) noexcept {
  std::free(p);
}

extern "C" void* aligned_alloc(size_t alignment, size_t n) {
  varve::prove::counted.largest = std::max<uint64_t>(varve::prove::counted.largest, n);
  varve::prove::counted.total += n;
  return memalign(alignment, n);
}
