// merge_job.h: the one place where records are dropped. Flush (memtables -> level 0) and compaction (tables
// -> lower level) are the same function: merge sorted runs, keep what someone can still see, write tables. A
// pure function of its input, on a worker, blocking; its output is installed by the owner in one manifest
// edit.
//
// For the versions of one key, newest first, with the job's snapshots as stripes:
//   - a version is kept if it is the newest one visible to some snapshot or to the present, and no range
//     tombstone newer than it lies in the same stripe;
//   - a delete that is kept only for what lies deeper is dropped when nothing deeper can hold the key
//     (`deeper` has no range that contains it) and no older version of it stays;
//   - a range tombstone fragment is dropped when nothing deeper overlaps it and no snapshot is below it;
//   - a sequence becomes 0 only if nothing deeper can hold the key, no snapshot is below it, and the job
//     has no range tombstones at all;
//   - a delete without the blind mark takes the place of a record that only a range tombstone hides, if that
//     record (with what it hides in turn) left the next older one settled; it goes when nothing older can be
//     there (record_merger.h: barriers).
// Blind marks (DESIGN.md): a blind record meeting the next older event of its key in the merge is settled:
//   older put  -> its death is reported (inspector.death: count correction -1 if counted, garbage range);
//   older delete or covering range tombstone -> nothing to report;
//   and if that older record is dropped, its own blind mark passes to the newer one. A blind record that has
//   met nothing keeps its mark unless nothing deeper can hold the key. A blind delete is kept while it is
//   blind and something deeper may hold the key.
// A put whose next newer event is a range tombstone of the job that covers it dies unseen: its garbage (not a
// count) is reported when it is dropped. Garbage that a newer range tombstone of the job deletes anyway (that
// of FLUSHALL covers all elements) is not reported; ranges that touch are joined.
//
// What a job found stands in the edit that installs its outputs, so neither its memory nor that edit may grow
// with the data. A compaction therefore may end early, in front of a key: when its findings or the range
// tombstones it must hold are too large, when its file numbers are used up, or where the policy cut it
// (CompactionPick::end). Below that key all inputs are merged as if they ended there; from it on they stay:
// tables that begin at or behind it as they are, of a table that lies across it the rest is copied, unmerged,
// into a new table of the same place. So at every key either all of the job has happened or nothing of it,
// newer stays above older, and the next job goes on where this one ended. A flush never ends early: its
// memtables bound it.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "lsm/memtable.h"
#include "lsm/table.h"
#include "lsm/table_builder.h"

namespace varve {

struct MergeInput {
  FileSystem* fs = nullptr;
  std::string dir;
  // What to merge, newest first. For a flush `memtables`, for a compaction `runs` (each sorted and disjoint).
  std::vector<std::shared_ptr<const MemTable>> memtables;
  std::vector<std::vector<TableRef>> runs;
  // Bounds of the tables of every older run outside the job (deeper levels, and older runs) that overlap it.
  // Sorted by begin within each inner vector.
  std::vector<std::vector<KeyRange>> deeper;
  std::vector<Sequence> snapshots;  // live ones, ascending
  // Output files take numbers from here on; the job needs at most `file_number_count`.
  uint64_t first_file_number = 0;
  uint64_t file_number_count = 0;
  uint64_t random_seed = 0;  // for the outputs' identities
  uint64_t target_file_size = 64 << 20;
  // A compaction's: where to end at the latest (empty: nowhere), and at which bounds to end early. It does
  // the least that is possible all the same: all versions of one key, and all range tombstones of the tables
  // that begin with the first one.
  std::optional<std::string> end;
  size_t readahead_max = 1 << 20;            // of each run
  uint64_t findings_bytes_max = 4 << 20;     // garbage and count corrections, about, in memory
  uint64_t tombstone_memory_max = 64 << 20;  // and those of one table a run
  // Tables of the level below the output, in key order, for cutting outputs so that each overlaps few of
  // them (may be empty).
  std::vector<TableRef> grandparents;
  uint64_t max_grandparent_overlap = UINT64_MAX;
  TableOptions table;
  // Set by the owner to stop early (shutdown): the job removes its files and returns kAborted.
  std::shared_ptr<std::atomic<bool>> cancel;
};

struct MergeOutput {
  Status status;               // not ok: no outputs exist any more
  uint64_t damaged_table = 0;  // not ok because this input (a file number) could not be read; else 0
  // Ended early: only what lies before this key was merged.
  std::optional<std::string> ended_at;
  // What the inputs that lie across it held from there on; `run` is that of the input, whose place it takes.
  struct Rest {
    size_t run = 0;
    TableRef table;
  };
  std::vector<Rest> rests;
  std::vector<TableRef> outputs;  // written, synced, the directory synced, checked; in key order; disjoint
  std::map<uint32_t, int64_t> count_corrections;
  std::vector<KeyRange> garbage;  // ascending; neighbours neither touch nor overlap
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
  uint64_t records_in = 0;
  uint64_t records_out = 0;
};

MergeOutput run_merge(const MergeInput& input);

}  // namespace varve
