#include "command/families/sorted_set_args.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "command/families/helpers.h"
#include "command/numbers.h"

namespace varve {
namespace {

// As Redis reads it with strtod: blanks in front are skipped, nothing is 0, a zero byte ends the text.
bool parse_score_bound(std::string_view text, double* score, bool* exclusive) {
  *exclusive = !text.empty() && text.front() == '(';
  std::string owned(text.substr(*exclusive ? 1 : 0));
  char* end = nullptr;
  *score = std::strtod(owned.c_str(), &end);
  return *end == '\0' && !std::isnan(*score);
}

bool parse_name_bound(std::string_view text, bool* exclusive) {
  char first = text.empty() ? '\0' : text.front();
  *exclusive = first != '[';
  if (first == '+' || first == '-') return text.size() == 1 || text[1] == '\0';
  return first == '[' || first == '(';
}

// The place where the side of a range by name lies: members before it are outside of a lower bound, inside of
// an upper one. False: beyond all places (`place` is empty at the beginning of them).
bool place_of_name(double score, std::string_view text, bool upper, std::string* place) {
  place->clear();
  if (text.front() == '-') return true;
  if (text.front() == '+') return false;
  make_place(score, text.substr(1), place);
  if ((text.front() == '[') == upper) place->push_back('\0');
  return true;
}

PlaceRange places_of_names(SortedSet& set, const RangeArgument& range) {
  SortedSet::OrderWalk walk(set);
  walk.seek_rank(0);
  double score = walk.valid() ? walk.score() : 0;
  PlaceRange places;
  bool somewhere = place_of_name(score, range.min_text, false, &places.begin);
  places.to_end = !place_of_name(score, range.max_text, true, &places.end);
  if (!somewhere) places = {"", "", false};  // behind all
  return places;
}

}  // namespace

SortedSet open_sorted_set(CommandContext& context, std::string_view key, const Entry& entry) {
  return SortedSet(context.tx, context.db(), key, entry, context.host().collection_limits());
}

bool parse_range(CommandContext& context, RangeKind kind, std::string_view min, std::string_view max,
                 RangeArgument* range) {
  range->kind = kind;
  switch (kind) {
    case RangeKind::kRank:
      return integer_argument(context, min, &range->start) && integer_argument(context, max, &range->stop);
    case RangeKind::kScore:
      if (parse_score_bound(min, &range->min, &range->min_exclusive) &&
          parse_score_bound(max, &range->max, &range->max_exclusive)) {
        return true;
      }
      context.reply.error(errors::kRangeNotFloat);
      return false;
    case RangeKind::kLex:
      range->min_text = min;
      range->max_text = max;
      if (parse_name_bound(min, &range->min_exclusive) && parse_name_bound(max, &range->max_exclusive)) {
        return true;
      }
      context.reply.error(errors::kRangeNotString);
      return false;
  }
  return false;
}

PlaceRange places_of(SortedSet& set, const RangeArgument& range) {
  if (range.kind == RangeKind::kLex) return places_of_names(set, range);
  PlaceRange places;
  make_place(range.min, "", &places.begin);
  if (range.min_exclusive) places.begin = prefix_end(places.begin);
  make_place(range.max, "", &places.end);
  if (!range.max_exclusive) places.end = prefix_end(places.end);
  places.to_end = false;
  return places;
}

void find_range(SortedSet& set, const RangeArgument& range, uint64_t* first, uint64_t* last) {
  if (range.kind != RangeKind::kRank) return set.find_ranks(places_of(set, range), first, last);
  auto size = static_cast<int64_t>(set.size());
  int64_t start = std::max<int64_t>(0, range.start < 0 ? range.start + size : range.start);
  int64_t stop = std::min<int64_t>(size - 1, range.stop < 0 ? range.stop + size : range.stop);
  bool none = start > stop || start >= size;
  *first = none ? 0 : static_cast<uint64_t>(start);
  *last = none ? 0 : static_cast<uint64_t>(stop) + 1;
}

void reply_scored_members(CommandContext& context, const std::vector<ScoredMember>& members,
                          bool with_scores) {
  uint64_t bytes = 0;
  for (const ScoredMember& one : members) bytes += one.member.size() + (with_scores ? 48 : 16);
  if (bytes > context.host().max_reply()) return reply_too_long(context);
  reply_scored_header(context.reply, members.size(), with_scores);
  for (const ScoredMember& one : members) reply_scored(context.reply, one.member, one.score, with_scores);
}

void store_sorted_set(CommandContext& context, std::string_view key, std::vector<ScoredMember>& members,
                      const char* event) {
  Entry target;
  context.tx.find(context.db(), key, &target);
  if (members.empty()) {
    context.tx.remove(context.db(), key, target);
    if (target.exists) context.notify(kEventGeneric, "del", key);
    return context.reply.integer(0);
  }
  SortedSet set = open_sorted_set(context, key, Entry());
  set.replaces(target);
  set.fill(members);
  set.save();
  context.notify(kEventZset, event, key);
  context.reply.integer(static_cast<int64_t>(members.size()));
}

}  // namespace varve
