// rank_index.h: how many members of a large sorted set stand before a place, without walking there. Members
// of chance begin nodes: one in 32 a node of level 0, one in 32 of these also a node of level 1, and so on,
// as the hash of the member's name says. A node counts the members from its own place to the next node of its
// level:
//
//   counts part, level:u8 place -> count:varint
//   what stands before the first node of a level is counted in the state: its head
//
// So going down the levels passes about 32 nodes on each, and a change of the set changes one count on each;
// a member that comes or goes with a node of its own splits a count or joins two. Nodes begin where members
// are, so that seeks that keep to the marks never meet nodes of what is gone.
//
// The hash is salted, so that nobody can choose members without nodes.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "keyspace/keyspace.h"

namespace varve {

// What the record of a sorted set keeps beside its count.
//   state := removed:varint levels:u8 low:length,bytes high:length,bytes
//            [gap: begin:length,bytes end:length,bytes] [salt:varint { head:varint }]
// levels: its bit 7 tells that there is a gap, bit 6 that it is at the low mark.
struct RankState {
  static constexpr size_t kLevelsMax = 8;
  uint64_t removed = 0;  // members, under this collection id
  // Marks: all members stand in [low, high); what has stood outside is gone and not walked again. Empty: the
  // beginning, the end.
  std::string low;
  std::string high;
  uint64_t salt = 0;
  size_t levels = 0;  // 0: not counted
  std::array<uint64_t, kLevelsMax> heads{};
  // No member stands in [begin, end); no end: there is no gap. A member that comes from outside moves a mark
  // back over all that was popped there. That is remembered here, and passed in one step when the member is
  // popped in its turn: a queue whose members come in any order does not walk there again and again.
  struct Gap {
    std::string begin;
    std::string end;
    bool at_low =
        false;  // members may stand between the low mark and the gap; else between it and the high one
  };
  Gap gap;

  void encode(std::string* out) const;
  bool decode(std::string_view bytes);
  // Marks may lie: they are kept short, towards the outside.
  // All members stand at this place or behind it; all stand before it.
  void set_low(std::string_view place);
  void set_high(std::string_view place);
  // A member comes to this place. True when a mark had to be moved outwards.
  bool make_room(std::string_view place);
};

class RankIndex {
 public:
  // Sets of more members are counted.
  static constexpr uint64_t kCountedFrom = 512;

  // Of the members under this id; both must outlive it.
  RankIndex(Transaction& tx, RankState& state) : tx_(tx), state_(state) {}
  void set_collection(uint64_t collection) {
    collection_ = collection;
    forget_walks();
  }

  bool counted() const { return state_.levels > 0; }
  // Begins to count the `count` members whose places `next` gives, in order, until it says false. `salt` is
  // kept.
  void build(uint64_t salt, uint64_t count, const std::function<bool(std::string_view* place)>& next);
  // The same by a walk over them.
  void build(uint64_t salt, uint64_t count);
  // Adds a level when `count` members make the topmost one too long.
  void grow(uint64_t count);

  // A member's order record was put at this place.
  void add(std::string_view place);
  // `count` members, all that stood in [begin, end), were or will be removed; `begin` is the first one's
  // place. Returns where they stood: in the first or last node, or neither.
  struct Stretch {
    bool first = false;
    bool last = false;
  };
  Stretch remove(std::string_view begin, std::string_view end, uint64_t count);

  // A place with as many members before it: from here one walks on.
  struct Position {
    std::string place;  // empty: the beginning
    uint64_t before = 0;
  };
  // The last node at or before a place; the last one with at most `rank` members before it.
  Position find_place(std::string_view place);
  Position find_rank(uint64_t rank);

  // All members in order, between the marks. The walk stays with the index and is moved by other calls.
  ElementIterator& members();
  // A mark was moved outwards.
  void forget_walks();

  // For tests: every count of every level added up by a walk; empty, or what is wrong.
  std::string check(uint64_t count);

 private:
  ElementIterator& nodes(size_t level);
  std::unique_ptr<ElementIterator> walk(Part part, std::string_view before);
  std::string_view place_of(const ElementIterator& it, bool node) const;
  bool count_of(const ElementIterator& it, uint64_t* count);
  void make_node_key(size_t level, std::string_view place, EngineKey* out) const;
  void put_node(size_t level, std::string_view place, uint64_t count);
  // How many levels have a node that begins with this member.
  size_t height(std::string_view place) const;
  bool needs_level(uint64_t count) const;
  // Puts the count of the node before a place, or of the head: what it was and `add`, less `less`.
  struct Left {
    bool head = true;
    std::string place;
    uint64_t count = 0;
  };
  Left left_of(size_t level, std::string_view place);
  void put_left(size_t level, const Left& left, uint64_t add, uint64_t less);
  // Members from a place on that is a member's, up to the next node of the level.
  uint64_t count_up_to_next(size_t level, std::string_view place);
  Position descend(const std::function<bool(std::string_view place, uint64_t before)>& beyond);
  void damaged();

  Transaction& tx_;
  RankState& state_;
  uint64_t collection_ = 0;
  std::unique_ptr<ElementIterator> members_;
  std::array<std::unique_ptr<ElementIterator>, RankState::kLevelsMax> nodes_;
};

}  // namespace varve
