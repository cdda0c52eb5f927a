// dispatcher.h: the border between a connection and the commands. A connection parses a command into an
// Invocation and calls run() until it is done.
//
//   run() -> kDone       the reply is in `out`; `gate` says up to which sequence must be durable before
//                        it may leave
//         -> kFault      nothing happened, nothing was written to `out`;
//                        engine.fetch(invocation.read, ...), then run() again
//         -> kWait       not admitted (pacing, log space): nothing happened; ask again when the
//                        engine's admission changes or after invocation.wait_us
//         -> kSuspended  the command goes on by itself; it calls Invocation::resume when it has its
//                        reply. The connection runs no further command of this client meanwhile
//         -> kBlocked    nothing happened: the command waits for keys (BLPOP), or for its turn. The
//                        dispatcher asks the host to have it run again (Host::run_again, Host::wake)
//         -> kStream     the reply is produced piece by piece: call invocation.stream->step() as
//                        output drains
//
// An invocation owns its arguments from the first result other than kDone on (own_args), because the input
// buffer moves on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "command/client_state.h"
#include "command/host.h"
#include "keyspace/entry_format.h"
#include "lsm/engine.h"
#include "resp/output_buffer.h"

namespace varve {

enum class RunResult : uint8_t { kDone, kFault, kWait, kSuspended, kStream, kBlocked };

// A long reply. step() appends about `budget` bytes and is called again when they are sent. Works under a
// snapshot.
class ReplyStream {
 public:
  virtual ~ReplyStream() = default;
  // kDone: finished. kStream: more to come. kFault: fetch `read`, then step again. Broken: sets *broken, the
  // connection closes (an error behind the first byte cannot be told).
  virtual RunResult step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) = 0;
  // The highest sequence its snapshot may show (for the gate).
  virtual Sequence gate() const = 0;
};

class Acl;
class CommandTable;

// What a blocking command waits for.
struct KeyWait {
  std::vector<std::string> keys;  // of the client's database; the first that can serve it, in arrival order
  ValueType type = ValueType::kList;
  int64_t timeout_ms = 0;  // from the first run on; 0: for ever
};

struct Invocation {
  std::vector<std::string_view> args;
  std::vector<std::string> owned;  // backs args once own_args() was called
  ReadContext read;
  Sequence gate = 0;
  int64_t now_ms = 0;      // wall time, frozen at the first run; 0: not yet
  int64_t started_us = 0;  // monotonic: when this run began; the connection may say so; 0: the clock is read
  int64_t ended_us = 0;    // monotonic: when the run ended that came to a reply
  uint64_t seed = 0;       // of the command's randomness, frozen at the first run; 0: not drawn yet
  bool admitted = false;
  size_t outgrew_bytes = 0;  // what a run that was dropped for want of room turned out to write
  int64_t wait_us = 0;
  int64_t run_us = 0;      // how long its runs took, without the waiting between them
  int64_t spent_us = 0;    // in runs that did not come to a reply, and in slices of a stream
  bool monitored = false;  // monitors have been shown it
  // Set by the connection before run(): other commands wait for admission already, so a write that is new
  // joins them (kWait with wait_us 0) unless it gives space back.
  bool others_wait = false;
  std::unique_ptr<ReplyStream> stream;
  std::unique_ptr<KeyWait> block;  // with kBlocked: what for
  // What a command that waits knows from its first run (XREAD: behind which entries it reads).
  std::string kept;
  // Set by the connection before run(): finishes a kSuspended command: appends the reply with `write`, with
  // its gate. May be called after the client is gone (then it does nothing). Never called before run() has
  // returned.
  std::function<void(Sequence gate, std::function<void(OutputBuffer&, int protocol)> write)> resume;

  // Copies the arguments out of the input buffer.
  void own_args() {
    if (!owned.empty() || args.empty()) return;
    owned.assign(args.begin(), args.end());
    args.assign(owned.begin(), owned.end());
  }
  void reset() {
    args.clear();
    owned.clear();
    read.begin_command();
    gate = 0;
    now_ms = 0;
    started_us = 0;
    ended_us = 0;
    seed = 0;
    admitted = false;
    outgrew_bytes = 0;
    others_wait = false;
    wait_us = 0;
    run_us = 0;
    spent_us = 0;
    monitored = false;
    stream.reset();
    block.reset();
    kept.clear();
  }
};

struct PubSubCounts {
  size_t channels, patterns, shard_channels;
};

// A client, and what it sent.
struct FirstRequest {
  const ClientState* client = nullptr;
  std::string_view input;
};

class Dispatcher {
 public:
  // engine may be null while the server is still loading: commands that need it answer -LOADING.
  // `add_commands` may add rows to those of the families.
  Dispatcher(Host& host, Clock& clock, uint64_t random_seed, void (*add_commands)(CommandTable&) = nullptr);
  ~Dispatcher();
  // Once the engine is open. Reads the keyspace's own records (database map), blocking on first use.
  Status attach(Engine* engine);
  void detach();

  RunResult run(ClientState& client, Invocation& invocation, OutputBuffer& out);
  // For a pipeline: has the processor load what the requests at the front of `input` will touch in memory, as
  // far as their first key tells. Returns for how many of them that is seen to: at least one, at most
  // kPrefetched.
  static constexpr size_t kPrefetched = Engine::kPrefetched;
  size_t prefetch(const ClientState& client, std::string_view input) const;
  // The same for the first request of each of up to kPrefetched clients.
  void prefetch_first(const FirstRequest* requests, size_t count) const;
  // Touches, without effect, what a later command of a waiting client will read: adds missing blocks to
  // `read`, until it has kProbedMisses. Looks at `keys_max` keys at most; returns at how many it looked.
  static constexpr size_t kProbedMisses = 64;
  size_t probe(const ClientState& client, const std::vector<std::string_view>& args, ReadContext& read,
               size_t keys_max);
  // The reply that run() began as a stream has come to its end, or was given up. spent_us tells the time of
  // its slices.
  void stream_ended(const ClientState& client, Invocation& invocation);
  // Work beside commands took so long: for LATENCY (latency_monitor.h has the events).
  void note_latency(const char* event, int64_t us);
  // A client that is gone needs its last cursor no more.
  void client_gone(uint64_t id);
  // Called about every 100 ms: active expiry, cursors, whatever is due. Bounded work.
  void tick();

  Acl& acl();
  // For INFO: clients that wait for keys or for the end of a pause; what is subscribed to.
  size_t blocked_clients() const;
  PubSubCounts pubsub_counts() const;
  // For INFO: commandstats, errorstats, keyspace sections, without headers; and counters.
  std::string commandstats_text() const;
  std::string errorstats_text() const;
  std::string latencystats_text() const;
  std::string keyspace_text() const;
  uint64_t commands_processed() const;
  uint64_t keyspace_hits() const;
  uint64_t keyspace_misses() const;
  uint64_t expired_keys() const;
  int64_t expire_cycle_us() const;  // spent on the active expiry
  uint64_t error_replies() const;
  void reset_stats();
  // Bytes held by cursors, pending overlays and other state of the dispatcher.
  size_t memory_used() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve
