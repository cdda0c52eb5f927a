#include "keyspace/overlay.h"

#include "base/check.h"

namespace varve {
namespace {

// Up to this many operations a walk is cheaper than an index.
constexpr uint32_t kWalkedOperations = 16;
constexpr size_t kKeptBytes = 1 << 20;
constexpr size_t kKeptBuckets = 1 << 14;

}  // namespace

Overlay::Answer Overlay::find(std::string_view key, std::string_view* value) {
  if (batch_.count() == 0) return Answer::kUntouched;
  if (batch_.count() <= kWalkedOperations) return find_from_front(key, value);
  bring_index_up_to_date();
  auto found = index_.find(std::string(key));
  if (found == index_.end()) return Answer::kUntouched;
  BatchReader reader(std::string_view(batch_.bytes()).substr(found->second));
  BatchReader::Op op;
  VARVE_CHECK(reader.next(&op));
  if (op.kind == Kind::kDelete) return Answer::kDeleted;
  *value = op.value;
  return Answer::kPut;
}

void Overlay::clear() {
  batch_.clear();
  index_.clear();
  indexed_bytes_ = 0;
}

void Overlay::release_memory() {
  VARVE_DCHECK(batch_.empty());
  // Assigning an empty one, or {} to a container, would keep the capacity.
  if (batch_.bytes().capacity() > kKeptBytes) WriteBatch(std::move(batch_)), batch_.clear();
  if (index_.bucket_count() > kKeptBuckets) index_ = decltype(index_)();
}

Overlay::Answer Overlay::find_from_front(std::string_view key, std::string_view* value) const {
  Answer answer = Answer::kUntouched;
  BatchReader reader(batch_.bytes());
  BatchReader::Op op;
  while (reader.next(&op)) {
    if (op.is_counter || op.kind == Kind::kRangeDelete || op.key != key) continue;
    answer = op.kind == Kind::kPut ? Answer::kPut : Answer::kDeleted;
    *value = op.value;
  }
  return answer;
}

void Overlay::bring_index_up_to_date() {
  const char* base = batch_.bytes().data();
  size_t at = indexed_bytes_;
  BatchReader reader(std::string_view(batch_.bytes()).substr(at));
  BatchReader::Op op;
  while (reader.next(&op)) {
    if (!op.is_counter && op.kind != Kind::kRangeDelete) index_[std::string(op.key)] = at;
    at = static_cast<size_t>(reader.rest().data() - base);
  }
  indexed_bytes_ = batch_.byte_size();
}

}  // namespace varve
