// rank_node.h: a node of a sorted set's rank index (rank_index.h) as it stands in its record. Its children
// are nodes, or stretches of members where it is one of the lowest. It knows how many members each of them
// has, and where each but the first begins.
//
//   node := kind:u8 children:u8 prefix:length,bytes
//           { end: u16, or u32 in a wide one } (children - 1 times)    of the texts, in `texts`
//           { count: u8 in a lowest node, else u64 }  (children times)
//           { child: u32 } (children times, not in a lowest one)       the nodes' numbers
//           texts                                                      of beginnings, each behind the prefix
//   kind: 1 lowest | 2 wide
//
// What is searched is of fixed width: a child is found, and its count changed, without taking all apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace varve {

struct RankChild {
  std::string from;  // its members' places are at least this; of the first child: anything
  uint64_t count = 0;
  uint32_t node = 0;
};

// Points into the record's bytes.
class RankNodeView {
 public:
  static constexpr uint64_t kLeafMax = UINT8_MAX;  // what a lowest node can say of a child

  // False on damage.
  bool read(std::string_view bytes, bool lowest);
  size_t children() const { return children_; }
  uint64_t count(size_t child) const;
  uint64_t count_before(size_t child) const;  // of all before it
  uint32_t node(size_t child) const;          // not of a lowest one
  // The child where a place belongs.
  size_t find(std::string_view place) const;
  // Where a child but the first one begins.
  void get_from(size_t child, std::string* from) const;
  std::vector<RankChild> take_apart() const;
  // Where the count of a child stands in the bytes that were read, and how wide.
  size_t count_offset(size_t child) const;
  bool lowest() const { return lowest_; }

 private:
  size_t end(size_t i) const;
  std::string_view text(size_t child) const;

  std::string_view bytes_, prefix_, texts_;
  const char* ends_ = nullptr;
  const char* counts_ = nullptr;
  const char* nodes_ = nullptr;
  size_t children_ = 0;
  bool lowest_ = false, wide_ = false;
};

// At least one child; of the first one `from` is not looked at.
std::string make_rank_node(const std::vector<RankChild>& children, bool lowest);

}  // namespace varve
