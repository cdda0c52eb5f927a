// table_cache.h: the files of tables that are open for reads, bounded in number, owned by one thread (no
// locks). The tree may name more tables than a process may open files.
//
// Each file takes a place, from before it is opened until it is closed. Which table makes room is a clock's
// choice: the one that came first, but one that was used since it was last looked at gets another round, and
// one that a worker reads stays.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>

#include "lsm/table.h"

namespace varve {

class TableCache {
 public:
  explicit TableCache(size_t files_max);  // at least 1

  // The open table, or null. For reads on the owner's thread: it may close again with the next call here.
  OpenTableRef find(uint64_t number);
  // The same for a read on a worker: the table stays until as many unpin() follow.
  OpenTableRef pin(uint64_t number);
  void unpin(uint64_t number);

  // Takes a place for a file that is about to be opened; closes another one if it must. False when all are
  // being opened or read: ask again after an unpin(), insert() or give_back_place().
  bool take_place();
  void give_back_place();  // it could not be opened
  // Into a place taken. One that is open already stays instead.
  void insert(OpenTableRef table);
  // For a table that is no longer live: closes it, or leaves that to the last unpin().
  void erase(uint64_t number);

  void set_files_max(size_t n);  // at least 1; what is pinned above it closes when it is unpinned
  size_t files_max() const { return files_max_; }
  bool full() const {
    return entries_.size() + opening_ >= files_max_;
  }  // the next one must wait or close another
  size_t open_count() const { return entries_.size(); }
  size_t memory_used() const { return memory_; }

 private:
  struct Entry {
    OpenTableRef table;
    std::list<uint64_t>::iterator turn;
    uint32_t readers = 0;
    bool used = false;
    bool doomed = false;  // erased while it was being read
  };
  using Entries = std::unordered_map<uint64_t, Entry>;

  bool close_one();
  void close(Entries::iterator entry);
  void close_surplus();

  size_t files_max_;
  Entries entries_;            // by file number
  std::list<uint64_t> turns_;  // the one to be looked at next first
  size_t opening_ = 0;         // places taken by files not open yet
  size_t memory_ = 0;
};

}  // namespace varve
