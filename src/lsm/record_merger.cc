#include "lsm/record_merger.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/check.h"
#include "base/plant.h"

namespace varve {
namespace {

// Garbage is joined when there is this much of it, and again whenever it has doubled.
constexpr size_t kJoinGarbageFrom = 1024;
// About a map's node.
constexpr uint64_t kBytesPerCount = 64;
// How many range tombstones deleted_since() looks at.
constexpr int kMaxFragmentsAsked = 8;

// How many snapshots are below the sequence, that is, do not see it.
size_t stripe_of(const std::vector<Sequence>& snapshots, Sequence sequence) {
  return static_cast<size_t>(std::lower_bound(snapshots.begin(), snapshots.end(), sequence) -
                             snapshots.begin());
}

// Of sequences that fall, the first that is not above `sequence`.
std::vector<Sequence>::const_iterator first_not_above(const std::vector<Sequence>& sequences,
                                                      Sequence sequence) {
  return std::lower_bound(sequences.begin(), sequences.end(), sequence, std::greater<>());
}

bool ends_before(const KeyRange& range, std::string_view key) {
  int order = std::string_view(range.end).compare(key);
  return order < 0 || (order == 0 && !range.end_inclusive);
}

bool deeper_overlaps(const MergeRules& rules, std::string_view begin, std::string_view end) {
  for (const std::vector<KeyRange>& run : rules.deeper) {
    auto first = std::partition_point(run.begin(), run.end(),
                                      [&](const KeyRange& r) { return ends_before(r, begin); });
    if (first != run.end() && std::string_view(first->begin) < end) return true;
  }
  return false;
}

uint64_t memory_of(const KeyRange& range) {
  return sizeof(KeyRange) + range.begin.size() + range.end.size();
}

void sort_and_join(std::vector<KeyRange>* ranges) {
  std::sort(ranges->begin(), ranges->end(),
            [](const KeyRange& a, const KeyRange& b) { return a.begin < b.begin; });
  size_t joined = 0;
  for (KeyRange& range : *ranges) {
    KeyRange* last = joined > 0 ? &(*ranges)[joined - 1] : nullptr;
    if (last == nullptr || range.begin > last->end) {
      KeyRange* place = &(*ranges)[joined++];
      if (place != &range) *place = std::move(range);
    } else if (range.end > last->end || (range.end == last->end && range.end_inclusive)) {
      last->end = std::move(range.end);
      last->end_inclusive = range.end_inclusive;
    }
  }
  ranges->resize(joined);
}

}  // namespace

RangeTombstones kept_tombstones(const MergeRules& rules) {
  RangeTombstones kept;
  for (const auto& [begin, fragment] : rules.tombstones.fragments()) {
    bool hides_deeper = deeper_overlaps(rules, begin, fragment.end);
    std::vector<Sequence> sequences;
    for (Sequence sequence : fragment.sequences) {
      size_t stripe = stripe_of(rules.snapshots, sequence);
      if (!sequences.empty() && stripe_of(rules.snapshots, sequences.back()) == stripe) continue;
      if (stripe > 0 || hides_deeper) sequences.push_back(sequence);
    }
    if (!sequences.empty()) kept.append(begin, fragment.end, sequences);
  }
  return kept;
}

RecordMerger::RecordMerger(const MergeRules& rules, Sink sink)
    : rules_(rules),
      sink_(std::move(sink)),
      fragment_(rules.tombstones.fragments().begin()),
      deeper_at_(rules.deeper.size(), 0) {
  VARVE_CHECK(std::is_sorted(rules.snapshots.begin(), rules.snapshots.end()));
}

size_t RecordMerger::stripe(Sequence sequence) const {
  return rules_.snapshots.empty() ? 0 : stripe_of(rules_.snapshots, sequence);
}

Status RecordMerger::add(std::string_view key, Tag tag, std::string_view value) {
  ++records_in_;
  int order = any_key_ ? key.compare(key_) : 1;
  if (order < 0 || (order == 0 && (!has_key_ || tag.sequence() > newer_.sequence()))) {
    return Status::corruption("merge: records out of order at sequence {}", tag.sequence());
  }
  if (order > 0) {
    VARVE_TRY(end_key());
    start_key(key);
  } else if (tag.sequence() == newer_.sequence()) {
    return Status();
  }
  add_version(tag, value);
  return Status();
}

Status RecordMerger::finish() {
  VARVE_TRY(end_key());
  join_garbage();
  return Status();
}

bool RecordMerger::findings_exceed(uint64_t bytes) {
  uint64_t counts = count_corrections_.size() * kBytesPerCount;
  if (counts + garbage_bytes_ <= bytes) return false;
  join_garbage();
  // Joining must free much, or it would be done for every key.
  return counts + garbage_bytes_ > bytes / 2;
}

void RecordMerger::start_key(std::string_view key) {
  any_key_ = has_key_ = true;
  key_ = key;
  has_newer_ = false;
  held_.clear();
  values_.clear();
  auto end = rules_.tombstones.fragments().end();
  while (fragment_ != end && std::string_view(fragment_->second.end) <= key) ++fragment_;
  covering_ =
      fragment_ != end && std::string_view(fragment_->first) <= key ? &fragment_->second.sequences : nullptr;
}

void RecordMerger::add_version(Tag tag, std::string_view value) {
  // The oldest range tombstone above this record; 0 when none is.
  Sequence above = 0;
  if (covering_ != nullptr) {
    auto at = first_not_above(*covering_, tag.sequence());
    if (at != covering_->begin()) above = *std::prev(at);
  }
  size_t own_stripe = stripe(tag.sequence());
  bool hidden =
      (has_newer_ && stripe(newer_.sequence()) == own_stripe) || (above != 0 && stripe(above) == own_stripe);

  bool range_deleted = above != 0 && (!has_newer_ || above < newer_.sequence());
  if (range_deleted) {
    // What lies below an older range tombstone did not die by the hand of what lies above it.
    if (open_barrier()) held_.pop_back();
    // Whoever deleted the range did not look inside, and settled the counts as a whole.
    if (hidden && tag.kind() == Kind::kPut) report_death(value, above, false);
  } else if (has_newer_ && newer_.blind() && tag.kind() == Kind::kPut) {
    report_death(value, newer_.sequence(), true);
  }

  if (!hidden) {
    held_.push_back({tag, values_.size(), value.size(), false});
    values_.append(value);
  } else if (range_deleted) {
    held_.push_back({Tag::make(tag.sequence(), Kind::kDelete), values_.size(), 0, true});
  }
  newer_ = tag;
  has_newer_ = true;
}

Status RecordMerger::end_key() {
  if (!std::exchange(has_key_, false) || held_.empty()) return Status();
  bool deeper = deeper_may_hold(key_) && !planted(Plant::drop_tombstone_too_high);
  bool met_tombstone =
      covering_ != nullptr && first_not_above(*covering_, newer_.sequence()) != covering_->end();
  // Every mark but that of the oldest record has met its elder; that one's stays where it has not, on the
  // oldest record that stays. Not if a range tombstone lies between: then that will settle what is deeper.
  bool unsettled = newer_.blind() && deeper && !met_tombstone && !open_barrier();
  if (open_barrier() && (newer_.blind() || met_tombstone)) held_.pop_back();
  if (!deeper) {
    while (!held_.empty() && held_.back().tag.kind() == Kind::kDelete) held_.pop_back();
  }
  if (held_.empty()) return Status();
  kept_.clear();
  for (const Held& held : held_) {
    Tag tag = Tag::make(held.tag.sequence(), held.tag.kind(), false);
    kept_.push_back({tag, std::string_view(values_).substr(held.value_offset, held.value_size)});
  }
  Tag& oldest = kept_.back().tag;
  if (unsettled) oldest = Tag::make(oldest.sequence(), oldest.kind(), true);
  if (!deeper && rules_.tombstones.empty() && stripe(oldest.sequence()) == 0)
    oldest = Tag::make(0, oldest.kind());
  records_out_ += kept_.size();
  return sink_(key_, kept_);
}

bool RecordMerger::deeper_may_hold(std::string_view key) {
  bool may_hold = false;
  for (size_t i = 0; i < deeper_at_.size(); ++i) {
    const std::vector<KeyRange>& run = rules_.deeper[i];
    size_t& at = deeper_at_[i];
    while (at < run.size() && ends_before(run[at], key)) ++at;
    may_hold |= at < run.size() && std::string_view(run[at].begin) <= key;
  }
  return may_hold;
}

// Of a version of key_. All that it owned was written before its killer.
void RecordMerger::report_death(std::string_view value, Sequence killer, bool correct_count) {
  if (rules_.inspector == nullptr) return;
  RecordInspector::Death death = rules_.inspector->death(key_, value);
  if (death.counted && correct_count && !planted(Plant::lose_count_corrections))
    --count_corrections_[death.counter_id];
  if (!death.garbage || deleted_since(*death.garbage, killer)) return;
  garbage_bytes_ += memory_of(*death.garbage);
  garbage_.push_back(std::move(*death.garbage));
  if (garbage_.size() >= 2 * joined_garbage_ + kJoinGarbageFrom) join_garbage();
}

void RecordMerger::join_garbage() {
  sort_and_join(&garbage_);
  joined_garbage_ = garbage_.size();
  garbage_bytes_ = 0;
  for (const KeyRange& range : garbage_) garbage_bytes_ += memory_of(range);
}

// Do range tombstones of the job at or above the sequence delete all of the range? May say no where finding
// out takes too long.
bool RecordMerger::deleted_since(const KeyRange& range, Sequence sequence) const {
  const RangeTombstones::Map& fragments = rules_.tombstones.fragments();
  auto it = fragments.upper_bound(range.begin);
  if (it == fragments.begin() || range.end_inclusive) return false;
  --it;
  std::string_view from = range.begin;
  for (int i = 0; i < kMaxFragmentsAsked && it != fragments.end(); ++i, ++it) {
    const RangeTombstones::Fragment& fragment = it->second;
    bool deletes_from = std::string_view(it->first) <= from && from < std::string_view(fragment.end);
    if (!deletes_from || fragment.sequences.front() < sequence) return false;
    if (range.end <= fragment.end) return true;
    from = fragment.end;
  }
  return false;
}

}  // namespace varve
