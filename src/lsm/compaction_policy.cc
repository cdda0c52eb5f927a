#include "lsm/compaction_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace varve {
namespace {

constexpr int kLast = kLevelCount - 1;
// A pick runs on the owner's thread: of a level with thousands of tables it looks at this many.
constexpr size_t kCandidates = 64;

using Tables = std::span<const TableRef>;

// What a pick may not touch.
struct Blocked {
  const Version& version;
  const std::set<uint64_t>& busy;

  bool none() const { return busy.empty() && version.quarantined.empty(); }
  bool operator()(const TableRef& table) const {
    return busy.contains(table->meta.number) || version.is_quarantined(table->meta.number);
  }
  bool any(Tables tables) const {
    return !none() &&
           std::any_of(tables.begin(), tables.end(), [this](const TableRef& t) { return (*this)(t); });
  }
};

// *span from nothing (no bytes behind its end) to all of the tables seen.
void widen(KeySpan* span, const TableMeta& meta) {
  KeySpan t(meta);
  bool first = span->end.data() == nullptr;
  if (first || t.begin < span->begin) span->begin = t.begin;
  if (first || t.end > span->end || (t.end == span->end && t.end_inclusive)) {
    span->end = t.end;
    span->end_inclusive = t.end_inclusive;
  }
}

// A moved table keeps what a rewrite would have dropped or settled.
bool has_droppable(const TableMeta& meta) {
  return meta.range_deletes > 0 || meta.blind > 0 || meta.deletes * 4 > meta.records;
}

// The single run of a level below 0, or null.
const Run* single_run(const Version& version, int level) {
  return version.levels[level].empty() ? nullptr : version.levels[level].front().get();
}

// What overlaps `span` in the single run of `level`.
Tables overlapping(const Version& version, int level, const KeySpan& span) {
  const Run* run = single_run(version, level);
  return run == nullptr ? Tables() : run->overlapping(span);
}

void add_input(CompactionPick* pick, int level, uint64_t run, Tables tables) {
  pick->inputs.push_back({{level, run}, {tables.begin(), tables.end()}});
}

// Cuts a job that is too large at the first border of an input where it becomes so, but not before something
// of the inputs that move lies in front of it. (Those of the output's own run only make way.)
void bound_job(CompactionPick* pick, const CompactionOptions& options) {
  const TablePlace target{pick->output_level, pick->output_run};
  auto moves = [&](const CompactionPick::Input& input) { return !(input.place == target); };
  size_t count = 0;
  for (const CompactionPick::Input& input : pick->inputs) count += input.tables.size();
  bool fits = pick->input_bytes() <= options.job_bytes_max && count <= options.job_tables_max;
  if (fits || pick->trivial_move || !std::any_of(pick->inputs.begin(), pick->inputs.end(), moves)) return;
  std::vector<const TableMeta*> tables;
  const std::string* first_moved = nullptr;
  for (const CompactionPick::Input& input : pick->inputs) {
    for (const TableRef& table : input.tables) tables.push_back(&table->meta);
    if (!moves(input)) continue;
    const std::string& begin = input.tables.front()->meta.smallest;
    if (first_moved == nullptr || begin < *first_moved) first_moved = &begin;
  }
  std::sort(tables.begin(), tables.end(),
            [](const TableMeta* a, const TableMeta* b) { return a->smallest < b->smallest; });
  uint64_t bytes = 0;
  size_t n = 0;
  for (const TableMeta* meta : tables) {
    bytes += meta->file_size;
    bool too_much = bytes > options.job_bytes_max || ++n > options.job_tables_max;
    if (!too_much || meta->smallest <= *first_moved) continue;
    pick->end = meta->smallest;
    break;
  }
  if (!pick->end) return;
  for (CompactionPick::Input& input : pick->inputs) {
    std::erase_if(input.tables, [&](const TableRef& table) { return table->meta.smallest >= *pick->end; });
  }
  std::erase_if(pick->inputs, [](const CompactionPick::Input& input) { return input.tables.empty(); });
}

// Each run that a job merges is an open file.
size_t job_runs_max(const CompactionOptions& options) {
  return std::min(kJobRunsMax, options.job_tables_max);
}

// Do no two of the runs overlap? Then what is loaded in key order, say, needs not be merged.
bool disjoint(const std::vector<CompactionPick::Input>& inputs) {
  std::vector<const CompactionPick::Input*> sorted;
  for (const CompactionPick::Input& input : inputs) sorted.push_back(&input);
  auto begin_of = [](const CompactionPick::Input* input) -> const std::string& {
    return input->tables.front()->meta.smallest;
  };
  std::sort(sorted.begin(), sorted.end(), [&](auto* a, auto* b) { return begin_of(a) < begin_of(b); });
  for (size_t i = 1; i < sorted.size(); ++i) {
    if (!ends_before(sorted[i - 1]->tables.back()->meta, begin_of(sorted[i]))) return false;
  }
  return true;
}

// Level 0: the oldest runs that fit into a job, into the base level. Older runs may never stay behind newer
// ones. A damaged table in the way stops the runs that meet it and all newer ones.
std::optional<CompactionPick> pick_level0(const Version& version, const Blocked& blocked, int base,
                                          const CompactionOptions& options, const char* reason) {
  const std::vector<RunRef>& runs = version.levels[0];
  size_t first = runs.size();  // runs[first...] go
  KeySpan span;
  Tables below;
  uint64_t bytes = 0;
  bool droppable = false;
  for (; first > 0; --first) {
    const Run& run = *runs[first - 1];
    if (blocked.any(run.tables)) break;
    if (first < runs.size() && bytes + run.bytes > options.job_bytes_max) break;
    if (runs.size() - first >= job_runs_max(options)) break;
    KeySpan wider = span;
    for (const TableRef& t : run.tables) widen(&wider, t->meta);
    Tables wider_below = overlapping(version, base, wider);
    if (blocked.any(wider_below)) break;
    span = wider;
    below = wider_below;
    bytes += run.bytes;
    for (const TableRef& t : run.tables) droppable = droppable || has_droppable(t->meta);
  }
  if (first == runs.size()) return std::nullopt;
  CompactionPick pick;
  pick.output_level = base;
  pick.reason = reason;
  for (size_t i = first; i < runs.size(); ++i) add_input(&pick, 0, runs[i]->id, runs[i]->tables);
  pick.trivial_move = below.empty() && !droppable && disjoint(pick.inputs);
  if (!below.empty()) add_input(&pick, base, single_run(version, base)->id, below);
  bound_job(&pick, options);
  return pick;
}

// What the newest run holds in front of all others meets nothing: a job that an earlier one left over does
// not write that again.
void drop_tables_in_front(CompactionPick* pick) {
  KeySpan others;
  for (size_t i = 1; i < pick->inputs.size(); ++i) widen(&others, pick->inputs[i].tables.front()->meta);
  std::vector<TableRef>& newest = pick->inputs.front().tables;
  std::erase_if(newest, [&](const TableRef& table) { return ends_before(table->meta, others.begin); });
  if (newest.empty()) pick->inputs.erase(pick->inputs.begin());
}

// Level 0 cannot go down: runs beside each other become one, so that their number stays bounded and writes go
// on. Merged are the oldest runs that are not much larger than all newer ones together, so that a run is
// rewritten a logarithmic number of times; if there are none such, the two newest.
std::optional<CompactionPick> pick_within_level0(const Version& version, const Blocked& blocked,
                                                 const CompactionOptions& options) {
  const std::vector<RunRef>& runs = version.levels[0];
  for (size_t end = runs.size(); end > 0; --end) {
    if (blocked.any(runs[end - 1]->tables)) continue;
    size_t begin = end;  // [begin, end): a group without damage, the oldest first
    while (begin > 0 && !blocked.any(runs[begin - 1]->tables)) --begin;
    size_t last = begin;
    uint64_t newer = runs[begin]->bytes;
    for (size_t i = begin + 1; i < end; ++i) {
      if (runs[i]->bytes <= 2 * newer) last = i;
      newer += runs[i]->bytes;
    }
    if (end - begin >= 2) {
      CompactionPick pick;
      pick.output_run = runs[begin]->id;
      pick.reason = "level0 blocked";
      last = std::clamp(last, begin + 1, begin + job_runs_max(options) - 1);
      for (size_t i = begin; i <= last; ++i) {
        add_input(&pick, 0, runs[i]->id, runs[i]->tables);
      }
      drop_tables_in_front(&pick);
      bound_job(&pick, options);
      return pick;
    }
    end = begin + 1;
  }
  return std::nullopt;
}

// One table of `level` and what it overlaps below.
std::optional<CompactionPick> pick_table(const Version& version, const Blocked& blocked, int level,
                                         const TableRef& table, const CompactionOptions& options,
                                         const char* reason) {
  if (blocked(table)) return std::nullopt;
  Tables below = overlapping(version, level + 1, KeySpan(table->meta));
  if (blocked.any(below)) return std::nullopt;
  CompactionPick pick;
  pick.output_level = level + 1;
  pick.reason = reason;
  add_input(&pick, level, single_run(version, level)->id, {&table, 1});
  if (below.empty()) {
    pick.trivial_move = !has_droppable(table->meta);
  } else {
    add_input(&pick, level + 1, single_run(version, level + 1)->id, below);
  }
  bound_job(&pick, options);
  return pick;
}

// Bytes below that must be rewritten per byte gained; tombstones count as gain. Negative: not possible now.
double cost_of(const Version& version, const Blocked& blocked, int level, const TableRef& table) {
  const TableMeta& m = table->meta;
  Tables below = overlapping(version, level + 1, KeySpan(m));
  if (blocked(table) || blocked.any(below)) return -1;
  double overlap = below.empty() ? 0 : static_cast<double>(single_run(version, level + 1)->bytes_of(below));
  double dead = m.records == 0 ? 1 : static_cast<double>(m.deletes) / static_cast<double>(m.records);
  return overlap / (static_cast<double>(m.file_size) * (1 + 2 * dead));
}

// The cheapest table of the level to move down, among a sample spread evenly. Where the sample starts follows
// from the level's size, which is another after each job.
std::optional<CompactionPick> pick_cheapest(const Version& version, const Blocked& blocked, int level,
                                            const CompactionOptions& options) {
  const Run* run = single_run(version, level);
  if (run == nullptr) return std::nullopt;
  const std::vector<TableRef>& tables = run->tables;
  const TableRef* best = nullptr;
  double best_cost = 0;
  auto consider = [&](const TableRef& table) {
    double cost = cost_of(version, blocked, level, table);
    if (cost < 0 || (best != nullptr && cost >= best_cost)) return;
    best = &table;
    best_cost = cost;
  };
  size_t sample = std::min(tables.size(), kCandidates);
  size_t start = static_cast<size_t>((run->bytes * 0x9e3779b97f4a7c15) >> 32) % tables.size();
  if (sample == tables.size()) start = 0;
  for (size_t i = 0; i < sample; ++i) {
    consider(tables[(start + i * tables.size() / sample) % tables.size()]);
  }
  // All of them blocked: any other will do.
  for (size_t i = 0; best == nullptr && i < tables.size(); ++i) consider(tables[i]);
  return best == nullptr ? std::nullopt : pick_table(version, blocked, level, *best, options, "size");
}

// Half of its records delete something: worth moving down when nothing else is to do.
std::optional<CompactionPick> pick_tombstones(const Version& version, const Blocked& blocked,
                                              const CompactionOptions& options) {
  for (int level = 1; level < kLast; ++level) {
    const Run* run = single_run(version, level);
    if (run == nullptr) continue;
    for (const TableRef& table : run->delete_dense) {
      if (auto pick = pick_table(version, blocked, level, table, options, "tombstones")) return pick;
    }
  }
  return std::nullopt;
}

// Do the table's range deletes probably free much below? Where they lie in it is not known here; a table that
// has few bytes for its width, compared to those that lie wholly within it below, is likely to.
bool deletes_much_below(const Version& version, int level, const TableMeta& meta,
                        const CompactionOptions& options) {
  KeySpan span(meta);
  uint64_t within = 0;
  for (int deeper = level + 1; deeper < kLevelCount; ++deeper) {
    Tables below = overlapping(version, deeper, span);
    if (!below.empty() && !lies_within(below.front()->meta, span)) below = below.subspan(1);
    if (!below.empty() && !lies_within(below.back()->meta, span)) below = below.first(below.size() - 1);
    if (!below.empty()) within += single_run(version, deeper)->bytes_of(below);
  }
  return within > options.table_size && within / 4 > meta.file_size;
}

// What range deletes have made dead stays on disk until they come down to it, and no level need be too large
// for that (FLUSHALL and then silence). Each job brings them one level down, and in the last they vanish: so
// this comes to an end.
std::optional<CompactionPick> pick_range_tombstones(const Version& version, const Blocked& blocked, int base,
                                                    const CompactionOptions& options) {
  constexpr const char* kReason = "range tombstones";
  for (const RunRef& run : version.levels[0]) {
    for (const TableRef& table : run->deleting) {
      if (!deletes_much_below(version, 0, table->meta, options)) continue;
      if (auto pick = pick_level0(version, blocked, base, options, kReason)) return pick;
      break;
    }
  }
  for (int level = 1; level < kLast; ++level) {
    const Run* run = single_run(version, level);
    if (run == nullptr) continue;
    const TableRef* best = nullptr;
    double best_cost = 0;
    for (const TableRef& table : run->deleting) {
      if (!deletes_much_below(version, level, table->meta, options)) continue;
      double cost = cost_of(version, blocked, level, table);
      if (cost < 0 || (best != nullptr && cost >= best_cost)) continue;
      best = &table;
      best_cost = cost;
    }
    if (best != nullptr) return pick_table(version, blocked, level, *best, options, kReason);
  }
  return std::nullopt;
}

}  // namespace

uint64_t CompactionPick::input_bytes() const {
  uint64_t bytes = 0;
  for (const Input& input : inputs) {
    for (const TableRef& table : input.tables) bytes += table->meta.file_size;
  }
  return bytes;
}

std::string CompactionPick::debug_string() const {
  std::string out = fmt::format("{}:", reason);
  const char* separator = "";
  for (const Input& input : inputs) {
    out += fmt::format("{} L{}", separator, input.place.level);
    for (const TableRef& t : input.tables) out += fmt::format(" {}", t->meta.number);
    separator = " +";
  }
  if (end) out += " up to " + *end;
  out += fmt::format(" -> L{}", output_level);
  if (output_level == 0) out += fmt::format(" run {}", output_run);
  return out + (trivial_move ? " (move)" : "");
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
  const Blocked blocked{version, busy};
  for (const auto& [score, level] : order) {
    std::optional<CompactionPick> pick;
    if (level > 0) {
      pick = pick_cheapest(version, blocked, level, options);
    } else {
      pick = pick_level0(version, blocked, targets.base_level, options, "level0");
      // What is busy will be free again; damage stays.
      if (!pick && busy.empty()) pick = pick_within_level0(version, blocked, options);
    }
    if (pick) return pick;
  }
  if (auto pick = pick_tombstones(version, blocked, options)) return pick;
  return pick_range_tombstones(version, blocked, targets.base_level, options);
}

std::optional<CompactionPick> pick_manual(const Version& version, const KeyRange& range, int level,
                                          uint64_t rewritten_from, const std::set<uint64_t>& rests,
                                          const CompactionOptions& options) {
  const std::set<uint64_t> busy;
  const Blocked blocked{version, busy};
  if (level == 0) {
    bool touches = false;
    for (const RunRef& run : version.levels[0]) touches = touches || !run->overlapping(range).empty();
    if (!touches) return std::nullopt;
    return pick_level0(version, blocked, level_targets(version, options).base_level, options, "manual");
  }
  const Run* run = single_run(version, level);
  if (run == nullptr) return std::nullopt;
  bool last = level == kLast || level >= version.last_level();
  for (const TableRef& table : run->overlapping(range)) {
    if (!last) {
      if (auto pick = pick_table(version, blocked, level, table, options, "manual")) return pick;
    } else if (!blocked(table) &&
               (table->meta.number < rewritten_from || rests.contains(table->meta.number))) {
      CompactionPick pick;
      pick.output_level = level;
      pick.reason = "manual";
      add_input(&pick, level, run->id, {&table, 1});
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
