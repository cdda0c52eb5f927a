// sim_scored.h: what the two files about sorted sets share.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "prove/sim_commands.h"

namespace varve::prove {

constexpr Slot::Type kSortedSet = Slot::Type::kSortedSet;
using Scores = std::map<std::string, double>;
using Order = std::vector<std::pair<double, std::string>>;  // by score, then name

inline const Scores& scores_of(const Slot* slot) {
  static const Scores none;
  return slot ? slot->scores : none;
}

inline Slot scored(Scores scores, int64_t expire_ms) {
  Slot slot{.type = kSortedSet, .expire_ms = expire_ms, .value = {}, .members = {}};
  slot.scores = std::move(scores);
  return slot;
}

Order in_order(const Scores& scores);

// Members with scores, flat in RESP2 and in pairs in RESP3; or members alone.
void reply_scored(ModelRun& run, const Order& members, bool with_scores);

// What a command stores replaces whatever was there; nothing to store removes it.
void store(ModelRun& run, const std::string& key, Scores scores);

// One that holds scores of all kinds, or those that sums were stored in.
std::string draw_scored_key(Draw& draw);

}  // namespace varve::prove
