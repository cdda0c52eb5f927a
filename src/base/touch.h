// touch.h: hints to the processor about memory that is needed soon.
#pragma once

#include <cstddef>

namespace varve {

// Loads the cache line at p without waiting for it: a processor goes on as long as nothing needs the value. A
// prefetch instruction would do, but for memory whose page the processor has not at hand some drop it
// (measured on Zen 4), and that is most of a gigabyte in pages of 4 KiB.
inline void touch(const void* p) {
  static_cast<void>(*static_cast<const volatile char*>(p));
}

// Prefetches the lines [first, last) behind p, whose first was touched, so that its page is at hand.
inline void prefetch_lines(const void* p, int first, int last) {
  for (int line = first; line < last; ++line) __builtin_prefetch(static_cast<const char*>(p) + 64 * line);
}

}  // namespace varve
