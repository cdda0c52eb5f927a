#include "keyspace/types/rank_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/checksum.h"
#include "base/coding.h"

namespace varve {
namespace {

constexpr size_t kBitsPerLevel = 5;  // one member in 32 begins a node, one node in 32 one of the next level
// A topmost level longer than about this gets another one above it.
constexpr uint64_t kTopNodes = 64;
// Marks are at most so long.
constexpr size_t kMarkMax = 40;
// So many point deletes are dearer to later walks than a range delete.
constexpr size_t kPointDeletesMax = 32;
constexpr uint8_t kHasGap = 0x80;
constexpr uint8_t kGapAtLow = 0x40;

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

void RankState::encode(std::string* out) const {
  put_varint(out, removed);
  bool has_gap = !gap.end.empty();
  out->push_back(static_cast<char>(levels | (has_gap ? kHasGap : 0) | (gap.at_low ? kGapAtLow : 0)));
  put_length_prefixed(out, low);
  put_length_prefixed(out, high);
  if (has_gap) {
    put_length_prefixed(out, gap.begin);
    put_length_prefixed(out, gap.end);
  }
  if (levels == 0) return;
  put_varint(out, salt);
  for (size_t level = 0; level < levels; ++level) put_varint(out, heads[level]);
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
  if (levels > 0 && !get_varint(&bytes, &salt)) return false;
  for (size_t level = 0; level < levels; ++level) {
    if (!get_varint(&bytes, &heads[level])) return false;
  }
  return bytes.empty();
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
  if (gap.begin.empty() || gap.begin >= gap.end) gap = Gap();
  return below || above;
}

// --- walks ---

std::unique_ptr<ElementIterator> RankIndex::walk(Part part, std::string_view before) {
  EngineKey begin;
  EngineKey end;
  std::string rest(before);
  make_element_key(collection_, part, rest + state_.low, &begin);
  make_element_key(collection_, part, rest + state_.high, &end);
  if (!state_.high.empty()) return tx_.iterate(begin, end);
  make_element_key(collection_, part, rest, &end);
  return tx_.iterate(begin, prefix_end(end));
}

ElementIterator& RankIndex::members() {
  if (!members_) members_ = walk(Part::kOrder, "");
  return *members_;
}

ElementIterator& RankIndex::nodes(size_t level) {
  if (!nodes_[level]) {
    char prefix = static_cast<char>(level);
    nodes_[level] = walk(Part::kCounts, {&prefix, 1});
  }
  return *nodes_[level];
}

void RankIndex::forget_walks() {
  members_.reset();
  for (auto& walk : nodes_) walk.reset();
}

std::string_view RankIndex::place_of(const ElementIterator& it, bool node) const {
  return it.key().substr(kPartPrefixSize + (node ? 1 : 0));
}

bool RankIndex::count_of(const ElementIterator& it, uint64_t* count) {
  std::string_view value = it.value();
  if (get_varint(&value, count) && value.empty()) return true;
  damaged();
  return false;
}

void RankIndex::make_node_key(size_t level, std::string_view place, EngineKey* out) const {
  char* p = out->reset(kPartPrefixSize + 1 + place.size());
  p[0] = kElementSpace;
  encode_big64(p + 1, collection_);
  p[9] = static_cast<char>(Part::kCounts);
  p[kPartPrefixSize] = static_cast<char>(level);
  if (!place.empty()) std::memcpy(p + kPartPrefixSize + 1, place.data(), place.size());
}

void RankIndex::put_node(size_t level, std::string_view place, uint64_t count) {
  EngineKey key;
  make_node_key(level, place, &key);
  char value[kMaxVarintSize];
  tx_.put_element(key, {value, static_cast<size_t>(encode_varint(value, count) - value)});
}

size_t RankIndex::height(std::string_view place) const {
  uint64_t hash = checksum(place.substr(kScoreSize), state_.salt);
  return static_cast<size_t>(std::countr_zero(hash)) / kBitsPerLevel;
}

void RankIndex::damaged() {
  tx_.fail(Status::corruption("keyspace: the counts of collection {} do not add up", collection_));
}

// --- changes ---

RankIndex::Left RankIndex::left_of(size_t level, std::string_view place) {
  EngineKey key;
  make_node_key(level, place, &key);
  ElementIterator& it = nodes(level);
  it.seek_before(key);
  if (!it.valid()) return {true, {}, state_.heads[level]};
  Left left{false, std::string(place_of(it, true)), 0};
  count_of(it, &left.count);
  return left;
}

void RankIndex::put_left(size_t level, const Left& left, uint64_t add, uint64_t less) {
  if (left.count + add < less) return damaged();
  uint64_t count = left.count + add - less;
  if (left.head) {
    state_.heads[level] = count;
  } else {
    put_node(level, left.place, count);
  }
}

uint64_t RankIndex::count_up_to_next(size_t level, std::string_view place) {
  EngineKey key;
  make_node_key(level, std::string(place) + '\0', &key);
  ElementIterator& it = nodes(level);
  it.seek(key);
  std::string next = it.valid() ? std::string(place_of(it, true)) : std::string();
  uint64_t total = 0;
  if (level == 0) {
    ElementIterator& walk = members();
    make_element_key(collection_, Part::kOrder, place, &key);
    for (walk.seek(key); walk.valid() && (next.empty() || place_of(walk, false) < next); walk.next()) ++total;
    return total;
  }
  ElementIterator& below = nodes(level - 1);
  make_node_key(level - 1, place, &key);
  uint64_t count = 0;
  for (below.seek(key); below.valid() && (next.empty() || place_of(below, true) < next); below.next()) {
    if (!count_of(below, &count)) break;
    total += count;
  }
  return total;
}

void RankIndex::add(std::string_view place) {
  size_t own = height(place);
  for (size_t level = 0; level < state_.levels; ++level) {
    Left left = left_of(level, place);
    uint64_t taken = 0;
    if (own > level) {
      taken = count_up_to_next(level, place);
      put_node(level, place, taken);
    }
    put_left(level, left, 1, taken);
  }
}

RankIndex::Stretch RankIndex::remove(std::string_view begin, std::string_view end, uint64_t count) {
  Stretch stretch;
  size_t own = count == 1 ? height(begin) : state_.levels;
  EngineKey key;
  for (size_t level = 0; level < state_.levels; ++level) {
    uint64_t joined = 0;
    std::vector<std::string> gone;
    if (own > level) {
      ElementIterator& it = nodes(level);
      make_node_key(level, begin, &key);
      for (it.seek(key); it.valid() && place_of(it, true) < end; it.next()) {
        uint64_t own_count = 0;
        if (!count_of(it, &own_count)) return stretch;
        joined += own_count;
        gone.emplace_back(it.key());
      }
    }
    Left left = left_of(level, begin);
    if (level == 0) {
      stretch.first = left.head;
      ElementIterator& it = nodes(0);
      if (it.valid()) it.next();
      for (size_t i = 0; i < gone.size() && it.valid(); ++i) it.next();
      stretch.last = !left.head && !it.valid();
    }
    put_left(level, left, joined, count);
    if (gone.size() > kPointDeletesMax) {
      tx_.remove_elements(gone.front(), gone.back() + '\0');
    } else {
      for (const std::string& node : gone) tx_.remove_element(node);
    }
  }
  return stretch;
}

void RankIndex::build(uint64_t salt, uint64_t count,
                      const std::function<bool(std::string_view* place)>& next) {
  state_.salt = salt;
  state_.heads.fill(0);
  for (state_.levels = 1; needs_level(count);) ++state_.levels;
  std::array<Left, RankState::kLevelsMax> current;
  auto put = [&](size_t level) { put_left(level, current[level], 0, 0); };
  std::string_view place;
  while (next(&place)) {
    size_t own = height(place);
    for (size_t level = 0; level < state_.levels; ++level) {
      if (own > level) {
        put(level);
        current[level] = {false, std::string(place), 0};
      }
      ++current[level].count;
    }
  }
  for (size_t level = 0; level < state_.levels; ++level) put(level);
}

void RankIndex::build(uint64_t salt, uint64_t count) {
  ElementIterator& walk = members();
  walk.seek_to_first();
  std::string at;  // the walk stands on it: next() moves it
  build(salt, count, [&](std::string_view* place) {
    if (!at.empty()) walk.next();
    if (!walk.valid()) return false;
    at.assign(place_of(walk, false));
    *place = at;
    return true;
  });
}

bool RankIndex::needs_level(uint64_t count) const {
  return state_.levels < RankState::kLevelsMax && count >> (kBitsPerLevel * state_.levels) > kTopNodes;
}

void RankIndex::grow(uint64_t count) {
  while (state_.levels > 0 && needs_level(count)) {
    std::vector<std::pair<std::string, uint64_t>> counts;
    uint64_t head = state_.heads[state_.levels - 1];
    ElementIterator& below = nodes(state_.levels - 1);
    for (below.seek_to_first(); below.valid(); below.next()) {
      uint64_t below_count = 0;
      std::string_view place = place_of(below, true);
      if (!count_of(below, &below_count)) return;
      if (height(place) > state_.levels) counts.emplace_back(place, 0);
      (counts.empty() ? head : counts.back().second) += below_count;
    }
    state_.heads[state_.levels] = head;
    for (const auto& [place, total] : counts) put_node(state_.levels, place, total);
    ++state_.levels;
  }
}

// --- questions ---

// Passes on each level the nodes that are not beyond; a node of one level is one of all levels below too.
RankIndex::Position RankIndex::descend(
    const std::function<bool(std::string_view place, uint64_t before)>& beyond) {
  Position at;
  EngineKey key;
  for (size_t level = state_.levels; level-- > 0;) {
    ElementIterator& it = nodes(level);
    uint64_t here = state_.heads[level];
    if (at.place.empty()) {
      it.seek_to_first();
    } else {
      make_node_key(level, at.place, &key);
      it.seek(key);
      if (!it.valid() || place_of(it, true) != at.place || !count_of(it, &here)) {
        damaged();
        return at;
      }
      it.next();
    }
    for (; it.valid() && !beyond(place_of(it, true), at.before + here); it.next()) {
      at.before += here;
      at.place.assign(place_of(it, true));
      if (!count_of(it, &here)) return at;
    }
  }
  return at;
}

RankIndex::Position RankIndex::find_place(std::string_view place) {
  return descend([place](std::string_view node, uint64_t) { return node > place; });
}

RankIndex::Position RankIndex::find_rank(uint64_t rank) {
  return descend([rank](std::string_view, uint64_t before) { return before > rank; });
}

std::string RankIndex::check(uint64_t count) {
  for (size_t level = 0; level < state_.levels; ++level) {
    std::vector<std::pair<std::string, uint64_t>> expected;
    uint64_t head = 0;
    uint64_t total = 0;
    ElementIterator& walk = members();
    for (walk.seek_to_first(); walk.valid(); walk.next(), ++total) {
      std::string_view place = place_of(walk, false);
      if (height(place) > level) expected.emplace_back(place, 0);
      ++(expected.empty() ? head : expected.back().second);
    }
    if (total != count) return fmt::format("{} members instead of {}", total, count);
    if (head != state_.heads[level]) {
      return fmt::format("level {}: head {} instead of {}", level, state_.heads[level], head);
    }
    size_t at = 0;
    ElementIterator& it = nodes(level);
    for (it.seek_to_first(); it.valid(); it.next(), ++at) {
      uint64_t found = 0;
      count_of(it, &found);
      if (at == expected.size() || expected[at] != std::pair(std::string(place_of(it, true)), found)) {
        return fmt::format("level {}: node {} counts {}", level, at, found);
      }
    }
    if (at != expected.size())
      return fmt::format("level {}: {} nodes instead of {}", level, at, expected.size());
  }
  return {};
}

}  // namespace varve
