// rank_state.h: what the record of a sorted set keeps beside its count: between which marks its members
// stand, and what the nodes of its rank index (rank_index.h) do not tell yet.
//
//   state := removed:varint levels:u8 low:length,bytes high:length,bytes
//            [gap: begin:length,bytes end:length,bytes] [next_node:varint first:varint changes]
//   levels: its bit 7 tells that there is a gap, bit 6 that it is at the low mark
//   changes := { path: one byte for each level, change:i16 }, ascending
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace varve {

// Members that came and went since the nodes were written: small, and written with every change of the set
// anyway, so that a node is written once for many changes. A change stands at a path: the number of the child
// to go to in the node of each level, from the root to the stretch of members. Paths are in the order of the
// places, so what has changed before a place is what stands at lesser paths.
//
// kInLowest as the last step: the lowest node has the change already, those above have not.
class RankChanges {
 public:
  static constexpr size_t kEntriesMax = 64;
  static constexpr uint8_t kInLowest = 0xff;
  using Path = const uint8_t*;  // of `levels` steps

  struct Entry {
    Path path = nullptr;
    int64_t change = 0;
  };
  // `levels` is that of the state: it does not change while there are changes.
  size_t size(size_t levels) const { return bytes_.size() / (levels + kChangeSize); }
  Entry at(size_t levels, size_t i) const;
  // The first entry whose path is not less.
  size_t find(size_t levels, Path path) const;
  int64_t of(size_t levels, Path path) const;
  int64_t sum(size_t levels, size_t begin, size_t end) const;
  void add(size_t levels, Path path, int64_t change);
  // True when they should go into the nodes.
  bool full(size_t levels) const { return full_ || size(levels) >= kEntriesMax; }
  void erase(size_t levels, size_t begin, size_t end);
  void clear();
  bool empty() const { return bytes_.empty(); }

  std::string_view bytes() const { return bytes_; }
  bool decode(size_t levels, std::string_view bytes);

 private:
  static constexpr size_t kChangeSize = 2;
  std::string bytes_;
  bool full_ = false;  // one has grown so large that it hardly fits
};

struct RankState {
  // Of nodes with the longest names there are that much space for more members than disks hold.
  static constexpr size_t kLevelsMax = 12;
  uint64_t removed = 0;  // members, under this collection id
  // Marks: all members stand in [low, high); what has stood outside is gone and not walked again. Empty: the
  // beginning, the end.
  std::string low;
  std::string high;
  size_t levels = 0;       // of nodes; 0: not counted
  uint32_t next_node = 0;  // that no node was ever called
  // Members of the first stretch, so that a queue is popped without a look at nodes; 0: not known.
  uint64_t first = 0;
  RankChanges changes;
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

}  // namespace varve
