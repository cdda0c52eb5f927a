// Ends and beginnings: kills, power cuts, recoveries (cut short as well), and what must be there afterwards.
#include <fmt/format.h>

#include <algorithm>

#include "prove/sim_core.h"

namespace varve::prove {
namespace {

using test::CrashPolicy;
using test::Fault;

constexpr int kCrashesInRecovery = 3;
constexpr int kPatience = 100'000;  // turns; a slow read lane and no cache take many
constexpr int64_t kTurnUs = 2'000;
constexpr int64_t kExpirySettlesUs = 2'000'000;

}  // namespace

// The process is gone; files are as they are.
void World::end_process() {
  if (core_ != nullptr && core_->engine() != nullptr) {
    // Whatever the sync mode: what the engine says is fsynced is.
    must_have_ = std::max(must_have_, model_.prefix_at(core_->engine()->durable_sequence()));
  }
  time_stands_ = expired_gone_ = false;
  if (executor_) executor_->drop_all();
  core_.reset();
  checkpoints_.reset();
  executor_.reset();
  host_.reset();
  for (Client& client : clients_) client = Client();
  checker_ = Client();
}

// What the machine makes of the files.
void World::lose(uint64_t how, Random* random) {
  CrashPolicy policy = draw_policy(*random);
  if (how == 0) {
    files_.kill_process();
    count("fault:kill");
  } else {
    files_.crash(policy, random->next());
    count("fault:power-cut");
  }
}

void World::kill(uint64_t how, uint64_t seed) {
  Random random(seed);
  count("crashes");
  end_process();
  files_.clear_faults();
  files_.set_space(UINT64_MAX);
  disturbed_ = false;
  lose(how == 1 ? 1 : 0, &random);
  restart(&random);
  if (!ok() || how != 2) return;
  // What a client saw after the restart is still there after the power cut that follows.
  count("fault:kill-then-power-cut");
  count("crashes");
  end_process();
  lose(1, &random);
  restart(&random);
}

// Opens the directory, through up to three crashes of the recovery itself and a failing call.
void World::restart(Random* random) {
  draw_life(*random, &options_);
  bool failed = false;
  for (int depth = 0; ok(); ++depth) {
    bool may_crash = depth < kCrashesInRecovery && random->one_in(3);
    if (may_crash) {
      files_.add_fault({.kind = Fault::Kind::kCrash, .changes_only = true, .nth = 1 + random->below(40)});
    }
    bool may_fail = !failed && options_.has("errors") && random->one_in(8);
    uint64_t fired = files_.faults_fired();
    if (may_fail) {
      files_.add_fault({.kind = random->one_in(3) ? Fault::Kind::kNoSpace : Fault::Kind::kIoError,
                        .call = {},
                        .nth = 1 + random->below(80)});
    }
    Status opened = open_core(random);
    bool crashed = files_.crashed();
    bool error_fired = files_.faults_fired() > fired + (crashed ? 1 : 0);
    files_.clear_faults();
    if (opened.ok() && !crashed) {
      disturbed_ = error_fired;
      return check_recovered(random);
    }
    end_process();
    if (crashed) {
      count("fault:crash-in-recovery");
      count("crashes");
      lose(random->one_in(3) ? 0 : 1, random);
    } else if (error_fired) {
      failed = true;  // it may refuse, once; the next attempt meets no error
      count("recoveries refused");
      lose(0, random);
    } else {
      complain("does not open: " + opened.to_string());
    }
  }
}

Status World::open_core(Random* random) {
  executor_ = std::make_unique<test::SimExecutor>(random->next());
  host_ = std::make_unique<SimHost>(*this);
  clock_.step_us = options_.clock_step_us;
  core_ = std::make_unique<SimCore>(*this, random->next());
  core_->clients().set_limits(options_.limits);
  checkpoints_ = std::make_unique<Checkpoints>(files_, *executor_, clock_);
  options_.engine.fs = &files_;
  options_.engine.executor = executor_.get();
  options_.engine.clock = &clock_;
  options_.engine.random_seed = random->next();
  std::optional<Status> opened;
  core_->open(options_.engine, [&opened](const Status& status) { opened = status; });
  if (random->one_in(16)) meet_loading(random);
  for (int i = 0; i < kPatience && !opened && ok(); ++i) executor_->wait_completions();
  if (!opened) return Status::aborted("opening does not come to an end");
  return *opened;
}

// A client that is there before the data is.
void World::meet_loading(Random* random) {
  Draw draw(*random, options_.draw);
  draw.now_ms = now_ms();
  Client* client = &clients_[0];
  connect(client);
  send(client, {"PING"});
  send(client, {"GET", draw.key()});
  send(client, {"SET", draw.key(), draw.value()});
  deliver(client, SIZE_MAX);
  core_->turn();
  take(client, SIZE_MAX);
  count("met while loading");
}

// The disk must hold what the model was after some batch, no earlier than the newest that anybody was
// promised.
void World::check_recovered(Random* random) {
  Engine& engine = *core_->engine();
  uint64_t last = model_.next_batch() - 1;
  uint64_t kept = std::min(model_.prefix_at(engine.last_sequence()), last);
  uint64_t replayed = engine.stats().recovered_batches;
  if (kept < must_have_) {
    return complain(
        fmt::format("after the recovery the data ends with batch {}, but batch {} was promised or shown "
                    "(log replayed: {} batches)",
                    kept, must_have_, replayed));
  }
  count("lives");
  if (executor_->has_slow_lane()) count("fault:slow-jobs");
  if (replayed > 0 || kept < last) count("recoveries");
  count("batches replayed", replayed);
  count("batches lost unacknowledged", last - kept);
  model_.keep_prefix(kept);
  fold(fmt::format("recovered {} {}", kept, replayed));
  next_tick_us_ = clock_.monotonic_us();
  if (random->one_in(20)) advance(static_cast<int64_t>(random->below(1'000'000)));
  compare_all();
}

// Asks a server that is left alone for everything.
void World::compare_all() {
  core_->clients().set_limits(ClientLimits());  // those of this life are not for who asks for everything
  connect(&checker_);
  if (!ok()) return;
  checker_.wire->capacity = 1 << 20;
  for (uint32_t db = 0; db < model_.databases() && ok(); ++db) {
    ask({"SELECT", std::to_string(db)});
    ask({"DBSIZE"});
    checker_.cursor = "0";
    do {
      ask({"SCAN", kLatestCursor, "COUNT", "1000"});
      if (!pump([this] { return checker_.expected.empty() && checker_.sent.empty(); }, kPatience)) {
        return complain("SCAN after a recovery is not answered");
      }
    } while (checker_.cursor != "0");
    for (const auto& [key, slot] : model_.database(db).slots) {
      if (!slot.there) continue;
      ask_whole(key, slot);
      ask({"PEXPIRETIME", key});
      if (slot.batch % 8 == 0) ask({"TYPE", key});
    }
  }
  if (!pump([this] { return checker_.expected.empty() && checker_.sent.empty(); }, kPatience)) {
    return complain("reads after a recovery are not answered");
  }
  disconnect(&checker_, 0);
  core_->turn();  // it is gone before the limits are back
  core_->clients().set_limits(options_.limits);
}

// A sorted set by its order, by its members, and where some of them stand.
void World::ask_whole(const std::string& key, const Slot& slot) {
  switch (slot.type) {
    case Slot::Type::kString:
      return ask({"GET", key});
    case Slot::Type::kHash:
      return ask({"HGETALL", key});
    case Slot::Type::kSet:
      return ask({"SMEMBERS", key});
    case Slot::Type::kList:
      ask({"LLEN", key});
      return ask({"LRANGE", key, "0", "-1"});
    case Slot::Type::kStream:
      return ask({"XRANGE", key, "-", "+"});
    case Slot::Type::kSortedSet:
      break;
  }
  ask({"ZRANGE", key, "0", "-1", "WITHSCORES"});
  std::vector<std::string> scores = {"ZMSCORE", key};
  size_t every = 1 + slot.scores.size() / 6;
  for (const auto& [member, score] : slot.scores) {
    scores.push_back(member);
    if (scores.size() % every == 0) ask({"ZRANK", key, member});
  }
  ask(scores);
  ask({"ZCARD", key});
}

void World::ask(const std::vector<std::string>& args) {
  send(&checker_, args);
}

template <class Done>
bool World::pump(Done done, int limit) {
  for (int i = 0; i < limit && ok() && !files_.crashed(); ++i) {
    if (done()) return true;
    for (Client& client : clients_) {
      deliver(&client, SIZE_MAX);
      take(&client, SIZE_MAX);
    }
    deliver(&checker_, SIZE_MAX);
    take(&checker_, SIZE_MAX);
    core_->turn();
    executor_->run_completions();
    advance(kTurnUs);
  }
  return done() || !ok() || files_.crashed();
}

// Faults are over: everything asked is answered, the engine comes to rest, and writes are taken again.
void World::rest(bool compare) {
  files_.clear_faults();
  files_.set_space(UINT64_MAX);
  auto answered = [this] {
    for (Client& client : clients_) {
      bool owed = !client.sent.empty() || !client.expected.empty();
      if (client.wire && !client.wire->broken && owed && !waits_rightly(&client)) return false;
    }
    return true;
  };
  if (!pump(answered, kPatience)) return complain("commands are never answered although nothing fails");
  if (!ok()) return;
  auto settled = [this] {
    if (fenced()) return true;  // perhaps only now: what failed before may tell of it late
    EngineStats stats = core_->engine()->stats();
    bool durable = options_.engine.sync != SyncMode::kAlways || stats.durable_sequence == stats.last_sequence;
    return durable && !stats.flush_running && stats.compactions_running == 0 && executor_->pending() == 0;
  };
  if (!pump(settled, kPatience)) {
    EngineStats stats = core_->engine()->stats();
    return complain(
        fmt::format("the engine does not come to rest: durable {} of {}, flush running {}, compactions {}, "
                    "jobs {}\n{}",
                    stats.durable_sequence, stats.last_sequence, stats.flush_running,
                    stats.compactions_running, executor_->pending(), core_->engine()->debug_string()));
  }
  if (!ok() || files_.crashed() || fenced()) return;
  auto recovered = [this] { return core_->engine()->stats().background_error.ok(); };
  if (!pump(recovered, kPatience)) {
    return complain("long after the last fault: " + core_->engine()->stats().background_error.to_string());
  }
  if (!ok() || files_.crashed()) return;
  disturbed_ = false;
  count("rests");
  if (!compare) return;
  compare_all();
  compare_counts();
}

// Once every blind record has met what it replaced and the active expiry has been everywhere, counts are
// exact.
void World::compare_counts() {
  if (!ok() || fenced()) return;
  // Shared: a crash in between leaves the engine with callbacks that are never called, or called at its end.
  auto flushed = std::make_shared<std::optional<Status>>();
  auto compacted = std::make_shared<std::optional<Status>>();
  auto goes_on = [this] { return ok() && !files_.crashed(); };
  time_stands_ = true;
  int64_t until_us = clock_.monotonic_us() + kExpirySettlesUs;
  core_->engine()->flush([flushed](const Status& status) { *flushed = status; });
  auto expired = [&] { return *flushed && clock_.monotonic_us() >= until_us && runs_stand_still(); };
  if (!pump(expired, kPatience)) return complain("a flush does not come to an end");
  if (!goes_on()) return;
  expired_gone_ = true;
  core_->engine()->compact_range("", "", [compacted](const Status& status) { *compacted = status; });
  if (!pump([&] { return compacted->has_value(); }, kPatience)) {
    return complain("a compaction does not come to an end");
  }
  if (!goes_on()) return;
  if (!(*flushed)->ok() || !(*compacted)->ok()) return complain("nothing fails, but flush or compaction did");
  connect(&checker_);
  for (uint32_t db = 0; db < model_.databases() && checker_.wire; ++db) {
    ask({"SELECT", std::to_string(db)});
    ask({"DBSIZE"});
  }
  if (!pump([this] { return checker_.expected.empty() && checker_.sent.empty(); }, kPatience)) {
    return complain("DBSIZE is not answered");
  }
  disconnect(&checker_, 0);
  time_stands_ = expired_gone_ = false;
  count("counts compared");
}

void World::shut_down(uint64_t seed) {
  Random random(seed);
  files_.clear_faults();
  files_.set_space(UINT64_MAX);
  count("shutdowns");
  bool was_fenced = fenced();
  for (Client& client : clients_) client.may_close = true;
  core_->shut_down();
  auto drained = [this] {
    core_->advance_shutdown();
    return core_->drained();
  };
  if (!pump(drained, kPatience)) return complain("a shutdown does not come to an end");
  if (!ok()) return;
  if (core_->shutdown_status().ok()) {
    if (was_fenced) return complain("a shutdown says that all is well, but the log was fenced");
    must_have_ = model_.next_batch() - 1;
  } else if (!was_fenced && !disturbed_) {
    return complain("a shutdown failed: " + core_->shutdown_status().to_string());
  }
  disturbed_ = false;
  core_->stop();
  end_process();
  lose(random.one_in(2) ? 0 : 1, &random);
  restart(&random);
}

}  // namespace varve::prove
