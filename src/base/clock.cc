#include "base/clock.h"

#include <time.h>

namespace varve {
namespace {

int64_t read_clock(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return int64_t{t.tv_sec} * 1'000'000 + t.tv_nsec / 1000;
}

class SystemClock final : public Clock {
 public:
  int64_t now_us() override { return read_clock(CLOCK_REALTIME); }
  int64_t monotonic_us() override { return read_clock(CLOCK_MONOTONIC); }
};

}  // namespace

void sleep_us(int64_t us) {
  timespec t{us / 1'000'000, us % 1'000'000 * 1000};
  nanosleep(&t, nullptr);
}

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

}  // namespace varve
