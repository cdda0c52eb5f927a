// memtable_index.h: the memtable's hash index: exact key -> entry; private to memtable*.
//
// Extendible hashing: a directory over the top bits of the (stored half of the) hash points at segments of
// 512 slots, each an open-addressing table of its own. A full segment splits alone, a few microseconds of
// work, so growing never stalls the loop. A slot is 8 bytes: the entry's address, and in the 16 bits above it
// a tag from other bits of the hash, so that a wrong entry is hardly ever touched.
//
// The hash has no secret, so a client could craft keys that collide. Splitting would not part them; a segment
// that is full all the same is marked overflowed and takes no more: the tree answers for the keys that are
// not in it.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "lsm/memtable_entry.h"

namespace varve {

class MemTableIndex {
 public:
  MemTableIndex();

  struct Found {
    MemTableEntry* entry = nullptr;
    bool ask_tree = false;  // no entry here, but the segment has overflowed
  };
  Found find(std::string_view key, uint64_t hash) const {
    const Segment& segment = *directory_[directory_slot(hash)];
    for (uint32_t i = home(hash);; i = (i + 1) & (kSlots - 1)) {
      uint64_t slot = segment.slots[i];
      if (slot == 0) return {nullptr, overflows_ && segment.overflowed};
      if (slot >> kTagShift != hash >> kTagShift) continue;
      MemTableEntry* entry = address(slot);
      if (entry->hash == static_cast<uint32_t>(hash) && entry->key() == key) return {entry, false};
    }
  }
  // The key must not be there yet.
  void insert(uint64_t hash, MemTableEntry* entry);
  // Has the processor load the slots of up to kPrefetched keys and the entries that they lead to, the misses
  // of all at once. Returns how many keys have no entry here, and their hashes, in order, at the front of
  // `unknown` (which may be `hashes`).
  static constexpr size_t kPrefetched = 16;
  size_t prefetch(const uint64_t* hashes, size_t count, uint64_t* unknown) const;
  size_t memory_used() const {
    return segments_.size() * sizeof(Segment) + directory_.size() * sizeof(Segment*);
  }

 private:
  static constexpr uint32_t kSlots = 512;
  static constexpr uint32_t kSlotsUsed = kSlots * 3 / 4;
  static constexpr int kTagShift = 48;
  static constexpr int kMaxDepth = 22;
  static constexpr int kPrefetchedLines = 3;  // of an entry

  struct alignas(64) Segment {
    uint64_t slots[kSlots] = {};
    uint32_t used = 0;
    uint8_t depth = 0;
    bool overflowed = false;
  };

  // The entry of that tag, or null: mostly the key's.
  const MemTableEntry* likely_entry(uint64_t hash) const;
  static uint32_t home(uint64_t hash) { return hash & (kSlots - 1); }
  static MemTableEntry* address(uint64_t slot) {
    return reinterpret_cast<MemTableEntry*>(slot & ((uint64_t{1} << kTagShift) - 1));
  }
  static void place(Segment* segment, uint32_t home_slot, uint64_t slot);
  size_t directory_slot(uint64_t hash) const { return (hash & 0xffffffff) >> (32 - depth_); }
  bool may_split(const Segment& segment) const;
  void split(size_t directory_slot);

  int depth_ = 0;           // of the directory: it has 2^depth_ slots
  bool overflows_ = false;  // some segment has: none is asked (in a cache line of its own) before that
  std::vector<Segment*> directory_;
  std::vector<std::unique_ptr<Segment>> segments_;
};

}  // namespace varve
