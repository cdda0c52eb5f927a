// memtable.h: the newest records, in memory: a B+tree for order and a hash index for point reads, both over
// entries in an arena.
//
// Threads: written and read by the owner only. After freeze() it never changes, so a flush worker may iterate
// it while the owner goes on reading it.
//
// Versions: a key's entries form a chain, newest first. A write replaces the newest entry (in place where the
// bytes fit) unless a live snapshot can still see it, that is, unless entry.sequence <= newest_snapshot, or
// the flush has still to settle its death: the new record is blind, or a range delete came between the two.
// A replaced blind entry passes its blind mark on to the record that replaces it (the key's older history is
// still unsettled), DESIGN.md "Blind writes".
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>

#include "lsm/iterator.h"
#include "lsm/key_format.h"
#include "lsm/range_tombstones.h"

namespace varve {

class MemTable {
 public:
  MemTable();
  ~MemTable();
  MemTable(const MemTable&) = delete;
  MemTable& operator=(const MemTable&) = delete;

  // Adds a put or a delete. Sequences must rise from call to call. newest_snapshot: the highest sequence any
  // live snapshot reads at, 0 when there is none.
  void add(Sequence sequence, Kind kind, bool blind, std::string_view key, std::string_view value,
           Sequence newest_snapshot);
  // The same when hash_key(key) is known already.
  void add(Sequence sequence, Kind kind, bool blind, std::string_view key, std::string_view value,
           Sequence newest_snapshot, uint64_t key_hash);
  // Overwrites bytes from `offset` on of the value that was put at `sequence`, in place. False, and nothing
  // happened: that is not the key's newest entry, a snapshot or a range delete lies behind it, or the value
  // ends before.
  bool amend(std::string_view key, uint64_t key_hash, Sequence sequence, size_t offset,
             std::string_view bytes, Sequence newest_snapshot);
  // Deletes [begin, end) at sequence. Entries stay; readers and the flush compare sequences.
  void add_range_delete(Sequence sequence, std::string_view begin, std::string_view end);
  void add_count(uint32_t id, int64_t delta) { counters_[id] += delta; }

  struct Hit {
    Tag tag;
    std::string_view value;  // valid until the next add() (an overwrite in place may change it)
  };
  // The newest entry of key with sequence <= at. Range tombstones are not consulted.
  bool find(std::string_view key, Sequence at, Hit* hit) const;
  bool find(std::string_view key, uint64_t key_hash, Sequence at, Hit* hit) const;
  // Has the processor load what find() and add() of up to kPrefetched keys will touch, the misses of all at
  // once: for commands that wait in line behind another. Returns how many of the keys are not in here, and
  // their hashes at the front of `unknown` (which may be `key_hashes`).
  static constexpr size_t kPrefetched = 16;
  size_t prefetch(const uint64_t* key_hashes, size_t count, uint64_t* unknown) const;

  const RangeTombstones& range_tombstones() const { return range_tombstones_; }
  const std::map<uint32_t, int64_t>& counters() const { return counters_; }

  // All versions, in record order. The iterator must not outlive the memtable; an active memtable must not be
  // written while an iterator of it is in use.
  std::unique_ptr<RecordIterator> new_iterator() const;

  // No adds after this.
  void freeze();
  bool frozen() const { return frozen_; }

  size_t memory_used() const;    // bytes of arena, tree and hash index, wasted bytes included
  uint64_t entry_count() const;  // entries reachable, versions included
  // Blind records added: at least as many as still carry the mark.
  uint64_t blind_adds() const { return blind_adds_; }
  bool empty() const { return entry_count() == 0 && range_tombstones_.empty() && counters_.empty(); }
  Sequence first_sequence() const { return first_sequence_; }  // 0 when nothing was added
  Sequence last_sequence() const { return last_sequence_; }

 private:
  struct Core;
  void note_sequence(Sequence sequence);
  bool range_deleted_since(std::string_view key, Sequence sequence) const;

  std::unique_ptr<Core> core_;
  RangeTombstones range_tombstones_;
  std::map<uint32_t, int64_t> counters_;
  Sequence first_sequence_ = 0;
  Sequence last_sequence_ = 0;
  uint64_t blind_adds_ = 0;
  bool frozen_ = false;
};

}  // namespace varve
