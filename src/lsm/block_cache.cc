// How blocks are kept: S3-FIFO (Yang et al., SOSP 2023) by bytes, with a queue of its own for what leads to
// data.
//
//   small   new data blocks, a tenth of the room; those used again in their time there move to main,
//           others leave and are remembered for a while as ghosts. So a scan passes through without
//           touching what is in use.
//   main    data blocks used more than once, and ghosts that came back. First in, first out, but a block
//           used since it was last looked at gets another round.
//   meta    index, top index and filter blocks: one of them saves the reads of many data blocks, so they
//           leave only when they hold more than half of the room, or no data block can. Rounds as in main.
//   large   blocks larger than a quarter of the room. They would sweep everything else out: they leave as
//           soon as nobody else holds them.
//
// A block that others hold never leaves. How many blocks one insert may look at is bounded, so that memory
// may exceed the capacity for a few inserts, but no insert takes long.
#include "lsm/block_cache.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "base/check.h"
#include "base/plant.h"
#include "base/touch.h"

namespace varve {
namespace {

constexpr uint32_t kNone = UINT32_MAX;
constexpr int kMostRounds = 3;         // uses remembered, and rounds they buy
constexpr int kLooksPerInsert = 32;    // blocks looked at by one insert
constexpr int kLooksPerResize = 4096;  // by one set_capacity: about a millisecond

enum QueueName : uint8_t { kSmall, kMain, kMeta, kLarge, kQueues };

uint64_t mix(uint64_t file_number, uint64_t offset) {
  uint64_t h = (file_number * 0x9e3779b97f4a7c15u) ^ offset;
  h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
  return h ^ h >> 32;
}

}  // namespace

struct BlockCache::Rep {
  struct Entry {
    BlockRef block;
    uint64_t file = 0;
    uint64_t offset = 0;
    uint32_t older = kNone;  // towards the end that leaves first; also links free entries
    uint32_t newer = kNone;
    uint8_t queue = kSmall;
    uint8_t uses = 0;
  };
  struct Queue {
    uint32_t oldest = kNone;
    uint32_t newest = kNone;
    size_t bytes = 0;
  };

  explicit Rep(size_t c) : capacity(c), slots(64, kNone) {}

  size_t slot_of(uint64_t hash) const { return hash & (slots.size() - 1); }
  uint32_t find(uint64_t file, uint64_t offset) const;
  uint32_t add_entry(uint64_t file, uint64_t offset);
  void grow_slots();
  void erase_slot(uint32_t entry);
  void push(uint32_t entry, uint8_t queue);
  void unlink(uint32_t entry);
  void remove(uint32_t entry);
  static size_t charge_of(const Block& block);
  bool pinned(uint32_t entry) const { return entries[entry].block->references() > 1; }
  void evict(int looks);
  void look_at_oldest(uint8_t queue);
  void drop_large();
  uint8_t queue_to_evict() const;
  void remember_ghost(uint64_t hash);
  bool take_ghost(uint64_t hash);

  size_t capacity;
  size_t used = 0;  // blocks, the books about them, and `other`
  size_t other = 0;
  size_t count = 0;
  uint64_t hits = 0;
  uint64_t misses = 0;
  std::vector<uint32_t> slots;  // open addressing, linear probing; at most half full
  std::vector<Entry> entries;
  uint32_t free_entry = kNone;
  Queue queues[kQueues];
  // Ghosts: hash -> when it left, in a table where newcomers simply overwrite.
  struct Ghost {
    uint32_t mark = 0;
    uint32_t when = 0;
  };
  std::vector<Ghost> ghosts;
  uint32_t ghost_clock = 0;
};

// The block and what is kept about it. Slots and ghosts are a quarter to half full: about three for an entry.
size_t BlockCache::Rep::charge_of(const Block& block) {
  return block.charge() + sizeof(Entry) + 3 * (sizeof(uint32_t) + sizeof(Ghost));
}

uint32_t BlockCache::Rep::find(uint64_t file, uint64_t offset) const {
  for (size_t i = slot_of(mix(file, offset));; i = (i + 1) & (slots.size() - 1)) {
    uint32_t e = slots[i];
    if (e == kNone || (entries[e].offset == offset && entries[e].file == file)) return e;
  }
}

uint32_t BlockCache::Rep::add_entry(uint64_t file, uint64_t offset) {
  if ((count + 1) * 2 > slots.size()) grow_slots();
  uint32_t e = free_entry;
  if (e != kNone) {
    free_entry = entries[e].older;
  } else {
    e = static_cast<uint32_t>(entries.size());
    entries.emplace_back();
  }
  entries[e].file = file;
  entries[e].offset = offset;
  entries[e].uses = 0;
  size_t i = slot_of(mix(file, offset));
  while (slots[i] != kNone) i = (i + 1) & (slots.size() - 1);
  slots[i] = e;
  ++count;
  return e;
}

void BlockCache::Rep::grow_slots() {
  std::vector<uint32_t> old = std::move(slots);
  slots.assign(old.size() * 2, kNone);
  ghosts.assign(slots.size(), Ghost());
  for (uint32_t e : old) {
    if (e == kNone) continue;
    size_t i = slot_of(mix(entries[e].file, entries[e].offset));
    while (slots[i] != kNone) i = (i + 1) & (slots.size() - 1);
    slots[i] = e;
  }
}

// Closes the gap, so that probing needs no tombstones.
void BlockCache::Rep::erase_slot(uint32_t entry) {
  size_t mask = slots.size() - 1;
  size_t hole = slot_of(mix(entries[entry].file, entries[entry].offset));
  while (slots[hole] != entry) hole = (hole + 1) & mask;
  for (size_t i = (hole + 1) & mask; slots[i] != kNone; i = (i + 1) & mask) {
    size_t home = slot_of(mix(entries[slots[i]].file, entries[slots[i]].offset));
    if (((i - home) & mask) < ((i - hole) & mask)) continue;  // it may not stand before its home
    slots[hole] = slots[i];
    hole = i;
  }
  slots[hole] = kNone;
}

void BlockCache::Rep::push(uint32_t entry, uint8_t queue) {
  Queue& q = queues[queue];
  Entry& e = entries[entry];
  e.queue = queue;
  e.older = q.newest;
  e.newer = kNone;
  (q.newest == kNone ? q.oldest : entries[q.newest].newer) = entry;
  q.newest = entry;
  q.bytes += charge_of(*e.block.get());
}

void BlockCache::Rep::unlink(uint32_t entry) {
  Entry& e = entries[entry];
  Queue& q = queues[e.queue];
  (e.older == kNone ? q.oldest : entries[e.older].newer) = e.newer;
  (e.newer == kNone ? q.newest : entries[e.newer].older) = e.older;
  q.bytes -= charge_of(*e.block.get());
}

void BlockCache::Rep::remove(uint32_t entry) {
  unlink(entry);
  erase_slot(entry);
  Entry& e = entries[entry];
  used -= charge_of(*e.block.get());
  --count;
  e.block.reset();
  e.older = free_entry;
  free_entry = entry;
}

uint8_t BlockCache::Rep::queue_to_evict() const {
  size_t data = queues[kSmall].bytes + queues[kMain].bytes;
  if (data == 0 || queues[kMeta].bytes > capacity / 2) {
    if (queues[kMeta].bytes > 0) return kMeta;
  }
  if (queues[kSmall].bytes > capacity / 10 || queues[kMain].bytes == 0) return kSmall;
  return kMain;
}

// The oldest block of a queue leaves, or moves on.
void BlockCache::Rep::look_at_oldest(uint8_t queue) {
  uint32_t entry = queues[queue].oldest;
  if (entry == kNone) return;
  Entry& e = entries[entry];
  if (pinned(entry)) {
    unlink(entry);
    push(entry, queue);
  } else if (e.uses > 0) {
    unlink(entry);
    // In `small` the uses have done their work; in the others each buys a round.
    e.uses = queue == kSmall ? uint8_t{0} : static_cast<uint8_t>(e.uses - 1);
    push(entry, queue == kSmall ? uint8_t{kMain} : queue);
  } else {
    if (queue == kSmall) remember_ghost(mix(e.file, e.offset));
    remove(entry);
  }
}

void BlockCache::Rep::drop_large() {
  for (uint32_t entry = queues[kLarge].oldest; entry != kNone;) {
    uint32_t newer = entries[entry].newer;
    if (!pinned(entry)) remove(entry);
    entry = newer;
  }
}

void BlockCache::Rep::evict(int looks) {
  drop_large();
  for (; looks > 0 && used - queues[kLarge].bytes > capacity; --looks) look_at_oldest(queue_to_evict());
}

void BlockCache::Rep::remember_ghost(uint64_t hash) {
  if (ghosts.empty()) ghosts.resize(slots.size());
  ghosts[slot_of(hash)] = {static_cast<uint32_t>(hash >> 32), ++ghost_clock};
}

// Did it leave `small` not longer ago than about as many blocks as there are now?
bool BlockCache::Rep::take_ghost(uint64_t hash) {
  if (ghosts.empty()) return false;
  Ghost& ghost = ghosts[slot_of(hash)];
  if (ghost.when == 0 || ghost.mark != static_cast<uint32_t>(hash >> 32)) return false;
  bool recent = ghost_clock - ghost.when <= count;
  ghost = Ghost();
  return recent;
}

BlockCache::BlockCache(size_t capacity_bytes) : rep_(std::make_unique<Rep>(capacity_bytes)) {}
BlockCache::~BlockCache() = default;

BlockRef BlockCache::lookup(uint64_t file_number, uint64_t offset) {
  if (planted(Plant::cache_key_without_file)) file_number = 1;
  Rep& r = *rep_;
  if (r.queues[kLarge].oldest != kNone) r.drop_large();
  uint32_t entry = r.find(file_number, offset);
  if (entry == kNone) {
    ++r.misses;
    return BlockRef();
  }
  ++r.hits;
  Rep::Entry& e = r.entries[entry];
  // A command that has just fetched the block, and runs again, still holds it: that is not another use.
  if (e.uses < kMostRounds && e.block->references() == 1) ++e.uses;
  return e.block;
}

void BlockCache::touch_slot(uint64_t file_number, uint64_t offset) const {
  touch(&rep_->slots[rep_->slot_of(mix(file_number, offset))]);
}

// The entry of the first slot: mostly the block's.
void BlockCache::touch_entry(uint64_t file_number, uint64_t offset) const {
  uint32_t entry = rep_->slots[rep_->slot_of(mix(file_number, offset))];
  if (entry != kNone) touch(&rep_->entries[entry]);
}

const Block* BlockCache::peek(uint64_t file_number, uint64_t offset) const {
  uint32_t entry = rep_->find(file_number, offset);
  return entry == kNone ? nullptr : rep_->entries[entry].block.get();
}

BlockRef BlockCache::insert(uint64_t file_number, uint64_t offset, BlockRef block) {
  if (planted(Plant::cache_key_without_file)) file_number = 1;
  VARVE_CHECK(block);
  Rep& r = *rep_;
  if (uint32_t there = r.find(file_number, offset); there != kNone) return r.entries[there].block;
  uint32_t entry = r.add_entry(file_number, offset);
  size_t charge = Rep::charge_of(*block.get());
  r.entries[entry].block = block;
  r.used += charge;
  uint8_t queue = kSmall;
  if (charge > r.capacity / 4)
    queue = kLarge;
  else if (block->kind() != BlockKind::kData)
    queue = kMeta;
  else if (r.take_ghost(mix(file_number, offset)))
    queue = kMain;
  r.push(entry, queue);
  r.evict(kLooksPerInsert);
  return block;
}

void BlockCache::set_capacity(size_t bytes) {
  rep_->capacity = bytes;
  rep_->evict(kLooksPerResize);
}

void BlockCache::set_other_bytes(size_t bytes) {
  Rep& r = *rep_;
  r.used = r.used - r.other + bytes;
  r.other = bytes;
  r.evict(kLooksPerInsert);
}

size_t BlockCache::capacity() const {
  return rep_->capacity;
}
size_t BlockCache::memory_used() const {
  return rep_->used;
}
uint64_t BlockCache::hits() const {
  return rep_->hits;
}
uint64_t BlockCache::misses() const {
  return rep_->misses;
}
size_t BlockCache::block_count() const {
  return rep_->count;
}

size_t BlockCache::pinned_bytes() const {
  size_t bytes = 0;
  for (const Rep::Entry& e : rep_->entries) {
    if (e.block && e.block->references() > 1) bytes += Rep::charge_of(*e.block.get());
  }
  return bytes;
}

}  // namespace varve
