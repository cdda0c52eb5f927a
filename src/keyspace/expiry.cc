#include "keyspace/expiry.h"

#include <string>

#include "base/log.h"

namespace varve {
namespace {

// What one hint's removal and its key's removal put into a batch beside the key itself, twice.
constexpr size_t kHintOverhead = 64;

}  // namespace

bool ExpiryCycle::run_slice(int64_t now_ms, int hints_max) {
  if (!keyspace_.attached() || fetch_->running) return false;
  Engine& engine = keyspace_.engine();
  EngineKey end;
  make_hint_key(now_ms + 1, 0, "", &end);
  if (keyspace_.expiry_low_water_ >= end.view()) return false;
  // Admission first (law 5); keys are mostly short, and what exceeds the estimate is asked for again below.
  size_t asked = static_cast<size_t>(hints_max) * kHintOverhead * 2;
  if (engine.admit(asked).verdict != Admission::Verdict::kGo) return false;

  ReadContext& read = fetch_->read;
  read.begin_run();
  tx_.begin(&read, now_ms);
  int hints = 0;
  uint64_t expired = 0;
  std::string last;
  std::unique_ptr<LiveIterator> it = engine.new_iterator(read, keyspace_.expiry_low_water_, end.view());
  for (it->seek_to_first(); it->valid() && hints < hints_max; it->next(), ++hints) {
    int64_t expire_ms = 0;
    DatabaseId database = 0;
    std::string_view key;
    if (!parse_hint_key(it->key(), &expire_ms, &database, &key)) break;
    last.assign(it->key());
    Entry entry;
    tx_.find(database, key, &entry);
    if (entry.stored && entry.record.expire_ms == expire_ms && !entry.exists) {
      tx_.remove(database, key, entry);
      ++expired;
    } else {
      tx_.remove_hint(database, key, expire_ms);
    }
  }
  bool all = it->state() == IterState::kEnd;
  it.reset();

  if (!read.error.ok()) {
    log_warning("expiry: {}", read.error.to_string());
    return false;
  }
  if (read.faulted()) {
    fetch_->running = true;
    engine.fetch(read, [fetch = fetch_] { fetch->running = false; });
    return true;
  }
  if (tx_.batch_size() > asked && engine.admit(tx_.batch_size()).verdict != Admission::Verdict::kGo)
    return false;
  tx_.commit();
  expired_keys_ += expired;
  read.pins.clear();
  keyspace_.expiry_low_water_ = all ? std::string(end.view()) : last;
  return !all;
}

void ExpiryCycle::stop() {
  tx_.begin(nullptr, 0);
  fetch_ = std::make_shared<Fetch>();
}

}  // namespace varve
