// observation.cc: SLOWLOG, LATENCY, MONITOR: what the server has noted of the commands it ran, and a look at
// them as they run. The noting is accounting.cc's.
#include <fmt/format.h>

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "command/families/help.h"
#include "command/families/helpers.h"
#include "command/latency_monitor.h"
#include "command/monitors.h"
#include "command/numbers.h"
#include "command/slow_log.h"

namespace varve {
namespace {

// --- SLOWLOG ---

void slowlog_get(CommandContext& context) {
  if (context.args.size() > 3) return reply_subcommand_error(context);
  int64_t count = 10;
  if (context.args.size() == 3 && (!parse_integer(context.args[2], &count) || count < -1)) {
    return context.reply.error("ERR count should be greater than or equal to -1");
  }
  const auto& entries = context.services.slow_log.entries();
  size_t shown = count < 0 ? entries.size() : std::min(entries.size(), static_cast<size_t>(count));
  Reply& reply = context.reply;
  reply.array(shown);
  for (size_t i = 0; i < shown; ++i) {
    const SlowLog::Entry& entry = entries[i];
    reply.array(6);
    reply.integer(static_cast<int64_t>(entry.id));
    reply.integer(entry.time_s);
    reply.integer(entry.usec);
    reply.array(entry.args.size());
    for (const std::string& arg : entry.args) reply.bulk(arg);
    reply.bulk(entry.address);
    reply.bulk(entry.name);
  }
}

void slowlog_len(CommandContext& context) {
  context.reply.integer(static_cast<int64_t>(context.services.slow_log.entries().size()));
}

void slowlog_reset(CommandContext& context) {
  context.services.slow_log.clear();
  context.reply.ok();
}

void slowlog_help(CommandContext& context) {
  reply_help(
      context.reply, "SLOWLOG",
      {"GET [<count>]", "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
       "    Entries are made of:",
       "    id, timestamp, time in microseconds, arguments array, client IP and port,", "    client name",
       "LEN", "    Return the length of the slowlog.", "RESET", "    Reset the slowlog."});
}

// --- LATENCY ---

int64_t now_s(CommandContext& context) {
  return context.now_ms() / 1000;
}

void latency_latest(CommandContext& context) {
  const auto& events = context.services.latency.events();
  context.reply.array(events.size());
  for (const auto& [name, series] : events) {
    context.reply.array(4);
    context.reply.bulk(name);
    context.reply.integer(series.latest().time_s);
    context.reply.integer(series.latest().ms);
    context.reply.integer(series.max_ms());
  }
}

void latency_history(CommandContext& context) {
  const LatencySeries* series = context.services.latency.find(context.args[2]);
  if (series == nullptr) return context.reply.array(0);
  std::vector<LatencySample> samples = series->samples();
  context.reply.array(samples.size());
  for (const LatencySample& sample : samples) {
    context.reply.array(2);
    context.reply.integer(sample.time_s);
    context.reply.integer(sample.ms);
  }
}

void latency_graph_command(CommandContext& context) {
  std::string_view event = context.args[2];
  const LatencySeries* series = context.services.latency.find(event);
  if (series == nullptr)
    return context.reply.error(fmt::format("ERR No samples available for event '{}'", event));
  context.reply.verbatim("txt", latency_graph(event, *series, now_s(context)));
}

void latency_reset(CommandContext& context) {
  size_t dropped = 0;
  if (context.args.size() == 2) dropped = context.services.latency.reset("");
  for (size_t i = 2; i < context.args.size(); ++i) {
    if (!context.args[i].empty()) dropped += context.services.latency.reset(context.args[i]);
  }
  context.reply.integer(static_cast<int64_t>(dropped));
}

// One event of the report: how often, how long, and what it may come from.
std::string described(std::string_view event, const LatencySeries& series) {
  std::vector<LatencySample> samples = series.samples();
  double sum = 0;
  for (const LatencySample& sample : samples) sum += static_cast<double>(sample.ms);
  double mean = sum / static_cast<double>(samples.size());
  double deviation = 0;
  for (const LatencySample& sample : samples) deviation += std::abs(static_cast<double>(sample.ms) - mean);
  deviation /= static_cast<double>(samples.size());
  std::string_view advice;
  if (event == "command" || event == "fast-command") advice = "SLOWLOG GET shows which commands it was.";
  if (event == "log-fsync")
    advice =
        "The disk is slow to sync: replies to writes wait as long. INFO lsm has the mean and the maximum.";
  if (event == "expire-cycle") advice = "Very many keys expire at the same time.";
  if (event == "loop-turn") advice = "Long commands or very many clients share a turn of the loop.";
  return fmt::format("{}: {} spikes, {:.0f} ms on average (mean deviation {:.0f} ms), at most {} ms. {}\n",
                     event, samples.size(), mean, deviation, series.max_ms(), advice);
}

void latency_doctor(CommandContext& context) {
  const auto& events = context.services.latency.events();
  std::string report;
  int64_t threshold_ms = context.host().observation().latency_ms;
  if (threshold_ms == 0 && events.empty()) {
    report =
        "Latency is not monitored: CONFIG SET latency-monitor-threshold <milliseconds> notes everything that "
        "takes longer.\n";
  } else if (events.empty()) {
    report = fmt::format("Nothing has taken longer than {} ms so far.\n", threshold_ms);
  }
  for (const auto& [name, series] : events) report += described(name, series);
  context.reply.verbatim("txt", report);
}

void reply_histogram(Reply& reply, const Command& command) {
  reply.bulk(command.full_name);
  reply.map(2);
  reply.bulk("calls");
  reply.integer(static_cast<int64_t>(command.stats.latency.total()));
  reply.bulk("histogram_usec");
  auto steps = command.stats.latency.steps();
  reply.map(steps.size());
  for (const auto& step : steps) {
    reply.integer(step.usec);
    reply.integer(static_cast<int64_t>(step.count));
  }
}

// The command if it was run, and those of its subcommands that were.
void add_measured(const Command& command, std::vector<const Command*>* measured) {
  if (!command.stats.latency.empty()) measured->push_back(&command);
  for (const Command& sub : command.subcommands) add_measured(sub, measured);
}

void latency_histogram(CommandContext& context) {
  const CommandTable& table = context.services.table;
  std::vector<const Command*> measured;
  for (size_t i = 2; i < context.args.size(); ++i) {
    const Command* command = table.find_by_full_name(context.args[i]);
    if (command != nullptr) add_measured(*command, &measured);
  }
  if (context.args.size() == 2) {
    for (const auto& command : table.commands()) add_measured(*command, &measured);
  }
  context.reply.map(measured.size());
  for (const Command* command : measured) reply_histogram(context.reply, *command);
}

void latency_help(CommandContext& context) {
  reply_help(context.reply, "LATENCY",
             {"DOCTOR", "    Return a human readable latency analysis report.", "GRAPH <event>",
              "    Return an ASCII latency graph for the <event> class.", "HISTORY <event>",
              "    Return time-latency samples for the <event> class.", "LATEST",
              "    Return the latest latency samples for all events.", "RESET [<event> ...]",
              "    Reset latency data of one or more <event> classes.",
              "    (default: reset all data for all event classes)", "HISTOGRAM [COMMAND ...]",
              "    Return a cumulative distribution of latencies in the format of a histogram for the "
              "specified command names.",
              "    If no commands are specified then all histograms are replied."});
}

// --- MONITOR ---

void monitor(CommandContext& context) {
  if (context.in_exec) return context.reply.error("ERR MONITOR isn't allowed for DENY BLOCKING client");
  if (context.client.monitor) return;
  context.services.monitors.add(context.client);
  context.reply.ok();
}

constexpr uint32_t kFlags = kCmdAdmin | kCmdLoading | kCmdStale;
constexpr uint32_t kCategories = kAclAdmin | kAclSlow | kAclDangerous;

Command server_command(const char* name, int arity, uint32_t flags, CommandFunction run, const char* since,
                       const char* summary, const char* complexity) {
  return {.name = name,
          .arity = arity,
          .flags = flags,
          .categories = (flags & kCmdAdmin) != 0 ? kCategories : kAclSlow,
          .run = run,
          .since = since,
          .group = "server",
          .summary = summary,
          .complexity = complexity};
}

void add_slowlog(CommandTable& table) {
  Command slowlog = server_command("slowlog", -2, 0, nullptr, "2.2.12", "Commands about slow commands",
                                   "Depends on subcommand.");
  slowlog.subcommands = {
      server_command("get", -2, kFlags, slowlog_get, "2.2.12", "Gives the newest slow commands",
                     "O(N) where N is the number of entries returned"),
      server_command("help", 2, kCmdLoading | kCmdStale, slowlog_help, "6.2.0", "Lists the subcommands",
                     "O(1)"),
      server_command("len", 2, kFlags, slowlog_len, "2.2.12", "Counts the slow commands kept", "O(1)"),
      server_command("reset", 2, kFlags, slowlog_reset, "2.2.12", "Forgets the slow commands",
                     "O(N) where N is the number of entries in the slowlog"),
  };
  slowlog.subcommands[0].tips = {"request_policy:all_nodes", "nondeterministic_output"};
  slowlog.subcommands[2].tips = {"request_policy:all_nodes", "response_policy:agg_sum",
                                 "nondeterministic_output"};
  slowlog.subcommands[3].tips = {"request_policy:all_nodes", "response_policy:all_succeeded"};
  table.add(std::move(slowlog));
}

void add_latency(CommandTable& table) {
  constexpr uint32_t kSubFlags = kFlags | kCmdNoScript;
  Command latency = server_command("latency", -2, 0, nullptr, "2.8.13", "Commands about what took long",
                                   "Depends on subcommand.");
  auto add = [&latency](const char* name, int arity, CommandFunction run, const char* summary) {
    Command sub = server_command(name, arity, kSubFlags, run, "2.8.13", summary, "O(1)");
    sub.tips = {"nondeterministic_output", "request_policy:all_nodes", "response_policy:special"};
    latency.subcommands.push_back(std::move(sub));
  };
  add("doctor", 2, latency_doctor, "Reports what took long, and why perhaps");
  add("graph", 3, latency_graph_command, "Draws the latencies of an event");
  add("histogram", -2, latency_histogram, "Gives the distribution of commands' times");
  latency.subcommands.back().since = "7.0.0";
  latency.subcommands.back().complexity =
      "O(N) where N is the number of commands with latency information being retrieved.";
  add("history", 3, latency_history, "Gives the latencies of an event, with their times");
  add("latest", 2, latency_latest, "Gives the last latency of each event");
  add("reset", -2, latency_reset, "Forgets the latencies of events");
  latency.subcommands.back().tips = {"request_policy:all_nodes", "response_policy:all_succeeded"};
  latency.subcommands.push_back(server_command("help", 2, kCmdLoading | kCmdStale, latency_help, "2.8.13",
                                               "Lists the subcommands", "O(1)"));
  table.add(std::move(latency));
}

}  // namespace

void add_observation_commands(CommandTable& table) {
  add_slowlog(table);
  add_latency(table);
  table.add(server_command("monitor", 1, kFlags | kCmdNoScript, monitor, "1.0.0",
                           "Shows every command as it runs", ""));
}

}  // namespace varve
