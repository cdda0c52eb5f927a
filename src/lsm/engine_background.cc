// engine_background.cc: flush, compaction, installing their results, log segments, files that nobody needs
// any more.
#include <algorithm>
#include <span>

#include "base/check.h"
#include "base/log.h"
#include "base/plant.h"
#include "lsm/engine_impl.h"

namespace varve {
namespace {

constexpr int64_t kRetryUs = 1'000'000;
// Deletions are paced: many at once make some devices stall.
constexpr size_t kRemovalsPerTick = 8;
// A command that keeps its blocks from changing under it does so for at most this long.
constexpr int64_t kHoldMaxUs = 200'000;
// Range deletes written for garbage in one turn of the loop.
constexpr size_t kGarbagePerTurn = 500;
constexpr int64_t kBackoffMaxUs = 60'000'000;
constexpr int kReadFailuresMax = 3;
// In tables' sizes: what an output may overlap in the level below its own, and a job's inputs together.
constexpr uint64_t kGrandparentTables = 10;
constexpr uint64_t kJobTables = 25;

double average(double old, uint64_t bytes, int64_t us) {
  double rate = static_cast<double>(bytes) * 1e6 / static_cast<double>(std::max<int64_t>(us, 1));
  return old <= 0 ? rate : old * 0.7 + rate * 0.3;
}

// On the worker: copying the bounds of all that lies deeper would take the owner's thread milliseconds.
// Without `span`, of all tables.
MergeOutput run_over(MergeInput& input, const std::vector<RunRef>& deeper,
                     const std::optional<KeyRange>& span) {
  for (const RunRef& run : deeper) {
    std::span<const TableRef> tables =
        span ? run->overlapping(*span) : std::span<const TableRef>(run->tables);
    std::vector<KeyRange>& ranges = input.deeper.emplace_back();
    ranges.reserve(tables.size());
    for (const TableRef& table : tables) ranges.push_back(bounds(table->meta));
  }
  return run_merge(input);
}

// From the first key of all inputs to the last.
KeyRange span_of(const CompactionPick& pick) {
  KeyRange span = bounds(pick.inputs.front().tables.front()->meta);
  for (const CompactionPick::Input& input : pick.inputs) {
    span.begin = std::min(span.begin, input.tables.front()->meta.smallest);
    span.end = std::max(span.end, input.tables.back()->meta.largest);
  }
  span.end_inclusive = true;
  return span;
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
  if (planted(Plant::delete_inputs_early)) {
    for (const VersionEdit::RemovedTable& removed : edit.removed) {
      bool moved = std::any_of(edit.added.begin(), edit.added.end(),
                               [&](const auto& a) { return a.meta.number == removed.number; });
      if (!moved) (void)options_.fs->remove(join_path(options_.dir, table_file_name(removed.number)));
    }
  }
  manifest_.submit(std::move(edit), [this, shared, added = std::move(added), after = std::move(after)] {
    file_limit_ = std::max(file_limit_, *shared->next_file_number);
    for (const auto& [number, table] : added) tables_[number] = table;
    if (held_installs_.empty()) held_since_us_ = options_.clock->monotonic_us();
    held_installs_.push_back([this, shared, added, after] {
      install(*shared, added);
      if (after) after();
    });
    run_held_installs();
    if (closing_) maybe_finish_close();
  });
}

// A command that was restarted often holds installs back until it is done, but neither for long nor when
// writers wait for the memory of a flushed memtable.
void Engine::Impl::run_held_installs() {
  while (!held_installs_.empty()) {
    bool may_hold = !closing_ && static_cast<int>(frozen_.size()) < options_.max_frozen_memtables &&
                    options_.clock->monotonic_us() - held_since_us_ < kHoldMaxUs;
    if (*install_holds_ > 0 && may_hold) {
      if (!std::exchange(hold_counted_, true)) ++counts_.installs_held;
      return;
    }
    hold_counted_ = false;
    std::function<void()> run = std::move(held_installs_.front());
    held_installs_.pop_front();
    held_since_us_ = options_.clock->monotonic_us();
    run();
  }
}

void Engine::Impl::install(const VersionEdit& edit, const std::map<uint64_t, TableRef>& added) {
  if (edit.added.empty() && edit.removed.empty() && edit.quarantined.empty() && edit.healed.empty()) return;
  version_ = apply_edit(*version_, edit, added);
  debt_ = compaction_debt(*version_, compaction_options());
  for (const VersionEdit::RemovedTable& removed : edit.removed) {
    bool moved = std::any_of(edit.added.begin(), edit.added.end(), [&](const VersionEdit::AddedTable& a) {
      return a.meta.number == removed.number;
    });
    if (moved) continue;
    auto it = tables_.find(removed.number);
    if (it == tables_.end()) continue;
    obsolete_.push_back(std::move(it->second));
    tables_.erase(it);
    open_tables_.erase(removed.number);
  }
  charge_cache();
}

void Engine::Impl::admission_changed() {
  if (on_admission_change_) on_admission_change_();
}

void Engine::Impl::background_failed(Work work, const Status& status) {
  if (status.code() == StatusCode::kAborted) return;
  static const char* const names[] = {"flush", "compaction", "log segment"};
  int i = static_cast<int>(work);
  ++counts_.background_errors;
  if (background_errors_[i].ok()) failing_since_us_[i] = options_.clock->monotonic_us();
  if (background_errors_[i].to_string() != status.to_string()) {
    log_warning("{}: {}; it will be tried again", names[i], status.to_string());
  }
  background_errors_[i] = status;
  // Who asked for the work by name is told; the work itself goes on being tried.
  if (work == Work::kFlush) fail_flush_waiters(status);
  if (work == Work::kCompaction) fail_manual(status);
  admission_changed();
}

void Engine::Impl::fail_flush_waiters(const Status& status) {
  auto waiters = std::move(flush_waiters_);
  flush_waiters_.clear();
  for (auto& [sequence, done] : waiters) done(status);
}

void Engine::Impl::fail_manual(const Status& status) {
  std::deque<Manual> waiting = std::move(manual_);
  manual_.clear();
  for (Manual& manual : waiting) manual.done(status);
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
  std::vector<RunRef> deeper;
  for (const std::vector<RunRef>& runs : version_->levels) {
    deeper.insert(deeper.end(), runs.begin(), runs.end());
  }
  input->snapshots.assign(snapshots_->begin(), snapshots_->end());
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
      Lane::kFlush, [input, deeper = std::move(deeper)] { return run_over(*input, deeper, std::nullopt); },
      [this, memtables = std::move(memtables), started](MergeOutput output) mutable {
        finish_flush(std::move(output), std::move(memtables), started);
      });
}

// So much memory takes milliseconds: not on the owner's thread.
void Engine::Impl::give_back(std::vector<std::shared_ptr<const MemTable>> memtables) {
  auto shared = std::make_shared<std::vector<std::shared_ptr<const MemTable>>>(std::move(memtables));
  submit(
      Lane::kUtility,
      [shared] {
        shared->clear();
        return true;
      },
      [](bool) {});
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
  std::vector<LogSegment> retired = log_.retire(planted(Plant::retire_log_early) ? log_.last() : flushed);
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
    if (options_.keep_flushed_memtable && static_cast<int>(frozen_.size()) < options_.max_frozen_memtables) {
      std::swap(flushed_memtable_, flushed_tables->front());
    }
    give_back(std::move(*flushed_tables));
    flushed_ = flushed;
    recycle_segments(retired);
    pending_garbage_.insert(pending_garbage_.end(), shared->garbage.begin(), shared->garbage.end());
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

// Ranges found dead by jobs: an ordinary range delete each, in the log, a few a turn; the manifest remembers
// them until that stands in a table, so that a crash or a full log only postpones them.
void Engine::Impl::delete_garbage() {
  if (pending_garbage_.empty() || log_.fenced() || closing_) return;
  WriteBatch batch;
  std::vector<KeyRange> written;
  while (!pending_garbage_.empty() && written.size() < kGarbagePerTurn && batch.byte_size() < 64 * 1024) {
    const KeyRange& range = pending_garbage_.front();
    batch.remove_range(range.begin, range.end);
    written.push_back(range);
    pending_garbage_.pop_front();
  }
  if (batch.empty()) return;
  if (admit(batch.byte_size(), false).verdict != Admission::Verdict::kGo) {
    pending_garbage_.insert(pending_garbage_.begin(), written.begin(), written.end());
    return;
  }
  Sequence last = commit(batch);
  for (KeyRange& range : written) garbage_in_memory_.push_back({last, std::move(range)});
}

// --- compaction ---

CompactionOptions Engine::Impl::compaction_options() const {
  CompactionOptions o;
  o.base_level_size = options_.base_level_size;
  o.level_multiplier = options_.level_multiplier;
  o.level0_trigger = options_.level0_trigger;
  o.table_size = options_.table_size;
  o.job_bytes_max = kJobTables * options_.table_size;
  return o;
}

void Engine::Impl::maybe_compact() {
  if (closing_ || compactions_running_ > 0 || log_.fenced()) return;
  if (options_.clock->monotonic_us() < compact_retry_us_ || !reserve_file_numbers(kJobFileNumbers)) return;
  // A manual compaction goes step by step, and only while level 0 needs nothing: writers must not wait for
  // its end.
  bool level0_is_fine = version_->levels[0].size() < static_cast<size_t>(options_.level0_trigger);
  if (!manual_.empty() && level0_is_fine) return continue_manual();
  if (auto pick = pick_compaction(*version_, busy_, compaction_options()))
    return start_compaction(std::move(*pick));
  if (!manual_.empty()) return continue_manual();
  // What failed is not wanted any more (who had asked for it was told), so no success will come to clear it.
  background_ok(Work::kCompaction);
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
  input->end = pick.end;
  // Tombstones are held twice: those of the inputs, and those that stay.
  input->tombstone_memory_max = options_.compaction_memory / 4;
  input->findings_bytes_max = std::min<uint64_t>(input->findings_bytes_max, options_.compaction_memory / 8);
  input->readahead_max =
      std::clamp<size_t>(options_.compaction_memory / 4 / input->runs.size(), 16 << 10, 1 << 20);
  const KeyRange span = span_of(pick);
  // Runs of level 0 merged among themselves: the older ones lie below, too.
  std::vector<RunRef> deeper;
  for (const RunRef& run : version_->levels[0]) {
    if (pick.output_level == 0 && run->id < pick.inputs.back().place.run) deeper.push_back(run);
  }
  for (int level = pick.output_level + 1; level < kLevelCount; ++level) {
    deeper.insert(deeper.end(), version_->levels[level].begin(), version_->levels[level].end());
  }
  if (pick.output_level + 1 < kLevelCount) {
    for (const RunRef& run : version_->levels[pick.output_level + 1]) {
      std::span<const TableRef> below = run->overlapping(span);
      input->grandparents.insert(input->grandparents.end(), below.begin(), below.end());
    }
    input->max_grandparent_overlap = kGrandparentTables * options_.table_size;
  }
  input->snapshots.assign(snapshots_->begin(), snapshots_->end());
  input->first_file_number = next_file_;
  input->file_number_count = kJobFileNumbers;
  next_file_ += kJobFileNumbers;
  input->random_seed = random_.next();
  input->target_file_size = options_.table_size;
  bool last = pick.output_level > 0 && pick.output_level >= version_->last_level();
  input->table = table_options(options_, pick.output_level, last);
  input->cancel = cancel_;
  int64_t started = options_.clock->monotonic_us();
  submit(
      Lane::kCompact, [input, deeper = std::move(deeper), span] { return run_over(*input, deeper, span); },
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
    // A table that cannot be read is tried a few times (the disk may recover), one that is damaged is not.
    int failures = output.damaged_table == 0 ? 0 : ++unreadable_[output.damaged_table];
    if (output.damaged_table != 0 && (output.status.is_corruption() || failures >= kReadFailuresMax)) {
      // Inputs are kept; the damaged table is left alone from now on, work goes on elsewhere.
      VersionEdit edit;
      edit.quarantined.push_back(output.damaged_table);
      return submit_edit(std::move(edit), {}, [this, release, table = output.damaged_table] {
        release();
        log_warning("{}: is in quarantine: compactions leave it alone until it can be read",
                    table_file_name(table));
        background_errors_[static_cast<int>(Work::kCompaction)] = Status();
        admission_changed();
        maybe_compact();
      });
    }
    release();
    // A retry writes everything again: each comes later than the last.
    compact_backoff_us_ = std::clamp(2 * compact_backoff_us_, kRetryUs, kBackoffMaxUs);
    compact_retry_us_ = now + compact_backoff_us_;
    return;
  }
  VersionEdit edit;
  std::map<uint64_t, TableRef> added;
  uint64_t level0_bytes = 0;
  for (const CompactionPick::Input& input : pick.inputs) {
    for (const TableRef& table : input.tables) {
      if (output.ended_at && table->meta.smallest >= *output.ended_at) break;
      edit.removed.push_back({input.place, table->meta.number});
      unreadable_.erase(table->meta.number);
      rests_.erase(table->meta.number);
      if (input.place.level == 0) level0_bytes += table->meta.raw_key_bytes + table->meta.raw_value_bytes;
    }
  }
  for (const MergeOutput::Rest& rest : output.rests) {
    const TableMeta& meta = rest.table->meta;
    const TablePlace& place = pick.inputs[rest.run].place;
    edit.added.push_back({place, meta});
    added[meta.number] = rest.table;
    rests_.insert(meta.number);
    if (place.level == 0) level0_bytes -= std::min(level0_bytes, meta.raw_key_bytes + meta.raw_value_bytes);
  }
  for (const TableRef& table : output.outputs) {
    edit.added.push_back({{pick.output_level, pick.output_run}, table->meta});
    added[table->meta.number] = table;
  }
  edit.counter_deltas = output.count_corrections;
  edit.garbage_added = output.garbage;
  if (level0_bytes > 0) {
    // While level 0 is behind, the time other levels took in between counts as well: that is the rate writers
    // can have.
    bool behind = version_->levels[0].size() >= static_cast<size_t>(options_.level0_slow);
    int64_t since = behind && last_level0_us_ > 0 ? last_level0_us_ : started_us;
    level0_rate_ = average(level0_rate_, level0_bytes, now - since);
    last_level0_us_ = now;
  }
  counts_.compaction_bytes_read += output.bytes_read;
  counts_.compaction_bytes_written += output.bytes_written;
  ++counts_.compactions;
  if (output.ended_at) ++counts_.compactions_in_parts;
  auto shared = std::make_shared<MergeOutput>(std::move(output));
  submit_edit(std::move(edit), std::move(added), [this, release, shared] {
    release();
    for (const auto& [id, delta] : shared->count_corrections) counters_[id] += delta;
    pending_garbage_.insert(pending_garbage_.end(), shared->garbage.begin(), shared->garbage.end());
    compact_backoff_us_ = 0;
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

// Keeps two segments ready, one to go on with and the last one, which only what frees space may use; and as
// many more as the largest waiting write needs.
void Engine::Impl::maybe_prepare_segment() {
  if (log_.ready_segments() >= 2) {
    if (wanted_log_room_ == 0) return;
    if (log_.room(true, std::min<uint64_t>(wanted_log_room_, kMaxEngineValueSize + 2 * kMaxEngineKeySize)) >=
        wanted_log_room_) {
      wanted_log_room_ = 0;
      return;
    }
  }
  if (preparing_segment_ || closing_ || log_.fenced()) return;
  if (log_at_maximum()) {
    background_errors_[static_cast<int>(Work::kSegment)] = Status();
    if (log_.ready_segments() == 0 || wanted_log_room_ > 0) urgent_freeze_ = true;
    return;
  }
  if (options_.clock->monotonic_us() < segment_retry_us_ || !reserve_file_numbers(1)) return;
  preparing_segment_ = true;
  LogSegment segment{0, random_.identity(), options_.log_segment_size};
  bool reuse = !free_segments_.empty();
  if (reuse) {
    segment.number = free_segments_.back().number;
    if (planted(Plant::segment_keeps_identity)) segment.identity = free_segments_.back().identity;
    free_segments_.pop_back();
  } else {
    segment.number = next_file_++;
  }
  submit(
      Lane::kUtility,
      [fs = options_.fs, dir = options_.dir, segment, reuse]() -> Result<std::shared_ptr<WriteFile>> {
        std::string path = join_path(dir, log_file_name(segment.number));
        Status status = prepare_segment(*fs, dir, segment, reuse);
        if (status.ok()) {
          auto file = fs->open_write_direct(path);
          if (file) return std::shared_ptr<WriteFile>(file.take());
          status = file.status();
        }
        // What could not be prepared whole must not take the space that is missing.
        if (Status removed = fs->remove(path); !removed.ok())
          log_verbose("log segment: {}", removed.to_string());
        return status;
      },
      [this, segment](Result<std::shared_ptr<WriteFile>> file) { finish_segment(segment, std::move(file)); });
}

void Engine::Impl::finish_segment(const LogSegment& segment, Result<std::shared_ptr<WriteFile>> file) {
  if (!file) {
    preparing_segment_ = false;
    segment_retry_us_ = options_.clock->monotonic_us() + kRetryUs;
    return background_failed(Work::kSegment, file.status());
  }
  VersionEdit edit;
  edit.log_added.push_back(segment);
  submit_edit(std::move(edit), {}, [this, segment, opened = file.take()] {
    preparing_segment_ = false;
    log_.add_segment(segment, opened);
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

// Names that no live file ever had or will have: numbers are never used twice.
void Engine::Impl::remove_orphans(std::vector<std::string> names) {
  if (names.empty()) return;
  submit(
      Lane::kUtility,
      [fs = options_.fs, dir = options_.dir, names = std::move(names)]() -> Status {
        for (const std::string& name : names) {
          Status status = fs->remove(join_path(dir, name));
          log_verbose("removed orphan {}: {}", name, status.to_string());
        }
        return Status();
      },
      [](const Status&) {});
}

void Engine::Impl::remove_obsolete() {
  std::vector<uint64_t> gone;
  for (auto it = obsolete_.begin(); it != obsolete_.end() && gone.size() < kRemovalsPerTick;) {
    if (it->use_count() > 1) {
      ++it;
      continue;
    }
    gone.push_back((*it)->meta.number);
    it = obsolete_.erase(it);
  }
  if (gone.empty()) return;
  submit(
      Lane::kUtility,
      [fs = options_.fs, dir = options_.dir, gone = std::move(gone)]() -> Status {
        Status last;
        for (uint64_t number : gone) {
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
