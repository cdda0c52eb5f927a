#include "lsm/table_iterator.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "lsm/table_format.h"

namespace varve {

// Forgets the last walk. False when there is nothing to walk.
bool TableIterator::start() {
  status_ = Status();
  blocks_crossed_ = 0;
  if (table_->meta.top_index.size == 0) return stop(IterState::kEnd);
  return open_top();
}

bool TableIterator::stop(IterState state) {
  state_ = state;
  if (state == IterState::kError && status_.ok()) status_ = source_->status();
  return false;
}

bool TableIterator::open(Level& level, BlockHandle handle, BlockKind kind) {
  if (level.block && level.handle == handle) return true;
  level.it.close();
  level.block.reset();
  IterState state = source_->get(table_, handle, kind, &level.block);
  if (state != IterState::kValid) {
    level.block.reset();
    return stop(state);
  }
  level.handle = handle;
  level.it.open(level.block->bytes());
  return true;
}

bool TableIterator::open_top() {
  return open(top_, table_->meta.top_index, BlockKind::kTopIndex);
}

bool TableIterator::malformed(const Level& level) {
  status_ = Status::corruption("{}: block at {}: malformed", table_file_name(table_->meta.number),
                               level.handle.offset);
  return stop(IterState::kError);
}

// The partition, the data block that the level above stands at. decode_block has checked every entry, but not
// that a block holds what the one above it says: only a table that was made to lie does not.
bool TableIterator::open_index() {
  PartitionHandles partition;
  if (!top_.it.valid()) return malformed(top_);
  VARVE_CHECK(partition.decode(top_.it.value()));
  return open(index_, partition.index, BlockKind::kIndex);
}

bool TableIterator::open_data() {
  BlockHandle handle;
  if (!index_.it.valid()) return malformed(index_);
  std::string_view value = index_.it.value();
  VARVE_CHECK(get_handle(&value, &handle));
  return open(data_, handle, BlockKind::kData);
}

void TableIterator::seek_to_first() {
  if (!start()) return;
  top_.it.seek_to_first();
  if (!open_index()) return;
  index_.it.seek_to_first();
  if (!open_data()) return;
  data_.it.seek_to_first();
  settle(Direction::kForward);
}

void TableIterator::seek_to_last() {
  if (!start()) return;
  top_.it.seek_to_last();
  if (!open_index()) return;
  index_.it.seek_to_last();
  if (!open_data()) return;
  data_.it.seek_to_last();
  settle(Direction::kBackward);
}

void TableIterator::seek(std::string_view key) {
  if (!start()) return;
  top_.it.seek(key);
  if (!top_.it.valid()) return void(stop(top_.it.state()));
  if (!open_index()) return;
  index_.it.seek(key);
  if (!open_data()) return;
  data_.it.seek(key);
  settle(Direction::kForward);
}

void TableIterator::seek_before(std::string_view key) {
  if (!start()) return;
  // The first block that may hold `key` or more also holds what is just below, unless it begins with `key`.
  top_.it.seek(key);
  if (top_.it.state() == IterState::kEnd) top_.it.seek_to_last();
  if (!open_index()) return;
  index_.it.seek(key);
  if (index_.it.state() == IterState::kEnd) index_.it.seek_to_last();
  if (!open_data()) return;
  data_.it.seek_before(key);
  settle(Direction::kBackward);
}

void TableIterator::next() {
  VARVE_DCHECK(valid());
  data_.it.next();
  settle(Direction::kForward);
}

void TableIterator::prev() {
  VARVE_DCHECK(valid());
  data_.it.prev();
  settle(Direction::kBackward);
}

// Where the data block has ended, goes on in its neighbour; then makes the place current.
void TableIterator::settle(Direction direction) {
  while (data_.it.state() == IterState::kEnd) {
    if (!step_data_block(direction)) return;
  }
  if (!data_.it.valid()) return void(malformed(data_));
  key_ = data_.it.key();
  value_ = data_.it.value();
  tag_ = data_.it.tag();
  state_ = IterState::kValid;
}

bool TableIterator::step_data_block(Direction direction) {
  bool forward = direction == Direction::kForward;
  if (index_.it.valid()) forward ? index_.it.next() : index_.it.prev();
  if (!index_.it.valid()) {
    forward ? top_.it.next() : top_.it.prev();
    if (!top_.it.valid()) return stop(IterState::kEnd);
    if (!open_index()) return false;
    forward ? index_.it.seek_to_first() : index_.it.seek_to_last();
  }
  if (!open_data()) {
    if (state_ == IterState::kMiss) ask_ahead(direction);
    return false;
  }
  ++blocks_crossed_;
  forward ? data_.it.seek_to_first() : data_.it.seek_to_last();
  return true;
}

// A walk that has crossed n blocks will probably cross as many again: asks for them together with the missing
// one. As a command runs again from its start after each miss, what is asked for doubles from run to run.
void TableIterator::ask_ahead(Direction direction) {
  constexpr uint32_t kMostAhead = 32;
  BlockIterator ahead(index_.block->bytes());
  ahead.seek(index_.it.key());
  for (uint32_t left = std::min(blocks_crossed_, kMostAhead); left > 0 && ahead.valid(); --left) {
    direction == Direction::kForward ? ahead.next() : ahead.prev();
    if (!ahead.valid()) return;
    BlockHandle handle;
    std::string_view value = ahead.value();
    VARVE_CHECK(get_handle(&value, &handle));
    BlockRef unused;
    (void)source_->get(table_, handle, BlockKind::kData, &unused);
  }
}

std::unique_ptr<RecordIterator> new_table_iterator(BlockSource* source, TableRef table) {
  return std::make_unique<TableIterator>(source, std::move(table));
}

namespace {

// A sorted run as one. Opens one table at a time. Bounds are those of the tables' metas: range deletes may
// have widened them, so the table that spans a key need not hold a record near it, or any record at all.
class RunIterator final : public RecordIterator {
 public:
  RunIterator(BlockSource* source, const std::vector<TableRef>* run) : source_(source), run_(*run) {}

  void seek_to_first() override {
    open(0);
    if (table_) table_->seek_to_first();
    settle_forward();
  }

  void seek_to_last() override {
    open(run_.size() - 1);  // wraps when there is none; then open() finds no table
    if (table_) table_->seek_to_last();
    settle_backward();
  }

  void seek(std::string_view key) override {
    // The first table that does not end before key.
    auto first = std::partition_point(run_.begin(), run_.end(), [&](const TableRef& t) {
      int order = std::string_view(t->meta.largest).compare(key);
      return order < 0 || (order == 0 && t->meta.largest_exclusive);
    });
    open(static_cast<size_t>(first - run_.begin()));
    if (table_) table_->seek(key);
    settle_forward();
  }

  void seek_before(std::string_view key) override {
    // The last table that begins before key.
    auto after = std::partition_point(run_.begin(), run_.end(), [&](const TableRef& t) {
      return std::string_view(t->meta.smallest) < key;
    });
    open(static_cast<size_t>(after - run_.begin()) - 1);
    if (table_) table_->seek_before(key);
    settle_backward();
  }

  void next() override {
    VARVE_DCHECK(valid());
    table_->next();
    settle_forward();
  }

  void prev() override {
    VARVE_DCHECK(valid());
    table_->prev();
    settle_backward();
  }

  bool begins_key() const override { return table_->begins_key(); }
  Status status() const override { return table_ ? table_->status() : Status(); }

 private:
  void open(size_t i) {
    if (i >= run_.size()) {
      table_.reset();
      at_ = run_.size();
    } else if (!table_ || at_ != i) {
      at_ = i;
      table_.emplace(source_, run_[i]);
    }
  }

  void settle_forward() {
    while (table_ && table_->state() == IterState::kEnd) {
      open(at_ + 1);
      if (table_) table_->seek_to_first();
    }
    take();
  }

  void settle_backward() {
    while (table_ && table_->state() == IterState::kEnd) {
      open(at_ - 1);  // wraps below the first table: none is open then
      if (table_) table_->seek_to_last();
    }
    take();
  }

  void take() {
    state_ = table_ ? table_->state() : IterState::kEnd;
    if (state_ != IterState::kValid) return;
    key_ = table_->key();
    value_ = table_->value();
    tag_ = table_->tag();
  }

  BlockSource* source_;
  const std::vector<TableRef>& run_;
  size_t at_ = 0;
  std::optional<TableIterator> table_;
};

}  // namespace

std::unique_ptr<RecordIterator> new_run_iterator(BlockSource* source, const std::vector<TableRef>* run) {
  return std::make_unique<RunIterator>(source, run);
}

}  // namespace varve
