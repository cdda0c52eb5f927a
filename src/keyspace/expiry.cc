#include "keyspace/expiry.h"

#include <algorithm>
#include <climits>
#include <string>

#include "base/log.h"

namespace varve {
namespace {

// What one hint's removal and its key's removal put into a batch beside the key itself, twice.
constexpr size_t kHintOverhead = 64;
// A disk that fails is told of this often, not at each hint.
constexpr int64_t kLogEveryMs = 10'000;

}  // namespace

ExpiryCycle::Next ExpiryCycle::run_slice(int64_t now_ms, int hints_max) {
  if (!keyspace_.attached()) return Next::kLater;
  if (fetch_->running) return Next::kSoon;
  Engine& engine = keyspace_.engine();
  EngineKey end;
  make_hint_key(now_ms + 1, 0, "", &end);
  if (keyspace_.expiry_low_water_ >= end.view()) return Next::kLater;
  // Admission first (law 5); keys are mostly short, and what exceeds the estimate is asked for again below.
  size_t asked = static_cast<size_t>(hints_max) * kHintOverhead * 2;
  ReadContext& read = fetch_->read;
  if (engine.admit(asked, true).verdict != Admission::Verdict::kGo) {
    read.install_hold.reset();  // what waits holds nobody up
    return Next::kLater;
  }
  hints_max = std::min(hints_max, slice_limit_);
  read.begin_run();
  tx_.begin(&read, now_ms);
  int hints = 0;
  int64_t expire_ms = now_ms;
  uint64_t expired = 0;
  std::string last;
  std::unique_ptr<LiveIterator> it = engine.new_iterator(read, keyspace_.expiry_low_water_, end.view());
  for (it->seek_to_first(); it->valid() && hints < hints_max; it->next(), ++hints) {
    last.assign(it->key());
    DatabaseId database = 0;
    std::string_view key;
    if (!parse_hint_key(last, &expire_ms, &database, &key)) {
      read.error = Status::corruption("keyspace: a hint of the expiry index cannot be understood");
      break;
    }
    Entry entry;
    tx_.find(database, key, &entry);
    if (!read.error.ok()) break;
    if (entry.stored && entry.record.expire_ms == expire_ms && !entry.exists) {
      tx_.remove(database, key, entry);
      ++expired;
    } else {
      tx_.remove_hint(database, key, expire_ms);
    }
  }
  bool all = it->state() == IterState::kEnd;
  it.reset();

  if (!read.error.ok()) return step_over(now_ms, hints, last);
  if (read.faulted()) {
    fetch_->running = true;
    engine.fetch(read, [fetch = fetch_] { fetch->running = false; });
    return Next::kSoon;
  }
  if (tx_.batch_size() > asked && engine.admit(tx_.batch_size(), true).verdict != Admission::Verdict::kGo) {
    read.install_hold.reset();
    return Next::kLater;
  }
  tx_.commit();
  tx_.end();
  expired_keys_ += expired;
  read.begin_command();
  slice_limit_ = INT_MAX;
  keyspace_.expiry_low_water_ = all ? std::string(end.view()) : last;
  return all ? Next::kLater : Next::kAtOnce;
}

// A hint whose record cannot be read must not stop the others: what stands before it is dealt with by itself,
// then the walk goes on behind it. It stays on disk; a later process tries it again.
ExpiryCycle::Next ExpiryCycle::step_over(int64_t now_ms, int hints, const std::string& last) {
  Status error = fetch_->read.error;
  fetch_->read.begin_command();
  tx_.end();
  if (now_ms < logged_ms_ || now_ms - logged_ms_ >= kLogEveryMs || logged_ms_ == 0) {
    logged_ms_ = now_ms;
    log_warning("expiry: {}", error.to_string());
  }
  if (hints > 0) {
    slice_limit_ = hints;
    return Next::kAtOnce;
  }
  slice_limit_ = INT_MAX;
  if (last.empty()) return Next::kLater;  // the index itself cannot be read here: perhaps later
  keyspace_.expiry_low_water_ = last + '\0';
  return Next::kAtOnce;
}

void ExpiryCycle::stop() {
  tx_.begin(nullptr, 0);
  fetch_ = std::make_shared<Fetch>();
  slice_limit_ = INT_MAX;
}

}  // namespace varve
