#include "command/string_stream.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"

namespace varve {
namespace {

// One step asks for so many segments together when they are not in memory.
constexpr uint64_t kSegmentsPerStep = 16;

}  // namespace

StringStream::StringStream(Engine& engine, uint64_t collection, uint64_t offset, uint64_t size, Sequence gate)
    : engine_(engine),
      snapshot_(engine.snapshot()),
      collection_(collection),
      at_(offset),
      end_(offset + size),
      gate_(gate) {}

RunResult StringStream::step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) {
  read.begin_run();
  uint64_t start = out.end();
  uint64_t stop = std::min(
      {end_, at_ + std::max<uint64_t>(budget, 1), (at_ / kSegmentSize + kSegmentsPerStep) * kSegmentSize});
  uint64_t at = at_;
  while (at < stop) {
    uint64_t inside = at % kSegmentSize;
    uint64_t wanted = std::min<uint64_t>(kSegmentSize - inside, stop - at);
    EngineKey key;
    make_segment_key(collection_, static_cast<uint32_t>(at / kSegmentSize), &key);
    ReadValue found;
    std::string_view bytes;
    if (engine_.get(read, key, &found, snapshot_.get()) == ReadState::kFound) bytes = found.value;
    size_t have = bytes.size() > inside ? std::min<uint64_t>(wanted, bytes.size() - inside) : 0;
    char* to = out.extend(wanted);
    if (have > 0) std::memcpy(to, bytes.data() + inside, have);
    std::memset(to + have, 0, wanted - have);
    at += wanted;
  }
  if (read.faulted()) {
    out.truncate(start);
    if (read.error.ok()) return RunResult::kFault;
    log_warning("a streamed string broke off: {}", read.error.to_string());
    *broken = true;
    return RunResult::kDone;
  }
  read.begin_command();
  at_ = stop;
  if (at_ < end_) return RunResult::kStream;
  out.append("\r\n");
  return RunResult::kDone;
}

}  // namespace varve
