#include "support/engine_world.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace varve::test {
namespace {

constexpr char kDir[] = "/db";
constexpr int kKeys = 400;

std::string batch_number(uint64_t n) {
  return fmt::format("{:012}", n);
}

}  // namespace

void ModelBatch::apply(Contents* contents) const {
  for (const Op& op : ops) {
    if (op.kind == Kind::kPut) {
      (*contents)[op.key] = op.value;
    } else if (op.kind == Kind::kDelete) {
      contents->erase(op.key);
    } else {
      contents->erase(contents->lower_bound(op.key), contents->lower_bound(op.value));
    }
  }
}

EngineWorld::EngineWorld(uint64_t seed) : random_(seed), amend_random_(~seed) {
  draw_options();
}

EngineWorld::~EngineWorld() {
  if (executor_) executor_->drop_all();
}

void EngineWorld::draw_options() {
  options_ = EngineOptions();
  options_.fs = &files_;
  options_.clock = &clock_;
  options_.dir = kDir;
  options_.random_seed = random_.next();
  options_.memtable_size = 4096 + random_.below(64 * 1024);
  options_.max_frozen_memtables = 1 + static_cast<int>(random_.below(3));
  options_.keep_flushed_memtable = random_.one_in(2);
  options_.log_segment_size = 4096 * (16 + random_.below(48));
  options_.log_max_bytes = options_.log_segment_size * (5 + random_.below(8));
  options_.block_cache_size = random_.below(128 * 1024);
  options_.table_cache_files = 1 + random_.below(random_.one_in(2) ? 3 : 50);
  options_.table_size = 2048 + random_.below(32 * 1024);
  options_.base_level_size = 4096 + random_.below(64 * 1024);
  options_.level_multiplier = 2 + static_cast<int>(random_.below(5));
  options_.level0_trigger = 1 + static_cast<int>(random_.below(4));
  options_.level0_slow = options_.level0_trigger + static_cast<int>(random_.below(6));
  options_.level0_stop = options_.level0_slow + 1 + static_cast<int>(random_.below(8));
  options_.block_size = 128 + random_.below(2048);
  options_.filter_bits_per_key = random_.one_in(4) ? 0 : 10;
  options_.compression = random_.one_in(2) ? Compression::kNone : Compression::kLz4;
  options_.bottom_compression = random_.one_in(2) ? Compression::kNone : Compression::kZstd;
  options_.random_miss_one_in = random_.one_in(2) ? 0 : 2 + static_cast<uint32_t>(random_.below(20));
  uint64_t mode = random_.below(8);
  options_.sync = mode == 0 ? SyncMode::kNo : mode == 1 ? SyncMode::kEverySecond : SyncMode::kAlways;
}

void EngineWorld::complain(const std::string& text) {
  errors.push_back(text);
}

Status EngineWorld::open() {
  executor_ = std::make_unique<SimExecutor>(random_.next());
  options_.executor = executor_.get();
  options_.random_seed = random_.next();  // as from the operating system: identities never repeat
  auto opened = Engine::open_blocking(options_);
  if (!opened) {
    executor_->drop_all();
    executor_.reset();
    return opened.status();
  }
  engine_ = opened.take();
  if (files_.crashed()) {
    // The power went after the recovery, in the first background work: nothing can be read any more.
    executor_->drop_all();
    engine_.reset();
    executor_.reset();
    return Status::io_error("power cut right after the recovery");
  }
  replayed_batches_ += engine_->stats().recovered_batches;
  check_recovered();
  durable_ = engine_->durable_sequence();
  engine_->set_on_durable([this](Sequence durable) { durable_ = std::max(durable_, durable); });
  return Status();
}

// Which prefix did the disk keep? The batch number under kBatchKey tells; the rest must agree with it
// exactly.
void EngineWorld::check_recovered() {
  Contents found = read_all(false);
  auto it = found.find(std::string(kBatchKey));
  uint64_t number = it == found.end() ? 0 : std::stoull(it->second);
  uint64_t least = durable_batches();
  if (number < least) complain(fmt::format("batches up to {} were durable, the disk has {}", least, number));
  if (number > committed())
    complain(fmt::format("the disk has batch {}, only {} were written", number, committed()));
  number = std::clamp(number, past_, committed());
  Contents expected = base_;
  for (uint64_t i = past_; i < number; ++i) batches_[i - past_].apply(&expected);
  if (found != expected) {
    for (const auto& [key, value] : expected) {
      auto f = found.find(key);
      if (f == found.end())
        complain(fmt::format("after recovery to batch {}: {} is missing", number, key));
      else if (f->second != value)
        complain(fmt::format("after recovery to batch {}: {} has another value", number, key));
    }
    for (const auto& [key, value] : found) {
      if (!expected.contains(key))
        complain(fmt::format("after recovery to batch {}: {} is back", number, key));
    }
  }
  lost_batches_ += committed() - number;
  past_ = number;
  base_ = contents_ = expected;
  batches_.clear();
  last_sequences_.clear();
}

uint64_t EngineWorld::durable_batches() const {
  auto it = std::upper_bound(last_sequences_.begin(), last_sequences_.end(), durable_);
  return past_ + static_cast<uint64_t>(it - last_sequences_.begin());
}

std::string EngineWorld::random_key() {
  // A few hot keys, and a shared prefix as real keys have.
  uint64_t n = random_.one_in(3) ? random_.below(8) : random_.below(kKeys);
  return fmt::format("key:{:05}", n);
}

void EngineWorld::commit_random() {
  ModelBatch model;
  WriteBatch batch;
  uint64_t ops = random_.one_in(40) ? 50 + random_.below(200) : 1 + random_.below(4);
  for (uint64_t i = 0; i < ops; ++i) {
    uint64_t what = random_.below(12);
    if (what == 0) {
      std::string begin = random_key(), end = random_key();
      if (end < begin) std::swap(begin, end);
      if (begin == end) continue;
      if (!random_.one_in(5)) end = begin + "0";
      batch.remove_range(begin, end);
      model.ops.push_back({Kind::kRangeDelete, begin, end});
    } else if (what < 4) {
      std::string key = random_key();
      batch.remove(key);
      model.ops.push_back({Kind::kDelete, key, ""});
    } else {
      std::string key = random_key();
      std::string value = fmt::format("{}.{}.", committed(), i);
      value.resize(value.size() + (random_.one_in(20) ? random_.below(3000) : random_.below(60)),
                   static_cast<char>('a' + random_.below(26)));
      if (value.size() > 1000) last_long_ = key;
      batch.put(key, value, random_.one_in(4));
      model.ops.push_back({Kind::kPut, key, value});
    }
  }
  std::string number = batch_number(committed() + 1);
  batch.put(kBatchKey, number);
  model.ops.push_back({Kind::kPut, std::string(kBatchKey), number});
  Admission admission = engine_->admit(batch.byte_size());
  if (admission.verdict != Admission::Verdict::kGo) {
    clock_.advance_us(std::max<int64_t>(admission.wait_us, 1000));
    return;
  }
  if (amend_random_.one_in(2)) amend_random(batch, &model);
  Sequence last = engine_->commit(batch);
  model.apply(&contents_);
  batches_.push_back(std::move(model));
  last_sequences_.push_back(last);
}

// Some bytes of a long value change together with the batch, if the engine can do that.
void EngineWorld::amend_random(const WriteBatch& batch, ModelBatch* model) {
  auto found = contents_.find(last_long_);
  if (found == contents_.end()) return;
  std::string value = found->second;
  std::string bytes(1 + amend_random_.below(20), static_cast<char>('A' + amend_random_.below(26)));
  size_t offset = amend_random_.below(value.size() + 1);  // now and then beyond its end
  if (!engine_->amend(last_long_, offset, bytes, batch.byte_size())) return;
  ++amended_;
  if (offset + bytes.size() > value.size()) complain("amend: beyond the end of " + last_long_);
  value.replace(offset, bytes.size(), bytes);
  model->ops.insert(model->ops.begin(), {Kind::kPut, last_long_, value});
}

void EngineWorld::wait_for(const bool& flag) {
  // The world may have ended meanwhile: then nothing comes any more.
  for (int i = 0; i < 10'000 && !flag && !files_.crashed(); ++i) executor_->wait_completions();
}

void EngineWorld::check_key(const std::string& key) {
  ReadContext context;
  ReadValue value;
  ReadState state;
  while (true) {
    context.begin_run();
    state = engine_->get(context, key, &value);
    if (state != ReadState::kFault) break;
    if (!context.error.ok()) {
      if (!files_.crashed() && files_.faults_fired() == 0) complain("get: " + context.error.to_string());
      return;
    }
    bool fetched = false;
    engine_->fetch(context, [&fetched] { fetched = true; });
    wait_for(fetched);
    if (!fetched) {
      executor_->drop_all();  // the context goes, so must what refers to it
      return;
    }
  }
  auto it = contents_.find(key);
  if (it == contents_.end() && state == ReadState::kFound) complain("get: " + key + " should be absent");
  if (it != contents_.end() && state == ReadState::kAbsent) complain("get: " + key + " should be there");
  if (it != contents_.end() && state == ReadState::kFound && value.value != it->second) {
    complain("get: " + key + " has another value");
  }
}

Contents EngineWorld::read_all(bool backwards) {
  Contents out;
  ReadContext context;
  context.blocking = true;
  auto it = engine_->new_iterator(context, "", "");
  if (backwards) {
    std::string last;
    for (it->seek_to_last(); it->valid(); it->prev()) {
      if (!last.empty() && it->key() >= std::string_view(last)) complain("backward scan out of order");
      last = it->key();
      out.emplace(it->key(), it->value());
    }
  } else {
    for (it->seek_to_first(); it->valid(); it->next()) {
      if (!out.empty() && it->key() <= std::string_view(out.rbegin()->first)) complain("scan out of order");
      out.emplace(it->key(), it->value());
    }
  }
  if (it->state() != IterState::kEnd && files_.faults_fired() == 0)
    complain("scan: " + context.error.to_string());
  return out;
}

void EngineWorld::check_all() {
  for (bool backwards : {false, true}) {
    Contents found = read_all(backwards);
    if (files_.crashed()) return;
    if (found != contents_)
      complain(fmt::format("{} scan differs from the model", backwards ? "backward" : "forward"));
  }
}

void EngineWorld::step() {
  switch (random_.below(16)) {
    case 0:
      clock_.advance_us(static_cast<int64_t>(random_.below(300'000)));
      engine_->tick();
      break;
    case 1:
    case 2:
      check_key(random_key());
      break;
    case 3:
      if (random_.one_in(40)) check_all();
      break;
    case 4:
      if (random_.one_in(30)) engine_->flush([](const Status&) {});
      if (random_.one_in(60)) engine_->compact_range("", "", [](const Status&) {});
      break;
    case 5:
    case 6:
    case 7:
      executor_->run_completions(1 + random_.below(3));
      break;
    case 8:
    case 9:
      engine_->end_of_turn();
      break;
    default:
      if (!engine_->fenced()) commit_random();
      break;
  }
}

bool EngineWorld::settle() {
  for (int i = 0; i < 20'000; ++i) {
    engine_->end_of_turn();
    clock_.advance_us(50'000);
    engine_->tick();
    executor_->run_completions();
    EngineStats stats = engine_->stats();
    if (stats.durable_sequence == stats.last_sequence && !stats.flush_running &&
        stats.compactions_running == 0 && executor_->pending() == 0) {
      return true;
    }
  }
  return false;
}

void EngineWorld::kill(const CrashPolicy& policy) {
  executor_->drop_all();
  engine_.reset();
  executor_.reset();
  files_.crash(policy, random_.next());
}

Status EngineWorld::close() {
  std::optional<Status> result;
  engine_->close([&result](const Status& status) { result = status; });
  for (int i = 0; i < 100'000 && !result; ++i) {
    clock_.advance_us(1000);
    engine_->tick();
    executor_->run_completions();
  }
  if (result && result->ok()) durable_ = engine_->last_sequence();
  engine_.reset();
  executor_.reset();
  return result ? *result : Status::aborted("close did not come to an end");
}

}  // namespace varve::test
