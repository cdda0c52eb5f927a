// sorted_sets.cc: commands on the members of sorted sets. Ranges and sets of sets stand in files of their
// own.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "command/blocked_clients.h"
#include "command/families/helpers.h"
#include "command/families/member_replies.h"
#include "command/families/rows.h"
#include "command/families/sorted_set_args.h"
#include "command/numbers.h"

namespace varve {
namespace {

bool find_zset(CommandContext& context, Entry* entry) {
  return find_typed(context, context.args[1], ValueType::kSortedSet, entry);
}
bool find_zset_for_reading(CommandContext& context, Entry* entry) {
  return find_typed_for_reading(context, context.args[1], ValueType::kSortedSet, entry);
}

bool score_argument(CommandContext& context, std::string_view text, double* score) {
  if (parse_double(text, score)) return true;
  context.reply.error(errors::kNotFloat);
  return false;
}

// --- ZADD and ZINCRBY ---

// What one pair came to.
struct Added {
  bool added = false;
  bool updated = false;
  bool refused = false;  // the options did not allow it
  double score = 0;
};

// False: the sum is no number.
bool add_one(SortedSet& set, const AddOptions& options, std::string_view member, double score, Added* done) {
  double old = 0;
  if (!set.find_score(member, &old)) {
    done->refused = options.only_old;
    done->added = !options.only_old;
    done->score = score;
    if (done->added) set.add(member, score);
    return true;
  }
  done->refused = options.only_new;
  if (done->refused) return true;
  if (options.increment) score += old;
  if (std::isnan(score)) return false;
  done->refused = (options.only_less && score >= old) || (options.only_more && score <= old);
  if (done->refused) return true;
  done->score = score;
  done->updated = score != old;
  if (done->updated) set.change(member, old, score);
  return true;
}

size_t parse_add_options(const std::vector<std::string_view>& args, AddOptions* options) {
  const std::pair<const char*, bool*> names[] = {{"nx", &options->only_new},  {"xx", &options->only_old},
                                                 {"gt", &options->only_more}, {"lt", &options->only_less},
                                                 {"ch", &options->changed},   {"incr", &options->increment}};
  size_t i = 2;
  for (; i < args.size(); ++i) {
    auto name = std::find_if(std::begin(names), std::end(names),
                             [&](const auto& option) { return equals_ignoring_case(args[i], option.first); });
    if (name == std::end(names)) break;
    *name->second = true;
  }
  return i;
}

// The pairs of score and member from `first` on.
void add_members(CommandContext& context, const AddOptions& options, size_t first) {
  const auto& args = context.args;
  std::vector<double> scores;
  std::vector<std::string_view> members;
  for (size_t i = first; i < args.size(); i += 2) {
    if (!score_argument(context, args[i], &scores.emplace_back())) return;
    members.push_back(args[i + 1]);
  }
  add_scored_members(context, options, scores, members);
}

void run_zadd(CommandContext& context) {
  AddOptions options;
  size_t first = parse_add_options(context.args, &options);
  size_t words = context.args.size() - first;
  if (words == 0 || words % 2 == 1) return context.reply.error(errors::kSyntax);
  if (options.only_new && options.only_old) return context.reply.error(errors::kAddXxNx);
  if ((options.only_new && (options.only_more || options.only_less)) ||
      (options.only_more && options.only_less)) {
    return context.reply.error(errors::kAddGtLtNx);
  }
  if (options.increment && words > 2) return context.reply.error(errors::kAddIncrPairs);
  add_members(context, options, first);
}

void run_zincrby(CommandContext& context) {
  AddOptions options;
  options.increment = true;
  add_members(context, options, 2);
}

// --- by member ---

void run_zrem(CommandContext& context) {
  Entry entry;
  if (!find_zset(context, &entry)) return;
  SortedSet set = open_sorted_set(context, context.args[1], entry);
  int64_t removed = 0;
  for (size_t i = 2; i < context.args.size() && !set.empty(); ++i) {
    if (set.remove(context.args[i])) ++removed;
  }
  set.save();
  if (removed > 0) context.notify(kEventZset, "zrem", context.args[1]);
  if (removed > 0 && set.empty()) context.notify(kEventGeneric, "del", context.args[1]);
  context.reply.integer(removed);
}

void run_zcard(CommandContext& context) {
  Entry entry;
  if (!find_zset_for_reading(context, &entry)) return;
  context.reply.integer(entry.exists ? static_cast<int64_t>(entry.record.count) : 0);
}

void run_zscore(CommandContext& context) {
  Entry entry;
  if (!find_zset_for_reading(context, &entry)) return;
  double score = 0;
  SortedSet set = open_sorted_set(context, context.args[1], entry);
  set.find_score(context.args[2], &score) ? context.reply.real(score) : context.reply.null();
}

void run_zmscore(CommandContext& context) {
  Entry entry;
  if (!find_zset_for_reading(context, &entry)) return;
  SortedSet set = open_sorted_set(context, context.args[1], entry);
  context.reply.array(context.args.size() - 2);
  for (size_t i = 2; i < context.args.size(); ++i) {
    double score = 0;
    set.find_score(context.args[i], &score) ? context.reply.real(score) : context.reply.null();
  }
}

void reply_rank(CommandContext& context, bool reverse) {
  const auto& args = context.args;
  if (args.size() > 4) {
    return context.reply.error(
        fmt::format("ERR wrong number of arguments for '{}' command", context.command.full_name));
  }
  bool with_score = args.size() == 4;
  if (with_score && !equals_ignoring_case(args[3], "withscore")) return context.reply.error(errors::kSyntax);
  Entry entry;
  if (!find_zset_for_reading(context, &entry)) return;
  double score = 0;
  SortedSet set = open_sorted_set(context, args[1], entry);
  if (!set.find_score(args[2], &score)) {
    return with_score ? context.reply.null_array() : context.reply.null();
  }
  std::string place;
  make_place(score, args[2], &place);
  uint64_t rank = set.count_before(place);
  if (with_score) context.reply.array(2);
  context.reply.integer(static_cast<int64_t>(reverse ? set.size() - 1 - rank : rank));
  if (with_score) context.reply.real(score);
}
void run_zrank(CommandContext& context) {
  reply_rank(context, false);
}
void run_zrevrank(CommandContext& context) {
  reply_rank(context, true);
}

void run_zrandmember(CommandContext& context) {
  const auto& args = context.args;
  int64_t count = 0;
  if (args.size() > 2 && !count_argument(context, args[2], &count)) return;
  if (args.size() > 4 || (args.size() == 4 && !equals_ignoring_case(args[3], "withscores"))) {
    return context.reply.error(errors::kSyntax);
  }
  bool with_scores = args.size() == 4;
  if (with_scores && (count < -INT64_MAX / 2 || count > INT64_MAX / 2)) {
    return context.reply.error(errors::kOutOfRange);
  }
  Entry entry;
  if (!find_zset_for_reading(context, &entry)) return;
  if (!entry.exists) return args.size() > 2 ? context.reply.array(0) : context.reply.null();
  SortedSet set = open_sorted_set(context, args[1], entry);
  if (args.size() > 2) {
    return reply_random_members(context, set, count, with_scores ? MemberPart::kBoth : MemberPart::kMembers);
  }
  Random random(context.invocation.seed);
  Members::Walk walk(set);
  set.seek_random(walk, random);
  if (walk.valid()) context.reply.bulk(walk.member());
}

void run_zscan(CommandContext& context) {
  uint64_t cursor = 0;
  if (!parse_cursor(context, context.args[2], &cursor)) return;
  Entry entry;
  if (!find_zset_for_reading(context, &entry)) return;
  ScanOptions options;
  if (entry.exists && !parse_scan_options(context, 3, false, &options)) return;
  SortedSet set = open_sorted_set(context, context.args[1], entry);
  reply_member_scan(context, set, cursor, options, MemberPart::kBoth);
}

// --- popping ---

// The first or last `count` members of the set at a key leave; their header is the caller's.
void pop(CommandContext& context, std::string_view key, SortedSet& set, bool max, uint64_t count,
         bool nested) {
  std::vector<ScoredMember> members;
  set.remove_range(max ? set.size() - count : 0, count, &members);
  if (members.size() < count) return;  // the run has failed
  if (max) std::reverse(members.begin(), members.end());
  uint64_t bytes = 0;
  for (const ScoredMember& one : members) bytes += one.member.size() + 48;
  if (bytes > context.host().max_reply()) return reply_too_long(context);
  for (const ScoredMember& one : members) {
    if (nested) context.reply.array(2);
    context.reply.bulk(one.member);
    context.reply.real(one.score);
  }
  set.save();
  context.notify(kEventZset, max ? "zpopmax" : "zpopmin", key);
  if (set.empty()) context.notify(kEventGeneric, "del", key);
}

void pop_from_one(CommandContext& context, bool max) {
  const auto& args = context.args;
  if (args.size() > 3) return context.reply.error(errors::kSyntax);
  int64_t count = 1;
  if (args.size() == 3 && (!parse_integer(args[2], &count) || count < 0)) {
    return context.reply.error(errors::kOutOfRangePositive);
  }
  Entry entry;
  if (!find_zset(context, &entry)) return;
  if (!entry.exists || count == 0) return context.reply.array(0);
  SortedSet set = open_sorted_set(context, args[1], entry);
  bool nested = args.size() == 3 && context.reply.protocol() >= 3;
  uint64_t popped = std::min(static_cast<uint64_t>(count), set.size());
  context.reply.array(nested ? popped : popped * 2);
  pop(context, args[1], set, max, popped, nested);
}
void run_zpopmin(CommandContext& context) {
  pop_from_one(context, false);
}
void run_zpopmax(CommandContext& context) {
  pop_from_one(context, true);
}

// numkeys key... MIN|MAX [COUNT count], from args[first] on.
struct MultiPop {
  size_t first_key = 0;
  size_t keys = 0;
  bool max = false;
  int64_t count = 1;
};

// False: an error was replied.
bool parse_multi_pop(CommandContext& context, size_t first, MultiPop* pop) {
  const auto& args = context.args;
  auto fail = [&](const char* error) {
    context.reply.error(error);
    return false;
  };
  int64_t keys = 0;
  if (!parse_integer(args[first], &keys) || keys < 1) return fail(errors::kNumkeys);
  if (static_cast<uint64_t>(keys) >= args.size() - first - 1) return fail(errors::kSyntax);
  pop->first_key = first + 1;
  pop->keys = static_cast<size_t>(keys);
  size_t i = pop->first_key + pop->keys;
  pop->max = equals_ignoring_case(args[i], "max");
  if (!pop->max && !equals_ignoring_case(args[i], "min")) return fail(errors::kSyntax);
  if (++i == args.size()) return true;
  if (args.size() > i + 2 || !equals_ignoring_case(args[i], "count") || i + 1 == args.size()) {
    // A good COUNT in front of what is wrong is read first.
    bool counted = equals_ignoring_case(args[i], "count") && i + 1 < args.size();
    if (!counted || (parse_integer(args[i + 1], &pop->count) && pop->count > 0)) return fail(errors::kSyntax);
    return fail(errors::kPopCount);
  }
  if (!parse_integer(args[i + 1], &pop->count) || pop->count < 1) return fail(errors::kPopCount);
  return true;
}

// The first of args [first, last) that holds members; nothing in *entry when there is none. False: an error
// was replied. A client that waits already is told nothing of what else has come to stand at its keys.
bool find_first(CommandContext& context, size_t first, size_t last, std::string_view* key, Entry* entry) {
  bool waits = context.services.blocked.arrival(context.client.id) != 0;
  for (size_t i = first; i < last; ++i) {
    *key = context.args[i];
    if (context.tx.find(context.db(), *key, entry) && entry->record.type == ValueType::kSortedSet)
      return true;
    if (!entry->exists || waits) continue;
    context.reply.error(errors::kWrongType);
    return false;
  }
  *entry = Entry();
  return true;
}

// Nothing is there to be popped: waits for one of args [first, last), where that is allowed.
void wait_for_members(CommandContext& context, size_t first, size_t last, int64_t timeout_ms) {
  if (!context.may_block()) return context.reply.null_array();
  auto keys = context.args.begin();
  context.block_on({keys + static_cast<ptrdiff_t>(first), keys + static_cast<ptrdiff_t>(last)},
                   ValueType::kSortedSet, timeout_ms);
}

void pop_several(CommandContext& context, std::string_view key, const Entry& entry, const MultiPop& wanted) {
  SortedSet set = open_sorted_set(context, key, entry);
  uint64_t popped = std::min(static_cast<uint64_t>(wanted.count), set.size());
  context.reply.array(2);
  context.reply.bulk(key);
  context.reply.array(popped);
  pop(context, key, set, wanted.max, popped, true);
}

void run_zmpop(CommandContext& context) {
  MultiPop wanted;
  std::string_view key;
  Entry entry;
  if (!parse_multi_pop(context, 1, &wanted) ||
      !find_first(context, wanted.first_key, wanted.first_key + wanted.keys, &key, &entry)) {
    return;
  }
  entry.exists ? pop_several(context, key, entry, wanted) : context.reply.null_array();
}

void run_bzmpop(CommandContext& context) {
  MultiPop wanted;
  int64_t timeout_ms = 0;
  if (!parse_multi_pop(context, 2, &wanted) ||
      !timeout_argument(context, context.args[1], true, &timeout_ms)) {
    return;
  }
  std::string_view key;
  Entry entry;
  size_t behind = wanted.first_key + wanted.keys;
  if (!find_first(context, wanted.first_key, behind, &key, &entry)) return;
  if (entry.exists) return pop_several(context, key, entry, wanted);
  wait_for_members(context, wanted.first_key, behind, timeout_ms);
}

void pop_one_or_wait(CommandContext& context, bool max) {
  size_t behind = context.args.size() - 1;
  int64_t timeout_ms = 0;
  if (!timeout_argument(context, context.args[behind], true, &timeout_ms)) return;
  std::string_view key;
  Entry entry;
  if (!find_first(context, 1, behind, &key, &entry)) return;
  if (!entry.exists) return wait_for_members(context, 1, behind, timeout_ms);
  SortedSet set = open_sorted_set(context, key, entry);
  context.reply.array(3);
  context.reply.bulk(key);
  pop(context, key, set, max, 1, false);
}
void run_bzpopmin(CommandContext& context) {
  pop_one_or_wait(context, false);
}
void run_bzpopmax(CommandContext& context) {
  pop_one_or_wait(context, true);
}

}  // namespace

void add_scored_members(CommandContext& context, const AddOptions& options, const std::vector<double>& scores,
                        const std::vector<std::string_view>& members) {
  std::string_view key = context.args[1];
  for (std::string_view member : members) {
    if (!member_fits(context, member)) return;
  }
  Entry entry;
  if (!find_zset(context, &entry)) return;
  SortedSet set = open_sorted_set(context, key, entry);
  int64_t added = 0;
  int64_t updated = 0;
  Added one;
  for (size_t i = 0; i < scores.size(); ++i) {
    one = Added();
    if (!add_one(set, options, members[i], scores[i], &one)) {
      return context.reply.error(errors::kScoreNotNumber);
    }
    added += one.added ? 1 : 0;
    updated += one.updated ? 1 : 0;
  }
  set.save();
  if (added + updated > 0) context.notify(kEventZset, options.increment ? "zincr" : "zadd", key);
  if (!options.increment) return context.reply.integer(options.changed ? added + updated : added);
  one.refused ? context.reply.null() : context.reply.real(one.score);
}

void add_sorted_set_commands(CommandTable& table) {
  constexpr uint32_t kRead = kAclRead | kAclSortedSet;
  constexpr uint32_t kWrite = kAclWrite | kAclSortedSet;
  constexpr uint32_t kFastRead = kCmdReadOnly | kCmdFast;
  constexpr uint32_t kFastAdd = kCmdWrite | kCmdDenyOom | kCmdFast;
  constexpr uint32_t kRecord = static_cast<uint32_t>(kInlineCollectionMax);  // a record written again
  const std::vector<KeySpec> look = {{1, 1, 1, kKeyRO}};
  const std::vector<KeySpec> access = {{1, 1, 1, kKeyRO | kKeyAccess}};
  const std::vector<KeySpec> pop = {{1, 1, 1, kKeyRW | kKeyAccess | kKeyDelete}};
  const std::vector<KeySpec> pop_any = {{1, -2, 1, kKeyRW | kKeyAccess | kKeyDelete}};
  constexpr uint32_t kBlocks = kCmdWrite | kCmdNoScript | kCmdBlocking | kCmdFast | kCmdMayFree;
  const std::vector<const char*> chance = {"nondeterministic_output"};
  // clang-format off
  const CommandRow rows[] = {
      {"bzmpop", -5, kCmdWrite | kCmdBlocking | kCmdMovableKeys | kCmdMayFree, kWrite | kAclBlocking,
       {{2, 0, 1, kKeyRW | kKeyAccess | kKeyDelete, true}}, run_bzmpop, "7.0.0", "sorted-set",
       "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted "
       "set, and M being the number of elements popped.",
       "Remove and return members with scores in a sorted set or block until one is available", {}, kRecord},
      {"bzpopmax", -3, kBlocks, kWrite | kAclBlocking, pop_any, run_bzpopmax, "5.0.0", "sorted-set",
       "O(log(N)) with N being the number of elements in the sorted set.",
       "Remove and return the member with the highest score from one or more sorted sets, or block until one is "
       "available", {}, kRecord},
      {"bzpopmin", -3, kBlocks, kWrite | kAclBlocking, pop_any, run_bzpopmin, "5.0.0", "sorted-set",
       "O(log(N)) with N being the number of elements in the sorted set.",
       "Remove and return the member with the lowest score from one or more sorted sets, or block until one is "
       "available", {}, kRecord},
      {"zadd", -4, kFastAdd, kWrite, {{1, 1, 1, kKeyRW | kKeyUpdate}}, run_zadd, "1.2.0", "sorted-set",
       "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
       "Add one or more members to a sorted set, or update its score if it already exists", {}, kRecord},
      {"zcard", 2, kFastRead, kRead, look, run_zcard, "1.2.0", "sorted-set", "O(1)",
       "Get the number of members in a sorted set"},
      {"zincrby", 4, kFastAdd, kWrite, {{1, 1, 1, kKeyRW | kKeyAccess | kKeyUpdate}}, run_zincrby, "1.2.0",
       "sorted-set", "O(log(N)) where N is the number of elements in the sorted set.",
       "Increment the score of a member in a sorted set", {}, kRecord},
      {"zmpop", -4, kCmdWrite | kCmdMovableKeys | kCmdMayFree, kWrite,
       {{1, 0, 1, kKeyRW | kKeyAccess | kKeyDelete, true}}, run_zmpop, "7.0.0", "sorted-set",
       "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted "
       "set, and M being the number of elements popped.",
       "Remove and return members with scores in a sorted set", {}, kRecord},
      {"zmscore", -3, kFastRead, kRead, access, run_zmscore, "6.2.0", "sorted-set",
       "O(N) where N is the number of members being requested.",
       "Get the score associated with the given members in a sorted set"},
      {"zpopmax", -2, kCmdWrite | kCmdFast | kCmdMayFree, kWrite, pop, run_zpopmax, "5.0.0", "sorted-set",
       "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements "
       "popped.",
       "Remove and return members with the highest scores in a sorted set", {}, kRecord},
      {"zpopmin", -2, kCmdWrite | kCmdFast | kCmdMayFree, kWrite, pop, run_zpopmin, "5.0.0", "sorted-set",
       "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements "
       "popped.",
       "Remove and return members with the lowest scores in a sorted set", {}, kRecord},
      {"zrandmember", -2, kCmdReadOnly, kRead, access, run_zrandmember, "6.2.0", "sorted-set",
       "O(N) where N is the number of elements returned", "Get one or multiple random elements from a sorted set",
       chance},
      {"zrank", -3, kFastRead, kRead, access, run_zrank, "2.0.0", "sorted-set", "O(log(N))",
       "Determine the index of a member in a sorted set"},
      {"zrem", -3, kCmdWrite | kCmdFast | kCmdMayFree, kWrite, {{1, 1, 1, kKeyRW | kKeyDelete}}, run_zrem,
       "1.2.0", "sorted-set",
       "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be "
       "removed.",
       "Remove one or more members from a sorted set", {}, kRecord},
      {"zrevrank", -3, kFastRead, kRead, access, run_zrevrank, "2.0.0", "sorted-set", "O(log(N))",
       "Determine the index of a member in a sorted set, with scores ordered from high to low"},
      {"zscan", -3, kCmdReadOnly, kRead, access, run_zscan, "2.8.0", "sorted-set",
       "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to "
       "return back to 0. N is the number of elements inside the collection..",
       "Incrementally iterate sorted sets elements and associated scores", chance},
      {"zscore", 3, kFastRead, kRead, access, run_zscore, "1.2.0", "sorted-set", "O(1)",
       "Get the score associated with the given member in a sorted set"},
  };
  // clang-format on
  for (const CommandRow& row : rows) table.add(make_command(row));
  add_sorted_set_range_commands(table);
  add_sorted_set_algebra_commands(table);
}

}  // namespace varve
