// A binary heap of the children that have a record left; the next one is on top.
//
// Forwards, every child stands on its first record that has not been passed; backwards, on its last. So
// turning round moves every child by one: a child at its end lies behind (or before) everything, and starts
// at its far end.
#include "lsm/merging_iterator.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace varve {
namespace {

class MergingIterator final : public RecordIterator {
 public:
  explicit MergingIterator(std::vector<std::unique_ptr<RecordIterator>> children)
      : children_(std::move(children)) {
    heap_.reserve(children_.size());
  }

  Status status() const override {
    if (state_ != IterState::kError) return Status();
    for (const auto& child : children_) {
      if (child->state() == IterState::kError) return child->status();
    }
    return Status();
  }

  void seek_to_first() override {
    start(true, [](RecordIterator& child) { child.seek_to_first(); });
  }
  void seek_to_last() override {
    start(false, [](RecordIterator& child) { child.seek_to_last(); });
  }
  void seek(std::string_view key) override {
    start(true, [key](RecordIterator& child) { child.seek(key); });
  }
  void seek_before(std::string_view key) override {
    start(false, [key](RecordIterator& child) { child.seek_before(key); });
  }

  void next() override {
    VARVE_DCHECK(valid());
    if (!forward_) return turn_forward();
    heap_.front().child->next();
    top_moved();
  }
  void prev() override {
    VARVE_DCHECK(valid());
    if (forward_) return turn_backward();
    heap_.front().child->prev();
    top_moved();
  }
  // Backwards the record before this one is the child's own, or on top of one of the heap's two branches.
  bool begins_key() const override {
    if (forward_ || !heap_.front().child->begins_key()) return false;
    for (size_t i = 1; i < std::min<size_t>(heap_.size(), 3); ++i) {
      if (heap_[i].child->key() == key_) return false;
    }
    return true;
  }

 private:
  struct Item {
    RecordIterator* child;
    size_t age;  // position among the children
  };

  // True if a's record is passed before b's.
  bool before(const Item& a, const Item& b) const {
    int c =
        compare_records(a.child->key(), a.child->tag().sequence(), b.child->key(), b.child->tag().sequence());
    if (c == 0) c = a.age < b.age ? -1 : 1;
    return forward_ ? c < 0 : c > 0;
  }

  // Moves every child, even when one misses: the others' misses are found in the same run.
  template <class Move>
  void start(bool forward, Move move) {
    forward_ = forward;
    for (auto& child : children_) move(*child);
    rebuild();
  }
  void turn_forward() {
    start(true, [](RecordIterator& child) {
      if (child.valid())
        child.next();
      else
        child.seek_to_first();
    });
  }
  void turn_backward() {
    start(false, [](RecordIterator& child) {
      if (child.valid())
        child.prev();
      else
        child.seek_to_last();
    });
  }

  void rebuild() {
    heap_.clear();
    IterState worst = IterState::kEnd;
    for (size_t i = 0; i < children_.size(); ++i) {
      IterState state = children_[i]->state();
      if (state == IterState::kValid)
        heap_.push_back({children_[i].get(), i});
      else
        worst = std::max(worst, state);
    }
    if (worst != IterState::kEnd) return fail(worst);
    for (size_t i = heap_.size() / 2; i-- > 0;) sift_down(i);
    show();
  }

  void top_moved() {
    IterState state = heap_.front().child->state();
    if (state == IterState::kEnd) {
      heap_.front() = heap_.back();
      heap_.pop_back();
    } else if (state != IterState::kValid) {
      return fail(state);
    }
    if (!heap_.empty()) sift_down(0);
    show();
  }

  void sift_down(size_t i) {
    Item item = heap_[i];
    for (;;) {
      size_t first = 2 * i + 1;
      if (first >= heap_.size()) break;
      if (first + 1 < heap_.size() && before(heap_[first + 1], heap_[first])) ++first;
      if (!before(heap_[first], item)) break;
      heap_[i] = heap_[first];
      i = first;
    }
    heap_[i] = item;
  }

  void fail(IterState state) {
    state_ = state;
    heap_.clear();
  }
  void show() {
    if (heap_.empty()) {
      state_ = IterState::kEnd;
      return;
    }
    const RecordIterator& child = *heap_.front().child;
    key_ = child.key();
    value_ = child.value();
    tag_ = child.tag();
    state_ = IterState::kValid;
  }

  std::vector<std::unique_ptr<RecordIterator>> children_;
  std::vector<Item> heap_;
  bool forward_ = true;
};

static_assert(IterState::kEnd < IterState::kMiss && IterState::kMiss < IterState::kError);

}  // namespace

std::unique_ptr<RecordIterator> new_merging_iterator(std::vector<std::unique_ptr<RecordIterator>> children) {
  if (children.size() == 1) return std::move(children.front());
  return std::make_unique<MergingIterator>(std::move(children));
}

}  // namespace varve
