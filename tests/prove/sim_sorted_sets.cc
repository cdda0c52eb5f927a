// Sorted sets: drawing and meaning. Ranges and sets of sets: sim_sorted_set_ranges.cc.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "prove/sim_members.h"
#include "prove/sim_scored.h"

namespace varve::prove {

Order in_order(const Scores& scores) {
  Order order;
  order.reserve(scores.size());
  for (const auto& [member, score] : scores) order.emplace_back(score, member);
  std::sort(order.begin(), order.end());
  return order;
}

void reply_scored(ModelRun& run, const Order& members, bool with_scores) {
  bool nested = with_scores && run.session.protocol == 3;
  run.array(with_scores && !nested ? 2 * members.size() : members.size());
  for (const auto& [score, member] : members) {
    if (nested) run.array(2);
    run.bulk(member);
    if (with_scores) run.score(score);
  }
}

void store(ModelRun& run, const std::string& key, Scores scores) {
  const Slot* old = run.find(key);
  run.integer(static_cast<int64_t>(scores.size()));
  if (!scores.empty() || old) run.place(key, scored(std::move(scores), 0));
}

std::string draw_scored_key(Draw& draw) {
  return draw.random.one_in(12) ? draw.sum_key() : draw.random.one_in(20) ? draw.lex_key() : draw.zset_key();
}

namespace {

struct Opened {
  bool wrong = false;  // it is something else, which was replied
  int64_t expire_ms = 0;
  Scores scores;

  explicit Opened(ModelRun& run) {
    const Slot* slot = run.find(run.args[1], kSortedSet, &wrong);
    if (slot == nullptr || wrong) return;
    expire_ms = slot->expire_ms;
    scores = slot->scores;
  }
  void save(ModelRun& run) { run.place(run.args[1], scored(std::move(scores), expire_ms)); }
};

double score_at(const ModelRun& run, size_t at) {
  return std::strtod(run.args[at].c_str(), nullptr);
}

// --- ZADD and ZINCRBY ---

Arguments draw_zadd(Draw& draw) {
  if (draw.random.one_in(8)) {
    Arguments args = {"ZADD", draw.lex_key()};
    for (uint64_t n = draw.some(); n > 0; --n) args.insert(args.end(), {"0", draw.scored_member()});
    return args;
  }
  Arguments args = {"ZADD", draw.zset_key()};
  static constexpr const char* kConditions[] = {"NX", "XX", "GT", "LT"};
  if (draw.random.one_in(4)) args.push_back(kConditions[draw.random.below(4)]);
  if (draw.random.one_in(4)) args.push_back("CH");
  if (draw.random.one_in(8)) {
    args.insert(args.end(), {"INCR", draw.integer(), draw.scored_member()});
    return args;
  }
  // Some sets become large enough to have their ranks counted.
  bool many = draw.random.one_in(10);
  uint64_t n = many ? std::max<uint64_t>(1, draw.options.scored / 8 + draw.random.below(60)) : draw.some();
  for (; n > 0; --n) args.insert(args.end(), {draw.score(), draw.scored_member()});
  return args;
}

struct AddOptions {
  bool nx = false, xx = false, gt = false, lt = false, ch = false, incr = false;
};

// True if the member is there now with what it was given; *changed: this made it so.
bool add_one(Scores& scores, const AddOptions& options, const std::string& member, double score, bool* added,
             bool* changed) {
  auto at = scores.find(member);
  *added = *changed = false;
  if (at == scores.end()) {
    if (options.xx) return false;
    *added = *changed = true;
    scores[member] = score;
    return true;
  }
  if (options.nx) return false;
  if (options.incr) score += at->second;
  if ((options.gt && score <= at->second) || (options.lt && score >= at->second)) return false;
  *changed = at->second != score;
  at->second = score;
  return true;
}

void run_zadd(ModelRun& run) {
  AddOptions options;
  options.incr = run.args[0] == "ZINCRBY";
  size_t first = 2;
  for (bool word = !options.incr; word; first += word ? 1 : 0) {
    const std::string& arg = run.args[first];
    word = arg == "NX" || arg == "XX" || arg == "GT" || arg == "LT" || arg == "CH" || arg == "INCR";
    options.nx |= arg == "NX";
    options.xx |= arg == "XX";
    options.gt |= arg == "GT";
    options.lt |= arg == "LT";
    options.ch |= arg == "CH";
    options.incr |= arg == "INCR";
  }
  Opened set(run);
  if (set.wrong) return;
  int64_t added = 0;
  int64_t changed = 0;
  bool fits = false;
  for (size_t i = first; i + 1 < run.args.size(); i += 2) {
    bool is_new = false;
    bool is_change = false;
    fits = add_one(set.scores, options, run.args[i + 1], score_at(run, i), &is_new, &is_change);
    added += is_new ? 1 : 0;
    changed += is_change ? 1 : 0;
  }
  if (!options.incr)
    run.integer(options.ch ? changed : added);
  else
    fits ? run.score(set.scores.at(run.args.back())) : run.null();
  if (changed > 0) set.save(run);
}

// --- by member ---

Arguments draw_members(Draw& draw, const char* name) {
  Arguments args = {name, draw_scored_key(draw)};
  uint64_t n = draw.random.one_in(10) ? 40 : draw.some();
  for (; n > 0; --n) args.push_back(draw.scored_member());
  return args;
}

void run_zrem(ModelRun& run) {
  Opened set(run);
  if (set.wrong) return;
  int64_t removed = 0;
  for (size_t i = 2; i < run.args.size(); ++i) removed += static_cast<int64_t>(set.scores.erase(run.args[i]));
  run.integer(removed);
  if (removed > 0) set.save(run);
}

void run_zcard(ModelRun& run) {
  bool wrong = false;
  const Scores& scores = scores_of(run.find(run.args[1], kSortedSet, &wrong));
  if (!wrong) run.integer(static_cast<int64_t>(scores.size()));
}

// ZSCORE, ZMSCORE
void run_zscore(ModelRun& run) {
  bool wrong = false;
  const Scores& scores = scores_of(run.find(run.args[1], kSortedSet, &wrong));
  if (wrong) return;
  if (run.args[0] == "ZMSCORE") run.array(run.args.size() - 2);
  for (size_t i = 2; i < run.args.size(); ++i) {
    auto at = scores.find(run.args[i]);
    at == scores.end() ? run.null() : run.score(at->second);
  }
}

Arguments draw_rank(Draw& draw, const char* name) {
  Arguments args = {name, draw_scored_key(draw), draw.scored_member()};
  if (draw.random.one_in(3)) args.push_back("WITHSCORE");
  return args;
}

// ZRANK, ZREVRANK
void run_rank(ModelRun& run) {
  bool wrong = false;
  const Scores& scores = scores_of(run.find(run.args[1], kSortedSet, &wrong));
  if (wrong) return;
  bool with_score = run.args.size() > 3;
  auto at = scores.find(run.args[2]);
  if (at == scores.end()) return with_score ? run.null_array() : run.null();
  int64_t before = 0;
  for (const auto& [member, score] : scores)
    before += score < at->second || (score == at->second && member < at->first) ? 1 : 0;
  if (with_score) run.array(2);
  bool reverse = run.args[0] == "ZREVRANK";
  run.integer(reverse ? static_cast<int64_t>(scores.size()) - 1 - before : before);
  if (with_score) run.score(at->second);
}

// Members with their scores as replies, or as text.
std::map<std::string, std::string> shown(const ModelRun& run, const Scores& scores, bool replies) {
  std::map<std::string, std::string> all;
  for (const auto& [member, score] : scores) {
    std::string text = real_text(score);
    bool real = run.session.protocol == 3;
    all[member] = !replies ? text
                  : real   ? fmt::format(",{}\r\n", text)
                           : fmt::format("${}\r\n{}\r\n", text.size(), text);
  }
  return all;
}

Arguments draw_zrandmember(Draw& draw) {
  Arguments args = {"ZRANDMEMBER", draw_scored_key(draw)};
  if (draw.random.one_in(3)) return args;
  int64_t count = static_cast<int64_t>(draw.random.below(draw.random.one_in(3) ? 400 : 6));
  args.push_back(std::to_string(draw.random.one_in(3) ? -count : count));
  if (draw.random.one_in(2)) args.push_back("WITHSCORES");
  return args;
}

void run_zrandmember(ModelRun& run) {
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kSortedSet, &wrong);
  if (wrong) return;
  std::map<std::string, std::string> members = shown(run, scores_of(slot), true);
  if (run.args.size() == 2) {
    return slot ? reply_some(run, "", members, Shown::kMembers, false, 1, true) : run.null();
  }
  if (!slot) return run.array(0);
  int64_t count = number_at(run, 2);
  Shown what = run.args.size() > 3 ? Shown::kReplies : Shown::kMembers;
  bool nested = what == Shown::kReplies && run.session.protocol == 3;
  size_t n = count < 0 ? static_cast<size_t>(-count) : std::min(static_cast<size_t>(count), members.size());
  size_t words = what == Shown::kReplies && !nested ? 2 * n : n;
  reply_some(run, fmt::format("*{}\r\n", words), members, what, nested, n, count > 0);
}

void run_zscan(ModelRun& run) {
  bool wrong = false;
  const Scores& scores = scores_of(run.find(run.args[1], kSortedSet, &wrong));
  if (!wrong) reply_page(run, shown(run, scores, false), Shown::kBoth);
}

// --- popping ---

// The set without so many members of an end, which are returned.
Order pop_members(ModelRun& run, const std::string& key, const Slot& slot, bool max, size_t count) {
  Order members = in_order(slot.scores);
  if (max) std::reverse(members.begin(), members.end());
  members.resize(std::min(count, members.size()));
  if (members.empty()) return members;
  Scores rest = slot.scores;
  for (const auto& [score, member] : members) rest.erase(member);
  run.place(key, scored(std::move(rest), slot.expire_ms));
  return members;
}

Arguments draw_zpop(Draw& draw, const char* name) {
  Arguments args = {name, draw_scored_key(draw)};
  if (draw.random.one_in(3))
    args.push_back(std::to_string(draw.random.below(draw.random.one_in(5) ? 90 : 5)));
  return args;
}

// ZPOPMIN, ZPOPMAX
void run_zpop(ModelRun& run) {
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kSortedSet, &wrong);
  if (wrong) return;
  if (!slot) return run.array(0);
  bool counted = run.args.size() > 2;
  size_t count = counted ? static_cast<size_t>(number_at(run, 2)) : 1;
  Order popped = pop_members(run, run.args[1], *slot, run.args[0] == "ZPOPMAX", count);
  if (counted) return reply_scored(run, popped, true);
  run.array(2);
  run.bulk(popped[0].second);
  run.score(popped[0].first);
}

// The first of the keys that holds members; null if none does. Whoever has waited passes over what is none.
// False: something else was replied.
bool find_first(ModelRun& run, size_t first, size_t last, const std::string** key, const Slot** slot) {
  for (size_t i = first; i < last; ++i) {
    bool wrong = false;
    *key = &run.args[i];
    *slot = run.waited ? run.find(run.args[i]) : run.find(run.args[i], kSortedSet, &wrong);
    if (wrong) return false;
    if (*slot != nullptr && (*slot)->type == kSortedSet) return true;
  }
  *slot = nullptr;
  return true;
}

// BZPOPMIN, BZPOPMAX
void run_bzpop(ModelRun& run) {
  const std::string* key = nullptr;
  const Slot* slot = nullptr;
  if (!find_first(run, 1, run.args.size() - 1, &key, &slot)) return;
  if (slot == nullptr) {
    run.waits = true;
    return run.null_array();
  }
  Order popped = pop_members(run, *key, *slot, run.args[0] == "BZPOPMAX", 1);
  run.array(3);
  run.bulk(*key);
  run.bulk(popped[0].second);
  run.score(popped[0].first);
}

// ZMPOP numkeys key... MIN|MAX [COUNT n], BZMPOP timeout numkeys ...
void run_zmpop(ModelRun& run) {
  bool waits = run.args[0] == "BZMPOP";
  size_t at = waits ? 2 : 1;
  size_t behind = at + 1 + static_cast<size_t>(number_at(run, at));
  size_t count = run.args.size() > behind + 1 ? static_cast<size_t>(number_at(run, behind + 2)) : 1;
  const std::string* key = nullptr;
  const Slot* slot = nullptr;
  if (!find_first(run, at + 1, behind, &key, &slot)) return;
  if (slot == nullptr) {
    run.waits = waits;
    return run.null_array();
  }
  Order popped = pop_members(run, *key, *slot, run.args[behind] == "MAX", count);
  run.array(2);
  run.bulk(*key);
  run.array(popped.size());
  for (const auto& [score, member] : popped) {
    run.array(2);
    run.bulk(member);
    run.score(score);
  }
}

Arguments draw_zmpop(Draw& draw, const char* name, bool waits) {
  Arguments args = {name};
  if (waits) args.push_back(draw_timeout(draw));
  uint64_t keys = 1 + draw.random.below(3);
  args.push_back(std::to_string(keys));
  for (; keys > 0; --keys) args.push_back(draw.zset_key());
  args.push_back(draw.random.one_in(2) ? "MIN" : "MAX");
  if (draw.random.one_in(2)) args.insert(args.end(), {"COUNT", std::to_string(1 + draw.random.below(20))});
  return args;
}

Arguments draw_bzpop(Draw& draw, const char* name) {
  Arguments args = {name};
  for (uint64_t n = 1 + draw.random.below(3); n > 0; --n) args.push_back(draw.zset_key());
  args.push_back(draw_timeout(draw));
  return args;
}

void add_pop_rows(std::vector<CommandRow>* rows) {
  auto add = [&](const char* family, const char* name, int weight, Arguments (*draw)(Draw&),
                 void (*run)(ModelRun&)) {
    rows->push_back({family, name, weight, draw, run, family});
  };
  using D = Draw&;
  add(
      "sorted-sets", "ZPOPMIN", 10, [](D d) { return draw_zpop(d, "ZPOPMIN"); }, run_zpop);
  add(
      "sorted-sets", "ZPOPMAX", 5, [](D d) { return draw_zpop(d, "ZPOPMAX"); }, run_zpop);
  add(
      "sorted-sets", "ZMPOP", 4, [](D d) { return draw_zmpop(d, "ZMPOP", false); }, run_zmpop);
  add(
      "blocking", "BZPOPMIN", 5, [](D d) { return draw_bzpop(d, "BZPOPMIN"); }, run_bzpop);
  add(
      "blocking", "BZPOPMAX", 2, [](D d) { return draw_bzpop(d, "BZPOPMAX"); }, run_bzpop);
  add(
      "blocking", "BZMPOP", 3, [](D d) { return draw_zmpop(d, "BZMPOP", true); }, run_zmpop);
}

}  // namespace

void add_sorted_set_rows(std::vector<CommandRow>* rows) {
  auto add = [&](const char* name, int weight, Arguments (*draw)(Draw&), void (*run)(ModelRun&)) {
    rows->push_back({"sorted-sets", name, weight, draw, run, "sorted-sets"});
  };
  using D = Draw&;
  add("ZADD", 30, draw_zadd, run_zadd);
  add(
      "ZINCRBY", 8,
      [](D d) {
        return Arguments{"ZINCRBY", d.zset_key(), d.integer(), d.scored_member()};
      },
      run_zadd);
  add(
      "ZREM", 10, [](D d) { return draw_members(d, "ZREM"); }, run_zrem);
  add(
      "ZCARD", 2,
      [](D d) {
        return Arguments{"ZCARD", draw_scored_key(d)};
      },
      run_zcard);
  add(
      "ZSCORE", 5,
      [](D d) {
        return Arguments{"ZSCORE", draw_scored_key(d), d.scored_member()};
      },
      run_zscore);
  add(
      "ZMSCORE", 4, [](D d) { return draw_members(d, "ZMSCORE"); }, run_zscore);
  add(
      "ZRANK", 6, [](D d) { return draw_rank(d, "ZRANK"); }, run_rank);
  add(
      "ZREVRANK", 4, [](D d) { return draw_rank(d, "ZREVRANK"); }, run_rank);
  add("ZRANDMEMBER", 3, draw_zrandmember, run_zrandmember);
  add(
      "ZSCAN", 3, [](D d) { return draw_member_scan(d, "ZSCAN", draw_scored_key(d)); }, run_zscan);
  add_pop_rows(rows);
}

}  // namespace varve::prove
