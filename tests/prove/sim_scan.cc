// Walks over the key space. What is promised: keys in order; each key present throughout exactly once.
#include <fmt/format.h>

#include <algorithm>

#include "prove/sim_commands.h"
#include "prove/sim_resp.h"

namespace varve::prove {
namespace {

// Patterns are drawn as "*" or as a beginning and "*".
bool matches(std::string_view pattern, std::string_view key) {
  return key.starts_with(pattern.substr(0, pattern.size() - 1));
}

std::string draw_pattern(Draw& draw) {
  if (draw.random.one_in(2)) return "*";
  std::string key = draw.key();
  return key.substr(0, key.size() - 1 - draw.random.below(2)) + "*";
}

Arguments draw_scan(Draw& draw) {
  Arguments args = {"SCAN", draw.random.one_in(3) ? "0" : kLatestCursor};
  if (draw.random.one_in(2)) args.insert(args.end(), {"COUNT", std::to_string(1 + draw.random.below(200))});
  if (draw.random.one_in(3)) args.insert(args.end(), {"MATCH", draw_pattern(draw)});
  return args;
}

struct ScanCall {
  std::string pattern = "*";
  bool from_start = false;
  bool complete = true;  // nothing but this session's earlier calls has moved the keys about
  std::string after;     // the last key shown before
  uint64_t since = 0;    // the batch before the previous call
};

// Every live key behind `after` is in `keys`, or came after the previous call, or lies behind the last of
// them.
std::string check_keys(ModelRun& run, const ScanCall& call, const std::vector<std::string>& keys,
                       bool ended) {
  auto wanted = keys.begin();
  const ModelDatabase& database = run.model.database(run.session.db);
  for (auto at = database.slots.begin(); at != database.slots.end(); ++at) {
    const auto& [key, slot] = *at;
    if (!slot.live(run.now_ms) || !matches(call.pattern, key)) continue;
    if (!call.from_start && key <= call.after) continue;
    if (wanted != keys.end() && *wanted == key) {
      ++wanted;
      continue;
    }
    if (wanted == keys.end() && !ended) break;
    bool excused = !call.from_start && (!call.complete || slot.born > call.since);
    if (!excused) return fmt::format("{} is skipped", key);
  }
  return wanted == keys.end() ? "" : fmt::format("{} is not there, not in order, or twice", *wanted);
}

void run_scan(ModelRun& run) {
  run.whole(run.session.db);
  ScanCall call;
  for (size_t i = 2; i + 1 < run.args.size(); i += 2) {
    if (run.args[i] == "MATCH") call.pattern = run.args[i + 1];
  }
  const std::string& cursor = run.args[1];
  call.from_start = cursor == "0";
  if (!call.from_start) {
    auto known = run.session.cursors.find(cursor);
    if (known == run.session.cursors.end()) {
      run.check = [](std::string_view) { return std::string("a cursor this connection was never given"); };
      return;
    }
    const ScanPosition& position = known->second;
    call.after = position.last;
    call.since = position.batch;
    bool same_keys = position.pattern == "*" || position.pattern == call.pattern;
    call.complete =
        same_keys && position.db == run.session.db && run.model.swapped(run.session.db) <= position.batch;
  }
  uint64_t batch = run.model.next_batch() - 1;
  run.check = [&run, call, batch](std::string_view reply) -> std::string {
    std::string next;
    std::vector<std::string> keys;
    if (!parse_scan(reply, &next, &keys)) return "not a SCAN's reply";
    std::string wrong = check_keys(run, call, keys, next == "0");
    ScanPosition position{keys.empty() ? call.after : keys.back(), call.pattern, run.session.db, batch};
    // It came further than to the last key it showed: what was born since an earlier call may lie before.
    if (keys.empty() && !call.from_start) position.batch = call.complete ? call.since : 0;
    if (next != "0") run.session.cursors[next] = position;
    return wrong;
  };
}

void run_keys(ModelRun& run) {
  std::vector<std::string_view> keys;
  for (const auto& [key, slot] : run.whole(run.session.db).slots) {
    if (slot.live(run.now_ms) && matches(run.args[1], key)) keys.push_back(key);
  }
  run.array(keys.size());
  for (std::string_view key : keys) run.bulk(key);
}

void run_randomkey(ModelRun& run) {
  ModelDatabase& database = run.whole(run.session.db);
  run.check = [&run, &database](std::string_view reply) -> std::string {
    std::string key;
    if (!parse_bulk(reply, &key)) {
      bool empty = database.live_keys(run.now_ms) == 0;
      return empty || database.expired_keys(run.now_ms) > 0 ? "" : "nil, but there are keys";
    }
    return run.model.find(run.session.db, key, run.now_ms) ? "" : "a key that is not there";
  };
}

}  // namespace

void add_scan_rows(std::vector<CommandRow>* rows) {
  rows->push_back({"scan", "SCAN", 6, draw_scan, run_scan, "scan"});
  rows->push_back({"scan", "KEYS", 1,
                   [](Draw& d) {
                     return Arguments{"KEYS", draw_pattern(d)};
                   },
                   run_keys, "scan"});
  rows->push_back(
      {"scan", "RANDOMKEY", 2, [](Draw&) { return Arguments{"RANDOMKEY"}; }, run_randomkey, "scan"});
}

}  // namespace varve::prove
