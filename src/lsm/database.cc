// database.cc: the embedded Database: the engine's owner in one blocking object. Each call runs the owner's
// side here: it collects completions, ends the "turn", and waits on the executor where the caller asked to
// wait.
#include "varve/database.h"

#include <algorithm>

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "lsm/engine.h"
#include "os/worker_pool.h"

namespace varve {
namespace {

class SnapshotHolder final : public DatabaseSnapshot {
 public:
  explicit SnapshotHolder(std::unique_ptr<Snapshot> held) : snapshot(std::move(held)) {}
  std::unique_ptr<Snapshot> snapshot;
};

const Snapshot* engine_snapshot(const DatabaseSnapshot* snapshot) {
  return snapshot == nullptr ? nullptr : static_cast<const SnapshotHolder*>(snapshot)->snapshot.get();
}

// What a database and its iterators share; an iterator may be destroyed after the database was closed.
struct Shared {
  Engine* engine = nullptr;  // null once closed
  uint64_t generation = 0;   // rises when an engine iterator may no longer be used
};

// Reads under a snapshot and reopens when the engine has changed underneath (a commit or an installed version
// ends an engine iterator's life).
class ScanIterator final : public Iterator {
 public:
  ScanIterator(std::shared_ptr<Shared> shared, Range range, const Snapshot* snapshot)
      : shared_(std::move(shared)), begin_(range.begin), end_(range.end), snapshot_(snapshot) {
    context_.blocking = true;
    if (shared_->engine == nullptr) return;
    if (snapshot_ == nullptr) {
      own_ = shared_->engine->snapshot();
      snapshot_ = own_.get();
    }
    seek_to_first();
  }

  bool valid() const override { return shared_->engine != nullptr && live_ && live_->valid(); }
  void seek_to_first() override {
    if (refresh()) live_->seek_to_first();
  }
  void seek_to_last() override {
    if (refresh()) live_->seek_to_last();
  }
  void seek(std::string_view key) override {
    if (refresh()) live_->seek(key);
  }
  void seek_before(std::string_view key) override {
    if (refresh()) live_->seek_before(key);
  }
  void next() override {
    VARVE_CHECK(valid());
    if (shared_->generation == opened_at_) return live_->next();
    std::string at(live_->key());
    refresh();
    live_->seek(at);
    if (live_->valid() && live_->key() == at) live_->next();
  }
  void prev() override {
    VARVE_CHECK(valid());
    if (shared_->generation == opened_at_) return live_->prev();
    std::string at(live_->key());
    refresh();
    live_->seek_before(at);
  }
  std::string_view key() const override { return live_->key(); }
  std::string_view value() const override { return live_->value(); }
  Status status() const override {
    return shared_->engine == nullptr ? Status::aborted("the database is closed") : context_.error;
  }

 private:
  // A usable engine iterator; false when the database is closed.
  bool refresh() {
    if (shared_->engine == nullptr) return false;
    if (live_ && shared_->generation == opened_at_) return true;
    context_.begin_command();
    live_ = shared_->engine->new_iterator(context_, begin_, end_, snapshot_);
    opened_at_ = shared_->generation;
    return true;
  }

  std::shared_ptr<Shared> shared_;
  uint64_t opened_at_ = 0;
  std::string begin_, end_;
  std::unique_ptr<Snapshot> own_;
  const Snapshot* snapshot_;
  ReadContext context_;
  std::unique_ptr<LiveIterator> live_;
};

class DatabaseImpl final : public Database {
 public:
  explicit DatabaseImpl(const DatabaseOptions& options) : executor_(pool_options(options)) {}
  ~DatabaseImpl() override {
    if (engine_) (void)close().ok();
  }

  Status start(const std::string& dir, const DatabaseOptions& options) {
    EngineOptions o;
    o.fs = &posix_file_system();
    o.executor = &executor_;
    o.clock = &system_clock();
    o.random_seed = random_seed_from_os();
    o.dir = dir;
    o.create_if_missing = options.create_if_missing;
    o.accept_loss = options.accept_loss;
    o.memtable_size = options.memtable_size;
    o.keep_flushed_memtable = true;
    o.block_cache_size = options.block_cache_size;
    o.table_cache_files = options.table_cache_files;
    o.block_size = options.block_size;
    o.table_size = options.table_size;
    o.base_level_size = options.base_level_size;
    o.log_segment_size = options.log_segment_size;
    o.log_max_bytes = options.log_max_bytes;
    o.filter_bits_per_key = options.filter_bits_per_key;
    if (!options.compress) o.compression = Compression::kNone;
    if (!options.compress || !options.compress_last_level_more) o.bottom_compression = o.compression;
    auto engine = Engine::open_blocking(o);
    if (!engine) return engine.status();
    engine_ = engine.take();
    shared_->engine = engine_.get();
    return Status();
  }

  Status put(std::string_view key, std::string_view value, Durability durability) override {
    batch_.clear();
    batch_.put(key, value);
    return write_checked(batch_, durability, false);
  }
  Status remove(std::string_view key, Durability durability) override {
    batch_.clear();
    batch_.remove(key);
    return write_checked(batch_, durability, true);
  }
  Status remove_range(std::string_view begin, std::string_view end, Durability durability) override {
    batch_.clear();
    batch_.remove_range(begin, end);
    return write_checked(batch_, durability, true);
  }
  Status write(const WriteBatch& batch, Durability durability) override {
    return write_checked(batch, durability, false);
  }

  Result<Ticket> submit(const WriteBatch& batch) override {
    VARVE_TRY(commit(batch, false));
    return engine_->last_sequence();
  }
  Result<bool> poll(Ticket ticket) override {
    VARVE_TRY(check_open());
    engine_->end_of_turn();
    turn();
    if (engine_->durable_sequence() >= ticket) return true;
    if (engine_->fenced()) return engine_->admit(0).reason;
    return false;
  }
  Status wait(Ticket ticket) override {
    VARVE_TRY(check_open());
    while (engine_->durable_sequence() < ticket) {
      engine_->end_of_turn();
      if (engine_->fenced()) return engine_->admit(0).reason;
      executor_.wait_completions();
      ++shared_->generation;
    }
    return Status();
  }

  Result<std::optional<std::string>> get(std::string_view key, const DatabaseSnapshot* snapshot) override {
    VARVE_TRY(check_open());
    engine_->release_values();
    ReadContext context;
    context.blocking = true;
    ReadValue value;
    switch (engine_->get(context, key, &value, engine_snapshot(snapshot))) {
      case ReadState::kFound:
        return std::optional<std::string>(value.value);
      case ReadState::kAbsent:
        return std::optional<std::string>();
      case ReadState::kFault:
        break;
    }
    return context.error;
  }

  Result<std::vector<std::optional<std::string>>> multi_get(const std::vector<std::string_view>& keys,
                                                            const DatabaseSnapshot* snapshot) override {
    VARVE_TRY(check_open());
    std::vector<std::optional<std::string>> out;
    ReadContext context;
    while (true) {
      engine_->release_values();
      context.begin_run();
      out.assign(keys.size(), std::nullopt);
      for (size_t i = 0; i < keys.size(); ++i) {
        ReadValue value;
        if (engine_->get(context, keys[i], &value, engine_snapshot(snapshot)) == ReadState::kFound)
          out[i] = value.value;
      }
      if (!context.error.ok()) return context.error;
      if (context.misses.empty()) return out;
      bool fetched = false;
      engine_->fetch(context, [&fetched] { fetched = true; });
      while (!fetched) executor_.wait_completions();
      ++shared_->generation;
    }
  }

  std::unique_ptr<Iterator> scan(Range range, const DatabaseSnapshot* snapshot) override {
    return std::make_unique<ScanIterator>(shared_, range, engine_snapshot(snapshot));
  }
  std::unique_ptr<DatabaseSnapshot> snapshot() override {
    return std::make_unique<SnapshotHolder>(engine_ ? engine_->snapshot() : nullptr);
  }

  Status flush() override {
    return run_to_end([this](auto done) { engine_->flush(std::move(done)); });
  }
  Status compact_range(Range range) override {
    return run_to_end(
        [this, range](auto done) { engine_->compact_range(range.begin, range.end, std::move(done)); });
  }
  Status settle() override {
    VARVE_TRY(flush());
    while (true) {
      // What is wanted and not under way begins here, or fails and waits to be tried again.
      engine_->tick();
      ++shared_->generation;
      if (executor_.pending() == 0) return engine_->stats().background_error;
      executor_.wait_completions();
    }
  }
  Status checkpoint(const std::string& dir) override {
    return run_to_end([this, &dir](auto done) { engine_->checkpoint(dir, std::move(done)); });
  }
  Status close() override {
    Status status = run_to_end([this](auto done) { engine_->close(std::move(done)); });
    shared_->engine = nullptr;
    engine_.reset();
    return status;
  }

  std::string stats_text() const override {
    if (engine_ == nullptr) return "closed\n";
    EngineStats s = engine_->stats();
    std::string out = engine_->debug_string();
    out += fmt::format(
        "tables {} ({} bytes), memtables {} bytes, cache {} of {} bytes ({} hits, {} misses)\n"
        "written: user {}, log {}, flush {}, compaction {} bytes; {} flushes, {} compactions, {} moves\n"
        "amplification: write {:.2f}, read {:.2f}, space {:.2f}; log: {} syncs, {} batches\n",
        s.tables, s.table_bytes, s.memtable_bytes, s.cache_bytes, s.cache_capacity, s.cache_hits,
        s.cache_misses, s.user_bytes_written, s.log_bytes_written, s.flush_bytes_written,
        s.compaction_bytes_written, s.flushes, s.compactions, s.trivial_moves, s.write_amplification,
        s.read_amplification, s.space_amplification, s.log_syncs, s.log_batches);
    return out;
  }
  uint64_t bytes_written() const override {
    if (engine_ == nullptr) return 0;
    EngineStats s = engine_->stats();
    return s.log_bytes_written + s.flush_bytes_written + s.compaction_bytes_written;
  }
  uint64_t blocks_read() const override {
    if (engine_ == nullptr) return 0;
    EngineStats s = engine_->stats();
    return s.block_reads + s.nowait_reads;
  }

 private:
  static WorkerPoolOptions pool_options(const DatabaseOptions& options) {
    WorkerPoolOptions o;
    o.threads[static_cast<size_t>(Lane::kRead)] = std::max(1, options.read_threads);
    return o;
  }

  Status check_open() const { return engine_ ? Status() : Status::aborted("the database is closed"); }

  // Collects completions; a scan in progress must then look again.
  void turn() {
    if (executor_.run_completions() > 0) ++shared_->generation;
    int64_t now = system_clock().monotonic_us();
    if (now - last_tick_us_ < 20'000) return;
    last_tick_us_ = now;
    engine_->tick();
    ++shared_->generation;
  }

  Status write_checked(const WriteBatch& batch, Durability durability, bool frees_space) {
    VARVE_TRY(commit(batch, frees_space));
    if (durability == Durability::kSynced) return wait(engine_->last_sequence());
    // The log is written when nothing is in flight, so that a run of buffered writes forms large groups.
    engine_->end_of_turn();
    return Status();
  }

  // Waits for admission, then commits.
  Status commit(const WriteBatch& batch, bool frees_space) {
    VARVE_TRY(check_open());
    VARVE_TRY(check_batch(batch));
    if (++calls_ % 64 == 0) turn();
    while (true) {
      Admission admission = engine_->admit(batch.byte_size(), frees_space);
      if (admission.verdict == Admission::Verdict::kRefuse) return admission.reason;
      if (admission.verdict == Admission::Verdict::kGo) break;
      engine_->end_of_turn();
      wait_for_room(admission.wait_us);
    }
    engine_->commit(batch);
    ++shared_->generation;
    return Status();
  }

  // Whatever is under way may give room; with nothing under way only time can.
  void wait_for_room(int64_t us) {
    int64_t until = system_clock().monotonic_us() + us;
    do {
      if (executor_.pending() == 0) sleep_us(1000);
      last_tick_us_ = 0;
      turn();
      if (executor_.pending() > 0 && us >= 10'000) {
        executor_.wait_completions();
        ++shared_->generation;
        return;
      }
    } while (system_clock().monotonic_us() < until);
  }

  static Status check_batch(const WriteBatch& batch) {
    if (batch.count() == 0 && !batch.empty()) {
      return Status::invalid_argument("a batch needs an operation besides its counters");
    }
    if (!batch.valid()) {
      return Status::invalid_argument("a key is longer than {} or a value than {} bytes", kMaxEngineKeySize,
                                      kMaxEngineValueSize);
    }
    return Status();
  }

  template <class Start>
  Status run_to_end(Start start) {
    VARVE_TRY(check_open());
    std::optional<Status> result;
    start([&result](const Status& status) { result = status; });
    while (!result) {
      engine_->end_of_turn();
      last_tick_us_ = 0;
      turn();
      if (result) break;
      if (executor_.pending() > 0) {
        executor_.wait_completions();
      } else {
        sleep_us(10'000);  // only time helps: a retry, an idle watermark
      }
    }
    ++shared_->generation;
    return *result;
  }

  ThreadExecutor executor_;
  std::unique_ptr<Engine> engine_;
  WriteBatch batch_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  uint64_t calls_ = 0;
  int64_t last_tick_us_ = 0;
};

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const std::string& dir, const DatabaseOptions& options) {
  auto database = std::make_unique<DatabaseImpl>(options);
  VARVE_TRY(database->start(dir, options));
  return std::unique_ptr<Database>(std::move(database));
}

}  // namespace varve
