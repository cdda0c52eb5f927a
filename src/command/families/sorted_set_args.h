// sorted_set_args.h: what commands of sorted sets share: their keys, ranges as arguments, members as replies.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "command/command_context.h"
#include "keyspace/types/sorted_set.h"

namespace varve {

// Of one command: with the limits of encodings as they are now.
SortedSet open_sorted_set(CommandContext& context, std::string_view key, const Entry& entry);

struct AddOptions {
  bool only_new = false;   // NX
  bool only_old = false;   // XX
  bool only_more = false;  // GT
  bool only_less = false;  // LT
  bool changed = false;    // CH
  bool increment = false;  // INCR
};
// What ZADD and its like do with the set at the command's key, and reply.
void add_scored_members(CommandContext& context, const AddOptions& options, const std::vector<double>& scores,
                        const std::vector<std::string_view>& members);

enum class RangeKind : uint8_t { kRank, kScore, kLex };

// A range as its two arguments tell; by rank they count from the end when negative.
struct RangeArgument {
  RangeKind kind = RangeKind::kRank;
  int64_t start = 0, stop = 0;
  double min = 0, max = 0;
  std::string_view min_text, max_text;  // by name: with the sign in front
  bool min_exclusive = false, max_exclusive = false;
};
// False: an error was replied.
bool parse_range(CommandContext& context, RangeKind kind, std::string_view min, std::string_view max,
                 RangeArgument* range);
// The places of a range by score or name. By name all members are taken to have the score of the first.
PlaceRange places_of(SortedSet& set, const RangeArgument& range);
// The ranks of a range: [*first, *last).
void find_range(SortedSet& set, const RangeArgument& range, uint64_t* first, uint64_t* last);

// One member of a reply; with its score as an array of its own in RESP3.
inline void reply_scored(Reply& reply, std::string_view member, double score, bool with_score) {
  if (with_score && reply.protocol() >= 3) reply.array(2);
  reply.bulk(member);
  if (with_score) reply.real(score);
}
// The header of so many.
inline void reply_scored_header(Reply& reply, uint64_t count, bool with_scores) {
  reply.array(with_scores && reply.protocol() < 3 ? count * 2 : count);
}
// All of these with their header; an error when they are too long to be held as a reply.
void reply_scored_members(CommandContext& context, const std::vector<ScoredMember>& members,
                          bool with_scores);

// The members, in order and each once, become the sorted set at the key, which is the event, or the key goes.
// Replies how many.
void store_sorted_set(CommandContext& context, std::string_view key, std::vector<ScoredMember>& members,
                      const char* event);

}  // namespace varve
