// sim_world.h: a whole server in one thread: the real connections, commands and engine (server/core.h) over
// simulated sockets, files, jobs, clock and chance, beside the model that says what every reply and every
// recovery must be.
//
// A run is a list of actions. The world does nothing by itself: the same seed and the same actions give the
// same run, byte for byte (hash()). Actions that mean nothing any more are skipped, so that a failing list
// can be cut down.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "prove/proof.h"
#include "prove/sim_model.h"
#include "prove/sim_options.h"
#include "prove/sim_transport.h"
#include "server/checkpoints.h"
#include "server/core.h"
#include "support/sim_executor.h"

namespace varve::prove {

struct Action {
  enum class Kind : uint8_t {
    kConnect,     // client
    kSend,        // client, args: into its outgoing bytes; a: as an inline command if it can be one
    kDeliver,     // client, a bytes: to the server
    kTake,        // client, a bytes: the client reads
    kTurn,        // the server's turn ends
    kStep,        // a steps of jobs: one runs, or one has its completion arrive
    kComplete,    // the loop finishes at most a completions
    kAdvance,     // a microseconds pass
    kDisconnect,  // client; a: 0 reset, 1 half close, 2 found out at the next write
    kKill,        // a: 0 kill -9, 1 power cut, 2 both; b: seed of what is left and of the next life
    kFault,       // a: which (fault_name), b: the n-th call that fits fails
    kCrashAt,     // a: the n-th changing call is the last; b: seed as kKill's
    kSpace,       // a bytes are left on the disk
    kRest,        // no more faults; everything asked must be answered; a: then compare all
    kShutdown,    // cleanly; b: seed of the next life
  };
  Kind kind = Kind::kTurn;
  uint32_t client = 0;
  uint64_t a = 0, b = 0;
  std::vector<std::string> args = {};

  std::string to_string() const;
};

class SimClock final : public Clock {
 public:
  int64_t now_us() override { return wall_us_; }
  int64_t monotonic_us() override { return mono_us_ += step_us; }
  void advance_us(int64_t us, bool wall) {
    mono_us_ += us;
    if (wall) wall_us_ += us;
  }
  int64_t step_us = 0;  // each look takes so long

 private:
  int64_t wall_us_ = 1'700'000'000'000'000;
  int64_t mono_us_ = 1'000'000;
};

class World {
 public:
  World(uint64_t seed, Counters* counters);
  ~World();
  World(const World&) = delete;

  void apply(const Action& action);
  // Wrong so far. After the first complaint a world does nothing more.
  const std::string& complaint() const { return complaint_; }
  bool ok() const { return complaint_.empty(); }
  // Of every command that ran, its reply, and every recovery.
  uint64_t hash() const { return hash_; }

  // --- for whoever draws the next action ---
  const WorldOptions& options() const { return options_; }
  bool connected(uint32_t client) const {
    return client < clients_.size() && clients_[client].wire != nullptr;
  }
  size_t unanswered(uint32_t client) const;
  bool fenced() const;
  bool disturbed() const { return disturbed_; }
  int64_t now_ms() { return clock_.now_ms(); }
  size_t jobs() const { return executor_ ? executor_->pending() : 0; }
  static size_t fault_kinds();
  // Does this client's command wait for keys? Which of them anybody waits for.
  bool waits(uint32_t client) const;
  void awaited(std::vector<std::string>* keys) const;
  // Adds what happened to the counters.
  void report();

 private:
  class SimCore;
  class SimHost;
  friend class SimCore;
  friend class SimHost;

  // One run of a client's command.
  struct Ran {
    uint64_t client = 0;
    bool had_waited = false;  // for keys, before this run
    Sequence before = 0;      // the log's end
    std::optional<Sequence> after = {};
    RunResult result = RunResult::kDone;
    std::string reply = {};
    std::vector<std::string> args = {};
    int64_t now_ms = 0;
    bool waits = false;  // for keys, from now on
  };
  // A reply on its way: what it must be, and what the client knows once it has it.
  struct Expected {
    std::string bytes;     // may be any one reply if `any`
    size_t matched = 0;    // of bytes, received
    uint64_t depends = 0;  // the newest batch it shows
    bool any = false;
    // Of a streamed reply whose bytes are not known, once it is whole.
    std::function<std::string(std::string_view reply)> check = nullptr;
    bool wrote = false;     // it acknowledges a batch
    bool gated = false;     // it waits until what it shows is durable
    bool promises = false;  // WAITAOF: holds whatever the sync mode
    bool stream = false;
    bool scan = false;
  };
  struct Client {
    uint64_t id = 0;  // of its connection
    std::shared_ptr<Wire> wire;
    Session session;
    std::string outbox;
    size_t outbox_at = 0;
    std::deque<std::vector<std::string>> sent;  // not executed yet
    std::deque<Expected> expected;
    std::string inbox;
    std::string cursor = "0";
    bool may_close = false;  // the server has a reason to close it
    bool cut_off = false;    // has been told that the log is fenced
    bool half_closed = false;
    bool idle = false;            // its command stands by: no run of it is under way, and it has no time yet
    int64_t waits_since_us = -1;  // its command waits for keys (-1: none does)
  };

  void complain(const std::string& what);
  void count(const char* name, uint64_t n = 1);

  // sim_world.cc
  void connect(Client* client);
  void send(Client* client, const std::vector<std::string>& args, bool as_line = false);
  void send_transaction(Client* client, const std::vector<std::string>& args);
  void deliver(Client* client, size_t n);
  void take(Client* client, size_t n);
  void received(Client* client);
  void acknowledged(Client* client, const Expected& reply, std::string_view bytes);
  void fence_reply(Client* client);
  void disconnect(Client* client, uint64_t how);
  void advance(int64_t us);
  void set_fault(uint64_t which, uint64_t nth);
  Client* client_of(uint64_t connection);
  Connection* connection_of(const Client& client);

  void set_sync_mode(SyncMode mode);

  // sim_oracle.cc: what a command that ran must have done
  void executed(const Ran& ran);
  void judge(Client* client, const CommandRow& row, const Ran& ran);
  std::string judge_reply(const CommandRow& row, ModelRun* run, std::string_view reply, RunResult result);
  bool timed_out(const Client& client, const Ran& ran);
  bool waits_rightly(Client* client);
  bool runs_stand_still();
  std::string judge_exec(ModelRun* run, std::string_view reply);
  bool is_refusal(const Client& client, std::string_view reply) const;
  bool is_refusal(std::string_view reply) const;
  void fold(std::string_view bytes);

  // sim_lives.cc: ends and beginnings
  void end_process();
  void kill(uint64_t how, uint64_t seed);
  void lose(uint64_t how, Random* random);
  void restart(Random* random);
  Status open_core(Random* random);
  void meet_loading(Random* random);
  void check_recovered(Random* random);
  void compare_all();
  void ask(const std::vector<std::string>& args);
  void ask_whole(const std::string& key, const Slot& slot);
  // Lets the world move on until `done`; false if it never is.
  template <class Done>
  bool pump(Done done, int limit);
  void rest(bool compare);
  void compare_counts();
  void shut_down(uint64_t seed);

  Random random_;
  Counters* counters_;
  WorldOptions options_;
  test::CrashFs files_;
  SimClock clock_;
  std::unique_ptr<test::SimExecutor> executor_;
  std::unique_ptr<SimHost> host_;
  std::unique_ptr<SimCore> core_;
  std::unique_ptr<Checkpoints> checkpoints_;
  int64_t next_tick_us_ = 0;
  std::vector<Client> clients_;
  Client checker_;

  Model model_;
  uint64_t must_have_ = 0;     // the newest batch somebody was promised or shown
  bool time_stands_ = false;   // nothing expires any more
  bool expired_gone_ = false;  // and what has expired was removed
  bool disturbed_ = false;     // calls fail, or may have failed: refusals are right
  uint64_t crash_seed_ = 0;    // for a crash that comes in the middle of something
  std::string complaint_;
  uint64_t hash_ = 0;
  std::vector<uint64_t> ran_;  // beside all_commands()
  std::map<std::string, uint64_t> counts_;
};

}  // namespace varve::prove
