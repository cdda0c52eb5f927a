// pubsub.cc: subscribing, publishing, and what is subscribed to. The answers to SUBSCRIBE and its like are
// pushes themselves, one for each name.
#include "command/pubsub.h"
#include "command/families/help.h"
#include "command/families/helpers.h"

namespace varve {
namespace {

// The count that the answers carry: shard channels are counted apart.
int64_t count_of(const ClientState& client, Subscription kind) {
  return static_cast<int64_t>(kind == kShardChannel ? client.subscriptions[kShardChannel]
                                                    : client.subscribed());
}

void answer(CommandContext& context, const char* word, Subscription kind, const std::string_view* name) {
  Reply& reply = context.reply;
  reply.push(3);
  reply.bulk(word);
  if (name != nullptr)
    reply.bulk(*name);
  else
    reply.null();
  reply.integer(count_of(context.client, kind));
}

void subscribe(CommandContext& context, Subscription kind) {
  for (size_t i = 1; i < context.args.size(); ++i) {
    context.services.pubsub.subscribe(context.client, kind, context.args[i]);
    answer(context, context.command.name, kind, &context.args[i]);
  }
}

void unsubscribe(CommandContext& context, Subscription kind) {
  PubSub& pubsub = context.services.pubsub;
  auto leave = [&](std::string_view name) {
    pubsub.unsubscribe(context.client, kind, name);
    answer(context, context.command.name, kind, &name);
  };
  for (size_t i = 1; i < context.args.size(); ++i) leave(context.args[i]);
  if (context.args.size() > 1) return;
  std::vector<std::string> names = pubsub.names_of(context.client.id, kind);
  for (const std::string& name : names) leave(name);
  if (names.empty()) answer(context, context.command.name, kind, nullptr);
}

template <Subscription kind>
void run_subscribe(CommandContext& context) {
  subscribe(context, kind);
}
template <Subscription kind>
void run_unsubscribe(CommandContext& context) {
  unsubscribe(context, kind);
}

void publish(CommandContext& context, bool shard) {
  std::string_view channel = context.args[1];
  uint64_t receivers = context.services.pubsub.receivers(channel, shard);
  if (receivers > 0) {
    context.services.messages.push_back(
        {context.tx.events().size(), std::string(channel), std::string(context.args[2]), shard});
  }
  context.reply.integer(static_cast<int64_t>(receivers));
}
void run_publish(CommandContext& context) {
  publish(context, false);
}
void run_spublish(CommandContext& context) {
  publish(context, true);
}

void list_channels(CommandContext& context, bool shard) {
  if (context.args.size() > 3) {
    return reply_subcommand_error(context);
  }
  std::optional<std::string_view> pattern;
  if (context.args.size() > 2) pattern = context.args[2];
  std::vector<std::string> names = context.services.pubsub.channels_like(pattern, shard);
  context.reply.array(names.size());
  for (const std::string& name : names) context.reply.bulk(name);
}
void run_channels(CommandContext& context) {
  list_channels(context, false);
}
void run_shardchannels(CommandContext& context) {
  list_channels(context, true);
}

void count_subscribers(CommandContext& context, bool shard) {
  context.reply.array((context.args.size() - 2) * 2);
  for (size_t i = 2; i < context.args.size(); ++i) {
    context.reply.bulk(context.args[i]);
    context.reply.integer(static_cast<int64_t>(context.services.pubsub.subscribers(context.args[i], shard)));
  }
}
void run_numsub(CommandContext& context) {
  count_subscribers(context, false);
}
void run_shardnumsub(CommandContext& context) {
  count_subscribers(context, true);
}

void run_numpat(CommandContext& context) {
  context.reply.integer(static_cast<int64_t>(context.services.pubsub.patterns()));
}

void run_help(CommandContext& context) {
  reply_help(
      context.reply, "PUBSUB",
      {"CHANNELS [<pattern>]",
       "    Return the currently active channels matching a <pattern> (default: '*').",  //
       "NUMPAT",
       "    Return number of subscriptions to patterns.",  //
       "NUMSUB [<channel> ...]", "    Return the number of subscribers for the specified channels, excluding",
       "    pattern subscriptions(default: no channels).",  //
       "SHARDCHANNELS [<pattern>]",
       "    Return the currently active shard level channels matching a <pattern> (default: '*').",  //
       "SHARDNUMSUB [<shardchannel> ...]",
       "    Return the number of subscribers for the specified shard level channel(s)"});
}

constexpr uint32_t kFlags = kCmdPubSub | kCmdLoading | kCmdStale;

Command command(const char* name, int arity, uint32_t flags, CommandFunction run, const char* since,
                const char* summary, const char* complexity,
                ChannelArguments channels = ChannelArguments::kNone) {
  return {.name = name,
          .arity = arity,
          .flags = kFlags | flags,
          .categories = kAclPubSub | ((flags & kCmdFast) != 0 ? kAclFast : kAclSlow),
          .run = run,
          .since = since,
          .group = "pubsub",
          .summary = summary,
          .complexity = complexity,
          .channels = channels};
}

Command shard_command(Command command, int last) {
  command.keys = {{1, last, 1, kKeyNotKey}};
  return command;
}

}  // namespace

void add_pubsub_commands(CommandTable& table) {
  constexpr uint32_t kListening = kCmdNoScript | kCmdWhileSubscribed;
  constexpr uint32_t kSending = kCmdFast | kCmdRepeatable | kCmdMessage;
  const char* each = "O(N) where N is the number of channels to subscribe to.";
  table.add(command("subscribe", -2, kListening, run_subscribe<kChannel>, "2.0.0",
                    "Listen for messages published to the given channels", each, ChannelArguments::kAll));
  table.add(command("unsubscribe", -1, kListening, run_unsubscribe<kChannel>, "2.0.0",
                    "Stop listening for messages posted to the given channels",
                    "O(N) where N is the number of clients already subscribed to a channel."));
  table.add(command("psubscribe", -2, kListening, run_subscribe<kPattern>, "2.0.0",
                    "Listen for messages published to channels matching the given patterns",
                    "O(N) where N is the number of patterns the client is already subscribed to.",
                    ChannelArguments::kAllPatterns));
  table.add(command("punsubscribe", -1, kListening, run_unsubscribe<kPattern>, "2.0.0",
                    "Stop listening for messages posted to channels matching the given patterns",
                    "O(N+M) where N is the number of patterns the client is already subscribed and M is the "
                    "number of total patterns subscribed in the system (by any client)."));
  table.add(shard_command(
      command("ssubscribe", -2, kListening, run_subscribe<kShardChannel>, "7.0.0",
              "Listen for messages published to the given shard channels",
              "O(N) where N is the number of shard channels to subscribe to.", ChannelArguments::kAll),
      -1));
  table.add(
      shard_command(command("sunsubscribe", -1, kListening, run_unsubscribe<kShardChannel>, "7.0.0",
                            "Stop listening for messages posted to the given shard channels",
                            "O(N) where N is the number of clients already subscribed to a shard channel."),
                    -1));
  table.add(
      command("publish", 3, kSending, run_publish, "2.0.0", "Post a message to a channel",
              "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the "
              "total number of subscribed patterns (by any client).",
              ChannelArguments::kFirst));
  table.add(shard_command(
      command("spublish", 3, kSending, run_spublish, "7.0.0", "Post a message to a shard channel",
              "O(N) where N is the number of clients subscribed to the receiving shard "
              "channel.",
              ChannelArguments::kFirst),
      1));

  Command pubsub = {.name = "pubsub",
                    .arity = -2,
                    .categories = kAclSlow,
                    .since = "2.8.0",
                    .group = "pubsub",
                    .summary = "A container for Pub/Sub commands",
                    .complexity = "Depends on subcommand."};
  Command help =
      command("help", 2, 0, run_help, "6.2.0", "Show helpful text about the different subcommands", "O(1)");
  help.flags = kCmdLoading | kCmdStale;
  help.categories = kAclSlow;
  const char* all =
      "O(N) where N is the number of active channels, and assuming constant time pattern matching "
      "(relatively "
      "short channels and patterns)";
  const char* all_shards =
      "O(N) where N is the number of active shard channels, and assuming constant time pattern matching "
      "(relatively short shard channels).";
  pubsub.subcommands = {
      command("channels", -2, 0, run_channels, "2.8.0", "List active channels", all),
      help,
      command("numpat", 2, 0, run_numpat, "2.8.0", "Get the count of unique patterns pattern subscriptions",
              "O(1)"),
      command("numsub", -2, 0, run_numsub, "2.8.0", "Get the count of subscribers for channels",
              "O(N) for the NUMSUB subcommand, where N is the number of requested channels"),
      command("shardchannels", -2, 0, run_shardchannels, "7.0.0", "List active shard channels", all_shards),
      command("shardnumsub", -2, 0, run_shardnumsub, "7.0.0",
              "Get the count of subscribers for shard channels",
              "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels"),
  };
  table.add(std::move(pubsub));
}

}  // namespace varve
