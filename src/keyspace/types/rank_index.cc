#include "keyspace/types/rank_index.h"

#include <fmt/format.h>

#include <cstring>

#include "base/coding.h"

namespace varve {
// --- records ---

ElementIterator& RankIndex::members() {
  if (members_) return *members_;
  EngineKey begin;
  EngineKey end;
  make_element_key(collection_, Part::kOrder, state_.low, &begin);
  make_element_key(collection_, Part::kOrder, state_.high, &end);
  members_ = state_.high.empty() ? tx_.iterate(begin, prefix_end(end)) : tx_.iterate(begin, end);
  return *members_;
}

void RankIndex::make_node_key(uint32_t node, EngineKey* out) const {
  char number[4];
  encode_big32(number, node);
  make_element_key(collection_, Part::kCounts, {number, sizeof number}, out);
}

void RankIndex::damaged() {
  tx_.fail(Status::corruption("keyspace: the counts of collection {} do not add up", collection_));
}

bool RankIndex::read_node(uint32_t node, size_t level, RankNodeView* view) {
  std::string_view bytes;
  auto changed = nodes_.empty() ? nodes_.end() : nodes_.find(node);
  if (changed != nodes_.end()) {
    bytes = changed->second.bytes;
  } else {
    EngineKey key;
    make_node_key(node, &key);
    if (!tx_.get_element(key, &bytes)) bytes = {};
  }
  if (view->read(bytes, level + 1 == state_.levels)) return true;
  damaged();
  return false;
}

RankIndex::NodeChange* RankIndex::change_node(uint32_t node, size_t level) {
  auto [change, fresh] = nodes_.try_emplace(node);
  if (!fresh) return &change->second;
  std::string_view bytes;
  EngineKey key;
  make_node_key(node, &key);
  RankNodeView view;
  if (tx_.get_element(key, &bytes) && view.read(bytes, level + 1 == state_.levels)) {
    change->second.bytes.assign(bytes);
    return &change->second;
  }
  nodes_.erase(change);
  damaged();
  return nullptr;
}

bool RankIndex::take_apart(uint32_t node, size_t level, std::vector<RankChild>* children) {
  RankNodeView view;
  if (!read_node(node, level, &view)) return false;
  *children = view.take_apart();
  return true;
}

void RankIndex::put_node(uint32_t node, size_t level, const std::vector<RankChild>& children) {
  nodes_[node].bytes = make_rank_node(children, level + 1 == state_.levels);
}

void RankIndex::save() {
  EngineKey key;
  for (const auto& [node, change] : nodes_) {
    make_node_key(node, &key);
    change.bytes.empty() ? tx_.remove_element(key) : tx_.put_element(key, change.bytes);
  }
  nodes_.clear();
}

// --- what is noted, and taken into the nodes ---

bool RankIndex::add_to_count(NodeChange* node, const RankNodeView& view, size_t child, int64_t change) {
  int64_t count = static_cast<int64_t>(view.count(child)) + change;
  if (count < 0 || (view.lowest() && count > static_cast<int64_t>(RankNodeView::kLeafMax))) {
    damaged();
    return false;
  }
  char* at = node->bytes.data() + view.count_offset(child);
  if (view.lowest()) {
    *at = static_cast<char>(count);
  } else {
    encode_fixed64(at, static_cast<uint64_t>(count));
  }
  return true;
}

bool RankIndex::apply_changes() {
  size_t count = state_.changes.size(state_.levels);
  bool done = count == 0 || apply_changes(0, 0, 0, count);
  state_.changes.clear();
  return done;
}

bool RankIndex::apply_changes(uint32_t node, size_t level, size_t begin, size_t end) {
  NodeChange* change = change_node(node, level);
  RankNodeView view;
  if (change == nullptr || !view.read(change->bytes, level + 1 == state_.levels)) return false;
  const RankChanges& changes = state_.changes;
  for (size_t i = begin; i < end;) {
    uint8_t child = changes.at(state_.levels, i).path[level];
    size_t behind = i;
    int64_t sum = 0;
    for (; behind < end; ++behind) {
      RankChanges::Entry entry = changes.at(state_.levels, behind);
      if (entry.path[level] != child) break;
      sum += entry.change;
    }
    bool here_already = view.lowest() && child == RankChanges::kInLowest;
    if (!here_already) {
      if (child >= view.children()) {
        damaged();
        return false;
      }
      if (!add_to_count(change, view, child, sum)) return false;
      bool below_already = level + 2 == state_.levels && behind - i == 1 &&
                           changes.at(state_.levels, i).path[level + 1] == RankChanges::kInLowest;
      if (!view.lowest() && !below_already && !apply_changes(view.node(child), level + 1, i, behind))
        return false;
    }
    i = behind;
  }
  return true;
}

bool RankIndex::apply_to_lowest(const Way& way) {
  size_t levels = state_.levels;
  uint8_t path[RankState::kLevelsMax];
  std::memcpy(path, way.path, levels);
  path[levels - 1] = 0;
  RankChanges& changes = state_.changes;
  size_t begin = changes.find(levels, path);
  path[levels - 1] = RankChanges::kInLowest;
  size_t end = changes.find(levels, path);
  if (begin == end) return true;
  NodeChange* change = change_node(way.nodes[levels - 1], levels - 1);
  RankNodeView view;
  if (change == nullptr || !view.read(change->bytes, true)) return false;
  int64_t sum = changes.sum(levels, begin, end);
  for (size_t i = begin; i < end; ++i) {
    RankChanges::Entry entry = changes.at(levels, i);
    uint8_t child = entry.path[levels - 1];
    if (child >= view.children()) {
      damaged();
      return false;
    }
    if (!add_to_count(change, view, child, entry.change)) return false;
  }
  changes.erase(levels, begin, end);
  if (levels > 1 && sum != 0) changes.add(levels, path, sum);
  return true;
}

void RankIndex::note(const uint8_t* path, int64_t change) {
  state_.changes.add(state_.levels, path, change);
  if (!state_.changes.full(state_.levels)) return;
  apply_changes();
  if (nodes_.size() > kNodesKept) save();
}

// --- one member ---

bool RankIndex::find_way(std::string_view place, Way* way, int64_t* before) {
  RankNodeView view;
  uint32_t node = 0;
  for (size_t level = 0; level < state_.levels; ++level) {
    if (!read_node(node, level, &view)) return false;
    size_t child = view.find(place);
    way->path[level] = static_cast<uint8_t>(child);
    way->nodes[level] = node;
    way->first &= child == 0;
    way->last &= child + 1 == view.children();
    if (before != nullptr) *before += static_cast<int64_t>(view.count_before(child));
    if (view.lowest()) {
      way->members = static_cast<int64_t>(view.count(child));
    } else {
      node = view.node(child);
    }
  }
  const RankChanges& changes = state_.changes;
  if (before != nullptr) *before += changes.sum(state_.levels, 0, changes.find(state_.levels, way->path));
  way->members += changes.of(state_.levels, way->path);
  if (way->members >= 0 && (before == nullptr || *before >= 0)) return true;
  damaged();
  return false;
}

bool RankIndex::find_begin(const Way& way, std::string* place) {
  place->clear();
  for (size_t level = state_.levels; level-- > 0;) {
    if (way.path[level] == 0) continue;
    RankNodeView view;
    if (!read_node(way.nodes[level], level, &view)) return false;
    view.get_from(way.path[level], place);
    break;
  }
  return true;
}

void RankIndex::add(std::string_view place) {
  Way way;
  if (!find_way(place, &way)) return;
  ++way.members;
  note(way.path, 1);
  if (way.first) state_.first = static_cast<uint64_t>(way.members);
  if (way.members > kStretchMax) cut_stretch(way, place);
}

RankIndex::Stretch RankIndex::remove(std::string_view place) {
  Way way;
  if (!find_way(place, &way)) return {};
  if (way.members == 0) {
    damaged();
    return {};
  }
  --way.members;
  note(way.path, -1);
  if (way.first) state_.first = static_cast<uint64_t>(way.members);
  if (way.members <= kStretchMin) join_stretch(way);
  return {way.first, way.last};
}

void RankIndex::remove_first(std::string_view place) {
  if (state_.first <= static_cast<uint64_t>(kStretchMin) + 1) {  // it may have to be joined to the next one
    remove(place);
    return;
  }
  --state_.first;
  constexpr uint8_t kFirst[RankState::kLevelsMax] = {};
  note(kFirst, -1);
}

// --- questions ---

RankIndex::Position RankIndex::find_place(std::string_view place) {
  Way way;
  Position at;
  int64_t before = 0;
  if (!find_way(place, &way, &before) || !find_begin(way, &at.place)) return at;
  at.before = static_cast<uint64_t>(before);
  return at;
}

RankIndex::Position RankIndex::find_rank(uint64_t rank) {
  const RankChanges& changes = state_.changes;
  Position at;
  RankNodeView view;
  uint32_t node = 0;
  // What has changed in the node: of what is on the way to it all that is before, and behind, is left out.
  size_t change = 0;
  size_t end = changes.size(state_.levels);
  for (size_t level = 0; level < state_.levels; ++level) {
    if (!read_node(node, level, &view)) return at;
    size_t child = 0;
    for (;; ++child) {
      auto members = static_cast<int64_t>(view.count(child));
      size_t behind = change;
      for (; behind < end; ++behind) {
        RankChanges::Entry entry = changes.at(state_.levels, behind);
        if (entry.path[level] != child) break;
        members += entry.change;
      }
      if (child + 1 == view.children() || rank < at.before + static_cast<uint64_t>(members)) {
        end = behind;
        break;
      }
      at.before += static_cast<uint64_t>(members);
      change = behind;
    }
    if (child > 0) view.get_from(child, &at.place);
    if (!view.lowest()) node = view.node(child);
  }
  return at;
}

// --- check ---

bool RankIndex::check_node(uint32_t node, size_t level, std::string from, Way& way,
                           std::vector<RankChild>* stretches, int64_t* members) {
  std::vector<RankChild> children;
  if (!take_apart(node, level, &children)) return false;
  for (size_t i = 0; i < children.size(); ++i) {
    if (i > 1 && children[i].from <= children[i - 1].from) return false;
    way.path[level] = static_cast<uint8_t>(i);
    if (i > 0) from = children[i].from;
    auto count = static_cast<int64_t>(children[i].count);
    if (level + 1 == state_.levels) {
      count += state_.changes.of(state_.levels, way.path);
      if (!stretches->empty() && from <= stretches->back().from) return false;
      stretches->push_back({from, static_cast<uint64_t>(count), node});
    } else {
      for (size_t j = 0; j < state_.changes.size(state_.levels); ++j) {
        RankChanges::Entry entry = state_.changes.at(state_.levels, j);
        if (std::memcmp(entry.path, way.path, level + 1) == 0) count += entry.change;
      }
      int64_t below = 0;
      if (!check_node(children[i].node, level + 1, from, way, stretches, &below) || below != count)
        return false;
    }
    *members += count;
  }
  return true;
}

std::string RankIndex::check(uint64_t count) {
  Way way;
  std::vector<RankChild> stretches;
  int64_t members_in_nodes = 0;
  if (!check_node(0, 0, {}, way, &stretches, &members_in_nodes)) return "the nodes do not add up";
  if (members_in_nodes != static_cast<int64_t>(count)) {
    return fmt::format("{} members instead of {}", members_in_nodes, count);
  }
  if (state_.first != 0 && state_.first != stretches.front().count) return "the first stretch";
  ElementIterator& walk = members();
  walk.seek_to_first();
  for (size_t i = 0; i < stretches.size(); ++i) {
    uint64_t found = 0;
    for (; walk.valid(); walk.next(), ++found) {
      if (i + 1 < stretches.size() && walk.key().substr(kPartPrefixSize) >= stretches[i + 1].from) break;
    }
    if (found != stretches[i].count) {
      return fmt::format("stretch {}: {} members instead of {}", i, found, stretches[i].count);
    }
  }
  return {};
}

}  // namespace varve
