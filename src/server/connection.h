// connection.h: one client: its unparsed input, the command it waits for, its unsent replies and the gate
// they pass.
//
//   received → parse → run ──kDone──→ out_ ──(gate)──→ transport
//                       └─ kFault, kWait, kSuspended, kBlocked, kStream: parked_, later turns go on with it
//
// Commands of one client run in order and their replies leave in order; while one is parked, later ones stay
// unparsed (up to 16 of them are probed, so that their blocks are fetched together with those of the first).
//
// The gate (DESIGN.md, law 3): holds_ says from which position of the output on which sequence must be
// durable. Bytes leave up to the first hold. A reply whose sequence is durable already and that stands behind
// no hold makes no hold: it leaves at the end of this turn.
//
// Loop thread. Owned by Clients; anything that comes back later finds it by its id, never by pointer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "command/dispatcher.h"
#include "command/push_message.h"
#include "resp/output_buffer.h"
#include "resp/parser.h"
#include "server/transport.h"

namespace varve {

class Clients;
struct OutputLimit;

class Connection {
 public:
  Connection(Clients& clients, ClientState state);
  Connection(const Connection&) = delete;
  ~Connection();

  ClientState& state() { return state_; }
  uint64_t id() const { return state_.id; }

  // --- from the transport ---
  void attach(std::unique_ptr<Transport> transport);
  struct Room {
    char* data;
    size_t size;
  };
  // Where the next bytes go: the loop's shared buffer as long as nothing unparsed is kept. Valid until
  // received().
  Room read_room();
  void received(size_t n);
  // The peer sends no more. What it sent still runs and is answered.
  void end_of_input();
  void writable();
  // The peer is gone.
  void lost(std::string_view reason);

  // --- from Clients ---
  // Goes on where the last turn stopped: with the parked command if it is ready, then with kept input.
  void continue_turn();
  // Sends what may leave. At the end of a turn, once.
  void flush();
  // `durable` has risen: drops the holds it settles. True while some are left.
  bool release(Sequence durable);
  // Nothing above the released sequence will ever be durable: replies that wait become one error, then it
  // closes.
  void fence();
  void fetched(const void* parked);
  void resume(Sequence gate, const std::function<void(OutputBuffer&, int protocol)>& write);
  // A message the client did not ask for just now: behind everything it has been sent, never inside a reply.
  void push(Sequence gate, const PushMessage& message);
  // Runs a command that came to kBlocked again: at once (false: there is none), or when its turn comes.
  bool run_again();
  void wake();
  // Runs a command that was not admitted once more; false if it still is not.
  bool retry_waiting();
  // Idle time, handshakes and requests that do not come on, stalled readers, spare memory. About once a
  // second.
  void check_times(int64_t now_ms);
  // From now on nothing is read or run; what is finished is sent.
  void finish();
  // Closed: to be destroyed at the end of this turn.
  void close(std::string_view reason);
  bool closed() const { return closed_; }
  // Nothing runs, waits or is unsent.
  bool idle() const;
  // May run something now without new input.
  bool runnable() const;
  size_t memory_used() const;
  // Brings the byte counts in state() up to date.
  void update_counts();

 private:
  friend class Clients;
  // A command that did not finish in its first run. Shared with the fetch in flight, which needs its
  // ReadContext even when the client is gone.
  struct Parked {
    Invocation invocation;
    RunResult reason = RunResult::kFault;
    bool ready = false;     // the next turn goes on with it
    bool fetching = false;  // the engine holds on to its ReadContext
  };
  // From `begin` on (up to the next hold's begin) the output needs `sequence` to be durable. `reply`: where
  // the reply begins that the hold begins in; not `begin` only for a stream.
  struct Hold {
    uint64_t begin;
    Sequence sequence;
    uint64_t reply;
  };

  std::string_view kept() const { return {query_.data() + query_head_, query_.size() - query_head_}; }
  void take(std::string_view input);
  void make_room(size_t n);
  void drop_kept(size_t n);
  size_t run_commands(std::string_view input);
  void release_spare();
  void drop_input();
  int64_t run_one(std::string_view rest);
  void park(RunResult result, std::string_view rest, uint64_t before);
  void start_fetch(std::string_view rest);
  void rerun_parked();
  void hand_over(uint64_t before);
  void step_stream();
  RunResult run_backend(Invocation& invocation);
  void add_pushes();
  void unpark();
  void reply_added(uint64_t before, Sequence gate) { reply_added(before, gate, before); }
  void reply_added(uint64_t before, Sequence gate, uint64_t reply);
  void protocol_error();
  bool check_limits();
  uint64_t releasable() const { return holds_head_ < holds_.size() ? holds_[holds_head_].begin : out_.end(); }
  void update_reading();
  bool unauthenticated() const;
  bool handshake_overdue(int64_t now_ms);
  bool request_overdue(int64_t now_ms);
  uint64_t output_soft_limit() const;
  const OutputLimit& output_limit() const;

  Clients& clients_;
  ClientState state_;
  std::unique_ptr<Transport> transport_;
  Parser parser_;
  Buffer query_;  // input kept from earlier turns, from query_head_ on
  size_t query_head_ = 0;
  OutputBuffer out_;
  std::vector<Hold> holds_;  // from holds_head_ on, sequences rising
  size_t holds_head_ = 0;
  std::shared_ptr<Parked> parked_;
  Buffer pushes_;  // messages that came while a reply was being written
  Sequence pushes_gate_ = 0;
  bool running_ = false;       // a command of it, right now
  bool woken_ = false;         // by its own run
  uint64_t stream_begin_ = 0;  // where the reply that is streamed begins
  bool starved_ = true;        // what is kept is no whole command
  bool reading_ = false;
  size_t turn_bytes_ = 0;          // read since the last flush()
  bool reading_in_place_ = false;  // the next bytes go to query_, not to the shared buffer
  bool writing_blocked_ = false;   // until writable()
  bool input_ended_ = false;
  bool closed_ = false;
  bool fenced_ = false;
  int64_t soft_limit_since_ms_ = 0;  // output above client-output-buffer-limit's soft part since
  int64_t progress_ms_ = 0;          // the peer last took output
  bool heard_ = false;               // a whole request came
  int64_t stranger_since_ms_;        // it could have authenticated since; 0: it has
  int64_t half_since_ms_ = 0;        // half a request is there and did not come on since; 0: none is
  uint64_t half_net_in_ = 0;         // what had come in then
  // Places in Clients' lists.
  bool fresh_ = false;
  bool dirty_ = false;
  bool queued_ = false;
  bool waiting_ = false;
  int64_t gated_slot_ = -1;
  size_t charged_ = 0;
};

}  // namespace varve
