// write_batch.h: operations that become visible and durable together.
//
// Each operation takes one sequence, in order. The bytes are those of the log (src/lsm/wal_format.h):
//
//   op      := code:u8  key_length:varint key  [value_length:varint value]      code = kind | blind << 2
//   kind    := 0 put (value: the value) | 1 delete (no value) | 2 range delete (value: the exclusive end)
//   counter := 0x10  id:varint  delta:zigzag varint        takes no sequence
//
// A reader refuses unknown codes, sizes beyond the limits below, and empty ranges.
//
// Memory: a batch owns one growing string. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "varve/status.h"

namespace varve {

// Keys and range ends are at most this long.
inline constexpr size_t kMaxEngineKeySize = 128 * 1024;
// Values are at most this long: a record must fit into one frame of the log (longer ones belong in several
// records).
inline constexpr size_t kMaxEngineValueSize = 2 * 1024 * 1024;

enum class Kind : uint8_t { kPut = 0, kDelete = 1, kRangeDelete = 2 };

class WriteBatch {
 public:
  // `blind`: the writer does not know what this record replaces (DESIGN.md, "Blind writes"). Compaction
  // settles it.
  void put(std::string_view key, std::string_view value, bool blind = false);
  void remove(std::string_view key, bool blind = false);
  // Deletes every key in [begin, end). Nothing when begin >= end.
  void remove_range(std::string_view begin, std::string_view end);
  // Adds `delta` to the counter `id`, which lives in the manifest and moves with this batch.
  void add_count(uint32_t id, int64_t delta);

  void clear();
  bool empty() const { return bytes_.empty(); }
  // False once an operation was beyond the limits above: it was left out, and the batch must not be
  // committed.
  bool valid() const { return valid_; }
  // Operations, that is, sequences taken.
  uint32_t count() const { return count_; }
  size_t byte_size() const { return bytes_.size(); }
  const std::string& bytes() const { return bytes_; }

 private:
  // Notes an oversized key or value.
  bool admit(size_t size, size_t limit);

  std::string bytes_;
  uint32_t count_ = 0;
  bool valid_ = true;
};

// Walks a batch's bytes. The views point into the bytes.
class BatchReader {
 public:
  explicit BatchReader(std::string_view bytes) : rest_(bytes) {}

  struct Op {
    bool is_counter = false;
    Kind kind = Kind::kPut;
    bool blind = false;
    std::string_view key;
    std::string_view value;  // kRangeDelete: the end
    uint32_t counter_id = 0;
    int64_t counter_delta = 0;
  };
  // False at the end or on damage; corrupt() tells which.
  bool next(Op* op);
  bool corrupt() const { return corrupt_; }
  // What next() has not looked at yet.
  std::string_view rest() const { return rest_; }

 private:
  bool read_op(Op* op);

  std::string_view rest_;
  bool corrupt_ = false;
};

}  // namespace varve
