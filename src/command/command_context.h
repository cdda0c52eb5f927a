// command_context.h: what a command function gets. A run is straight-line code: it reads through `tx`, writes
// its reply, puts its writes into `tx`; the dispatcher commits afterwards. If a read met a missing block, the
// dispatcher throws reply and writes away and runs the function again from the start, so a function changes
// nothing but reply and tx until it is certain that it reads no more (law 5). Behind a missing block reads
// answer "absent": every loop must end under such answers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "command/client_state.h"
#include "command/command_table.h"
#include "command/dispatcher.h"
#include "command/errors.h"
#include "command/host.h"
#include "keyspace/keyspace.h"
#include "resp/reply.h"

namespace varve {

class Acl;
class BlockedClients;
class CursorTable;
class LatencyMonitor;
class Monitors;
class PubSub;
class SlowLog;
class Watches;

// PUBLISH in a run: goes out when the run counts, between the run's events as it came between them.
struct PublishedMessage {
  size_t events_before;
  std::string channel, message;
  bool shard;
};

// AUTH refused in a run: logged when the run counts.
struct RefusedLogin {
  std::string name, command;
};

// What outlives a run and belongs to all commands.
struct CommandServices {
  Host& host;
  Clock& clock;
  CommandTable& table;
  CursorTable& cursors;
  Keyspace& keyspace;  // attached() tells whether the data is open
  PubSub& pubsub;
  Watches& watches;
  BlockedClients& blocked;
  Acl& acl;
  std::vector<PublishedMessage>& messages;  // of the current run
  // Watched keys that the current run changes without writing them (SWAPDB).
  std::vector<std::pair<uint32_t, std::string>>& touched;
  std::vector<RefusedLogin>& refused_logins;  // of the current run
  SlowLog& slow_log;
  LatencyMonitor& latency;
  Monitors& monitors;
  Engine* engine = nullptr;  // null while loading
  uint64_t hits = 0, misses = 0;
  bool active_expire = true;  // DEBUG SET-ACTIVE-EXPIRE
};

// Delivers a suspended command's reply, once, after the run has returned; harmless when the client is gone.
using Resume = std::function<void(Sequence gate, std::function<void(OutputBuffer& out, int protocol)> write)>;

struct CommandContext {
  CommandServices& services;
  ClientState& client;
  Invocation& invocation;
  const Command& command;
  const std::vector<std::string_view>& args;
  Reply& reply;
  Transaction& tx;
  // Where this command's reply begins in reply.out(), for a reply that turns into an error half way.
  uint64_t reply_start = 0;
  // What the run comes to; suspend(), stream() and block_on() change it.
  RunResult result = RunResult::kDone;
  // One of the commands of an EXEC: it neither blocks nor streams.
  bool in_exec = false;

  Host& host() { return services.host; }
  Engine* engine() { return services.engine; }
  // Milliseconds since 1970, frozen at the command's first run.
  int64_t now_ms() const { return invocation.now_ms; }
  // The client's database: its physical id, for tx. (A missing block behind it makes the run worthless, as
  // any.)
  DatabaseId db() { return tx.database(client.db); }

  // The command goes on by itself: keep what this returns and call it when the reply is known. Nothing may
  // have been written to reply or tx. The views in args stay valid until then only if they were copied.
  Resume suspend() {
    result = RunResult::kSuspended;
    if (client.reply_mode == ReplyMode::kOff || client.skip_this_reply) {
      return [resume = invocation.resume](Sequence gate, const std::function<void(OutputBuffer&, int)>&) {
        if (resume) resume(gate, [](OutputBuffer&, int) {});
      };
    }
    return invocation.resume;
  }
  // Notes an event for keyspace notifications: `name` ("lpush") is a constant. Call it where Redis calls
  // notifyKeyspaceEvent, once it is certain that the change is made: the order of calls is the order of
  // events. "new" and "expired" note themselves. See key_events.h.
  void notify(uint32_t event_class, const char* name, std::string_view key) {
    tx.note_event(event_class, name, client.db, key);
  }

  // False inside EXEC: a blocking command that finds nothing then answers what Redis answers there (null).
  bool may_block() const { return !in_exec; }
  // Nothing there to serve the command with: it is run again, from its start and with a fresh clock, whenever
  // a commit leaves one of these keys (of the client's database) with a value of this type, in the order in
  // which clients came. Nothing may have been written to reply or tx. When the time is over the dispatcher
  // answers a null array. A run that is repeated calls block_on() again just so; the time counts from the
  // first.
  void block_on(std::vector<std::string> keys, ValueType type, int64_t timeout_ms) {
    result = RunResult::kBlocked;
    invocation.block = std::make_unique<KeyWait>(KeyWait{std::move(keys), type, timeout_ms});
  }

  // False inside EXEC, where a reply has to be whole, and behind writes of the same run, which the snapshot
  // lacks: read it through tx, or call reply_too_long().
  bool may_stream() const { return !in_exec && !tx.has_writes(); }
  // The reply goes on piece by piece behind what is in `reply` already.
  void stream(std::unique_ptr<ReplyStream> pieces) {
    result = RunResult::kStream;
    invocation.stream = std::move(pieces);
  }
};

}  // namespace varve
