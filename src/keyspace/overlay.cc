#include "keyspace/overlay.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace varve {
namespace {

// Up to this many operations a walk is cheaper than an index.
constexpr uint32_t kWalkedOperations = 16;
constexpr size_t kKeptBytes = 1 << 20;

}  // namespace

void Overlay::write_change() {
  changing_ = false;
  std::string value(change_.was);
  value.replace(change_.offset, change_.bytes.size(), change_.bytes);
  put(change_.key, value);
  put(change_.record_key, change_.record);
}

size_t Overlay::byte_size() const {
  constexpr size_t kOpHeaders = 2 * 9;
  size_t beside = change_.key.size() + change_.was.size() + change_.record_key.size() + change_.record.size();
  return batch_.byte_size() + (changing_ ? beside + kOpHeaders : 0);
}

Overlay::Answer Overlay::find(std::string_view key, std::string_view* value) {
  if (changing_) write_change();
  if ((noted_ & sort_of(key)) == 0) return Answer::kUntouched;
  if (batch_.count() <= kWalkedOperations) return find_from_front(key, value);
  bring_index_up_to_date();
  auto found = index_.find(key);
  if (found == index_.end()) {
    std::string_view begin, end;
    return deleted_around(key, &begin, &end) ? Answer::kDeleted : Answer::kUntouched;
  }
  BatchReader::Op op = op_at(found->second);
  if (op.kind == Kind::kDelete) return Answer::kDeleted;
  *value = op.value;
  return Answer::kPut;
}

bool Overlay::touches(std::string_view begin, std::string_view end) {
  if (changing_) write_change();
  if (batch_.count() == 0) return false;
  if (batch_.count() <= kWalkedOperations) {
    BatchReader reader(batch_.bytes());
    BatchReader::Op op;
    while (reader.next(&op)) {
      if (op.is_counter || op.key >= end) continue;
      if (op.kind == Kind::kRangeDelete ? op.value > begin : op.key >= begin) return true;
    }
    return false;
  }
  bring_index_up_to_date();
  auto next = index_.lower_bound(begin);
  if (next != index_.end() && std::string_view(next->first) < end) return true;
  auto range = ranges_.lower_bound(end);
  return range != ranges_.begin() && std::string_view(std::prev(range)->second) > begin;
}

bool Overlay::first_put(std::string_view from, std::string_view end, std::string_view* key,
                        std::string_view* value) {
  if (changing_) write_change();
  bring_index_up_to_date();
  for (auto it = index_.lower_bound(from); it != index_.end() && std::string_view(it->first) < end; ++it) {
    BatchReader::Op op = op_at(it->second);
    if (op.kind != Kind::kPut) continue;
    *key = op.key;
    *value = op.value;
    return true;
  }
  return false;
}

bool Overlay::last_put(std::string_view begin, std::string_view before, std::string_view* key,
                       std::string_view* value) {
  if (changing_) write_change();
  bring_index_up_to_date();
  for (auto it = index_.lower_bound(before); it != index_.begin();) {
    --it;
    if (std::string_view(it->first) < begin) return false;
    BatchReader::Op op = op_at(it->second);
    if (op.kind != Kind::kPut) continue;
    *key = op.key;
    *value = op.value;
    return true;
  }
  return false;
}

bool Overlay::deleted_around(std::string_view key, std::string_view* begin, std::string_view* end) {
  if (changing_) write_change();
  bring_index_up_to_date();
  auto next = ranges_.upper_bound(key);
  if (next == ranges_.begin()) return false;
  const auto& range = *std::prev(next);
  if (key >= std::string_view(range.second)) return false;
  *begin = range.first;
  *end = range.second;
  return true;
}

void Overlay::clear() {
  changing_ = false;
  noted_ = 0;
  batch_.clear();
  index_.clear();
  ranges_.clear();
  indexed_bytes_ = 0;
}

void Overlay::release_memory() {
  VARVE_DCHECK(batch_.empty());
  // Assigning an empty one would keep the capacity.
  if (batch_.bytes().capacity() > kKeptBytes) WriteBatch(std::move(batch_)), batch_.clear();
}

Overlay::Answer Overlay::find_from_front(std::string_view key, std::string_view* value) const {
  Answer answer = Answer::kUntouched;
  BatchReader reader(batch_.bytes());
  BatchReader::Op op;
  while (reader.next(&op)) {
    if (op.is_counter) continue;
    if (op.kind == Kind::kRangeDelete) {
      if (op.key <= key && key < op.value) answer = Answer::kDeleted;
    } else if (op.key == key) {
      answer = op.kind == Kind::kPut ? Answer::kPut : Answer::kDeleted;
      *value = op.value;
    }
  }
  return answer;
}

void Overlay::bring_index_up_to_date() {
  VARVE_DCHECK(!changing_);
  if (indexed_bytes_ == batch_.byte_size()) return;
  const char* base = batch_.bytes().data();
  size_t at = indexed_bytes_;
  BatchReader reader(std::string_view(batch_.bytes()).substr(at));
  BatchReader::Op op;
  while (reader.next(&op)) {
    if (!op.is_counter && op.kind == Kind::kRangeDelete) {
      index_range_delete(op.key, op.value);
    } else if (!op.is_counter) {
      auto found = index_.find(op.key);
      if (found != index_.end()) {
        found->second = at;
      } else {
        index_.emplace(op.key, at);
      }
    }
    at = static_cast<size_t>(reader.rest().data() - base);
  }
  indexed_bytes_ = batch_.byte_size();
}

void Overlay::index_range_delete(std::string_view begin, std::string_view end) {
  index_.erase(index_.lower_bound(begin), index_.lower_bound(end));
  std::string from(begin);
  std::string to(end);
  auto it = ranges_.upper_bound(begin);
  if (it != ranges_.begin() && std::string_view(std::prev(it)->second) >= begin) {
    --it;
    from = it->first;
  }
  while (it != ranges_.end() && it->first <= to) {
    to = std::max(to, it->second);
    it = ranges_.erase(it);
  }
  ranges_.emplace(std::move(from), std::move(to));
}

BatchReader::Op Overlay::op_at(size_t offset) const {
  BatchReader reader(std::string_view(batch_.bytes()).substr(offset));
  BatchReader::Op op;
  VARVE_CHECK(reader.next(&op));
  return op;
}

}  // namespace varve
