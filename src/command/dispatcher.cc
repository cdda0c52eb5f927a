// dispatcher.cc: what happens between a parsed command and its committed effect: look-up, checks, admission,
// the run, the verdict about the run (a missing block makes it worthless), the commit, the gate, the
// statistics.

#include "command/dispatcher.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "base/log.h"
#include "base/plant.h"
#include "command/dispatcher_impl.h"
#include "command/errors.h"

namespace varve {
namespace {

constexpr int kExpirySliceHints = 50;  // some 0.2 ms: nobody waits longer for them
constexpr int64_t kExpiryFetchMs = 1;
constexpr uint64_t kProbedStringMax = 64 * 1024;
constexpr size_t kProbedMembers = 16;

constexpr size_t kManyArguments = 4;

// What the engine is asked to admit: the arguments become records with their keys, tags and hints, about 40
// bytes beside the two arguments of a pair. A batch that turns out larger is asked for again.
template <class Args>
size_t estimate_write(const Command& command, const Args& args) {
  size_t bytes = 256 + command.extra_write_bytes;
  for (std::string_view arg : args) bytes += arg.size() + arg.size() / 64 + 20;
  return bytes;
}

// Redis's text with the arguments that fit into 128 bytes; C strings, so a NUL ends them.
std::string unknown_command_text(const std::vector<std::string_view>& args) {
  constexpr size_t kShown = 128;
  auto shown = [](std::string_view text, size_t max) {
    text = text.substr(0, max);
    return text.substr(0, text.find('\0'));
  };
  std::string list;
  for (size_t i = 1; i < args.size() && list.size() < kShown; ++i) {
    list += fmt::format("'{}' ", shown(args[i], kShown - list.size()));
  }
  return fmt::format("ERR unknown command '{}', with args beginning with: {}", shown(args[0], kShown), list);
}

}  // namespace

const Command* Dispatcher::Impl::look_up(const std::vector<std::string_view>& args,
                                         std::string* error) const {
  const Command* command = table_.find(args[0]);
  if (command == nullptr) {
    *error = unknown_command_text(args);
    return nullptr;
  }
  if (!command->subcommands.empty() && args.size() > 1) {
    const Command* sub = CommandTable::find_subcommand(*command, args[1]);
    if (sub != nullptr) {
      command = sub;
    } else {
      std::string_view name = args[1].substr(0, 128);
      std::string upper = command->full_name;
      for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c;
      *error =
          fmt::format("ERR unknown subcommand '{}'. Try {} HELP.", name.substr(0, name.find('\0')), upper);
      return nullptr;
    }
  }
  if (!command->arity_fits(args.size()) || command->run == nullptr) {
    *error = fmt::format("ERR wrong number of arguments for '{}' command", command->full_name);
    ++command->stats.rejected;
    return nullptr;
  }
  return command;
}

// Redis's checks in Redis's order. False: *error.
bool Dispatcher::Impl::check(const Command& command, ClientState& client,
                             const std::vector<std::string_view>& args, std::string* error) {
  auto refuse_with = [error](std::string_view text) {
    *error = text;
    return false;
  };
  if ((command.flags & kCmdNoAuth) == 0 && !client.authenticated && acl_.needs_auth() &&
      !(planted(Plant::forget_auth) && (command.flags & kCmdReadOnly) != 0)) {
    return refuse_with(errors::kNoAuth);
  }
  if (client.multi && (command.flags & kCmdNoMulti) != 0) return refuse_with(errors::kNotInMulti);
  if (!acl_.user_of(client).all_powerful() && !permitted(command, client, args, error)) return false;
  if (client.is_subscriber() && client.protocol == 2 && (command.flags & kCmdWhileSubscribed) == 0) {
    *error = fmt::format(errors::kOnlySubscribing, command.full_name);
    return false;
  }
  bool needs_data = (command.flags & kCmdLoading) == 0;
  if ((command.flags & kCmdExec) != 0 && client.multi)
    needs_data = (client.multi->flags & (kCmdWrite | kCmdReadOnly)) != 0;
  if (services_.engine == nullptr && needs_data) return refuse_with(errors::kLoading);
  if (client.monitor && (command.flags & (kCmdWrite | kCmdReadOnly | kCmdMessage)) != 0)
    return refuse_with(errors::kMonitorKeys);
  bool long_argument = false;
  for (std::string_view arg : args) long_argument |= arg.size() > kMaxKeySize;
  if (long_argument) {
    std::vector<FoundKey> keys;
    find_keys(command, args, &keys);
    for (const FoundKey& key : keys) {
      if (args[static_cast<size_t>(key.position)].size() > kMaxKeySize)
        return refuse_with(errors::kKeyTooLong);
    }
  }
  return true;
}

Admission::Verdict Dispatcher::Impl::admit(size_t bytes, bool frees, Invocation& invocation,
                                           std::string* error) {
  Admission admission = services_.engine->admit(bytes, frees);
  if (admission.verdict == Admission::Verdict::kWait) invocation.wait_us = admission.wait_us;
  if (admission.verdict == Admission::Verdict::kRefuse) {
    const Status& reason = admission.reason;
    *error = reason.is_fenced()             ? errors::kFenced
             : reason.is_aborted()          ? errors::kShuttingDown
             : reason.is_invalid_argument() ? fmt::format("ERR {}", reason.message())
                                            : errors::kNoSpace;
  }
  return admission.verdict;
}

// Before the run. A command that may turn out to give space back runs if that would be admitted; what it
// really writes is asked for before its commit, as *admitted_bytes then says nothing.
Admission::Verdict Dispatcher::Impl::admit_first(const Need& need, Invocation& invocation, std::string* error,
                                                 size_t* admitted_bytes) {
  if (invocation.others_wait && !need.frees) {
    invocation.wait_us = 0;
    return Admission::Verdict::kWait;
  }
  Admission::Verdict verdict = admit(need.bytes, need.frees, invocation, error);
  if (verdict == Admission::Verdict::kGo) {
    *admitted_bytes = need.bytes;
    return verdict;
  }
  if (need.may_free && services_.engine->admit(need.bytes, true).verdict == Admission::Verdict::kGo) {
    return Admission::Verdict::kGo;
  }
  return verdict;
}

// Not admitted: nothing happened, and what waits holds nobody up.
RunResult Dispatcher::Impl::wait(Invocation& invocation) {
  invocation.admitted = false;
  invocation.read.install_hold.reset();
  invocation.own_args();
  return RunResult::kWait;
}

RunResult Dispatcher::Impl::run(ClientState& client, Invocation& invocation, OutputBuffer& out) {
  RunResult result = run_command(client, invocation, out);
  client.shown = std::max(client.shown, invocation.gate);
  // Clients that waited for what this run wrote come before everyone else.
  if (blocked_.ready()) blocked_.serve(client.id);
  return result;
}

RunResult Dispatcher::Impl::run_command(ClientState& client, Invocation& invocation, OutputBuffer& out) {
  invocation.gate = 0;
  if (invocation.args.empty()) return RunResult::kDone;
  std::string error;
  const Command* command = look_up(invocation.args, &error);
  if (command == nullptr) return reject(nullptr, client, invocation, error, out);
  if (!check(*command, client, invocation.args, &error))
    return reject(command, client, invocation, error, out);

  if (client.blocked) {
    Unblock how = blocked_.begin_run(client.id);
    if (how != Unblock::kNo) return end_waiting(client, invocation, how, out);
  } else if (blocked_.paused(services_.clock, may_change(*command, client))) {
    blocked_.wait_for_unpause(client);
    return stand_by(invocation);
  }
  if (client.multi && (command->flags & kCmdNotQueued) == 0) {
    return queue_command(*command, client, invocation, out);
  }
  if (blocked_.serving() && !client.blocked && behind_service(*command, client, invocation)) {
    blocked_.wait_behind(client.id);
    return stand_by(invocation);
  }

  Need need = need_of(*command, client, invocation);
  if (invocation.outgrew_bytes > 0) {
    need.bytes = std::max(need.bytes, invocation.outgrew_bytes);
    need.may_free = false;  // it has turned out not to
  }
  size_t admitted_bytes = 0;  // in this turn
  if (need.writes && !invocation.admitted) {
    Admission::Verdict verdict = admit_first(need, invocation, &error, &admitted_bytes);
    if (verdict == Admission::Verdict::kRefuse) return reject(command, client, invocation, error, out);
    if (verdict == Admission::Verdict::kWait) return wait(invocation);
    invocation.admitted = true;
  }
  if (invocation.now_ms == 0) invocation.now_ms = services_.clock.now_ms();
  if (invocation.seed == 0) invocation.seed = random_.next();
  return run_admitted(*command, need, admitted_bytes, client, invocation, out);
}

RunResult Dispatcher::Impl::run_admitted(const Command& command, const Need& need, size_t admitted_bytes,
                                         ClientState& client, Invocation& invocation, OutputBuffer& out) {
  if (client.last_command != command.full_name) client.last_command = command.full_name;
  int64_t started_us = std::exchange(invocation.started_us, 0);
  if (started_us == 0) started_us = services_.clock.monotonic_us();
  uint64_t start = out.end();
  uint64_t hits = services_.hits;
  uint64_t misses = services_.misses;
  invocation.read.begin_run();
  keyspace_.set_event_classes(event_classes());
  tx_.begin(&invocation.read, invocation.now_ms);
  messages_.clear();
  touched_.clear();
  Reply reply(out, client.protocol);
  CommandContext context{services_, client, invocation, command, invocation.args, reply, tx_, start};
  if (invocation.args.size() > kManyArguments) prefetch_own(command, client, invocation.args);
  std::optional<Exec> exec;  // of EXEC only: making one takes as long as a quick command
  if ((command.flags & kCmdExec) != 0)
    run_exec(context, &exec.emplace());
  else
    command.run(context);
  struct EndOfRun {
    Transaction& tx;
    ~EndOfRun() { tx.end(); }
  } end_of_run{tx_};
  // The run counts for nothing.
  auto drop = [&] {
    out.truncate(start);
    services_.hits = hits;
    services_.misses = misses;
    invocation.gate = 0;
    invocation.spent_us += usec_since(started_us);
    invocation.stream.reset();
    refused_.clear();
    refused_logins_.clear();
    if (exec && exec->ran) static_cast<ClientSettings&>(client) = exec->before;
  };

  if (invocation.read.faulted()) {
    drop();
    if (!invocation.read.error.ok()) return give_up(command, client, invocation, out);
    invocation.own_args();
    return RunResult::kFault;
  }
  if (context.result == RunResult::kBlocked) {
    drop();
    // Monitors are shown it when it begins to wait, not when it is served.
    if (!monitors_.empty()) show(command, client, invocation);
    return block(client, invocation, out);
  }
  if (tx_.has_writes()) {
    // The admission is one of this turn, and it was for as much as the command turned out to write.
    std::string error;
    if (tx_.batch_size() > admitted_bytes) {
      bool frees = need.frees || tx_.only_deletes();
      Admission::Verdict verdict = admit(tx_.batch_size(), frees, invocation, &error);
      if (verdict != Admission::Verdict::kGo) {
        // The next run is made when there is room for all of it. What frees space is let in as what it is.
        if (!frees) invocation.outgrew_bytes = tx_.batch_size();
        drop();
        if (verdict == Admission::Verdict::kRefuse) return reject(&command, client, invocation, error, out);
        return wait(invocation);
      }
    }
    invocation.gate = std::max(invocation.gate, tx_.commit());
  }
  if (!planted(Plant::reads_pass_the_gate)) invocation.gate = std::max(invocation.gate, invocation.read.seen);
  if (need.data) invocation.gate = std::max(invocation.gate, keyspace_.map_sequence());
  if (client.blocked && planted(Plant::served_ungated)) invocation.gate = 0;

  if (client.blocked) blocked_.finish_run(client);
  for (const auto& [database, key] : touched_) watches_.written(database, key);
  RunResult result = exec ? finish_exec(context, *exec) : context.result;
  invocation.ended_us = services_.clock.monotonic_us();
  invocation.run_us = std::max<int64_t>(0, invocation.ended_us - started_us) + invocation.spent_us;
  count_run(command, out.unsent(out.end()).substr(static_cast<size_t>(start - out.begin())));
  // A stream's time is known at its end.
  if (result != RunResult::kStream || wants_no_reply(client))
    count_time(command, client, invocation.args, invocation.run_us);
  else
    invocation.spent_us = invocation.run_us;
  if (!refused_.empty() || !refused_logins_.empty())
    log_refusals(client, exec ? AclContext::kMulti : AclContext::kTopLevel);
  if (!monitors_.empty()) show(command, client, invocation);
  end_reply(client, invocation, out, start, &result);
  if (result != RunResult::kDone) invocation.own_args();
  if (!tx_.events().empty() || !messages_.empty()) {
    deliver(tx_.events(), messages_, std::max(client.shown, invocation.gate));
  }
  return result;
}

// What a command asks of admission; of EXEC, what its commands ask together.
Dispatcher::Impl::Need Dispatcher::Impl::need_of(const Command& command, const ClientState& client,
                                                 const Invocation& invocation) const {
  Need need;
  uint32_t all_writes = kCmdFrees | kCmdMayFree;  // the flags that all writes have
  bool all_free = true;
  auto add = [&](const Command& one, const auto& args) {
    if ((one.flags & (kCmdWrite | kCmdReadOnly)) != 0) need.data = true;
    if ((one.flags & kCmdWrite) == 0) return;
    need.writes = true;
    need.bytes += estimate_write(one, args);
    all_writes &= one.flags;
    all_free = all_free && (one.flags & (kCmdFrees | kCmdMayFree)) != 0;
  };
  if ((command.flags & kCmdExec) == 0) {
    add(command, invocation.args);
  } else if (client.multi && !client.multi->failed && !client.watch_failed) {
    for (const QueuedCommand& queued : client.multi->commands) add(*queued.command, queued.args);
  }
  need.frees = (all_writes & kCmdFrees) != 0;
  need.may_free = !need.frees && all_free;
  return need;
}

// It will be run again from its start, with a fresh clock.
RunResult Dispatcher::Impl::stand_by(Invocation& invocation) {
  invocation.admitted = false;
  invocation.now_ms = 0;
  invocation.seed = 0;
  invocation.block.reset();
  invocation.read.begin_command();
  invocation.own_args();
  return RunResult::kBlocked;
}

// A command that is refused before its run. One refused while commands are queued makes the transaction fail,
// and EXEC refused discards it.
RunResult Dispatcher::Impl::reject(const Command* command, ClientState& client, const Invocation& invocation,
                                   std::string_view error, OutputBuffer& out) {
  if (client.blocked) blocked_.finish_run(client);
  const Command* named = table_.find(invocation.args[0]);
  if (named != nullptr && (named->flags & kCmdExec) != 0) {
    discard(client);
    if (!monitors_.empty())
      services_.monitors.show(services_.host, client.shown, services_.clock.now_us(), client, client.db,
                              invocation.args);
    if (error.substr(0, 4) == "ERR ") error.remove_prefix(4);
    return refuse(command, client, fmt::format("{}{}", errors::kExecAbort, error), out);
  }
  if (client.multi) client.multi->failed = true;
  return refuse(command, client, error, out);
}

RunResult Dispatcher::Impl::refuse(const Command* command, ClientState& client, std::string_view error,
                                   OutputBuffer& out) {
  uint64_t start = out.end();
  Reply(out, client.protocol).error(error);
  ++processed_;
  if (command != nullptr) ++command->stats.rejected;
  count_error(fmt::format("-{}", error));
  if (client.reply_mode == ReplyMode::kOff || client.skip_this_reply) out.truncate(start);
  client.skip_this_reply = false;
  return RunResult::kDone;
}

// A read that failed: the client learns that and why, never other bytes instead.
RunResult Dispatcher::Impl::give_up(const Command& command, ClientState& client, const Invocation& invocation,
                                    OutputBuffer& out) {
  const Status& error = invocation.read.error;
  log_warning("{}: {}", command.full_name, error.to_string());
  ++command.stats.calls;
  ++command.stats.failed;
  return reject(nullptr, client, invocation, fmt::format("{} {}", errors::kReadFailed, error.to_string()),
                out);
}

// A client that wants no reply gets none; SKIP reaches from its command to the end of the next one.
void Dispatcher::Impl::end_reply(ClientState& client, Invocation& invocation, OutputBuffer& out,
                                 uint64_t start, RunResult* result) {
  if (wants_no_reply(client)) {
    out.truncate(start);
    if (*result == RunResult::kStream) {
      invocation.stream.reset();
      *result = RunResult::kDone;
    }
  }
  client.skip_this_reply = client.reply_mode == ReplyMode::kSkipNext;
  if (client.reply_mode == ReplyMode::kSkipNext) client.reply_mode = ReplyMode::kOn;
}

size_t Dispatcher::Impl::probe(const ClientState& client, const std::vector<std::string_view>& args,
                               ReadContext& read, size_t keys_max) {
  if (services_.engine == nullptr || args.empty()) return 0;
  std::string ignored;
  const Command* command = table_.find(args[0]);
  if (command == nullptr || (command->flags & (kCmdWrite | kCmdReadOnly)) == 0) return 0;
  if ((command->flags & kCmdBlindWrite) != 0) return 0;
  std::vector<FoundKey> keys;
  if (!find_keys(*command, args, &keys)) return 0;
  Status error = read.error;
  Sequence seen = read.seen;
  probe_tx_.begin(&read, services_.clock.now_ms());
  DatabaseId database = keyspace_.database(client.db);
  std::string scratch;
  size_t looked = 0;
  for (const FoundKey& found : keys) {
    if (looked >= keys_max || read.misses.size() >= kProbedMisses) break;
    ++looked;
    std::string_view key = args[static_cast<size_t>(found.position)];
    Entry entry;
    if (key.size() > kMaxKeySize || !probe_tx_.find(database, key, &entry)) continue;
    const Record& record = entry.record;
    if (record.type == ValueType::kString && record.encoding == Encoding::kElements &&
        record.count <= kProbedStringMax && (command->flags & kCmdReadOnly) != 0) {
      probe_tx_.read_string(entry, &scratch);
    }
    if (record.encoding == Encoding::kElements &&
        (record.type == ValueType::kHash || record.type == ValueType::kSet ||
         record.type == ValueType::kSortedSet)) {
      MemberLayout layout;
      if (layout.read(record)) probe_members(*command, args, found.position, layout, read);
    }
  }
  probe_tx_.end();
  read.error = error;
  read.seen = seen;
  return looked;
}

// What stands behind the only key of a command on hashes and sets, sorted or not, is mostly fields and
// members. What is none is looked for in vain, which filters make cheap.
void Dispatcher::Impl::probe_members(const Command& command, const std::vector<std::string_view>& args,
                                     int key, const MemberLayout& layout, const ReadContext& read) {
  if (command.keys.size() != 1 || command.keys[0].last != 1) return;
  EngineKey member;
  std::string_view record;
  size_t first = static_cast<size_t>(key) + 1;
  for (size_t i = first; i < std::min(args.size(), first + kProbedMembers); ++i) {
    if (args[i].size() > kMaxKeySize || read.misses.size() >= kProbedMisses) continue;
    layout.make_key(args[i], &member);
    probe_tx_.get_element(member, &record);
  }
}

void Dispatcher::Impl::tick() {
  if (services_.engine != nullptr && !expiry_scheduled_) expire_some();
}

// One slice; while there is more to do the next follows, with other work between.
void Dispatcher::Impl::expire_some() {
  // A pause stops every change of the data set.
  if (services_.engine == nullptr || !services_.active_expire) return;
  if (blocked_.paused(services_.clock, true)) return;
  keyspace_.set_event_classes(event_classes());
  int64_t started_us = services_.clock.monotonic_us();
  ExpiryCycle::Next next = expiry_.run_slice(services_.clock.now_ms(), kExpirySliceHints);
  int64_t spent_us = usec_since(started_us);
  expire_cycle_us_ += spent_us;
  note_latency("expire-cycle", spent_us);
  if (next == ExpiryCycle::Next::kLater) return;
  expiry_scheduled_ = true;
  int64_t pause_ms = next == ExpiryCycle::Next::kAtOnce ? 0 : kExpiryFetchMs;
  services_.host.after_ms(pause_ms, [this, weak = std::weak_ptr<int>(alive_)] {
    if (weak.expired()) return;
    expiry_scheduled_ = false;
    expire_some();
  });
}

Dispatcher::Impl::Impl(Host& host, Clock& clock, uint64_t seed, void (*add_commands)(CommandTable&))
    : random_(seed),
      cursors_(random_.next()),
      watches_(host),
      blocked_(host),
      limits_(host.observation()),
      acl_(host, pubsub_, table_),
      services_{host, clock,     table_,   cursors_,        keyspace_, pubsub_,  watches_, blocked_,
                acl_, messages_, touched_, refused_logins_, slow_log_, latency_, monitors_},
      tx_(keyspace_),
      probe_tx_(keyspace_),
      expiry_(keyspace_) {
  build_command_table(table_, add_commands);
  acl_.follow_password(host.password());
  keyspace_.set_observer(this);
}

Dispatcher::Dispatcher(Host& host, Clock& clock, uint64_t random_seed, void (*add_commands)(CommandTable&))
    : impl_(std::make_unique<Impl>(host, clock, random_seed, add_commands)) {}
Dispatcher::~Dispatcher() = default;
Status Dispatcher::attach(Engine* engine) {
  return impl_->attach(engine);
}
void Dispatcher::detach() {
  impl_->detach();
}
RunResult Dispatcher::run(ClientState& client, Invocation& invocation, OutputBuffer& out) {
  return impl_->run(client, invocation, out);
}
size_t Dispatcher::prefetch(const ClientState& client, std::string_view input) const {
  return impl_->prefetch(client, input);
}

void Dispatcher::prefetch_first(const FirstRequest* requests, size_t count) const {
  impl_->prefetch_first(requests, count);
}

size_t Dispatcher::probe(const ClientState& client, const std::vector<std::string_view>& args,
                         ReadContext& read, size_t keys_max) {
  return impl_->probe(client, args, read, keys_max);
}
void Dispatcher::stream_ended(const ClientState& client, Invocation& invocation) {
  impl_->stream_ended(client, invocation);
}
void Dispatcher::note_latency(const char* event, int64_t us) {
  impl_->note_latency(event, us);
}
void Dispatcher::client_gone(uint64_t id) {
  impl_->client_gone(id);
}
size_t Dispatcher::blocked_clients() const {
  return impl_->blocked_.count();
}
Acl& Dispatcher::acl() {
  return impl_->acl_;
}
PubSubCounts Dispatcher::pubsub_counts() const {
  const PubSub& pubsub = impl_->pubsub_;
  return {pubsub.channels(), pubsub.patterns(), pubsub.shard_channels()};
}
void Dispatcher::tick() {
  impl_->tick();
}
std::string Dispatcher::commandstats_text() const {
  return impl_->commandstats_text();
}
std::string Dispatcher::errorstats_text() const {
  return impl_->errorstats_text();
}
std::string Dispatcher::latencystats_text() const {
  return impl_->latencystats_text();
}
std::string Dispatcher::keyspace_text() const {
  return impl_->keyspace_text();
}
uint64_t Dispatcher::commands_processed() const {
  return impl_->processed_;
}
uint64_t Dispatcher::keyspace_hits() const {
  return impl_->services_.hits;
}
uint64_t Dispatcher::keyspace_misses() const {
  return impl_->services_.misses;
}
uint64_t Dispatcher::error_replies() const {
  return impl_->error_replies_;
}
uint64_t Dispatcher::expired_keys() const {
  return impl_->expiry_.expired_keys();
}
int64_t Dispatcher::expire_cycle_us() const {
  return impl_->expire_cycle_us_;
}
void Dispatcher::reset_stats() {
  impl_->reset_stats();
}
size_t Dispatcher::memory_used() const {
  return impl_->acl_.memory_used() + impl_->cursors_.memory_used() + impl_->tx_.memory_used() +
         impl_->probe_tx_.memory_used() + impl_->expiry_.memory_used() + impl_->slow_log_.memory_used();
}

}  // namespace varve
