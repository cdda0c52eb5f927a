// engine_maintenance.cc: flush on demand, manual compaction, checkpoint, close, statistics.
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "lsm/engine_impl.h"

namespace varve {
namespace {

struct CheckpointInput {
  ManifestState state;
  std::vector<TableRef> tables;  // keeps the files from being removed meanwhile
  Identity directory, manifest;
  std::string source, target, application;
  FileSystem* fs = nullptr;
};

// A half-made checkpoint would keep the space of tables that are gone elsewhere.
void remove_checkpoint(FileSystem& fs, const std::string& dir) {
  auto names = fs.list(dir);
  if (!names) return;
  for (const std::string& name : *names) {
    if (Status removed = fs.remove(join_path(dir, name)); !removed.ok())
      log_verbose("checkpoint: {}", removed.to_string());
  }
  if (Status removed = fs.remove_dir(dir); !removed.ok()) log_verbose("checkpoint: {}", removed.to_string());
}

// Built beside its final name and renamed when it is whole.
Status make_checkpoint(const CheckpointInput& input) {
  FileSystem& fs = *input.fs;
  if (fs.exists(input.target)) return Status::invalid_argument("{}: already there", input.target);
  std::string building = input.target + ".tmp";
  remove_checkpoint(fs, building);
  VARVE_TRY(fs.create_dir(building));
  for (const TableRef& table : input.tables) {
    std::string name = table_file_name(table->meta.number);
    VARVE_TRY(fs.link(join_path(input.source, name), join_path(building, name)));
  }
  auto writer = ManifestWriter::create(fs, building, input.state.next_file_number, input.directory,
                                       input.manifest, input.application, 1, input.state);
  if (!writer) return writer.status();
  VARVE_TRY(fs.sync_dir(building));
  VARVE_TRY(fs.rename(building, input.target));
  size_t slash = input.target.find_last_of('/');
  return fs.sync_dir(slash == std::string::npos ? "." : input.target.substr(0, slash));
}

}  // namespace

void Engine::Impl::flush(std::function<void(Status)> done) {
  if (log_.fenced()) return done(log_.fence());
  if (closing_) return done(Status::aborted("the database is closing"));
  Sequence target = log_.last();
  if (!active_->empty()) freeze();
  if (frozen_.empty() || flushed_ >= target) return done(Status());
  flush_waiters_.push_back({target, std::move(done)});
  log_.pump();
  maybe_flush();
}

void Engine::Impl::compact_range(std::string_view begin, std::string_view end,
                                 std::function<void(Status)> done) {
  Manual manual;
  manual.range = KeyRange{std::string(begin), std::string(end), false};
  manual.done = std::move(done);
  auto shared = std::make_shared<Manual>(std::move(manual));
  flush([this, shared](const Status& status) {
    if (!status.ok()) return shared->done(status);
    shared->rewritten_from = next_file_;
    manual_.push_back(std::move(*shared));
    recheck_now();
    maybe_compact();
  });
}

// One step of the oldest manual compaction; no other compaction runs meanwhile. First it is seen whether
// tables in quarantine are whole again, so that they take part.
void Engine::Impl::continue_manual() {
  // A table is on its way into quarantine: whether it may be an input is decided by then.
  if (!busy_.empty()) return;
  if (recheck_pending()) return maybe_recheck();
  Manual& manual = manual_.front();
  KeyRange range = manual.range;
  if (range.end.empty()) {
    // No upper bound: up to the largest key there is.
    range.end_inclusive = true;
    for (const auto& [number, table] : tables_) range.end = std::max(range.end, table->meta.largest);
  }
  while (manual.level < kLevelCount) {
    auto pick =
        pick_manual(*version_, range, manual.level, manual.rewritten_from, rests_, compaction_options());
    if (pick) return start_compaction(std::move(*pick));
    ++manual.level;
  }
  Status result;
  for (uint64_t number : version_->quarantined) {
    if (!result.ok() || !bounds(tables_.at(number)->meta).overlaps(range)) continue;
    result = Status::corruption("{}: is in quarantine and was left out, because it could not be read",
                                table_file_name(number));
  }
  auto done = std::move(manual.done);
  manual_.pop_front();
  done(result);
  maybe_compact();
}

void Engine::Impl::checkpoint(const std::string& dir, std::function<void(Status)> done) {
  flush([this, dir, done = std::move(done)](const Status& status) {
    if (!status.ok()) return done(status);
    auto input = std::make_shared<CheckpointInput>();
    input->state = manifest_.state();
    input->state.log.clear();
    for (const auto& [number, table] : tables_) input->tables.push_back(table);
    input->directory = random_.identity();
    input->manifest = random_.identity();
    input->source = options_.dir;
    input->target = dir;
    input->application = options_.application;
    input->fs = options_.fs;
    submit(
        Lane::kUtility,
        [input]() -> Status {
          Status made = make_checkpoint(*input);
          if (!made.ok()) remove_checkpoint(*input->fs, input->target + ".tmp");
          return made;
        },
        [input, done](const Status& result) { done(result); });
  });
}

// --- close ---

void Engine::Impl::close(std::function<void(Status)> done) {
  VARVE_CHECK(!closing_);
  close_done_ = std::move(done);
  cancel_->store(true);
  closing_ = true;
  Status reason = Status::aborted("the database is closing");
  fail_flush_waiters(reason);
  fail_manual(reason);
  run_held_installs();
  maybe_finish_close();
}

void Engine::Impl::maybe_finish_close() {
  if (!close_done_ || log_finished_ || jobs_ > 0) return;
  // A manifest that stands still (a full disk) is not waited for: its edits are made again at the next start.
  if (manifest_.running() || (!manifest_.idle() && manifest_.error().ok())) return;
  log_finished_ = true;
  log_.finish([this](const Status& status) {
    auto report = [this, status] {
      auto done = std::move(close_done_);
      done(status);
    };
    if (!status.ok()) return report();
    manifest_.finish(log_.last(), report);
  });
}

// --- statistics ---

EngineStats Engine::Impl::stats() const {
  EngineStats s = counts_;
  LevelTargets targets = level_targets(*version_, compaction_options());
  uint64_t live_estimate = 0;
  for (int level = 0; level < kLevelCount; ++level) {
    LevelStats l;
    l.level = level;
    l.runs = version_->levels[level].size();
    l.tables = version_->level_tables(level);
    l.bytes = version_->level_bytes(level);
    l.score = level_score(*version_, targets, level, compaction_options());
    s.tables += l.tables;
    s.table_bytes += l.bytes;
    live_estimate = std::max(live_estimate, l.bytes);
    s.levels.push_back(l);
  }
  for (const auto& [number, table] : tables_) {
    s.records_in_tables += table->meta.records;
    s.blind_records += table->meta.blind;
    s.range_deletes += table->meta.range_deletes;
  }
  s.quarantined_tables = version_->quarantined.size();
  for (const auto& [number, recheck] : rechecks_) {
    if (!version_->is_quarantined(number)) continue;
    int64_t in_s = std::max<int64_t>(0, recheck.at_us - options_.clock->monotonic_us()) / 1'000'000;
    if (s.quarantine_next_check_s < 0 || in_s < s.quarantine_next_check_s) s.quarantine_next_check_s = in_s;
  }
  s.memtable_bytes = active_->memory_used();
  s.memtable_entries = active_->entry_count();
  s.blind_records += active_->blind_adds();
  for (const auto& memtable : frozen_) {
    s.memtable_bytes += memtable->memory_used();
    s.memtable_entries += memtable->entry_count();
    s.blind_records += memtable->blind_adds();
  }
  s.frozen_memtables = frozen_.size();
  if (flushed_memtable_) s.memtable_bytes += flushed_memtable_->memory_used();
  s.cache_bytes = cache_.memory_used();
  s.cache_capacity = cache_.capacity();
  s.open_tables = open_tables_.open_count();
  s.open_tables_max = open_tables_.files_max();
  s.open_tables_bytes = open_tables_.memory_used();
  s.cache_hits = cache_.hits() - counts_.cache_hits;
  s.cache_misses = cache_.misses() - counts_.cache_misses;
  s.rows = rows_.row_count();
  s.row_bytes = rows_.memory_used();
  s.row_hits = rows_.hits() - counts_.row_hits;
  s.row_misses = rows_.misses() - counts_.row_misses;
  const LogPipeline::Stats& log = log_.stats();
  s.log_bytes_written = log.bytes;
  s.log_syncs = log.syncs;
  s.log_groups = log.groups;
  s.log_batches = log.batches;
  s.log_sync_us_total = log.sync_us_total;
  s.log_sync_us_max = log.sync_us_max;
  s.log_sync_us_last = log.sync_us_last;
  s.log_buffer_bytes = log_.memory_used();
  s.log_segments = log_.segments().size();
  s.log_segments_free = free_segments_.size() + log_.ready_segments();
  s.last_sequence = log_.last();
  s.durable_sequence = log_.durable();
  s.flushed_sequence = flushed_;
  s.snapshots = snapshots_->size();
  s.pending_compaction_bytes = compaction_debt(*version_, compaction_options());
  s.flush_running = flush_running_;
  s.compactions_running = compactions_running_;
  s.fenced = log_.fenced();
  s.background_error = background_error();
  uint64_t written = s.log_bytes_written + s.flush_bytes_written + s.compaction_bytes_written;
  if (s.user_bytes_written > 0) {
    s.write_amplification = static_cast<double>(written) / static_cast<double>(s.user_bytes_written);
  }
  if (s.gets > 0)
    s.read_amplification = static_cast<double>(s.get_tables_touched) / static_cast<double>(s.gets);
  // Live bytes are not known without a scan; the largest level holds nearly all of them.
  if (live_estimate > 0)
    s.space_amplification = static_cast<double>(s.table_bytes) / static_cast<double>(live_estimate);
  s.recovery_us = recovery_us_;
  s.recovered_batches = recovered_batches_;
  return s;
}

}  // namespace varve
