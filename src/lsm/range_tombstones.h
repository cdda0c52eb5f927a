// range_tombstones.h: a set of deleted key ranges, kept as fragments that do not overlap ("skyline"), each
// with every sequence at which it was deleted, newest first. Adding splits fragments at the new range's ends.
//
// One writer; concurrent readers once nobody adds any more.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lsm/key_format.h"

namespace varve {

class RangeTombstones {
 public:
  struct Fragment {
    std::string end;                  // exclusive
    std::vector<Sequence> sequences;  // newest first, no duplicates
  };
  // begin -> fragment. Neighbours may touch.
  using Map = std::map<std::string, Fragment, std::less<>>;

  // Nothing when begin >= end. Amortised O(log n + fragments overlapped).
  void add(std::string_view begin, std::string_view end, Sequence sequence);
  // Puts a fragment behind all others (begin is not below the last end); joins it with the last one if they
  // touch and were deleted at the same sequences (newest first).
  void append(std::string_view begin, std::string_view end, const std::vector<Sequence>& sequences);
  bool empty() const { return map_.empty(); }
  size_t fragment_count() const { return map_.size(); }
  // Highest sequence <= at whose range covers key; 0 when none does.
  Sequence covering(std::string_view key, Sequence at) const;
  // Fragments clipped to [lower, upper); an empty view for `upper` with `has_upper` false means no bound.
  RangeTombstones clipped(std::string_view lower, std::string_view upper, bool has_upper) const;
  const Map& fragments() const { return map_; }
  size_t memory_used() const { return memory_used_; }
  // "[a,c) 9 4; [c,f) 9"
  std::string debug_string() const;

 private:
  // Makes key a border if it lies inside a fragment.
  void split_at(std::string_view key);

  Map map_;
  size_t memory_used_ = 0;
};

}  // namespace varve
