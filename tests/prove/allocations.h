// allocations.h: how much memory the code under attack asks for. A length read from a damaged file must be
// checked before it is allocated (DESIGN.md, law 12); what a process asks the allocator for shows whether it
// was, whatever the system would have granted.
//
// Counts operator new and aligned_alloc (base/buffer.h) of this program, each thread for itself.
#pragma once

#include <cstdint>

namespace varve::prove {

struct Allocations {
  uint64_t largest = 0;  // one request, bytes
  uint64_t total = 0;    // all requests, freed ones included
};

// Since the last call of reset_allocations() on this thread.
Allocations allocations();
void reset_allocations();

}  // namespace varve::prove
