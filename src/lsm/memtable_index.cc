#include "lsm/memtable_index.h"

#include <algorithm>

#include "base/touch.h"

namespace varve {

MemTableIndex::MemTableIndex() {
  segments_.push_back(std::make_unique<Segment>());
  directory_.push_back(segments_.back().get());
}

void MemTableIndex::place(Segment* segment, uint32_t home_slot, uint64_t slot) {
  uint32_t i = home_slot;
  while (segment->slots[i] != 0) i = (i + 1) & (kSlots - 1);
  segment->slots[i] = slot;
  ++segment->used;
}

void MemTableIndex::insert(uint64_t hash, MemTableEntry* entry) {
  for (;;) {
    Segment* segment = directory_[directory_slot(hash)];
    if (segment->used < kSlotsUsed) {
      place(segment, home(hash), reinterpret_cast<uintptr_t>(entry) | hash >> kTagShift << kTagShift);
      return;
    }
    if (!may_split(*segment)) {
      segment->overflowed = overflows_ = true;
      return;
    }
    split(directory_slot(hash));
  }
}

const MemTableEntry* MemTableIndex::likely_entry(uint64_t hash) const {
  const Segment& segment = *directory_[directory_slot(hash)];
  for (uint32_t i = home(hash); segment.slots[i] != 0; i = (i + 1) & (kSlots - 1)) {
    if (segment.slots[i] >> kTagShift == hash >> kTagShift) return address(segment.slots[i]);
  }
  return nullptr;
}

size_t MemTableIndex::prefetch(const uint64_t* hashes, size_t count, uint64_t* unknown) const {
  VARVE_DCHECK(count <= kPrefetched);
  const MemTableEntry* entries[kPrefetched];
  size_t known = 0, rest = 0;
  for (size_t i = 0; i < count; ++i) touch(&directory_[directory_slot(hashes[i])]->slots[home(hashes[i])]);
  for (size_t i = 0; i < count; ++i) {
    if (const MemTableEntry* entry = likely_entry(hashes[i])) {
      entries[known++] = entry;
    } else {
      __builtin_prefetch(&directory_[directory_slot(hashes[i])]->used, 1);  // if it is going to be inserted
      unknown[rest++] = hashes[i];
    }
  }
  for (size_t i = 0; i < known; ++i) touch(entries[i]);
  for (size_t i = 0; i < known; ++i) prefetch_lines(entries[i], 1, kPrefetchedLines);
  return rest;
}

// A segment much deeper than the number of segments explains is full of keys made to collide: splitting it
// would double the directory again and again.
bool MemTableIndex::may_split(const Segment& segment) const {
  size_t expected = segments_.size() * 16;
  return segment.depth < kMaxDepth && size_t{1} << segment.depth <= expected;
}

void MemTableIndex::split(size_t directory_slot) {
  Segment* low = directory_[directory_slot];
  if (low->depth == depth_) {
    std::vector<Segment*> doubled(directory_.size() * 2);
    for (size_t i = 0; i < doubled.size(); ++i) doubled[i] = directory_[i / 2];
    directory_.swap(doubled);
    ++depth_;
    directory_slot *= 2;
  }
  segments_.push_back(std::make_unique<Segment>());
  Segment* high = segments_.back().get();
  ++low->depth;
  high->depth = low->depth;
  high->overflowed = low->overflowed;

  uint64_t moving[kSlots];
  size_t count = 0;
  for (uint64_t& slot : low->slots) {
    if (slot == 0) continue;
    __builtin_prefetch(address(slot));  // its hash is needed below
    moving[count++] = slot;
    slot = 0;
  }
  low->used = 0;
  for (size_t i = 0; i < count; ++i) {
    uint32_t hash = address(moving[i])->hash;
    place((hash >> (32 - low->depth) & 1) != 0 ? high : low, home(hash), moving[i]);
  }
  // The directory slots that led to `low` are one aligned run; its upper half leads to `high` now.
  size_t run = size_t{1} << (depth_ - low->depth + 1);
  size_t begin = directory_slot / run * run;
  for (size_t i = begin + run / 2; i < begin + run; ++i) directory_[i] = high;
}

}  // namespace varve
