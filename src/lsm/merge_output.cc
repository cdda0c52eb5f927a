#include "lsm/merge_output.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace varve {
namespace {

// Range tombstones of a table are read as a whole; an output that holds this many bytes of them is cut too.
constexpr uint64_t kMaxTombstoneBytes = 4 << 20;

}  // namespace

OutputWriter::OutputWriter(const MergeInput& input, RangeTombstones tombstones, uint64_t files_max,
                           bool may_stop)
    : input_(input),
      files_max_(files_max),
      may_stop_(may_stop),
      random_(input.random_seed),
      tombstones_(std::move(tombstones)),
      fragment_(tombstones_.fragments().begin()) {}

Status OutputWriter::reach(std::string_view key) {
  if (spent()) {
    stopped_at_ = key;
    return Status();
  }
  while (fragment_ != tombstones_.fragments().end() && std::string_view(fragment_->second.end) <= key) {
    VARVE_TRY(write_fragment(fragment_->second.end));
    if (stopped_at_) return Status();
    next_fragment();
  }
  return in_fragment(key) ? grow(key, false, true) : Status();
}

Status OutputWriter::add(std::string_view key, const std::vector<RecordMerger::Kept>& versions) {
  if (full()) VARVE_TRY(cut(key));
  VARVE_TRY(grow(key, true, false));
  VARVE_TRY(open());
  for (const RecordMerger::Kept& version : versions) builder_->add(key, version.tag, version.value);
  last_key_ = key;
  has_last_key_ = true;
  return Status();
}

Status OutputWriter::finish(const std::optional<std::string>& end) {
  stopped_at_.reset();
  while (fragment_ != tombstones_.fragments().end() && !(end && fragment_begin() >= *end)) {
    bool ends_inside = end && *end < fragment_->second.end;
    VARVE_TRY(write_fragment(ends_inside ? *end : fragment_->second.end));
    if (stopped_at_ || ends_inside) break;
    next_fragment();
  }
  return finish_file();
}

Result<std::unique_ptr<TableBuilder>> OutputWriter::create() {
  if (files_ >= input_.file_number_count) return Status::invalid_argument("merge: no file number left");
  uint64_t number = input_.first_file_number + files_;
  Result<std::unique_ptr<WriteFile>> file = input_.fs->create(join_path(input_.dir, table_file_name(number)));
  if (!file) return file.status();
  ++files_;
  return std::make_unique<TableBuilder>(input_.table, file.take(), number, random_.identity());
}

void OutputWriter::remove_files() {
  builder_.reset();
  for (uint64_t i = 0; i < files_; ++i) {
    (void)input_.fs->remove(join_path(input_.dir, table_file_name(input_.first_file_number + i)));
  }
}

// Does the current fragment begin before key (and, so far as is known, cover it)?
bool OutputWriter::in_fragment(std::string_view key) const {
  return fragment_ != tombstones_.fragments().end() && fragment_begin() < key;
}

std::string_view OutputWriter::fragment_begin() const {
  return std::max<std::string_view>(fragment_->first, fragment_from_);
}

void OutputWriter::next_fragment() {
  ++fragment_;
  fragment_from_.clear();
}

// The current fragment from where it stands up to `end`.
Status OutputWriter::write_fragment(std::string_view end) {
  // Not around records that are written already.
  if (full() && !(has_last_key_ && fragment_begin() <= last_key_)) {
    std::string begin(fragment_begin());
    VARVE_TRY(cut(begin));
    if (spent()) {
      stopped_at_ = std::move(begin);
      return Status();
    }
  }
  VARVE_TRY(grow(end, false, true));
  return stopped_at_ ? Status() : add_piece(end);
}

Status OutputWriter::add_piece(std::string_view end) {
  VARVE_TRY(open());
  builder_->add_range_tombstone(fragment_begin(), end, fragment_->second.sequences);
  tombstone_bytes_ += fragment_begin().size() + end.size() + fragment_->second.sequences.size() * 9;
  return Status();
}

bool OutputWriter::full() const {
  return builder_ != nullptr && files_ < files_max_ &&
         (builder_->estimated_size() >= input_.target_file_size || tombstone_bytes_ >= kMaxTombstoneBytes);
}

// The table, or the one about to be begun, shall reach to key (or hold something at it, when inclusive): ends
// it on the way wherever it would overlap too much.
Status OutputWriter::grow(std::string_view key, bool inclusive, bool stop_when_spent) {
  const std::vector<TableRef>& tables = input_.grandparents;
  for (;;) {
    if (!std::exchange(overlap_known_, true)) {
      std::string_view begin = in_fragment(key) ? fragment_begin() : key;
      auto first = std::partition_point(tables.begin(), tables.end(),
                                        [&](const TableRef& t) { return ends_before(t->meta, begin); });
      next_grandparent_ = static_cast<size_t>(first - tables.begin());
      overlapped_ = 0;
    }
    for (; next_grandparent_ < tables.size(); ++next_grandparent_) {
      const TableMeta& meta = tables[next_grandparent_]->meta;
      int order = std::string_view(meta.smallest).compare(key);
      if (order > 0 || (order == 0 && !inclusive)) return Status();
      bool too_much = overlapped_ > 0 && overlapped_ + meta.file_size > input_.max_grandparent_overlap;
      if (too_much && may_cut(meta.smallest)) break;
      overlapped_ += meta.file_size;
    }
    if (next_grandparent_ == tables.size()) return Status();
    const std::string& border = tables[next_grandparent_]->meta.smallest;
    VARVE_TRY(cut(border));
    if (stop_when_spent && spent()) {
      stopped_at_ = border;
      return Status();
    }
  }
}

// Is there a file number for what follows a cut at key? The cut itself may begin a table, for the piece of a
// range tombstone before it.
bool OutputWriter::may_cut(std::string_view key) const {
  return files_ + (builder_ == nullptr && in_fragment(key) ? 1 : 0) < files_max_;
}

// Ends the table before key.
Status OutputWriter::cut(std::string_view key) {
  VARVE_DCHECK(!has_last_key_ || last_key_ < key);
  if (in_fragment(key)) {
    VARVE_TRY(add_piece(key));
    fragment_from_ = key;
  }
  return finish_file();
}

Status OutputWriter::open() {
  if (builder_ != nullptr) return Status();
  Result<std::unique_ptr<TableBuilder>> builder = create();
  if (!builder) return builder.status();
  builder_ = builder.take();
  return Status();
}

Status OutputWriter::finish_file() {
  overlap_known_ = false;
  if (builder_ == nullptr) return Status();
  Result<TableMeta> meta = builder_->finish();
  builder_.reset();
  has_last_key_ = false;
  tombstone_bytes_ = 0;
  if (!meta) return meta.status();
  metas_.push_back(meta.take());
  return Status();
}

}  // namespace varve
