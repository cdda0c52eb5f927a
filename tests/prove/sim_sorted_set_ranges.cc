// Ranges of sorted sets, by rank, score and name: shown, stored, counted, removed; and sets of sets.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "prove/sim_scored.h"

namespace varve::prove {
namespace {

enum class By : uint8_t { kRank, kScore, kName };

struct Range {
  By by = By::kRank;
  std::string min, max;
  bool reverse = false;
  bool with_scores = false;
  int64_t offset = 0;
  int64_t limit = -1;
};

bool above_min(const Range& range, double score, const std::string& member) {
  const std::string& min = range.min;
  bool open = min[0] == '(';
  if (range.by == By::kScore) {
    double bound = std::strtod(min.c_str() + (open ? 1 : 0), nullptr);
    return open ? score > bound : score >= bound;
  }
  if (min == "-" || min == "+") return min == "-";
  return open ? member > min.substr(1) : member >= min.substr(1);
}

bool below_max(const Range& range, double score, const std::string& member) {
  const std::string& max = range.max;
  bool open = max[0] == '(';
  if (range.by == By::kScore) {
    double bound = std::strtod(max.c_str() + (open ? 1 : 0), nullptr);
    return open ? score < bound : score <= bound;
  }
  if (max == "-" || max == "+") return max == "+";
  return open ? member < max.substr(1) : member <= max.substr(1);
}

// In the order in which they are shown.
Order select(const Scores& scores, const Range& range) {
  Order all = in_order(scores);
  if (range.reverse) std::reverse(all.begin(), all.end());
  Order chosen;
  if (range.by == By::kRank) {
    int64_t start = 0;
    int64_t stop = 0;
    size_t first = 0;
    size_t count = 0;
    parse_number(range.min, &start);
    parse_number(range.max, &stop);
    index_range(start, stop, all.size(), &first, &count);
    auto begin = all.begin() + static_cast<std::ptrdiff_t>(first);
    return Order(begin, begin + static_cast<std::ptrdiff_t>(count));
  }
  int64_t skip = range.offset;
  for (const auto& [score, member] : all) {
    if (!above_min(range, score, member) || !below_max(range, score, member)) continue;
    if (skip-- > 0) continue;
    if (range.limit >= 0 && chosen.size() >= static_cast<size_t>(range.limit)) break;
    chosen.emplace_back(score, member);
  }
  return chosen;
}

// Key, min and max stand from `first` on.
Range read_range(const ModelRun& run, size_t first) {
  const std::string& name = run.args[0];
  Range range;
  range.reverse = name.find("REVRANGE") != std::string::npos;
  if (name.ends_with("BYSCORE") || name == "ZCOUNT") range.by = By::kScore;
  if (name.ends_with("BYLEX") || name == "ZLEXCOUNT") range.by = By::kName;
  for (size_t i = first + 3; i < run.args.size(); ++i) {
    const std::string& word = run.args[i];
    if (word == "BYSCORE") range.by = By::kScore;
    if (word == "BYLEX") range.by = By::kName;
    if (word == "REV") range.reverse = true;
    if (word == "WITHSCORES") range.with_scores = true;
    if (word != "LIMIT") continue;
    range.offset = number_at(run, i + 1);
    range.limit = number_at(run, i + 2);
    i += 2;
  }
  bool swapped = range.reverse && range.by != By::kRank;
  range.min = run.args[first + (swapped ? 2 : 1)];
  range.max = run.args[first + (swapped ? 1 : 2)];
  return range;
}

void run_range(ModelRun& run) {
  Range range = read_range(run, 1);
  bool wrong = false;
  const Scores& scores = scores_of(run.find(run.args[1], kSortedSet, &wrong));
  if (!wrong) reply_scored(run, select(scores, range), range.with_scores);
}

void run_zrangestore(ModelRun& run) {
  Range range = read_range(run, 2);
  bool wrong = false;
  const Scores& scores = scores_of(run.find(run.args[2], kSortedSet, &wrong));
  if (wrong) return;
  Scores chosen;
  for (auto& [score, member] : select(scores, range)) chosen[member] = score;
  store(run, run.args[1], std::move(chosen));
}

// ZCOUNT, ZLEXCOUNT
void run_count(ModelRun& run) {
  bool wrong = false;
  const Scores& scores = scores_of(run.find(run.args[1], kSortedSet, &wrong));
  if (!wrong) run.integer(static_cast<int64_t>(select(scores, read_range(run, 1)).size()));
}

// ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX
void run_remove(ModelRun& run) {
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kSortedSet, &wrong);
  if (wrong) return;
  Order gone = select(scores_of(slot), read_range(run, 1));
  run.integer(static_cast<int64_t>(gone.size()));
  if (gone.empty()) return;
  Scores rest = slot->scores;
  for (const auto& [score, member] : gone) rest.erase(member);
  run.place(run.args[1], scored(std::move(rest), slot->expire_ms));
}

// --- drawing ranges ---

std::string draw_bound(Draw& draw, By by, bool low) {
  if (by == By::kRank) return draw_index(draw);
  if (by == By::kScore) {
    if (draw.random.one_in(4)) return low ? "-inf" : "+inf";
    return (draw.random.one_in(3) ? "(" : "") + draw.score();
  }
  if (draw.random.one_in(4)) return low ? "-" : "+";
  return (draw.random.one_in(2) ? "(" : "[") + draw.scored_member();
}

std::string draw_key_for(Draw& draw, By by) {
  return by == By::kName ? draw.lex_key() : draw_scored_key(draw);
}

void draw_bounds(Draw& draw, By by, bool reverse, Arguments* args) {
  bool swapped = reverse && by != By::kRank;
  args->push_back(draw_bound(draw, by, !swapped));
  args->push_back(draw_bound(draw, by, swapped));
}

void draw_limit(Draw& draw, Arguments* args) {
  int64_t limit = static_cast<int64_t>(draw.random.below(draw.random.one_in(3) ? 200 : 6)) - 1;
  args->insert(args->end(), {"LIMIT", std::to_string(draw.random.below(5)), std::to_string(limit)});
}

// ZRANGE and ZRANGESTORE, with all their forms
Arguments draw_any_range(Draw& draw, bool store) {
  By by = static_cast<By>(draw.random.below(3));
  bool reverse = draw.random.one_in(3);
  Arguments args = {store ? "ZRANGESTORE" : "ZRANGE"};
  if (store) args.push_back(by == By::kName ? draw.lex_key() : draw.zset_key());
  args.push_back(store && by != By::kName ? draw.zset_key() : draw_key_for(draw, by));
  draw_bounds(draw, by, reverse, &args);
  if (by != By::kRank) args.push_back(by == By::kScore ? "BYSCORE" : "BYLEX");
  if (reverse) args.push_back("REV");
  if (by != By::kRank && draw.random.one_in(3)) draw_limit(draw, &args);
  if (!store && by != By::kName && draw.random.one_in(2)) args.push_back("WITHSCORES");
  return args;
}

Arguments draw_range(Draw& draw, const char* name, By by, bool reverse) {
  Arguments args = {name, draw_key_for(draw, by)};
  draw_bounds(draw, by, reverse, &args);
  if (by != By::kName && draw.random.one_in(2)) args.push_back("WITHSCORES");
  if (by != By::kRank && draw.random.one_in(3)) draw_limit(draw, &args);
  return args;
}

// Without options.
Arguments draw_part(Draw& draw, const char* name, By by) {
  Arguments args = {name, draw_key_for(draw, by)};
  draw_bounds(draw, by, false, &args);
  return args;
}

// Mostly a few from an end, as logs and windows are kept short.
Arguments draw_removal(Draw& draw) {
  if (draw.random.one_in(3)) return draw_part(draw, "ZREMRANGEBYRANK", By::kRank);
  std::string n = std::to_string(1 + draw.random.below(20));
  bool low = draw.random.one_in(2);
  return {"ZREMRANGEBYRANK", draw_scored_key(draw), low ? "0" : "-" + n, low ? n : "-1"};
}

// --- sets of sets ---

struct Source {
  Scores scores;
  double weight = 1;
};

double number_or_zero(double score) {
  return std::isnan(score) ? 0 : score;
}

struct Algebra {
  size_t behind = 0;  // the keys
  std::vector<Source> sources;
  std::string aggregate = "SUM";
  bool with_scores = false;
  size_t limit = SIZE_MAX;
};

// False: a key holds neither a sorted set nor a set, which was replied.
bool read_algebra(ModelRun& run, size_t at, Algebra* algebra) {
  algebra->behind = at + 1 + static_cast<size_t>(number_at(run, at));
  for (size_t i = at + 1; i < algebra->behind; ++i) {
    const Slot* slot = run.find(run.args[i]);
    bool wrong = slot != nullptr && slot->type != Slot::Type::kSet;
    if (wrong) slot = run.find(run.args[i], kSortedSet, &wrong);
    if (wrong) return false;
    Source& source = algebra->sources.emplace_back();
    if (slot == nullptr) continue;
    source.scores = slot->scores;
    for (const auto& [member, value] : slot->members) source.scores[member] = 1;
  }
  for (size_t i = algebra->behind; i < run.args.size(); ++i) {
    if (run.args[i] == "WITHSCORES") algebra->with_scores = true;
    if (run.args[i] == "AGGREGATE") algebra->aggregate = run.args[i + 1];
    if (run.args[i] == "LIMIT" && number_at(run, i + 1) > 0)
      algebra->limit = static_cast<size_t>(number_at(run, i + 1));
    if (run.args[i] != "WEIGHTS") continue;
    for (Source& source : algebra->sources) source.weight = std::strtod(run.args[++i].c_str(), nullptr);
  }
  return true;
}

double join(const std::string& aggregate, double a, double b) {
  if (aggregate == "SUM") return number_or_zero(a + b);
  return aggregate == "MIN" ? std::min(a, b) : std::max(a, b);
}

// Small sources come first, as in Redis: with infinities a sum depends on the order.
Scores combine(const std::string& operation, Algebra& algebra) {
  if (operation != "ZDIFF") {
    std::stable_sort(algebra.sources.begin(), algebra.sources.end(),
                     [](const Source& a, const Source& b) { return a.scores.size() < b.scores.size(); });
  }
  Scores result;
  for (size_t i = 0; i < algebra.sources.size(); ++i) {
    const auto& [scores, weight] = algebra.sources[i];
    if (i > 0 && operation != "ZUNION") {
      bool stays = operation == "ZINTER";
      const Scores& other = scores;
      std::erase_if(result, [&](const auto& one) { return other.contains(one.first) != stays; });
    }
    for (const auto& [member, score] : scores) {
      auto at = result.find(member);
      double weighted = number_or_zero(score * weight);
      if (at != result.end())
        at->second = join(algebra.aggregate, at->second, weighted);
      else if (i == 0 || operation == "ZUNION")
        result[member] = weighted;
    }
  }
  return result;
}

void run_algebra(ModelRun& run) {
  Algebra algebra;
  if (!read_algebra(run, 1, &algebra)) return;
  if (run.args[0] == "ZINTERCARD")
    return run.integer(static_cast<int64_t>(std::min(algebra.limit, combine("ZINTER", algebra).size())));
  reply_scored(run, in_order(combine(run.args[0], algebra)), algebra.with_scores);
}

void run_store(ModelRun& run) {
  Algebra algebra;
  if (!read_algebra(run, 2, &algebra)) return;
  store(run, run.args[1], combine(run.args[0].substr(0, run.args[0].size() - 5), algebra));
}

// Weights and sums go where nothing is taken from, or scores would grow without end.
Arguments draw_algebra(Draw& draw, const char* name) {
  std::string_view operation = name;
  bool stores = operation.ends_with("STORE");
  bool weighs = operation.starts_with("ZUNION") || (operation.starts_with("ZINTER") && operation[6] != 'C');
  bool sums = weighs && (!stores || draw.random.one_in(2));
  Arguments args = {name};
  if (stores) args.push_back(sums ? draw.sum_key() : draw.zset_key());
  uint64_t keys = 1 + draw.random.below(3);
  args.push_back(std::to_string(keys));
  for (uint64_t i = 0; i < keys; ++i)
    args.push_back(draw.random.one_in(8) ? draw.set_key() : draw.zset_key());
  if (sums && draw.random.one_in(2)) {
    args.push_back("WEIGHTS");
    for (uint64_t i = 0; i < keys; ++i) args.push_back(draw.random.one_in(2) ? "2" : "0.5");
  }
  if (weighs && (!sums || draw.random.one_in(2))) {
    const char* const kAggregates[] = {"MIN", "MAX", "SUM"};
    args.insert(args.end(), {"AGGREGATE", kAggregates[draw.random.below(sums ? 3 : 2)]});
  }
  if (!stores && operation != "ZINTERCARD" && draw.random.one_in(2)) args.push_back("WITHSCORES");
  if (operation == "ZINTERCARD" && draw.random.one_in(2))
    args.insert(args.end(), {"LIMIT", std::to_string(draw.random.below(10))});
  return args;
}

void add_algebra_rows(std::vector<CommandRow>* rows) {
  auto add = [&](const char* name, int weight, Arguments (*draw)(Draw&), void (*run)(ModelRun&)) {
    rows->push_back({"sorted-sets", name, weight, draw, run, "sorted-sets"});
  };
  using D = Draw&;
  add(
      "ZUNION", 2, [](D d) { return draw_algebra(d, "ZUNION"); }, run_algebra);
  add(
      "ZINTER", 2, [](D d) { return draw_algebra(d, "ZINTER"); }, run_algebra);
  add(
      "ZDIFF", 2, [](D d) { return draw_algebra(d, "ZDIFF"); }, run_algebra);
  add(
      "ZINTERCARD", 2, [](D d) { return draw_algebra(d, "ZINTERCARD"); }, run_algebra);
  add(
      "ZUNIONSTORE", 3, [](D d) { return draw_algebra(d, "ZUNIONSTORE"); }, run_store);
  add(
      "ZINTERSTORE", 3, [](D d) { return draw_algebra(d, "ZINTERSTORE"); }, run_store);
  add(
      "ZDIFFSTORE", 3, [](D d) { return draw_algebra(d, "ZDIFFSTORE"); }, run_store);
}

}  // namespace

void add_sorted_set_range_rows(std::vector<CommandRow>* rows) {
  auto add = [&](const char* name, int weight, Arguments (*draw)(Draw&), void (*run)(ModelRun&)) {
    rows->push_back({"sorted-sets", name, weight, draw, run, "sorted-sets"});
  };
  using D = Draw&;
  add(
      "ZRANGE", 6, [](D d) { return draw_any_range(d, false); }, run_range);
  add(
      "ZREVRANGE", 2, [](D d) { return draw_range(d, "ZREVRANGE", By::kRank, true); }, run_range);
  add(
      "ZRANGEBYSCORE", 3, [](D d) { return draw_range(d, "ZRANGEBYSCORE", By::kScore, false); }, run_range);
  add(
      "ZREVRANGEBYSCORE", 2, [](D d) { return draw_range(d, "ZREVRANGEBYSCORE", By::kScore, true); },
      run_range);
  add(
      "ZRANGEBYLEX", 2, [](D d) { return draw_range(d, "ZRANGEBYLEX", By::kName, false); }, run_range);
  add(
      "ZREVRANGEBYLEX", 2, [](D d) { return draw_range(d, "ZREVRANGEBYLEX", By::kName, true); }, run_range);
  add(
      "ZRANGESTORE", 4, [](D d) { return draw_any_range(d, true); }, run_zrangestore);
  add(
      "ZCOUNT", 4, [](D d) { return draw_part(d, "ZCOUNT", By::kScore); }, run_count);
  add(
      "ZLEXCOUNT", 2, [](D d) { return draw_part(d, "ZLEXCOUNT", By::kName); }, run_count);
  add("ZREMRANGEBYRANK", 4, draw_removal, run_remove);
  add(
      "ZREMRANGEBYSCORE", 3, [](D d) { return draw_part(d, "ZREMRANGEBYSCORE", By::kScore); }, run_remove);
  add(
      "ZREMRANGEBYLEX", 2, [](D d) { return draw_part(d, "ZREMRANGEBYLEX", By::kName); }, run_remove);
  add_algebra_rows(rows);
}

}  // namespace varve::prove
