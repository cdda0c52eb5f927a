// set_algebra.h: union, intersection and difference of sets as a walk. Members of large sets lie in the order
// of (hash, member), so all sets are walked side by side in that order: nothing is collected, the walk can
// pause and go on from a place later, and an intersection leaps over what one of the sets lacks.
//
// The sets may be read by a command's run or, under a snapshot, by a stream: the caller makes the iterators.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "keyspace/types/member_layout.h"

namespace varve {

enum class SetOperation : uint8_t { kUnion, kIntersection, kDifference };

// One of the sets, as a walk.
class SetSource {
 public:
  // All members of a small set, packed; they are copied.
  explicit SetSource(std::string_view packed);
  // Those of a large one.
  explicit SetSource(MemberElements elements)
      : elements_(std::make_unique<MemberElements>(std::move(elements))) {}

  // To the first member at (hash, member) or behind.
  void seek(uint32_t hash, std::string_view member);
  void next();  // needs valid()
  bool valid() const { return valid_; }
  // Valid until it moves.
  uint32_t hash() const { return hash_; }
  std::string_view member() const { return member_; }
  // <0, 0, >0: where it stands and that place.
  int compare(uint32_t hash, std::string_view member) const {
    return hash_ != hash ? (hash_ < hash ? -1 : 1) : member_.compare(member);
  }
  // It ended on what is no member's record.
  bool damaged() const { return damaged_; }

 private:
  void load();

  std::unique_ptr<MemberElements> elements_;               // null: a small set
  std::vector<std::pair<uint32_t, std::string>> members_;  // of a small set, in order
  size_t at_ = 0;
  bool valid_ = false;
  bool damaged_ = false;
  uint32_t hash_ = 0;
  std::string_view member_;
};

class SetAlgebra {
 public:
  // At least one source. An intersection is cheapest with its smallest set in front.
  SetAlgebra(SetOperation operation, std::vector<SetSource> sources)
      : operation_(operation), sources_(std::move(sources)) {}

  // The walk goes on at (hash, member); (0, "") is the beginning.
  void seek(uint32_t hash, std::string_view member);

  // kFound: the place is a member of the result. kEnd: there are no more, or a source has met a missing
  // block. kPaused: *steps, members that may be looked at, are used up.
  enum class Result : uint8_t { kFound, kEnd, kPaused };
  Result next(uint64_t* steps);

  // How far the walk has come. Whoever seeks there goes on from there; behind a member that was found, with a
  // zero byte added.
  uint32_t hash() const { return hash_; }
  std::string_view member() const { return member_; }
  bool damaged() const;

 private:
  Result next_of_union(uint64_t* steps);
  Result next_of_intersection(uint64_t* steps);
  Result next_of_difference(uint64_t* steps);
  // The source stands at the place or behind it.
  void bring(SetSource& source, uint64_t* steps) const;
  void move_to(const SetSource& source);

  SetOperation operation_;
  std::vector<SetSource> sources_;
  bool found_ = false;  // the place has been told as a result
  uint32_t hash_ = 0;
  std::string member_;
};

}  // namespace varve
