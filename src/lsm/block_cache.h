// block_cache.h: blocks in memory, bounded in bytes, owned by one thread (no locks). Key: (file number,
// offset); file numbers are never reused. The bytes are those of the blocks, of the cache's own books about
// them, and what others take of the same room (set_other_bytes).
#pragma once

#include <cstdint>
#include <memory>

#include "lsm/block.h"

namespace varve {

class BlockCache {
 public:
  explicit BlockCache(size_t capacity_bytes);
  ~BlockCache();

  // Null when it is not there.
  BlockRef lookup(uint64_t file_number, uint64_t offset);
  // Takes a share in the block; a block already there under the key stays and is returned instead.
  BlockRef insert(uint64_t file_number, uint64_t offset, BlockRef block);
  // For loading ahead (base/touch.h), in steps, each of which needs what the one before it asked for: the
  // place of a block, what is known of it, and where it lies. Null when it is not there. Counts nothing, is
  // no use.
  void touch_slot(uint64_t file_number, uint64_t offset) const;
  void touch_entry(uint64_t file_number, uint64_t offset) const;
  const Block* peek(uint64_t file_number, uint64_t offset) const;
  // Blocks of a file that is gone need not be erased one by one: nobody asks for them and they age out.

  // Blocks referenced by others are never evicted, so memory may exceed the capacity while they are pinned.
  void set_capacity(size_t bytes);
  // Memory that is not blocks but shares the capacity (open tables): blocks make room for it.
  void set_other_bytes(size_t bytes);
  size_t capacity() const;
  size_t memory_used() const;
  size_t pinned_bytes() const;  // a walk; for INFO and tests
  uint64_t hits() const;
  uint64_t misses() const;
  size_t block_count() const;

 private:
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

}  // namespace varve
