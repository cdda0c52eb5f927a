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
  if (next_ >= kCursorEnd) next_ = 1;
  Position& entry = positions_[cursor];
  if (!entry.key.empty() || entry.client != 0) bytes_ -= charge(entry);  // after 2^53 cursors
  entry.key = position;
  entry.client = client;
  bytes_ += charge(entry);
  by_age_.push_back(cursor);
  latest_[client] = cursor;
  evict();
  return cursor;
}

const std::string* CursorTable::find(uint64_t cursor) const {
  auto found = positions_.find(cursor);
  return found == positions_.end() ? nullptr : &found->second.key;
}

void CursorTable::keep_clients(const std::unordered_set<uint64_t>& live) {
  std::erase_if(latest_, [&](const auto& entry) { return !live.contains(entry.first); });
}

// Walks the ages once at most: what a client was given last goes to the back instead.
void CursorTable::evict() {
  for (size_t looked = by_age_.size(); bytes_ > bytes_max_ && looked > 0; --looked) {
    uint64_t cursor = by_age_.front();
    by_age_.pop_front();
    auto found = positions_.find(cursor);
    if (found == positions_.end()) continue;
    auto latest = latest_.find(found->second.client);
    if (latest != latest_.end() && latest->second == cursor) {
      by_age_.push_back(cursor);
      continue;
    }
    bytes_ -= charge(found->second);
    positions_.erase(found);
  }
}

}  // namespace varve
