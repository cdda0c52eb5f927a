#include "command/bit_scan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "command/errors.h"
#include "resp/reply.h"

namespace varve {
namespace {

constexpr uint64_t kSegmentsPerStep = kBitsAtOnceMax / kSegmentSize;
constexpr size_t kMissesMax = 16;  // segments fetched together

}  // namespace

// A byte at an end of the range: bits outside of it are none of those looked for.
void BitScan::look_at_byte(uint64_t at, unsigned char byte) {
  unsigned mask = 0xff;
  if (at == first_byte()) mask &= 0xffu >> (first_bit_ % 8);
  if (at == last_bit_ / 8) mask &= 0xffu << (7 - last_bit_ % 8);
  auto wanted = static_cast<char>((set_ ? byte : ~byte) & mask);
  if (counts_) {
    count_ += count_bits({&wanted, 1});
  } else if (found_ == kNoBit && wanted != 0) {
    found_ = at * 8 + find_bit({&wanted, 1}, true);
  }
}

void BitScan::look_at_bytes(uint64_t at, std::string_view bytes) {
  if (counts_) {
    count_ += count_bits(bytes);
  } else if (found_ == kNoBit) {
    uint64_t bit = find_bit(bytes, set_);
    if (bit != kNoBit) found_ = at * 8 + bit;
  }
}

void BitScan::look(uint64_t at, std::string_view bytes, uint64_t size) {
  uint64_t end = at + size;
  auto byte_at = [&](uint64_t i) {
    return i - at < bytes.size() ? static_cast<unsigned char>(bytes[i - at]) : static_cast<unsigned char>(0);
  };
  uint64_t from = at;
  uint64_t to = end;
  if (from == first_byte() && from < to) look_at_byte(from++, byte_at(at));
  bool ends = to == end_byte() && from < to;
  if (ends) --to;
  uint64_t there = std::clamp<uint64_t>(at + bytes.size(), from, to);
  look_at_bytes(from, bytes.substr(std::min<uint64_t>(from - at, bytes.size()), there - from));
  if (!counts_ && !set_ && found_ == kNoBit && there < to) found_ = there * 8;
  if (ends) look_at_byte(to, byte_at(to));
}

int64_t BitScan::answer() const {
  if (counts_) return static_cast<int64_t>(count_);
  return settled() ? static_cast<int64_t>(found_) : otherwise_;
}

BitScanStream::BitScanStream(Engine& engine, uint64_t collection, BitScan scan, int protocol, Sequence gate)
    : engine_(engine),
      snapshot_(engine.snapshot()),
      collection_(collection),
      scan_(scan),
      protocol_(protocol),
      gate_(gate),
      at_(scan.first_byte()) {}

// A slice keeps what it has done: after missing blocks the next one goes on from there.
RunResult BitScanStream::step(ReadContext& read, OutputBuffer& out, size_t /*budget*/, bool* /*broken*/) {
  read.begin_run();
  bool moved = look(read);
  if (!read.error.ok()) {
    log_warning("a look at the bits of a string broke off: {}", read.error.to_string());
    Reply(out, protocol_).error(fmt::format("{} {}", errors::kReadFailed, read.error.to_string()));
    return RunResult::kDone;
  }
  if (read.faulted()) {
    if (moved) {  // what was passed is not looked at again: the next miss is a new one
      read.restarts = 0;
      read.install_hold.reset();
      read.pins.clear();
    }
    return RunResult::kFault;
  }
  read.begin_command();
  if (at_ < scan_.end_byte() && !scan_.settled()) return RunResult::kStream;
  Reply(out, protocol_).integer(scan_.answer());
  return RunResult::kDone;
}

bool BitScanStream::look(ReadContext& read) {
  uint64_t start = at_;
  uint64_t stop =
      std::min(scan_.end_byte(), (start / kSegmentSize + kSegmentsPerStep) * uint64_t{kSegmentSize});
  for (uint64_t at = start; at < stop && !scan_.settled() && read.misses.size() < kMissesMax;) {
    uint64_t inside = at % kSegmentSize;
    uint64_t size = std::min<uint64_t>(kSegmentSize - inside, stop - at);
    EngineKey key;
    make_segment_key(collection_, static_cast<uint32_t>(at / kSegmentSize), &key);
    ReadValue found;
    bool there = engine_.get(read, key, &found, snapshot_.get()) == ReadState::kFound;
    at += size;
    if (read.faulted()) continue;  // the next ones are asked for too, so that all are fetched together
    std::string_view bytes = there ? found.value : std::string_view();
    scan_.look(at_, bytes.substr(std::min<uint64_t>(inside, bytes.size())), size);
    at_ = at;
  }
  return at_ > start;
}

}  // namespace varve
