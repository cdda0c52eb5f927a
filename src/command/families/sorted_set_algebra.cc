// sorted_set_algebra.cc: unions, intersections and differences of sorted sets. Plain sets take part with a
// score of 1 for each member. The result is ordered by score, so it is gathered before it is shown or stored.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <iterator>
#include <unordered_map>

#include "command/families/helpers.h"
#include "command/families/rows.h"
#include "command/families/sorted_set_args.h"
#include "command/numbers.h"
#include "keyspace/types/set.h"
#include "keyspace/types/set_algebra.h"

namespace varve {
namespace {

enum class Aggregate : uint8_t { kSum, kMin, kMax };

struct Source {
  std::string_view key;
  Entry entry;
  double weight = 1;
  uint64_t size() const { return entry.exists ? entry.record.count : 0; }
};

struct AlgebraRequest {
  SetOperation operation = SetOperation::kUnion;
  std::vector<Source> sources;
  Aggregate aggregate = Aggregate::kSum;
  bool with_scores = false;
  uint64_t limit = UINT64_MAX;  // of what is counted
};

// What a form of the command takes.
struct AlgebraForms {
  SetOperation operation = SetOperation::kUnion;
  const char* store = nullptr;  // the event of storing the result
  bool count = false;
};

// --- arguments ---

// numkeys and the keys, from args[first] on; *behind is what follows them. False: an error was replied.
bool find_sources(CommandContext& context, size_t first, AlgebraRequest* request, size_t* behind) {
  const auto& args = context.args;
  int64_t keys = 0;
  if (!integer_argument(context, args[first], &keys)) return false;
  if (keys < 1) {
    context.reply.error(
        fmt::format("ERR at least 1 input key is needed for '{}' command", context.command.full_name));
    return false;
  }
  if (static_cast<uint64_t>(keys) > args.size() - first - 1) {
    context.reply.error(errors::kSyntax);
    return false;
  }
  *behind = first + 1 + static_cast<size_t>(keys);
  for (size_t i = first + 1; i < *behind; ++i) {
    Source source;
    source.key = args[i];
    bool found = find_for_reading(context, args[i], &source.entry);
    if (found && source.entry.record.type != ValueType::kSortedSet &&
        source.entry.record.type != ValueType::kSet) {
      context.reply.error(errors::kWrongType);
      return false;
    }
    request->sources.push_back(source);
  }
  return true;
}

bool parse_aggregate(std::string_view name, Aggregate* aggregate) {
  const std::pair<const char*, Aggregate> names[] = {
      {"sum", Aggregate::kSum}, {"min", Aggregate::kMin}, {"max", Aggregate::kMax}};
  for (const auto& [known, value] : names) {
    if (!equals_ignoring_case(name, known)) continue;
    *aggregate = value;
    return true;
  }
  return false;
}

// False: an error was replied.
bool parse_options(CommandContext& context, size_t at, const AlgebraForms& forms, AlgebraRequest* request) {
  const auto& args = context.args;
  bool weighs = request->operation != SetOperation::kDifference && !forms.count;
  auto fail = [&](const char* error) {
    context.reply.error(error);
    return false;
  };
  while (at < args.size()) {
    size_t behind = args.size() - at - 1;
    std::string_view option = args[at++];
    if (weighs && behind >= request->sources.size() && equals_ignoring_case(option, "weights")) {
      for (Source& source : request->sources) {
        if (!parse_double(args[at++], &source.weight)) return fail(errors::kWeightNotFloat);
      }
    } else if (weighs && behind >= 1 && equals_ignoring_case(option, "aggregate")) {
      if (!parse_aggregate(args[at++], &request->aggregate)) return fail(errors::kSyntax);
    } else if (forms.store == nullptr && !forms.count && equals_ignoring_case(option, "withscores")) {
      request->with_scores = true;
    } else if (forms.count && behind >= 1 && equals_ignoring_case(option, "limit")) {
      int64_t limit = 0;
      if (!parse_integer(args[at++], &limit) || limit < 0) return fail(errors::kNegativeLimit);
      request->limit = limit == 0 ? UINT64_MAX : static_cast<uint64_t>(limit);
    } else {
      return fail(errors::kSyntax);
    }
  }
  return true;
}

// --- members ---

// A source that is looked into: a sorted set, or a set.
class Operand {
 public:
  Operand(CommandContext& context, const Source& source)
      : context_(context), weight_(source.weight), size_(source.size()) {
    if (!source.entry.exists || source.entry.record.type == ValueType::kSortedSet) {
      zset_.reset(new SortedSet(context.tx, context.db(), source.key, source.entry,
                                context.host().collection_limits()));
    } else {
      set_.reset(
          new Set(context.tx, context.db(), source.key, source.entry, context.host().collection_limits()));
    }
  }

  // The score times the weight.
  bool find(std::string_view member, double* score) {
    *score = 1;
    bool found = set_ ? set_->has(member) : zset_->find_score(member, score);
    *score *= weight_;
    return found;
  }
  // Until `each` returns false.
  void for_each(const std::function<bool(std::string_view member, double score)>& each) {
    Members& members = set_ ? static_cast<Members&>(*set_) : *zset_;
    Members::Walk walk(members);
    uint64_t seen = 0;
    for (walk.seek_to_first(); walk.valid(); walk.next(), ++seen) {
      double score = set_ ? 1 : score_of(walk.value());
      if (!each(walk.member(), score * weight_)) return;
    }
    if (seen != size_) {
      context_.tx.fail(Status::corruption("keyspace: collection {} has {} members, not {}",
                                          members.record().collection, seen, size_));
    }
  }

 private:
  double score_of(const ElementValue& value) {
    if (value.bytes.size() == kScoreSize) return decode_score(value.bytes.data());
    context_.tx.fail(Status::corruption("keyspace: a member of a sorted set has no score"));
    return 0;
  }

  CommandContext& context_;
  double weight_;
  uint64_t size_;
  std::unique_ptr<SortedSet> zset_;
  std::unique_ptr<Set> set_;
};

double number_or_zero(double score) {
  return std::isnan(score) ? 0 : score;
}

// As Redis adds up: infinities that cancel each other come to 0.
void aggregate_into(Aggregate aggregate, double more, double* score) {
  switch (aggregate) {
    case Aggregate::kSum:
      *score = number_or_zero(*score + more);
      break;
    case Aggregate::kMin:
      *score = more < *score ? more : *score;
      break;
    case Aggregate::kMax:
      *score = more > *score ? more : *score;
      break;
  }
}

// What has been gathered, within the limit of what is held in memory.
struct Result {
  std::deque<ScoredMember> members;  // which stay in their places
  uint64_t bytes = 0;
  bool too_long = false;

  bool add(std::string_view member, double score) {
    bytes += member.size() + kScoreSize;
    too_long = bytes > kCopyMax;
    if (!too_long) members.push_back({std::string(member), score});
    return !too_long;
  }
};

void unite(CommandContext& context, const AlgebraRequest& request, Result* result) {
  std::unordered_map<std::string_view, double*> scores;
  for (const Source& source : request.sources) {
    Operand(context, source).for_each([&](std::string_view member, double score) {
      score = number_or_zero(score);
      auto found = scores.find(member);
      if (found != scores.end()) {
        aggregate_into(request.aggregate, score, found->second);
        return true;
      }
      if (!result->add(member, score)) return false;
      ScoredMember& added = result->members.back();
      scores.emplace(added.member, &added.score);
      return true;
    });
  }
}

// Members of the first source that are in all others, or in none of them.
void compare_first(CommandContext& context, const AlgebraRequest& request, Result* result) {
  constexpr size_t kMissesMax = 64;  // are fetched together
  bool intersects = request.operation == SetOperation::kIntersection;
  std::vector<std::unique_ptr<Operand>> others;
  for (size_t i = 1; i < request.sources.size(); ++i) {
    others.push_back(std::make_unique<Operand>(context, request.sources[i]));
  }
  const ReadContext& read = context.tx.read();
  Operand(context, request.sources[0]).for_each([&](std::string_view member, double score) {
    score = number_or_zero(score);
    std::string name(member);  // the others may be the same set
    for (const auto& other : others) {
      double more = 0;
      if (other->find(name, &more) != intersects) return read.misses.size() < kMissesMax;
      if (intersects) aggregate_into(request.aggregate, more, &score);
    }
    return result->add(name, score) && result->members.size() < request.limit &&
           read.misses.size() < kMissesMax;
  });
}

// False: an error was replied.
bool gather(CommandContext& context, AlgebraRequest& request, Result* result) {
  if (request.operation != SetOperation::kDifference) {  // in Redis's order: sums depend on it
    std::stable_sort(request.sources.begin(), request.sources.end(),
                     [](const Source& a, const Source& b) { return a.size() < b.size(); });
  }
  if (request.operation == SetOperation::kUnion) {
    unite(context, request, result);
  } else {
    compare_first(context, request, result);
  }
  if (!result->too_long) return true;
  context.reply.error(errors::kCopyTooLong);
  return false;
}

std::vector<ScoredMember> in_order(Result& result) {
  std::vector<ScoredMember> members(std::make_move_iterator(result.members.begin()),
                                    std::make_move_iterator(result.members.end()));
  result.members.clear();
  std::sort(members.begin(), members.end(), [](const ScoredMember& a, const ScoredMember& b) {
    return a.score != b.score ? a.score < b.score : a.member < b.member;
  });
  return members;
}

void run_algebra(CommandContext& context, const AlgebraForms& forms) {
  AlgebraRequest request;
  request.operation = forms.operation;
  size_t behind = 0;
  if (!find_sources(context, forms.store != nullptr ? 2 : 1, &request, &behind) ||
      !parse_options(context, behind, forms, &request)) {
    return;
  }
  Result result;
  if (!gather(context, request, &result)) return;
  if (forms.count) return context.reply.integer(static_cast<int64_t>(result.members.size()));
  std::vector<ScoredMember> members = in_order(result);
  if (forms.store != nullptr) return store_sorted_set(context, context.args[1], members, forms.store);
  reply_scored_members(context, members, request.with_scores);
}

void run_zunion(CommandContext& context) {
  run_algebra(context, {SetOperation::kUnion});
}
void run_zinter(CommandContext& context) {
  run_algebra(context, {SetOperation::kIntersection});
}
void run_zdiff(CommandContext& context) {
  run_algebra(context, {SetOperation::kDifference});
}
void run_zunionstore(CommandContext& context) {
  run_algebra(context, {.operation = SetOperation::kUnion, .store = "zunionstore"});
}
void run_zinterstore(CommandContext& context) {
  run_algebra(context, {.operation = SetOperation::kIntersection, .store = "zinterstore"});
}
void run_zdiffstore(CommandContext& context) {
  run_algebra(context, {.operation = SetOperation::kDifference, .store = "zdiffstore"});
}
void run_zintercard(CommandContext& context) {
  run_algebra(context, {.operation = SetOperation::kIntersection, .count = true});
}

}  // namespace

void add_sorted_set_algebra_commands(CommandTable& table) {
  constexpr uint32_t kRead = kAclRead | kAclSortedSet;
  constexpr uint32_t kWrite = kAclWrite | kAclSortedSet;
  constexpr uint32_t kShows = kCmdReadOnly | kCmdMovableKeys;
  constexpr uint32_t kStores = kCmdWrite | kCmdDenyOom | kCmdMovableKeys;
  const std::vector<KeySpec> sources = {{1, 0, 1, kKeyRO | kKeyAccess, true}};
  const std::vector<KeySpec> target_and_sources = {{1, 1, 1, kKeyOW | kKeyUpdate},
                                                   {2, 0, 1, kKeyRO | kKeyAccess, true}};
  const char* difference =
      "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size "
      "of "
      "the first set, and K is the size of the result set.";
  const char* intersection =
      "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input "
      "sorted sets and M being the number of elements in the resulting sorted set.";
  // clang-format off
  const CommandRow rows[] = {
      {"zdiff", -3, kShows, kRead, sources, run_zdiff, "6.2.0", "sorted-set", difference,
       "Subtract multiple sorted sets"},
      {"zdiffstore", -4, kStores, kWrite, target_and_sources, run_zdiffstore, "6.2.0", "sorted-set", difference,
       "Subtract multiple sorted sets and store the resulting sorted set in a new key"},
      {"zinter", -3, kShows, kRead, sources, run_zinter, "6.2.0", "sorted-set", intersection,
       "Intersect multiple sorted sets"},
      {"zintercard", -3, kShows, kRead, sources, run_zintercard, "7.0.0", "sorted-set",
       "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
       "Intersect multiple sorted sets and return the cardinality of the result"},
      {"zinterstore", -4, kStores, kWrite, target_and_sources, run_zinterstore, "2.0.0", "sorted-set",
       intersection, "Intersect multiple sorted sets and store the resulting sorted set in a new key"},
      {"zunion", -3, kShows, kRead, sources, run_zunion, "6.2.0", "sorted-set",
       "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of "
       "elements in the resulting sorted set.",
       "Add multiple sorted sets"},
      {"zunionstore", -4, kStores, kWrite, target_and_sources, run_zunionstore, "2.0.0", "sorted-set",
       "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of "
       "elements in the resulting sorted set.",
       "Add multiple sorted sets and store the resulting sorted set in a new key"},
  };
  // clang-format on
  for (const CommandRow& row : rows) table.add(make_command(row));
}

}  // namespace varve
