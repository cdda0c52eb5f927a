#include "lsm/pacing.h"

#include <algorithm>

namespace varve {
namespace {

// Slowest pace before a stop: enough for an interactive client, far below what flushes absorb.
constexpr double kFloorBytesPerSecond = 1 << 20;
// Where slowing starts when nothing was measured yet.
constexpr double kAssumedDrain = 64.0 * (1 << 20);

double between(double value, double low, double high) {
  if (high <= low) return value >= high ? 1 : 0;
  return std::clamp((value - low) / (high - low), 0.0, 1.0);
}

}  // namespace

PacingVerdict pace(const PacingState& s) {
  PacingVerdict verdict;
  bool memtables_full = s.frozen_memtables >= s.frozen_max;
  double memory = memtables_full ? between(s.active_fill, 0.25, 1.0) : 0;
  double level0 = between(static_cast<double>(s.level0_runs), static_cast<double>(s.level0_slow),
                          static_cast<double>(s.level0_stop));
  double debt = s.debt_stop == 0
                    ? 0
                    : between(static_cast<double>(s.debt_bytes), static_cast<double>(s.debt_slow),
                              static_cast<double>(s.debt_stop));
  verdict.pressure = std::max({memory, level0, debt});
  if (verdict.pressure <= 0) return verdict;
  // Debt alone never stops: it slows to the floor, and the tree's other limits hold.
  if (memory >= 1 || level0 >= 1) {
    verdict.stop = true;
    return verdict;
  }
  double drain = s.drain_bytes_per_s > 0 ? s.drain_bytes_per_s : kAssumedDrain;
  // From twice the drain rate (pressure just above 0) to a twentieth of it.
  verdict.bytes_per_s = std::max(kFloorBytesPerSecond, drain * (2.0 - 1.95 * verdict.pressure));
  return verdict;
}

}  // namespace varve
