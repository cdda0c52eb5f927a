// string_stream.h: a long string as a reply that goes out piece by piece, under a snapshot, so that neither
// its owner's memory nor the loop's time grows with it.
#pragma once

#include <cstdint>
#include <memory>

#include "command/dispatcher.h"
#include "keyspace/keyspace.h"

namespace varve {

// Strings longer than this are streamed by GET and GETRANGE.
inline constexpr uint64_t kStreamedStringMin = 1 << 20;

class StringStream : public ReplyStream {
 public:
  // Bytes [offset, offset + size) of the string under `collection`, and the CRLF behind them. The bulk header
  // is the caller's. `gate`: the sequence of what led here.
  StringStream(Engine& engine, uint64_t collection, uint64_t offset, uint64_t size, Sequence gate);
  RunResult step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) override;
  Sequence gate() const override { return gate_; }

 private:
  Engine& engine_;
  std::unique_ptr<Snapshot> snapshot_;
  uint64_t collection_;
  uint64_t at_;
  uint64_t end_;
  Sequence gate_;
};

}  // namespace varve
