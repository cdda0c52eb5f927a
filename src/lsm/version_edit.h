// version_edit.h: one step of the manifest: what changed, all of it or nothing.
//
//   edit  := field*
//   field := tag:varint content (by tag, version_edit.cc); unknown tags are refused
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "lsm/table_meta.h"
#include "lsm/wal_format.h"

namespace varve {

// A table's place: a level, and in it a run (tables with disjoint bounds). A higher run number is newer.
// Level 0 has a run per flush; other levels of a leveled tree have the single run 0.
struct TablePlace {
  int level = 0;
  uint64_t run = 0;
  bool operator==(const TablePlace&) const = default;
};

struct VersionEdit {
  struct AddedTable {
    TablePlace place;
    TableMeta meta;
    bool operator==(const AddedTable&) const = default;
  };
  struct RemovedTable {
    TablePlace place;
    uint64_t number = 0;
    bool operator==(const RemovedTable&) const = default;
  };

  std::vector<AddedTable> added;
  std::vector<RemovedTable> removed;
  std::vector<uint64_t> quarantined;  // table numbers found damaged
  std::vector<uint64_t> healed;       // of them, those found whole since
  std::vector<LogSegment> log_added;  // in order of use
  std::vector<uint64_t> log_removed;
  std::map<uint32_t, int64_t> counter_deltas;
  // Key ranges found dead by jobs: first remembered here, then deleted by an ordinary range delete in the
  // log; gone from the manifest once that delete stands in a table.
  std::vector<KeyRange> garbage_added;
  std::vector<KeyRange> garbage_removed;
  std::optional<Sequence> flushed_sequence;  // everything up to it stands in tables
  std::optional<Sequence> durable_sequence;  // known durable in the log
  std::optional<uint64_t> next_file_number;  // with head room: numbers from here on were never used

  bool operator==(const VersionEdit&) const = default;
  void encode(std::string* out) const;
  Status decode(std::string_view bytes);
  // One line a change, for people and tests.
  std::string debug_string() const;
};

struct KeyRangeOrder {
  bool operator()(const KeyRange& a, const KeyRange& b) const {
    return std::tie(a.begin, a.end, a.end_inclusive) < std::tie(b.begin, b.end, b.end_inclusive);
  }
};

// What all edits so far add up to: the manifest's state. Pure data; the engine builds its Version from it.
struct ManifestState {
  std::map<uint64_t, VersionEdit::AddedTable> tables;  // by file number
  std::vector<uint64_t> quarantined;
  std::vector<LogSegment> log;  // in order of use
  std::map<uint32_t, int64_t> counters;
  // There may be a million. A range may be found dead twice: then it is there twice, and removed twice.
  std::multiset<KeyRange, KeyRangeOrder> garbage;
  Sequence flushed_sequence = 0;
  Sequence durable_sequence = 0;
  uint64_t next_file_number = 1;

  // Refuses (corruption) what cannot be: adding a table twice, removing one that is not there, sequences that
  // fall, a file number not below next_file_number. Within an edit removals come first (a table that moves, a
  // segment that is reused). After a failure the state is neither the old nor the new one.
  Status apply(const VersionEdit& edit);
  // What apply() would say, without doing it.
  Status would_apply(const VersionEdit& edit) const;
  // One edit that rebuilds the state from nothing.
  VersionEdit snapshot() const;
  std::string debug_string() const;
};

}  // namespace varve
