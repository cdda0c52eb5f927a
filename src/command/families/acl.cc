// acl.cc: ACL: the users, what they may do, what was refused.
#include "command/acl.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "command/command_context.h"
#include "command/families/help.h"
#include "command/families/helpers.h"
#include "command/numbers.h"

namespace varve {
namespace {

constexpr int64_t kPasswordBitsMax = 4096;
constexpr const char* kNoFile =
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL "
    "SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in "
    "order to store users in the Redis configuration.";

// Texts that Redis prints as C strings.
std::string_view until_nul(std::string_view text) {
  return text.substr(0, text.find('\0'));
}

void run_setuser(CommandContext& context) {
  const auto& args = context.args;
  if (acl_has_blanks(args[2]))
    return context.reply.error("ERR Usernames can't contain spaces or null characters");
  auto error = context.services.acl.set_user(args[2], {args.begin() + 3, args.end()});
  if (error) return context.reply.error("ERR " + *error);
  context.reply.ok();
}

void run_deluser(CommandContext& context) {
  const auto& args = context.args;
  if (std::find(args.begin() + 2, args.end(), "default") != args.end())
    return context.reply.error("ERR The 'default' user cannot be removed");
  int64_t removed = 0;
  for (size_t i = 2; i < args.size(); ++i) removed += context.services.acl.remove(args[i]) ? 1 : 0;
  context.reply.integer(removed);
}

void reply_selector(Reply& reply, const AclUser& user, size_t number) {
  const AclSelector& selector = user.selectors()[number];
  reply.bulk("commands");
  reply.bulk(user.commands_text(number));
  reply.bulk("keys");
  reply.bulk(selector.keys_text());
  reply.bulk("channels");
  reply.bulk(selector.channels_text());
}

void run_getuser(CommandContext& context) {
  const AclUser* user = context.services.acl.find(context.args[2]);
  Reply& reply = context.reply;
  if (user == nullptr) return reply.null();
  reply.map(6);
  reply.bulk("flags");
  std::vector<const char*> flags = user->flags();
  reply.set(flags.size());
  for (const char* flag : flags) reply.bulk(flag);
  reply.bulk("passwords");
  reply.array(user->passwords().size());
  for (const std::string& password : user->passwords()) reply.bulk(password);
  reply_selector(reply, *user, 0);
  reply.bulk("selectors");
  reply.array(user->selectors().size() - 1);
  for (size_t i = 1; i < user->selectors().size(); ++i) {
    reply.map(3);
    reply_selector(reply, *user, i);
  }
}

void run_list(CommandContext& context) {
  const AclUsers& users = context.services.acl.users();
  context.reply.array(users.size());
  for (const auto& [name, user] : users) context.reply.bulk(fmt::format("user {} {}", name, user->text()));
  if (context.reply.out().end() - context.reply_start > context.host().max_reply()) reply_too_long(context);
}

void run_users(CommandContext& context) {
  const AclUsers& users = context.services.acl.users();
  context.reply.array(users.size());
  for (const auto& [name, user] : users) context.reply.bulk(name);
}

void run_whoami(CommandContext& context) {
  context.reply.bulk(context.services.acl.user_of(context.client).name());
}

void run_cat(CommandContext& context) {
  const auto& args = context.args;
  if (args.size() > 3) return reply_subcommand_error(context);
  if (args.size() == 2) {
    context.reply.array(kAclCategories);
    for (uint32_t number = 0; number < kAclCategories; ++number)
      context.reply.bulk(acl_category_name(1u << number));
    return;
  }
  const CommandTable& table = context.services.table;
  for (uint32_t number = 0; number < kAclCategories; ++number) {
    if (!equals_ignoring_case(args[2], acl_category_name(1u << number))) continue;
    const CommandBits& commands = table.in_category(number);
    context.reply.array(commands.count());
    for (const Command* command : table.by_index()) {
      if (commands[command->index]) context.reply.bulk(command->full_name);
    }
    return;
  }
  context.reply.error(fmt::format("ERR Unknown category '{}'", until_nul(args[2].substr(0, 128))));
}

void run_genpass(CommandContext& context) {
  const auto& args = context.args;
  if (args.size() > 3) return reply_subcommand_error(context);
  int64_t bits = 256;
  if (args.size() == 3 && !integer_argument(context, args[2], &bits)) return;
  if (bits <= 0 || bits > kPasswordBitsMax) {
    return context.reply.error(
        fmt::format("ERR ACL GENPASS argument must be the number of bits for the output password, a positive "
                    "number up to {}",
                    kPasswordBitsMax));
  }
  auto digits = static_cast<size_t>((bits + 3) / 4);
  std::string bytes = context.host().secret_bytes((digits + 1) / 2);
  std::string password;
  for (char byte : bytes) password += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  context.reply.bulk(std::string_view(password).substr(0, digits));
}

void reply_entry(Reply& reply, const AclLogEntry& entry, int64_t now_ms) {
  reply.map(7);
  reply.bulk("count");
  reply.integer(static_cast<int64_t>(entry.count));
  reply.bulk("reason");
  reply.bulk(acl_reason_name(entry.reason));
  reply.bulk("context");
  reply.bulk(acl_context_name(entry.context));
  reply.bulk("object");
  reply.bulk(entry.object);
  reply.bulk("username");
  reply.bulk(entry.user);
  reply.bulk("age-seconds");
  reply.real(static_cast<double>(now_ms - entry.at_ms) / 1000);
  reply.bulk("client-info");
  reply.bulk(entry.client);
}

void run_log(CommandContext& context) {
  const auto& args = context.args;
  if (args.size() > 3) return reply_subcommand_error(context);
  AclLog& log = context.services.acl.log();
  int64_t count = 10;
  if (args.size() == 3) {
    if (equals_ignoring_case(args[2], "reset")) {
      log.clear();
      return context.reply.ok();
    }
    if (!integer_argument(context, args[2], &count)) return;
  }
  size_t shown = std::min(static_cast<size_t>(std::max<int64_t>(count, 0)), log.entries().size());
  context.reply.array(shown);
  for (size_t i = 0; i < shown; ++i) reply_entry(context.reply, log.entries()[i], context.now_ms());
}

// The command of these words as dispatch would find it; null for a subcommand that there is not.
const Command* find_command(const CommandTable& table, const std::vector<std::string_view>& words) {
  const Command* command = table.find(words[0]);
  if (command == nullptr || command->subcommands.empty() || words.size() < 2) return command;
  return CommandTable::find_subcommand(*command, words[1]);
}

void run_dryrun(CommandContext& context) {
  const auto& args = context.args;
  Acl& acl = context.services.acl;
  const AclUser* user = acl.find(args[2]);
  if (user == nullptr) return context.reply.error(fmt::format("ERR User '{}' not found", until_nul(args[2])));
  std::vector<std::string_view> words(args.begin() + 3, args.end());
  const Command* command = find_command(context.services.table, words);
  if (command == nullptr)
    return context.reply.error(fmt::format("ERR Command '{}' not found", until_nul(words[0])));
  if (!command->arity_fits(words.size())) {
    return context.reply.error(
        fmt::format("ERR wrong number of arguments for '{}' command", command->full_name));
  }
  int position = 0;
  AclVerdict verdict = acl.check(*user, *command, words, &position);
  if (verdict == AclVerdict::kAllowed) return context.reply.ok();
  if (verdict == AclVerdict::kCommand) {
    return context.reply.bulk(
        fmt::format("This user has no permissions to run the '{}' command", command->full_name));
  }
  context.reply.bulk(fmt::format("This user has no permissions to access the '{}' {}",
                                 until_nul(words[static_cast<size_t>(position)]),
                                 verdict == AclVerdict::kKey ? "key" : "channel"));
}

// Reading and parsing are off the loop; what is wrong with one line refuses all of them.
void run_load(CommandContext& context) {
  Host& host = context.host();
  if (host.acl_file().empty()) return context.reply.error(kNoFile);
  Resume resume = context.suspend();
  AfterRun after(host);
  Acl& acl = context.services.acl;
  auto file = std::make_shared<AclFile>();
  auto loaded = after.wrap([&acl, &host, resume, file, id = context.client.id](const Status&) {
    if (file->errors.empty()) {
      // Who asked hears the answer, though its user may be gone.
      ClientState* client = host.client(id);
      if (client != nullptr && client->user) {
        client->user = nullptr;
        client->authenticated = false;
        client->close_after_reply = true;
      }
      acl.install(std::move(file->users));
    }
    resume(0, [file](OutputBuffer& out, int protocol) {
      Reply reply(out, protocol);
      file->errors.empty() ? reply.ok() : reply.error("ERR " + file->errors);
    });
  });
  host.read_acl_file(
      [file, rules = acl.rules(), path = host.acl_file()](const Result<std::string>& text) {
        if (text)
          *file = parse_acl_file(rules, *text, path);
        else
          file->errors = "Error loading ACLs, opening file '" + path + "': " + text.status().message();
      },
      [loaded] { loaded(Status()); });
}

void run_save(CommandContext& context) {
  Host& host = context.host();
  if (host.acl_file().empty()) return context.reply.error(kNoFile);
  Resume resume = context.suspend();
  AfterRun after(host);
  host.write_acl_file(context.services.acl.file_text(), after.wrap([resume](const Status& status) {
    if (!status.ok()) log_warning("ACL SAVE: {}", status.message());
    resume(0, [ok = status.ok()](OutputBuffer& out, int protocol) {
      Reply reply(out, protocol);
      ok ? reply.ok()
         : reply.error(
               "ERR There was an error trying to save the ACLs. Please check the server logs for more "
               "information");
    });
  }));
}

void run_help(CommandContext& context) {
  reply_help(context.reply, "ACL",
             {"CAT [<category>]",
              "    List all commands that belong to <category>, or all command categories",
              "    when no category is specified.",  //
              "DELUSER <username> [<username> ...]",
              "    Delete a list of users.",  //
              "DRYRUN <username> <command> [<arg> ...]",
              "    Returns whether the user can execute the given command without executing the command.",
              "GETUSER <username>",
              "    Get the user's details.",  //
              "GENPASS [<bits>]",
              "    Generate a secure 256-bit user password. The optional `bits` argument can",
              "    be used to specify a different size.",  //
              "LIST",
              "    Show users details in config file format.",  //
              "LOAD",
              "    Reload users from the ACL file.",  //
              "LOG [<count> | RESET]",
              "    Show the ACL log entries.",  //
              "SAVE",
              "    Save the current config to the ACL file.",  //
              "SETUSER <username> <attribute> [<attribute> ...]",
              "    Create or modify a user with the specified attributes.",  //
              "USERS",
              "    List all the registered usernames.",  //
              "WHOAMI",
              "    Return the current connection username."});
}

Command subcommand(const char* name, int arity, CommandFunction run, const char* summary,
                   const char* complexity, const char* since = "6.0.0") {
  return {.name = name,
          .arity = arity,
          .flags = kCmdNoScript | kCmdLoading | kCmdStale,
          .categories = kAclSlow,
          .run = run,
          .since = since,
          .group = "server",
          .summary = summary,
          .complexity = complexity};
}

Command admin(Command command) {
  command.flags |= kCmdAdmin;
  command.categories |= kAclAdmin | kAclDangerous;
  return command;
}

}  // namespace

void add_acl_commands(CommandTable& table) {
  const char* per_user = "O(N). Where N is the number of configured users.";
  Command acl = {.name = "acl",
                 .arity = -2,
                 .categories = kAclSlow,
                 .since = "6.0.0",
                 .group = "server",
                 .summary = "A container for Access List Control commands ",
                 .complexity = "Depends on subcommand."};
  Command help = subcommand("help", 2, run_help, "Show helpful text about the different subcommands", "O(1)");
  help.flags = kCmdLoading | kCmdStale;
  acl.subcommands = {
      subcommand("cat", -2, run_cat, "List the ACL categories or the commands inside a category",
                 "O(1) since the categories and commands are a fixed set."),
      admin(subcommand("deluser", -3, run_deluser, "Remove the specified ACL users and the associated rules",
                       "O(1) amortized time considering the typical user.")),
      admin(
          subcommand("dryrun", -4, run_dryrun,
                     "Returns whether the user can execute the given command without executing the command.",
                     "O(1).", "7.0.0")),
      subcommand("genpass", -2, run_genpass, "Generate a pseudorandom secure password to use for ACL users",
                 "O(1)"),
      admin(subcommand("getuser", 3, run_getuser, "Get the rules for a specific ACL user",
                       "O(N). Where N is the number of password, command and pattern rules that the user "
                       "has.")),
      help,
      admin(
          subcommand("list", 2, run_list, "List the current ACL rules in ACL config file format", per_user)),
      admin(subcommand("load", 2, run_load, "Reload the ACLs from the configured ACL file", per_user)),
      admin(subcommand("log", -2, run_log, "List latest events denied because of ACLs in place",
                       "O(N) with N being the number of entries shown.")),
      admin(
          subcommand("save", 2, run_save, "Save the current ACL rules in the configured ACL file", per_user)),
      admin(subcommand("setuser", -3, run_setuser, "Modify or create the rules for a specific ACL user",
                       "O(N). Where N is the number of rules provided.")),
      admin(subcommand("users", 2, run_users, "List the username of all the configured ACL rules", per_user)),
      subcommand("whoami", 2, run_whoami, "Return the name of the user associated to the current connection",
                 "O(1)"),
  };
  table.add(std::move(acl));
}

}  // namespace varve
