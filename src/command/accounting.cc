// accounting.cc: what is noted of commands that have run: their statistics, the log of slow ones, latency
// events, what monitors are shown; and the texts of INFO made of that. A command's own time is that of all
// its runs and of the slices of its reply, without the waiting between them.

#include <fmt/format.h>

#include <algorithm>

#include "command/dispatcher_impl.h"
#include "command/numbers.h"

namespace varve {
namespace {

constexpr size_t kErrorCodesMax = 128;  // errorstats kept apart
constexpr std::string_view kRedacted = "(redacted)";

// With what nobody else may read taken out: passwords.
std::vector<std::string_view> without_secrets(const Command& command,
                                              const std::vector<std::string_view>& args) {
  std::vector<std::string_view> shown = args;
  std::string_view name = command.full_name;
  if (name == "auth") {
    for (size_t i = 1; i < shown.size(); ++i) shown[i] = kRedacted;
  } else if (name == "hello") {
    for (size_t i = 2; i + 2 < shown.size(); ++i) {
      if (!equals_ignoring_case(args[i], "auth")) continue;
      shown[i + 1] = shown[i + 2] = kRedacted;
      i += 2;
    }
  } else if (name == "config|set") {
    for (size_t i = 2; i + 1 < shown.size(); i += 2) {
      for (const char* secret : {"requirepass", "masterauth", "masteruser"}) {
        if (equals_ignoring_case(args[i], secret)) shown[i + 1] = kRedacted;
      }
    }
  } else if (name == "acl|setuser") {
    for (size_t i = 2; i < shown.size(); ++i) shown[i] = kRedacted;
  }
  return shown;
}

}  // namespace

int64_t Dispatcher::Impl::usec_since(int64_t started_us) const {
  return std::max<int64_t>(0, services_.clock.monotonic_us() - started_us);
}

void Dispatcher::Impl::count_run(const Command& command, std::string_view reply) {
  ++processed_;
  ++command.stats.calls;
  if (reply.empty() || reply[0] != '-') return;
  ++command.stats.failed;
  count_error(reply);
}

void Dispatcher::Impl::count_time(const Command& command, const ClientState& client,
                                  const std::vector<std::string_view>& args, int64_t usec) {
  command.stats.usec += static_cast<uint64_t>(usec);
  if (limits_.latency_tracking) command.stats.latency.add_us(usec);
  if (limits_.slow_us >= 0 && usec >= limits_.slow_us && (command.flags & kCmdSkipSlowlog) == 0) {
    slow_log_.add(without_secrets(command, args), usec, services_.clock.now_us() / 1'000'000, client.address,
                  client.name, limits_.slow_entries);
  }
  if (limits_.latency_ms > 0)
    note_latency((command.flags & kCmdFast) != 0 ? "fast-command" : "command", usec);
}

void Dispatcher::Impl::note_latency(const char* event, int64_t us) {
  int64_t threshold_ms = limits_.latency_ms;
  if (threshold_ms > 0 && us / 1000 >= threshold_ms)
    latency_.add(event, us / 1000, services_.clock.now_us() / 1'000'000);
}

void Dispatcher::Impl::stream_ended(const ClientState& client, Invocation& invocation) {
  std::string error;
  const Command* command = look_up(invocation.args, &error);
  if (command != nullptr) count_time(*command, client, invocation.args, invocation.spent_us);
}

// With the commands that an EXEC has run.
void Dispatcher::Impl::show(const Command& command, const ClientState& client, Invocation& invocation) {
  if (std::exchange(invocation.monitored, true)) return;
  show(command, client, client.db, std::max(client.shown, invocation.gate), invocation.args);
}

void Dispatcher::Impl::show(const Command& command, const ClientState& client, uint32_t db, Sequence gate,
                            const std::vector<std::string_view>& args) {
  if ((command.flags & (kCmdSkipMonitor | kCmdAdmin)) != 0) return;
  monitors_.show(services_.host, gate, services_.clock.now_us(), client, db, without_secrets(command, args));
}

void Dispatcher::Impl::count_error(std::string_view reply) {
  ++error_replies_;
  std::string_view code = reply.substr(1, reply.find_first_of(" \r\n") - 1);
  auto found = error_counts_.find(code);
  if (found != error_counts_.end()) {
    ++found->second;
  } else if (error_counts_.size() < kErrorCodesMax) {
    error_counts_.emplace(code, 1);
  }
}

std::string Dispatcher::Impl::commandstats_text() const {
  std::string text;
  auto add = [&](const Command& command) {
    const CommandStats& s = command.stats;
    if (s.calls == 0 && s.rejected == 0 && s.failed == 0) return;
    text +=
        fmt::format("cmdstat_{}:calls={},usec={},usec_per_call={:.2f},rejected_calls={},failed_calls={}\r\n",
                    command.full_name, s.calls, s.usec,
                    s.calls == 0 ? 0.0 : static_cast<double>(s.usec) / static_cast<double>(s.calls),
                    s.rejected, s.failed);
  };
  for (const auto& command : table_.commands()) {
    add(*command);
    for (const Command& sub : command->subcommands) add(sub);
  }
  return text;
}

std::string Dispatcher::Impl::errorstats_text() const {
  std::string text;
  for (const auto& [code, count] : error_counts_)
    text += fmt::format("errorstat_{}:count={}\r\n", code, count);
  return text;
}

std::string Dispatcher::Impl::latencystats_text() const {
  std::string text;
  auto add = [&](const Command& command) {
    if (command.stats.latency.empty()) return;
    text += fmt::format("latency_percentiles_usec_{}:", command.full_name);
    for (size_t i = 0; i < limits_.percentiles.size(); ++i) {
      text += fmt::format("{}p{}={:.3f}", i == 0 ? "" : ",", limits_.percentiles[i],
                          command.stats.latency.percentile_us(limits_.percentiles[i]));
    }
    text += "\r\n";
  };
  for (const auto& command : table_.commands()) {
    add(*command);
    for (const Command& sub : command->subcommands) add(sub);
  }
  return text;
}

std::string Dispatcher::Impl::keyspace_text() const {
  std::string text;
  if (!keyspace_.attached()) return text;
  for (uint32_t number = 0; number < services_.host.databases(); ++number) {
    DatabaseId id = keyspace_.database(number);
    uint64_t keys = keyspace_.key_count(id);
    if (keys == 0) continue;
    uint64_t expires = keyspace_.expiring_count(id);
    text += fmt::format("db{}:keys={},expires={},avg_ttl={}\r\n", number, keys, expires,
                        expires == 0 ? 0 : keyspace_.mean_ttl_ms(id, services_.clock.now_ms()));
  }
  return text;
}

void Dispatcher::Impl::reset_stats() {
  table_.reset_stats();
  error_counts_.clear();
  processed_ = 0;
  error_replies_ = 0;
  expire_cycle_us_ = 0;
  services_.hits = services_.misses = 0;
  expiry_.reset_stats();
}

}  // namespace varve
