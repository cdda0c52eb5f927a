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
// A collection gets a fresh id when so many times more were removed than are left, and some more, as long as
// what is left can be moved within a few milliseconds.
constexpr uint64_t kRemovedFactor = 4;
constexpr uint64_t kRemovedMin = 256;
constexpr uint64_t kMovedMax = 4096;

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
    make_member_key(record_.collection, member, &element_key_);
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
  make_member_key(record_.collection, member, &element_key_);
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
    make_member_key(record_.collection, member, &element_key_);
    if (!tx_.find_value(element_key_, &old) || record_.count == 0) return false;
    tx_.remove_value(element_key_, old);
    ++removed_;
  }
  --record_.count;
  changed_ = true;
  return true;
}

void Members::to_elements() {
  leave_inline();
  size_t at = 0;
  std::string_view member;
  std::string_view value;
  while (packed_.read(&at, &member)) {
    if (with_values_ && !packed_.read(&at, &value)) break;
    make_member_key(record_.collection, member, &element_key_);
    tx_.put_value(element_key_, value, ElementValue());
  }
  packed_.reset({});
  changed_ = true;
}

void Members::read_state() {
  if (is_inline() || record_.payload.empty()) return;
  std::string_view state = record_.payload;
  if (get_varint(&state, &removed_) && state.empty()) return;
  tx_.fail(
      Status::corruption("keyspace: the state of collection {} cannot be understood", record_.collection));
}

void Members::save() {
  if (changed_ && !is_inline() && record_.count > 0) {
    renew_id();
    if (!is_inline()) {
      size_t size = removed_ == 0 ? 0 : static_cast<size_t>(encode_varint(state_, removed_) - state_);
      record_.payload = {state_, size};
    }
  }
  Collection::save();
}

bool Members::worth_moving(uint64_t removed) const {
  if (removed < record_.count * kRemovedFactor + kRemovedMin || record_.count > kMovedMax) return false;
  return record_.collection == old_collection_;  // nobody would drop an id that no record has had
}

void Members::renew_id() {
  if (!worth_moving(removed_)) return;
  removed_ = 0;
  std::vector<Moved> members;
  if (!take_all(&members)) return;
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
    return;
  }
  record_.collection = tx_.fresh_collection();
  for (const Moved& one : members) {
    make_member_key(record_.collection, one.member, &element_key_);
    tx_.put_value(element_key_, one.value, ElementValue());
  }
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

Members::Walk::Walk(Members& members) : members_(members) {
  if (members.is_inline()) return;
  KeyRange range = part_range(members.record_.collection, Part::kMain);
  elements_ = members.tx_.iterate(range.begin, range.end);
}

void Members::Walk::seek_to_first() {
  at_ = 0;
  if (elements_) elements_->seek_to_first();
  load();
}

void Members::Walk::seek(uint32_t hash) {
  VARVE_CHECK(elements_ != nullptr);
  char rest[4] = {static_cast<char>(hash >> 24), static_cast<char>(hash >> 16), static_cast<char>(hash >> 8),
                  static_cast<char>(hash)};
  EngineKey key;
  make_element_key(members_.record_.collection, Part::kMain, {rest, sizeof rest}, &key);
  elements_->seek(key);
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
  members_.tx_.fail(Status::corruption("keyspace: an element of collection {} cannot be understood",
                                       members_.record_.collection));
}

}  // namespace varve
