// live_iterator.cc: live keys in order: the records of all sources that no range tombstone hides, merged;
// then for each key the newest visible version, unless it is a delete.
//
// Range tombstones are applied below the merge, to each source (memtable or run) by itself. A source holds
// nothing newer than what the sources above it hold for the same keys, so a range deleted in one of those
// hides all of it here, whatever the sequences: the source is sought past the range at once and its dead
// blocks are not touched. The source's own tombstones hide record by record. If the newest visible version of
// a key is hidden, so are all older ones, by the same tombstone: what is left of a key is right.
#include <algorithm>

#include "base/check.h"
#include "lsm/cached_source.h"
#include "lsm/engine_impl.h"
#include "lsm/merging_iterator.h"

namespace varve {
namespace {

// Does the stretch hold key or, with `below`, the keys just below it?
bool holds(const TombstoneStretch& stretch, std::string_view key, bool below) {
  if (below) return stretch.begin < key && (stretch.end.empty() || key <= stretch.end);
  return stretch.begin <= key && (stretch.end.empty() || key < stretch.end);
}

// The range tombstones of one memtable or run.
struct RangeDeletes {
  const RangeTombstones* memory = nullptr;
  const std::vector<TableRef>* tables = nullptr;  // when memory is null: in key order, disjoint
};

void find_stretch(const RangeTombstones& tombstones, std::string_view key, bool below, Sequence at,
                  TombstoneStretch* stretch) {
  const RangeTombstones::Map& map = tombstones.fragments();
  auto next = below ? map.lower_bound(key) : map.upper_bound(key);
  stretch->end = next == map.end() ? std::string_view() : std::string_view(next->first);
  stretch->begin.clear();
  stretch->sequence = 0;
  if (next == map.begin()) return;
  const auto& [begin, fragment] = *std::prev(next);
  stretch->begin = fragment.end;
  if (below ? key > fragment.end : key >= fragment.end) return;
  stretch->begin = begin;
  stretch->end = fragment.end;
  stretch->sequence = tombstones.covering(begin, at);
}

IterState find_stretch(BlockSource& source, const std::vector<TableRef>& tables, std::string_view key,
                       bool below, Sequence at, TombstoneStretch* stretch) {
  auto next = std::partition_point(tables.begin(), tables.end(), [&](const TableRef& t) {
    return below ? t->meta.smallest < key : t->meta.smallest <= key;
  });
  *stretch = TombstoneStretch();
  if (next != tables.begin()) {
    const TableRef& table = *std::prev(next);
    const TableMeta& meta = table->meta;
    bool behind = below ? key > meta.largest : ends_before(meta, key);
    if (!behind) {
      IterState state = table_tombstone_stretch(source, table, key, below, at, stretch);
      if (state != IterState::kValid) return state;
    }
    if (stretch->begin.empty()) stretch->begin = behind ? meta.largest : meta.smallest;
  }
  if (stretch->end.empty() && next != tables.end()) stretch->end = (*next)->meta.smallest;
  return IterState::kValid;
}

// What all sources of an iterator share.
struct LiveView {
  BlockSource* source;
  ReadContext* context;
  Sequence at;
  std::vector<RangeDeletes> deletes;  // newest source first; only those that have any
  std::string_view begin, end;        // the iterator's bounds; no end: empty

  // Beyond the bounds it does not matter what is hidden: the iterator ends there.
  bool beyond(std::string_view key, bool forward) const {
    return forward ? !end.empty() && key >= end : key < begin;
  }

  IterState find(size_t i, std::string_view key, bool below, TombstoneStretch* stretch) const {
    const RangeDeletes& d = deletes[i];
    if (d.memory == nullptr) return find_stretch(*source, *d.tables, key, below, at, stretch);
    find_stretch(*d.memory, key, below, at, stretch);
    return IterState::kValid;
  }
  // Whatever stands in tables is durable, so an upper bound does no harm but a wait.
  void note_seen(Sequence sequence) const { context->seen = std::max(context->seen, sequence); }
};

// The records of one source that no visible range tombstone hides. Records that are too new for the view
// pass.
class UnhiddenRecords final : public RecordIterator {
 public:
  // The first `newer` of the view's deletes are newer than the source; with `has_own` the next are its own.
  UnhiddenRecords(const LiveView& view, size_t newer, bool has_own, std::unique_ptr<RecordIterator> records)
      : view_(view), newer_(newer), has_own_(has_own), records_(std::move(records)) {}

  void seek_to_first() override { seek(""); }
  void seek_to_last() override {
    records_->seek_to_last();
    settle(false);
  }
  void seek(std::string_view key) override {
    if (jump(key, true)) settle(true);
  }
  void seek_before(std::string_view key) override {
    if (jump(key, false)) settle(false);
  }
  void next() override {
    records_->next();
    settle(true);
  }
  void prev() override {
    records_->prev();
    settle(false);
  }
  bool begins_key() const override { return records_->begins_key(); }
  Status status() const override {
    if (state_ != IterState::kError) return Status();
    Status status = records_->status();
    return status.ok() ? view_.source->status() : status;
  }

 private:
  // Sets hidden_ to a stretch that holds key and is deleted in a newer source; to one with sequence 0 when
  // there is none. kMiss and kError only after all newer sources were asked.
  IterState find_hidden(std::string_view key, bool below) {
    hidden_.sequence = 0;
    if (clear_known_ && holds(clear_, key, below)) return IterState::kValid;
    clear_known_ = false;
    clear_ = TombstoneStretch();
    IterState worst = IterState::kValid;
    for (size_t i = 0; i < newer_; ++i) {
      IterState state = view_.find(i, key, below, &hidden_);
      worst = std::max(worst, state);
      if (state != IterState::kValid) continue;
      if (hidden_.sequence > 0) {
        view_.note_seen(hidden_.sequence);
        return worst;
      }
      if (hidden_.begin > clear_.begin) clear_.begin = hidden_.begin;
      if (!hidden_.end.empty() && (clear_.end.empty() || hidden_.end < clear_.end)) clear_.end = hidden_.end;
    }
    clear_known_ = worst == IterState::kValid;
    return worst;
  }

  // To the first record from `key` on (backwards: the last before it), past what is hidden around it. Ranges
  // deleted side by side are passed without a look at what they hide, some at a time: there may be nothing.
  bool jump(std::string_view key, bool forward) {
    constexpr int kMostAtOnce = 64;
    place_.assign(key);
    IterState state = IterState::kValid;
    for (int i = 0; i < kMostAtOnce; ++i) {
      state = find_hidden(place_, !forward);
      if (state != IterState::kValid || hidden_.sequence == 0) break;
      place_ = forward ? hidden_.end : hidden_.begin;
    }
    // Even behind a miss the record is asked for, so that both are fetched together.
    forward ? records_->seek(place_) : records_->seek_before(place_);
    if (state != IterState::kValid) state_ = state;
    return state == IterState::kValid;
  }

  // From where the source stands to the next record that is not hidden.
  void settle(bool forward) {
    while (records_->valid() && !view_.beyond(records_->key(), forward)) {
      IterState state = find_hidden(records_->key(), false);
      if (state == IterState::kValid && hidden_.sequence > 0) {
        if (!pass_hidden(forward)) return;
        continue;
      }
      bool hidden_by_own = false;
      if (state == IterState::kValid && has_own_) state = find_own(&hidden_by_own);
      if (state != IterState::kValid) {
        state_ = state;
        return;
      }
      if (!hidden_by_own) break;
      forward ? records_->next() : records_->prev();
    }
    state_ = records_->state();
    if (state_ != IterState::kValid) return;
    key_ = records_->key();
    value_ = records_->value();
    tag_ = records_->tag();
  }

  // Out of hidden_. A few steps, for most ranges are short; then by a seek.
  bool pass_hidden(bool forward) {
    constexpr int kSteps = 4;
    for (int i = 0; i < kSteps; ++i) {
      forward ? records_->next() : records_->prev();
      if (!records_->valid() || !holds(hidden_, records_->key(), false)) return true;
    }
    return jump(forward ? hidden_.end : hidden_.begin, forward);
  }

  IterState find_own(bool* hidden) {
    if (!own_known_ || !holds(own_, records_->key(), false)) {
      own_known_ = false;
      IterState state = view_.find(newer_, records_->key(), false, &own_);
      if (state != IterState::kValid) return state;
      own_known_ = true;
    }
    *hidden = own_.sequence > records_->tag().sequence();
    if (*hidden) view_.note_seen(own_.sequence);
    return IterState::kValid;
  }

  const LiveView& view_;
  const size_t newer_;
  const bool has_own_;
  std::unique_ptr<RecordIterator> records_;
  TombstoneStretch hidden_;
  // Around the last place: not deleted in any newer source; as the source's own deletes have it.
  TombstoneStretch clear_, own_;
  bool clear_known_ = false, own_known_ = false;
  std::string place_;
};

class MergedLiveIterator final : public LiveIterator {
 public:
  MergedLiveIterator(Engine::Impl& engine, ReadContext& context, std::string_view begin, std::string_view end,
                     Sequence at)
      : source_(engine, &context), version_(engine.version_), begin_(begin), end_(end), view_{&source_,
                                                                                              &context,
                                                                                              at,
                                                                                              {},
                                                                                              begin_,
                                                                                              end_} {
    memtables_.reserve(1 + engine.frozen_.size());
    memtables_.push_back(engine.active_);
    for (auto it = engine.frozen_.rbegin(); it != engine.frozen_.rend(); ++it) memtables_.push_back(*it);
    std::vector<std::unique_ptr<RecordIterator>> children;
    size_t runs_max = 0;
    for (const std::vector<RunRef>& runs : version_->levels) runs_max += runs.size();
    children.reserve(memtables_.size() + runs_max);
    auto add = [&](std::unique_ptr<RecordIterator> records, bool deletes, RangeDeletes range_deletes) {
      size_t newer = view_.deletes.size();
      if (deletes) view_.deletes.push_back(range_deletes);
      if (records == nullptr) return;
      if (!view_.deletes.empty()) {
        records = std::make_unique<UnhiddenRecords>(view_, newer, deletes, std::move(records));
      }
      children.push_back(std::move(records));
    };
    for (const auto& memtable : memtables_) {
      const RangeTombstones& tombstones = memtable->range_tombstones();
      add(memtable->entry_count() > 0 ? memtable->new_iterator() : nullptr, !tombstones.empty(),
          {&tombstones});
    }
    for (const std::vector<RunRef>& runs : version_->levels) {
      for (const RunRef& run : runs) {
        if (!touches(*run)) continue;
        add(new_run_iterator(&source_, &run->tables), !run->deleting.empty(), {nullptr, &run->deleting});
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
      // The merge stands before this key, or on its newest version.
      merged_->seek(key_);
    }
    skip_key();
    find_forward();
  }
  void prev() override {
    VARVE_DCHECK(valid());
    if (!backward_) {
      merged_->seek_before(std::string(key_));
    } else if (standing_) {
      merged_->prev();
    }
    find_backward();
  }
  IterState state() const override { return state_; }
  std::string_view key() const override { return key_; }
  std::string_view value() const override {
    return backward_ && !standing_ ? std::string_view(value_copy_) : merged_->value();
  }

 private:
  bool touches(const Run& run) const {
    return !ends_before(run.tables.back()->meta, begin_) &&
           (end_.empty() || run.tables.front()->meta.smallest < end_);
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
      if (merged_->tag().sequence() > view_.at) {
        merged_->next();
        continue;
      }
      key_.assign(merged_->key());
      view_.note_seen(merged_->tag().sequence());
      if (merged_->tag().kind() == Kind::kPut) {
        state_ = IterState::kValid;
        return;
      }
      skip_key();
    }
    state_ = merged_->state();
  }

  // Backwards the versions of a key come oldest first: the last visible one seen is the newest. To know that
  // it was the last the merge must go on to the next key, and the value be copied, unless it can tell.
  void find_backward() {
    backward_ = true;
    standing_ = false;
    while (merged_->valid()) {
      if (merged_->key() < begin_) {
        state_ = IterState::kEnd;
        return;
      }
      key_.assign(merged_->key());
      bool found = false;
      Tag newest;
      while (merged_->valid() && merged_->key() == key_) {
        if (merged_->tag().kind() == Kind::kPut && merged_->tag().sequence() <= view_.at &&
            merged_->begins_key()) {
          view_.note_seen(merged_->tag().sequence());
          standing_ = true;
          state_ = IterState::kValid;
          return;
        }
        if (merged_->tag().sequence() <= view_.at) {
          found = true;
          newest = merged_->tag();
          if (newest.kind() == Kind::kPut) value_copy_.assign(merged_->value());
        }
        merged_->prev();
      }
      if (merged_->state() == IterState::kMiss || merged_->state() == IterState::kError) break;
      if (!found) continue;
      view_.note_seen(newest.sequence());
      if (newest.kind() != Kind::kPut) continue;
      state_ = IterState::kValid;
      return;
    }
    state_ = merged_->state();
  }

  CachedSource source_;
  VersionRef version_;
  std::vector<std::shared_ptr<const MemTable>> memtables_;  // newest first
  std::string begin_;
  std::string end_;  // empty: no bound
  LiveView view_;
  std::unique_ptr<RecordIterator> merged_;
  bool backward_ = false;
  bool standing_ = false;  // backward_, and the merge stands on what is shown
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
