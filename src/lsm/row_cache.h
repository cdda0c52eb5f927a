// row_cache.h: the newest records of the tables, by key: a point read that finds its row here touches two
// places in memory instead of a filter, two index blocks and a data block. Owned by one thread (no locks).
//
// What stands here agrees with what the tables answer for the key's newest version, absence included:
//   - a row goes in only after all memtables were asked and knew nothing of the key;
//   - a put gives its key's row the new value, a delete takes it out, a range delete those of its range, and
//     what the memtable holds then hides the key until it is in a table. Compaction changes no answer, so it
//     need not be told.
// Snapshots read past it.
//
// Rows lie behind buckets of eight slots, one cache line each: 16 bits of the hash and the row's address,
// with a mark for use. The buckets grow one by one (linear hashing, Litwin 1980), so that no insert takes
// long. What has to leave is a clock's choice; in a bucket that is full, the first that was not used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace varve {

class RowCache {
 public:
  // Longer ones are not kept: their block is not much more to read.
  static constexpr size_t kRowMax = 4096;  // bytes of key and value

  explicit RowCache(size_t capacity_bytes);
  ~RowCache();
  RowCache(const RowCache&) = delete;
  RowCache& operator=(const RowCache&) = delete;

  struct Row {
    bool found = false;      // false: the tables have no such key
    std::string_view value;  // until release_retired()
  };
  // `hash` is hash_key(key) in all of these. False: ask the tables.
  bool lookup(std::string_view key, uint64_t hash, Row* out);
  // What the tables answered. Not every row is kept: a cache that is full lets in one of a few.
  void insert(std::string_view key, uint64_t hash, const Row& row);
  // The key was written: its row, if there is one, has this value from now on, in place where it fits: as an
  // overwrite in a memtable, that changes what a Row of it shows.
  void replace(std::string_view key, uint64_t hash, std::string_view value);
  void erase(std::string_view key, uint64_t hash);
  // Every row with begin <= key < end, and perhaps others: a step whose cost does not depend on how many.
  void erase_range(std::string_view begin, std::string_view end);
  // Has the processor load what lookup() and replace() of up to kPrefetched keys touch. As
  // MemTable::prefetch, returns how many keys have no row, and their hashes, in order, at the front of
  // `unknown` (which may be `hashes`).
  static constexpr size_t kPrefetched = 16;
  size_t prefetch(const uint64_t* hashes, size_t count, uint64_t* unknown) const;

  // Rows that left stay readable until this: call it when nobody holds a value from here.
  void release_retired();
  // Some of what is too much leaves at once, the rest with coming inserts and calls.
  void set_capacity(size_t bytes);
  size_t memory_used() const { return used_; }
  size_t row_count() const { return rows_; }
  uint64_t hits() const { return hits_; }
  uint64_t misses() const { return misses_; }

 private:
  struct Stored;
  static constexpr size_t kSlots = 8;
  struct alignas(64) Bucket {
    uint64_t slots[kSlots] = {};
  };
  struct Generations;

  size_t bucket_of(uint64_t hash) const;
  Bucket& bucket(size_t index) const;
  uint32_t generation_of(std::string_view key) const;
  uint64_t* find(std::string_view key, uint64_t hash) const;
  const void* likely_row(uint64_t hash) const;
  // A row in the memory of its own, as a slot holds it; counted as used.
  uint64_t store(std::string_view key, uint64_t hash, const Row& row);
  void grow();
  void place(Bucket* bucket, uint64_t slot);
  void retire(uint64_t* slot);
  void evict(int looks);

  size_t capacity_;
  size_t used_ = 0;
  size_t rows_ = 0;
  uint64_t hits_ = 0, misses_ = 0;
  uint64_t refused_ = 0;  // rows that a full cache was offered
  // Chunk 0 has kFirstBuckets, chunk k the next kFirstBuckets << (k - 1).
  std::vector<std::unique_ptr<Bucket[]>> chunks_;
  size_t buckets_ = 0;
  size_t hand_ = 0;
  std::unique_ptr<Generations> generations_;
  std::vector<Stored*> retired_;
  size_t retired_bytes_ = 0;
};

}  // namespace varve
