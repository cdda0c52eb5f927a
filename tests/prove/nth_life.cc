#include "prove/nth_life.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "prove/past.h"
#include "prove/store.h"

namespace varve::prove {
namespace {

using test::Call;
using test::CrashFs;
using test::CrashPolicy;
using test::Fault;

constexpr int kPatienceTurns = 400;    // for an answer while calls fail
constexpr int kRecoverTurns = 20'000;  // 20 s of the store's time: for going on by itself

class Life {
 public:
  Life(uint64_t seed, Plan plan)
      : plan_(plan),
        random_(seed),
        files_({.nowait_percent = static_cast<int>(random_.below(3)) * 50, .nowait_seed = seed}) {
    options_ = small_options();
    options_.memtable_size = random_.one_in(2) ? 64 * 1024 : 256 * 1024;
    options_.block_cache_size = random_.one_in(2) ? 0 : 256 * 1024;
    if (plan.nth == 0) return;
    if (plan.kind == ErrorKind::kFullDisk) {
      files_.set_space(plan.nth);
    } else {
      arm();
    }
  }

  void run() {
    // Each part starts a store if there is none; a fault may end any of them early.
    write_and_flush();
    compact_and_checkpoint();
    read_and_close();
    reopen_and_write();
    heal();
    last_judgement();
  }

  std::vector<std::string> wrong;
  bool fired() const { return files_.faults_fired() > 0 || space_ran_out_; }
  bool fenced() const { return was_fenced_; }
  Totals totals() const {
    Totals totals;
    totals.calls = files_.calls();
    totals.changes = files_.changes();
    totals.writes = files_.calls(Call::kWrite);
    for (size_t i = 0; i < kOpens.size(); ++i) totals.opens[i] = files_.calls(kOpens[i]);
    totals.bytes = most_space_;
    return totals;
  }

 private:
  void complain(const std::string& text) {
    if (wrong.size() < 4) wrong.push_back(text);
  }

  void arm() {
    Fault fault;
    fault.nth = plan_.nth;
    fault.once = plan_.once;
    switch (plan_.kind) {
      case ErrorKind::kIoError:
        break;
      case ErrorKind::kNoSpace:
        fault.kind = Fault::Kind::kNoSpace;
        fault.changes_only = true;
        break;
      case ErrorKind::kShortWrite:
        fault.kind = Fault::Kind::kShortWrite;
        fault.call = Call::kWrite;
        break;
      case ErrorKind::kNoDescriptors:
        fault.call = plan_.open;
        break;
      case ErrorKind::kFullDisk:
        return;
    }
    files_.add_fault(fault);
  }

  // --- the store's life ---

  // A store to work with, or none: while calls fail, opening may as well.
  bool have_store() {
    if (store_) return true;
    auto store = std::make_unique<Store>(files_, options_, random_.next(), false);
    if (!store->status()) {
      note_failure("open", store->status());
      return false;
    }
    store_ = std::move(store);
    recovered();
    return true;
  }

  // A failure is excused by a fault that fired, and by nothing else.
  void note_failure(const char* what, const Status& status) {
    if (status.is_no_space()) space_ran_out_ = true;
    if (!fired() || healed_) complain(fmt::format("{}: {}", what, status.to_string()));
  }

  // After a start: which prefix of what was committed is there?
  void recovered() {
    Reading reading = store_->scan(false);
    if (!reading.failure.ok()) note_failure("scan after a start", reading.failure);
    std::vector<Sequence> ends = history_.ends();
    std::vector<std::string> differences = reading.differences(history_.contents(), 2);
    while (!differences.empty() && !ends.empty() && ends.back() > acknowledged_) {
      ends.pop_back();
      Sequence last = ends.empty() ? 0 : ends.back();
      differences = reading.differences(history_.at(last), 2);
      if (differences.empty() && reading.failure.ok()) history_.cut(last);
    }
    for (const std::string& text : differences) complain("after a start: " + text);
    unsure_ = !reading.failure.ok();
    now_ = history_.contents();
    acknowledged_ = std::max(acknowledged_, store_->engine().durable_sequence());
  }

  // The process dies here.
  void kill(const CrashPolicy& policy) {
    acknowledge();
    store_.reset();
    was_fenced_here_ = false;
    files_.crash(policy, random_.next());
  }

  void acknowledge() {
    if (!store_) return;
    most_space_ = std::max(most_space_, files_.used_space());
    Sequence durable = store_->engine().durable_sequence();
    if (was_fenced_here_ && durable > acknowledged_) complain("acknowledged after it was fenced");
    acknowledged_ = std::max(acknowledged_, durable);
    was_fenced_here_ = store_->engine().fenced();
    was_fenced_ = was_fenced_ || was_fenced_here_;
  }

  void turns(int n) {
    for (int i = 0; i < n; ++i) {
      store_->turn();
      acknowledge();
    }
  }

  // Fenced: only a restart helps.
  bool usable() {
    acknowledge();
    if (!was_fenced_here_) return true;
    check_contents();
    kill(random_.one_in(2) ? CrashPolicy{} : CrashPolicy::drop_all());
    return false;
  }

  void commit_one() {
    WriteBatch batch;
    Contents then = now_;
    for (uint64_t n = 1 + random_.below(4); n > 0; --n) {
      std::string key = fmt::format("key:{:04}", random_.below(150));
      uint64_t what = random_.below(10);
      if (what == 0) {
        std::string end = key + "5";
        batch.remove_range(key, end);
        then.erase(then.lower_bound(key), then.lower_bound(end));
      } else if (what < 3) {
        batch.remove(key);
        then.erase(key);
      } else {
        std::string value(1 + random_.below(random_.one_in(8) ? 3000 : 200), static_cast<char>('a' + n));
        value += fmt::format(".{}", random_.below(1'000'000));
        batch.put(key, value, random_.one_in(4));
        then[key] = value;
      }
    }
    Admission admission = store_->engine().admit(batch.byte_size());
    if (admission.verdict == Admission::Verdict::kRefuse) note_failure("admit", admission.reason);
    if (admission.verdict != Admission::Verdict::kGo) return turns(5);
    now_ = std::move(then);
    history_.note(store_->engine().commit(batch), now_);
  }

  void check_contents() {
    if (unsure_) return;  // a start could not read everything: what it shows is compared after healing
    for (bool backwards : {false, true}) {
      Reading reading = store_->scan(backwards);
      if (!reading.failure.ok()) note_failure("scan", reading.failure);
      for (const std::string& text : reading.differences(now_, 2)) complain(text);
    }
  }

  void check_some_keys() {
    if (unsure_) return;
    for (int i = 0; i < 12; ++i) {
      std::string key = fmt::format("key:{:04}", random_.below(150));
      std::optional<std::string> value;
      Status status = store_->get(key, random_.one_in(2), &value);
      if (!status) {
        note_failure("get", status);
        continue;
      }
      auto it = now_.find(key);
      if (value.has_value() != (it != now_.end()) || (value && *value != it->second))
        complain(fmt::format("get {}: {}", key, value ? "another value" : "not found"));
    }
  }

  void wait_for(const char* what, Store::Answer answer) {
    for (int i = 0; i < kPatienceTurns && !*answer; ++i) turns(1);
    if (!*answer)
      pending_.push_back({what, std::move(answer)});
    else if (!(*answer)->ok())
      note_failure(what, **answer);
  }

  // --- the script ---

  void write_and_flush() {
    if (!have_store()) return;
    for (int i = 0; i < 40; ++i) {
      commit_one();
      turns(static_cast<int>(random_.below(4)));
    }
    if (!usable()) return;
    wait_for("flush", store_->begin_flush());
    for (int i = 0; i < 30; ++i) {
      commit_one();
      turns(static_cast<int>(random_.below(3)));
      if (i % 10 == 0) check_some_keys();
    }
    (void)usable();
  }

  void compact_and_checkpoint() {
    if (!have_store()) return;
    wait_for("compaction", store_->begin_compact());
    if (!usable() || !have_store()) return;
    for (int i = 0; i < 15; ++i) commit_one();
    turns(20);
    if (!usable() || !have_store()) return;
    std::string dir = "/copy";
    Contents then = now_;
    Store::Answer answer = store_->begin_checkpoint(dir);
    wait_for("checkpoint", answer);
    if (*answer && (*answer)->ok() && !unsure_) checkpoint_ = then;
    (void)usable();
  }

  void read_and_close() {
    if (!have_store()) return;
    check_contents();
    check_some_keys();
    turns(120);  // idle: the watermark
    if (!usable()) return;
    for (int i = 0; i < 6; ++i) commit_one();
    turns(2);
    if (!usable()) return;
    Sequence last = store_->engine().last_sequence();
    pending_.clear();  // a close answers whatever waits, or drops it
    Status status = store_->close();
    if (status)
      acknowledged_ = std::max(acknowledged_, last);
    else
      note_failure("close", status);
    store_.reset();
    if (!status) files_.crash(CrashPolicy::keep_all(), random_.next());
  }

  void reopen_and_write() {
    if (!have_store()) return;
    for (int i = 0; i < 20; ++i) {
      commit_one();
      turns(1);
    }
    if (!usable()) return;
    wait_for("flush", store_->begin_flush());
    check_some_keys();
    (void)usable();
  }

  // --- afterwards ---

  // Calls work again. An open store must go on by itself.
  void heal() {
    files_.clear_faults();
    files_.set_space(UINT64_MAX);
    if (!fired()) return;
    // Not even the directory's name could be made durable, nor taken away: only the machine's restart tells.
    if (history_.ends().empty() && !store_) files_.crash(CrashPolicy::drop_all(), random_.next());
    if (!store_ || !usable()) return;
    if (plan_.kind == ErrorKind::kFullDisk && was_fenced_) complain("a full disk fenced the log");
    bool admitted = false;
    for (int i = 0; i < kRecoverTurns && !admitted && !was_fenced_here_; ++i) {
      turns(1);
      admitted = store_->engine().admit(100).verdict == Admission::Verdict::kGo;
    }
    // The log may be fenced by what had been under way.
    if (!usable()) return;
    if (!admitted) return complain("no writes are admitted though all calls work again");
    for (const auto& [what, answer] : pending_) {
      for (int i = 0; i < kRecoverTurns && !*answer; ++i) turns(1);
      if (!*answer) complain(fmt::format("{}: no answer though all calls work again", what));
    }
    pending_.clear();
  }

  void last_judgement() {
    healed_ = true;
    if (store_ && unsure_) kill(CrashPolicy::keep_all());
    if (!have_store()) return complain("cannot be opened though all calls work again");
    commit_one();
    Status status = store_->settle();
    acknowledge();
    if (!status) complain("does not come to rest: " + status.to_string());
    if (acknowledged_ < store_->engine().last_sequence()) complain("a write does not become durable");
    check_contents();
    if (random_.one_in(2)) {
      kill(random_.one_in(2) ? CrashPolicy{} : CrashPolicy::drop_all());
    } else {
      Sequence last = store_->engine().last_sequence();
      status = store_->close();
      if (!status) complain("close: " + status.to_string());
      store_.reset();
      acknowledged_ = last;
    }
    if (!have_store()) return complain("cannot be opened again");
    check_contents();
    store_.reset();
    if (checkpoint_) check_checkpoint();
  }

  void check_checkpoint() {
    files_.crash(CrashPolicy::drop_all(), random_.next());
    CrashFs copy;
    for (const std::string& path : files_.all_files("/copy"))
      copy.put(kStoreDir + path.substr(5), files_.contents(path));
    Store store(copy, options_, random_.next(), false);
    if (!store.status()) return complain("the checkpoint does not open: " + store.status().to_string());
    Reading reading = store.scan(false);
    if (!reading.failure.ok()) complain("the checkpoint: " + reading.failure.to_string());
    for (const std::string& text : reading.differences(*checkpoint_, 2)) complain("the checkpoint: " + text);
  }

  const Plan plan_;
  Random random_;
  CrashFs files_;
  EngineOptions options_;
  std::unique_ptr<Store> store_;
  History history_;
  Contents now_;
  Sequence acknowledged_ = 0;
  std::vector<std::pair<const char*, Store::Answer>> pending_;
  std::optional<Contents> checkpoint_;
  uint64_t most_space_ = 0;
  bool space_ran_out_ = false, was_fenced_ = false, was_fenced_here_ = false, healed_ = false;
  bool unsure_ = false;  // the last start's scan failed
};

}  // namespace

LifeReport live(uint64_t script, const Plan& plan) {
  Life life(script, plan);
  life.run();
  return {std::move(life.wrong), life.fired(), life.fenced(), life.totals()};
}

}  // namespace varve::prove
