#include "lsm/merge_job.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/plant.h"
#include "lsm/merge_output.h"
#include "lsm/merging_iterator.h"
#include "lsm/record_merger.h"

namespace varve {
namespace {

// How many records may pass before the owner's wish to stop is seen.
constexpr uint64_t kCancelEvery = 256;

// Serves one run. Remembers which table was asked for last: the one to blame when the run turns out to be
// damaged. A run is read one table at a time, so a new table gets a new source: the readahead of the last one
// is given back.
class WatchedSource final : public BlockSource {
 public:
  explicit WatchedSource(const MergeInput& input) : input_(input) {}

  IterState get(const TableRef& table, BlockHandle handle, BlockKind kind, BlockRef* out) override {
    if (std::exchange(last_table_, table->meta.number) != table->meta.number) {
      source_ = new_direct_source(*input_.fs, input_.dir, input_.readahead_max);
    }
    return source_->get(table, handle, kind, out);
  }
  Status status() const override { return source_ ? source_->status() : Status(); }
  uint64_t last_table() const { return last_table_; }

 private:
  const MergeInput& input_;
  std::unique_ptr<BlockSource> source_;  // null until the first get()
  uint64_t last_table_ = 0;              // no table has number 0
};

class MergeJob {
 public:
  explicit MergeJob(const MergeInput& input) : input_(input) {}

  MergeOutput run() {
    output_.status = merge();
    return std::move(output_);
  }

 private:
  Status merge() {
    // The rests take one file number a run.
    uint64_t files_max = input_.file_number_count;
    bool room_for_rests = files_max >= input_.runs.size() + 3;
    VARVE_CHECK(!input_.end || room_for_rests);
    may_end_early_ = !input_.runs.empty() && room_for_rests;
    if (may_end_early_) files_max -= input_.runs.size();
    output_.ended_at = input_.end;
    VARVE_TRY(read_tombstones());
    rules_.snapshots = input_.snapshots;
    rules_.deeper = input_.deeper;
    rules_.inspector = input_.table.inspector;
    OutputWriter writer(input_, kept_tombstones(rules_), files_max, may_end_early_);
    Status status = merge_into(writer);
    if (!status.ok()) {
      writer.remove_files();
      uint64_t damaged = output_.damaged_table;
      output_ = MergeOutput();
      output_.damaged_table = damaged;
    }
    return status;
  }

  Status merge_into(OutputWriter& writer) {
    RecordMerger merger(rules_, [&](std::string_view key, const std::vector<RecordMerger::Kept>& versions) {
      return writer.add(key, versions);
    });
    std::unique_ptr<RecordIterator> records = open_inputs();
    for (records->seek_to_first(); records->valid(); records->next()) {
      VARVE_TRY(check_cancel());
      if (merger.is_new_key(records->key())) {
        VARVE_TRY(merger.end_key());
        if (ends_before_key(records->key(), merger)) break;
        VARVE_TRY(writer.reach(records->key()));
        if (stopped(writer)) break;
      }
      VARVE_TRY(merger.add(records->key(), records->tag(), records->value()));
    }
    if (records->state() == IterState::kError) return blame(records->status());
    VARVE_TRY(merger.finish());
    VARVE_TRY(writer.finish(output_.ended_at));
    (void)stopped(writer);
    VARVE_TRY(copy_rests(writer));
    bool written = (!writer.outputs().empty() || !rests_.empty()) && !planted(Plant::tables_without_dir_sync);
    if (written) VARVE_TRY(input_.fs->sync_dir(input_.dir));
    VARVE_TRY(check_outputs(writer));
    output_.count_corrections = merger.count_corrections();
    output_.garbage = std::move(merger.garbage());
    output_.records_in = merger.records_in();
    output_.records_out = merger.records_out();
    return Status();
  }

  // Does the job end in front of this key?
  bool ends_before_key(std::string_view key, RecordMerger& merger) {
    if (output_.ended_at && key >= std::string_view(*output_.ended_at)) return true;
    if (!may_end_early_ || !merger.findings_exceed(input_.findings_bytes_max)) return false;
    output_.ended_at = key;
    return true;
  }

  bool stopped(const OutputWriter& writer) {
    if (!writer.stopped_at()) return false;
    output_.ended_at = writer.stopped_at();
    return true;
  }

  // Of all tables that begin before the job's end. As many as memory allows: the job ends before the others.
  Status read_tombstones() {
    for (const auto& memtable : input_.memtables) {
      for (const auto& [begin, fragment] : memtable->range_tombstones().fragments()) {
        for (Sequence sequence : fragment.sequences) rules_.tombstones.add(begin, fragment.end, sequence);
      }
    }
    std::vector<const TableRef*> tables;
    for (const std::vector<TableRef>& run : input_.runs) {
      for (const TableRef& table : run) tables.push_back(&table);
    }
    std::sort(tables.begin(), tables.end(),
              [](const TableRef* a, const TableRef* b) { return (*a)->meta.smallest < (*b)->meta.smallest; });
    WatchedSource source(input_);
    for (const TableRef* table : tables) {
      const TableMeta& meta = (*table)->meta;
      if (output_.ended_at && meta.smallest >= *output_.ended_at) break;
      if (meta.range_deletes == 0) continue;
      bool enough = rules_.tombstones.memory_used() > input_.tombstone_memory_max;
      if (enough && may_end_early_ && meta.smallest > tables.front()->get()->meta.smallest) {
        output_.ended_at = meta.smallest;
        break;
      }
      IterState state = table_range_tombstones(source, *table, &rules_.tombstones);
      if (state == IterState::kValid) continue;
      output_.damaged_table = meta.number;
      return source.status();
    }
    return Status();
  }

  // What inputs hold from the job's end on, for the place they have now.
  Status copy_rests(OutputWriter& writer) {
    for (size_t run = 0; run < input_.runs.size(); ++run) {
      for (const TableRef& table : input_.runs[run]) {
        if (output_.ended_at && table->meta.smallest >= *output_.ended_at) break;
        output_.bytes_read += table->meta.file_size;
        if (output_.ended_at && !ends_before(table->meta, *output_.ended_at)) {
          VARVE_TRY(copy_rest(writer, run, table));
        }
      }
    }
    return Status();
  }

  Status copy_rest(OutputWriter& writer, size_t run, const TableRef& table) {
    Result<std::unique_ptr<TableBuilder>> created = writer.create();
    if (!created) return created.status();
    std::unique_ptr<TableBuilder> builder = created.take();
    std::unique_ptr<BlockSource> source = new_direct_source(*input_.fs, input_.dir);
    RangeTombstones tombstones;
    if (table_range_tombstones(*source, table, &tombstones) != IterState::kValid) {
      output_.damaged_table = table->meta.number;
      return source->status();
    }
    const RangeTombstones rest = tombstones.clipped(*output_.ended_at, "", false);
    for (const auto& [begin, fragment] : rest.fragments()) {
      builder->add_range_tombstone(begin, fragment.end, fragment.sequences);
    }
    std::unique_ptr<RecordIterator> records = new_table_iterator(source.get(), table);
    for (records->seek(*output_.ended_at); records->valid(); records->next()) {
      VARVE_TRY(check_cancel());
      builder->add(records->key(), records->tag(), records->value());
    }
    if (records->state() == IterState::kError) {
      output_.damaged_table = table->meta.number;
      return records->status();
    }
    Result<TableMeta> meta = builder->finish();
    if (!meta) return meta.status();
    rests_.push_back({run, meta.take()});
    return Status();
  }

  // Each output was found to be whole, and is closed again: there may be more than files may be open.
  Status check_outputs(const OutputWriter& writer) {
    for (const TableMeta& meta : writer.outputs()) {
      VARVE_TRY(check_output(meta));
      output_.outputs.push_back(std::make_shared<const Table>(Table{meta}));
    }
    for (const auto& [run, meta] : rests_) {
      VARVE_TRY(check_output(meta));
      output_.rests.push_back({run, std::make_shared<const Table>(Table{meta})});
    }
    return Status();
  }
  Status check_output(const TableMeta& meta) {
    output_.bytes_written += meta.file_size;
    return open_table(*input_.fs, input_.dir, meta).status();
  }

  std::unique_ptr<RecordIterator> open_inputs() {
    std::vector<std::unique_ptr<RecordIterator>> children;
    for (const auto& memtable : input_.memtables) children.push_back(memtable->new_iterator());
    for (const std::vector<TableRef>& run : input_.runs) {
      sources_.push_back(std::make_unique<WatchedSource>(input_));
      children.push_back(new_run_iterator(sources_.back().get(), &run));
      run_iterators_.push_back(children.back().get());
    }
    return new_merging_iterator(std::move(children));
  }

  Status blame(Status status) {
    for (size_t i = 0; i < run_iterators_.size(); ++i) {
      if (run_iterators_[i]->state() == IterState::kError) output_.damaged_table = sources_[i]->last_table();
    }
    return status;
  }

  Status check_cancel() {
    if (until_check_-- > 0) return Status();
    until_check_ = kCancelEvery;
    if (input_.cancel == nullptr || !input_.cancel->load(std::memory_order_relaxed)) return Status();
    return Status::aborted("merge: stopped");
  }

  const MergeInput& input_;
  MergeRules rules_;
  MergeOutput output_;
  bool may_end_early_ = false;
  uint64_t until_check_ = 0;
  std::vector<std::pair<size_t, TableMeta>> rests_;
  std::vector<std::unique_ptr<WatchedSource>> sources_;  // one for each run, for its readahead
  std::vector<RecordIterator*> run_iterators_;           // live inside the merging iterator
};

}  // namespace

MergeOutput run_merge(const MergeInput& input) {
  VARVE_CHECK(input.fs != nullptr && (input.memtables.empty() || input.runs.empty()));
  return MergeJob(input).run();
}

}  // namespace varve
