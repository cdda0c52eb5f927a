// database.h: varve's engine as an embedded, ordered, durable key-value store. Needs neither libuv nor the
// server.
//
//   auto db = varve::Database::open("/var/lib/things");
//   if (!db) return fail(db.status());
//   if (auto status = (*db)->put("apple", "red"); !status.ok()) ...
//   for (auto it = (*db)->scan({.begin = "a", .end = "b"}); it->valid(); it->next()) use(it->key(),
//   it->value());
//
// Threads: a Database, its iterators and snapshots belong to the thread that opened it. Log syncs, flushes
// and compactions run on threads of its own; each call also collects what they finished. Keys are compared as
// bytes (memcmp); a key is at most kMaxEngineKeySize, a value at most kMaxEngineValueSize bytes.
//
// Errors: every failure of the world comes back as a Status that names the place. After a failed log sync
// (kFenced) no write is accepted until the directory is opened again; reads of durable data go on.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "varve/options.h"
#include "varve/status.h"
#include "varve/write_batch.h"

namespace varve {

// A consistent view of the database at one moment. Must not outlive the Database.
class DatabaseSnapshot {
 public:
  virtual ~DatabaseSnapshot() = default;
};

// [begin, end); an empty end means no bound.
struct Range {
  std::string_view begin = {};
  std::string_view end = {};
};

// Live keys of a range, both ways. A view of the moment it was made; writes do not disturb it. Must not
// outlive the Database. After a failure valid() is false and status() says why.
class Iterator {
 public:
  virtual ~Iterator() = default;
  virtual bool valid() const = 0;
  virtual void seek_to_first() = 0;
  virtual void seek_to_last() = 0;
  virtual void seek(std::string_view key) = 0;         // first key >= key
  virtual void seek_before(std::string_view key) = 0;  // last key < key
  virtual void next() = 0;                             // needs valid()
  virtual void prev() = 0;                             // needs valid()
  virtual std::string_view key() const = 0;            // until the iterator moves
  virtual std::string_view value() const = 0;
  virtual Status status() const = 0;
};

// A write on its way (Database::submit).
using Ticket = uint64_t;

class Database {
 public:
  // Opens or creates the directory, replaying its log. kBusy when another process has it open.
  static Result<std::unique_ptr<Database>> open(const std::string& dir, const DatabaseOptions& options = {});
  virtual ~Database() = default;  // closes, dropping errors

  virtual Status put(std::string_view key, std::string_view value,
                     Durability durability = Durability::kSynced) = 0;
  virtual Status remove(std::string_view key, Durability durability = Durability::kSynced) = 0;
  // Every key in [begin, end).
  virtual Status remove_range(std::string_view begin, std::string_view end,
                              Durability durability = Durability::kSynced) = 0;
  // All operations of the batch or none, across a crash too.
  virtual Status write(const WriteBatch& batch, Durability durability = Durability::kSynced) = 0;

  // Starts a write and returns at once; many may be under way and share one sync. Visible to reads at once.
  virtual Result<Ticket> submit(const WriteBatch& batch) = 0;
  // Starts what was submitted and collects what has finished; true when the ticket's write is durable. Never
  // waits.
  virtual Result<bool> poll(Ticket ticket) = 0;
  // Waits until it is durable.
  virtual Status wait(Ticket ticket) = 0;

  // Empty when there is no such key.
  virtual Result<std::optional<std::string>> get(std::string_view key,
                                                 const DatabaseSnapshot* snapshot = nullptr) = 0;
  // As get for each key, in order; blocks that are not in memory are read together.
  virtual Result<std::vector<std::optional<std::string>>> multi_get(
      const std::vector<std::string_view>& keys, const DatabaseSnapshot* snapshot = nullptr) = 0;
  // Stands on the first key of the range; seek_to_last() and prev() walk it backwards.
  virtual std::unique_ptr<Iterator> scan(Range range = {}, const DatabaseSnapshot* snapshot = nullptr) = 0;
  virtual std::unique_ptr<DatabaseSnapshot> snapshot() = 0;

  // Everything written before stands in sorted tables, and on disk.
  virtual Status flush() = 0;
  // Rewrites the range down to the last level, dropping what is deleted or overwritten.
  virtual Status compact_range(Range range = {}) = 0;
  // As flush(), and then waits until the tree needs no compaction any more: after loading, before measuring.
  virtual Status settle() = 0;
  // Makes `dir` (new, on the same file system) a database of its own with everything written so far; tables
  // are shared as hard links.
  virtual Status checkpoint(const std::string& dir) = 0;
  // Makes everything durable and closes. Every later call fails with kAborted.
  virtual Status close() = 0;

  // For people: levels, sizes, amplification, cache.
  virtual std::string stats_text() const = 0;
  // Bytes written to disk so far: log, flushes, compactions.
  virtual uint64_t bytes_written() const = 0;
  // Blocks of tables that reads took from files so far, the system's page cache among them.
  virtual uint64_t blocks_read() const = 0;
};

}  // namespace varve
