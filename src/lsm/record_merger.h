// record_merger.h: the rules by which a merge keeps, drops and settles records (merge_job.h tells them),
// apart from where the records come from and go to. A pure function of its input; worker thread.
//
// The events of a key, newest first, are its records and the range tombstones of the job that cover it.
// Snapshots cut time into stripes: two sequences are in the same stripe if every snapshot sees both or
// neither. Within a stripe only the newest event can be seen.
//
// A barrier keeps apart what a range tombstone killed and what had been settled before. The writer of a
// record without the blind mark knew what lay below: it settled that, or, when a key moved, handed its
// collection on to another key, where it lives. If such a record dies under a range tombstone and is dropped,
// the tombstone seems to have killed what lies below. So a delete takes its place while something older may
// be there. A record with the mark needs none: what lies below it nobody has settled, and so the tombstone
// does.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "lsm/key_format.h"
#include "lsm/range_tombstones.h"
#include "lsm/record_inspector.h"
#include "lsm/table_meta.h"

namespace varve {

struct MergeRules {
  std::vector<Sequence> snapshots;  // live ones, ascending
  std::vector<std::vector<KeyRange>>
      deeper;                  // bounds of older runs outside the job; each sorted and disjoint
  RangeTombstones tombstones;  // all of the job's inputs
  const RecordInspector* inspector = nullptr;  // may be null
};

// Range tombstones of the job that must stay: in each stripe the newest one, and none that has nothing to
// hide any more.
RangeTombstones kept_tombstones(const MergeRules& rules);

class RecordMerger {
 public:
  struct Kept {
    Tag tag;
    std::string_view value;
  };
  // Takes what stays of one key, newest first, never nothing; keys ascend. The views are valid during the
  // call.
  using Sink = std::function<Status(std::string_view key, const std::vector<Kept>& versions)>;

  // `rules` must outlive the merger.
  RecordMerger(const MergeRules& rules, Sink sink);

  // The job's records, in record order. Of two with the same key and sequence the second is a copy and is
  // skipped. Fails with the sink's status, or with corruption when the order is broken.
  Status add(std::string_view key, Tag tag, std::string_view value);
  // Would a record of this key begin a new one?
  bool is_new_key(std::string_view key) const { return !has_key_ || key != key_; }
  // What stays of the key at hand goes to the sink: no record of it will follow.
  Status end_key();
  // Once, behind the last record.
  Status finish();
  // Do garbage and count corrections take more than about this many bytes of memory, after joining?
  bool findings_exceed(uint64_t bytes);

  const std::map<uint32_t, int64_t>& count_corrections() const { return count_corrections_; }
  // Ranges that are dead for the present, ascending; touching ones are joined. What a range tombstone of the
  // job has deleted since the death is not among them.
  std::vector<KeyRange>& garbage() { return garbage_; }
  uint64_t records_in() const { return records_in_; }
  uint64_t records_out() const { return records_out_; }

 private:
  struct Held {
    Tag tag;
    size_t value_offset;
    size_t value_size;
    bool barrier;
  };

  size_t stripe(Sequence sequence) const;
  void start_key(std::string_view key);
  void add_version(Tag tag, std::string_view value);
  bool deeper_may_hold(std::string_view key);
  // A barrier that has not met the next older event yet.
  bool open_barrier() const { return !held_.empty() && held_.back().barrier; }
  void report_death(std::string_view value, Sequence killer, bool correct_count);
  void join_garbage();
  bool deleted_since(const KeyRange& range, Sequence sequence) const;

  const MergeRules& rules_;
  const Sink sink_;

  // The key at hand.
  bool any_key_ = false;  // there was one: key_ is the last
  bool has_key_ = false;  // and end_key() has not been called for it
  std::string key_;
  const std::vector<Sequence>* covering_ = nullptr;  // sequences of the range tombstones that cover it
  Tag newer_;                                        // the record before, kept or not
  bool has_newer_ = false;
  std::vector<Held> held_;  // what stays so far
  std::string values_;      // their values

  // Where the ascending keys stand in the rules.
  RangeTombstones::Map::const_iterator fragment_;
  std::vector<size_t> deeper_at_;

  std::vector<Kept> kept_;
  std::map<uint32_t, int64_t> count_corrections_;
  std::vector<KeyRange> garbage_;
  size_t joined_garbage_ = 0;   // its size after it was last joined
  uint64_t garbage_bytes_ = 0;  // about its memory
  uint64_t records_in_ = 0;
  uint64_t records_out_ = 0;
};

}  // namespace varve
