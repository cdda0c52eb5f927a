// expiry.h: the active half of expiry. Reads never show an expired key; this walk removes what nobody reads.
// It follows the time-ordered hints from a low-water mark (so it never wades through the tombstones of hints
// already dealt with), a bounded slice at a time. Each hint is checked against the record it speaks of:
// expired -> the key dies; anything else -> the hint was stale and is dropped.
//
// Loop thread only.
#pragma once

#include <climits>
#include <cstdint>
#include <memory>
#include <string>

#include "keyspace/keyspace.h"

namespace varve {

class ExpiryCycle {
 public:
  explicit ExpiryCycle(Keyspace& keyspace) : keyspace_(keyspace), tx_(keyspace) {}

  // Deals with up to `hints_max` hints that are due. Missing blocks are fetched and the slice is done when
  // they are there.
  enum class Next : uint8_t {
    kLater,   // nothing more is due, or writing has to wait
    kSoon,    // the slice waits for blocks
    kAtOnce,  // the slice was full: when others have had their turn
  };
  Next run_slice(int64_t now_ms, int hints_max);
  // Forgets what is under way; before the keyspace is detached.
  void stop();
  uint64_t expired_keys() const { return expired_keys_; }
  void reset_stats() { expired_keys_ = 0; }
  size_t memory_used() const { return tx_.memory_used(); }

 private:
  // A fetch may outlive the cycle: its completion holds this and finds out.
  struct Fetch {
    ReadContext read;
    bool running = false;
  };

  // After a failed read behind `hints` good ones at the hint `last` (empty: not even that could be read).
  Next step_over(int64_t now_ms, int hints, const std::string& last);

  Keyspace& keyspace_;
  Transaction tx_;
  std::shared_ptr<Fetch> fetch_ = std::make_shared<Fetch>();
  uint64_t expired_keys_ = 0;
  int slice_limit_ = INT_MAX;  // hints before one that cannot be read
  int64_t logged_ms_ = 0;
};

}  // namespace varve
