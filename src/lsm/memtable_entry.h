// memtable_entry.h: one key of a memtable, in the arena; private to memtable*.
//
//   entry := tag:u64  hash:u32  key_size:u32 (top bit: detached)  {value_size:u32 value_room:u32 | Detached*}
//            key  room for the value  pad to 8
//
// An entry never moves, so the tree and the hash index point at it for good. It holds the newest version of
// its key. Most values lie right behind the key. A value that outgrew its room, and a key of which a snapshot
// needs an older version, turn the entry into a detached one: the eight bytes of the sizes then point at
// where the value went.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "lsm/key_format.h"

namespace varve {

// Memory that is given back all at once. Chunks grow from 64 KiB to 1 MiB; what would waste a good part of a
// chunk gets one of its own.
class MemTableArena {
 public:
  MemTableArena() = default;
  MemTableArena(const MemTableArena&) = delete;
  MemTableArena& operator=(const MemTableArena&) = delete;
  ~MemTableArena() {
    for (char* chunk : chunks_) ::operator delete(chunk, kAlignment);
  }

  // Uninitialised bytes, aligned to 8 (to 64 if every allocation is a multiple of 64).
  char* allocate(size_t n) {
    n = (n + 7) & ~size_t{7};
    if (n <= left_) {
      left_ -= n;
      return std::exchange(next_, next_ + n);
    }
    return allocate_slowly(n);
  }
  size_t memory_used() const { return memory_used_; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  static constexpr size_t kFirstChunkSize = 64 << 10;
  static constexpr size_t kLastChunkSize = 1 << 20;

  char* allocate_slowly(size_t n) {
    if (n > chunk_size_ / 4) return new_chunk(n);
    next_ = new_chunk(chunk_size_);
    left_ = chunk_size_ - n;
    if (chunk_size_ < kLastChunkSize) chunk_size_ *= 2;
    return std::exchange(next_, next_ + n);
  }
  char* new_chunk(size_t n) {
    char* chunk = static_cast<char*>(::operator new(n, kAlignment));
    // The hash index packs pointers into 48 bits.
    VARVE_CHECK(reinterpret_cast<uintptr_t>(chunk) >> 48 == 0);
    chunks_.push_back(chunk);
    memory_used_ += n + sizeof(char*);
    return chunk;
  }

  char* next_ = nullptr;
  size_t left_ = 0;
  size_t chunk_size_ = kFirstChunkSize;
  size_t memory_used_ = 0;
  std::vector<char*> chunks_;
};

// An older version, kept for a snapshot or because its death is still to be settled.
struct MemTableVersion {
  Tag tag;
  const char* value;
  uint32_t value_size;
  const MemTableVersion* older;
};

struct MemTableEntry {
  // Where the value of a detached entry is.
  struct Detached {
    char* value;
    uint32_t value_size;
    uint32_t value_room;
    const MemTableVersion* older;
  };
  struct Sizes {
    uint32_t value_size;
    uint32_t value_room;
  };
  static constexpr uint32_t kDetachedBit = uint32_t{1} << 31;

  Tag tag;
  uint32_t hash;  // low half of hash_key(key)
  uint32_t key_size_and_bit;
  union {
    Sizes sizes;
    Detached* elsewhere;
  };

  char* bytes() { return reinterpret_cast<char*>(this + 1); }
  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  bool detached() const { return (key_size_and_bit & kDetachedBit) != 0; }
  std::string_view key() const { return {bytes(), key_size_and_bit & ~kDetachedBit}; }
  std::string_view value() const {
    if (detached()) return {elsewhere->value, elsewhere->value_size};
    return {bytes() + key_size_and_bit, sizes.value_size};
  }
  const MemTableVersion* older() const { return detached() ? elsewhere->older : nullptr; }
};
static_assert(sizeof(MemTableEntry) == 24);

}  // namespace varve
