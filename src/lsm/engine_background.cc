// engine_background.cc: flush, compaction, installing their results, log segments, files that nobody needs
// any more.
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "lsm/engine_impl.h"

namespace varve {
namespace {

constexpr int64_t kRetryUs = 1'000'000;
// Deletions are paced: many at once make some devices stall.
constexpr size_t kRemovalsPerTick = 8;

double average(double old, uint64_t bytes, int64_t us) {
  double rate = static_cast<double>(bytes) * 1e6 / static_cast<double>(std::max<int64_t>(us, 1));
  return old <= 0 ? rate : old * 0.7 + rate * 0.3;
}

std::vector<KeyRange> table_bounds(const Run& run) {
  std::vector<KeyRange> out;
  out.reserve(run.tables.size());
  for (const TableRef& table : run.tables) out.push_back(bounds(table->meta));
  return out;
}

}  // namespace

// --- file numbers ---

// Makes sure that n numbers can be taken; otherwise starts a reservation, and the caller tries again later.
bool Engine::Impl::reserve_file_numbers(uint64_t n) {
  if (next_file_ + n <= file_limit_) return true;
  if (!reserving_) {
    reserving_ = true;
    submit_edit(VersionEdit(), {}, [this] { reserving_ = false; });
  }
  return false;
}

// --- edits ---

// Makes the edit durable, then installs it, then runs `after`. Every edit also reserves file numbers ahead.
void Engine::Impl::submit_edit(VersionEdit edit, std::map<uint64_t, TableRef> added,
                               std::function<void()> after) {
  edit.next_file_number = std::max(file_limit_, next_file_ + kFileNumberHeadroom);
  edit.durable_sequence = log_.durable();
  auto shared = std::make_shared<const VersionEdit>(edit);
  manifest_.submit(std::move(edit), [this, shared, added = std::move(added), after = std::move(after)] {
    file_limit_ = std::max(file_limit_, *shared->next_file_number);
    for (const auto& [number, table] : added) tables_[number] = table;
    held_installs_.push_back([this, shared, added, after] {
      install(*shared, added);
      if (after) after();
    });
    run_held_installs();
    if (closing_) maybe_finish_close();
  });
}

// A command that was restarted often holds installs back until it is done.
void Engine::Impl::run_held_installs() {
  while (!held_installs_.empty() && (install_holds_ == 0 || closing_)) {
    std::function<void()> run = std::move(held_installs_.front());
    held_installs_.pop_front();
    run();
  }
}

void Engine::Impl::install(const VersionEdit& edit, const std::map<uint64_t, TableRef>& added) {
  if (edit.added.empty() && edit.removed.empty() && edit.quarantined.empty()) return;
  version_ = apply_edit(*version_, edit, added);
  for (const VersionEdit::RemovedTable& removed : edit.removed) {
    bool moved = std::any_of(edit.added.begin(), edit.added.end(), [&](const VersionEdit::AddedTable& a) {
      return a.meta.number == removed.number;
    });
    if (moved) continue;
    auto it = tables_.find(removed.number);
    if (it == tables_.end()) continue;
    obsolete_.push_back(std::move(it->second));
    tables_.erase(it);
  }
}

void Engine::Impl::admission_changed() {
  if (on_admission_change_) on_admission_change_();
}

void Engine::Impl::background_failed(Work work, const Status& status) {
  if (status.code() == StatusCode::kAborted) return;
  static const char* const names[] = {"flush", "compaction", "log segment"};
  Status& current = background_errors_[static_cast<int>(work)];
  ++counts_.background_errors;
  if (current.to_string() != status.to_string()) {
    log_warning("{}: {}; it will be tried again", names[static_cast<int>(work)], status.to_string());
  }
  current = status;
  admission_changed();
}

void Engine::Impl::background_ok(Work work) {
  Status& current = background_errors_[static_cast<int>(work)];
  if (current.ok()) return;
  log_notice("goes on again after: {}", current.to_string());
  current = Status();
  admission_changed();
}

Status Engine::Impl::background_error() const {
  for (const Status& status : background_errors_) {
    if (!status.ok()) return status;
  }
  return manifest_.error();
}

// --- flush ---

void Engine::Impl::maybe_flush() {
  if (flush_running_ || frozen_.empty() || closing_ || log_.fenced()) return;
  if (options_.clock->monotonic_us() < flush_retry_us_ || !reserve_file_numbers(kJobFileNumbers)) return;
  // Only what the log has made durable may reach tables: a table must not know more than the log
  // acknowledged.
  std::vector<std::shared_ptr<const MemTable>> memtables;
  for (const auto& memtable : frozen_) {
    if (memtable->last_sequence() > log_.durable()) break;
    memtables.insert(memtables.begin(), memtable);
  }
  if (memtables.empty()) {
    if (options_.sync != SyncMode::kAlways) log_.sync([](const Status&) {});
    return;
  }
  auto input = std::make_shared<MergeInput>();
  input->fs = options_.fs;
  input->dir = options_.dir;
  input->memtables = memtables;
  for (const std::vector<RunRef>& runs : version_->levels) {
    for (const RunRef& run : runs) input->deeper.push_back(table_bounds(*run));
  }
  input->snapshots.assign(snapshots_.begin(), snapshots_.end());
  input->first_file_number = next_file_;
  input->file_number_count = kJobFileNumbers;
  next_file_ += kJobFileNumbers;
  input->random_seed = random_.next();
  input->target_file_size = options_.table_size;
  input->table = table_options(options_, 0, false);
  input->cancel = cancel_;
  flush_running_ = true;
  int64_t started = options_.clock->monotonic_us();
  submit(
      Lane::kFlush, [input] { return run_merge(*input); },
      [this, memtables = std::move(memtables), started](MergeOutput output) mutable {
        finish_flush(std::move(output), std::move(memtables), started);
      });
}

void Engine::Impl::finish_flush(MergeOutput output, std::vector<std::shared_ptr<const MemTable>> memtables,
                                int64_t started_us) {
  int64_t now = options_.clock->monotonic_us();
  if (!output.status.ok()) {
    flush_running_ = false;
    flush_retry_us_ = now + kRetryUs;
    return background_failed(Work::kFlush, output.status);
  }
  Sequence flushed = memtables.front()->last_sequence();  // newest first
  VersionEdit edit;
  std::map<uint64_t, TableRef> added;
  for (const TableRef& table : output.outputs) {
    edit.added.push_back({{0, flushed}, table->meta});
    added[table->meta.number] = table;
  }
  edit.flushed_sequence = flushed;
  uint64_t memory = 0;
  for (const auto& memtable : memtables) {
    memory += memtable->memory_used();
    for (const auto& [id, delta] : memtable->counters()) edit.counter_deltas[id] += delta;
  }
  for (const auto& [id, delta] : output.count_corrections) edit.counter_deltas[id] += delta;
  edit.garbage_added = output.garbage;
  std::erase_if(garbage_in_memory_, [&](auto& entry) {
    if (entry.first > flushed) return false;
    edit.garbage_removed.push_back(std::move(entry.second));
    return true;
  });
  std::vector<LogSegment> retired = log_.retire(flushed);
  for (const LogSegment& segment : retired) edit.log_removed.push_back(segment.number);
  flush_rate_ = average(flush_rate_, memory, now - started_us);
  counts_.flush_bytes_written += output.bytes_written;
  ++counts_.flushes;
  auto flushed_tables = std::make_shared<std::vector<std::shared_ptr<const MemTable>>>(std::move(memtables));
  auto shared = std::make_shared<MergeOutput>(std::move(output));
  submit_edit(std::move(edit), std::move(added), [this, shared, flushed_tables, flushed, retired] {
    flush_running_ = false;
    for (const auto& [id, delta] : shared->count_corrections) counters_[id] += delta;
    frozen_.erase(frozen_.begin(), frozen_.begin() + static_cast<ptrdiff_t>(flushed_tables->size()));
    // Giving back so much memory takes milliseconds: not here.
    submit(
        Lane::kUtility,
        [flushed_tables] {
          flushed_tables->clear();
          return true;
        },
        [](bool) {});
    flushed_ = flushed;
    recycle_segments(retired);
    delete_garbage(std::move(shared->garbage));
    background_ok(Work::kFlush);
    std::vector<std::function<void(Status)>> ready;
    std::erase_if(flush_waiters_, [&](auto& waiter) {
      if (waiter.first > flushed_) return false;
      ready.push_back(std::move(waiter.second));
      return true;
    });
    for (auto& call : ready) call(Status());
    admission_changed();
    maybe_flush();
    maybe_compact();
    maybe_prepare_segment();
  });
}

// Ranges found dead by a job: an ordinary range delete each, in the log; the manifest remembers them until
// that is in a table.
void Engine::Impl::delete_garbage(std::vector<KeyRange> ranges) {
  if (ranges.empty() || log_.fenced() || closing_) return;
  WriteBatch batch;
  std::vector<KeyRange> written;
  auto write = [&] {
    if (batch.empty()) return;
    Sequence last = commit(batch);
    for (KeyRange& range : written) garbage_in_memory_.push_back({last, std::move(range)});
    written.clear();
    batch.clear();
  };
  for (KeyRange& range : ranges) {
    // No room now: the ranges stay in the manifest and are deleted after the next start.
    if (log_.room(false) < batch.byte_size() + range.begin.size() + range.end.size() + 64 * 1024) break;
    batch.remove_range(range.begin, range.end);
    written.push_back(std::move(range));
    if (batch.byte_size() > 256 * 1024) write();
  }
  write();
}

// --- compaction ---

CompactionOptions Engine::Impl::compaction_options() const {
  CompactionOptions o;
  o.base_level_size = options_.base_level_size;
  o.level_multiplier = options_.level_multiplier;
  o.level0_trigger = options_.level0_trigger;
  o.table_size = options_.table_size;
  o.job_bytes_max = 25 * options_.table_size;
  return o;
}

void Engine::Impl::maybe_compact() {
  if (closing_ || compactions_running_ > 0 || log_.fenced()) return;
  if (options_.clock->monotonic_us() < compact_retry_us_ || !reserve_file_numbers(kJobFileNumbers)) return;
  if (!manual_.empty()) return continue_manual();
  if (auto pick = pick_compaction(*version_, busy_, compaction_options())) start_compaction(std::move(*pick));
}

void Engine::Impl::start_compaction(CompactionPick pick) {
  log_verbose("compaction {}", pick.debug_string());
  for (const CompactionPick::Input& input : pick.inputs) {
    for (const TableRef& table : input.tables) busy_.insert(table->meta.number);
  }
  ++compactions_running_;
  if (pick.trivial_move) return move_tables(pick);
  auto input = std::make_shared<MergeInput>();
  input->fs = options_.fs;
  input->dir = options_.dir;
  for (const CompactionPick::Input& in : pick.inputs) input->runs.push_back(in.tables);
  for (int level = pick.output_level + 1; level < kLevelCount; ++level) {
    for (const RunRef& run : version_->levels[level]) input->deeper.push_back(table_bounds(*run));
  }
  if (pick.output_level + 1 < kLevelCount) {
    for (const RunRef& run : version_->levels[pick.output_level + 1]) {
      input->grandparents.insert(input->grandparents.end(), run->tables.begin(), run->tables.end());
    }
    input->max_grandparent_overlap = 10 * options_.table_size;
  }
  input->snapshots.assign(snapshots_.begin(), snapshots_.end());
  input->first_file_number = next_file_;
  input->file_number_count = kJobFileNumbers;
  next_file_ += kJobFileNumbers;
  input->random_seed = random_.next();
  input->target_file_size = options_.table_size;
  bool last = pick.output_level >= version_->last_level();
  input->table = table_options(options_, pick.output_level, last);
  input->cancel = cancel_;
  int64_t started = options_.clock->monotonic_us();
  submit(
      Lane::kCompact, [input] { return run_merge(*input); },
      [this, pick = std::move(pick), started](MergeOutput output) {
        finish_compaction(pick, std::move(output), started);
      });
}

void Engine::Impl::finish_compaction(const CompactionPick& pick, MergeOutput output, int64_t started_us) {
  int64_t now = options_.clock->monotonic_us();
  auto release = [this, pick] {
    --compactions_running_;
    for (const CompactionPick::Input& input : pick.inputs) {
      for (const TableRef& table : input.tables) busy_.erase(table->meta.number);
    }
  };
  if (!output.status.ok()) {
    background_failed(Work::kCompaction, output.status);
    if (output.status.is_corruption() && output.damaged_table != 0) {
      // Inputs are kept; the damaged table is left alone from now on, work goes on elsewhere.
      VersionEdit edit;
      edit.quarantined.push_back(output.damaged_table);
      return submit_edit(std::move(edit), {}, [this, release] {
        release();
        maybe_compact();
      });
    }
    release();
    compact_retry_us_ = now + kRetryUs;
    return;
  }
  VersionEdit edit;
  std::map<uint64_t, TableRef> added;
  uint64_t level0_bytes = 0;
  for (const CompactionPick::Input& input : pick.inputs) {
    for (const TableRef& table : input.tables) {
      edit.removed.push_back({input.place, table->meta.number});
      if (input.place.level == 0) level0_bytes += table->meta.raw_key_bytes + table->meta.raw_value_bytes;
    }
  }
  for (const TableRef& table : output.outputs) {
    edit.added.push_back({{pick.output_level, 0}, table->meta});
    added[table->meta.number] = table;
  }
  edit.counter_deltas = output.count_corrections;
  edit.garbage_added = output.garbage;
  if (level0_bytes > 0) level0_rate_ = average(level0_rate_, level0_bytes, now - started_us);
  counts_.compaction_bytes_read += output.bytes_read;
  counts_.compaction_bytes_written += output.bytes_written;
  ++counts_.compactions;
  auto shared = std::make_shared<MergeOutput>(std::move(output));
  submit_edit(std::move(edit), std::move(added), [this, release, shared] {
    release();
    for (const auto& [id, delta] : shared->count_corrections) counters_[id] += delta;
    delete_garbage(std::move(shared->garbage));
    background_ok(Work::kCompaction);
    admission_changed();
    maybe_compact();
  });
}

void Engine::Impl::move_tables(const CompactionPick& pick) {
  VersionEdit edit;
  std::map<uint64_t, TableRef> none;
  for (const CompactionPick::Input& input : pick.inputs) {
    for (const TableRef& table : input.tables) {
      edit.removed.push_back({input.place, table->meta.number});
      edit.added.push_back({{pick.output_level, 0}, table->meta});
    }
  }
  ++counts_.trivial_moves;
  submit_edit(std::move(edit), {}, [this, pick] {
    --compactions_running_;
    for (const CompactionPick::Input& input : pick.inputs) {
      for (const TableRef& table : input.tables) busy_.erase(table->meta.number);
    }
    admission_changed();
    maybe_compact();
  });
}

// --- log segments ---

// Keeps two segments ready: one to go on with, and the last one, which only what frees space may use.
void Engine::Impl::maybe_prepare_segment() {
  if (preparing_segment_ || closing_ || log_.fenced() || log_.ready_segments() >= 2) return;
  if (options_.clock->monotonic_us() < segment_retry_us_ || !reserve_file_numbers(1)) return;
  uint64_t total = log_.segments().size() * options_.log_segment_size;
  if (total + options_.log_segment_size > options_.log_max_bytes && total > 0) {
    urgent_freeze_ = urgent_freeze_ || log_.ready_segments() == 0;
    return;
  }
  preparing_segment_ = true;
  LogSegment segment{0, random_.identity(), options_.log_segment_size};
  bool reuse = !free_segments_.empty();
  if (reuse) {
    segment.number = free_segments_.back().number;
    free_segments_.pop_back();
  } else {
    segment.number = next_file_++;
  }
  submit(
      Lane::kUtility,
      [fs = options_.fs, dir = options_.dir, segment, reuse]() -> Status {
        Status status = prepare_segment(*fs, dir, segment, reuse);
        // What could not be prepared whole must not take the space that is missing.
        if (!status.ok() && fs->exists(join_path(dir, log_file_name(segment.number)))) {
          if (Status removed = fs->remove(join_path(dir, log_file_name(segment.number))); !removed.ok())
            return removed;
        }
        return status;
      },
      [this, segment, reuse](const Status& status) { finish_segment(segment, status); });
}

void Engine::Impl::finish_segment(const LogSegment& segment, const Status& status) {
  if (!status.ok()) {
    preparing_segment_ = false;
    segment_retry_us_ = options_.clock->monotonic_us() + kRetryUs;
    return background_failed(Work::kSegment, status);
  }
  VersionEdit edit;
  edit.log_added.push_back(segment);
  submit_edit(std::move(edit), {}, [this, segment] {
    preparing_segment_ = false;
    if (Status opened = log_.add_segment(segment); !opened.ok()) {
      background_failed(Work::kSegment, opened);
      return;
    }
    background_ok(Work::kSegment);
    admission_changed();
    maybe_prepare_segment();
  });
}

// A few files are kept for reuse (no zeroing, no new extents); the rest go.
void Engine::Impl::recycle_segments(std::vector<LogSegment> segments) {
  std::vector<std::string> surplus;
  for (LogSegment& segment : segments) {
    if (free_segments_.size() < 4) {
      free_segments_.push_back(segment);
    } else {
      surplus.push_back(join_path(options_.dir, log_file_name(segment.number)));
    }
  }
  if (surplus.empty()) return;
  submit(
      Lane::kUtility,
      [fs = options_.fs, surplus = std::move(surplus)]() -> Status {
        for (const std::string& path : surplus) VARVE_TRY(fs->remove(path));
        return Status();
      },
      [](const Status& status) {
        if (!status.ok()) log_verbose("old log segment: {}", status.to_string());
      });
}

// --- files ---

void Engine::Impl::remove_obsolete(bool all) {
  std::vector<std::shared_ptr<TableRef>> gone;
  for (auto it = obsolete_.begin(); it != obsolete_.end() && (all || gone.size() < kRemovalsPerTick);) {
    if (it->use_count() > 1) {
      ++it;
      continue;
    }
    gone.push_back(std::make_shared<TableRef>(std::move(*it)));
    it = obsolete_.erase(it);
  }
  if (gone.empty()) return;
  submit(
      Lane::kUtility,
      [fs = options_.fs, dir = options_.dir, gone = std::move(gone)]() -> Status {
        Status last;
        for (const auto& table : gone) {
          uint64_t number = (*table)->meta.number;
          table->reset();  // closes the file
          Status status = fs->remove(join_path(dir, table_file_name(number)));
          if (!status.ok()) last = status;
        }
        return last;
      },
      [](const Status& status) {
        // The next start removes what is left.
        if (!status.ok()) log_verbose("obsolete table: {}", status.to_string());
      });
}

}  // namespace varve
