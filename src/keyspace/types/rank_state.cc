#include "keyspace/types/rank_state.h"

#include <algorithm>
#include <cstring>

#include "base/coding.h"
#include "keyspace/entry_format.h"

namespace varve {
namespace {

// Marks are at most so long.
constexpr size_t kMarkMax = 40;
constexpr uint8_t kHasGap = 0x80;
constexpr uint8_t kGapAtLow = 0x40;
constexpr int64_t kChangeMax = 16'000;

// The place itself, or one in front of it; one behind it, or the end: empty.
std::string mark_before(std::string_view place) {
  return std::string(place.substr(0, kMarkMax));
}
std::string mark_behind(std::string_view place) {
  if (place.size() > kMarkMax) return prefix_end(place.substr(0, kMarkMax));
  std::string mark(place);
  mark.push_back('\0');
  return mark;
}

}  // namespace

// --- changes ---

RankChanges::Entry RankChanges::at(size_t levels, size_t i) const {
  const char* entry = bytes_.data() + i * (levels + kChangeSize);
  return {reinterpret_cast<Path>(entry), static_cast<int16_t>(decode_fixed16(entry + levels))};
}

size_t RankChanges::find(size_t levels, Path path) const {
  size_t begin = 0;
  size_t end = size(levels);
  while (begin < end) {
    size_t middle = (begin + end) / 2;
    if (std::memcmp(at(levels, middle).path, path, levels) < 0) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

int64_t RankChanges::of(size_t levels, Path path) const {
  size_t i = find(levels, path);
  if (i == size(levels) || std::memcmp(at(levels, i).path, path, levels) != 0) return 0;
  return at(levels, i).change;
}

int64_t RankChanges::sum(size_t levels, size_t begin, size_t end) const {
  int64_t sum = 0;
  for (size_t i = begin; i < end; ++i) sum += at(levels, i).change;
  return sum;
}

void RankChanges::add(size_t levels, Path path, int64_t change) {
  size_t i = find(levels, path);
  if (i < size(levels) && std::memcmp(at(levels, i).path, path, levels) == 0) {
    change += at(levels, i).change;
    if (change == 0) return erase(levels, i, i + 1);
  } else {
    bytes_.insert(i * (levels + kChangeSize), levels + kChangeSize, '\0');
  }
  char* entry = bytes_.data() + i * (levels + kChangeSize);
  std::memcpy(entry, path, levels);
  encode_fixed16(entry + levels, static_cast<uint16_t>(change));
  full_ |= change < -kChangeMax || change > kChangeMax;
}

void RankChanges::erase(size_t levels, size_t begin, size_t end) {
  size_t each = levels + kChangeSize;
  bytes_.erase(begin * each, (end - begin) * each);
}

void RankChanges::clear() {
  bytes_.clear();
  full_ = false;
}

bool RankChanges::decode(size_t levels, std::string_view bytes) {
  bytes_.reserve(bytes.size() + levels + kChangeSize);  // one more is soon added
  bytes_.assign(bytes);
  full_ = false;
  return bytes.size() % (levels + kChangeSize) == 0;
}

// --- the state ---

void RankState::encode(std::string* out) const {
  bool has_gap = !gap.end.empty();
  size_t texts = low.size() + high.size() + gap.begin.size() + gap.end.size();
  size_t start = out->size();
  out->resize(start + texts + changes.bytes().size() + 8 * kMaxVarintSize);
  char* p = encode_varint(out->data() + start, removed);
  *p++ = static_cast<char>(levels | (has_gap ? kHasGap : 0) | (gap.at_low ? kGapAtLow : 0));
  auto put_text = [&p](std::string_view text) {
    p = encode_varint(p, text.size());
    p = std::copy(text.begin(), text.end(), p);
  };
  put_text(low);
  put_text(high);
  if (has_gap) put_text(gap.begin), put_text(gap.end);
  if (levels > 0) {
    p = encode_varint(p, next_node);
    p = encode_varint(p, first);
    p = std::copy(changes.bytes().begin(), changes.bytes().end(), p);
  }
  out->resize(static_cast<size_t>(p - out->data()));
}

bool RankState::decode(std::string_view bytes) {
  uint8_t level_bits = 0;
  if (!get_varint(&bytes, &removed) || !get_u8(&bytes, &level_bits)) return false;
  bool has_gap = (level_bits & kHasGap) != 0;
  gap.at_low = (level_bits & kGapAtLow) != 0;
  levels = level_bits & static_cast<uint8_t>(~(kHasGap | kGapAtLow));
  if (levels > kLevelsMax || (gap.at_low && !has_gap)) return false;
  auto get_mark = [&bytes](std::string* mark) {
    std::string_view view;
    if (!get_length_prefixed(&bytes, &view)) return false;
    mark->assign(view);
    return true;
  };
  if (!get_mark(&low) || !get_mark(&high)) return false;
  if (has_gap && (!get_mark(&gap.begin) || !get_mark(&gap.end) || gap.begin >= gap.end)) return false;
  if (levels == 0) return bytes.empty();
  uint64_t next = 0;
  if (!get_varint(&bytes, &next) || next == 0 || next > UINT32_MAX || !get_varint(&bytes, &first))
    return false;
  next_node = static_cast<uint32_t>(next);
  return changes.decode(levels, bytes);
}

void RankState::set_low(std::string_view place) {
  low = mark_before(place);
  if (gap.end.empty() || low < gap.begin) return;
  low = std::max(low, gap.end);
  gap = Gap();
}

void RankState::set_high(std::string_view place) {
  high = place.size() <= kMarkMax ? std::string(place) : mark_behind(place);
  if (gap.end.empty() || high.empty() || high > gap.end) return;
  high = std::min(high, gap.begin);
  gap = Gap();
}

bool RankState::make_room(std::string_view place) {
  bool below = !low.empty() && place < low;
  bool above = !high.empty() && place >= high;
  if (below) {
    if (gap.end.empty()) gap = {mark_behind(place), low, true};
    low = mark_before(place);
  } else if (above) {
    if (gap.end.empty()) gap = {high, mark_before(place), false};
    high = mark_behind(place);
  } else if (gap.begin <= place && place < gap.end) {
    (gap.at_low ? gap.begin : gap.end) = gap.at_low ? mark_behind(place) : mark_before(place);
  }
  if (!gap.begin.empty() && gap.begin < gap.end) return below || above;
  if (gap.at_low || !gap.begin.empty() || !gap.end.empty()) gap = Gap();
  return below || above;
}

}  // namespace varve
