// exec.cc: MULTI and EXEC. All commands of an EXEC share one run: one transaction, one batch, one verdict. A
// command sees the writes of those before it through the transaction's overlay; a block that any of them
// misses makes the whole EXEC run again, and the commands behind it go on with "absent" meanwhile, so that
// what they miss is fetched with it.
//
// A run may be repeated; so commands that are not about keys run either in their place, if that is harmless
// (kCmdRepeatable: EXEC puts the client's settings back), or behind the commit, their replies put where they
// belong.

#include <algorithm>
#include <utility>

#include "base/plant.h"
#include "command/dispatcher_impl.h"
#include "command/errors.h"

namespace varve {
namespace {

// Blocks a run gathers before it is content to fetch them.
constexpr size_t kExecMisses = 256;
// What a queued command costs beside its bytes.
constexpr size_t kQueuedBytes = sizeof(QueuedCommand);
constexpr size_t kQueuedArgumentBytes = sizeof(std::string);

}  // namespace

// The commands that run behind an EXEC's commit, one after another: each may be suspended.
struct Dispatcher::Impl::ExecTail {
  struct Late {
    QueuedCommand command;
    size_t at;  // in `written`
    int protocol;
  };
  uint64_t client = 0;
  std::string written;  // the replies of the others
  std::vector<Late> late;
  size_t next = 0;
  size_t copied = 0;  // of `written`
  OutputBuffer collected;
  Sequence gate = 0;
  int64_t now_ms = 0;
  uint64_t seed = 0;
  Resume resume;  // EXEC's own, once it is suspended
};

RunResult Dispatcher::Impl::queue_command(const Command& command, ClientState& client, Invocation& invocation,
                                          OutputBuffer& out) {
  MultiState& multi = *client.multi;
  client.last_command = command.full_name;
  if (!multi.failed && !client.watch_failed) {  // else it will never run
    QueuedCommand& queued = multi.commands.emplace_back();
    queued.command = &command;
    queued.args.assign(invocation.args.begin(), invocation.args.end());
    multi.flags |= command.flags;
    multi.bytes += kQueuedBytes;
    for (const std::string& arg : queued.args) multi.bytes += kQueuedArgumentBytes + arg.capacity();
  }
  uint64_t start = out.end();
  Reply(out, client.protocol).simple("QUEUED");
  RunResult result = RunResult::kDone;
  end_reply(client, invocation, out, start, &result);
  return result;
}

void Dispatcher::Impl::discard(ClientState& client) {
  client.multi.reset();
  client.watch_failed = false;
  watches_.clear(client);
}

void Dispatcher::Impl::run_exec(CommandContext& context, Exec* exec) {
  const ClientState& client = context.client;
  if (!client.multi) return context.reply.error(errors::kExecWithoutMulti);
  if (client.multi->failed) return context.reply.error(errors::kExecFailed);
  if (client.watch_failed || watches_.expired(client.id, context.now_ms())) return context.reply.null_array();
  exec->ran = true;
  exec->before = client;
  context.reply.array(client.multi->commands.size());
  ReadContext& read = context.tx.read();
  uint64_t seed = context.invocation.seed;
  Random seeds(seed);
  for (QueuedCommand& queued : client.multi->commands) {
    if (read.misses.size() >= kExecMisses || !read.error.ok()) break;
    if (planted(Plant::exec_in_two) && &queued == &client.multi->commands.back() && !read.faulted()) {
      tx_.commit();
      tx_.begin(&read, context.now_ms());
    }
    context.invocation.seed = seeds.next();
    if (!permitted_in_exec(queued, client, context.reply)) continue;
    if ((queued.command->flags & (kCmdWrite | kCmdReadOnly | kCmdRepeatable)) != 0) {
      run_queued(context, queued, exec);
    } else {
      exec->late.push_back({&queued, context.reply.out().end(), client.protocol});
    }
    queued.db = client.db;
  }
  context.invocation.seed = seed;
}

void Dispatcher::Impl::run_queued(CommandContext& context, QueuedCommand& queued, Exec* exec) {
  OutputBuffer& out = context.reply.out();
  uint64_t start = out.end();
  int64_t started_us = services_.clock.monotonic_us();
  std::vector<std::string_view> args(queued.args.begin(), queued.args.end());
  Reply reply(out, context.client.protocol);
  CommandContext one{services_, context.client, context.invocation, *queued.command, args, reply, tx_, start};
  one.in_exec = true;
  queued.command->run(one);
  bool too_long = out.end() - context.reply_start > services_.host.max_reply() &&
                  (queued.command->flags & kCmdReadOnly) != 0;
  if (one.result == RunResult::kStream || too_long) {
    context.invocation.stream.reset();
    out.truncate(start);
    reply.error(fmt::format(errors::kReplyTooLong, services_.host.max_reply()));
  }
  std::string_view written = out.unsent(out.end()).substr(static_cast<size_t>(start - out.begin()));
  bool failed = !written.empty() && written[0] == '-';
  queued.usec += usec_since(started_us);
  exec->counts.push_back({&queued, std::string(failed ? written : std::string_view())});
}

// The batch is committed: what is left are the commands that had to wait for that.
RunResult Dispatcher::Impl::finish_exec(CommandContext& context, Exec& exec) {
  ClientState& client = context.client;
  std::vector<std::string_view> args;
  for (const Exec::Ran& ran : exec.counts) {
    args.assign(ran.queued->args.begin(), ran.queued->args.end());
    count_run(*ran.queued->command, ran.error);
    count_time(*ran.queued->command, client, args, ran.queued->usec);
  }
  if (!client.multi) return RunResult::kDone;
  if (exec.ran && !monitors_.empty()) {
    for (const QueuedCommand& queued : client.multi->commands) {
      args.assign(queued.args.begin(), queued.args.end());
      show(*queued.command, client, queued.db, std::max(client.shown, context.invocation.gate), args);
    }
  }
  OutputBuffer& out = context.reply.out();
  auto tail = std::make_shared<ExecTail>();
  for (const Exec::Late& late : exec.late) {
    tail->late.push_back(
        {*late.command, static_cast<size_t>(late.position - context.reply_start), late.protocol});
  }
  discard(client);
  if (tail->late.empty()) return RunResult::kDone;
  tail->client = client.id;
  tail->written = out.unsent(out.end()).substr(static_cast<size_t>(context.reply_start - out.begin()));
  tail->gate = context.invocation.gate;
  tail->now_ms = context.now_ms();
  tail->seed = context.invocation.seed;
  out.truncate(context.reply_start);
  if (!run_tail(tail)) {
    tail->resume = context.suspend();
    return RunResult::kSuspended;
  }
  out.append(tail->collected.unsent(tail->collected.end()));
  context.invocation.gate = tail->gate;
  return RunResult::kDone;
}

// True when all have run. False: one of them is suspended and goes on with the rest, or the client is gone.
bool Dispatcher::Impl::run_tail(const std::shared_ptr<ExecTail>& tail) {
  for (; tail->next < tail->late.size(); ++tail->next) {
    ClientState* client = services_.host.client(tail->client);
    if (client == nullptr) return false;
    const ExecTail::Late& late = tail->late[tail->next];
    tail->collected.append(std::string_view(tail->written).substr(tail->copied, late.at - tail->copied));
    tail->copied = late.at;
    Invocation invocation;
    invocation.args.assign(late.command.args.begin(), late.command.args.end());
    invocation.now_ms = tail->now_ms;
    invocation.seed = tail->seed + tail->next;
    invocation.resume = [this, weak = std::weak_ptr<int>(alive_), tail](
                            Sequence gate, const std::function<void(OutputBuffer&, int)>& write) {
      if (weak.expired()) return;
      ClientState* there = services_.host.client(tail->client);
      if (there == nullptr) return;
      write(tail->collected, tail->late[tail->next].protocol);
      tail->gate = std::max(tail->gate, gate);
      ++tail->next;
      if (!run_tail(tail)) return;
      tail->resume(tail->gate, [tail](OutputBuffer& out, int) {
        out.append(tail->collected.unsent(tail->collected.end()));
      });
    };
    // Those before it may have changed what its client may do.
    Reply refusal(tail->collected, late.protocol);
    if (!permitted_in_exec(late.command, *client, refusal)) {
      log_refusals(*client, AclContext::kMulti);
      continue;
    }
    int64_t started_us = services_.clock.monotonic_us();
    Transaction tx(keyspace_);
    tx.begin(&invocation.read, invocation.now_ms);
    uint64_t start = tail->collected.end();
    Reply reply(tail->collected, late.protocol);
    CommandContext one{services_,       *client, invocation, *late.command.command,
                       invocation.args, reply,   tx,         start};
    one.in_exec = true;
    late.command.command->run(one);
    tail->gate = std::max(tail->gate, invocation.gate);
    count_run(*late.command.command, tail->collected.unsent(tail->collected.end()).substr(start));
    count_time(*late.command.command, *client, invocation.args, usec_since(started_us) + invocation.spent_us);
    if (one.result == RunResult::kSuspended) return false;
  }
  tail->collected.append(std::string_view(tail->written).substr(tail->copied));
  tail->copied = tail->written.size();
  return true;
}

}  // namespace varve
