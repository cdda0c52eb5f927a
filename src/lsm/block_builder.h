// block_builder.h: writes the raw bytes of one block of entries (table_format.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lsm/key_format.h"

namespace varve {

class BlockBuilder {
 public:
  // restart_interval >= 1. hash_index: a bucket index for point lookups (data blocks).
  BlockBuilder(int restart_interval, bool hash_index);

  // In the order the block promises; the caller checks it. key_hash is used by the hash index only.
  void add(std::string_view key, Tag tag, std::string_view value, uint64_t key_hash = 0);
  // Bytes of the block if it ended now; if it ended after one more entry of these sizes (an upper bound).
  size_t size() const { return size_after(0); }
  size_t size_with(size_t key_size, size_t value_size) const;
  // Ends the block; the view is valid until the next reset().
  std::string_view finish();
  void reset();

  bool empty() const { return entries_ == 0; }
  uint32_t entries() const { return entries_; }
  std::string_view last_key() const { return last_key_; }

 private:
  size_t size_after(size_t more_entries) const;
  size_t bucket_count(size_t entries) const;
  void append_buckets();

  const uint32_t restart_interval_;
  const bool hash_index_;
  std::string bytes_;
  std::string last_key_;
  std::vector<uint32_t> restarts_;
  std::vector<std::pair<uint64_t, uint32_t>> hashes_;  // hash, restart interval
  uint32_t entries_ = 0;
};

}  // namespace varve
