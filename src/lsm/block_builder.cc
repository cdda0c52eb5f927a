#include "lsm/block_builder.h"

#include <algorithm>

#include "base/check.h"
#include "base/coding.h"
#include "lsm/block_reader.h"

namespace varve {

BlockBuilder::BlockBuilder(int restart_interval, bool hash_index)
    : restart_interval_(static_cast<uint32_t>(std::max(1, restart_interval))), hash_index_(hash_index) {}

void BlockBuilder::add(std::string_view key, Tag tag, std::string_view value, uint64_t key_hash) {
  size_t shared = 0;
  if (entries_ % restart_interval_ == 0) {
    restarts_.push_back(static_cast<uint32_t>(bytes_.size()));
  } else {
    size_t most = std::min(key.size(), last_key_.size());
    while (shared < most && key[shared] == last_key_[shared]) ++shared;
  }
  char head[4 * kMaxVarintSize];
  char* p = encode_varint(head, shared);
  p = encode_varint(p, key.size() - shared);
  p = encode_varint(p, tag.packed);
  p = encode_varint(p, value.size());
  bytes_.append(head, static_cast<size_t>(p - head));
  bytes_.append(key.substr(shared));
  bytes_.append(value);
  last_key_.resize(shared);
  last_key_.append(key.substr(shared));
  if (hash_index_) hashes_.emplace_back(key_hash, static_cast<uint32_t>(restarts_.size() - 1));
  ++entries_;
}

size_t BlockBuilder::size_with(size_t key_size, size_t value_size) const {
  constexpr size_t kHeadMax = 2 + 2 + 10 + 4;  // the varints of any but huge keys and values
  return size_after(1) + kHeadMax + key_size + value_size;
}

size_t BlockBuilder::size_after(size_t more_entries) const {
  size_t entries = entries_ + more_entries;
  size_t restarts = (entries + restart_interval_ - 1) / restart_interval_;
  return bytes_.size() + 4 * restarts + bucket_count(entries) + kBlockFooterSize;
}

// Three quarters full; beyond what a byte can name there is no index.
size_t BlockBuilder::bucket_count(size_t entries) const {
  size_t restarts = (entries + restart_interval_ - 1) / restart_interval_;
  if (!hash_index_ || restarts > kMaxHashedRestarts || restarts < 2) return 0;
  return std::min<size_t>(entries + entries / 3 + 1, UINT16_MAX);
}

void BlockBuilder::append_buckets() {
  size_t count = bucket_count(entries_);
  if (count > 0) {
    size_t at = bytes_.size();
    bytes_.append(count, static_cast<char>(kBucketEmpty));
    for (auto [hash, restart] : hashes_) {
      char& bucket = bytes_[at + bucket_of(hash, static_cast<uint32_t>(count))];
      auto now = static_cast<uint8_t>(bucket);
      if (now == kBucketEmpty)
        bucket = static_cast<char>(restart);
      else if (now != restart)
        bucket = static_cast<char>(kBucketSeveral);
    }
  }
  put_fixed16(&bytes_, static_cast<uint16_t>(count));
}

std::string_view BlockBuilder::finish() {
  VARVE_CHECK(bytes_.size() <= UINT32_MAX);
  for (uint32_t restart : restarts_) put_fixed32(&bytes_, restart);
  append_buckets();
  put_fixed32(&bytes_, static_cast<uint32_t>(restarts_.size()));
  return bytes_;
}

void BlockBuilder::reset() {
  bytes_.clear();
  last_key_.clear();
  restarts_.clear();
  hashes_.clear();
  entries_ = 0;
}

}  // namespace varve
