#include "prove/store.h"

#include <fmt/format.h>

#include <charconv>

namespace varve::prove {
namespace {

constexpr uint32_t kDatabases = 8;
constexpr int kTurnsMax = 20'000;
constexpr int kRestartsMax = 1000;

// Long before any expiry: nothing has expired yet.
constexpr int64_t kLongAgoMs = 1;

}  // namespace

EngineOptions small_options() {
  EngineOptions options;
  options.memtable_size = 256 * 1024;  // flushed when told
  options.log_segment_size = 64 * 1024;
  options.log_max_bytes = 512 * 1024;
  options.block_cache_size = 256 * 1024;
  options.table_size = 8 * 1024;
  options.base_level_size = 8 * 1024;
  options.level_multiplier = 2;
  options.block_size = 512;
  return options;
}

std::string keyspace_name(uint32_t database, std::string_view key) {
  return fmt::format("{}/{}", database, key);
}

std::string keyspace_value(int64_t expire_ms, std::string_view value) {
  return fmt::format("{} {}", expire_ms, value);
}

// Did the scan say that it could not read this key?
bool Reading::excused(const std::string& key) const {
  if (failed.contains(key)) return true;
  if (keyspace) return failed.contains(key.substr(0, key.find('/') + 1));
  if (!stopped_after) return false;
  return stopped_after->empty() || (backwards ? key < *stopped_after : key > *stopped_after);
}

std::vector<std::string> Reading::differences(const Contents& expected, size_t most) const {
  const char* name = backwards ? "backward scan" : "scan";
  std::vector<std::string> out;
  for (const auto& [key, value] : found) {
    if (out.size() >= most) return out;
    auto it = expected.find(key);
    if (it == expected.end())
      out.push_back(fmt::format("{}: {} should be absent", name, key));
    else if (it->second != value)
      out.push_back(fmt::format("{}: {} has another value", name, key));
  }
  for (const auto& [key, value] : expected) {
    if (out.size() >= most) return out;
    if (!found.contains(key) && !excused(key)) out.push_back(fmt::format("{}: {} is missing", name, key));
  }
  return out;
}

Store::Store(FileSystem& fs, EngineOptions options, uint64_t seed, bool keyspace)
    : has_keyspace_(keyspace), executor_(std::make_unique<test::SimExecutor>(seed)) {
  options.fs = &fs;
  options.executor = executor_.get();
  options.clock = &clock_;
  options.random_seed = seed;
  options.dir = kStoreDir;
  if (keyspace) {
    options.application = kEntryFormatName;
    options.inspector = &inspector_;
  }
  auto opened = Engine::open_blocking(options);
  status_ = opened.status();
  if (!status_) {
    executor_->drop_all();
    return;
  }
  engine_ = opened.take();
  if (has_keyspace_) status_ = keyspace_.attach(engine_.get());
}

// Without close() this is a kill: jobs are gone where they stand.
Store::~Store() {
  executor_->drop_all();
}

Result<Sequence> Store::commit(const WriteBatch& batch) {
  for (int i = 0; i < kTurnsMax; ++i) {
    Admission admission = engine_->admit(batch.byte_size());
    if (admission.verdict == Admission::Verdict::kRefuse) return admission.reason;
    if (admission.verdict == Admission::Verdict::kGo) return engine_->commit(batch);
    turn();
  }
  return Status::busy("no batch was admitted in {} turns", kTurnsMax);
}

Result<Sequence> Store::run(const std::function<void(Transaction&)>& command) {
  for (int i = 0; i < kTurnsMax; ++i) {
    Transaction transaction(keyspace_);
    ReadContext context;
    context.blocking = true;
    transaction.begin(&context, kLongAgoMs);
    command(transaction);
    if (!context.error.ok()) return context.error;
    Admission admission = engine_->admit(transaction.batch_size());
    if (admission.verdict == Admission::Verdict::kRefuse) return admission.reason;
    if (admission.verdict == Admission::Verdict::kGo) return transaction.commit();
    turn();
  }
  return Status::busy("no command was admitted in {} turns", kTurnsMax);
}

void Store::turn() {
  engine_->end_of_turn();
  clock_.advance_us(1000);
  engine_->tick();
  executor_->run_completions();
}

Status Store::settle(bool idle) {
  for (int i = 0, quiet = 0; i < kTurnsMax; ++i) {
    turn();
    EngineStats stats = engine_->stats();
    bool busy = stats.durable_sequence != stats.last_sequence || stats.flush_running ||
                stats.compactions_running > 0 || executor_->pending() > 0;
    quiet = busy ? 0 : quiet + 1;
    // 100 ms without a write: the watermark follows.
    if (!busy && (!idle || quiet > 300)) return Status();
    if (stats.fenced) return stats.background_error;
  }
  return Status::busy("the engine did not come to rest in {} turns", kTurnsMax);
}

namespace {

// The callback that brings an answer.
std::function<void(Status)> into(const Store::Answer& answer) {
  return [answer](Status status) { *answer = std::move(status); };
}

}  // namespace

Store::Answer Store::begin_flush() {
  auto answer = std::make_shared<std::optional<Status>>();
  engine_->flush(into(answer));
  return answer;
}

Store::Answer Store::begin_compact() {
  auto answer = std::make_shared<std::optional<Status>>();
  engine_->compact_range("", "", into(answer));
  return answer;
}

Store::Answer Store::begin_checkpoint(const std::string& dir) {
  auto answer = std::make_shared<std::optional<Status>>();
  engine_->checkpoint(dir, into(answer));
  return answer;
}

Status Store::finish(const Answer& answer, int turns_max) {
  for (int i = 0; i < turns_max && !*answer; ++i) turn();
  return *answer ? **answer : Status::busy("no answer in {} turns", turns_max);
}

Status Store::close() {
  keyspace_.detach();
  auto result = std::make_shared<std::optional<Status>>();
  engine_->close([result](const Status& status) { *result = status; });
  for (int i = 0; i < kTurnsMax && !*result; ++i) {
    clock_.advance_us(1000);
    engine_->tick();
    executor_->run_completions();
  }
  if (!*result) return Status::busy("close did not come to its end in {} turns", kTurnsMax);
  engine_.reset();
  return **result;
}

Status Store::through_misses(ReadContext* context, const std::function<void()>& read) {
  for (int i = 0; i < kRestartsMax; ++i) {
    context->begin_run();
    read();
    if (!context->error.ok()) return context->error;
    if (context->misses.empty()) return Status();
    // Lives on if the fetch does not come back: the executor's jobs refer to it until they are dropped.
    auto fetched = std::make_shared<bool>(false);
    engine_->fetch(*context, [fetched] { *fetched = true; });
    for (int turns = 0; turns < kTurnsMax && !*fetched; ++turns) executor_->wait_completions();
    if (!*fetched) {
      executor_->drop_all();
      return Status::busy("a fetch did not come back");
    }
  }
  return Status::busy("a read was still missing blocks after {} restarts", kRestartsMax);
}

Status Store::get_entry(ReadContext* context, const std::string& key, std::optional<std::string>* value) {
  value->reset();
  if (!has_keyspace_) {
    ReadValue read;
    if (engine_->get(*context, key, &read) == ReadState::kFound) *value = std::string(read.value);
    return context->error;
  }
  size_t slash = key.find('/');
  uint32_t database = 0;
  std::from_chars(key.data(), key.data() + slash, database);
  Transaction transaction(keyspace_);
  transaction.begin(context, kLongAgoMs);
  Entry entry;
  if (transaction.find(transaction.database(database), std::string_view(key).substr(slash + 1), &entry)) {
    std::string scratch;
    std::string_view text = transaction.read_string(entry, &scratch);
    if (!context->faulted()) *value = keyspace_value(entry.record.expire_ms, text);
  }
  transaction.end();
  return context->error;
}

Status Store::get(const std::string& key, bool blocking, std::optional<std::string>* value) {
  ReadContext context;
  context.blocking = blocking;
  return through_misses(&context, [&] { (void)get_entry(&context, key, value); });
}

Reading Store::scan(bool backwards) {
  return has_keyspace_ ? scan_keyspace(backwards) : scan_engine(backwards);
}

Reading Store::scan_engine(bool backwards) {
  Reading reading;
  reading.backwards = backwards;
  ReadContext context;
  context.blocking = true;
  auto it = engine_->new_iterator(context, "", "");
  std::string last;
  bool first = true;
  for (backwards ? it->seek_to_last() : it->seek_to_first(); it->valid();
       backwards ? it->prev() : it->next()) {
    bool in_order =
        first || (backwards ? it->key() < std::string_view(last) : it->key() > std::string_view(last));
    if (!in_order) reading.failed["scan"] = Status::corruption("a scan out of order at {}", it->key());
    first = false;
    last = it->key();
    reading.found.emplace(it->key(), it->value());
  }
  if (it->state() == IterState::kEnd) return reading;
  reading.stopped_after = last;
  reading.failure = context.error.ok() ? Status::aborted("a scan stopped without a reason") : context.error;
  return reading;
}

// Keys by the engine's iterator over the metadata records, values by the transaction: the way of SCAN and
// GET.
Reading Store::scan_keyspace(bool backwards) {
  Reading reading;
  reading.backwards = backwards;
  reading.keyspace = true;
  for (uint32_t i = 0; i < kDatabases; ++i) {
    uint32_t number = backwards ? kDatabases - 1 - i : i;
    ReadContext context;
    context.blocking = true;
    Transaction transaction(keyspace_);
    transaction.begin(&context, kLongAgoMs);
    DatabaseId id = keyspace_.database(number);
    KeyRange range = metadata_range(id);
    auto it = engine_->new_iterator(context, range.begin, range.end);
    std::string last;
    for (backwards ? it->seek_to_last() : it->seek_to_first(); it->valid();
         backwards ? it->prev() : it->next()) {
      DatabaseId database = 0;
      std::string_view key;
      if (!parse_metadata_key(it->key(), &database, &key)) {
        reading.failed["scan"] = Status::corruption("a metadata key that is none");
        break;
      }
      last = keyspace_name(number, key);
      std::optional<std::string> value;
      Status status = get(last, true, &value);
      if (!status) {
        reading.failed[last] = status;
      } else if (value) {
        reading.found[last] = *value;
      }
    }
    transaction.end();
    if (it->state() == IterState::kEnd) continue;
    // One database stops; the others go on. Nothing is said of this one's rest.
    reading.stopped_after = last;
    reading.failure = context.error.ok() ? Status::aborted("a scan stopped without a reason") : context.error;
    reading.failed[keyspace_name(number, "")] = reading.failure;
  }
  return reading;
}

}  // namespace varve::prove
