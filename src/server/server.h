// server.h: the process: loop, listeners, settings and signals around a Core, from start to shutdown.
//
//   start()    listens at once; commands get -LOADING until the engine has recovered
//   a turn     poll (input, accepted connections, completions, timers) → prepare: Core::turn()
//   shutdown   no more input → log synced, replies sent → engine closed → sockets closed → the loop ends
//
// The loop thread owns everything here. Workers wake it by one uv_async_t; completions are finished in
// slices, so that a burst of them does not keep the sockets waiting.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "os/worker_pool.h"
#include "server/checkpoints.h"
#include "server/config.h"
#include "server/core.h"
#include "server/descriptor_plan.h"
#include "server/info.h"
#include "server/listener.h"
#include "server/machine.h"

namespace varve {

class Server final : private Host {
 public:
  // `open_files`: the process's limit of descriptors.
  Server(Configuration configuration, MemoryPlan plan, uint64_t open_files, FileSystem& fs, Clock& clock);
  ~Server();

  // Listens and starts opening the engine. A failure names what could not be had.
  Status start();
  // Until shutdown. The process's exit code.
  int run();

 private:
  // Host
  std::vector<std::pair<std::string, std::string>> config_get(std::string_view pattern) override;
  Status config_set(const std::vector<std::pair<std::string, std::string>>& settings) override;
  void config_rewrite(std::function<void(Status)> done) override;
  void reset_stats() override;
  const std::string& password() const override { return config().requirepass; }
  bool new_users_hear_all() const override { return config().acl_pubsub_default; }
  uint64_t acl_log_max() const override { return static_cast<uint64_t>(config().acllog_max_len); }
  const std::string& acl_file() const override { return config().aclfile; }
  void read_acl_file(std::function<void(const Result<std::string>&)> use,
                     std::function<void()> done) override;
  void write_acl_file(std::string text, std::function<void(Status)> done) override;
  void access_changed() override;
  uint32_t databases() const override { return config().databases; }
  uint64_t max_bulk() const override { return config().proto_max_bulk_len; }
  const CollectionLimits& collection_limits() const override { return config().collections; }
  std::vector<const ClientState*> clients() override { return core_.clients().states(); }
  bool kill_client(uint64_t id) override { return core_.clients().kill(id, core_.clients().current()); }
  ClientState* client(uint64_t id) override;
  void push(uint64_t client, Sequence gate, const PushMessage& message) override;
  bool run_again(uint64_t client) override;
  void wake(uint64_t client) override;
  uint32_t event_classes() const override { return config().notify_keyspace_events; }
  std::string info(const std::vector<std::string>& sections) override;
  void shutdown(bool now, bool force) override;
  void checkpoint(std::function<void(Status)> done) override;
  bool checkpoint_running() const override { return checkpoints_->running(); }
  int64_t last_checkpoint_s() const override { return checkpoints_->last_s(); }
  uint64_t max_reply() const override;
  void after_ms(int64_t ms, std::function<void()> call) override;
  void after_ms_for(uint64_t client, int64_t ms, std::function<void()> call) override;
  void client_gone(uint64_t id) override { drop_timer(id); }
  MemoryFigures memory() override;
  void purge_memory() override { purge_allocator(); }
  std::string allocator_report() override { return allocator_statistics(); }
  const ObservationLimits& observation() const override { return config().observation; }
  int64_t uptime_s() const override { return (clock_.monotonic_us() - started_us_) / 1'000'000; }

  const Config& config() const { return configuration_.values(); }
  DescriptorPlan descriptors(const Config& config) const;
  Status apply(const Config& now, const Config& next);
  void update_limits();
  Status load_users();
  Status listen();
  void accept(UvSocket* socket, Peer peer);
  void open_engine();
  void engine_opened(const Status& status);
  void prepare_turn();
  void run_completions();
  void tick();
  void sample_peak();
  void on_signal(int number);
  void begin_shutdown(const std::string& reason);
  void stop();
  InfoData gather_info();

  struct Timer;
  Timer* start_timer(int64_t ms, std::function<void()> call);
  void drop_timer(uint64_t client);

  Configuration configuration_;
  MemoryPlan plan_;
  uint64_t open_files_;
  FileSystem& fs_;
  Clock& clock_;
  int64_t started_us_;
  std::string run_id_;
  uint64_t startup_memory_ = 0;
  uint64_t peak_memory_ = 0;
  int64_t peak_sampled_us_ = 0;

  uv_loop_t loop_;
  uv_async_t completions_async_;
  uv_prepare_t prepare_;
  uv_idle_t busy_;  // active: the loop must not sleep
  uv_timer_t tick_timer_;
  uv_timer_t wake_timer_;
  uv_timer_t shutdown_timer_;
  uv_signal_t signals_[2];
  std::unordered_set<Timer*> timers_;
  std::unordered_map<uint64_t, Timer*> client_timers_;  // those of suspended commands

  std::unique_ptr<ThreadExecutor> executor_;
  Core core_;
  std::unique_ptr<Checkpoints> checkpoints_;
  std::vector<std::unique_ptr<Listener>> listeners_;

  bool stopped_ = false;
  bool shutting_down_ = false;
  std::string shutdown_reason_;  // asked for, to begin at the end of this turn
  int64_t opening_since_s_ = 0;
  int exit_code_ = 0;
  bool rewriting_ = false;  // the configuration file
  bool saving_users_ = false;
  RateMeter ops_rate_, input_rate_, output_rate_;
};

}  // namespace varve
