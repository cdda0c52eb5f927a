// host.h: what commands ask of the process that runs them. The server implements it; tests and the simulator
// bring their own. All calls on the loop thread; none blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/status.h"
#include "command/client_state.h"
#include "command/observation.h"
#include "keyspace/types/limits.h"

namespace varve {

class PushMessage;

// Bytes, for MEMORY.
struct MemoryFigures {
  uint64_t allocated = 0, peak = 0, startup = 0;  // given out by the allocator
  uint64_t active = 0, mapped = 0;                // in its pages with something in them; all its pages
  uint64_t resident = 0;                          // of the process
  uint64_t clients = 0, commands = 0;             // connections; what commands keep
  uint64_t memtables = 0, block_cache = 0;
  uint64_t limit = 0, clients_limit = 0;  // maxmemory; maxmemory-clients
};

class Host {
 public:
  virtual ~Host() = default;

  // --- configuration (CONFIG, AUTH, limits) ---
  // Names and values that match the glob pattern, in lower case, sorted as Redis does.
  virtual std::vector<std::pair<std::string, std::string>> config_get(std::string_view pattern) = 0;
  // All or nothing. A failure's message is Redis's text without "-ERR ".
  virtual Status config_set(const std::vector<std::pair<std::string, std::string>>& settings) = 0;
  // Writes today's settings into the configuration file, off the loop.
  virtual void config_rewrite(std::function<void(Status)> done) = 0;
  virtual void reset_stats() = 0;
  virtual const std::string& password() const = 0;  // empty: none
  virtual uint32_t databases() const = 0;
  // notify-keyspace-events: KeyEventClass.
  virtual uint32_t event_classes() const { return 0; }
  virtual uint64_t max_bulk() const = 0;
  // Asked for once: it changes in place, and lives as long as the host.
  virtual const ObservationLimits& observation() const {
    static const ObservationLimits defaults;
    return defaults;
  }
  // What OBJECT ENCODING calls small; tests have Redis's defaults.
  virtual const CollectionLimits& collection_limits() const {
    static const CollectionLimits defaults;
    return defaults;
  }
  // Replies that are not streamed are at most about this long, so that one client's memory bears them.
  virtual uint64_t max_reply() const { return 64 << 20; }

  // --- users ---
  // acl-pubsub-default: new users may hear all channels.
  virtual bool new_users_hear_all() const { return false; }
  virtual uint64_t acl_log_max() const { return 128; }
  // aclfile; empty: none.
  virtual const std::string& acl_file() const {
    static const std::string none;
    return none;
  }
  // Reads the ACL file and has `use` look at it, both off the loop; then `done`, on the loop.
  virtual void read_acl_file(std::function<void(const Result<std::string>& text)> use,
                             std::function<void()> done) {
    use(Status::invalid_argument("there is no ACL file"));
    done();
  }
  // Replaces the ACL file, off the loop: it holds the old text or the new one whatever happens.
  virtual void write_acl_file(std::string, std::function<void(Status)> done) { done(Status()); }
  // What clients must do to authenticate has changed, perhaps.
  virtual void access_changed() {}
  // Bytes that nobody can guess: passwords to be.
  virtual std::string secret_bytes(size_t n) { return random_bytes_from_os(n); }

  // --- clients ---
  virtual std::vector<const ClientState*> clients() = 0;  // by id; with the byte counts brought up to date
  // Closes it (at once, or after its reply if it is the caller). False when there is no such client.
  virtual bool kill_client(uint64_t id) = 0;
  // Only of hosts that have more than one client.
  // A client that is there; null when it is gone.
  virtual ClientState* client(uint64_t) { return nullptr; }
  // Sends a message behind everything the client has been sent, through the gate.
  virtual void push(uint64_t /*client*/, Sequence /*gate*/, const PushMessage&) {}
  // Runs a client's kBlocked command again, before this returns. False: there is none.
  virtual bool run_again(uint64_t /*client*/) { return false; }
  // The same, when the client's turn comes.
  virtual void wake(uint64_t /*client*/) {}

  // --- the process ---
  // INFO text of these sections (lower case; empty: the default set). The text ends with CRLF.
  virtual std::string info(const std::vector<std::string>& sections) = 0;
  // Ends the process after the loop has wound down; durable first. `save`, `now`, `force` as SHUTDOWN's
  // arguments.
  virtual void shutdown(bool now, bool force) = 0;
  // Makes a checkpoint below checkpoint-dir.
  virtual void checkpoint(std::function<void(Status)> done) = 0;
  virtual bool checkpoint_running() const = 0;
  virtual int64_t last_checkpoint_s() const = 0;  // unix time of the last good one (start-up time at first)
  // Calls back on the loop after this long.
  virtual void after_ms(int64_t ms, std::function<void()> call) = 0;
  // The same for a suspended command of this client (DEBUG SLEEP, timeouts of waits): dropped when the client
  // goes. A client has one at a time; a new one takes its place.
  virtual void after_ms_for(uint64_t client, int64_t ms, std::function<void()> call) {
    (void)client;
    after_ms(ms, std::move(call));
  }
  // The client is gone: so is what waits for it.
  virtual void client_gone(uint64_t client) { (void)client; }
  virtual int64_t uptime_s() const = 0;
  virtual MemoryFigures memory() { return {}; }
  // Has the allocator give back what it does not need.
  virtual void purge_memory() {}
  virtual std::string allocator_report() { return "The allocator keeps no statistics.\n"; }
};

}  // namespace varve
