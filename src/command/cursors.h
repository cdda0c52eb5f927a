// cursors.h: the positions SCAN's cursors name. A cursor is a number below 2^53 and stands for the last key
// its caller was shown; asking twice with it gives the same answer. The table is bounded: beyond it the
// oldest go, but never the one a live connection was given last. Numbers start at a random place, so that one
// of an earlier process is unknown rather than wrong.
//
// Loop thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace varve {

class CursorTable {
 public:
  // `bytes_max`: what all positions may hold together, their keys and bookkeeping.
  CursorTable(uint64_t seed, size_t bytes_max = 1 << 20);

  // Remembers a position for a client; never 0.
  uint64_t add(uint64_t client, std::string_view position);
  // Null when unknown.
  const std::string* find(uint64_t cursor) const;
  // Clients that are gone no longer hold their latest cursor.
  void keep_clients(const std::unordered_set<uint64_t>& live);
  size_t memory_used() const { return bytes_; }
  size_t size() const { return positions_.size(); }

 private:
  struct Position {
    std::string key;
    uint64_t client = 0;
  };
  static size_t charge(const Position& position) { return position.key.capacity() + 128; }
  void evict();

  std::unordered_map<uint64_t, Position> positions_;
  std::unordered_map<uint64_t, uint64_t> latest_;  // client -> its last cursor
  std::deque<uint64_t> by_age_;
  uint64_t next_;
  size_t bytes_max_;
  size_t bytes_ = 0;
};

}  // namespace varve
