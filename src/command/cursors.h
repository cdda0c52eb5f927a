// cursors.h: the positions SCAN's cursors name. A cursor is a number below 2^53 and stands for the last key
// its caller was shown; asking twice with it gives the same answer. A live connection's latest cursor stays
// and is charged to its connection (charge()); of all others the newest stay, up to a bound together. Numbers
// start at a random place, so that one of an earlier process is unknown rather than wrong.
//
// Loop thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

namespace varve {

class CursorTable {
 public:
  // `bytes_max`: what the positions that are nobody's latest may hold together, keys and bookkeeping.
  CursorTable(uint64_t seed, size_t bytes_max = 1 << 20);

  // Remembers a position for a client; never 0.
  uint64_t add(uint64_t client, std::string_view position);
  // Null when unknown.
  const std::string* find(uint64_t cursor) const;
  // A client that is gone no longer holds its latest cursor.
  void forget_client(uint64_t client);
  // What a position of so many bytes costs.
  static size_t charge(size_t position) { return position + 128; }
  size_t memory_used() const { return bytes_; }
  size_t size() const { return positions_.size(); }

 private:
  void age(uint64_t cursor);

  std::unordered_map<uint64_t, std::string> positions_;
  std::unordered_map<uint64_t, uint64_t> latest_;  // client -> its last cursor
  std::deque<uint64_t> by_age_;                    // those that are nobody's latest
  uint64_t next_;
  size_t bytes_max_;
  size_t aged_bytes_ = 0;  // of those in by_age_
  size_t bytes_ = 0;
};

}  // namespace varve
