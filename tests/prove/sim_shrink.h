// sim_shrink.h: one seed from its beginning to its end, and what is left of a failing one when everything is
// taken away that it does not need.
#pragma once

#include <string>
#include <vector>

#include "prove/sim_world.h"

namespace varve::prove {

constexpr uint64_t kDefaultLives = 12;

struct SeedResult {
  std::string complaint;  // empty: all was well
  uint64_t hash = 0;
  std::vector<Action> script;  // if asked for
};

// The same seed and number of lives: the same result. Counters may be null.
SeedResult run_seed(uint64_t seed, uint64_t lives, Counters* counters, bool keep_script = false);
// The same world under a given list of actions.
SeedResult replay(uint64_t seed, const std::vector<Action>& script);
// A short script that still fails, as text.
std::string shrink(uint64_t seed, uint64_t lives);

}  // namespace varve::prove
