#include "keyspace/types/members.h"

#include "base/check.h"

namespace varve {
namespace {

// Up to so many members a random one is counted off.
constexpr uint64_t kCountedOff = 64;
// Hashes leave gaps of all sizes, and a seek lands behind a wide one more often: the mean of so many gaps is
// nearly the same everywhere.
constexpr uint64_t kRandomSteps = 16;

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
