// filter.h: a Bloom filter whose probes for one key all fall into one cache line of 64 bytes (one memory
// access a question; costs a little accuracy: about 1.1 % false positives at 10 bits a key instead of 0.8 %).
//
//   filter := line:64 bytes * lines   probes:u8
//
//   line of a key    (hash >> 32) * lines >> 32
//   its probes       bits (x >> 23) of the line, where x starts as the low half of the hash and is
//                    multiplied by 0x9e3779b9 for each probe
//
// Hashes are hash_key() of the user key (checksum.h): stable on disk.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace varve {

class FilterBuilder {
 public:
  explicit FilterBuilder(double bits_per_key) : bits_per_key_(bits_per_key) {}

  void add(uint64_t key_hash) { hashes_.push_back(key_hash); }
  size_t key_count() const { return hashes_.size(); }
  // Bytes of a filter over that many keys.
  size_t size_for(size_t keys) const;
  // The filter over what was added; starts afresh. Needs at least one key.
  std::string finish();

 private:
  double bits_per_key_;
  std::vector<uint64_t> hashes_;
};

// Is it shaped like a filter?
bool filter_is_valid(std::string_view filter);
// Never false for a key that was added. Needs filter_is_valid.
bool filter_may_contain(std::string_view filter, uint64_t key_hash);
// Has the processor load what filter_may_contain() looks at (base/touch.h).
void touch_filter(std::string_view filter, uint64_t key_hash);

}  // namespace varve
