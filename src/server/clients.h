// clients.h: all connections of a loop, and the turn they take together. A turn is: the transport's calls
// (input), then end_of_turn(), which goes on with the clients that have more to do, lets the log write start,
// and only then writes to the sockets, once for each connection. No uv in here: the same code runs under the
// simulator.
//
// Bounds: a connection runs at most kCommandsPerTurn commands or kConnectionTurnUs at a time and the queue of
// those that go on without new input at most kQueueTurnUs; the rest waits for the next turn, which comes at
// once while has_work().
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "server/backend.h"
#include "server/config.h"
#include "server/connection.h"

namespace varve {

struct ClientLimits {
  ParserLimits parser;                 // `unauthenticated` is decided for each command
  uint64_t query_buffer = 1ull << 30;  // client-query-buffer-limit
  uint64_t output_soft = 1 << 20;      // above, a client is neither read from nor served
  OutputLimit output;                  // client-output-buffer-limit normal
  OutputLimit output_subscriber;       // and pubsub
  uint64_t memory = 256ull << 20;      // all connections together; 0: no limit
  uint64_t maxclients = 10000;
  int64_t timeout_s = 0;
  int64_t handshake_timeout_s = 60;
  int64_t request_timeout_s = 3600;
  int64_t stream_timeout_s = 60;
  bool time_turns = false;     // somebody asks for turn_us()
  bool password = false;       // clients must authenticate
  bool protected_mode = true;  // clients of this machine only
};

// The other end of a new connection.
struct Peer {
  std::string address;
  std::string local_address;
  bool unix_socket = false;
  bool loopback = true;
  int fd = -1;
};

struct ClientsStats {
  uint64_t accepted = 0, rejected = 0, denied = 0;
  uint64_t net_in = 0, net_out = 0;
  uint64_t reads = 0, writes = 0;  // of sockets
  uint64_t faults = 0;             // runs that stopped at a missing block
  uint64_t query_limit_closes = 0, output_limit_closes = 0, evicted = 0, timeouts = 0, protocol_errors = 0;
};

class Clients {
 public:
  static constexpr int kCommandsPerTurn = 256;
  static constexpr int64_t kConnectionTurnUs = 1000;
  static constexpr int64_t kQueueTurnUs = 4000;
  static constexpr size_t kReadBuffer = 64 * 1024;
  static constexpr size_t kFreshBuffer = 64 * 1024;
  static constexpr size_t kFreshMax = 1024;   // what brings more has a pipeline of its own to look ahead in
  static constexpr int kProbeAhead = 16;      // commands
  static constexpr size_t kProbedKeys = 256;  // of all of them
  static constexpr size_t kRefusalsPerTurn = 64;  // of commands that wait for admission

  Clients(Backend& backend, Clock& clock);
  ~Clients();

  void set_limits(const ClientLimits& limits);
  const ClientLimits& limits() const { return limits_; }

  // A new connection; null if it was refused (an error was sent; the transport is gone).
  Connection* add(std::unique_ptr<Transport> transport, Peer peer);
  Connection* find(uint64_t id);
  bool kill(uint64_t id, uint64_t caller);
  size_t count() const { return connections_.size(); }
  // By id, byte counts up to date.
  std::vector<const ClientState*> states();

  // The client whose command runs right now; 0: none.
  uint64_t current() const { return current_; }

  // Replies up to this sequence may leave. Rises; kEverything opens the gate.
  static constexpr Sequence kEverything = UINT64_MAX;
  void release(Sequence durable);
  // A log sync failed: nothing above `durable` will ever be acknowledged.
  void fence(Sequence durable, const std::string& reason);
  bool fenced() const { return fenced_; }
  void admission_changed() { retry_waiting_ = true; }

  // All that one poll brought has been received: what waits for that runs. end_of_turn() says so, too.
  void end_of_poll();
  void end_of_turn();
  // How long the last turn took, from its first input or the first client that went on; with time_turns.
  int64_t turn_us() const { return turn_us_; }
  // More can run without new input: the loop must not sleep.
  bool has_work() const;
  // When commands that wait for admission want to be run again, monotonic; 0: none waits.
  int64_t wake_at_us() const { return waiting_.empty() ? 0 : waiting_until_us_; }
  // About every 100 ms.
  void tick();

  // No more input from anyone; finished replies are still sent.
  void finish_all();
  // Every connection has been sent what it is owed.
  bool all_idle() const;
  void close_all(std::string_view reason);

  size_t memory_used() const { return memory_; }
  const ClientsStats& stats() const { return stats_; }
  void reset_stats() { stats_ = ClientsStats(); }
  size_t waiting() const { return waiting_.size(); }
  size_t parked() const { return parked_; }

 private:
  friend class Connection;
  void enqueue(Connection& connection);
  void mark_dirty(Connection& connection);
  void add_gated(Connection& connection);
  void remove_gated(Connection& connection);
  void wait_for_admission(Connection& connection, int64_t wait_us);
  void charge(Connection& connection);
  void bury();
  void input_grew(Connection& connection);
  void evict();
  // Short input waits until all of this poll is read: its client's first key is loaded together with the
  // others' then. False: no room, it runs at once.
  bool keep_fresh(Connection& connection, std::string_view input);
  void run_queue();
  void run_waiting();
  void refuse(std::unique_ptr<Transport> transport, std::string_view error);

  Backend& backend_;
  Clock& clock_;
  ClientLimits limits_;
  std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
  uint64_t next_id_ = 1;
  uint64_t current_ = 0;
  std::unique_ptr<char[]> read_buffer_;
  struct Fresh {
    Connection* connection;
    std::string_view input;  // in fresh_buffer_
  };
  std::vector<Fresh> fresh_;  // clients whose input of this poll is to be run
  std::unique_ptr<char[]> fresh_buffer_;
  size_t fresh_used_ = 0;
  bool running_fresh_ = false;
  Invocation scratch_;          // of the command that runs; moves into Parked when it does not finish
  uint64_t scratch_owner_ = 0;  // the client its resume function is for
  Parser probe_parser_;
  std::vector<std::string_view> probe_args_;
  Sequence released_ = kEverything;
  bool fenced_ = false;
  std::string fence_error_;
  std::deque<uint64_t> queue_;      // clients with more to run
  std::vector<Connection*> dirty_;  // to be flushed at the end of this turn
  std::vector<Connection*> gated_;  // with holds
  std::vector<uint64_t> dead_;
  std::deque<uint64_t> waiting_;  // not admitted, in the order they came; perhaps gone
  int64_t waiting_until_us_ = INT64_MAX;
  bool retry_waiting_ = false;
  int64_t now_ms_ = 0;         // read once a turn
  int64_t turn_began_us_ = 0;  // 0: not yet
  int64_t turn_us_ = 0;
  int64_t checked_ms_ = 0;
  size_t memory_ = 0;
  bool evicted_all_ = false;  // in this turn, in vain: looking again before its end would find nobody either
  size_t parked_ = 0;
  ClientsStats stats_;
};

// Redis's answer to a client from outside while there is no password.
extern const char kProtectedModeError[];

}  // namespace varve
