// engine_impl.h: the engine's parts and how they hang together. Everything here runs on the owner's thread;
// jobs capture only values and shared immutable inputs, and come back through Executor completions.
//
//   commit -> memtable + LogPipeline -> (durable) -> freeze
//          -> flush job      -> ManifestQueue -> install -> retire log
//             compaction job -> ManifestQueue -> install
//
// Order that survives a crash at any point: tables are written, synced and named in their directory by the
// job; then the edit is durable in the manifest; only then are memtables dropped, log segments reused and
// inputs unlinked.
#pragma once

#include <deque>
#include <list>
#include <set>
#include <unordered_map>

#include "lsm/compaction_policy.h"
#include "lsm/engine.h"
#include "lsm/log_pipeline.h"
#include "lsm/manifest_queue.h"
#include "lsm/merge_job.h"
#include "lsm/pacing.h"
#include "lsm/recovery.h"
#include "lsm/row_cache.h"
#include "lsm/table_cache.h"
#include "lsm/version.h"

namespace varve {

// A command that is restarted so often holds new versions back until it is done (DESIGN.md, law 5).
inline constexpr int kRestartsBeforeHold = 8;
// Rows take at most this part of the block cache's room.
inline constexpr size_t kRowsShare = 4;
// Less than that in memory stays in the processor's caches by itself.
inline constexpr size_t kPrefetchFrom = 2 << 20;  // bytes

class Engine::Impl {
 public:
  Impl(const EngineOptions& options, Recovered recovered);
  ~Impl();

  // engine_write.cc
  Admission admit(size_t bytes, bool frees_space);
  Sequence commit(const WriteBatch& batch);
  bool amend(std::string_view key, size_t offset, std::string_view bytes, size_t batch_bytes);
  Sequence newest_snapshot() const { return snapshots_->empty() ? 0 : *snapshots_->rbegin(); }
  void end_of_turn();
  void tick();
  void maybe_freeze();
  void freeze();

  // engine_read.cc
  ReadState get(ReadContext& context, std::string_view key, ReadValue* out, const Snapshot* snapshot);
  ReadState get_in_memory(std::string_view key, ReadValue* out);
  void prefetch(const std::string_view* keys, const uint64_t* key_hashes, size_t count) const;
  std::unique_ptr<LiveIterator> new_iterator(ReadContext& context, std::string_view begin,
                                             std::string_view end, const Snapshot* snapshot);
  IterState read_table(BlockSource& source, const TableRef& table, std::string_view key, uint64_t hash,
                       Sequence at, TableHit* hit, bool* settled);
  // What is read in order to be written next is not worth a row that says there is nothing yet. Nor is an
  // absence that filters alone tell: asking them again costs less than making the row.
  enum class Purpose : uint8_t { kReading, kWriting };
  ReadState find(BlockSource& source, std::string_view key, Sequence at, Purpose purpose, ReadValue* out,
                 Sequence* seen);
  ReadState find_in_tables(BlockSource& source, std::string_view key, uint64_t hash, Sequence at,
                           ReadValue* out, bool* filtered);

  // engine_fetch.cc
  using BlockPlace = std::pair<uint64_t, uint64_t>;  // file number, offset
  void fetch(ReadContext& context, std::function<void()> done);
  void finish_fetch(BlockPlace place, Result<BlockRef> block);
  void start_read(BlockRequest request);
  void start_open_read(OpenTableRef table, BlockRequest request);
  void open_soon(const TableRef& table);
  void start_opens();
  struct LateOpen;
  void finish_open(uint64_t number, const std::optional<BlockRequest>& first, LateOpen opened);
  Result<BlockRef> read_blocking(const TableRef& table, BlockHandle handle, BlockKind kind);
  void keep_open(OpenTableRef table);
  void charge_cache();
  void open_failed(const Table& table, const Status& status);
  void set_table_cache_files(size_t files);

  // engine_background.cc
  void maybe_flush();
  void give_back(std::vector<std::shared_ptr<const MemTable>> memtables);
  void finish_flush(MergeOutput output, std::vector<std::shared_ptr<const MemTable>> memtables,
                    int64_t started_us);
  void maybe_compact();
  void start_compaction(CompactionPick pick);
  void finish_compaction(const CompactionPick& pick, MergeOutput output, int64_t started_us);
  void move_tables(const CompactionPick& pick);
  void submit_edit(VersionEdit edit, std::map<uint64_t, TableRef> added, std::function<void()> after);
  void install(const VersionEdit& edit, const std::map<uint64_t, TableRef>& added);
  void run_held_installs();
  void maybe_prepare_segment();
  void finish_segment(const LogSegment& segment, Result<std::shared_ptr<WriteFile>> file);
  bool log_at_maximum() const;
  void recycle_segments(std::vector<LogSegment> segments);
  void remove_obsolete();
  void remove_orphans(std::vector<std::string> names);
  void delete_garbage();
  bool reserve_file_numbers(uint64_t n);
  enum class Work : uint8_t { kFlush, kCompaction, kSegment };
  void background_failed(Work work, const Status& status);
  void background_ok(Work work);
  Status background_error() const;  // of any work that now fails
  Status stuck() const;             // why waiting would not help: a full disk, or a failure that lasts
  void admission_changed();
  void fail_flush_waiters(const Status& status);
  void fail_manual(const Status& status);
  CompactionOptions compaction_options() const;

  // engine_quarantine.cc
  void maybe_walk();
  void maybe_recheck();
  void finish_recheck(uint64_t table, const Status& status);
  void recheck_now();
  bool recheck_pending() const;

  // engine_maintenance.cc
  void flush(std::function<void(Status)> done);
  void compact_range(std::string_view begin, std::string_view end, std::function<void(Status)> done);
  void continue_manual();
  void checkpoint(const std::string& dir, std::function<void(Status)> done);
  void close(std::function<void(Status)> done);
  void maybe_finish_close();
  EngineStats stats() const;

  template <class Work, class Done>
  void submit(Lane lane, Work work, Done done) {
    ++jobs_;
    options_.executor->submit(lane, std::move(work), [this, done = std::move(done)](auto value) mutable {
      --jobs_;
      done(std::move(value));
      if (closing_) maybe_finish_close();
    });
  }

  EngineOptions options_;
  Random random_;
  std::unique_ptr<FileLock> lock_;
  uint64_t next_file_;
  uint64_t file_limit_;  // numbers below it are reserved in the durable manifest
  bool reserving_ = false;

  std::shared_ptr<MemTable> active_;
  std::vector<std::shared_ptr<const MemTable>> frozen_;  // oldest first
  std::shared_ptr<const MemTable> flushed_memtable_;     // newer than all that is in tables only; may be null
  VersionRef version_;
  std::map<uint64_t, TableRef> tables_;  // by number: those the durable manifest names
  std::list<TableRef> obsolete_;         // waiting until nobody else refers to them
  BlockCache cache_;
  RowCache rows_;  // in a part of the block cache's room
  TableCache open_tables_;
  ManifestQueue manifest_;
  LogPipeline log_;
  std::vector<LogSegment> free_segments_;
  // Shared with the snapshots, which may outlive the engine.
  std::shared_ptr<std::multiset<Sequence>> snapshots_ = std::make_shared<std::multiset<Sequence>>();
  std::map<uint32_t, int64_t> counters_;

  size_t jobs_ = 0;
  bool flush_running_ = false;
  std::vector<std::pair<Sequence, std::function<void(Status)>>>
      flush_waiters_;  // wait until flushed_sequence reaches
  Sequence flushed_ = 0;
  std::set<uint64_t> busy_;  // inputs of running compactions
  int compactions_running_ = 0;
  std::map<uint64_t, int> unreadable_;  // tables a compaction could not read, how often
  // When the next check of a table in quarantine is due, and how long after the last one.
  struct Recheck {
    int64_t at_us = 0;
    int64_t wait_us = 0;
  };
  std::map<uint64_t, Recheck> rechecks_;
  bool recheck_running_ = false;
  // The walk over the tables that were there at the start: the next file number, and the first that is new.
  uint64_t walk_at_ = 0;
  uint64_t walk_end_;
  bool walk_running_ = false;
  std::set<uint64_t> rests_;  // tables that a job only copied, its rests
  bool preparing_segment_ = false;
  bool urgent_freeze_ = false;
  uint64_t wanted_log_room_ = 0;  // of the largest write that waits for room
  bool waiting_for_log_ = false;  // someone was told to wait until the log buffer has drained
  std::shared_ptr<std::atomic<bool>> cancel_ = std::make_shared<std::atomic<bool>>(false);

  struct Manual {
    KeyRange range;
    int level = 0;
    uint64_t rewritten_from = 0;
    std::function<void(Status)> done;
  };
  std::deque<Manual> manual_;

  // Garbage ranges whose range delete is in a memtable, with its sequence.
  std::vector<std::pair<Sequence, KeyRange>> garbage_in_memory_;
  std::deque<KeyRange> pending_garbage_;  // remembered in the manifest, their range delete not yet written

  // Shared with the contexts that hold.
  std::shared_ptr<int> install_holds_ = std::make_shared<int>(0);
  int64_t held_since_us_ = 0;
  bool hold_counted_ = false;  // that the first of these is held back
  std::deque<std::function<void()>> held_installs_;

  // One block on its way for one or more contexts.
  struct Fetch {
    std::vector<std::pair<ReadContext*, std::shared_ptr<std::pair<size_t, std::function<void()>>>>> waiters;
  };
  std::map<BlockPlace, Fetch> fetches_;
  // Tables to be opened, and the reads that wait for that.
  struct Opening {
    TableRef table;
    std::vector<BlockRequest> waiting;
  };
  std::unordered_map<uint64_t, Opening> opening_;
  std::deque<uint64_t> to_open_;  // those of them that wait for a place, in the order they were asked for

  bool closing_ = false;
  bool log_finished_ = false;
  std::function<void(Status)> close_done_;
  Status background_errors_[3];  // by Work; ok while it succeeds
  int64_t failing_since_us_[3] = {0, 0, 0};
  int64_t compact_backoff_us_ = 0;
  int64_t flush_retry_us_ = 0, compact_retry_us_ = 0, segment_retry_us_ = 0;

  double tokens_ = 0;
  int64_t tokens_at_us_ = 0;
  uint64_t debt_ = 0;  // compaction_debt of version_
  int64_t last_level0_us_ = 0;
  double flush_rate_ = 0, level0_rate_ = 0;  // bytes of user data per second, moving averages

  std::function<void(Sequence)> on_durable_;
  std::function<void()> on_admission_change_;
  std::function<void(const Status&)> on_fenced_;

  EngineStats counts_;  // the running counters among them
  uint64_t recovery_us_ = 0, recovered_batches_ = 0;
};

}  // namespace varve
