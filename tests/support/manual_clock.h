// manual_clock.h: time that stands still until a test moves it.
#pragma once

#include "base/clock.h"

namespace varve::test {

class ManualClock final : public Clock {
 public:
  int64_t now_us() override { return 1'700'000'000'000'000 + us_; }
  int64_t monotonic_us() override { return us_; }
  void advance_us(int64_t us) { us_ += us; }
  void advance_ms(int64_t ms) { us_ += ms * 1000; }

 private:
  int64_t us_ = 1'000'000;
};

}  // namespace varve::test
