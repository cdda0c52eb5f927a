// core.h: engine, commands and clients joined into a server that knows no sockets, settings or process. The
// Server drives it from a libuv loop; the simulator drives the same code from a seeded scheduler.
//
//   open()          commands get -LOADING until the engine has recovered
//   a turn          transports deliver input, the executor's completions run, then end_of_turn()
//   shut_down()     no more input → log synced, replies sent → engine closed → drained()
//
// The gate (DESIGN.md, law 3) is set here: with `always`, and with any mode once the log is fenced, replies
// leave up to the durable sequence.
//
// Loop thread only. Jobs under way refer to this object: the executor must have finished them, or dropped
// them (a simulated kill), before it goes.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "command/dispatcher.h"
#include "keyspace/entry_format.h"
#include "lsm/engine.h"
#include "server/clients.h"

namespace varve {

class Core : public Backend {
 public:
  // Rises only.
  enum class Stage : uint8_t {
    kLoading,  // the engine is being opened
    kServing,
    kSyncing,  // shutting down: the log is being synced, what was acknowledged is sent
    kSynced,
    kClosing,  // the engine waits for its jobs
    kClosed,   // what is still owed to sockets is being sent
  };

  // `wake`: there is something to do at the end of this turn that no input announces.
  Core(Host& host, Clock& clock, uint64_t random_seed, std::function<void()> wake);
  Core(const Core&) = delete;
  ~Core() override;

  // Opens the engine; application and inspector are filled in here. `opened` is told once, in a turn.
  void open(EngineOptions options, std::function<void(Status)> opened);
  // Before the executor goes: clients are closed, the engine's jobs are waited for.
  void stop();

  Stage stage() const { return stage_; }
  Clients& clients() { return clients_; }
  Dispatcher& dispatcher() { return dispatcher_; }
  // Null while it is being opened and once it is being closed.
  Engine* engine() { return stage_ < Stage::kClosing ? engine_.get() : nullptr; }
  void set_sync_mode(SyncMode mode);

  // Goes on with clients that have more to do, lets the log write start, sends what may leave.
  void turn();
  // Call about every 100 ms.
  void tick();

  // Nothing more is read; advance_shutdown() once a turn from then on, until drained().
  void shut_down();
  void advance_shutdown();
  bool drained();
  // Whether the last writes are durable.
  const Status& shutdown_status() const { return shutdown_status_; }

  // Backend
  RunResult run(ClientState& client, Invocation& invocation, OutputBuffer& out) override;
  size_t prefetch(const ClientState& client, std::string_view input) override;
  void prefetch_first(const FirstRequest* requests, size_t count) override;
  size_t probe(const ClientState& client, const std::vector<std::string_view>& args, ReadContext& read,
               size_t keys_max) override;
  void client_gone(uint64_t id) override;
  void stream_ended(const ClientState& client, Invocation& invocation) override;
  void fetch(ReadContext& read, std::function<void()> done) override;
  void end_of_turn() override;

 private:
  Status attach(std::unique_ptr<Engine> engine);
  void update_gate();

  Host& host_;
  Clock& clock_;
  const std::function<void()> wake_;
  SyncMode sync_ = SyncMode::kAlways;
  KeyspaceInspector inspector_;
  Dispatcher dispatcher_;
  std::unique_ptr<Engine> engine_;
  Clients clients_;  // goes first: closing clients tells the dispatcher
  Stage stage_ = Stage::kLoading;
  bool shutting_down_ = false;
  Status shutdown_status_;
  int64_t drained_by_us_ = 0;
};

}  // namespace varve
