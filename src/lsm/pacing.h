// pacing.h: how fast writes may come, as a pure function of how far the background is behind (DESIGN.md, law
// 10): unlimited while it keeps up, then falling smoothly, so that there is no cliff; full stop only where
// memory or the tree's shape would otherwise run away.
#pragma once

#include <cstdint>

namespace varve {

struct PacingState {
  uint64_t level0_runs = 0;
  uint64_t level0_slow = 8;
  uint64_t level0_stop = 16;
  uint64_t frozen_memtables = 0;
  uint64_t frozen_max = 2;
  double active_fill = 0;  // of the active memtable, 0..1 and above
  uint64_t debt_bytes = 0;
  uint64_t debt_slow = 0;  // 0: debt does not slow
  uint64_t debt_stop = 0;
  double drain_bytes_per_s = 0;  // what flush and compaction lately absorbed of user bytes
};

struct PacingVerdict {
  bool stop = false;       // wait until something finishes
  double pressure = 0;     // 0: none ... 1: stop
  double bytes_per_s = 0;  // 0: unlimited
};

PacingVerdict pace(const PacingState& state);

}  // namespace varve
