// admin.cc: commands to whoever runs the server: configuration, statistics, checkpoints, durability,
// shutdown, debugging.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "command/acl.h"
#include "command/command_context.h"
#include "command/families/help.h"
#include "command/numbers.h"
#include "command/version.h"

namespace varve {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  return out;
}

void time(CommandContext& context) {
  int64_t now_us = context.services.clock.now_us();
  context.reply.array(2);
  context.reply.bulk_integer(now_us / 1'000'000);
  context.reply.bulk_integer(now_us % 1'000'000);
}

bool tells_of_data(const std::vector<std::string>& sections) {
  if (sections.empty()) return true;
  for (const std::string& name : sections) {
    for (const char* told : {"keyspace", "lsm", "persistence", "all", "everything", "default"}) {
      if (name == told) return true;
    }
  }
  return false;
}

void info(CommandContext& context) {
  std::vector<std::string> sections;
  for (size_t i = 1; i < context.args.size(); i++) sections.push_back(lower(context.args[i]));
  context.reply.verbatim("txt", context.host().info(sections));
  // These count what is written, durable or not: the reply waits for it as any that saw it.
  if (context.engine() != nullptr && !context.engine()->fenced() && tells_of_data(sections))
    context.invocation.gate = context.engine()->last_sequence();
}

// --- CONFIG ---

void config_get(CommandContext& context) {
  std::vector<std::pair<std::string, std::string>> found;
  std::set<std::string> names;
  for (size_t i = 2; i < context.args.size(); i++) {
    for (auto& setting : context.host().config_get(context.args[i])) {
      if (names.insert(lower(setting.first)).second) found.push_back(std::move(setting));
    }
  }
  context.reply.map(found.size());
  for (const auto& [name, value] : found) {
    context.reply.bulk(name);
    context.reply.bulk(value);
  }
}

void config_set(CommandContext& context) {
  const auto& args = context.args;
  if (args.size() % 2 != 0) return context.reply.error(errors::kSyntax);
  std::vector<std::pair<std::string, std::string>> settings;
  for (size_t i = 2; i < args.size(); i += 2) settings.emplace_back(args[i], args[i + 1]);
  Status status = context.host().config_set(settings);
  if (!status.ok()) return context.reply.error("ERR " + status.message());
  if (context.services.acl.follow_password(context.host().password())) context.host().access_changed();
  context.reply.ok();
}

void config_rewrite(CommandContext& context) {
  Resume resume = context.suspend();
  AfterRun after(context.host());
  context.host().config_rewrite(after.wrap([resume](Status status) {
    resume(0, [status](OutputBuffer& out, int protocol) {
      Reply reply(out, protocol);
      status.ok() ? reply.ok() : reply.error("ERR " + status.message());
    });
  }));
}

void config_resetstat(CommandContext& context) {
  context.host().reset_stats();
  context.reply.ok();
}

void config_help(CommandContext& context) {
  reply_help(context.reply, "CONFIG",
             {"GET <pattern>", "    Return parameters matching the glob-like <pattern> and their values.",
              "SET <directive> <value>", "    Set the configuration <directive> to <value>.", "RESETSTAT",
              "    Reset statistics reported by the INFO command.", "REWRITE",
              "    Rewrite the configuration file."});
}

// --- checkpoints and compaction ---

constexpr const char* kSaveRunning = "ERR Background save already in progress";

void save(CommandContext& context) {
  if (context.host().checkpoint_running()) return context.reply.error(kSaveRunning);
  Resume resume = context.suspend();
  AfterRun after(context.host());
  context.host().checkpoint(after.wrap([resume](Status status) {
    resume(0, [status](OutputBuffer& out, int protocol) {
      Reply reply(out, protocol);
      status.ok() ? reply.ok() : reply.error("ERR checkpoint failed: " + status.message());
    });
  }));
}

void bgsave(CommandContext& context) {
  const auto& args = context.args;
  if (args.size() > 2 || (args.size() == 2 && !equals_ignoring_case(args[1], "schedule"))) {
    return context.reply.error(errors::kSyntax);
  }
  if (context.host().checkpoint_running()) return context.reply.error(kSaveRunning);
  context.host().checkpoint([](Status status) {
    if (!status.ok()) log_warning("BGSAVE: the checkpoint failed: {}", status.message());
  });
  context.reply.simple("Background saving started");
}

void lastsave(CommandContext& context) {
  context.reply.integer(context.host().last_checkpoint_s());
}

// What Redis does by rewriting its log: give back the space of what is dead.
void bgrewriteaof(CommandContext& context) {
  context.engine()->compact_range("", "", [](Status status) {
    if (!status.ok()) log_warning("BGREWRITEAOF: the compaction failed: {}", status.message());
  });
  context.reply.simple("Background append only file rewriting started");
}

// COMPACT [min max]: everything, or the keys of this database in [min, max); "" is no bound.
void compact(CommandContext& context) {
  const auto& args = context.args;
  if (args.size() == 2 || args.size() > 3) return context.reply.error(errors::kSyntax);
  std::string begin, end;
  if (args.size() == 3) {
    KeyRange range = metadata_range(context.db());
    begin = range.begin;
    end = range.end;
    EngineKey key;
    if (!args[1].empty()) {
      make_metadata_key(context.db(), args[1], &key);
      begin = std::string(std::string_view(key));
    }
    if (!args[2].empty()) {
      make_metadata_key(context.db(), args[2], &key);
      end = std::string(std::string_view(key));
    }
    if (begin >= end) return context.reply.ok();
  }
  Resume resume = context.suspend();
  AfterRun after(context.host());
  context.engine()->compact_range(begin, end, after.wrap([resume](Status status) {
    resume(0, [status](OutputBuffer& out, int protocol) {
      Reply reply(out, protocol);
      status.ok() ? reply.ok() : reply.error("ERR compaction failed: " + status.message());
    });
  }));
}

// --- waiting for durability ---

// Redis's timeouts: milliseconds, 0 for ever. False: an error was replied.
bool parse_timeout(CommandContext& context, std::string_view text, int64_t* ms) {
  if (!parse_integer(text, ms)) {
    context.reply.error("ERR timeout is not an integer or out of range");
    return false;
  }
  if (*ms < 0) {
    context.reply.error("ERR timeout is negative");
    return false;
  }
  return true;
}

// One WAIT or WAITAOF between its run and its reply.
struct Waiting {
  Resume resume;
  bool answered = false;
  bool local = false;  // everything before the command is on this disk
};

void answer_waitaof(Waiting& waiting) {
  if (std::exchange(waiting.answered, true)) return;
  waiting.resume(0, [local = waiting.local](OutputBuffer& out, int protocol) {
    Reply reply(out, protocol);
    reply.array(2);
    reply.integer(local ? 1 : 0);
    reply.integer(0);
  });
}

void waitaof(CommandContext& context) {
  const auto& args = context.args;
  int64_t local = 0, replicas = 0, timeout_ms = 0;
  if (!parse_integer(args[1], &local) || !parse_integer(args[2], &replicas)) {
    return context.reply.error(errors::kNotInteger);
  }
  if (local < 0 || local > 1) {
    return context.reply.error("ERR value is out of range, value must between 0 and 1");
  }
  if (replicas < 0) return context.reply.error(errors::kOutOfRangePositive);
  if (!parse_timeout(context, args[3], &timeout_ms)) return;
  Engine* engine = context.engine();
  bool durable = engine->durable_sequence() >= engine->last_sequence();
  if (replicas == 0 && (local == 0 || durable)) {
    context.reply.array(2);
    context.reply.integer(durable ? 1 : 0);
    return context.reply.integer(0);
  }
  auto waiting = std::make_shared<Waiting>();
  waiting->resume = context.suspend();
  AfterRun after(context.host());
  engine->sync(after.wrap([waiting, enough = replicas == 0](Status status) {
    if (!status.ok()) {
      if (std::exchange(waiting->answered, true)) return;
      return waiting->resume(
          0, [](OutputBuffer& out, int protocol) { Reply(out, protocol).error(errors::kFenced); });
    }
    waiting->local = true;
    // There are no replicas: who wants some waits for the timeout.
    if (enough) answer_waitaof(*waiting);
  }));
  if (timeout_ms > 0)
    context.host().after_ms_for(context.client.id, timeout_ms, [waiting] { answer_waitaof(*waiting); });
}

// Without replicas nobody ever answers: 0, at once if none was asked for, else after the timeout.
void wait(CommandContext& context) {
  int64_t replicas = 0, timeout_ms = 0;
  if (!parse_integer(context.args[1], &replicas)) return context.reply.error(errors::kNotInteger);
  if (!parse_timeout(context, context.args[2], &timeout_ms)) return;
  if (replicas <= 0) return context.reply.integer(0);
  Resume resume = context.suspend();
  if (timeout_ms == 0) return;
  context.host().after_ms_for(context.client.id, timeout_ms, [resume] {
    resume(0, [](OutputBuffer& out, int protocol) { Reply(out, protocol).integer(0); });
  });
}

// --- the process ---

void shutdown(CommandContext& context) {
  bool save_wanted = false, no_save = false, now = false, force = false, abort = false;
  for (size_t i = 1; i < context.args.size(); i++) {
    std::string word = lower(context.args[i]);
    bool* flag = word == "save"     ? &save_wanted
                 : word == "nosave" ? &no_save
                 : word == "now"    ? &now
                 : word == "force"  ? &force
                 : word == "abort"  ? &abort
                                    : nullptr;
    if (flag == nullptr) return context.reply.error(errors::kSyntax);
    *flag = true;
  }
  if ((save_wanted && no_save) || (abort && context.args.size() > 2))
    return context.reply.error(errors::kSyntax);
  if (abort) return context.reply.error("ERR No shutdown in progress.");
  // No reply: the connection closes when the process ends.
  context.suspend();
  context.host().shutdown(now, force);
}

void role(CommandContext& context) {
  context.reply.array(3);
  context.reply.bulk("master");
  context.reply.integer(0);
  context.reply.array(0);
}

void lolwut(CommandContext& context) {
  int64_t version = 0;
  bool versioned = context.args.size() > 2 && equals_ignoring_case(context.args[1], "version");
  if (versioned && !parse_integer(context.args[2], &version)) return context.reply.error(errors::kNotInteger);
  // Redis's picture of version 5 takes three numbers, that of version 6 two; its others take anything.
  size_t from = versioned ? 3 : 1;
  size_t numbers = version == 5 ? 3 : version == 6 ? 2 : 0;
  for (size_t i = from; i < std::min(from + numbers, context.args.size()); ++i) {
    int64_t number = 0;
    if (!parse_integer(context.args[i], &number)) return context.reply.error(errors::kNotInteger);
  }
  std::string text;
  // A varve: every season lays down one layer and never touches it again. The seed is the command's own.
  Random random(context.invocation.seed);
  for (int layer = 0; layer < 8; layer++) {
    const char* grain = layer % 2 == 0 ? "." : "=";
    size_t left = random.below(6), width = 28 + random.below(6);
    text += std::string(left, ' ');
    for (size_t i = 0; i < width; i++) text += random.one_in(9) ? "~" : grain;
    text += "\n";
  }
  context.reply.verbatim("txt", fmt::format("{}\nRedis ver. {}\n", text, kRedisVersion));
}

void module_list(CommandContext& context) {
  context.reply.array(0);
}

// As where enable-module-command is "no": nothing is ever loaded.
void no_modules(CommandContext& context) {
  context.reply.error(
      "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you can run "
      "it "
      "from a local connection, otherwise you need to set this option in the configuration file, and then "
      "restart the server.");
}

void module_help(CommandContext& context) {
  reply_help(context.reply, "MODULE",
             {"LIST", "    Return a list of loaded modules.", "LOAD <path> [<arg> ...]",
              "    Load a module library from <path>, passing to it any optional arguments.",
              "LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
              "    Load a module library from <path>, while passing it module configurations and optional "
              "arguments.",
              "UNLOAD <name>", "    Unload a module."});
}

void no_cluster(CommandContext& context) {
  context.reply.error("ERR This instance has cluster support disabled");
}

constexpr uint32_t kAdminFlags = kCmdAdmin | kCmdNoScript;
constexpr uint32_t kAdminCategories = kAclAdmin | kAclSlow | kAclDangerous;

Command server_command(const char* name, int arity, uint32_t flags, uint32_t categories, CommandFunction run,
                       const char* since, const char* summary, const char* complexity = "O(1)") {
  return {.name = name,
          .arity = arity,
          .flags = flags,
          .categories = categories,
          .run = run,
          .since = since,
          .group = "server",
          .summary = summary,
          .complexity = complexity};
}

Command with_tips(Command command, std::vector<const char*> tips) {
  command.tips = std::move(tips);
  return command;
}

void add_config(CommandTable& table) {
  constexpr uint32_t kFlags = kAdminFlags | kCmdLoading | kCmdStale;
  const char* per_setting = "O(N) when N is the number of configuration parameters provided";
  Command config = server_command("config", -2, 0, kAclSlow, nullptr, "2.0.0",
                                  "Commands about the server's settings", "Depends on subcommand.");
  config.subcommands = {
      server_command("get", -3, kFlags, kAdminCategories, config_get, "2.0.0",
                     "Gives settings by name or pattern", per_setting),
      server_command("help", 2, kCmdLoading | kCmdStale, kAclSlow, config_help, "5.0.0",
                     "Lists the subcommands"),
      server_command("resetstat", 2, kFlags, kAdminCategories, config_resetstat, "2.0.0",
                     "Sets statistics to zero"),
      server_command("rewrite", 2, kFlags, kAdminCategories, config_rewrite, "2.8.0",
                     "Writes the settings into their file"),
      with_tips(server_command("set", -4, kFlags, kAdminCategories, config_set, "2.0.0",
                               "Changes settings while the server runs, all of them or none", per_setting),
                {"request_policy:all_nodes", "response_policy:all_succeeded"}),
  };
  table.add(std::move(config));
}

void add_process(CommandTable& table) {
  const char* per_key = "O(N) where N is the total number of keys in all databases";
  constexpr uint32_t kSaveFlags = kAdminFlags | kCmdNoAsyncLoading;
  table.add(
      with_tips(server_command("info", -1, kCmdLoading | kCmdStale, kAclSlow | kAclDangerous, info, "1.0.0",
                               "Tells about the server: state, statistics, the tree of tables"),
                {"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}));
  table.add(with_tips(server_command("time", 1, kCmdLoading | kCmdStale | kCmdFast, kAclFast, time, "2.6.0",
                                     "Gives the server's time"),
                      {"nondeterministic_output"}));
  table.add(server_command(
      "shutdown", -1, kAdminFlags | kCmdLoading | kCmdStale | kCmdNoMulti | kCmdAllowBusy, kAdminCategories,
      shutdown, "1.0.0", "Makes everything durable and ends the server",
      "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise "
      "O(1)"));
  table.add(server_command("save", 1, kSaveFlags | kCmdNoMulti, kAdminCategories, save, "1.0.0",
                           "Makes a checkpoint and waits for it", per_key));
  table.add(server_command("bgsave", -1, kSaveFlags, kAdminCategories, bgsave, "1.0.0",
                           "Makes a checkpoint in the background"));
  table.add(with_tips(
      server_command("lastsave", 1, kCmdLoading | kCmdStale | kCmdFast, kAclAdmin | kAclFast | kAclDangerous,
                     lastsave, "1.0.0", "Gives the time of the last good checkpoint"),
      {"nondeterministic_output"}));
  table.add(server_command("bgrewriteaof", 1, kSaveFlags, kAdminCategories, bgrewriteaof, "1.0.0",
                           "Compacts everything in the background"));
  table.add(server_command("compact", -1, kAdminFlags, kAdminCategories, compact, "7.2.0",
                           "Compacts everything, or a range of this database's keys, and waits for it",
                           per_key));
  table.add(server_command("role", 1, kCmdNoScript | kCmdLoading | kCmdStale | kCmdFast,
                           kAclAdmin | kAclFast | kAclDangerous, role, "2.8.12",
                           "Gives the server's role in replication"));
  table.add(server_command("lolwut", -1, kCmdReadOnly | kCmdFast, kAclRead | kAclFast, lolwut, "5.0.0",
                           "Draws a small picture and gives the version", ""));
}

void add_waits(CommandTable& table) {
  Command wait_command =
      with_tips(server_command("wait", 3, kCmdNoScript, kAclSlow | kAclConnection, wait, "3.0.0",
                               "Waits until replicas have this connection's writes"),
                {"request_policy:all_shards", "response_policy:agg_min"});
  wait_command.group = "generic";
  table.add(std::move(wait_command));
  Command waitaof_command =
      with_tips(server_command("waitaof", 4, kCmdNoScript, kAclSlow | kAclConnection, waitaof, "7.2.0",
                               "Waits until everything written so far is on disk"),
                {"request_policy:all_shards", "response_policy:agg_min"});
  waitaof_command.group = "generic";
  table.add(std::move(waitaof_command));
}

void add_containers(CommandTable& table) {
  Command module = server_command("module", -2, 0, kAclSlow, nullptr, "4.0.0",
                                  "Commands about modules; there are none here", "Depends on subcommand.");
  module.subcommands = {
      server_command("help", 2, kCmdLoading | kCmdStale, kAclSlow, module_help, "5.0.0",
                     "Lists the subcommands"),
      with_tips(server_command("list", 2, kAdminFlags, kAdminCategories, module_list, "4.0.0",
                               "Lists the loaded modules", "O(N) where N is the number of loaded modules."),
                {"nondeterministic_output_order"}),
  };
  auto add_loader = [&module](const char* name, int arity, const char* since, const char* summary) {
    module.subcommands.push_back(server_command(name, arity, kAdminFlags | kCmdNoAsyncLoading,
                                                kAdminCategories, no_modules, since, summary));
  };
  add_loader("load", -3, "4.0.0", "Fails: varve loads no modules");
  add_loader("loadex", -3, "7.0.0", "Fails: varve loads no modules");
  add_loader("unload", 3, "4.0.0", "Fails: varve loads no modules");
  table.add(std::move(module));

  Command cluster = server_command("cluster", -2, 0, kAclSlow, nullptr, "3.0.0",
                                   "Commands about Redis Cluster; it is off here", "Depends on subcommand.");
  auto add = [&cluster](const char* name, int arity, const char* since, bool varies, const char* complexity) {
    Command sub = server_command(name, arity, kCmdStale, kAclSlow, no_cluster, since,
                                 "Answers that the cluster is off", complexity);
    if (varies) sub.tips = {"nondeterministic_output"};
    sub.group = "cluster";
    cluster.subcommands.push_back(std::move(sub));
  };
  const char* per_node = "O(N) where N is the total number of Cluster nodes";
  add("countkeysinslot", 3, "3.0.0", false, "O(1)");
  add("getkeysinslot", 4, "3.0.0", true, "O(log(N)) where N is the number of requested keys");
  add("help", 2, "5.0.0", false, "O(1)");
  cluster.subcommands.back().flags |= kCmdLoading;
  add("info", 2, "3.0.0", true, "O(1)");
  add("keyslot", 3, "3.0.0", false, "O(N) where N is the number of bytes in the key");
  add("links", 2, "7.0.0", true, per_node);
  add("myid", 2, "3.0.0", false, "O(1)");
  add("nodes", 2, "3.0.0", true, per_node);
  add("shards", 2, "7.0.0", true, "O(N) where N is the total number of cluster nodes");
  add("slots", 2, "3.0.0", true, per_node);
  cluster.group = "cluster";
  table.add(std::move(cluster));
}

}  // namespace

void add_debug_command(CommandTable& table);

void add_admin_commands(CommandTable& table) {
  add_config(table);
  add_process(table);
  add_waits(table);
  add_containers(table);
  add_debug_command(table);
}

}  // namespace varve
