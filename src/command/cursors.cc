#include "command/cursors.h"

#include "base/random.h"

namespace varve {
namespace {

constexpr uint64_t kCursorEnd = uint64_t{1} << 53;

}  // namespace

CursorTable::CursorTable(uint64_t seed, size_t bytes_max)
    : next_(Random(seed).below(kCursorEnd / 2) + 1), bytes_max_(bytes_max) {}

uint64_t CursorTable::add(uint64_t client, std::string_view position) {
  uint64_t cursor = next_++;
  positions_.emplace(cursor, position);
  bytes_ += charge(position.size());
  auto [mine, first] = latest_.emplace(client, cursor);
  if (!first) {
    age(mine->second);
    mine->second = cursor;
  }
  return cursor;
}

const std::string* CursorTable::find(uint64_t cursor) const {
  auto found = positions_.find(cursor);
  return found == positions_.end() ? nullptr : &found->second;
}

void CursorTable::forget_client(uint64_t client) {
  auto mine = latest_.find(client);
  if (mine == latest_.end()) return;
  age(mine->second);
  latest_.erase(mine);
}

// From now on this cursor stays only as long as there is room.
void CursorTable::age(uint64_t cursor) {
  by_age_.push_back(cursor);
  aged_bytes_ += charge(positions_.at(cursor).size());
  while (aged_bytes_ > bytes_max_) {
    auto oldest = positions_.find(by_age_.front());
    by_age_.pop_front();
    size_t size = charge(oldest->second.size());
    aged_bytes_ -= size;
    bytes_ -= size;
    positions_.erase(oldest);
  }
}

}  // namespace varve
