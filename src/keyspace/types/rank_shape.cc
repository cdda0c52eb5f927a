// rank_shape.cc: how the rank index's stretches and nodes are made, cut and joined.
#include <algorithm>
#include <cstring>

#include "keyspace/types/rank_index.h"

namespace varve {
namespace {

// Stretches and nodes are joined to a neighbour when there is little in them, and not too much together.
constexpr int64_t kStretchJoined = 40;
constexpr size_t kChildrenMax = 64;
constexpr size_t kChildrenMin = 16;
constexpr size_t kChildrenJoined = 40;
// Nodes of long texts are cut sooner.
constexpr size_t kTextsMax = 16 * 1024;
constexpr size_t kLongChildren = 8;
// What is built at once leaves a little room.
constexpr size_t kBuilt = 48;

bool too_many(const std::vector<RankChild>& children) {
  if (children.size() <= kLongChildren) return false;
  size_t texts = 0;
  for (const RankChild& child : children) texts += child.from.size();
  return children.size() > kChildrenMax || texts > kTextsMax;
}

// Where `count` things in order are cut in two. Those that come in order come at an end: one side stays full.
size_t cut_at(size_t count, bool first, bool last) {
  if (first == last) return count / 2;
  return first ? count / 8 : count - count / 8;
}

uint64_t members_in(const std::vector<RankChild>& children) {
  uint64_t members = 0;
  for (const RankChild& child : children) members += child.count;
  return members;
}

// The shortest text that is behind `before` and not behind `place`.
std::string_view shortest_between(std::string_view before, std::string_view place) {
  auto differ = std::mismatch(place.begin(), place.end(), before.begin(), before.end());
  return place.substr(0, static_cast<size_t>(differ.first - place.begin()) + 1);
}

}  // namespace

// --- cuts and joins ---

// Near the middle, where the shortest text tells the two sides apart.
bool RankIndex::find_cut(const Way& way, std::string_view place, RankChild* right, uint64_t* left) {
  std::string before;
  if (!find_begin(way, &before)) return false;
  ElementIterator& walk = members();
  if (before.empty()) {
    walk.seek_to_first();
  } else {
    EngineKey key;
    make_element_key(collection_, Part::kOrder, before, &key);
    walk.seek(key);
  }
  auto count = static_cast<size_t>(way.members);
  size_t middle = cut_at(count, way.first, way.last);
  size_t slack = count / 16;
  for (size_t i = 0; i <= middle + slack && walk.valid(); ++i, walk.next()) {
    std::string_view here = walk.key().substr(kPartPrefixSize);
    if (i >= middle - slack) {
      std::string_view cut = shortest_between(before, here);
      if (right->from.empty() || cut.size() < right->from.size()) {
        right->from.assign(cut);
        *left = i + (place < cut ? 1 : 0);
      }
    }
    if (i + 1 >= middle - slack) before.assign(here);
  }
  if (!right->from.empty()) return true;
  damaged();
  return false;
}

void RankIndex::cut_stretch(const Way& way, std::string_view place) {
  RankChild right;
  uint64_t left = 0;
  std::vector<RankChild> children;
  size_t level = state_.levels - 1;
  if (!find_cut(way, place, &right, &left) || !apply_to_lowest(way) ||
      !take_apart(way.nodes[level], level, &children)) {
    return;
  }
  size_t at = way.path[level];
  bool between = at < children.size() && (at == 0 || children[at].from < right.from) &&
                 (at + 1 == children.size() || right.from < children[at + 1].from);
  if (!between || left >= children[at].count) return damaged();
  state_.first = 0;
  right.count = children[at].count - left;
  children[at].count = left;
  children.insert(children.begin() + static_cast<ptrdiff_t>(at) + 1, std::move(right));
  if (!too_many(children) || apply_changes()) put_children(way, level, children);
}

void RankIndex::put_children(const Way& way, size_t level, std::vector<RankChild>& children) {
  if (!too_many(children)) return put_node(way.nodes[level], level, children);
  size_t cut = cut_at(children.size(), way.first, way.last);
  std::vector<RankChild> right(children.begin() + static_cast<ptrdiff_t>(cut), children.end());
  children.resize(cut);
  RankChild above{std::move(right.front().from), members_in(right), state_.next_node++};
  put_node(above.node, level, right);
  if (level > 0) {
    put_node(way.nodes[level], level, children);
    std::vector<RankChild> parents;
    if (!take_apart(way.nodes[level - 1], level - 1, &parents)) return;
    size_t at = way.path[level - 1];
    parents[at].count = members_in(children);
    parents.insert(parents.begin() + static_cast<ptrdiff_t>(at) + 1, std::move(above));
    return put_children(way, level - 1, parents);
  }
  if (state_.levels == RankState::kLevelsMax) return damaged();
  RankChild below{{}, members_in(children), state_.next_node++};
  put_node(below.node, level, children);
  ++state_.levels;
  put_node(0, 0, {std::move(below), std::move(above)});
}

void RankIndex::join_stretch(const Way& way) {
  size_t level = state_.levels - 1;
  RankNodeView view;
  if (!read_node(way.nodes[level], level, &view)) return;
  auto members_of = [&](size_t child) {
    uint8_t path[RankState::kLevelsMax];
    std::memcpy(path, way.path, state_.levels);
    path[level] = static_cast<uint8_t>(child);
    return static_cast<int64_t>(view.count(child)) + state_.changes.of(state_.levels, path);
  };
  size_t at = way.path[level];
  int64_t room = way.members == 0 ? kStretchMax : kStretchJoined - way.members;
  size_t right = 0;  // of the two that are joined; 0: none
  if (at > 0 && members_of(at - 1) <= room) {
    right = at;
  } else if (at + 1 < view.children() && members_of(at + 1) <= room) {
    right = at + 1;
  } else if (way.members > 0 || view.children() > 1 || level == 0) {
    return;
  }
  state_.first = 0;
  std::vector<RankChild> children;
  if (right == 0) {
    if (apply_changes()) remove_node(way, level);
    return;
  }
  if (!apply_to_lowest(way) || !take_apart(way.nodes[level], level, &children)) return;
  children[right - 1].count += children[right].count;
  children.erase(children.begin() + static_cast<ptrdiff_t>(right));
  bool few = children.size() < kChildrenMin && level > 0;
  if (few && !apply_changes()) return;
  put_node(way.nodes[level], level, children);
  if (few) join_node(way, level);
}

// All changes are in the nodes.
void RankIndex::join_node(const Way& way, size_t level) {
  std::vector<RankChild> parents;
  std::vector<RankChild> left;
  std::vector<RankChild> right;
  if (!take_apart(way.nodes[level - 1], level - 1, &parents)) return;
  if (parents.size() == 1) return level == 1 ? lower_root() : void();
  size_t at = way.path[level - 1];
  size_t second = at > 0 ? at : 1;
  RankChild& parent = parents[second - 1];
  uint32_t gone = parents[second].node;
  if (!take_apart(parent.node, level, &left) || !take_apart(gone, level, &right)) return;
  right.front().from = parents[second].from;
  left.insert(left.end(), right.begin(), right.end());
  if (left.size() > kChildrenJoined || too_many(left)) return;
  put_node(parent.node, level, left);
  nodes_[gone].bytes.clear();
  parent.count += parents[second].count;
  parents.erase(parents.begin() + static_cast<ptrdiff_t>(second));
  put_node(way.nodes[level - 1], level - 1, parents);
  if (level == 1) return lower_root();
  if (parents.size() < kChildrenMin) join_node(way, level - 1);
}

// One without members. All changes are in the nodes.
void RankIndex::remove_node(const Way& way, size_t level) {
  nodes_[way.nodes[level]].bytes.clear();
  std::vector<RankChild> parents;
  if (!take_apart(way.nodes[level - 1], level - 1, &parents)) return;
  parents.erase(parents.begin() + way.path[level - 1]);
  if (!parents.empty()) {
    put_node(way.nodes[level - 1], level - 1, parents);
    return lower_root();
  }
  if (level > 1) return remove_node(way, level - 1);
  state_.levels = 1;
  put_node(0, 0, {RankChild()});
}

void RankIndex::lower_root() {
  RankNodeView view;
  while (state_.levels > 1 && read_node(0, 0, &view) && view.children() == 1) {
    uint32_t child = view.node(0);
    std::vector<RankChild> children;
    if (!take_apart(child, 1, &children)) return;
    --state_.levels;
    put_node(0, 0, children);
    nodes_[child].bytes.clear();
  }
}

// --- many members ---

void RankIndex::remove_ranks(uint64_t rank, uint64_t count) {
  if (!apply_changes()) return;
  state_.first = 0;
  remove_ranks(0, 0, rank, count);
  lower_root();
  if (nodes_.size() > kNodesKept) save();
}

void RankIndex::remove_ranks(uint32_t node, size_t level, uint64_t rank, uint64_t count) {
  std::vector<RankChild> children;
  if (!take_apart(node, level, &children)) return;
  std::vector<RankChild> left;
  uint64_t before = 0;
  for (RankChild& child : children) {
    uint64_t begin = std::max(before, rank);
    uint64_t end = std::min(before + child.count, rank + count);
    uint64_t own = before;
    before += child.count;
    bool lowest = level + 1 == state_.levels;
    if (begin < end && end - begin == child.count) {
      if (!lowest) remove_tree(child.node, level + 1);
      continue;
    }
    if (begin < end) {
      if (!lowest) remove_ranks(child.node, level + 1, begin - own, end - begin);
      child.count -= end - begin;
    }
    left.push_back(std::move(child));
  }
  if (left.empty()) return damaged();
  put_node(node, level, left);
}

void RankIndex::remove_tree(uint32_t node, size_t level) {
  if (level + 1 < state_.levels) {
    std::vector<RankChild> children;
    if (!take_apart(node, level, &children)) return;
    for (const RankChild& child : children) remove_tree(child.node, level + 1);
  }
  nodes_[node].bytes.clear();
}

void RankIndex::build(const std::function<bool(std::string_view* place)>& next) {
  state_.levels = 1;
  state_.next_node = 1;
  state_.first = 0;
  state_.changes.clear();
  std::vector<RankChild> above;     // of the nodes that are put
  std::vector<RankChild> children;  // of the one that is not
  auto put = [&] {
    above.push_back({children.front().from, members_in(children), state_.next_node++});
    put_node(above.back().node, 0, children);
    if (nodes_.size() > kNodesKept) save();
    children.clear();
  };
  std::string before;
  std::string_view place;
  while (next(&place)) {
    if (children.empty() || children.back().count == kBuilt) {
      if (children.size() == kBuilt || too_many(children)) put();
      children.push_back({std::string(shortest_between(before, place)), 0, 0});
    }
    ++children.back().count;
    before.assign(place);
  }
  while (!above.empty()) {
    put();
    ++state_.levels;
    std::vector<RankChild> below = std::move(above);
    above.clear();
    for (RankChild& child : below) {
      if (children.size() == kBuilt || too_many(children)) put();
      children.push_back(std::move(child));
    }
  }
  if (children.empty()) children.emplace_back();
  put_node(0, 0, children);
}

void RankIndex::build() {
  ElementIterator& walk = members();
  walk.seek_to_first();
  std::string at;  // the walk stands on it: next() moves it
  build([&](std::string_view* place) {
    if (!at.empty()) walk.next();
    if (!walk.valid()) return false;
    at.assign(walk.key().substr(kPartPrefixSize));
    *place = at;
    return true;
  });
}

}  // namespace varve
