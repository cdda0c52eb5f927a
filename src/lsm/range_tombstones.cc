#include "lsm/range_tombstones.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "base/check.h"

namespace varve {
namespace {

// What a fragment costs beside its bytes: a node of the map, two strings, a vector.
constexpr size_t kFragmentCost = 160;

size_t cost(std::string_view begin, const RangeTombstones::Fragment& fragment) {
  return kFragmentCost + begin.size() + fragment.end.size() + fragment.sequences.size() * sizeof(Sequence);
}

// Adds a sequence; false when it was there. New sequences are nearly always the highest.
bool add_sequence(std::vector<Sequence>* sequences, Sequence sequence) {
  auto at = std::lower_bound(sequences->begin(), sequences->end(), sequence, std::greater<>());
  if (at != sequences->end() && *at == sequence) return false;
  sequences->insert(at, sequence);
  return true;
}

}  // namespace

void RangeTombstones::add(std::string_view begin, std::string_view end, Sequence sequence) {
  if (begin >= end) return;
  // Afterwards no fragment lies across begin or end.
  split_at(begin);
  split_at(end);
  auto it = map_.lower_bound(begin);
  std::string at(begin);
  while (at < end) {
    if (it == map_.end() || it->first != at) {  // a gap, up to the next fragment or to end
      std::string gap_end(it == map_.end() ? end : std::min<std::string_view>(end, it->first));
      it = map_.emplace_hint(it, at, Fragment{gap_end, {sequence}});
      memory_used_ += cost(it->first, it->second);
    } else if (add_sequence(&it->second.sequences, sequence)) {
      memory_used_ += sizeof(Sequence);
    }
    at = it->second.end;
    ++it;
  }
}

void RangeTombstones::split_at(std::string_view key) {
  auto it = map_.lower_bound(key);
  if (it == map_.begin()) return;
  --it;
  Fragment& left = it->second;
  if (it->first >= key || left.end <= key) return;
  memory_used_ -= cost(it->first, left);
  Fragment right = left;
  left.end = key;
  memory_used_ += cost(it->first, left) + cost(key, right);
  map_.emplace_hint(std::next(it), std::string(key), std::move(right));
}

void RangeTombstones::append(std::string_view begin, std::string_view end,
                             const std::vector<Sequence>& sequences) {
  if (!map_.empty()) {
    auto& [last_begin, last] = *map_.rbegin();
    VARVE_CHECK(std::string_view(last.end) <= begin);
    if (last.end == begin && last.sequences == sequences) {
      memory_used_ -= cost(last_begin, last);
      last.end = end;
      memory_used_ += cost(last_begin, last);
      return;
    }
  }
  auto it = map_.emplace_hint(map_.end(), std::string(begin), Fragment{std::string(end), sequences});
  memory_used_ += cost(it->first, it->second);
}

Sequence RangeTombstones::covering(std::string_view key, Sequence at) const {
  auto it = map_.upper_bound(key);
  if (it == map_.begin()) return 0;
  const Fragment& fragment = std::prev(it)->second;
  if (key >= fragment.end) return 0;
  auto found = std::lower_bound(fragment.sequences.begin(), fragment.sequences.end(), at, std::greater<>());
  return found == fragment.sequences.end() ? 0 : *found;
}

RangeTombstones RangeTombstones::clipped(std::string_view lower, std::string_view upper,
                                         bool has_upper) const {
  RangeTombstones result;
  auto it = map_.upper_bound(lower);
  if (it != map_.begin()) --it;
  for (; it != map_.end() && (!has_upper || it->first < upper); ++it) {
    std::string_view begin = std::max<std::string_view>(lower, it->first);
    std::string_view end = it->second.end;
    if (has_upper) end = std::min(end, upper);
    if (begin < end) result.append(begin, end, it->second.sequences);
  }
  return result;
}

std::string RangeTombstones::debug_string() const {
  std::string out;
  for (const auto& [begin, fragment] : map_) {
    if (!out.empty()) out += "; ";
    out += fmt::format("[{},{}) {}", begin, fragment.end, fmt::join(fragment.sequences, " "));
  }
  return out;
}

}  // namespace varve
