// block_reader.h: finding and walking entries in the raw bytes of one block (table_format.h).
//
// Two layers: search functions for point lookups, which allocate and copy nothing, and BlockIterator. Both
// check bounds as they go. Blocks of a table have also passed check_entries() when they were read, so that
// order, sharing and restart points can be relied on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/coding.h"
#include "lsm/block.h"
#include "lsm/iterator.h"

namespace varve {

inline constexpr size_t kBlockFooterSize = 6;
inline constexpr uint8_t kBucketEmpty = 255;
inline constexpr uint8_t kBucketSeveral = 254;
inline constexpr size_t kMaxHashedRestarts = 253;

inline uint32_t bucket_of(uint64_t key_hash, uint32_t buckets) {
  return static_cast<uint32_t>((key_hash & 0xffffffffu) * buckets >> 32);
}

// The parts of a block. entries_end + 10 <= bytes.size() whenever there is an entry (a restart and the
// footer).
struct BlockView {
  const char* base = nullptr;
  uint32_t entries_end = 0;
  uint32_t restart_count = 0;
  const char* restarts = nullptr;
  const uint8_t* buckets = nullptr;
  uint32_t bucket_count = 0;

  // False when the parts do not fit. Says nothing about the entries.
  bool parse(std::string_view bytes);
  uint32_t restart(uint32_t i) const { return decode_fixed32(restarts + 4 * size_t{i}); }
  const char* end() const { return base + entries_end; }
};

struct BlockEntry {
  uint32_t shared = 0;
  uint32_t unshared = 0;
  const char* tag = nullptr;  // a varint, complete
  const char* delta = nullptr;
  const char* value = nullptr;
  uint32_t value_size = 0;

  const char* next() const { return value + value_size; }
  Tag decode_tag() const {
    Tag t;
    (void)decode_varint(tag, delta, &t.packed);
    return t;
  }
  std::string_view delta_view() const { return {delta, unshared}; }
  std::string_view value_view() const { return {value, value_size}; }
};

// False when there is no whole entry at p (base <= p < end()).
bool decode_entry(const BlockView& block, const char* p, BlockEntry* entry);

enum class BlockSearch : uint8_t { kFound, kEnd, kMalformed };

struct BlockPosition {
  const char* at = nullptr;
  BlockEntry entry;
  bool exact = false;  // the entry's key is the target
};
// First entry with key >= target. Its key is target[0, entry.shared) + delta.
BlockSearch search_block(const BlockView& block, std::string_view target, BlockPosition* position);

struct BlockHit {
  bool found = false;
  bool exhausted = false;  // the block ended before it was settled: look in the next one
  Tag tag;
  std::string_view value;
};
// Newest entry of `key` with sequence <= at. Uses the hash index where there is one.
BlockSearch find_in_block(const BlockView& block, std::string_view key, uint64_t key_hash, Sequence at,
                          BlockHit* hit);

// For loading ahead what find_in_block() of a key touches (base/touch.h), in steps, each of which needs what
// the one before it asked for. The block's footer stands at its end, touched first.
void touch_hash_index(const BlockView& block, uint64_t key_hash);
// Where the index names several intervals or there is none: the keys that the search for the interval
// compares.
void touch_restart_keys(const BlockView& block, uint64_t key_hash);
// The entries of the restart interval that has the key if any has; empty when the index knows of none.
std::string_view likely_interval(const BlockView& block, std::string_view key, uint64_t key_hash);

// What a block of this kind promises about its entries; every byte of it is looked at. False: malformed.
bool check_entries(std::string_view bytes, BlockKind kind, uint64_t file_size);

class BlockIterator final : public RecordIterator {
 public:
  BlockIterator() = default;
  // The bytes must outlive the iterator or the next open().
  explicit BlockIterator(std::string_view bytes) { open(bytes); }
  void open(std::string_view bytes);
  void close();

  void seek_to_first() override;
  void seek_to_last() override;
  void seek(std::string_view key) override;
  void seek_before(std::string_view key) override;
  void next() override;
  void prev() override;
  bool begins_key() const override { return begins_key_; }
  Status status() const override;
  // Did the last seek() land on the very key?
  bool exact() const { return exact_; }

 private:
  // An entry that lies before the current one in its restart interval, for going back.
  struct Passed {
    const char* at;
    std::string_view value;
    Tag tag;
    uint32_t key_at;  // in passed_keys_
    uint32_t key_size;
    bool begins_key;
  };
  bool load(const char* p, std::string_view prefix);
  void walk_until(const char* restart, const char* stop);
  void note_passed();
  bool restart_before(const char* p, const char** start) const;
  void fail();
  void end();

  BlockView block_;
  bool malformed_ = false;
  bool exact_ = false;
  const char* at_ = nullptr;
  const char* after_ = nullptr;
  bool begins_key_ = false;
  std::string buffer_;  // holds the key unless the entry has it whole
  // Those that the last walk_until() passed and prev() has not come back to: without them each prev() would
  // walk there again from the restart point.
  std::vector<Passed> passed_;
  std::string passed_keys_;
};

}  // namespace varve
