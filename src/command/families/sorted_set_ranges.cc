// sorted_set_ranges.cc: ranges of sorted sets, by rank, score and name: shown, stored, counted, removed.

#include <algorithm>

#include "command/families/helpers.h"
#include "command/families/rows.h"
#include "command/families/scan_options.h"
#include "command/families/sorted_set_args.h"
#include "command/numbers.h"
#include "command/order_stream.h"

namespace varve {
namespace {

// Replies of more members or bytes than this are streamed.
constexpr uint64_t kPlainMembersMax = 1000;
constexpr uint64_t kPlainBytesMax = 256 * 1024;
// With a LIMIT no larger than this a range is walked; no rank is asked for.
constexpr int64_t kWalkedMax = 64;
// So many members are removed in one batch.
constexpr uint64_t kRemovedMax = 500'000;

// Each command allows some forms.
struct RangeForms {
  bool choose_kind = false;       // BYSCORE, BYLEX
  bool choose_direction = false;  // REV
  bool store = false;             // no WITHSCORES
  RangeKind kind = RangeKind::kRank;
  bool reverse = false;
};

struct RangeRequest {
  RangeArgument range;
  bool reverse = false;
  bool with_scores = false;
  int64_t offset = 0;
  int64_t limit = -1;  // below 0: none
};

// The arguments behind key, min and max. False: an error was replied.
bool parse_options(CommandContext& context, size_t first, RangeForms forms, RangeKind* kind,
                   RangeRequest* request) {
  const auto& args = context.args;
  bool chosen = false;
  *kind = forms.kind;
  request->reverse = forms.reverse;
  for (size_t i = first; i < args.size(); ++i) {
    bool by_score = equals_ignoring_case(args[i], "byscore");
    if (!forms.store && equals_ignoring_case(args[i], "withscores")) {
      request->with_scores = true;
    } else if (equals_ignoring_case(args[i], "limit") && i + 2 < args.size()) {
      if (!integer_argument(context, args[i + 1], &request->offset) ||
          !integer_argument(context, args[i + 2], &request->limit)) {
        return false;
      }
      i += 2;
    } else if (forms.choose_direction && !request->reverse && equals_ignoring_case(args[i], "rev")) {
      request->reverse = true;
    } else if (forms.choose_kind && !chosen && (by_score || equals_ignoring_case(args[i], "bylex"))) {
      chosen = true;
      *kind = by_score ? RangeKind::kScore : RangeKind::kLex;
    } else {
      context.reply.error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

// Key, min and max stand from `first` on. False: an error was replied.
bool parse_request(CommandContext& context, size_t first, RangeForms forms, RangeRequest* request) {
  const auto& args = context.args;
  RangeKind kind = RangeKind::kRank;
  if (!parse_options(context, first + 3, forms, &kind, request)) return false;
  if (request->limit != -1 && kind == RangeKind::kRank) {
    context.reply.error(errors::kRangeLimit);
    return false;
  }
  if (request->with_scores && kind == RangeKind::kLex) {
    context.reply.error(errors::kRangeLexScores);
    return false;
  }
  bool swapped = request->reverse && kind != RangeKind::kRank;  // given as max, min
  return parse_range(context, kind, args[first + (swapped ? 2 : 1)], args[first + (swapped ? 1 : 2)],
                     &request->range);
}

// --- which members ---

bool is_walked(const RangeRequest& request) {
  return request.range.kind != RangeKind::kRank && request.offset >= 0 && request.limit >= 0 &&
         request.limit <= kWalkedMax && request.offset <= kWalkedMax;
}

// The first few of a range.
std::vector<ScoredMember> walk_range(SortedSet& set, const RangeRequest& request) {
  std::vector<ScoredMember> members;
  PlaceRange places = places_of(set, request.range);
  SortedSet::OrderWalk walk(set);
  if (!request.reverse) {
    walk.seek_place(places.begin);
  } else {
    places.to_end ? walk.seek_to_last() : walk.seek_before(places.end);
  }
  int64_t skip = request.offset;
  auto wanted = static_cast<size_t>(request.limit);
  for (; walk.valid() && members.size() < wanted; walk.move(!request.reverse)) {
    if (request.reverse ? walk.place() < places.begin : !places.to_end && walk.place() >= places.end) break;
    if (skip-- > 0) continue;
    members.push_back({std::string(walk.member()), walk.score()});
  }
  return members;
}

// The ranks of what is asked for: from *first on, downwards in reverse.
void find_members(SortedSet& set, const RangeRequest& request, uint64_t* first, uint64_t* count) {
  uint64_t last = 0;
  find_range(set, request.range, first, &last);
  *count = last - *first;
  if (request.range.kind == RangeKind::kRank) {  // in reverse counted from the other end; LIMIT has no say
    if (request.reverse && *count > 0) *first = set.size() - 1 - *first;
    return;
  }
  uint64_t offset = request.offset < 0 ? *count : std::min(*count, static_cast<uint64_t>(request.offset));
  *count -= offset;
  if (request.limit >= 0) *count = std::min(*count, static_cast<uint64_t>(request.limit));
  if (*count > 0) *first = request.reverse ? last - 1 - offset : *first + offset;
}

void too_few(CommandContext& context) {
  context.tx.fail(Status::corruption(
      "keyspace: the members of the sorted set at '{}' are fewer than its record says", context.args[1]));
}

// --- showing ---

void stream_members(CommandContext& context, SortedSet& set, const std::string& place, uint64_t count,
                    const RangeRequest& request) {
  EngineKey start;
  make_element_key(set.record().collection, Part::kOrder, place, &start);
  OrderSelection selection{set.order_range(), std::string(start.view()), request.reverse, count,
                           request.with_scores};
  context.stream(std::make_unique<OrderStream>(*context.engine(), std::move(selection),
                                               context.reply.protocol(), context.tx.read().seen));
}

void reply_members(CommandContext& context, SortedSet& set, uint64_t first, uint64_t count,
                   const RangeRequest& request) {
  reply_scored_header(context.reply, count, request.with_scores);
  if (count == 0) return;
  bool streams = context.may_stream() && !set.is_inline();
  uint64_t start = context.reply.out().end();
  SortedSet::OrderWalk walk(set);
  walk.seek_rank(first);
  if (!walk.valid()) return too_few(context);
  std::string place = walk.place();
  if (streams && count > kPlainMembersMax) return stream_members(context, set, place, count, request);
  uint64_t left = count;
  for (; walk.valid() && left > 0; walk.move(!request.reverse), --left) {
    uint64_t bytes = context.reply.out().end() - start;
    if (streams && bytes > kPlainBytesMax) {
      context.reply.out().truncate(start);
      return stream_members(context, set, place, count, request);
    }
    if (bytes + walk.member().size() + 48 > context.host().max_reply()) return reply_too_long(context);
    reply_scored(context.reply, walk.member(), walk.score(), request.with_scores);
  }
  ReadContext& read = context.tx.read();
  if (streams && left > 0 && walk.missed() && read.restarts >= kPatientRestarts && read.error.ok()) {
    read.misses.clear();  // a stream keeps what it has read
    context.reply.out().truncate(start);
    return stream_members(context, set, place, count, request);
  }
  if (left > 0) too_few(context);
}

void show_range(CommandContext& context, const RangeForms& forms) {
  RangeRequest request;
  if (!parse_request(context, 1, forms, &request)) return;
  Entry entry;
  if (!find_typed_for_reading(context, context.args[1], ValueType::kSortedSet, &entry)) return;
  if (!entry.exists) return context.reply.array(0);
  SortedSet set = open_sorted_set(context, context.args[1], entry);
  if (is_walked(request)) {
    return reply_scored_members(context, walk_range(set, request), request.with_scores);
  }
  uint64_t first = 0;
  uint64_t count = 0;
  find_members(set, request, &first, &count);
  if (context.tx.read().faulted()) return;  // what was counted is too little
  reply_members(context, set, first, count, request);
}

void run_zrange(CommandContext& context) {
  show_range(context, {.choose_kind = true, .choose_direction = true});
}
void run_zrevrange(CommandContext& context) {
  show_range(context, {.reverse = true});
}
void run_zrangebyscore(CommandContext& context) {
  show_range(context, {.kind = RangeKind::kScore});
}
void run_zrevrangebyscore(CommandContext& context) {
  show_range(context, {.kind = RangeKind::kScore, .reverse = true});
}
void run_zrangebylex(CommandContext& context) {
  show_range(context, {.kind = RangeKind::kLex});
}
void run_zrevrangebylex(CommandContext& context) {
  show_range(context, {.kind = RangeKind::kLex, .reverse = true});
}

void run_zrangestore(CommandContext& context) {
  RangeRequest request;
  RangeForms forms{.choose_kind = true, .choose_direction = true, .store = true};
  if (!parse_request(context, 2, forms, &request)) return;
  Entry entry;
  if (!find_typed_for_reading(context, context.args[2], ValueType::kSortedSet, &entry)) return;
  std::vector<ScoredMember> members;
  if (entry.exists) {
    SortedSet set = open_sorted_set(context, context.args[2], entry);
    uint64_t first = 0;
    uint64_t count = 0;
    find_members(set, request, &first, &count);
    SortedSet::OrderWalk walk(set);
    if (count > 0) walk.seek_rank(first);
    uint64_t bytes = 0;
    // Redis adds them one by one, to a listpack until one is too much for it; and those know no -0.
    const CollectionLimits& limits = context.host().collection_limits();
    bool small = true;
    for (; walk.valid() && members.size() < count; walk.move(!request.reverse)) {
      bytes += walk.member().size() + kScoreSize;
      if (bytes > kCopyMax) return context.reply.error(errors::kCopyTooLong);
      small = small && members.size() < limits.zset_entries && walk.member().size() <= limits.zset_value;
      members.push_back({std::string(walk.member()), walk.score() + (small ? 0.0 : -0.0)});
    }
    if (members.size() < count) return too_few(context);
    if (request.reverse) std::reverse(members.begin(), members.end());
  }
  store_sorted_set(context, context.args[1], members, "zrangestore");
}

// --- counting and removing ---

void count_range(CommandContext& context, RangeKind kind) {
  RangeArgument range;
  if (!parse_range(context, kind, context.args[2], context.args[3], &range)) return;
  Entry entry;
  if (!find_typed_for_reading(context, context.args[1], ValueType::kSortedSet, &entry)) return;
  if (!entry.exists) return context.reply.integer(0);
  SortedSet set = open_sorted_set(context, context.args[1], entry);
  uint64_t first = 0;
  uint64_t last = 0;
  find_range(set, range, &first, &last);
  context.reply.integer(static_cast<int64_t>(last - first));
}
void run_zcount(CommandContext& context) {
  count_range(context, RangeKind::kScore);
}
void run_zlexcount(CommandContext& context) {
  count_range(context, RangeKind::kLex);
}

void remove_range(CommandContext& context, RangeKind kind, const char* event) {
  RangeArgument range;
  if (!parse_range(context, kind, context.args[2], context.args[3], &range)) return;
  Entry entry;
  if (!find_typed(context, context.args[1], ValueType::kSortedSet, &entry)) return;
  if (!entry.exists) return context.reply.integer(0);
  SortedSet set = open_sorted_set(context, context.args[1], entry);
  uint64_t first = 0;
  uint64_t last = 0;
  find_range(set, range, &first, &last);
  if (last - first > kRemovedMax && last - first < set.size()) {
    return context.reply.error(errors::kRemovedTooMany);
  }
  if (last > first) {
    set.remove_range(first, last - first, nullptr);
    set.save();
    context.notify(kEventZset, event, context.args[1]);
    if (set.empty()) context.notify(kEventGeneric, "del", context.args[1]);
  }
  context.reply.integer(static_cast<int64_t>(last - first));
}
void run_zremrangebyrank(CommandContext& context) {
  remove_range(context, RangeKind::kRank, "zremrangebyrank");
}
void run_zremrangebyscore(CommandContext& context) {
  remove_range(context, RangeKind::kScore, "zremrangebyscore");
}
void run_zremrangebylex(CommandContext& context) {
  remove_range(context, RangeKind::kLex, "zremrangebylex");
}

}  // namespace

void add_sorted_set_range_commands(CommandTable& table) {
  constexpr uint32_t kRead = kAclRead | kAclSortedSet;
  constexpr uint32_t kWrite = kAclWrite | kAclSortedSet;
  constexpr uint32_t kRecord = static_cast<uint32_t>(kInlineCollectionMax);  // a record written again
  const std::vector<KeySpec> access = {{1, 1, 1, kKeyRO | kKeyAccess}};
  const std::vector<KeySpec> remove = {{1, 1, 1, kKeyRW | kKeyDelete}};
  const char* shown =
      "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements "
      "returned.";
  const char* shown_limit =
      "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being "
      "returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can "
      "consider it "
      "O(log(N)).";
  const char* counted = "O(log(N)) with N being the number of elements in the sorted set.";
  const char* removed =
      "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements "
      "removed by "
      "the operation.";
  // clang-format off
  const CommandRow rows[] = {
      {"zcount", 4, kCmdReadOnly | kCmdFast, kRead, access, run_zcount, "2.0.0", "sorted-set", counted,
       "Count the members in a sorted set with scores within the given values"},
      {"zlexcount", 4, kCmdReadOnly | kCmdFast, kRead, access, run_zlexcount, "2.8.9", "sorted-set", counted,
       "Count the number of members in a sorted set between a given lexicographical range"},
      {"zrange", -4, kCmdReadOnly, kRead, access, run_zrange, "1.2.0", "sorted-set", shown,
       "Return a range of members in a sorted set"},
      {"zrangebylex", -4, kCmdReadOnly, kRead, access, run_zrangebylex, "2.8.9", "sorted-set", shown_limit,
       "Return a range of members in a sorted set, by lexicographical range"},
      {"zrangebyscore", -4, kCmdReadOnly, kRead, access, run_zrangebyscore, "1.0.5", "sorted-set", shown_limit,
       "Return a range of members in a sorted set, by score"},
      {"zrangestore", -5, kCmdWrite | kCmdDenyOom, kWrite,
       {{1, 1, 1, kKeyOW | kKeyUpdate}, {2, 2, 1, kKeyRO | kKeyAccess}}, run_zrangestore, "6.2.0", "sorted-set",
       "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored "
       "into the destination key.",
       "Store a range of members from sorted set into another key"},
      {"zremrangebylex", 4, kCmdWrite | kCmdMayFree, kWrite, remove, run_zremrangebylex, "2.8.9", "sorted-set",
       removed, "Remove all members in a sorted set between the given lexicographical range", {}, kRecord},
      {"zremrangebyrank", 4, kCmdWrite | kCmdMayFree, kWrite, remove, run_zremrangebyrank, "2.0.0", "sorted-set",
       removed, "Remove all members in a sorted set within the given indexes", {}, kRecord},
      {"zremrangebyscore", 4, kCmdWrite | kCmdMayFree, kWrite, remove, run_zremrangebyscore, "1.2.0",
       "sorted-set", removed, "Remove all members in a sorted set within the given scores", {}, kRecord},
      {"zrevrange", -4, kCmdReadOnly, kRead, access, run_zrevrange, "1.2.0", "sorted-set", shown,
       "Return a range of members in a sorted set, by index, with scores ordered from high to low"},
      {"zrevrangebylex", -4, kCmdReadOnly, kRead, access, run_zrevrangebylex, "2.8.9", "sorted-set", shown_limit,
       "Return a range of members in a sorted set, by lexicographical range, ordered from higher to lower "
       "strings."},
      {"zrevrangebyscore", -4, kCmdReadOnly, kRead, access, run_zrevrangebyscore, "2.2.0", "sorted-set",
       shown_limit,
       "Return a range of members in a sorted set, by score, with scores ordered from high to low"},
  };
  // clang-format on
  for (const CommandRow& row : rows) table.add(make_command(row));
}

}  // namespace varve
