// compaction_policy.h: what to compact next: a pure function of the tree's shape (DESIGN.md, law 10). No I/O,
// no clock.
//
// leveled: level 0 has a run per flush; every deeper level has one run. Level sizes are dynamic, as in
// RocksDB's level_compaction_dynamic_level_bytes: the last level's actual size divided by the multiplier,
// level by level upwards, until the base level, to which level 0 is compacted. That keeps about 1/multiplier
// of stale data.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lsm/version.h"

namespace varve {

// A job reads at most so many runs of level 0, and one of the level below: each is one open file.
inline constexpr size_t kJobRunsMax = 64;

struct CompactionOptions {
  uint64_t base_level_size = 128 << 20;
  int level_multiplier = 10;
  int level0_trigger = 4;
  uint64_t table_size = 32 << 20;
  // A job's inputs, together. More only if already the tables that hold the first key it moves (one a run, at
  // most) are more.
  uint64_t job_bytes_max = 25ull * (32 << 20);
  size_t job_tables_max = 500;
};

// A job: `inputs` from newest to oldest run, all merged into the single run of output_level (level 0 inputs
// and the output level's overlapping tables included).
//
// Or, when damaged tables keep level 0 from going down: neighbouring runs of level 0 become one run of level
// 0, number output_run (that of the newest input). Level 0's older runs are then among what is deeper.
//
// What would be too much for one job ends at a key, a border of one of its tables: merged is what lies before
// it, the rest stays where it is (merge_job.h), for the next pick. Each job moves something, so that comes to
// an end. A move of whole tables rewrites nothing and is not bounded.
struct CompactionPick {
  struct Input {
    TablePlace place;
    std::vector<TableRef> tables;  // in key order
  };
  std::vector<Input> inputs;
  std::optional<std::string> end;  // all of them begin before it
  int output_level = 0;
  uint64_t output_run = 0;    // 0 below level 0
  bool trivial_move = false;  // the tables change their level and nothing is rewritten
  const char* reason = "";  // "level0", "level0 blocked", "size", "tombstones", "range tombstones", "manual"

  uint64_t input_bytes() const;
  std::string debug_string() const;  // "size: L1 7 + L2 3 4 -> L2", "... up to m" when it ends there
};

struct LevelTargets {
  int base_level = kLevelCount - 1;  // where level 0 goes
  uint64_t bytes[kLevelCount] = {};  // target sizes; 0 above the base level
};
LevelTargets level_targets(const Version& version, const CompactionOptions& options);

// Scores: level 0's runs against the trigger, deeper levels' bytes against their target. >= 1 wants work.
double level_score(const Version& version, const LevelTargets& targets, int level,
                   const CompactionOptions& options);

// The most urgent job that touches no table in `busy` (inputs of running jobs), or nothing.
std::optional<CompactionPick> pick_compaction(const Version& version, const std::set<uint64_t>& busy,
                                              const CompactionOptions& options);

// For compact_range: the next job that moves what lies in `range` at `level` one step down (level < last) or
// rewrites it in place (level = last; tables numbered from `rewritten_from` on were written by this very
// compaction and are left alone, but for `rests`, which were only copied). Nothing: this level is done. The
// caller runs no other compaction meanwhile.
std::optional<CompactionPick> pick_manual(const Version& version, const KeyRange& range, int level,
                                          uint64_t rewritten_from, const std::set<uint64_t>& rests,
                                          const CompactionOptions& options);

// Bytes that must still be moved before every level is within its target.
uint64_t compaction_debt(const Version& version, const CompactionOptions& options);

}  // namespace varve
