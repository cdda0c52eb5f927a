// merge_output.h: distributes what a merge lets through over output tables. Worker thread; private to
// merge_job.cc.
//
// Table k holds everything of [border k, border k + 1): range tombstones that lie across a border are cut
// there, so the tables are disjoint. A table ends
//   - when it is full, before the next record or range tombstone that begins;
//   - before it would overlap more than max_grandparent_overlap bytes of the level below, at the border of
//     the table there that would be too much; inside of a range tombstone, too. So a later job that takes
//     one output down is bounded; only the records of a single key, and one table below, are never parted.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "lsm/merge_job.h"
#include "lsm/record_merger.h"

namespace varve {

class OutputWriter {
 public:
  // `input` must outlive it. It makes at most `files_max` tables; with `may_stop` it stops rather than write
  // larger ones.
  OutputWriter(const MergeInput& input, RangeTombstones tombstones, uint64_t files_max, bool may_stop);

  // What follows lies at or behind key: writes the range tombstones up to there. Keys ascend.
  Status reach(std::string_view key);
  // The key last reached, and what stays of it.
  Status add(std::string_view key, const std::vector<RecordMerger::Kept>& versions);
  // Where writing stopped: nothing at or behind this key was written, everything before it was. Set by
  // reach() and finish(); nothing may be added any more.
  const std::optional<std::string>& stopped_at() const { return stopped_at_; }
  // The remaining range tombstones, up to `end` if there is one (stopped_at() among the reasons).
  Status finish(const std::optional<std::string>& end);

  // A new table beside the outputs, made and counted by the same rules; takes one more file number.
  Result<std::unique_ptr<TableBuilder>> create();
  const std::vector<TableMeta>& outputs() const { return metas_; }
  // Best effort: what stays is not named by the manifest, and goes at the next start.
  void remove_files();

 private:
  bool in_fragment(std::string_view key) const;
  std::string_view fragment_begin() const;
  void next_fragment();
  Status write_fragment(std::string_view end);
  Status add_piece(std::string_view end);
  bool full() const;
  Status grow(std::string_view key, bool inclusive, bool stop_when_spent);
  bool may_cut(std::string_view key) const;
  Status cut(std::string_view key);
  // Only what has been begun may still be ended.
  bool spent() const { return may_stop_ && files_ + 1 >= files_max_; }
  Status open();
  Status finish_file();

  const MergeInput& input_;
  const uint64_t files_max_;
  const bool may_stop_;
  Random random_;
  const RangeTombstones tombstones_;
  RangeTombstones::Map::const_iterator fragment_;  // the first that is not wholly written
  std::string fragment_from_;                      // where it was cut; empty: not at all
  std::unique_ptr<TableBuilder> builder_;          // of the table being written
  bool has_last_key_ = false;                      // it has a record; the last one's key follows
  std::string last_key_;
  uint64_t tombstone_bytes_ = 0;  // in it
  bool overlap_known_ = false;    // the next two belong to this table, or to the one about to be begun
  uint64_t overlapped_ = 0;       // bytes of grandparents it overlaps
  size_t next_grandparent_ = 0;   // the first that is not among them, behind those
  uint64_t files_ = 0;            // created
  std::optional<std::string> stopped_at_;
  std::vector<TableMeta> metas_;
};

}  // namespace varve
