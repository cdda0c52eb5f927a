#include "lsm/compaction_policy.h"

#include <fmt/format.h>

#include <algorithm>

namespace varve {
namespace {

constexpr int kLast = kLevelCount - 1;

bool blocked(const Version& version, const std::set<uint64_t>& busy, const TableRef& table) {
  return busy.contains(table->meta.number) || version.is_quarantined(table->meta.number);
}

bool any_blocked(const Version& version, const std::set<uint64_t>& busy,
                 const std::vector<TableRef>& tables) {
  return std::any_of(tables.begin(), tables.end(),
                     [&](const TableRef& t) { return blocked(version, busy, t); });
}

void widen(KeyRange* range, const TableMeta& meta, bool first) {
  KeyRange b = bounds(meta);
  if (first || b.begin < range->begin) range->begin = b.begin;
  if (first || b.end > range->end || (b.end == range->end && b.end_inclusive)) {
    range->end = b.end;
    range->end_inclusive = b.end_inclusive;
  }
}

KeyRange bounds_of(const std::vector<TableRef>& tables) {
  KeyRange range;
  for (size_t i = 0; i < tables.size(); ++i) widen(&range, tables[i]->meta, i == 0);
  return range;
}

uint64_t bytes_of(const std::vector<TableRef>& tables) {
  uint64_t sum = 0;
  for (const TableRef& t : tables) sum += t->meta.file_size;
  return sum;
}

// A moved table keeps what a rewrite would have dropped or settled.
bool has_droppable(const TableMeta& meta) {
  return meta.range_deletes > 0 || meta.blind > 0 || meta.deletes * 4 > meta.records;
}

// What overlaps `range` in the single run of `level`.
std::vector<TableRef> overlapping(const Version& version, int level, const KeyRange& range) {
  std::vector<TableRef> out;
  for (const RunRef& run : version.levels[level]) {
    for (TableRef& t : run->overlapping(range)) out.push_back(std::move(t));
  }
  return out;
}

uint64_t run_id(const Version& version, int level) {
  return version.levels[level].empty() ? 0 : version.levels[level].front()->id;
}

// Level 0: the oldest runs that fit into a job, into the base level. Older runs may never stay behind newer
// ones.
std::optional<CompactionPick> pick_level0(const Version& version, const std::set<uint64_t>& busy, int base,
                                          const CompactionOptions& options, const char* reason) {
  const std::vector<RunRef>& runs = version.levels[0];
  CompactionPick pick;
  pick.output_level = base;
  pick.reason = reason;
  std::vector<TableRef> all;
  for (size_t i = runs.size(); i-- > 0;) {
    if (any_blocked(version, busy, runs[i]->tables)) break;
    if (!all.empty() && bytes_of(all) + runs[i]->bytes > options.job_bytes_max) break;
    all.insert(all.end(), runs[i]->tables.begin(), runs[i]->tables.end());
    pick.inputs.insert(pick.inputs.begin(), {{0, runs[i]->id}, runs[i]->tables});
  }
  if (pick.inputs.empty()) return std::nullopt;
  KeyRange range = bounds_of(all);
  std::vector<TableRef> below = overlapping(version, base, range);
  if (any_blocked(version, busy, below)) return std::nullopt;
  bool droppable =
      std::any_of(all.begin(), all.end(), [](const TableRef& t) { return has_droppable(t->meta); });
  if (below.empty() && pick.inputs.size() == 1 && !droppable) {
    pick.trivial_move = true;
  } else if (!below.empty()) {
    pick.inputs.push_back({{base, run_id(version, base)}, std::move(below)});
  }
  return pick;
}

// One table of `level` and what it overlaps below.
std::optional<CompactionPick> pick_table(const Version& version, const std::set<uint64_t>& busy, int level,
                                         const TableRef& table, const char* reason) {
  if (blocked(version, busy, table)) return std::nullopt;
  std::vector<TableRef> below = overlapping(version, level + 1, bounds(table->meta));
  if (any_blocked(version, busy, below)) return std::nullopt;
  CompactionPick pick;
  pick.output_level = level + 1;
  pick.reason = reason;
  pick.inputs.push_back({{level, run_id(version, level)}, {table}});
  if (below.empty()) {
    pick.trivial_move = !has_droppable(table->meta);
  } else {
    pick.inputs.push_back({{level + 1, run_id(version, level + 1)}, std::move(below)});
  }
  return pick;
}

// The table whose move down costs least per byte gained; tombstones count as gain.
std::optional<CompactionPick> pick_cheapest(const Version& version, const std::set<uint64_t>& busy,
                                            int level) {
  std::optional<CompactionPick> best;
  double best_cost = 0;
  for (const RunRef& run : version.levels[level]) {
    for (const TableRef& table : run->tables) {
      std::optional<CompactionPick> pick = pick_table(version, busy, level, table, "size");
      if (!pick) continue;
      const TableMeta& m = table->meta;
      double overlap = pick->inputs.size() > 1 ? static_cast<double>(bytes_of(pick->inputs[1].tables)) : 0;
      double dead = m.records == 0 ? 1 : static_cast<double>(m.deletes) / static_cast<double>(m.records);
      double cost = overlap / (static_cast<double>(m.file_size) * (1 + 2 * dead));
      if (!best || cost < best_cost) {
        best = std::move(pick);
        best_cost = cost;
      }
    }
  }
  return best;
}

// Half of its records delete something: worth moving down when nothing else is to do.
bool tombstone_dense(const TableMeta& m) {
  return m.deletes >= 64 && m.deletes * 2 >= m.records;
}

std::optional<CompactionPick> pick_tombstones(const Version& version, const std::set<uint64_t>& busy) {
  for (int level = 1; level < kLast; ++level) {
    for (const RunRef& run : version.levels[level]) {
      for (const TableRef& table : run->tables) {
        if (!tombstone_dense(table->meta)) continue;
        if (auto pick = pick_table(version, busy, level, table, "tombstones")) return pick;
      }
    }
  }
  return std::nullopt;
}

}  // namespace

std::string CompactionPick::debug_string() const {
  std::string out = fmt::format("{}:", reason);
  const char* separator = "";
  for (const Input& input : inputs) {
    out += fmt::format("{} L{}", separator, input.place.level);
    for (const TableRef& t : input.tables) out += fmt::format(" {}", t->meta.number);
    separator = " +";
  }
  return out + fmt::format(" -> L{}{}", output_level, trivial_move ? " (move)" : "");
}

LevelTargets level_targets(const Version& version, const CompactionOptions& options) {
  LevelTargets targets;
  uint64_t largest = 0;
  int first_used = kLast;
  for (int level = 1; level <= kLast; ++level) {
    uint64_t bytes = version.level_bytes(level);
    largest = std::max(largest, bytes);
    if (bytes > 0) first_used = std::min(first_used, level);
  }
  // The last level is as large as it is; above it each level is a fraction, down to the base level's size.
  uint64_t target = std::max(largest, options.base_level_size);
  int level = kLast;
  targets.bytes[level] = target;
  while (level > 1 && target > options.base_level_size) {
    target /= static_cast<uint64_t>(options.level_multiplier);
    --level;
    targets.bytes[level] = std::max(target, options.base_level_size);
  }
  targets.base_level = level;
  // A tree that has shrunk may still have tables above the base level: they are over target there and move
  // down first.
  if (first_used < targets.base_level) targets.base_level = first_used;
  return targets;
}

double level_score(const Version& version, const LevelTargets& targets, int level,
                   const CompactionOptions& options) {
  if (level == 0) return static_cast<double>(version.levels[0].size()) / options.level0_trigger;
  if (level >= kLast) return 0;
  uint64_t bytes = version.level_bytes(level);
  if (bytes == 0) return 0;
  if (targets.bytes[level] == 0)
    return 1 + static_cast<double>(bytes) / static_cast<double>(options.base_level_size);
  return static_cast<double>(bytes) / static_cast<double>(targets.bytes[level]);
}

std::optional<CompactionPick> pick_compaction(const Version& version, const std::set<uint64_t>& busy,
                                              const CompactionOptions& options) {
  LevelTargets targets = level_targets(version, options);
  std::vector<std::pair<double, int>> order;
  for (int level = 0; level < kLast; ++level) {
    double score = level_score(version, targets, level, options);
    if (score >= 1) order.push_back({score, level});
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [score, level] : order) {
    std::optional<CompactionPick> pick =
        level == 0 ? pick_level0(version, busy, targets.base_level, options, "level0")
                   : pick_cheapest(version, busy, level);
    if (pick) return pick;
  }
  return pick_tombstones(version, busy);
}

std::optional<CompactionPick> pick_manual(const Version& version, const KeyRange& range, int level,
                                          uint64_t rewritten_from, const CompactionOptions& options) {
  const std::set<uint64_t> busy;
  if (level == 0) {
    bool touches = false;
    for (const RunRef& run : version.levels[0]) touches = touches || !run->overlapping(range).empty();
    if (!touches) return std::nullopt;
    return pick_level0(version, busy, level_targets(version, options).base_level, options, "manual");
  }
  for (const RunRef& run : version.levels[level]) {
    for (const TableRef& table : run->tables) {
      if (blocked(version, busy, table) || !bounds(table->meta).overlaps(range)) continue;
      if (level < kLast && level < version.last_level()) {
        auto pick = pick_table(version, busy, level, table, "manual");
        if (pick) return pick;
        continue;
      }
      if (table->meta.number >= rewritten_from) continue;
      CompactionPick pick;
      pick.output_level = level;
      pick.reason = "manual";
      pick.inputs.push_back({{level, run->id}, {table}});
      return pick;
    }
  }
  return std::nullopt;
}

uint64_t compaction_debt(const Version& version, const CompactionOptions& options) {
  LevelTargets targets = level_targets(version, options);
  uint64_t debt = 0;
  if (version.levels[0].size() >= static_cast<size_t>(options.level0_trigger)) debt += version.level_bytes(0);
  for (int level = 1; level < kLast; ++level) {
    uint64_t bytes = version.level_bytes(level);
    // What is over the target goes down and meets about as many bytes there as the levels' ratio says.
    if (bytes > targets.bytes[level]) {
      uint64_t next = version.level_bytes(level + 1);
      debt += (bytes - targets.bytes[level]) * (1 + (bytes == 0 ? 0 : next / bytes));
    }
  }
  return debt;
}

}  // namespace varve
