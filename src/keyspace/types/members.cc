#include "keyspace/types/members.h"

#include <algorithm>

#include "base/check.h"
#include "base/integer_text.h"

namespace varve {
namespace {

// Up to so many members a random one is counted off.
constexpr uint64_t kCountedOff = 64;
// Hashes leave gaps of all sizes, and a seek lands behind a wide one more often: the mean of some gaps varies
// less. Each step costs about a cache miss.
constexpr uint64_t kRandomSteps = 4;
// What was removed is left behind when it is so many times more than what is there, and some more.
constexpr uint64_t kRemovedFactor = 4;
constexpr uint64_t kRemovedMin = 256;
// Of sorted sets, so many get a fresh id within a few milliseconds; of others within one.
constexpr uint64_t kMovedMax = 4096;
constexpr uint64_t kMovedAtOnce = 512;
// Moving to the next generation: a quarter of that at once, after so many more were removed.
constexpr uint64_t kMovedEvery = 16;

}  // namespace

bool Members::locate(std::string_view member, size_t* at, size_t* value_at) const {
  std::string_view entry;
  size_t next = 0;
  for (*at = 0; packed_.read(&next, &entry); *at = next) {
    *value_at = next;
    if (entry == member) return true;
    if (with_values_ && !packed_.read(&next, &entry)) break;
  }
  return false;
}

bool Members::has(std::string_view member) {
  ElementValue ignored;
  return find(member, &ignored);
}

bool Members::find(std::string_view member, ElementValue* value) {
  *value = ElementValue();
  if (!is_inline()) {
    if (member.size() > kMaxKeySize) return false;
    make_key(member);
    return tx_.find_value(element_key_, value);
  }
  size_t at = 0;
  size_t value_at = 0;
  if (!locate(member, &at, &value_at)) return false;
  value->exists = true;
  if (with_values_ && packed_.read(&value_at, &value->bytes)) value->length = value->bytes.size();
  return true;
}

std::string_view Members::read(std::string_view member, const ElementValue& value, std::string* scratch) {
  if (!value.in_pieces) return value.bytes;
  make_key(member);
  return tx_.read_value(element_key_, value, scratch);
}

bool Members::remove(std::string_view member) {
  if (is_inline()) {
    size_t at = 0;
    size_t end = 0;
    if (!locate(member, &at, &end)) return false;
    std::string_view value;
    if (with_values_ && !packed_.read(&end, &value)) return false;
    packed_.erase(at, end);
  } else {
    ElementValue old;
    if (member.size() > kMaxKeySize) return false;
    make_key(member);
    if (!tx_.find_value(element_key_, &old) || record_.count == 0) return false;
    tx_.remove_value(element_key_, old);
    ++layout_.removed;
  }
  --record_.count;
  changed_ = true;
  return true;
}

void Members::remove_at(const Walk& walk) {
  if (is_inline()) {
    remove(walk.member());
    return;
  }
  make_key(walk.member());
  tx_.remove_value(element_key_, walk.value());
  ++layout_.removed;
  --record_.count;
  changed_ = true;
}

void Members::to_elements() {
  leave_inline();
  size_t at = 0;
  std::string_view member;
  std::string_view value;
  while (packed_.read(&at, &member)) {
    if (with_values_ && !packed_.read(&at, &value)) break;
    make_key(member);
    tx_.put_value(element_key_, value, ElementValue());
  }
  packed_.reset({});
  changed_ = true;
}

void Members::make_key(std::string_view member) {
  layout_.collection = record_.collection;
  layout_.make_key(member, &element_key_);
}

void Members::read_state() {
  if (is_inline()) return;
  if (!layout_.read(record_)) {
    tx_.fail(
        Status::corruption("keyspace: the state of collection {} cannot be understood", record_.collection));
  }
  removed_before_ = layout_.removed;
}

void Members::save() {
  if (changed_ && !is_inline() && record_.count > 0) {
    leave_removed();
    if (!is_inline()) record_.payload = layout_.encode(state_);
  }
  Collection::save();
}

bool Members::many_removed(uint64_t removed) const {
  return removed >= record_.count * kRemovedFactor + kRemovedMin;
}

bool Members::worth_moving(uint64_t removed) const {
  // Nobody would drop an id that no record has had.
  return many_removed(removed) && record_.count <= kMovedMax && record_.collection == old_collection_;
}

void Members::leave_removed() {
  uint64_t before = removed_before_;
  if (many_removed(layout_.removed)) {
    if (record_.count <= kMovedAtOnce && record_.collection == old_collection_ && renew_id()) return;
    layout_.moving = true;
    layout_.removed = before = 0;
  } else if (!layout_.moving || layout_.removed / kMovedEvery == before / kMovedEvery) {
    return;
  }
  move_some(std::max(kMovedAtOnce / 4, layout_.removed - before));
}

void Members::move_some(uint64_t most) {
  const uint64_t collection = record_.collection;
  KeyRange old = part_range(collection, main_part(layout_.generation));
  EngineKey from;
  make_member_key(collection, main_part(layout_.generation), layout_.border, {}, &from);
  std::unique_ptr<ElementIterator> it = tx_.iterate(from, old.end);
  std::string value;
  uint64_t moved = 0;
  size_t bytes = 0;
  for (it->seek_to_first(); it->valid(); it->next(), ++moved) {
    uint32_t hash = 0;
    std::string_view member;
    if (!parse_member_key(it->key(), &hash, &member)) return damaged_element();
    bool enough = moved >= most || bytes > kMovedBytesMax / 4;
    if (enough && hash != layout_.border) {  // those of one hash stay together
      layout_.border = hash;
      return;
    }
    layout_.border = hash;
    make_member_key(collection, main_part(layout_.next_generation()), hash, member, &element_key_);
    value.assign(it->value());  // may stand in the batch, which grows
    bytes += member.size() + value.size();
    tx_.put_element(element_key_, value);
  }
  if (it->state() != IterState::kEnd) return;  // the run is worthless
  tx_.remove_elements(old.begin, old.end);
  layout_.generation = layout_.next_generation();
  layout_.moving = false;
  layout_.border = 0;
}

bool Members::renew_id() {
  layout_.removed = 0;
  std::vector<Moved> members;
  if (!take_all(&members)) return false;
  size_t packed = 0;
  for (const Moved& one : members) {
    packed += Packed::cost(one.member) + (with_values_ ? Packed::cost(one.value) : 0);
  }
  if (packed <= kInlineCollectionMax / 2) {  // half, so that it does not go to and fro
    record_.encoding = Encoding::kInline;
    record_.collection = 0;
    if (record_.type == ValueType::kSet && !grown()) {  // an intset stands in its order
      std::sort(members.begin(), members.end(),
                [](const Moved& a, const Moved& b) { return compare_integer_texts(a.member, b.member) < 0; });
    }
    for (const Moved& one : members) {
      packed_.append(one.member);
      if (with_values_) packed_.append(one.value);
    }
    return true;
  }
  record_.collection = tx_.fresh_collection();
  layout_ = MemberLayout();
  for (const Moved& one : members) {
    make_key(one.member);
    tx_.put_value(element_key_, one.value, ElementValue());
  }
  return true;
}

bool Members::take_all(std::vector<Moved>* members) {
  size_t bytes = 0;
  Walk walk(*this);
  for (walk.seek_to_first(); walk.valid(); walk.next()) {
    bytes += walk.member().size() + walk.value().length;
    if (bytes > kMovedBytesMax || walk.value().in_pieces) return false;
    members->push_back({std::string(walk.member()), std::string(walk.value().bytes)});
  }
  return members->size() == record_.count;
}

void Members::seek_random(Walk& walk, Random& random) const {
  uint64_t steps = 0;
  if (is_inline() || size() <= kCountedOff) {
    if (empty()) return;
    steps = random.below(size());
    walk.seek_to_first();
  } else {
    steps = random.below(kRandomSteps);
    walk.seek(static_cast<uint32_t>(random.next()));
    if (!walk.valid()) walk.seek_to_first();
  }
  for (; steps > 0 && walk.valid(); --steps) {
    walk.next();
    if (!walk.valid()) walk.seek_to_first();
  }
  if (!walk.valid()) {
    tx_.fail(Status::corruption("keyspace: collection {} lacks the elements its record speaks of",
                                record_.collection));
  }
}

void Members::damaged_element() {
  tx_.fail(
      Status::corruption("keyspace: an element of collection {} cannot be understood", record_.collection));
}

MemberLayout Members::layout() const {
  MemberLayout layout = layout_;
  layout.collection = record_.collection;
  return layout;
}

Members::Walk::Walk(Members& members) : members_(members) {
  if (members.is_inline()) return;
  elements_.emplace(members.layout(), [tx = &members.tx_](std::string_view begin, std::string_view end) {
    return tx->iterate(begin, end);
  });
}

void Members::Walk::seek_to_first() {
  at_ = 0;
  if (elements_) elements_->seek(0, {});
  load();
}

void Members::Walk::seek(uint32_t hash) {
  VARVE_CHECK(elements_.has_value());
  elements_->seek(hash, {});
  load();
}

void Members::Walk::next() {
  if (elements_) elements_->next();
  load();
}

void Members::Walk::load() {
  value_ = ElementValue();
  if (!elements_) {
    valid_ = members_.packed_.read(&at_, &member_);
    if (!valid_ || !members_.with_values_) return;
    valid_ = members_.packed_.read(&at_, &value_.bytes);
    value_.exists = true;
    value_.length = value_.bytes.size();
    return;
  }
  valid_ = elements_->valid();
  if (!valid_) return;
  if (parse_member_key(elements_->key(), &hash_, &member_) &&
      decode_element_value(elements_->value(), &value_))
    return;
  valid_ = false;
  members_.damaged_element();
}

}  // namespace varve
