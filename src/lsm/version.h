// version.h: an immutable picture of the tree: which tables are live, in which level and run. Reads and jobs
// share it; an installed edit makes a new one that shares every run that did not change.
//
// Invariants (checked on construction, around what changed): within a run, tables are sorted and their bounds
// disjoint; in a level, runs are sorted newest first; levels below 0 of a leveled tree have one run. For one
// key, everything in an upper level or a newer run is newer than anything below it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lsm/table.h"
#include "lsm/version_edit.h"

namespace varve {

inline constexpr int kLevelCount = 7;

struct Run {
  uint64_t id = 0;  // higher is newer, within a level
  std::vector<TableRef> tables;
  uint64_t bytes = 0;
  // So that nobody need walk all tables: the bytes of those in front of each, and, in key order, those with
  // range deletes and those half of whose records delete something.
  std::vector<uint64_t> bytes_before;
  std::vector<TableRef> deleting;
  std::vector<TableRef> delete_dense;

  // The one table whose bounds contain key, or null.
  const TableRef* find(std::string_view key) const;
  // Tables whose bounds overlap the range; a part of `tables`.
  std::span<const TableRef> overlapping(const KeySpan& range) const;
  // Bytes of such a part.
  uint64_t bytes_of(std::span<const TableRef> part) const;
};
using RunRef = std::shared_ptr<const Run>;

struct Version {
  std::vector<RunRef> levels[kLevelCount];  // each newest run first
  std::vector<uint64_t> quarantined;        // sorted table numbers

  uint64_t level_bytes(int level) const;
  uint64_t level_tables(int level) const;
  bool is_quarantined(uint64_t table) const;
  // The lowest level that has tables; 0 when none has.
  int last_level() const;
  // "L0: 12#[a-c] | 9#[b-d]\nL1: ..." a line a level that has tables.
  std::string debug_string() const;
};
using VersionRef = std::shared_ptr<const Version>;

// The version with these tables. `tables` must hold each one the state names.
VersionRef make_version(const ManifestState& state, const std::map<uint64_t, TableRef>& tables);
// The version after `edit`; `added` holds the tables the edit adds (a moved table may be looked up in
// `base`).
VersionRef apply_edit(const Version& base, const VersionEdit& edit,
                      const std::map<uint64_t, TableRef>& added);

}  // namespace varve
