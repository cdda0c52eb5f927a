// connection.cc: commands about the connection itself: who is there, in which protocol, with which password
// and database.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "command/acl.h"
#include "command/command_context.h"
#include "command/families/client_names.h"
#include "command/monitors.h"
#include "command/numbers.h"
#include "command/pubsub.h"
#include "command/version.h"
#include "command/watches.h"

namespace varve {
namespace {

// False: WRONGPASS was replied, and ACL LOG will tell.
bool log_in(CommandContext& context, std::string_view user, std::string_view password) {
  if (context.services.acl.log_in(context.client, user, password)) return true;
  context.services.refused_logins.push_back(
      {std::string(user.substr(0, AclLog::kTextMax)), std::string(context.args[0])});
  context.reply.error(errors::kWrongPass);
  return false;
}

void ping(CommandContext& context) {
  if (context.args.size() > 2) {
    return context.reply.error("ERR wrong number of arguments for 'ping' command");
  }
  std::string_view message = context.args.size() == 2 ? context.args[1] : std::string_view();
  if (context.client.is_subscriber() && context.client.protocol == 2) {  // who only reads pushes
    context.reply.array(2);
    context.reply.bulk("pong");
    return context.reply.bulk(message);
  }
  if (context.args.size() == 2) return context.reply.bulk(message);
  context.reply.simple("PONG");
}

void no_cluster(CommandContext& context) {
  context.reply.error("ERR This instance has cluster support disabled");
}

void echo(CommandContext& context) {
  context.reply.bulk(context.args[1]);
}

void quit(CommandContext& context) {
  context.reply.ok();
  context.client.close_after_reply = true;
}

void auth(CommandContext& context) {
  const auto& args = context.args;
  if (args.size() > 3) return context.reply.error(errors::kSyntax);
  if (args.size() == 2 && context.services.acl.default_nopass()) {
    return context.reply.error(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
        "configuration is "
        "correct?");
  }
  std::string_view user = args.size() == 3 ? args[1] : "default";
  if (log_in(context, user, args.back())) context.reply.ok();
}

void reply_hello(CommandContext& context) {
  // In the protocol that was just chosen.
  Reply reply(context.reply.out(), context.client.protocol);
  reply.map(7);
  reply.bulk("server");
  reply.bulk("redis");
  reply.bulk("version");
  reply.bulk(kRedisVersion);
  reply.bulk("proto");
  reply.integer(context.client.protocol);
  reply.bulk("id");
  reply.integer(static_cast<int64_t>(context.client.id));
  reply.bulk("mode");
  reply.bulk("standalone");
  reply.bulk("role");
  reply.bulk("master");
  reply.bulk("modules");
  reply.array(0);
}

void hello(CommandContext& context) {
  const auto& args = context.args;
  ClientState& client = context.client;
  int64_t version = 0;
  if (args.size() > 1) {
    if (!parse_integer(args[1], &version)) {
      return context.reply.error("ERR Protocol version is not an integer or out of range");
    }
    if (version < 2 || version > 3) return context.reply.error(errors::kNoProto);
  }
  bool authenticated = client.authenticated || !context.services.acl.needs_auth();
  for (size_t i = 2; i < args.size(); i++) {
    size_t more = args.size() - 1 - i;
    if (equals_ignoring_case(args[i], "auth") && more >= 2) {
      if (!log_in(context, args[i + 1], args[i + 2])) return;
      authenticated = true;
      i += 2;
    } else if (equals_ignoring_case(args[i], "setname") && more >= 1) {
      if (!valid_client_name(args[i + 1])) return context.reply.error(kBadClientName);
      if (args[i + 1].size() > kClientNameMax) return context.reply.error(kLongClientName);
      client.name = args[++i];  // whatever becomes of the rest, as in Redis
    } else {
      return context.reply.error(
          fmt::format("ERR Syntax error in HELLO option '{}'", args[i].substr(0, args[i].find('\0'))));
    }
  }
  if (!authenticated) {
    return context.reply.error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> "
        "<pass> option can "
        "be used to authenticate the client and select the RESP protocol version at the same time");
  }
  if (version != 0) client.protocol = static_cast<int>(version);
  reply_hello(context);
}

// The connection as it was when it was made (but for NO-EVICT and the library's name, as in Redis).
void reset(CommandContext& context) {
  ClientState& client = context.client;
  client.multi.reset();
  client.watch_failed = false;
  context.services.watches.clear(client);
  context.services.pubsub.forget(client.id);
  client.subscriptions = {};
  client.subscription_bytes = 0;
  if (client.monitor) context.services.monitors.remove(client.id);
  client.monitor = false;
  client.db = 0;
  client.protocol = 2;
  client.name.clear();
  client.no_touch = false;
  client.reply_mode = ReplyMode::kOn;
  client.skip_this_reply = false;
  context.services.acl.log_out(client);
  context.reply.simple("RESET");
}

constexpr uint32_t kAnyTime = kCmdNoScript | kCmdLoading | kCmdStale | kCmdFast | kCmdNoAuth | kCmdAllowBusy;
constexpr uint32_t kFastConnection = kAclFast | kAclConnection;

}  // namespace

void add_connection_commands(CommandTable& table) {
  table.add({.name = "auth",
             .arity = -2,
             .flags = kAnyTime | kCmdRepeatable,
             .categories = kFastConnection,
             .run = auth,
             .group = "connection",
             .summary = "Gives the password that opens the connection",
             .complexity = "O(N) where N is the number of passwords defined for the user"});
  table.add({.name = "echo",
             .arity = 2,
             .flags = kCmdLoading | kCmdStale | kCmdFast | kCmdRepeatable,
             .categories = kFastConnection,
             .run = echo,
             .group = "connection",
             .summary = "Sends the message back",
             .complexity = "O(1)"});
  // Of a cluster's clients.
  struct ClusterRow {
    const char* name;
    uint32_t flags;
    const char* summary;
  };
  for (const ClusterRow& row : {
           ClusterRow{"asking", 0, "Sent by cluster clients after an -ASK redirect"},
           ClusterRow{"readonly", kCmdLoading | kCmdStale,
                      "Enables read queries for a connection to a cluster replica node"},
           ClusterRow{"readwrite", kCmdLoading | kCmdStale,
                      "Disables read queries for a connection to a cluster replica node"},
       }) {
    table.add({.name = row.name,
               .arity = 1,
               .flags = row.flags | kCmdFast | kCmdRepeatable,
               .categories = kFastConnection,
               .run = no_cluster,
               .since = "3.0.0",
               .group = "cluster",
               .summary = row.summary,
               .complexity = "O(1)"});
  }
  table.add({.name = "hello",
             .arity = -1,
             .flags = kAnyTime | kCmdRepeatable,
             .categories = kFastConnection,
             .run = hello,
             .since = "6.0.0",
             .group = "connection",
             .summary = "Chooses the protocol, with authentication and name if wanted",
             .complexity = "O(1)"});
  table.add({.name = "ping",
             .arity = -1,
             .flags = kCmdFast | kCmdRepeatable | kCmdWhileSubscribed,
             .categories = kFastConnection,
             .run = ping,
             .group = "connection",
             .summary = "Tells whether the server is alive",
             .complexity = "O(1)",
             .tips = {"request_policy:all_shards", "response_policy:all_succeeded"}});
  table.add({.name = "quit",
             .arity = -1,
             .flags = kAnyTime | kCmdNotQueued | kCmdWhileSubscribed,
             .categories = kFastConnection,
             .run = quit,
             .group = "connection",
             .summary = "Closes the connection behind its pending replies",
             .complexity = "O(1)"});
  table.add({.name = "reset",
             .arity = 1,
             .flags = kAnyTime | kCmdNotQueued | kCmdWhileSubscribed,
             .categories = kFastConnection,
             .run = reset,
             .since = "6.2.0",
             .group = "connection",
             .summary = "Puts the connection into its first state",
             .complexity = "O(1)"});
}

}  // namespace varve
