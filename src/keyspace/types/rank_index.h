// rank_index.h: how many members of a large sorted set stand before a place, without walking there: a B+tree
// that knows the order of the members in stretches of at most 64. Its nodes (rank_node.h) are records in the
// counts part, found by a number and not by a place:
//
//   counts part, node:u32 -> a node; the root is number 0
//
// The members themselves stand in the order part alone; a stretch is what a lowest node says about them:
// where it begins, as briefly as tells it from the one before, and how many they are. So it is cut in two by
// a walk over it, and joined to its neighbour by taking one line out of a node.
//
// A member that comes or goes is noted in the state (RankChanges), which is written with the set's record
// anyway. After some dozens of them each node that they concern is written once. A cut or a join takes what
// has been noted of that lowest node into it, since the numbers of its children change; one that changes
// higher nodes too takes in everything.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "keyspace/keyspace.h"
#include "keyspace/types/rank_node.h"
#include "keyspace/types/rank_state.h"

namespace varve {

class RankIndex {
 public:
  // Sets of more members are counted.
  static constexpr uint64_t kCountedFrom = 64;

  // Of the members under this id; both must outlive it.
  RankIndex(Transaction& tx, RankState& state) : tx_(tx), state_(state) {}
  void set_collection(uint64_t collection) {
    collection_ = collection;
    members_.reset();
    nodes_.clear();
  }

  bool counted() const { return state_.levels > 0; }
  // Begins to count the members whose places `next` gives, in order, until it says false.
  void build(const std::function<bool(std::string_view* place)>& next);
  // The same by a walk over them.
  void build();
  // Puts the nodes that were changed; before the set's record is.
  void save();

  // A member's order record is soon put at this place, where none is.
  void add(std::string_view place);
  // It was or will be removed from there. Returns where it stood: in the first or last stretch, or neither.
  struct Stretch {
    bool first = false;
    bool last = false;
  };
  Stretch remove(std::string_view place);
  // The same of the first member of all.
  void remove_first(std::string_view place);
  // Of many: `count` members from `rank` on, not all there are.
  void remove_ranks(uint64_t rank, uint64_t count);

  // A place with as many members before it: from here one walks on.
  struct Position {
    std::string place;  // empty: the beginning
    uint64_t before = 0;
  };
  // The beginning of the stretch where a place belongs; where the member of this rank stands.
  Position find_place(std::string_view place);
  Position find_rank(uint64_t rank);

  // All members in order, between the marks. The walk stays with the index and is moved by other calls.
  ElementIterator& members();
  // A mark was moved outwards.
  void forget_walk() { members_.reset(); }

  // For tests: every count added up by a walk; empty, or what is wrong.
  std::string check(uint64_t count);

 private:
  // Members of a stretch: it is cut when there are more, and looked at when there are so few.
  static constexpr int64_t kStretchMax = 64;
  static constexpr int64_t kStretchMin = 16;
  // So many changed nodes are put before a command's end.
  static constexpr size_t kNodesKept = 512;

  // The way from the root to a stretch.
  struct Way {
    uint8_t path[RankState::kLevelsMax];
    uint32_t nodes[RankState::kLevelsMax];
    int64_t members = 0;  // in the stretch
    bool first = true, last = true;
  };
  // False behind a missing block, or damage. The view is valid until the next read, or write.
  bool read_node(uint32_t node, size_t level, RankNodeView* view);
  // `before`: how many members stand before the stretch, if that is asked.
  bool find_way(std::string_view place, Way* way, int64_t* before = nullptr);
  // Where its stretch begins; empty: the beginning.
  bool find_begin(const Way& way, std::string* place);

  // --- changes of nodes; false as above ---
  struct NodeChange {
    std::string bytes;  // empty: removed
  };
  NodeChange* change_node(uint32_t node, size_t level);
  void put_node(uint32_t node, size_t level, const std::vector<RankChild>& children);
  bool take_apart(uint32_t node, size_t level, std::vector<RankChild>* children);
  bool add_to_count(NodeChange* node, const RankNodeView& view, size_t child, int64_t change);
  void make_node_key(uint32_t node, EngineKey* out) const;
  // Takes all changes into the nodes; those of one lowest node into it.
  bool apply_changes();
  bool apply_changes(uint32_t node, size_t level, size_t begin, size_t end);
  bool apply_to_lowest(const Way& way);

  void note(const uint8_t* path, int64_t change);
  // One with a new member at this place.
  void cut_stretch(const Way& way, std::string_view place);
  bool find_cut(const Way& way, std::string_view place, RankChild* right, uint64_t* left);
  void join_stretch(const Way& way);
  // The children of a node on the way, now perhaps too many: then they become two nodes'.
  void put_children(const Way& way, size_t level, std::vector<RankChild>& children);
  void join_node(const Way& way, size_t level);
  void remove_node(const Way& way, size_t level);
  // A root of one child gives way to it.
  void lower_root();
  void remove_ranks(uint32_t node, size_t level, uint64_t rank, uint64_t count);
  void remove_tree(uint32_t node, size_t level);

  bool check_node(uint32_t node, size_t level, std::string from, Way& way, std::vector<RankChild>* stretches,
                  int64_t* members);
  void damaged();

  Transaction& tx_;
  RankState& state_;
  uint64_t collection_ = 0;
  std::unique_ptr<ElementIterator> members_;
  std::unordered_map<uint32_t, NodeChange> nodes_;  // changed, not yet put
};

}  // namespace varve
