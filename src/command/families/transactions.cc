// transactions.cc: MULTI, EXEC, DISCARD, WATCH, UNWATCH. Queueing and EXEC itself are the dispatcher's
// (exec.cc).
#include "command/families/helpers.h"
#include "command/watches.h"

namespace varve {
namespace {

void run_multi(CommandContext& context) {
  if (context.client.multi) return context.reply.error(errors::kNestedMulti);
  context.client.multi = std::make_unique<MultiState>();
  context.reply.ok();
}

// The dispatcher runs EXEC's queue in its place.
void run_exec_alone(CommandContext& context) {
  context.reply.error(errors::kExecWithoutMulti);
}

void run_discard(CommandContext& context) {
  ClientState& client = context.client;
  if (!client.multi) return context.reply.error(errors::kDiscardWithoutMulti);
  client.multi.reset();
  client.watch_failed = false;
  context.services.watches.clear(client);
  context.reply.ok();
}

void run_watch(CommandContext& context) {
  if (context.client.multi) return context.reply.error(errors::kWatchInMulti);
  if (context.engine() == nullptr) return context.reply.error(errors::kLoading);  // it looks at its keys
  // Its transaction fails already.
  if (context.client.watch_failed) return context.reply.ok();
  std::vector<Entry> entries(context.args.size());
  for (size_t i = 1; i < context.args.size(); ++i)
    context.tx.find(context.db(), context.args[i], &entries[i]);
  if (context.tx.read().faulted()) return;
  for (size_t i = 1; i < context.args.size(); ++i) {
    const Entry& entry = entries[i];
    context.services.watches.add(context.client, context.client.db, context.args[i], entry.exists,
                                 entry.exists ? entry.record.expire_ms : 0);
  }
  context.reply.ok();
}

// As part of a transaction it comes too late to change anything.
void run_unwatch(CommandContext& context) {
  context.client.watch_failed = false;
  context.services.watches.clear(context.client);
  context.reply.ok();
}

Command command(const char* name, int arity, uint32_t flags, CommandFunction run, const char* since,
                const char* summary, const char* complexity) {
  return {.name = name,
          .arity = arity,
          .flags = kCmdNoScript | kCmdLoading | kCmdStale | flags,
          .categories = kAclTransaction | ((flags & kCmdFast) != 0 ? kAclFast : kAclSlow),
          .run = run,
          .since = since,
          .group = "transactions",
          .summary = summary,
          .complexity = complexity};
}

}  // namespace

void add_transaction_commands(CommandTable& table) {
  constexpr uint32_t kQuick = kCmdFast | kCmdAllowBusy;
  table.add(command("multi", 1, kQuick | kCmdNotQueued, run_multi, "1.2.0",
                    "Mark the start of a transaction block", "O(1)"));
  table.add(command("exec", 1, kCmdSkipSlowlog | kCmdNotQueued | kCmdExec, run_exec_alone, "1.2.0",
                    "Execute all commands issued after MULTI", "Depends on commands in the transaction"));
  table.add(command("discard", 1, kQuick | kCmdNotQueued, run_discard, "2.0.0",
                    "Discard all commands issued after MULTI",
                    "O(N), when N is the number of queued commands"));
  Command watch =
      command("watch", -2, kQuick | kCmdNotQueued, run_watch, "2.2.0",
              "Watch the given keys to determine execution of the MULTI/EXEC block", "O(1) for every key.");
  watch.keys = {{1, -1, 1, kKeyRO}};
  table.add(std::move(watch));
  table.add(command("unwatch", 1, kQuick, run_unwatch, "2.2.0", "Forget about all watched keys", "O(1)"));
}

}  // namespace varve
