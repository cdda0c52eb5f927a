// engine_write.cc: admission, commit, and what a turn of the loop ends with.
#include <algorithm>

#include "base/check.h"
#include "base/checksum.h"
#include "base/plant.h"
#include "lsm/engine_impl.h"

namespace varve {
namespace {

// A failure that lasts so long is told to writers instead of letting them wait.
constexpr int64_t kStuckUs = 5'000'000;
// Shorter values are written again sooner than found.
constexpr size_t kAmendedMin = 1024;
// From so many operations on it pays to look ahead of the one that is applied.
constexpr uint32_t kLargeBatch = 32;
constexpr size_t kLargestOp = kMaxEngineValueSize + 2 * kMaxEngineKeySize;

// The hashes of a batch's keys. In a large batch the processor loads what the keys touch in memory some
// operations ahead: first the slots of the indexes, then the entries they lead to.
class HashesAhead {
 public:
  HashesAhead(const WriteBatch& batch, const MemTable& memtable, const RowCache& rows)
      : reader_(batch.bytes()), memtable_(memtable), rows_(rows), ahead_(batch.count() >= kLargeBatch) {}
  // Of each put and delete in turn.
  uint64_t next(std::string_view key) {
    if (!ahead_) return hash_key(key);
    if (at_ == count_) look_ahead();
    return hashes_[at_++];
  }

 private:
  void look_ahead() {
    BatchReader::Op op;
    at_ = count_ = 0;
    while (count_ < Engine::kPrefetched && reader_.next(&op)) {
      if (!op.is_counter && op.kind != Kind::kRangeDelete) hashes_[count_++] = hash_key(op.key);
    }
    uint64_t unknown[Engine::kPrefetched];
    if (size_t rest = memtable_.prefetch(hashes_, count_, unknown); rest > 0)
      rows_.prefetch(unknown, rest, unknown);
  }

  BatchReader reader_;
  const MemTable& memtable_;
  const RowCache& rows_;
  bool ahead_;
  uint64_t hashes_[Engine::kPrefetched];
  size_t at_ = 0, count_ = 0;
};

}  // namespace

Status Engine::Impl::stuck() const {
  int64_t now = options_.clock->monotonic_us();
  Status lasting;
  for (int i = 0; i < 3; ++i) {
    if (background_errors_[i].is_no_space()) return background_errors_[i];
    if (!background_errors_[i].ok() && now - failing_since_us_[i] > kStuckUs) lasting = background_errors_[i];
  }
  const Status& manifest = manifest_.error();
  if (manifest.is_no_space()) return manifest;
  if (!manifest.ok() && now - manifest_.failing_since_us() > kStuckUs) lasting = manifest;
  return lasting;
}

bool Engine::Impl::log_at_maximum() const {
  return (log_.segments().size() + 1) * options_.log_segment_size > options_.log_max_bytes;
}

Admission Engine::Impl::admit(size_t bytes, bool frees_space) {
  Admission admission;
  if (log_.fenced() || closing_) {
    admission.verdict = Admission::Verdict::kRefuse;
    admission.reason = log_.fenced() ? log_.fence() : Status::aborted("the database is closing");
    return admission;
  }
  // What waits for a background that fails is refused: the client should know, and reads go on.
  auto wait = [&](int64_t us) {
    Status reason = us == 0 ? stuck() : Status();
    if (!reason.ok()) {
      admission.verdict = Admission::Verdict::kRefuse;
      admission.reason = reason;
    } else {
      admission.verdict = Admission::Verdict::kWait;
      admission.wait_us = us > 0 ? us : 100'000;
    }
    return admission;
  };
  uint64_t need = log_.need(bytes);
  size_t largest_op = std::min(bytes, kLargestOp);
  if (need > log_.room(!frees_space, largest_op)) {
    // Two segments are kept free of this one: the last, and the one being filled by others.
    uint64_t segments = options_.log_max_bytes / options_.log_segment_size;
    uint64_t most = log_.room_of(segments > 2 ? segments - 2 : 0, largest_op);
    if (need > most) {
      admission.verdict = Admission::Verdict::kRefuse;
      admission.reason =
          Status::invalid_argument("a write of {} bytes exceeds what the log can hold ({})", bytes, most);
      return admission;
    }
    wanted_log_room_ = std::max(wanted_log_room_, need);
    if (log_at_maximum()) urgent_freeze_ = true;
    maybe_prepare_segment();
    return wait(0);
  }
  // A slow disk must not let the log's buffer grow without bound; one large write may pass alone.
  size_t buffer_max = std::max<size_t>(8 << 20, options_.memtable_size / 2);
  if (log_.memory_used() > buffer_max) {
    waiting_for_log_ = true;
    return wait(0);
  }
  size_t level0_runs = version_->levels[0].size();
  auto level0_slow = static_cast<uint64_t>(options_.level0_slow);
  auto frozen_max = static_cast<uint64_t>(options_.max_frozen_memtables);
  uint64_t debt_slow = 32 * options_.base_level_size;
  if (level0_runs < level0_slow && frozen_.size() < frozen_max && debt_ < debt_slow) return admission;
  PacingState state;
  state.level0_runs = level0_runs;
  state.level0_slow = level0_slow;
  state.level0_stop = static_cast<uint64_t>(options_.level0_stop);
  state.frozen_memtables = frozen_.size();
  state.frozen_max = frozen_max;
  state.active_fill =
      static_cast<double>(active_->memory_used()) / static_cast<double>(options_.memtable_size);
  state.debt_bytes = debt_;
  state.debt_slow = debt_slow;
  state.debt_stop = 4 * debt_slow;
  state.drain_bytes_per_s = level0_rate_ > 0 ? std::min(flush_rate_, level0_rate_) : flush_rate_;
  PacingVerdict verdict = pace(state);
  if (verdict.stop && !(frees_space && state.active_fill < 2)) return wait(0);
  if (verdict.bytes_per_s <= 0) return admission;
  // A bucket that holds 20 ms of the allowed rate; a write may overdraw it, the next ones wait, at most 100
  // ms for it.
  int64_t now = options_.clock->monotonic_us();
  double elapsed = static_cast<double>(std::clamp<int64_t>(now - tokens_at_us_, 0, 1'000'000)) * 1e-6;
  tokens_at_us_ = now;
  tokens_ = std::min(tokens_ + elapsed * verdict.bytes_per_s, verdict.bytes_per_s * 0.02);
  if (tokens_ < 0) {
    int64_t us =
        std::clamp<int64_t>(static_cast<int64_t>(-tokens_ / verdict.bytes_per_s * 1e6), 500, 100'000);
    ++counts_.write_delays;
    counts_.write_delay_us += static_cast<uint64_t>(us);
    return wait(us);
  }
  tokens_ = std::max(tokens_ - static_cast<double>(bytes) - 32, -0.1 * verdict.bytes_per_s);
  return admission;
}

Sequence Engine::Impl::commit(const WriteBatch& batch) {
  if (batch.empty()) return log_.last();
  VARVE_CHECK(batch.valid() && batch.count() > 0 && !log_.fenced() && !closing_);
  Sequence first = log_.last() + 1;
  log_.append(first, batch);
  Sequence snapshot = newest_snapshot();
  BatchReader reader(batch.bytes());
  BatchReader::Op op;
  Sequence sequence = first;
  HashesAhead hashes(batch, *active_, rows_);
  bool rows = rows_.row_count() > 0;
  while (reader.next(&op)) {
    if (op.is_counter) {
      active_->add_count(op.counter_id, op.counter_delta);
      counters_[op.counter_id] += op.counter_delta;
    } else if (op.kind == Kind::kRangeDelete) {
      active_->add_range_delete(sequence++, op.key, op.value);
      rows_.erase_range(op.key, op.value);
    } else {
      uint64_t hash = hashes.next(op.key);
      if (op.value.size() >= kAmendedMin && op.kind == Kind::kPut)
        log_.note_value(hash, sequence, static_cast<size_t>(op.value.data() - batch.bytes().data()));
      active_->add(sequence++, op.kind, op.blind, op.key, op.value, snapshot, hash);
      if (rows && op.kind == Kind::kDelete)
        rows_.erase(op.key, hash);
      else if (rows && !planted(Plant::row_outlives_write))
        rows_.replace(op.key, hash, op.value);
    }
    counts_.user_bytes_written += op.key.size() + op.value.size();
  }
  VARVE_CHECK(!reader.corrupt());
  return log_.last();
}

bool Engine::Impl::amend(std::string_view key, size_t offset, std::string_view bytes, size_t batch_bytes) {
  uint64_t hash = hash_key(key);
  Sequence sequence = log_.noted_value(hash, batch_bytes);
  if (sequence == 0 || !active_->amend(key, hash, sequence, offset, bytes, newest_snapshot())) return false;
  log_.amend(hash, offset, bytes);
  rows_.erase(key, hash);
  counts_.user_bytes_written += bytes.size();
  ++counts_.values_amended;
  return true;
}

void Engine::Impl::maybe_freeze() {
  if (active_->empty() || closing_) return;
  bool full = active_->memory_used() >= options_.memtable_size;
  // The log is bounded: when this memtable's share has grown past half of it, or writers wait for room, it is
  // flushed early.
  bool log_long = log_.bytes_behind(flushed_) > options_.log_max_bytes / 2 && frozen_.empty();
  if (!full && !log_long && !urgent_freeze_) return;
  if (static_cast<int>(frozen_.size()) >= options_.max_frozen_memtables) return;
  if (urgent_freeze_ && !full && !frozen_.empty()) return;
  freeze();
}

void Engine::Impl::freeze() {
  urgent_freeze_ = false;
  active_->freeze();
  frozen_.push_back(active_);
  active_ = std::make_shared<MemTable>();
  if (flushed_memtable_ && static_cast<int>(frozen_.size()) >= options_.max_frozen_memtables) {
    give_back({std::exchange(flushed_memtable_, nullptr)});
  }
}

void Engine::Impl::end_of_turn() {
  rows_.release_retired();
  charge_cache();
  maybe_freeze();
  log_.pump();
  if (!held_installs_.empty()) run_held_installs();
  if (!frozen_.empty() && !flush_running_) maybe_flush();
  if (!pending_garbage_.empty()) delete_garbage();
  maybe_prepare_segment();
}

void Engine::Impl::tick() {
  log_.tick();
  manifest_.tick();
  run_held_installs();
  maybe_freeze();
  maybe_flush();
  maybe_recheck();
  maybe_compact();
  maybe_walk();
  maybe_prepare_segment();
  remove_obsolete();
  delete_garbage();
  if (closing_) maybe_finish_close();
}

}  // namespace varve
