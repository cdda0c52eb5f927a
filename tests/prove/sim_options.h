// sim_options.h: what a seed's world is like, drawn "swarm" style: each seed switches features off, so that
// those that are left meet each other more often.
#pragma once

#include <set>
#include <string>

#include "base/random.h"
#include "lsm/engine.h"
#include "prove/sim_commands.h"
#include "server/clients.h"
#include "support/crash_fs.h"

namespace varve::prove {

struct WorldOptions {
  // Fixed for a seed.
  test::CrashFs::Options files;
  uint32_t databases = 1;
  DrawOptions draw;
  std::set<std::string> features;  // of commands (CommandRow::feature) and of faults
  std::vector<int> weights;        // of commands, beside all_commands()
  uint64_t clients = 3;
  uint64_t pipeline = 8;  // commands sent at once, at most
  bool has(const std::string& feature) const { return features.contains(feature); }

  // Redrawn for each life.
  EngineOptions engine;
  ClientLimits limits;
  size_t wire_capacity = 1 << 16;
  size_t wire_ahead = 0;
  int64_t clock_step_us = 1;  // how far the clock moves while it is looked at
};

WorldOptions draw_world(Random& random);
// A new life: what a restart may change.
void draw_life(Random& random, WorldOptions* options);
test::CrashPolicy draw_policy(Random& random);

}  // namespace varve::prove
