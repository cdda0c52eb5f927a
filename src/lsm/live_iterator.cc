// live_iterator.cc: live keys in order: all records merged, then for each key the newest visible version,
// unless it is a delete or a range tombstone newer than it covers it.
#include <algorithm>

#include "base/check.h"
#include "lsm/cached_source.h"
#include "lsm/engine_impl.h"
#include "lsm/merging_iterator.h"

namespace varve {
namespace {

class MergedLiveIterator final : public LiveIterator {
 public:
  MergedLiveIterator(Engine::Impl& engine, ReadContext& context, std::string_view begin, std::string_view end,
                     Sequence at)
      : source_(engine, &context),
        context_(context),
        version_(engine.version_),
        begin_(begin),
        end_(end),
        at_(at) {
    memtables_.push_back(engine.active_);
    for (auto it = engine.frozen_.rbegin(); it != engine.frozen_.rend(); ++it) memtables_.push_back(*it);
    std::vector<std::unique_ptr<RecordIterator>> children;
    for (const auto& memtable : memtables_) {
      if (memtable->entry_count() > 0) children.push_back(memtable->new_iterator());
    }
    for (const std::vector<RunRef>& runs : version_->levels) {
      for (const RunRef& run : runs) {
        if (!touches(*run)) continue;
        children.push_back(new_run_iterator(&source_, &run->tables));
        for (const TableRef& table : run->tables) {
          if (table->meta.range_deletes > 0) deleting_tables_.push_back(table);
        }
      }
    }
    merged_ = new_merging_iterator(std::move(children));
  }

  void seek(std::string_view key) override {
    merged_->seek(std::max(key, std::string_view(begin_)));
    find_forward();
  }
  void seek_to_first() override { seek(begin_); }
  void seek_before(std::string_view key) override {
    merged_->seek_before(end_.empty() ? key : std::min(key, std::string_view(end_)));
    find_backward();
  }
  void seek_to_last() override {
    if (end_.empty()) {
      merged_->seek_to_last();
    } else {
      merged_->seek_before(end_);
    }
    find_backward();
  }
  void next() override {
    VARVE_DCHECK(valid());
    if (backward_) {
      // The merge stands before this key.
      merged_->seek(key_);
    }
    skip_key();
    find_forward();
  }
  void prev() override {
    VARVE_DCHECK(valid());
    if (!backward_) merged_->seek_before(std::string(key_));
    find_backward();
  }
  IterState state() const override { return state_; }
  std::string_view key() const override { return key_; }
  std::string_view value() const override {
    return backward_ ? std::string_view(value_copy_) : merged_->value();
  }

 private:
  bool touches(const Run& run) const {
    KeyRange whole = bounds(run.tables.front()->meta);
    const TableMeta& last = run.tables.back()->meta;
    bool before = last.largest < begin_ || (last.largest_exclusive && last.largest == begin_);
    bool after = !end_.empty() && whole.begin >= end_;
    return !before && !after;
  }

  void skip_key() {
    while (merged_->valid() && merged_->key() == key_) merged_->next();
  }

  // From the first version of some key on: the next live one.
  void find_forward() {
    backward_ = false;
    while (merged_->valid()) {
      if (!end_.empty() && merged_->key() >= end_) {
        state_ = IterState::kEnd;
        return;
      }
      if (merged_->tag().sequence() > at_) {
        merged_->next();
        continue;
      }
      key_.assign(merged_->key());
      bool dead = merged_->tag().kind() != Kind::kPut;
      note_seen(merged_->tag().sequence());
      if (!dead) {
        Sequence cover = 0;
        if (!covering(key_, &cover)) return;
        dead = cover > merged_->tag().sequence();
      }
      if (!dead) {
        state_ = IterState::kValid;
        return;
      }
      skip_key();
    }
    state_ = merged_->state();
  }

  // Backwards the versions of a key come oldest first: the last visible one seen is the newest.
  void find_backward() {
    backward_ = true;
    while (merged_->valid()) {
      if (merged_->key() < begin_) {
        state_ = IterState::kEnd;
        return;
      }
      key_.assign(merged_->key());
      bool found = false;
      Tag newest;
      while (merged_->valid() && merged_->key() == key_) {
        if (merged_->tag().sequence() <= at_) {
          found = true;
          newest = merged_->tag();
          if (newest.kind() == Kind::kPut) value_copy_.assign(merged_->value());
        }
        merged_->prev();
      }
      if (merged_->state() == IterState::kMiss || merged_->state() == IterState::kError) break;
      if (!found) continue;
      note_seen(newest.sequence());
      if (newest.kind() != Kind::kPut) continue;
      Sequence cover = 0;
      if (!covering(key_, &cover)) return;
      if (cover > newest.sequence()) continue;
      state_ = IterState::kValid;
      return;
    }
    state_ = merged_->state();
  }

  // The newest visible range tombstone over key. False: a block is missing, state_ says so.
  bool covering(std::string_view key, Sequence* cover) {
    for (const auto& memtable : memtables_) {
      if (!memtable->range_tombstones().empty()) {
        *cover = std::max(*cover, memtable->range_tombstones().covering(key, at_));
      }
    }
    note_seen(*cover);
    for (const TableRef& table : deleting_tables_) {
      if (!bounds(table->meta).contains(key)) continue;
      Sequence in_table = 0;
      IterState state = table_covering(source_, table, key, at_, &in_table);
      if (state != IterState::kValid) {
        state_ = state;
        return false;
      }
      *cover = std::max(*cover, in_table);
    }
    return true;
  }

  // Whatever stands in tables is durable, so an upper bound does no harm but a wait.
  void note_seen(Sequence sequence) { context_.seen = std::max(context_.seen, sequence); }

  CachedSource source_;
  ReadContext& context_;
  VersionRef version_;
  std::vector<std::shared_ptr<const MemTable>> memtables_;
  std::vector<TableRef> deleting_tables_;
  std::string begin_;
  std::string end_;  // empty: no bound
  Sequence at_;
  std::unique_ptr<RecordIterator> merged_;
  bool backward_ = false;
  IterState state_ = IterState::kEnd;
  std::string key_;
  std::string value_copy_;
};

}  // namespace

std::unique_ptr<LiveIterator> Engine::Impl::new_iterator(ReadContext& context, std::string_view begin,
                                                         std::string_view end, const Snapshot* snapshot) {
  Sequence at = snapshot != nullptr ? snapshot->sequence() : kMaxSequence;
  return std::make_unique<MergedLiveIterator>(*this, context, begin, end, at);
}

}  // namespace varve
