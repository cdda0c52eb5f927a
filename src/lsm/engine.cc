#include "lsm/engine.h"

#include "base/check.h"
#include "base/log.h"
#include "lsm/engine_impl.h"
#include "lsm/table_ahead.h"

namespace varve {

static_assert(Engine::kPrefetched <= MemTable::kPrefetched && Engine::kPrefetched <= RowCache::kPrefetched &&
              Engine::kPrefetched <= kTablesAhead);

Engine::Impl::Impl(const EngineOptions& options, Recovered recovered)
    : options_(options),
      random_(options.random_seed ^ 0x656e67696e65),
      lock_(std::move(recovered.lock)),
      next_file_(recovered.state.next_file_number - kFileNumberHeadroom),
      file_limit_(recovered.state.next_file_number),
      active_(std::make_shared<MemTable>()),
      version_(make_version(recovered.state, recovered.tables)),
      tables_(std::move(recovered.tables)),
      cache_(options.block_cache_size),
      rows_(options.block_cache_size / kRowsShare),
      open_tables_(options.table_cache_files),
      manifest_(
          options_, &recovered, [this] { return next_file_++; },
          [this] {
            if (closing_) maybe_finish_close();
          }),
      log_(options.executor, options.clock, options.log_segment_size, options.sync,
           LogPipeline::Callbacks{[this](Sequence durable) {
                                    if (on_durable_) on_durable_(durable);
                                    if (!frozen_.empty()) maybe_flush();
                                    if (waiting_for_log_) {
                                      waiting_for_log_ = false;
                                      admission_changed();
                                    }
                                  },
                                  [this](const Status& status) {
                                    log_warning("{}", status.message());
                                    if (on_fenced_) on_fenced_(status);
                                    fail_flush_waiters(status);
                                    fail_manual(status);
                                  },
                                  [this] { return manifest_.durable_edit(); }}),
      free_segments_(std::move(recovered.free_segments)),
      counters_(manifest_.state().counters),
      flushed_(recovered.last_sequence),
      walk_end_(next_file_) {
  log_.start_at(recovered.last_sequence);
  recovered_batches_ = recovered.batches;
}

Engine::Impl::~Impl() {
  cancel_->store(true);
  closing_ = true;
  on_durable_ = nullptr;
  on_admission_change_ = nullptr;
  on_fenced_ = nullptr;
  // Jobs come back to this object; a simulated kill has dropped them instead.
  while ((jobs_ > 0 || log_.in_flight() || manifest_.running()) && options_.executor->pending() > 0) {
    options_.executor->wait_completions();
  }
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

namespace {

Status check_options(const EngineOptions& o) {
  if (o.fs == nullptr || o.executor == nullptr || o.clock == nullptr) {
    return Status::invalid_argument("engine: file system, executor and clock are needed");
  }
  if (o.dir.empty()) return Status::invalid_argument("engine: no data directory given");
  if (o.log_segment_size < 16 * kLogBlockSize || o.log_segment_size % kLogBlockSize != 0) {
    return Status::invalid_argument("log segment size {}: must be a multiple of {} and at least {}",
                                    o.log_segment_size, kLogBlockSize, 16 * kLogBlockSize);
  }
  if (o.log_max_bytes < 4 * o.log_segment_size) {
    return Status::invalid_argument("log size {}: must hold at least four segments of {}", o.log_max_bytes,
                                    o.log_segment_size);
  }
  if (o.table_cache_files == 0) return Status::invalid_argument("engine: at least one table must be open");
  if (o.memtable_size == 0 || o.table_size == 0 || o.max_frozen_memtables < 1 || o.level_multiplier < 2 ||
      o.level0_trigger < 1 || o.level0_slow < o.level0_trigger || o.level0_stop <= o.level0_slow) {
    return Status::invalid_argument("engine: sizes must be positive and level-0 trigger <= slow < stop");
  }
  return Status();
}

}  // namespace

void Engine::open(const EngineOptions& options, std::function<void(Result<std::unique_ptr<Engine>>)> done) {
  if (Status status = check_options(options); !status.ok()) return done(status);
  int64_t started = options.clock->monotonic_us();
  options.executor->submit(
      Lane::kUtility, [options] { return recover(options); },
      [options, started, done = std::move(done)](Result<Recovered> recovered) {
        if (!recovered) return done(recovered.status());
        if (recovered->torn_tail) {
          log_notice("log: an unacknowledged tail was cut at {}", recovered->torn_place);
        }
        std::vector<LogSegment> segments = recovered->state.log;
        std::vector<std::shared_ptr<WriteFile>> files = std::move(recovered->segment_files);
        std::vector<std::string> orphans = std::move(recovered->orphans);
        auto impl = std::make_unique<Impl>(options, recovered.take());
        impl->recovery_us_ = static_cast<uint64_t>(options.clock->monotonic_us() - started);
        for (size_t i = 0; i < segments.size(); ++i) impl->log_.add_segment(segments[i], files[i]);
        // Garbage the last run found but could not delete any more.
        const auto& garbage = impl->manifest_.state().garbage;
        impl->pending_garbage_.assign(garbage.begin(), garbage.end());
        impl->debt_ = compaction_debt(*impl->version_, impl->compaction_options());
        impl->maybe_compact();
        impl->maybe_prepare_segment();
        impl->remove_orphans(std::move(orphans));
        done(std::unique_ptr<Engine>(new Engine(std::move(impl))));
      });
}

Result<std::unique_ptr<Engine>> Engine::open_blocking(const EngineOptions& options) {
  std::optional<Result<std::unique_ptr<Engine>>> opened;
  open(options, [&opened](Result<std::unique_ptr<Engine>> engine) { opened.emplace(std::move(engine)); });
  while (!opened) options.executor->wait_completions();
  return std::move(*opened);
}

Admission Engine::admit(size_t bytes, bool frees_space) {
  return impl_->admit(bytes, frees_space);
}
Sequence Engine::commit(const WriteBatch& batch) {
  return impl_->commit(batch);
}
bool Engine::amend(std::string_view key, size_t offset, std::string_view bytes, size_t batch_bytes) {
  return impl_->amend(key, offset, bytes, batch_bytes);
}
Sequence Engine::next_sequence() const {
  return impl_->log_.last() + 1;
}
void Engine::end_of_turn() {
  impl_->end_of_turn();
}
void Engine::tick() {
  impl_->tick();
}
int64_t Engine::last_log_sync_us() const {
  return static_cast<int64_t>(impl_->log_.stats().sync_us_last);
}
void Engine::set_on_durable(std::function<void(Sequence)> callback) {
  impl_->on_durable_ = std::move(callback);
}
void Engine::set_on_admission_change(std::function<void()> callback) {
  impl_->on_admission_change_ = std::move(callback);
}
void Engine::set_on_fenced(std::function<void(const Status&)> callback) {
  impl_->on_fenced_ = std::move(callback);
}
Sequence Engine::last_sequence() const {
  return impl_->log_.last();
}
Sequence Engine::durable_sequence() const {
  return impl_->log_.durable();
}
bool Engine::fenced() const {
  return impl_->log_.fenced();
}
void Engine::sync(std::function<void(Status)> done) {
  impl_->log_.sync(std::move(done));
}

ReadState Engine::get(ReadContext& context, std::string_view key, ReadValue* out, const Snapshot* snapshot) {
  return impl_->get(context, key, out, snapshot);
}
void Engine::release_values() {
  impl_->rows_.release_retired();
}
bool Engine::worth_prefetching() const {
  // The cache's room counts the rows as well.
  return impl_->active_->memory_used() + impl_->cache_.memory_used() > kPrefetchFrom;
}
bool Engine::peek(std::string_view key, std::string_view* value) const {
  MemTable::Hit hit;
  if (!impl_->active_->find(key, kMaxSequence, &hit) || hit.tag.kind() != Kind::kPut) return false;
  *value = hit.value;
  return true;
}
void Engine::prefetch(const std::string_view* keys, const uint64_t* key_hashes, size_t count) const {
  impl_->prefetch(keys, key_hashes, count);
}
ReadState Engine::get_in_memory(std::string_view key, ReadValue* out) {
  return impl_->get_in_memory(key, out);
}
std::unique_ptr<LiveIterator> Engine::new_iterator(ReadContext& context, std::string_view begin,
                                                   std::string_view end, const Snapshot* snapshot) {
  return impl_->new_iterator(context, begin, end, snapshot);
}
void Engine::fetch(ReadContext& context, std::function<void()> done) {
  impl_->fetch(context, std::move(done));
}

std::unique_ptr<Snapshot> Engine::snapshot() {
  impl_->snapshots_->insert(last_sequence());
  return std::unique_ptr<Snapshot>(new Snapshot(impl_->snapshots_, last_sequence()));
}
Snapshot::~Snapshot() {
  live_->erase(live_->find(sequence_));
}

int64_t Engine::counter(uint32_t id) const {
  auto it = impl_->counters_.find(id);
  return it == impl_->counters_.end() ? 0 : it->second;
}
const std::map<uint32_t, int64_t>& Engine::counters() const {
  return impl_->counters_;
}

void Engine::flush(std::function<void(Status)> done) {
  impl_->flush(std::move(done));
}
void Engine::compact_range(std::string_view begin, std::string_view end, std::function<void(Status)> done) {
  impl_->compact_range(begin, end, std::move(done));
}
void Engine::checkpoint(const std::string& dir, std::function<void(Status)> done) {
  impl_->checkpoint(dir, std::move(done));
}
void Engine::close(std::function<void(Status)> done) {
  impl_->close(std::move(done));
}
void Engine::set_sync_mode(SyncMode mode) {
  impl_->options_.sync = mode;
  impl_->log_.set_mode(mode);
}
void Engine::set_block_cache_size(size_t bytes) {
  impl_->options_.block_cache_size = bytes;
  impl_->cache_.set_capacity(bytes);
  impl_->rows_.set_capacity(bytes / kRowsShare);
}
void Engine::set_memtable_size(size_t bytes) {
  impl_->options_.memtable_size = bytes;
}
void Engine::set_table_cache_files(size_t files) {
  impl_->set_table_cache_files(files);
}
EngineStats Engine::stats() const {
  return impl_->stats();
}

void Engine::reset_stats() {
  EngineStats fresh;
  fresh.cache_hits = impl_->cache_.hits();
  fresh.cache_misses = impl_->cache_.misses();
  fresh.row_hits = impl_->rows_.hits();
  fresh.row_misses = impl_->rows_.misses();
  impl_->counts_ = fresh;
  impl_->log_.reset_stats();
}

std::string Engine::debug_string() const {
  return impl_->version_->debug_string();
}
const EngineOptions& Engine::options() const {
  return impl_->options_;
}

}  // namespace varve
