// order_stream.h: a long stretch of a large sorted set as a reply that goes out piece by piece, under a
// snapshot, in either direction. How many members it has is known from their ranks, so one pass suffices.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "command/dispatcher.h"
#include "keyspace/keyspace.h"

namespace varve {

struct OrderSelection {
  KeyRange range;     // engine keys of the order part that may be walked
  std::string start;  // engine key of the first member
  bool reverse = false;
  uint64_t count = 0;  // that follow in the walk's direction
  bool with_scores = false;
};

class OrderStream : public ReplyStream {
 public:
  // The header of the whole reply is the caller's. `gate`: the sequence of what led here.
  OrderStream(Engine& engine, OrderSelection selection, int protocol, Sequence gate);
  RunResult step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) override;
  Sequence gate() const override { return gate_; }

 private:
  Engine& engine_;
  std::unique_ptr<Snapshot> snapshot_;
  OrderSelection selection_;
  int protocol_;
  Sequence gate_;
  std::string at_;  // the walk goes on at it, or, in reverse, before it
};

}  // namespace varve
