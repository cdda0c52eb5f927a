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
#include "keyspace/entry_format.h"
#include "support/crash_fs.h"
#include "support/manual_clock.h"
#include "support/sim_executor.h"

namespace varve::test {

// What commands ask of their process, with as little behind it as they need.
class PlainHost final : public Host {
 public:
  std::vector<std::pair<std::string, std::string>> config_get(std::string_view) override { return {}; }
  Status config_set(const std::vector<std::pair<std::string, std::string>>&) override { return Status(); }
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
  void after_ms(int64_t, std::function<void()> call) override { later_.push_back(std::move(call)); }
  int64_t uptime_s() const override { return 1; }

  std::string password_;
  std::vector<const ClientState*> clients_;
  std::vector<std::function<void()>> later_;
};

struct InProcessOptions {
  uint64_t seed = 1;
  uint32_t random_miss_one_in = 0;
  size_t block_cache_size = 1 << 20;
  bool flush_often = false;  // every command meets the earlier ones in tables
  uint64_t log_segment_size = 4 << 20;
  uint64_t log_max_bytes = 1 << 30;
};

class InProcessServer {
 public:
  explicit InProcessServer(InProcessOptions options);
  ~InProcessServer();

  // Runs one command for a client to its end; its whole reply in RESP.
  std::string run(uint64_t client, const std::vector<std::string>& args);
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

 private:
  struct Client {
    ClientState state;
    OutputBuffer out;
  };
  void open();
  void close();
  void turn();
  Client& client(uint64_t id);
  // Waits for the engine to call `done`.
  template <class Start>
  void wait_for(Start start);

  InProcessOptions options_;
  CrashFs files_;
  SimExecutor executor_;
  ManualClock clock_;
  PlainHost host_;
  KeyspaceInspector inspector_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::map<uint64_t, std::unique_ptr<Client>> clients_;
  uint64_t faults_ = 0;
};

}  // namespace varve::test
