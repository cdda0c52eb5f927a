// key_format.h: what orders records. A record is (key, sequence, kind, blind mark, value). Keys compare with
// memcmp; among records of one key the newest (highest sequence) comes first.
//
//   tag := sequence << 3 | blind << 2 | kind        stored as a varint in blocks
#pragma once

#include <cstdint>
#include <string_view>

#include "varve/write_batch.h"

namespace varve {

using Sequence = uint64_t;
inline constexpr Sequence kMaxSequence = (uint64_t{1} << 60) - 1;

struct Tag {
  uint64_t packed = 0;

  static Tag make(Sequence sequence, Kind kind, bool blind = false) {
    return Tag{sequence << 3 | static_cast<uint64_t>(blind) << 2 | static_cast<uint64_t>(kind)};
  }
  Sequence sequence() const { return packed >> 3; }
  Kind kind() const { return static_cast<Kind>(packed & 3); }
  bool blind() const { return (packed & 4) != 0; }
  bool valid() const { return (packed & 3) != 3; }
};

// <0, 0, >0. Key ascending, then sequence descending.
inline int compare_records(std::string_view a_key, Sequence a_sequence, std::string_view b_key,
                           Sequence b_sequence) {
  int c = a_key.compare(b_key);
  if (c != 0) return c;
  return a_sequence > b_sequence ? -1 : a_sequence < b_sequence ? 1 : 0;
}

}  // namespace varve
