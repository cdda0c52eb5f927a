// clock.h: the door to time (DESIGN.md, law 7). Nothing else reads a clock.
#pragma once

#include <cstdint>

namespace varve {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall time, microseconds since 1970. May step; ordering and the log never depend on it.
  virtual int64_t now_us() = 0;
  // Monotonic microseconds from an arbitrary start.
  virtual int64_t monotonic_us() = 0;

  int64_t now_ms() { return now_us() / 1000; }
};

// Blocks the calling thread for about this long. Never on the loop thread.
void sleep_us(int64_t us);

// The machine's clock; safe from any thread.
Clock& system_clock();

}  // namespace varve
