// bit_scan.h: BITCOUNT and BITPOS: what they look for, piece by piece; and on strings too long for one run as
// a reply whose number is worked out in slices under a snapshot.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "command/bits.h"
#include "command/dispatcher.h"
#include "keyspace/keyspace.h"

namespace varve {

// Ranges of more bytes than this are looked at in slices.
inline constexpr uint64_t kBitsAtOnceMax = 512 * 1024;

// Counts the bits that are set in a range of bits, or finds the first that is (or is not).
class BitScan {
 public:
  static BitScan counting(uint64_t first_bit, uint64_t last_bit) {
    return BitScan(true, true, first_bit, last_bit, 0);
  }
  // `otherwise`: the answer when there is none.
  static BitScan finding(bool set, uint64_t first_bit, uint64_t last_bit, int64_t otherwise) {
    return BitScan(false, set, first_bit, last_bit, otherwise);
  }

  uint64_t first_byte() const { return first_bit_ / 8; }
  uint64_t end_byte() const { return last_bit_ / 8 + 1; }
  // The next `size` bytes from byte `at` on, which begin with `bytes`; what that lacks are zeros.
  void look(uint64_t at, std::string_view bytes, uint64_t size);
  // The answer is known before the end.
  bool settled() const { return found_ != kNoBit; }
  int64_t answer() const;

 private:
  BitScan(bool counts, bool set, uint64_t first_bit, uint64_t last_bit, int64_t otherwise)
      : counts_(counts), set_(set), first_bit_(first_bit), last_bit_(last_bit), otherwise_(otherwise) {}
  void look_at_byte(uint64_t at, unsigned char byte);
  void look_at_bytes(uint64_t at, std::string_view bytes);

  bool counts_;
  bool set_;
  uint64_t first_bit_, last_bit_;
  int64_t otherwise_;
  uint64_t count_ = 0;
  uint64_t found_ = kNoBit;
};

class BitScanStream : public ReplyStream {
 public:
  BitScanStream(Engine& engine, uint64_t collection, BitScan scan, int protocol, Sequence gate);
  RunResult step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) override;
  Sequence gate() const override { return gate_; }

 private:
  // Looks at segments up to the end of a slice. True when it has come farther.
  bool look(ReadContext& read);

  Engine& engine_;
  std::unique_ptr<Snapshot> snapshot_;
  uint64_t collection_;
  BitScan scan_;
  int protocol_;
  Sequence gate_;
  uint64_t at_;  // the byte where the next slice starts
};

}  // namespace varve
