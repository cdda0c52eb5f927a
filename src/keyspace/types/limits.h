// limits.h: up to what a collection counts as small in Redis (hash-max-listpack-entries and its like). They
// decide what OBJECT ENCODING tells, and nothing about where varve keeps the bytes.
#pragma once

#include <cstdint>

namespace varve {

struct CollectionLimits {
  uint64_t hash_entries = 512;
  uint64_t hash_value = 64;  // bytes of a field or value
  uint64_t set_intset_entries = 512;
  uint64_t zset_entries = 128;
  uint64_t zset_value = 64;
  uint64_t hll_sparse = 3000;  // bytes of a HyperLogLog; of these limits the one that decides what is kept

  bool operator==(const CollectionLimits&) const = default;
};

}  // namespace varve
