// dispatcher_impl.h: the dispatcher's inside, for the files that make it up: dispatcher.cc (a command's way
// from its arguments to its committed effect), exec.cc (MULTI and EXEC), effects.cc (what a commit means to
// others: watchers, subscribers, clients that wait), accounting.cc (what is noted of commands that have run).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "command/acl.h"
#include "command/blocked_clients.h"
#include "command/command_context.h"
#include "command/command_table.h"
#include "command/cursors.h"
#include "command/dispatcher.h"
#include "command/latency_monitor.h"
#include "command/monitors.h"
#include "command/pubsub.h"
#include "command/slow_log.h"
#include "command/watches.h"
#include "keyspace/expiry.h"
#include "keyspace/keyspace.h"
#include "keyspace/types/member_layout.h"

namespace varve {

class Dispatcher::Impl final : private CommitObserver {
 public:
  Impl(Host& host, Clock& clock, uint64_t seed, void (*add_commands)(CommandTable&));

  Status attach(Engine* engine) {
    Status s = keyspace_.attach(engine);
    if (s.ok()) services_.engine = engine;
    return s;
  }
  void detach() {
    expiry_.stop();
    keyspace_.detach();
    services_.engine = nullptr;
  }

  RunResult run(ClientState& client, Invocation& invocation, OutputBuffer& out);
  size_t prefetch(const ClientState& client, std::string_view input) const;
  void prefetch_first(const FirstRequest* requests, size_t count) const;
  void prefetch_own(const Command& command, const ClientState& client,
                    const std::vector<std::string_view>& args) const;
  bool worth_prefetching() const {
    return services_.engine != nullptr && services_.engine->worth_prefetching();
  }
  size_t probe(const ClientState& client, const std::vector<std::string_view>& args, ReadContext& read,
               size_t keys_max);
  void tick();

  void client_gone(uint64_t id);
  void stream_ended(const ClientState& client, Invocation& invocation);
  void note_latency(const char* event, int64_t us);

  std::string commandstats_text() const;
  std::string errorstats_text() const;
  std::string latencystats_text() const;
  std::string keyspace_text() const;
  void reset_stats();

  Random random_;
  CommandTable table_;
  CursorTable cursors_;
  Keyspace keyspace_;
  PubSub pubsub_;
  Watches watches_;
  BlockedClients blocked_;
  SlowLog slow_log_;
  LatencyMonitor latency_;
  const ObservationLimits& limits_;  // the host's: they change in place
  Monitors monitors_;
  Acl acl_;
  CommandServices services_;
  Transaction tx_;
  Transaction probe_tx_;
  ExpiryCycle expiry_;
  uint64_t processed_ = 0;
  uint64_t error_replies_ = 0;
  int64_t expire_cycle_us_ = 0;
  std::map<std::string, uint64_t, std::less<>> error_counts_;

 private:
  // What a run asks of admission, and what the run turns out to be.
  struct Need {
    bool writes = false;
    bool data = false;  // reads or writes keys
    bool frees = false, may_free = false;
    size_t bytes = 0;
  };
  // EXEC: what a run that does not count has to put back, and what waits for the commit (exec.cc).
  struct Exec {
    ClientSettings before;
    // Commands that are not about keys and cannot be repeated: run behind the commit.
    struct Late {
      const QueuedCommand* command;
      uint64_t position;  // in the output: where its reply belongs
      int protocol;       // of that place: HELLO may follow
    };
    std::vector<Late> late;
    struct Ran {
      const QueuedCommand* queued;
      std::string error;  // its reply, if that is one
    };
    std::vector<Ran> counts;  // for the statistics
    bool ran = false;         // the queued commands were run, not refused
  };
  struct ExecTail;

  const Command* look_up(const std::vector<std::string_view>& args, std::string* error) const;
  bool check(const Command& command, ClientState& client, const std::vector<std::string_view>& args,
             std::string* error);
  RunResult refuse(const Command* command, ClientState& client, std::string_view error, OutputBuffer& out);
  RunResult reject(const Command* command, ClientState& client, const Invocation& invocation,
                   std::string_view error, OutputBuffer& out);
  RunResult run_command(ClientState& client, Invocation& invocation, OutputBuffer& out);
  RunResult run_admitted(const Command& command, const Need& need, size_t admitted_bytes, ClientState& client,
                         Invocation& invocation, OutputBuffer& out);
  Need need_of(const Command& command, const ClientState& client, const Invocation& invocation) const;
  // accounting.cc
  void count_run(const Command& command, std::string_view reply);
  void count_time(const Command& command, const ClientState& client,
                  const std::vector<std::string_view>& args, int64_t usec);
  void show(const Command& command, const ClientState& client, Invocation& invocation);
  void show(const Command& command, const ClientState& client, uint32_t db, Sequence gate,
            const std::vector<std::string_view>& args);
  int64_t usec_since(int64_t started_us) const;
  static RunResult stand_by(Invocation& invocation);
  // kGo, or what run() has to do instead.
  Admission::Verdict admit(size_t bytes, bool frees, Invocation& invocation, std::string* error);
  Admission::Verdict admit_first(const Need& need, Invocation& invocation, std::string* error,
                                 size_t* admitted_bytes);

  // exec.cc
  RunResult queue_command(const Command& command, ClientState& client, Invocation& invocation,
                          OutputBuffer& out);
  void discard(ClientState& client);
  void run_exec(CommandContext& context, Exec* exec);
  void run_queued(CommandContext& context, QueuedCommand& queued, Exec* exec);
  RunResult finish_exec(CommandContext& context, Exec& exec);
  bool run_tail(const std::shared_ptr<ExecTail>& tail);

  // effects.cc
  void committed(Transaction& tx, Sequence sequence) override;
  void deliver(const std::vector<KeyEvent>& events, const std::vector<PublishedMessage>& messages,
               Sequence gate);
  RunResult block(ClientState& client, Invocation& invocation, OutputBuffer& out);
  RunResult end_waiting(ClientState& client, Invocation& invocation, Unblock how, OutputBuffer& out);
  static bool may_change(const Command& command, const ClientState& client);
  bool behind_service(const Command& command, const ClientState& client, const Invocation& invocation) const;
  bool key_in_service(const Command& command, const std::vector<std::string_view>& args, uint32_t database,
                      uint64_t client) const;
  uint32_t event_classes() const;

  // access.cc
  bool permitted(const Command& command, ClientState& client, const std::vector<std::string_view>& args,
                 std::string* error);
  bool permitted_in_exec(const QueuedCommand& queued, const ClientState& client, Reply& reply);
  AclLogEntry refusal(AclVerdict verdict, const Command& command, const ClientState& client,
                      const std::vector<std::string_view>& args, int position) const;
  void log_refusals(const ClientState& client, AclContext context);
  void log_refusal(const ClientState& client, AclContext context, AclLogEntry entry);

  static RunResult wait(Invocation& invocation);
  RunResult give_up(const Command& command, ClientState& client, const Invocation& invocation,
                    OutputBuffer& out);
  void count_error(std::string_view reply);
  static bool wants_no_reply(const ClientState& client) {
    return client.reply_mode != ReplyMode::kOn || client.skip_this_reply;
  }
  void end_reply(ClientState& client, Invocation& invocation, OutputBuffer& out, uint64_t start,
                 RunResult* result);
  void expire_some();
  void probe_members(const Command& command, const std::vector<std::string_view>& args, int key,
                     const MemberLayout& layout, const ReadContext& read);

  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // for calls from Host::after_ms
  bool expiry_scheduled_ = false;
  std::vector<PublishedMessage> messages_;
  // What ACL refused in the current run, of EXEC's commands and of AUTH; empty between runs.
  std::vector<AclLogEntry> refused_;
  std::vector<RefusedLogin> refused_logins_;
  std::vector<std::pair<uint32_t, std::string>>
      touched_;  // watched keys that the current run changes by SWAPDB
};

}  // namespace varve
