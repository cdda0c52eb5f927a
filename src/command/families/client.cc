// client.cc: CLIENT: what connections there are, and what this one is called and wants.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "command/acl.h"
#include "command/blocked_clients.h"
#include "command/client_line.h"
#include "command/command_context.h"
#include "command/families/client_names.h"
#include "command/families/help.h"
#include "command/families/helpers.h"
#include "command/numbers.h"

namespace varve {
namespace {

// The letters of CLIENT LIST, in Redis's order.
std::string flag_letters(const ClientState& client) {
  std::string letters;
  if (client.monitor) letters += 'O';
  if (client.is_subscriber()) letters += 'P';
  if (client.multi) letters += 'x';
  if (client.blocked) letters += 'b';
  if (client.watch_failed) letters += 'd';
  if (client.close_after_reply) letters += 'c';
  if (client.unix_socket) letters += 'U';
  if (client.no_evict) letters += 'e';
  if (client.no_touch) letters += 'T';
  return letters.empty() ? "N" : letters;
}

// One line of CLIENT LIST.
void append_line(const CommandContext& context, const ClientState& client, std::string* text) {
  *text += client_line(client, context.services.acl, context.now_ms()) + "\n";
}

// Which kind of client a TYPE names. There are no replicas and masters so far.
enum class ClientType { kUnknown, kAny, kNormal, kSubscriber, kOther };

ClientType client_type(std::string_view name) {
  if (equals_ignoring_case(name, "normal")) return ClientType::kNormal;
  if (equals_ignoring_case(name, "pubsub")) return ClientType::kSubscriber;
  for (const char* other : {"slave", "replica", "master"}) {
    if (equals_ignoring_case(name, other)) return ClientType::kOther;
  }
  return ClientType::kUnknown;
}

bool is_of_type(const ClientState& client, ClientType type) {
  if (type == ClientType::kAny) return true;
  return type == (client.is_subscriber() ? ClientType::kSubscriber : ClientType::kNormal);
}

std::string unknown_type(std::string_view name) {
  return fmt::format("ERR Unknown client type '{}'", name);
}

void client_id(CommandContext& context) {
  context.reply.integer(static_cast<int64_t>(context.client.id));
}

void client_getname(CommandContext& context) {
  if (context.client.name.empty()) return context.reply.null();
  context.reply.bulk(context.client.name);
}

void client_setname(CommandContext& context) {
  if (!valid_client_name(context.args[2])) return context.reply.error(kBadClientName);
  if (context.args[2].size() > kClientNameMax) return context.reply.error(kLongClientName);
  context.client.name = context.args[2];
  context.reply.ok();
}

void client_setinfo(CommandContext& context) {
  std::string_view attribute = context.args[2];
  std::string* field = nullptr;
  if (equals_ignoring_case(attribute, "lib-name")) field = &context.client.lib_name;
  if (equals_ignoring_case(attribute, "lib-ver")) field = &context.client.lib_version;
  if (field == nullptr) return context.reply.error(fmt::format("ERR Unrecognized option '{}'", attribute));
  if (!valid_client_name(context.args[3])) {
    return context.reply.error(
        fmt::format("ERR {} cannot contain spaces, newlines or special characters.", attribute));
  }
  if (context.args[3].size() > kClientNameMax) return context.reply.error(kLongClientName);
  *field = context.args[3];
  context.reply.ok();
}

void client_info(CommandContext& context) {
  std::string text;
  // The list brings the byte counts up to date.
  for (const ClientState* client : context.host().clients()) {
    if (client->id == context.client.id) append_line(context, *client, &text);
  }
  context.reply.verbatim("txt", text);
}

void client_list(CommandContext& context) {
  const auto& args = context.args;
  ClientType type = ClientType::kAny;
  std::vector<uint64_t> ids;
  if (args.size() == 4 && equals_ignoring_case(args[2], "type")) {
    type = client_type(args[3]);
    if (type == ClientType::kUnknown) return context.reply.error(unknown_type(args[3]));
  } else if (args.size() > 3 && equals_ignoring_case(args[2], "id")) {
    for (size_t i = 3; i < args.size(); i++) {
      int64_t id = 0;
      if (!parse_integer(args[i], &id)) return context.reply.error("ERR Invalid client ID");
      ids.push_back(static_cast<uint64_t>(id));
    }
  } else if (args.size() != 2) {
    return context.reply.error(errors::kSyntax);
  }
  std::string text;
  auto clients = context.host().clients();
  auto with_id = [&](uint64_t id) {
    auto it = std::find_if(clients.begin(), clients.end(),
                           [id](const ClientState* client) { return client->id == id; });
    if (it != clients.end()) append_line(context, **it, &text);
  };
  for (uint64_t id : ids) with_id(id);
  if (ids.empty()) {
    for (const ClientState* client : clients) {
      if (is_of_type(*client, type)) append_line(context, *client, &text);
    }
  }
  context.reply.verbatim("txt", text);
}

// What CLIENT KILL looks for; unset parts match everyone.
struct KillFilter {
  uint64_t id = 0;
  std::string_view address, local_address;
  const AclUser* user = nullptr;
  ClientType type = ClientType::kAny;
  bool skip_me = true;

  bool matches(const Acl& acl, const ClientState& client, const ClientState& me) const {
    if (user != nullptr && &acl.user_of(client) != user) return false;
    if (id != 0 && client.id != id) return false;
    if (!address.empty() && client.address != address) return false;
    if (!local_address.empty() && client.local_address != local_address) return false;
    return is_of_type(client, type) && !(skip_me && client.id == me.id);
  }
};

// False: an error was replied.
bool parse_kill_filter(CommandContext& context, KillFilter* filter) {
  const auto& args = context.args;
  for (size_t i = 2; i < args.size(); i += 2) {
    std::string_view value = i + 1 < args.size() ? args[i + 1] : std::string_view();
    bool known = i + 1 < args.size();
    int64_t id = 0;
    if (known && equals_ignoring_case(args[i], "id")) {
      if (!parse_integer(value, &id) || id < 1) {
        context.reply.error("ERR client-id should be greater than 0");
        return false;
      }
      filter->id = static_cast<uint64_t>(id);
    } else if (known && equals_ignoring_case(args[i], "type")) {
      filter->type = client_type(value);
      if (filter->type == ClientType::kUnknown) {
        context.reply.error(unknown_type(value));
        return false;
      }
    } else if (known && equals_ignoring_case(args[i], "addr")) {
      filter->address = value;
    } else if (known && equals_ignoring_case(args[i], "laddr")) {
      filter->local_address = value;
    } else if (known && equals_ignoring_case(args[i], "user")) {
      filter->user = context.services.acl.find(value);
      if (filter->user == nullptr) {
        context.reply.error(fmt::format("ERR No such user '{}'", value));
        return false;
      }
    } else if (known && equals_ignoring_case(args[i], "skipme") &&
               (equals_ignoring_case(value, "yes") || equals_ignoring_case(value, "no"))) {
      filter->skip_me = equals_ignoring_case(value, "yes");
    } else {
      context.reply.error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

void client_kill(CommandContext& context) {
  KillFilter filter;
  bool old_form = context.args.size() == 3;
  if (old_form) {
    filter.address = context.args[2];
    filter.skip_me = false;
  } else if (!parse_kill_filter(context, &filter)) {
    return;
  }
  std::vector<uint64_t> victims;  // closing one changes the list
  if (!(old_form && filter.address.empty())) {
    for (const ClientState* client : context.host().clients()) {
      if (filter.matches(context.services.acl, *client, context.client)) victims.push_back(client->id);
    }
  }
  if (old_form && victims.empty()) return context.reply.error("ERR No such client");
  if (old_form) victims.resize(1);
  for (uint64_t id : victims) {
    if (id == context.client.id) {
      context.client.close_after_reply = true;
    } else {
      context.host().kill_client(id);
    }
  }
  if (old_form) return context.reply.ok();
  context.reply.integer(static_cast<int64_t>(victims.size()));
}

// ON or OFF into *flag.
void set_flag(CommandContext& context, bool* flag) {
  bool on = equals_ignoring_case(context.args[2], "on");
  if (!on && !equals_ignoring_case(context.args[2], "off")) return context.reply.error(errors::kSyntax);
  *flag = on;
  context.reply.ok();
}

void client_no_evict(CommandContext& context) {
  set_flag(context, &context.client.no_evict);
}
void client_no_touch(CommandContext& context) {
  set_flag(context, &context.client.no_touch);
}

void client_reply(CommandContext& context) {
  ClientState& client = context.client;
  if (equals_ignoring_case(context.args[2], "on")) {
    client.reply_mode = ReplyMode::kOn;
    client.skip_this_reply = false;
    context.reply.ok();
  } else if (equals_ignoring_case(context.args[2], "off")) {
    client.reply_mode = ReplyMode::kOff;
  } else if (equals_ignoring_case(context.args[2], "skip")) {
    if (client.reply_mode != ReplyMode::kOff) client.reply_mode = ReplyMode::kSkipNext;
  } else {
    context.reply.error(errors::kSyntax);
  }
}

// There is no tracking and nobody waits for a key: what Redis answers then.
void client_getredir(CommandContext& context) {
  context.reply.integer(-1);
}

void client_caching(CommandContext& context) {
  context.reply.error(
      "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode "
      "enabled");
}

void client_trackinginfo(CommandContext& context) {
  context.reply.map(3);
  context.reply.bulk("flags");
  context.reply.set(1);
  context.reply.bulk("off");
  context.reply.bulk("redirect");
  context.reply.integer(-1);
  context.reply.bulk("prefixes");
  context.reply.array(0);
}

void client_unblock(CommandContext& context) {
  const auto& args = context.args;
  if (args.size() > 4) return reply_subcommand_error(context);
  if (args.size() == 4 && !equals_ignoring_case(args[3], "timeout") &&
      !equals_ignoring_case(args[3], "error")) {
    return context.reply.error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
  }
  int64_t id = 0;
  if (!integer_argument(context, args[2], &id)) return;
  Unblock how =
      args.size() == 4 && equals_ignoring_case(args[3], "error") ? Unblock::kError : Unblock::kTimeout;
  context.reply.integer(context.services.blocked.end(static_cast<uint64_t>(id), how) ? 1 : 0);
}

void client_pause(CommandContext& context) {
  const auto& args = context.args;
  bool all = true;
  if (args.size() > 4) return reply_subcommand_error(context);
  if (args.size() == 4) {
    all = equals_ignoring_case(args[3], "all");
    if (!all && !equals_ignoring_case(args[3], "write"))
      return context.reply.error("ERR CLIENT PAUSE mode must be WRITE or ALL");
  }
  int64_t ms = 0;
  if (!timeout_argument(context, args[2], false, &ms)) return;
  context.services.blocked.pause(context.services.clock.now_ms(), ms, all);
  context.reply.ok();
}

void client_unpause(CommandContext& context) {
  context.services.blocked.unpause();
  context.reply.ok();
}

void client_help(CommandContext& context) {
  reply_help(context.reply, "CLIENT",
             {"CACHING (YES|NO)",
              "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
              "GETREDIR",
              "    Return the client ID we are redirecting to when tracking is enabled.",
              "GETNAME",
              "    Return the name of the current connection.",  //
              "ID",
              "    Return the ID of the current connection.",  //
              "INFO",
              "    Return information about the current client connection.",  //
              "KILL <ip:port>",
              "    Kill connection made from <ip:port>.",                //
              "KILL <option> <value> [<option> <value> [...]]",          //
              "    Kill connections. Options are:",                      //
              "    * ADDR (<ip:port>|<unixsocket>:0)",                   //
              "      Kill connections made from the specified address",  //
              "    * LADDR (<ip:port>|<unixsocket>:0)",                  //
              "      Kill connections made to specified local address",  //
              "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
              "      Kill connections by type.",  //
              "    * USER <username>",
              "      Kill connections authenticated by <username>.",  //
              "    * SKIPME (YES|NO)",
              "      Skip killing current connection (default: yes).",  //
              "LIST [options ...]",
              "    Return information about client connections. Options:",  //
              "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
              "      Return clients of specified type.",
              "UNPAUSE",
              "    Stop the current client pause, resuming traffic.",  //
              "PAUSE <timeout> [WRITE|ALL]",
              "    Suspend all, or just write, clients for <timeout> milliseconds.",
              "REPLY (ON|OFF|SKIP)",
              "    Control the replies sent to the current connection.",  //
              "SETNAME <name>",
              "    Assign the name <name> to the current connection.",  //
              "SETINFO <option> <value>",
              "    Set client meta attr. Options are:",  //
              "    * LIB-NAME: the client lib name.",
              "    * LIB-VER: the client lib version.",  //
              "UNBLOCK <clientid> [TIMEOUT|ERROR]",
              "    Unblock the specified blocked client.",  //
              "TRACKINGINFO",
              "    Report tracking status for the current connection.",  //
              "NO-EVICT (ON|OFF)",
              "    Protect current client connection from eviction.",  //
              "NO-TOUCH (ON|OFF)",
              "    Will not touch LRU/LFU stats when this mode is on."});
}

constexpr uint32_t kFlags = kCmdNoScript | kCmdLoading | kCmdStale;
constexpr uint32_t kCategories = kAclSlow | kAclConnection;
constexpr uint32_t kAdminCategories = kCategories | kAclAdmin | kAclDangerous;

Command subcommand(const char* name, int arity, CommandFunction run, const char* since, const char* summary,
                   const char* complexity = "O(1)") {
  return {.name = name,
          .arity = arity,
          .flags = kFlags,
          .categories = kCategories,
          .run = run,
          .since = since,
          .group = "connection",
          .summary = summary,
          .complexity = complexity};
}

Command admin_subcommand(const char* name, int arity, CommandFunction run, const char* since,
                         const char* summary, const char* complexity = "O(1)") {
  Command command = subcommand(name, arity, run, since, summary, complexity);
  command.flags |= kCmdAdmin;
  command.categories = kAdminCategories;
  return command;
}

}  // namespace

std::string client_line(const ClientState& client, const Acl& acl, int64_t now_ms) {
  return fmt::format(
      "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={} psub={} ssub={} multi={} "
      "watch={} qbuf={} "
      "qbuf-free={} argv-mem={} multi-mem={} rbs={} rbp={} obl={} oll={} omem={} tot-mem={} events={} cmd={} "
      "user={} redir=-1 resp={} lib-name={} lib-ver={}",
      client.id, client.address, client.local_address, client.fd, client.name,
      std::max<int64_t>(0, now_ms - client.created_ms) / 1000,
      std::max<int64_t>(0, now_ms - client.last_interaction_ms) / 1000, flag_letters(client), client.db,
      client.subscriptions[kChannel], client.subscriptions[kPattern], client.subscriptions[kShardChannel],
      client.multi ? static_cast<int64_t>(client.multi->commands.size()) : -1, client.watched_keys,
      client.query_buffer, client.query_buffer_free, client.args_memory, client.multi_bytes(),
      client.output_memory, client.output_bytes, client.output_bytes, client.output_list,
      client.output_memory, client.total_memory, client.output_bytes > 0 ? "rw" : "r", client.last_command,
      acl.user_of(client).name(), client.protocol, client.lib_name, client.lib_version);
}

void add_client_commands(CommandTable& table) {
  const char* per_client = "O(N) where N is the number of client connections";
  Command client = {.name = "client",
                    .arity = -2,
                    .categories = kAclSlow,
                    .since = "2.4.0",
                    .group = "connection",
                    .summary = "Commands about client connections",
                    .complexity = "Depends on subcommand."};
  Command help = subcommand("help", 2, client_help, "5.0.0", "Lists the subcommands");
  help.flags = kCmdLoading | kCmdStale;
  Command info = subcommand("info", 2, client_info, "6.2.0", "Tells about this connection");
  info.tips = {"nondeterministic_output"};
  Command list = admin_subcommand("list", -2, client_list, "2.4.0", "Lists the connections", per_client);
  list.tips = {"nondeterministic_output"};
  Command no_touch = subcommand("no-touch", 3, client_no_touch, "7.2.0",
                                "Keeps commands from counting as use of their keys");
  client.subcommands = {
      subcommand("caching", 3, client_caching, "6.0.0", "Fails: there is no tracking"),
      subcommand("getredir", 2, client_getredir, "6.0.0", "Gives -1: there is no tracking"),
      subcommand("getname", 2, client_getname, "2.6.9", "Gives the connection's name"),
      help,
      subcommand("id", 2, client_id, "5.0.0", "Gives the connection's number"),
      info,
      admin_subcommand("kill", -3, client_kill, "2.4.0", "Closes connections", per_client),
      list,
      admin_subcommand("no-evict", 3, client_no_evict, "7.0.0",
                       "Keeps the connection from being closed for its memory"),
      no_touch,
      admin_subcommand("pause", -3, client_pause, "2.9.50", "Holds clients back for a time"),
      subcommand("reply", 3, client_reply, "3.2.0", "Says whether commands are answered"),
      subcommand("setinfo", 4, client_setinfo, "7.2.0", "Notes the client library's name or version"),
      subcommand("setname", 3, client_setname, "2.6.9", "Names the connection"),
      subcommand("trackinginfo", 2, client_trackinginfo, "6.2.0", "Tells that there is no tracking"),
      admin_subcommand("unblock", -3, client_unblock, "5.0.0", "Ends a client's waiting for keys",
                       "O(log N) where N is the number of client connections"),
      admin_subcommand("unpause", 2, client_unpause, "6.2.0", "Ends a pause",
                       "O(N) Where N is the number of paused clients"),
  };
  for (Command& sub : client.subcommands) {
    for (const char* settings : {"getname", "id", "no-evict", "no-touch", "reply", "setinfo", "setname"}) {
      if (std::string_view(sub.name) == settings) sub.flags |= kCmdRepeatable;
    }
  }
  table.add(std::move(client));
}

}  // namespace varve
