// engine.h: the LSM engine as its owner's thread sees it. Nothing here blocks (but open_engine's blocking
// form and reads with ReadContext::blocking); slow work goes to the Executor and comes back in
// Executor::run_completions.
//
// Writing: admit() → commit() → end_of_turn(); on_durable tells when. Reading: get()/iterators through a
// ReadContext; after a run, context.misses says which blocks to fetch(), then run again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "lsm/block_cache.h"
#include "lsm/iterator.h"
#include "lsm/memtable.h"
#include "lsm/read_context.h"
#include "lsm/record_inspector.h"
#include "lsm/table_builder.h"
#include "os/executor.h"
#include "os/file_system.h"

namespace varve {

enum class SyncMode : uint8_t { kAlways, kEverySecond, kNo };

struct EngineOptions {
  FileSystem* fs = nullptr;
  Executor* executor = nullptr;
  Clock* clock = nullptr;
  uint64_t random_seed = 0;
  std::string dir;
  std::string application = "engine";  // what the keys mean; another one is refused at open
  const RecordInspector* inspector = nullptr;
  bool create_if_missing = true;
  bool accept_loss = false;  // treat damage in log or manifest as its end (the operator's explicit switch)

  SyncMode sync = SyncMode::kAlways;
  size_t memtable_size = 32 << 20;
  int max_frozen_memtables = 2;
  // The memtable that was flushed last stays for point reads while fewer than max_frozen_memtables wait, so
  // that a flush makes neither reads nor blind writes slow.
  bool keep_flushed_memtable = false;
  uint64_t log_segment_size = 32 << 20;
  uint64_t log_max_bytes = 1ull << 30;  // all segments together: bounds recovery
  size_t block_cache_size = 64 << 20;   // the open tables' memory included
  size_t table_cache_files = 1000;      // files of tables kept open for reads; at least 1
  uint64_t table_size = 32 << 20;
  uint64_t base_level_size = 128 << 20;
  int level_multiplier = 10;
  int level0_trigger = 4;
  int level0_slow = 8;   // from here on writes are slowed, smoothly
  int level0_stop = 16;  // here they wait
  size_t block_size = 8 * 1024;
  double filter_bits_per_key = 10;
  // What a compaction may hold of range tombstones, findings and readahead, about, in bytes.
  size_t compaction_memory = 64 << 20;
  Compression compression = Compression::kLz4;
  Compression bottom_compression = Compression::kZstd;
  // Debug: one cached block in this many is reported missing (0: never), for a command four times at most;
  // for some commands often enough that installs are held for them.
  uint32_t random_miss_one_in = 0;
};

// A consistent view: reads at its sequence. Owned by the owner; release by destroying.
class Snapshot {
 public:
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  Sequence sequence() const { return sequence_; }

 private:
  friend class Engine;
  Snapshot(std::shared_ptr<std::multiset<Sequence>> live, Sequence sequence)
      : live_(std::move(live)), sequence_(sequence) {}
  std::shared_ptr<std::multiset<Sequence>> live_;
  Sequence sequence_;
};

// A value read: points into a memtable, into a row of the row cache or into a pinned block. Valid until the
// next commit or end_of_turn().
struct ReadValue {
  std::string_view value;
  BlockRef pin;
};

enum class ReadState : uint8_t {
  kFound,
  kAbsent,
  kFault,  // blocks are missing or there was an error: see the context
};

// Live keys in order, newest visible version of each, deletes applied. Made fresh for each run; a commit, an
// installed version or the end of the turn ends its life.
class LiveIterator {
 public:
  virtual ~LiveIterator() = default;
  virtual void seek(std::string_view key) = 0;         // first key >= key
  virtual void seek_before(std::string_view key) = 0;  // last key < key
  virtual void seek_to_first() = 0;
  virtual void seek_to_last() = 0;
  virtual void next() = 0;
  virtual void prev() = 0;
  // kValid, kEnd, kMiss or kError (the context has what is missing or wrong).
  virtual IterState state() const = 0;
  bool valid() const { return state() == IterState::kValid; }
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
};

// What may be written now.
struct Admission {
  enum class Verdict : uint8_t { kGo, kWait, kRefuse };
  Verdict verdict = Verdict::kGo;
  Status reason;        // kRefuse: kNoSpace, kFenced, kAborted
  int64_t wait_us = 0;  // kWait: ask again after this, or when on_admission_change calls
};

struct LevelStats {
  int level = 0;
  uint64_t tables = 0;
  uint64_t runs = 0;
  uint64_t bytes = 0;
  double score = 0;
};

struct EngineStats {
  std::vector<LevelStats> levels;
  uint64_t tables = 0, table_bytes = 0, quarantined_tables = 0;
  uint64_t quarantine_checks = 0, quarantine_healed = 0;  // tables in quarantine read again; found whole
  uint64_t startup_tables_checked = 0;                    // of those there at the start, opened once since
  int64_t quarantine_next_check_s = -1;                   // until the next such check; -1: none is planned
  uint64_t install_holds = 0, installs_held = 0;  // commands that held versions back; versions held back
  uint64_t records_in_tables = 0, blind_records = 0, range_deletes = 0;
  uint64_t memtable_bytes = 0, frozen_memtables = 0, memtable_entries = 0;
  uint64_t cache_bytes = 0, cache_capacity = 0, cache_hits = 0, cache_misses = 0;
  uint64_t rows = 0, row_bytes = 0, row_hits = 0, row_misses = 0;  // of the row cache
  uint64_t open_tables = 0, open_tables_max = 0, open_tables_bytes = 0, table_opens = 0,
           table_open_errors = 0;
  uint64_t block_reads = 0, nowait_reads = 0, block_read_bytes = 0;
  uint64_t gets = 0, get_tables_touched = 0, get_blocks_touched = 0, filter_useful = 0;
  uint64_t user_bytes_written = 0, log_bytes_written = 0, flush_bytes_written = 0,
           compaction_bytes_written = 0, compaction_bytes_read = 0;
  uint64_t flushes = 0, compactions = 0, trivial_moves = 0, background_errors = 0;
  uint64_t compactions_in_parts = 0;  // ended before all of their inputs were merged
  uint64_t values_amended = 0;        // by amend()
  uint64_t log_buffer_bytes = 0;      // waiting for the log's file, or on the way to it
  uint64_t log_syncs = 0, log_groups = 0, log_batches = 0, log_segments = 0, log_segments_free = 0;
  uint64_t log_sync_us_total = 0, log_sync_us_max = 0, log_sync_us_last = 0;
  uint64_t write_delays = 0, write_delay_us = 0;
  Sequence last_sequence = 0, durable_sequence = 0, flushed_sequence = 0;
  uint64_t snapshots = 0, pending_compaction_bytes = 0;
  bool flush_running = false;
  int compactions_running = 0;
  bool fenced = false;
  Status background_error;  // last failure of flush, compaction, manifest or segment preparation; ok once one
                            // succeeded
  double write_amplification = 0, read_amplification = 0, space_amplification = 0;
  uint64_t recovery_us = 0, recovered_batches = 0;
};

class Engine {
 public:
  // Recovers (or creates) the directory on a worker, then calls `done` on the owner's thread. What was
  // replayed from the log is durable in tables before that. Failures name file and offset and leave the
  // directory as it was.
  static void open(const EngineOptions& options, std::function<void(Result<std::unique_ptr<Engine>>)> done);
  // The same, waiting on the executor.
  static Result<std::unique_ptr<Engine>> open_blocking(const EngineOptions& options);
  // close() first; without it nothing acknowledged is lost, but jobs are waited for, and what they bring is
  // told to nobody.
  ~Engine();

  // --- writing ---
  // May a batch of about `bytes` be written now? Ask before a command's first run. `frees_space`: deletes,
  // flushes and other writes that give space back; they may use the last log segment, which is kept for them.
  Admission admit(size_t bytes, bool frees_space = false);
  // Applies the batch: visible at once to later reads here, in the log buffer, durable later. Needs an
  // admit() that said kGo in this turn. Returns its last sequence. An empty batch returns last_sequence().
  Sequence commit(const WriteBatch& batch);
  // In place of a put in the batch of `batch_bytes` that is committed next: overwrites bytes of a value where
  // it stands in the memtable and in the log's buffer. False, and nothing happened: the value was not written
  // behind the last write of the log, a snapshot may need it as it was, or it is no long one; put all of it.
  bool amend(std::string_view key, size_t offset, std::string_view bytes, size_t batch_bytes);
  // The sequence the next operation will take: a collection id that was never used.
  Sequence next_sequence() const;
  // Call once at the end of a turn of the loop: starts the log write if none is in flight and timers are due.
  void end_of_turn();
  // Call at least every 100 ms: idle watermark, everysec sync, retries, pacing.
  void tick();
  void set_on_durable(std::function<void(Sequence durable)> callback);
  void set_on_admission_change(std::function<void()> callback);
  void set_on_fenced(std::function<void(const Status&)> callback);
  Sequence last_sequence() const;
  Sequence durable_sequence() const;
  bool fenced() const;
  // How long the last sync of the log took, microseconds.
  int64_t last_log_sync_us() const;
  // Calls back once everything committed so far is fsynced (whatever the sync mode), or with kFenced.
  void sync(std::function<void(Status)> done);

  // --- reading ---
  ReadState get(ReadContext& context, std::string_view key, ReadValue* out,
                const Snapshot* snapshot = nullptr);
  // Looks only at memory: kFound/kAbsent if memory and filters settle it, kFault if they cannot tell. Never
  // touches the disk, notes no misses; while the block cache has room, blocks in the system's page cache
  // count as memory. For blind writes.
  ReadState get_in_memory(std::string_view key, ReadValue* out);
  // Has the processor load what reading or writing up to kPrefetched keys touches in memory, blocks of tables
  // included, the misses of all at once, for keys that are soon asked for; with hash_key() of each. Worth its
  // cost only once there is more in memory than the processor's own caches hold.
  static constexpr size_t kPrefetched = 16;
  bool worth_prefetching() const;
  // What the active memtable has put under a key, for hints alone: deleted ranges are not asked. Valid until
  // the next commit.
  bool peek(std::string_view key, std::string_view* value) const;
  void prefetch(const std::string_view* keys, const uint64_t* key_hashes, size_t count) const;
  // Nobody holds a ReadValue any more: memory that waits for that may go. end_of_turn() says so too.
  void release_values();
  // Keys in [begin, end); an empty end means no bound. `keep_in_cache` false for long scans.
  std::unique_ptr<LiveIterator> new_iterator(ReadContext& context, std::string_view begin,
                                             std::string_view end, const Snapshot* snapshot = nullptr);
  // Fetches context.misses on the read lane, opening their tables where need be, into the cache and
  // context.pins; then `done`. One fetch per context at a time; the context must live until done. Requests
  // for the same block share one read.
  void fetch(ReadContext& context, std::function<void()> done);
  std::unique_ptr<Snapshot> snapshot();
  // Current value of a batch counter.
  int64_t counter(uint32_t id) const;
  const std::map<uint32_t, int64_t>& counters() const;

  // --- maintenance ---
  // Everything committed before stands in tables.
  void flush(std::function<void(Status)> done);
  // Rewrites everything in [begin, end) down to the last level (empty end: no bound).
  void compact_range(std::string_view begin, std::string_view end, std::function<void(Status)> done);
  // A directory that opens as a copy of this one as of now: flushes, then hard-links tables beside a fresh
  // manifest with a new identity. `dir` must not exist; its parent must.
  void checkpoint(const std::string& dir, std::function<void(Status)> done);
  // Waits for jobs (compactions stop early), writes the final watermark. No call but the destructor after it.
  void close(std::function<void(Status)> done);
  void set_sync_mode(SyncMode mode);
  void set_block_cache_size(size_t bytes);
  void set_memtable_size(size_t bytes);
  void set_table_cache_files(size_t files);
  EngineStats stats() const;
  void reset_stats();
  // The tree, a line a level, for tests and DEBUG.
  std::string debug_string() const;
  const EngineOptions& options() const;

  class Impl;

 private:
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve
