#include "keyspace/types/list.h"

#include <algorithm>

#include "base/check.h"
#include "base/plant.h"

namespace varve {
namespace {

constexpr uint64_t kMiddle = uint64_t{1} << 63;
// Positions that no list reaches; a record that names them is damaged.
constexpr uint64_t kFarthest = uint64_t{1} << 61;
constexpr uint8_t kHasLong = 1;
// So many elements are removed one by one; more at once, as a range.
constexpr uint64_t kSingleRemovals = 32;
// What a change in the middle moves at once.
constexpr uint64_t kMovedMax = 64 << 20;
constexpr uint64_t kMovedCost = 64;  // of an element, beside its bytes
// What is asked for ahead of a walk: so many missing blocks, with one look in so many bytes; an element's key
// takes about so many of them.
constexpr size_t kAskedBlocks = 64;
constexpr uint64_t kAskedEvery = 6000;
constexpr uint64_t kKeptOfKey = 8;
constexpr int kAskedTries = 256;

}  // namespace

List::List(Transaction& tx, DatabaseId database, std::string_view key, const Entry& entry)
    : Collection(tx, database, key, entry, ValueType::kList, 1), head_(kMiddle) {
  if (!is_inline()) read_state();
}

bool List::parse_state(const Record& record, bool* has_long, uint64_t* head) {
  std::string_view state = record.payload;
  uint64_t distance = 0;
  if (state.empty()) return false;
  auto flags = static_cast<uint8_t>(state.front());
  state.remove_prefix(1);
  if (!get_varint(&state, &distance) || !state.empty() || (flags & ~kHasLong) != 0 || distance >= kFarthest ||
      record.count >= kFarthest)
    return false;
  *has_long = (flags & kHasLong) != 0;
  *head = kMiddle + static_cast<uint64_t>(unzigzag(distance));
  return true;
}

void List::read_state() {
  if (parse_state(record_, &has_long_, &head_)) return;
  tx_.fail(Status::corruption("keyspace: the state of list {} cannot be understood", record_.collection));
  record_.count = 0;
}

void List::save() {
  if (changed_ && !is_inline()) {
    state_[0] = static_cast<char>(has_long_ ? kHasLong : 0);
    char* end = encode_varint(state_ + 1, zigzag(static_cast<int64_t>(head_ - kMiddle)));
    record_.payload = {state_, static_cast<size_t>(end - state_)};
  }
  Collection::save();
}

// An element is not there that the record speaks of.
void List::lost() {
  tx_.fail(
      Status::corruption("keyspace: list {} lacks elements that its record speaks of", record_.collection));
}

// --- reading ---

bool List::find(uint64_t index, ElementValue* value) {
  VARVE_DCHECK(index < size());
  *value = ElementValue();
  if (is_inline()) {
    size_t at = packed_.place(index);
    value->exists = packed_.read(&at, &value->bytes);
    value->length = value->bytes.size();
    return value->exists;
  }
  make_position_key(record_.collection, head_ + index, &element_key_);
  if (!tx_.find_value(element_key_, value)) lost();
  return value->exists;
}

std::string_view List::read(uint64_t index, const ElementValue& value, std::string* scratch) {
  if (!value.in_pieces) return value.bytes;
  make_position_key(record_.collection, head_ + index, &element_key_);
  return tx_.read_value(element_key_, value, scratch);
}

std::string List::element_key(uint64_t index) const {
  EngineKey key;
  make_position_key(record_.collection, head_ + index, &key);
  return std::string(key.view());
}

List::Walk::Walk(List& list, uint64_t index, bool forward) : list_(list), forward_(forward), index_(index) {
  if (index >= list.size()) return;
  if (list.is_inline()) {
    if (forward) {
      at_ = list.packed_.place(index);
    } else {
      std::string_view ignored;
      for (size_t at = 0; places_.size() <= index;) {
        places_.push_back(at);
        if (!list.packed_.read(&at, &ignored)) break;
      }
    }
  } else {
    // From one end of what is left to the other: there is nothing else in this range.
    EngineKey begin;
    EngineKey end;
    make_position_key(list.record_.collection, forward ? list.head_ + index : list.head_, &begin);
    make_position_key(list.record_.collection, forward ? list.tail() : list.head_ + index + 1, &end);
    elements_ = list.tx_.iterate(begin, end);
    forward ? elements_->seek_to_first() : elements_->seek_to_last();
  }
  load();
}

void List::Walk::next() {
  VARVE_DCHECK(valid_);
  valid_ = false;
  ++passed_;
  passed_bytes_ += value_.length;
  if (forward_ ? index_ + 1 >= list_.size() : index_ == 0) return;
  forward_ ? ++index_ : --index_;
  if (elements_) forward_ ? elements_->next() : elements_->prev();
  load();
}

void List::Walk::load() {
  value_ = ElementValue();
  if (!elements_) {
    if (!forward_) at_ = places_[index_];
    valid_ = list_.packed_.read(&at_, &value_.bytes);
    value_.exists = valid_;
    value_.length = value_.bytes.size();
    return;
  }
  valid_ = false;
  if (!elements_->valid()) return list_.lost();
  make_position_key(list_.record_.collection, list_.head_ + index_, &list_.element_key_);
  if (elements_->key() != list_.element_key_.view()) return list_.lost();
  valid_ = decode_element_value(elements_->value(), &value_);
  if (valid_) return;
  list_.tx_.fail(
      Status::corruption("keyspace: an element of list {} cannot be understood", list_.record_.collection));
}

bool List::Walk::equals(std::string_view element) {
  return value_.length == element.size() && read(&scratch_) == element;
}

void List::ask_ahead(const Walk& walk, uint64_t left) {
  ReadContext& read = tx_.read();
  if (is_inline() || read.misses.empty() || !read.error.ok()) return;
  uint64_t each = kKeptOfKey + (walk.passed_ == 0 ? 0 : walk.passed_bytes_ / walk.passed_);
  uint64_t step = std::max<uint64_t>(1, kAskedEvery / each);
  uint64_t index = walk.index();
  left = std::min(left, walk.forward_ ? size() - index : index + 1);
  std::string_view ignored;
  for (int tries = 0; tries < kAskedTries && read.misses.size() < kAskedBlocks; ++tries) {
    if (left <= step) return;
    left -= step;
    walk.forward_ ? index += step : index -= step;
    make_position_key(record_.collection, head_ + index, &element_key_);
    tx_.get_element(element_key_, &ignored);
  }
}

// --- changing ---

void List::to_elements() {
  leave_inline();
  uint64_t position = head_;
  size_t at = 0;
  std::string_view element;
  while (packed_.read(&at, &element)) put_at(position++, element);
  packed_.reset({});
}

void List::put_at(uint64_t position, std::string_view value) {
  make_position_key(record_.collection, position, &element_key_);
  ElementValue old;
  if (has_long_) tx_.find_value(element_key_, &old);
  has_long_ |= value.size() > kLongPieceSize;
  tx_.put_value(element_key_, value, old);
  changed_ = true;
}

void List::push(ListEnd end, std::string_view value) {
  if (is_inline()) {
    if (packed_.size() + Packed::cost(value) <= kInlineCollectionMax) {
      packed_.insert(end == ListEnd::kHead ? 0 : packed_.size(), value);
      ++record_.count;
      changed_ = true;
      return;
    }
    to_elements();
  }
  put_at(end == ListEnd::kHead ? head_ - 1 : tail(), value);
  if (end == ListEnd::kHead) --head_;
  ++record_.count;
}

void List::set(uint64_t index, std::string_view value) {
  VARVE_DCHECK(index < size());
  if (is_inline()) {
    size_t at = packed_.place(index);
    size_t end = at;
    std::string_view old;
    if (!packed_.read(&end, &old)) return;
    if (packed_.size() - Packed::cost(old) + Packed::cost(value) <= kInlineCollectionMax) {
      packed_.replace(at, value);
      changed_ = true;
      return;
    }
    to_elements();
  }
  put_at(head_ + index, value);
}

void List::remove_positions(uint64_t from, uint64_t to) {
  if (to - from <= kSingleRemovals) {
    for (uint64_t position = from; position < to; ++position) {
      make_position_key(record_.collection, position, &element_key_);
      ElementValue old;
      if (has_long_) tx_.find_value(element_key_, &old);
      tx_.remove_value(element_key_, old);
    }
    return;
  }
  EngineKey end;
  make_position_key(record_.collection, from, &element_key_);
  make_position_key(record_.collection, to, &end);
  tx_.remove_elements(element_key_, end);
  if (!has_long_) return;
  EngineKey first_piece;
  EngineKey last_piece;
  make_piece_key(element_key_, 0, &first_piece);
  make_piece_key(end, 0, &last_piece);
  tx_.remove_elements(first_piece, last_piece);
}

void List::keep(uint64_t first, uint64_t count) {
  VARVE_DCHECK(first + count <= size());
  if (count == size()) return;
  changed_ = true;
  if (count == 0) {  // the key goes, and its elements with their id
    record_.count = 0;
    return;
  }
  if (is_inline()) {
    packed_.erase(packed_.place(first + count), packed_.size());
    packed_.erase(0, packed_.place(first));
  } else {
    remove_positions(head_, head_ + first);
    remove_positions(head_ + first + count, tail());
    if (!planted(Plant::list_head_unsaved)) head_ += first;
  }
  record_.count = count;
}

// May the elements [from, to) be moved at once? A long way is measured before it is gone.
bool List::movable(uint64_t from, uint64_t to) {
  if (from == to || (!has_long_ && to - from <= kMovedMax / (kLongPieceSize + kMovedCost))) return true;
  if ((to - from) * kMovedCost > kMovedMax) return false;
  uint64_t bytes = 0;
  Walk walk(*this, from, true);
  while (walk.valid() && bytes <= kMovedMax) {
    bytes += walk.value().length + kMovedCost;
    if (walk.index() + 1 == to) break;
    walk.next();
  }
  if (!walk.valid()) ask_ahead(walk, to - walk.index());
  return bytes <= kMovedMax;
}

bool List::insert(uint64_t index, std::string_view value) {
  VARVE_DCHECK(index <= size());
  if (is_inline()) {
    if (packed_.size() + Packed::cost(value) <= kInlineCollectionMax) {
      packed_.insert(packed_.place(index), value);
      ++record_.count;
      changed_ = true;
      return true;
    }
    to_elements();
  }
  bool toward_head = index < size() - index;
  if (toward_head ? !movable(0, index) : !movable(index, size())) return false;
  std::string moved;
  std::string scratch;
  uint64_t moves = toward_head ? index : size() - index;
  Walk walk(*this, toward_head ? 0 : size() - 1, toward_head);
  while (moves > 0 && walk.valid()) {
    moved.assign(walk.read(&scratch));
    uint64_t position = head_ + walk.index();
    put_at(toward_head ? position - 1 : position + 1, moved);
    if (--moves > 0) walk.next();
  }
  if (toward_head) --head_;
  put_at(head_ + index, value);
  ++record_.count;
  return true;
}

bool List::remove(const std::vector<uint64_t>& indexes) {
  if (indexes.empty()) return true;
  if (indexes.size() >= size()) {
    keep(0, 0);
    return true;
  }
  if (is_inline()) {
    remove_inline(indexes);
    return true;
  }
  bool toward_head = size() - indexes.front() <= indexes.back() + 1;
  if (toward_head ? !movable(indexes.front(), size()) : !movable(0, indexes.back() + 1)) return false;
  close_gaps(indexes, toward_head);
  return true;
}

void List::remove_inline(const std::vector<uint64_t>& indexes) {
  size_t from = 0;
  uint64_t index = 0;
  std::string_view ignored;
  for (uint64_t removed : indexes) {
    for (; index < removed; ++index) packed_.read(&from, &ignored);
    size_t end = from;
    if (!packed_.read(&end, &ignored)) return;
    packed_.erase(from, end);
    ++index;
    --record_.count;
  }
  changed_ = true;
}

// What stands behind the first gap moves toward the head, or what stands before the last one toward the tail.
void List::close_gaps(const std::vector<uint64_t>& indexes, bool toward_head) {
  std::string moved;
  std::string scratch;
  uint64_t gaps = 0;
  Walk walk(*this, toward_head ? indexes.front() : indexes.back(), toward_head);
  for (; walk.valid(); walk.next()) {
    uint64_t next_gap = toward_head
                            ? indexes[std::min<size_t>(gaps, indexes.size() - 1)]
                            : indexes[indexes.size() - 1 - std::min<size_t>(gaps, indexes.size() - 1)];
    if (walk.index() == next_gap) {
      ++gaps;
      continue;
    }
    moved.assign(walk.read(&scratch));
    uint64_t position = head_ + walk.index();
    put_at(toward_head ? position - gaps : position + gaps, moved);
  }
  uint64_t removed = indexes.size();
  toward_head ? remove_positions(tail() - removed, tail()) : remove_positions(head_, head_ + removed);
  if (!toward_head) head_ += removed;
  record_.count -= removed;
  changed_ = true;
}

}  // namespace varve
