// nth_life.h: one scripted life of a store over CrashFs, and what went wrong in it (nth.cc).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "support/crash_fs.h"

namespace varve::prove {

enum class ErrorKind { kIoError, kNoSpace, kShortWrite, kNoDescriptors, kFullDisk };
inline constexpr std::array<const char*, 5> kKindNames = {"eio", "nospace", "short", "emfile", "full"};

struct Plan {
  ErrorKind kind = ErrorKind::kIoError;
  bool once = true;
  uint64_t nth = 0;                         // 0: nothing fails
  test::Call open = test::Call::kOpenRead;  // kNoDescriptors: which kind of opening is counted
};

inline constexpr std::array<test::Call, 3> kOpens = {test::Call::kOpenRead, test::Call::kCreate,
                                                     test::Call::kOpenWrite};

// Calls a script makes without faults, by what a kind can hit.
struct Totals {
  uint64_t calls = 0, changes = 0, writes = 0, bytes = 0;
  std::array<uint64_t, 3> opens = {};
  uint64_t of(ErrorKind kind) const {
    const std::array<uint64_t, 5> all = {calls, changes, writes, opens[0] + opens[1] + opens[2], bytes};
    return all[static_cast<size_t>(kind)];
  }
  Plan plan(ErrorKind kind, bool once, uint64_t nth) const {
    Plan plan{kind, once, nth};
    for (size_t i = 0; kind == ErrorKind::kNoDescriptors && i < opens.size(); ++i) {
      plan.open = kOpens[i];
      if (plan.nth <= opens[i]) break;
      if (i + 1 < opens.size()) plan.nth -= opens[i];
    }
    return plan;
  }
};

struct LifeReport {
  std::vector<std::string> wrong;
  bool fired = false;   // the planned error did happen
  bool fenced = false;  // the log was fenced at least once
  Totals totals;
};
// Deterministic in both arguments.
LifeReport live(uint64_t script, const Plan& plan);

}  // namespace varve::prove
