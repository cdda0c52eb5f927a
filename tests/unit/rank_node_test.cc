// Goal: a node of a rank index reads as it was written, is searched as its beginnings say, and no bytes make
// it look beyond them; changes that nodes do not tell yet stand in the order of the places. Method: nodes and
// states by hand, cut short and changed byte by byte.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "keyspace/types/rank_node.h"
#include "keyspace/types/rank_state.h"

namespace varve {
namespace {

std::vector<RankChild> some_children(const std::string& prefix, size_t count) {
  std::vector<RankChild> children(1);
  for (size_t i = 1; i < count; ++i) {
    std::string from =
        prefix + static_cast<char>('a' + i / 10) + std::string(i % 3, 'x') + static_cast<char>('0' + i % 10);
    if (from <= children.back().from) continue;
    children.push_back({from, i, static_cast<uint32_t>(1000 + i)});
  }
  children.front() = {{}, 40, 7};
  return children;
}

std::string text_of(const RankNodeView& node) {
  std::string all;
  for (const RankChild& child : node.take_apart()) {
    all += child.from + ":" + std::to_string(child.count) + "," + std::to_string(child.node) + " ";
  }
  return all;
}

}  // namespace

TEST_CASE("rank nodes: written, read, searched") {
  for (const std::string& prefix : {std::string(), std::string("same"), std::string(3000, 'p')}) {
    for (size_t count : {1, 2, 30, 64}) {
      for (bool lowest : {false, true}) {
        std::vector<RankChild> children = some_children(prefix, count);
        std::string bytes = make_rank_node(children, lowest);
        RankNodeView node;
        REQUIRE(node.read(bytes, lowest));
        CHECK_FALSE(RankNodeView().read(bytes, !lowest));
        REQUIRE(node.children() == children.size());
        uint64_t before = 0;
        for (size_t i = 0; i < children.size(); ++i) {
          CHECK(node.count(i) == children[i].count);
          CHECK(node.count_before(i) == before);
          before += children[i].count;
          if (!lowest) CHECK(node.node(i) == children[i].node);
          if (i == 0) continue;
          CHECK(node.find(children[i].from) == i);
          CHECK(node.find(children[i].from + "!") == i);
          std::string sooner = children[i].from;
          --sooner.back();
          CHECK(node.find(sooner) == i - 1);
        }
        CHECK(node.find("") == 0);
        CHECK(node.find("\xff") == children.size() - 1);
      }
    }
  }
}

TEST_CASE("rank nodes: texts of any length") {
  std::vector<RankChild> children = {
      {{}, 1, 1}, {std::string(40'000, 'a'), 2, 2}, {std::string(60'000, 'b'), 3, 3}};
  std::string bytes = make_rank_node(children, false);
  RankNodeView node;
  REQUIRE(node.read(bytes, false));
  CHECK(node.find("a") == 0);
  CHECK(node.find(std::string(40'000, 'a')) == 1);
  CHECK(node.find(std::string(60'000, 'b')) == 2);
}

TEST_CASE("rank nodes: damaged bytes are refused, or read within their bounds") {
  std::string whole = make_rank_node(some_children("xy", 20), false);
  for (size_t size = 0; size < whole.size(); ++size) {
    std::string cut = whole.substr(0, size);  // of its own: a look beyond it is seen
    RankNodeView node;
    CHECK_FALSE(node.read(cut, false));
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    for (char bits : {'\x01', '\x80', '\xff'}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ bits);
      RankNodeView node;
      if (!node.read(changed, false)) continue;
      CHECK(node.find("xyb1") < node.children());
      CHECK_FALSE(text_of(node).empty());
    }
  }
}

TEST_CASE("rank changes: ordered, added up, and taken out") {
  RankChanges changes;
  constexpr size_t kLevels = 2;
  auto add = [&](uint8_t a, uint8_t b, int64_t change) {
    uint8_t path[] = {a, b};
    changes.add(kLevels, path, change);
  };
  auto before = [&](uint8_t a, uint8_t b) {
    uint8_t path[] = {a, b};
    return changes.sum(kLevels, 0, changes.find(kLevels, path));
  };
  add(1, 5, 1);
  add(1, 2, 1);
  add(0, 60, -1);
  add(1, 5, 1);
  add(2, 0, -3);
  CHECK(changes.size(kLevels) == 4);
  CHECK(before(0, 0) == 0);
  CHECK(before(1, 0) == -1);
  CHECK(before(1, 5) == 0);
  CHECK(before(1, 6) == 2);
  CHECK(before(9, 0) == -1);
  uint8_t path[] = {1, 5};
  CHECK(changes.of(kLevels, path) == 2);
  add(1, 5, -2);
  CHECK(changes.size(kLevels) == 3);  // what has come and gone is no change
  // What the lowest node has already stands behind all of it.
  add(1, RankChanges::kInLowest, 7);
  CHECK(before(1, 63) == 0);
  CHECK(before(2, 0) == 7);
  RankChanges again;
  REQUIRE(again.decode(kLevels, changes.bytes()));
  CHECK(again.bytes() == changes.bytes());
  CHECK_FALSE(again.decode(kLevels, changes.bytes().substr(1)));
  for (uint8_t i = 0; !changes.full(kLevels); ++i) add(5, i, 1);
  CHECK(changes.size(kLevels) == RankChanges::kEntriesMax);
}

TEST_CASE("rank states: written and read") {
  RankState state;
  state.removed = 300;
  state.low = "low";
  state.high = std::string(40, 'h');
  state.levels = 3;
  state.next_node = 70'000;
  state.first = 12;
  uint8_t path[] = {1, 2, 3};
  state.changes.add(3, path, -4);
  std::string bytes;
  state.encode(&bytes);
  RankState again;
  REQUIRE(again.decode(bytes));
  CHECK(again.low == state.low);
  CHECK(again.high == state.high);
  CHECK(again.next_node == 70'000);
  CHECK(again.first == 12);
  CHECK(again.changes.of(3, path) == -4);
  for (size_t size = 0; size < bytes.size(); ++size) {
    if (size == bytes.size() - 5) continue;  // without its only change
    CHECK_FALSE(RankState().decode(bytes.substr(0, size)));
  }
}

}  // namespace varve
