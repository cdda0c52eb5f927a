// introspection.cc: COMMAND: the table of commands as clients read it: redis-cli for its hints, cluster
// clients for the places of keys.
#include <bit>
#include <string>
#include <string_view>
#include <vector>

#include "command/command_context.h"
#include "command/command_docs.h"
#include "command/command_history.h"
#include "command/families/help.h"
#include "command/glob.h"
#include "command/numbers.h"

namespace varve {
namespace {

// The set bits of `bits` that have a name, in order.
std::vector<std::string> bit_names(uint32_t bits, const char* (*name)(uint32_t), const char* prefix) {
  std::vector<std::string> names;
  for (; bits != 0; bits &= bits - 1) {
    const char* text = name(bits & (~bits + 1));
    if (text != nullptr) names.push_back(std::string(prefix) + text);
  }
  return names;
}

void reply_simple_set(Reply& reply, const std::vector<std::string>& names) {
  reply.set(names.size());
  for (const std::string& name : names) reply.simple(name);
}

// --- COMMAND INFO ---

// The last key of a specification, counted from its first one; negative: from the end of the arguments.
int relative_last(const KeySpec& spec) {
  return spec.last < 0 ? spec.last : spec.last - spec.first;
}

// First key, last key and step as clients knew them before specifications: one range around all of them, or
// none.
KeySpec legacy_range(const Command& command) {
  KeySpec range;
  for (const KeySpec& spec : command.keys) {
    if (spec.first == 0 || spec.counted) continue;
    if (range.first == 0) {
      range = spec;
      continue;
    }
    if (spec.first == range.last + 1 && range.last > 0) range.last = spec.last;
  }
  return range;
}

// Only the command itself knows where such keys stand.
bool nowhere(const KeySpec& spec) {
  return spec.first == 0 && spec.keyword == nullptr;
}

void reply_unknown(Reply& reply) {
  reply.bulk("type");
  reply.bulk("unknown");
  reply.bulk("spec");
  reply.map(0);
}

void reply_begin_search(Reply& reply, const KeySpec& spec) {
  reply.bulk("begin_search");
  reply.map(2);
  if (nowhere(spec)) return reply_unknown(reply);
  bool keyword = spec.keyword != nullptr;
  reply.bulk("type");
  reply.bulk(keyword ? "keyword" : "index");
  reply.bulk("spec");
  reply.map(keyword ? 2 : 1);
  if (keyword) {
    reply.bulk("keyword");
    reply.bulk(spec.keyword);
    reply.bulk("startfrom");
    reply.integer(spec.start_from);
    return;
  }
  reply.bulk("index");
  reply.integer(spec.first);
}

void reply_key_spec(Reply& reply, const KeySpec& spec, const char* note) {
  if (spec.note != nullptr) note = spec.note;
  reply.map(note[0] == '\0' ? 3 : 4);
  if (note[0] != '\0') {
    reply.bulk("notes");
    reply.bulk(note);
  }
  reply.bulk("flags");
  reply_simple_set(reply, bit_names(spec.flags, key_flag_name, ""));
  reply_begin_search(reply, spec);
  reply.bulk("find_keys");
  reply.map(2);
  if (nowhere(spec)) return reply_unknown(reply);
  reply.bulk("type");
  reply.bulk(spec.counted ? "keynum" : "range");
  reply.bulk("spec");
  reply.map(3);
  if (spec.counted) {
    reply.bulk("keynumidx");
    reply.integer(0);
    reply.bulk("firstkey");
    reply.integer(1);
    reply.bulk("keystep");
    reply.integer(1);
    return;
  }
  reply.bulk("lastkey");
  reply.integer(relative_last(spec));
  reply.bulk("keystep");
  reply.integer(spec.step);
  reply.bulk("limit");
  reply.integer(spec.limit);
}

void reply_info(Reply& reply, const Command& command) {
  KeySpec range = legacy_range(command);
  reply.array(10);
  reply.bulk(command.full_name);
  reply.integer(command.arity);
  reply_simple_set(reply, bit_names(command.flags, command_flag_name, ""));
  reply.integer(range.first);
  reply.integer(range.last);
  reply.integer(range.step);
  reply_simple_set(reply, bit_names(command.categories, acl_category_name, "@"));
  reply.set(command.tips.size());
  for (const char* tip : command.tips) reply.bulk(tip);
  reply.set(command.keys.size());
  for (const KeySpec& spec : command.keys)
    reply_key_spec(reply, spec, command_docs(command.full_name).key_note);
  if (command.subcommands.empty()) return reply.set(0);
  reply.array(command.subcommands.size());
  for (const Command& sub : command.subcommands) reply_info(reply, sub);
}

void command_all(CommandContext& context) {
  const auto& commands = context.services.table.commands();
  context.reply.array(commands.size());
  for (const auto& command : commands) reply_info(context.reply, *command);
}

void command_info(CommandContext& context) {
  const auto& args = context.args;
  if (args.size() == 2) return command_all(context);
  context.reply.array(args.size() - 2);
  for (size_t i = 2; i < args.size(); i++) {
    const Command* command = context.services.table.find_by_full_name(args[i]);
    command != nullptr ? reply_info(context.reply, *command) : context.reply.null();
  }
}

// --- COMMAND DOCS ---

void reply_argument(Reply& reply, const DocArgument& argument) {
  uint64_t fields = 2;
  if (!argument.token.empty()) fields++;
  if (argument.key_spec >= 0) fields++;
  if (!argument.flags.empty()) fields++;
  if (!argument.since.empty()) fields++;
  if (!argument.deprecated_since.empty()) fields++;
  if (!argument.parts.empty()) fields++;
  reply.map(fields);
  reply.bulk("name");
  reply.bulk(argument.name);
  reply.bulk("type");
  reply.bulk(argument.type);
  if (argument.key_spec >= 0) {
    reply.bulk("key_spec_index");
    reply.integer(argument.key_spec);
  }
  if (!argument.token.empty()) {
    reply.bulk("token");
    reply.bulk(argument.token);
  }
  if (!argument.since.empty()) {
    reply.bulk("since");
    reply.bulk(argument.since);
  }
  if (!argument.deprecated_since.empty()) {
    reply.bulk("deprecated_since");
    reply.bulk(argument.deprecated_since);
  }
  if (!argument.flags.empty()) {
    reply.bulk("flags");
    reply_simple_set(reply, argument.flags);
  }
  if (argument.parts.empty()) return;
  reply.bulk("arguments");
  reply.array(argument.parts.size());
  for (const DocArgument& part : argument.parts) reply_argument(reply, part);
}

void reply_docs(Reply& reply, const Command& command) {
  CommandDocs docs = command_docs(command.full_name);
  std::vector<DocArgument> arguments = parse_syntax(docs.syntax);
  bool complexity = command.complexity[0] != '\0';
  bool deprecated = docs.deprecated_since[0] != '\0';
  bool system = docs.system;
  std::vector<CommandChange> history = command_history(command.full_name);
  reply.bulk(command.full_name);
  reply.map(3u + complexity + (deprecated || system) + (deprecated ? 2 : 0) + !history.empty() +
            !arguments.empty() + !command.subcommands.empty());
  reply.bulk("summary");
  reply.bulk(command.summary);
  reply.bulk("since");
  reply.bulk(command.since);
  reply.bulk("group");
  reply.bulk(command.group);
  if (complexity) {
    reply.bulk("complexity");
    reply.bulk(command.complexity);
  }
  if (deprecated || system) {
    reply.bulk("doc_flags");
    reply_simple_set(reply, {deprecated ? "deprecated" : "syscmd"});
  }
  if (deprecated) {
    reply.bulk("deprecated_since");
    reply.bulk(docs.deprecated_since);
    reply.bulk("replaced_by");
    reply.bulk(docs.replaced_by);
  }
  if (!history.empty()) {
    reply.bulk("history");
    reply.set(history.size());
    for (const CommandChange& change : history) {
      reply.array(2);
      reply.bulk(change.since);
      reply.bulk(change.text);
    }
  }
  if (!arguments.empty()) {
    reply.bulk("arguments");
    reply.array(arguments.size());
    for (const DocArgument& argument : arguments) reply_argument(reply, argument);
  }
  if (command.subcommands.empty()) return;
  reply.bulk("subcommands");
  reply.map(command.subcommands.size());
  for (const Command& sub : command.subcommands) reply_docs(reply, sub);
}

void command_docs_command(CommandContext& context) {
  const CommandTable& table = context.services.table;
  std::vector<const Command*> wanted;
  for (size_t i = 2; i < context.args.size(); i++) {
    const Command* command = table.find_by_full_name(context.args[i]);
    if (command != nullptr) wanted.push_back(command);
  }
  if (context.args.size() == 2) {
    for (const auto& command : table.commands()) wanted.push_back(command.get());
  }
  context.reply.map(wanted.size());
  for (const Command* command : wanted) reply_docs(context.reply, *command);
}

// --- COMMAND LIST, COUNT ---

void command_count(CommandContext& context) {
  context.reply.integer(static_cast<int64_t>(context.services.table.commands().size()));
}

void command_list(CommandContext& context) {
  const auto& args = context.args;
  enum class Filter { kNone, kModule, kCategory, kPattern } filter = Filter::kNone;
  if (args.size() == 5 && equals_ignoring_case(args[2], "filterby")) {
    if (equals_ignoring_case(args[3], "module")) filter = Filter::kModule;
    if (equals_ignoring_case(args[3], "aclcat")) filter = Filter::kCategory;
    if (equals_ignoring_case(args[3], "pattern")) filter = Filter::kPattern;
  }
  if (args.size() != 2 && filter == Filter::kNone) return context.reply.error(errors::kSyntax);
  uint32_t category = 0;
  for (uint32_t bit = 1; filter == Filter::kCategory && bit != 0; bit <<= 1) {
    const char* name = acl_category_name(bit);
    if (name != nullptr && equals_ignoring_case(args[4], name)) category = bit;
  }
  auto matches = [&](const Command& command) {
    if (filter == Filter::kModule) return false;  // there are none
    if (filter == Filter::kCategory) return (command.categories & category) != 0;
    if (filter == Filter::kPattern) return glob_matches(args[4], command.full_name, true);
    return true;
  };
  std::vector<const std::string*> names;
  for (const auto& command : context.services.table.commands()) {
    if (matches(*command)) names.push_back(&command->full_name);
    for (const Command& sub : command->subcommands) {
      if (matches(sub)) names.push_back(&sub.full_name);
    }
  }
  context.reply.array(names.size());
  for (const std::string* name : names) context.reply.bulk(*name);
}

// --- COMMAND GETKEYS ---

void get_keys(CommandContext& context, bool with_flags) {
  std::vector<std::string_view> args(context.args.begin() + 2, context.args.end());
  const Command* command = context.services.table.find(args[0]);
  if (command != nullptr && !command->subcommands.empty() && args.size() > 1) {
    const Command* sub = CommandTable::find_subcommand(*command, args[1]);
    if (sub != nullptr || command->run == nullptr) command = sub;
  }
  if (command == nullptr) return context.reply.error("ERR Invalid command specified");
  if (!has_keys(*command)) {
    return context.reply.error("ERR The command has no key arguments");
  }
  if (!command->arity_fits(args.size())) {
    return context.reply.error("ERR Invalid number of arguments specified for command");
  }
  std::vector<FoundKey> keys;
  if (!find_keys(*command, args, &keys) || keys.empty()) {
    return context.reply.error("ERR Invalid arguments specified for command");
  }
  context.reply.array(keys.size());
  for (const FoundKey& found : keys) {
    std::string_view key = args[static_cast<size_t>(found.position)];
    if (with_flags) context.reply.array(2);
    context.reply.bulk(key);
    if (with_flags) reply_simple_set(context.reply, bit_names(found.flags, key_flag_name, ""));
  }
}

void command_getkeys(CommandContext& context) {
  get_keys(context, false);
}
void command_getkeysandflags(CommandContext& context) {
  get_keys(context, true);
}

void command_help(CommandContext& context) {
  reply_help(
      context.reply, "COMMAND",
      {"(no subcommand)", "    Return details about all Redis commands.", "COUNT",
       "    Return the total number of commands in this Redis server.", "LIST",
       "    Return a list of all commands in this Redis server.", "INFO [<command-name> ...]",
       "    Return details about multiple Redis commands.",
       "    If no command names are given, documentation details for all", "    commands are returned.",
       "DOCS [<command-name> ...]", "    Return documentation details about multiple Redis commands.",
       "    If no command names are given, documentation details for all", "    commands are returned.",
       "GETKEYS <full-command>", "    Return the keys from a full Redis command.",
       "GETKEYSANDFLAGS <full-command>",
       "    Return the keys and the access flags from a full Redis command."});
}

Command subcommand(const char* name, int arity, CommandFunction run, const char* since, const char* summary,
                   const char* complexity) {
  return {.name = name,
          .arity = arity,
          .flags = kCmdLoading | kCmdStale,
          .categories = kAclSlow | kAclConnection,
          .run = run,
          .since = since,
          .group = "server",
          .summary = summary,
          .complexity = complexity};
}

}  // namespace

void add_introspection_commands(CommandTable& table) {
  const char* per_argument = "O(N) where N is the number of arguments to the command";
  const char* per_lookup = "O(N) where N is the number of commands to look up";
  const char* per_command = "O(N) where N is the total number of Redis commands";
  const std::vector<const char*> any_order = {"nondeterministic_output_order"};
  Command command = subcommand("command", -1, command_all, "2.8.13", "Tells about all commands", per_command);
  command.tips = any_order;
  command.subcommands = {
      subcommand("count", 2, command_count, "2.8.13", "Counts the commands", "O(1)"),
      subcommand("docs", -2, command_docs_command, "7.0.0", "Documents commands", per_lookup),
      subcommand("getkeys", -4, command_getkeys, "2.8.13", "Finds the keys in a command", per_argument),
      subcommand("getkeysandflags", -4, command_getkeysandflags, "7.0.0",
                 "Finds the keys in a command, and what it does with them", per_argument),
      subcommand("help", 2, command_help, "5.0.0", "Lists the subcommands", "O(1)"),
      subcommand("info", -2, command_info, "2.8.13", "Tells about some commands, or all", per_lookup),
      subcommand("list", -2, command_list, "7.0.0", "Lists the names of commands", per_command),
  };
  for (Command& sub : command.subcommands) {
    std::string_view name = sub.name;
    if (name == "docs" || name == "info" || name == "list") sub.tips = any_order;
  }
  table.add(std::move(command));
}

}  // namespace varve
