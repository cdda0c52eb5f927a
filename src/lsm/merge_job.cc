#include "lsm/merge_job.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "lsm/merging_iterator.h"
#include "lsm/record_merger.h"

namespace varve {
namespace {

// Range tombstones of a table are read as a whole; an output that holds this many bytes of them is cut too.
constexpr uint64_t kMaxTombstoneBytes = 4 << 20;
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
      source_ = new_direct_source(*input_.fs, input_.dir);
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

// Writes the outputs. File k holds everything of [border k, border k + 1): range tombstones that lie across a
// border are cut there, so the files are disjoint.
class OutputWriter {
 public:
  OutputWriter(const MergeInput& input, RangeTombstones tombstones)
      : input_(input),
        random_(input.random_seed),
        tombstones_(std::move(tombstones)),
        fragment_(tombstones_.fragments().begin()) {}

  Status add(std::string_view key, const std::vector<RecordMerger::Kept>& versions) {
    VARVE_TRY(add_tombstones(key));
    VARVE_TRY(maybe_cut(key));
    VARVE_TRY(open());
    for (const RecordMerger::Kept& version : versions) builder_->add(key, version.tag, version.value);
    last_key_ = key;
    has_last_key_ = true;
    return Status();
  }

  Status finish() {
    while (fragment_ != tombstones_.fragments().end()) {
      VARVE_TRY(maybe_cut(fragment_begin()));
      VARVE_TRY(add_piece(fragment_->second.end));
      next_fragment();
    }
    VARVE_TRY(finish_file());
    if (metas_.empty()) return Status();
    return input_.fs->sync_dir(input_.dir);
  }

  // Each was found to be whole, and is closed again: there may be more than files may be open.
  Result<std::vector<TableRef>> check_outputs() {
    std::vector<TableRef> tables;
    for (const TableMeta& meta : metas_) {
      Result<OpenTableRef> table = open_table(*input_.fs, input_.dir, meta);
      if (!table) return table.status();
      tables.push_back(std::make_shared<const Table>(Table{meta}));
    }
    return tables;
  }

  // Best effort: what stays is not named by the manifest, and goes at the next start.
  void remove_outputs() {
    builder_.reset();
    for (uint64_t i = 0; i < files_; ++i) {
      (void)input_.fs->remove(join_path(input_.dir, table_file_name(input_.first_file_number + i)));
    }
  }

  uint64_t bytes_written() const {
    uint64_t bytes = 0;
    for (const TableMeta& meta : metas_) bytes += meta.file_size;
    return bytes;
  }

 private:
  std::string_view fragment_begin() const {
    return std::max<std::string_view>(fragment_->first, fragment_from_);
  }
  void next_fragment() {
    ++fragment_;
    fragment_from_.clear();
  }

  // Range tombstones that end at or before key.
  Status add_tombstones(std::string_view key) {
    while (fragment_ != tombstones_.fragments().end() && std::string_view(fragment_->second.end) <= key) {
      VARVE_TRY(maybe_cut(fragment_begin()));
      VARVE_TRY(add_piece(fragment_->second.end));
      next_fragment();
    }
    return Status();
  }

  // The current fragment from where it stands up to `end`.
  Status add_piece(std::string_view end) {
    VARVE_TRY(open());
    builder_->add_range_tombstone(fragment_begin(), end, fragment_->second.sequences);
    tombstone_bytes_ += fragment_begin().size() + end.size() + fragment_->second.sequences.size() * 9;
    return Status();
  }

  // Ends the file before `key`, where the next thing to be written begins, if it is large enough. Not if that
  // thing is a range tombstone around records that are written already.
  Status maybe_cut(std::string_view key) {
    bool crowded = pass_grandparents(key);
    if (builder_ == nullptr || files_ >= input_.file_number_count) return Status();
    if (has_last_key_ && key <= last_key_) return Status();
    bool full =
        builder_->estimated_size() >= input_.target_file_size || tombstone_bytes_ >= kMaxTombstoneBytes;
    if (!crowded && !full) return Status();
    if (fragment_ != tombstones_.fragments().end() && fragment_begin() < key) {
      VARVE_TRY(add_piece(key));
      fragment_from_ = key;
    }
    return finish_file();
  }

  // True when the file, from its start up to key, overlaps too much of the level below.
  bool pass_grandparents(std::string_view key) {
    const std::vector<TableRef>& tables = input_.grandparents;
    for (; grandparent_ < tables.size() && tables[grandparent_]->meta.largest < key; ++grandparent_) {
      if (builder_ != nullptr) overlapped_ += tables[grandparent_]->meta.file_size;
    }
    return overlapped_ > input_.max_grandparent_overlap;
  }

  Status open() {
    if (builder_ != nullptr) return Status();
    if (files_ >= input_.file_number_count) return Status::invalid_argument("merge: no file number left");
    uint64_t number = input_.first_file_number + files_;
    Result<std::unique_ptr<WriteFile>> file =
        input_.fs->create(join_path(input_.dir, table_file_name(number)));
    if (!file) return file.status();
    ++files_;
    builder_ = std::make_unique<TableBuilder>(input_.table, file.take(), number, random_.identity());
    return Status();
  }

  Status finish_file() {
    if (builder_ == nullptr) return Status();
    Result<TableMeta> meta = builder_->finish();
    builder_.reset();
    has_last_key_ = false;
    tombstone_bytes_ = 0;
    overlapped_ = 0;
    if (!meta) return meta.status();
    metas_.push_back(meta.take());
    return Status();
  }

  const MergeInput& input_;
  Random random_;
  const RangeTombstones tombstones_;
  RangeTombstones::Map::const_iterator fragment_;  // the first that is not wholly written
  std::string fragment_from_;                      // where it was cut; empty: not at all
  std::unique_ptr<TableBuilder> builder_;          // of the file being written
  bool has_last_key_ = false;                      // it has a record; the last one's key follows
  std::string last_key_;
  uint64_t tombstone_bytes_ = 0;  // in it
  uint64_t overlapped_ = 0;       // bytes of grandparents it overlaps
  size_t grandparent_ = 0;
  uint64_t files_ = 0;  // created
  std::vector<TableMeta> metas_;
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
    VARVE_TRY(read_tombstones());
    rules_.snapshots = input_.snapshots;
    rules_.deeper = input_.deeper;
    rules_.inspector = input_.table.inspector;
    OutputWriter writer(input_, kept_tombstones(rules_));
    Status status = merge_into(writer);
    if (!status.ok()) {
      writer.remove_outputs();
      output_.outputs.clear();
      output_.count_corrections.clear();
      output_.garbage.clear();
    }
    return status;
  }

  Status merge_into(OutputWriter& writer) {
    RecordMerger merger(rules_, [&](std::string_view key, const std::vector<RecordMerger::Kept>& versions) {
      return writer.add(key, versions);
    });
    std::unique_ptr<RecordIterator> records = open_inputs();
    uint64_t until_check = 0;
    for (records->seek_to_first(); records->valid(); records->next()) {
      if (until_check-- == 0) {
        VARVE_TRY(check_cancel());
        until_check = kCancelEvery;
      }
      VARVE_TRY(merger.add(records->key(), records->tag(), records->value()));
    }
    if (records->state() == IterState::kError) return blame(records->status());
    VARVE_CHECK(records->state() == IterState::kEnd);
    VARVE_TRY(merger.finish());
    VARVE_TRY(check_cancel());
    VARVE_TRY(writer.finish());
    Result<std::vector<TableRef>> tables = writer.check_outputs();
    if (!tables) return tables.status();
    output_.outputs = tables.take();
    output_.count_corrections = merger.count_corrections();
    output_.garbage = std::move(merger.garbage());
    output_.bytes_written = writer.bytes_written();
    output_.records_in = merger.records_in();
    output_.records_out = merger.records_out();
    return Status();
  }

  Status read_tombstones() {
    for (const auto& memtable : input_.memtables) {
      for (const auto& [begin, fragment] : memtable->range_tombstones().fragments()) {
        for (Sequence sequence : fragment.sequences) rules_.tombstones.add(begin, fragment.end, sequence);
      }
    }
    WatchedSource source(input_);
    for (const std::vector<TableRef>& run : input_.runs) {
      for (const TableRef& table : run) {
        output_.bytes_read += table->meta.file_size;
        if (table->meta.range_deletes == 0) continue;
        IterState state = table_range_tombstones(source, table, &rules_.tombstones);
        if (state == IterState::kValid) continue;
        output_.damaged_table = table->meta.number;
        return source.status();
      }
    }
    return Status();
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

  Status check_cancel() const {
    if (input_.cancel == nullptr || !input_.cancel->load(std::memory_order_relaxed)) return Status();
    return Status::aborted("merge: stopped");
  }

  const MergeInput& input_;
  MergeRules rules_;
  MergeOutput output_;
  std::vector<std::unique_ptr<WatchedSource>> sources_;  // one for each run, for its readahead
  std::vector<RecordIterator*> run_iterators_;           // live inside the merging iterator
};

}  // namespace

MergeOutput run_merge(const MergeInput& input) {
  VARVE_CHECK(input.fs != nullptr && (input.memtables.empty() || input.runs.empty()));
  return MergeJob(input).run();
}

}  // namespace varve
