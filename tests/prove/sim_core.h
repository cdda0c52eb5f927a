// sim_core.h: the server inside a World: Core with the world looking over its shoulder, and a Host that
// answers for the process. Included by sim_*.cc only.
#pragma once

#include <utility>
#include <vector>

#include "prove/sim_world.h"

namespace varve::prove {

class World::SimHost final : public Host {
 public:
  explicit SimHost(World& world) : world_(world) {}

  std::vector<std::pair<std::string, std::string>> config_get(std::string_view) override { return {}; }
  Status config_set(const std::vector<std::pair<std::string, std::string>>& settings) override;
  void config_rewrite(std::function<void(Status)> done) override { done(Status()); }
  void reset_stats() override {}
  const std::string& password() const override { return password_; }
  uint32_t databases() const override { return world_.options_.databases; }
  uint64_t max_bulk() const override { return 512 << 20; }
  std::vector<const ClientState*> clients() override;
  bool kill_client(uint64_t) override { return false; }
  ClientState* client(uint64_t id) override;
  void push(uint64_t id, Sequence gate, const PushMessage& message) override;
  bool run_again(uint64_t id) override;
  void wake(uint64_t id) override;
  std::string info(const std::vector<std::string>&) override { return "\r\n"; }
  void shutdown(bool, bool) override {}
  void checkpoint(std::function<void(Status)> done) override;
  bool checkpoint_running() const override { return world_.checkpoints_->running(); }
  int64_t last_checkpoint_s() const override { return world_.checkpoints_->last_s(); }
  void after_ms(int64_t ms, std::function<void()> call) override { after_ms_for(0, ms, std::move(call)); }
  void after_ms_for(uint64_t client, int64_t ms, std::function<void()> call) override {
    timers_.push_back({world_.clock_.monotonic_us() + ms * 1000, client, std::move(call)});
  }
  void client_gone(uint64_t client) override {
    std::erase_if(timers_, [client](const Timer& timer) { return timer.client == client; });
  }
  int64_t uptime_s() const override { return 1; }

  void run_timers();

 private:
  struct Timer {
    int64_t at_us;
    uint64_t client;  // 0: nobody's
    std::function<void()> call;
  };
  Connection* find(uint64_t id);

  World& world_;
  std::string password_;
  std::vector<Timer> timers_;
};

class World::SimCore final : public Core {
 public:
  SimCore(World& world, uint64_t seed) : Core(*world.host_, world.clock_, seed, [] {}), world_(world) {}

  // A run that leaves something for clients that wait serves them before it returns: their runs are judged
  // behind it, and it ended where the first of them began.
  RunResult run(ClientState& client, Invocation& invocation, OutputBuffer& out) override {
    if (current_ != nullptr && !current_->after) current_->after = last_sequence();
    Ran ran{.client = client.id, .had_waited = client.blocked, .before = last_sequence()};
    Ran* outer = std::exchange(current_, &ran);
    uint64_t start = out.end();
    ran.result = Core::run(client, invocation, out);
    current_ = outer;
    if (!ran.after) ran.after = last_sequence();
    std::string_view unsent = out.unsent(out.end());
    ran.reply = unsent.substr(unsent.size() - (out.end() - start));
    ran.args.assign(invocation.args.begin(), invocation.args.end());
    ran.now_ms = invocation.now_ms;
    ran.waits = client.blocked;
    RunResult result = ran.result;
    if (outer != nullptr) {
      served_.push_back(std::move(ran));
      return result;
    }
    world_.executed(ran);
    for (const Ran& served : std::exchange(served_, {})) world_.executed(served);
    return result;
  }

 private:
  Sequence last_sequence() { return engine() != nullptr ? engine()->last_sequence() : 0; }

  World& world_;
  Ran* current_ = nullptr;
  std::vector<Ran> served_;
};

}  // namespace varve::prove
