// in_process.h: the command layer over a real engine without sockets: files in memory, a clock that moves
// when told, one thread of its own for everything (SimExecutor). For command scripts and random tests.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command/dispatcher.h"
#include "command/push_message.h"
#include "keyspace/entry_format.h"
#include "keyspace/key_events.h"
#include "support/crash_fs.h"
#include "support/manual_clock.h"
#include "support/sim_executor.h"

namespace varve::test {

// What commands ask of their process, with as little behind it as they need.
class PlainHost : public Host {
 public:
  std::vector<std::pair<std::string, std::string>> config_get(std::string_view name) override {
    if (name == "enable-debug-command") return {{"enable-debug-command", "yes"}};
    return {};
  }
  Status config_set(const std::vector<std::pair<std::string, std::string>>& settings) override {
    for (const auto& [name, value] : settings) {
      if (name == "notify-keyspace-events") event_classes_ = parse_event_classes(value).value();
      if (name == "slowlog-log-slower-than") observation_.slow_us = std::stoll(value);
      if (name == "slowlog-max-len") observation_.slow_entries = std::stoull(value);
      if (name == "latency-monitor-threshold") observation_.latency_ms = std::stoll(value);
    }
    return Status();
  }
  uint32_t event_classes() const override { return event_classes_; }
  const ObservationLimits& observation() const override { return observation_; }
  void config_rewrite(std::function<void(Status)> done) override { done(Status()); }
  void reset_stats() override {}
  const std::string& password() const override { return password_; }
  uint32_t databases() const override { return 16; }
  uint64_t max_bulk() const override { return 512 << 20; }
  uint64_t max_reply() const override { return 8 << 20; }
  std::vector<const ClientState*> clients() override { return clients_; }
  bool kill_client(uint64_t) override { return false; }
  std::string info(const std::vector<std::string>&) override { return "\r\n"; }
  void shutdown(bool, bool) override {}
  void checkpoint(std::function<void(Status)> done) override { done(Status()); }
  bool checkpoint_running() const override { return false; }
  int64_t last_checkpoint_s() const override { return 0; }
  // Short pauses are over at once: who waits for them has nothing else to wait for.
  void after_ms(int64_t ms, std::function<void()> call) override {
    later_.emplace_back(ms <= 10 ? 0 : now_ms_ + ms, std::move(call));
  }
  int64_t uptime_s() const override { return 1; }

  std::string password_;
  std::vector<const ClientState*> clients_;
  std::vector<std::pair<int64_t, std::function<void()>>> later_;  // with the time when it is due
  int64_t now_ms_ = 0;
  uint32_t event_classes_ = 0;
  ObservationLimits observation_;
};

struct InProcessOptions {
  uint64_t seed = 1;
  uint32_t random_miss_one_in = 0;
  size_t block_cache_size = 1 << 20;
  bool flush_often = false;  // every command meets the earlier ones in tables
  bool long_turns = false;   // some commands run in one turn of the loop
  uint64_t log_segment_size = 4 << 20;
  uint64_t log_max_bytes = 1 << 30;
  void (*add_commands)(CommandTable&) = nullptr;
};

class InProcessServer {
 public:
  explicit InProcessServer(InProcessOptions options);
  ~InProcessServer();

  // Runs one command for a client to its end, or until it blocks; everything sent to the client, in RESP.
  std::string run(uint64_t client, const std::vector<std::string>& args);
  // What has been sent to a client meanwhile.
  std::string take(uint64_t client);
  bool blocked(uint64_t client) { return clients_.count(client) != 0 && clients_[client]->parked != nullptr; }
  void disconnect(uint64_t client);
  void advance_ms(int64_t ms);
  // Time passes, and nobody has looked for what has expired.
  void advance_clock_ms(int64_t ms) { clock_.advance_ms(ms); }
  // Everything written so far is in tables.
  void flush();
  void compact();
  // Closes and opens again.
  void reopen();
  Engine& engine() { return *engine_; }
  Dispatcher& dispatcher() { return *dispatcher_; }
  uint64_t faults() const { return faults_; }
  // What the latest message waits for where replies are held back until they are durable.
  Sequence pushed_gate() const { return pushed_gate_; }

 private:
  struct Client {
    ClientState state;
    OutputBuffer out;
    std::unique_ptr<Invocation> parked;  // what did not finish
    RunResult reason = RunResult::kDone;
    bool woken = false;
    bool running = false;
    std::string pushes;  // that came while it was running
  };
  // What commands ask of each other's clients.
  class ServerHost final : public PlainHost {
   public:
    explicit ServerHost(InProcessServer& server) : server_(server) {}
    ClientState* client(uint64_t id) override;
    void push(uint64_t client, Sequence gate, const PushMessage& message) override;
    bool run_again(uint64_t client) override;
    void wake(uint64_t client) override;

   private:
    InProcessServer& server_;
  };
  void step(Client& client);
  void drive();
  void fetch(Invocation& invocation);
  void open();
  void close();
  void turn();
  Client& client(uint64_t id);
  // Waits for the engine to call `done`.
  template <class Start>
  void wait_for(Start start);

  InProcessOptions options_;
  uint64_t lives_ = 0;  // begun so far
  Sequence pushed_gate_ = 0;
  CrashFs files_;
  SimExecutor executor_;
  ManualClock clock_;
  ServerHost host_{*this};
  KeyspaceInspector inspector_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::map<uint64_t, std::unique_ptr<Client>> clients_;
  uint64_t faults_ = 0;
  uint64_t runs_ = 0;
};

}  // namespace varve::test
