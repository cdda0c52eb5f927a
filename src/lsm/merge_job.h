// merge_job.h: the one place where records are dropped. Flush (memtables -> level 0) and compaction (tables
// -> lower level) are the same function: merge sorted runs, keep what someone can still see, write tables. A
// pure function of its input, on a worker, blocking; its output is installed by the owner in one manifest
// edit.
//
// For the versions of one key, newest first, with the job's snapshots as stripes:
//   - a version is kept if it is the newest one visible to some snapshot or to the present, and no range
//   tombstone
//     newer than it lies in the same stripe;
//   - a delete that is kept only for what lies deeper is dropped when nothing deeper can hold the key
//     (`deeper` has no range that contains it) and no older version of it stays;
//   - a range tombstone fragment is dropped when nothing deeper overlaps it and no snapshot is below it;
//   - a sequence becomes 0 only if nothing deeper can hold the key, no snapshot is below it, and the job has
//   no
//     range tombstones at all;
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
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
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
  // Bounds of every run older than the inputs that is not among them (deeper levels, and older runs). Sorted
  // by begin within each inner vector.
  std::vector<std::vector<KeyRange>> deeper;
  std::vector<Sequence> snapshots;  // live ones, ascending
  // Output files take numbers from here on; the job needs at most `file_number_count`.
  uint64_t first_file_number = 0;
  uint64_t file_number_count = 0;
  uint64_t random_seed = 0;  // for the outputs' identities
  uint64_t target_file_size = 64 << 20;
  // Tables of the level below the output, for cutting outputs so that each overlaps few of them (may be
  // empty).
  std::vector<TableRef> grandparents;
  uint64_t max_grandparent_overlap = UINT64_MAX;
  TableOptions table;
  // Set by the owner to stop early (shutdown): the job removes its files and returns kAborted.
  std::shared_ptr<std::atomic<bool>> cancel;
};

struct MergeOutput {
  Status status;                  // not ok: no outputs exist any more
  uint64_t damaged_table = 0;     // not ok because this input (a file number) could not be read; else 0
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
