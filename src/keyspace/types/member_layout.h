// member_layout.h: where the members of a hash, set or sorted set stand among the elements of its collection:
// in the main part, by their hash. Of hashes and sets this part has generations. Once many more members were
// removed than are left, those that are left move to the next one, in the order of their hashes and a few
// with each change; meanwhile those below a border stand in the next generation and the others still in this
// one. So a member's hash tells its one place, and a walk in the order of the hashes takes one behind the
// other. With the last member the old part is deleted as a range, and nobody looks at it again before all
// generations had their turn.
//
//   state of a hash, a set := [removed:varint [generation:u8 [border:u32]]]   (big-endian)
//
//   removed      how many members were removed under this collection id, or since the last move began
//   generation   0 when it is not there
//   border       members move: those whose hash is less than this have moved. In the old generation there are
//                records of them still, which mean nothing
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/coding.h"
#include "keyspace/element_iterator.h"
#include "keyspace/entry_format.h"

namespace varve {

struct MemberLayout {
  static constexpr size_t kSizeMax = kMaxVarintSize + 5;

  uint64_t collection = 0;
  uint64_t removed = 0;
  uint8_t generation = 0;
  bool moving = false;
  uint32_t border = 0;

  // Of a record that has elements. False on damage: then all stands in the first generation.
  bool read(const Record& record);
  // The state, in a buffer of kSizeMax bytes.
  std::string_view encode(char* buffer) const;

  uint8_t next_generation() const {
    return generation == kLastGeneration ? uint8_t{0} : static_cast<uint8_t>(generation + 1);
  }
  bool has_moved(uint32_t hash) const { return moving && hash < border; }
  // Where a member of this name stands, or would.
  void make_key(std::string_view member, EngineKey* out) const;
  void make_key(uint32_t hash, std::string_view member, EngineKey* out) const;
  // One or two ranges of keys, in the order of the hashes.
  size_t ranges() const { return moving && border > 0 ? 2 : 1; }
  KeyRange range(size_t i) const;
};

// A walk over all members' records, in the order of the hashes.
class MemberElements {
 public:
  using Iterate =
      std::function<std::unique_ptr<ElementIterator>(std::string_view begin, std::string_view end)>;
  // `iterate` makes the walk over a range of keys.
  MemberElements(const MemberLayout& layout, Iterate iterate)
      : layout_(layout), iterate_(std::move(iterate)) {}

  // To the first one at (hash, member) or behind.
  void seek(uint32_t hash, std::string_view member);
  void next();  // needs valid()
  IterState state() const { return ranges_[at_] == nullptr ? IterState::kEnd : ranges_[at_]->state(); }
  bool valid() const { return state() == IterState::kValid; }
  // As an ElementIterator's.
  std::string_view key() const { return ranges_[at_]->key(); }
  std::string_view value() const { return ranges_[at_]->value(); }

 private:
  ElementIterator& open(size_t i);
  // From the end of the first range to the second.
  void pass_end();

  MemberLayout layout_;
  Iterate iterate_;
  std::unique_ptr<ElementIterator> ranges_[2];
  size_t at_ = 0;
};

}  // namespace varve
