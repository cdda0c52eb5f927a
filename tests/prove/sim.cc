// prove sim: whole servers in simulated worlds, a seed each: random commands, crashes, recoveries, checks.
//
//   varve_prove sim --seed 1 --count 200       200 seeds from 1 on
//   varve_prove sim --seed 7 --count 1         one again; its history hash is printed
//   --lives N      lives of each seed (default 12)
//   --shrink no    a failing seed is not cut down to a short script
//   --stop first   the first failing seed is the last one
#include <fmt/format.h>

#include "base/log.h"
#include "prove/proof.h"
#include "prove/sim_generator.h"
#include "prove/sim_shrink.h"

namespace varve::prove {
namespace {

void run(const Options& options, Counters* counters) {
  set_log_level(options.verbose ? LogLevel::kWarning : LogLevel::kNothing);
  uint64_t lives = options.number("lives", kDefaultLives);
  uint64_t hash = 0;
  for (uint64_t done = 0; go_on(options, done, 200); ++done) {
    uint64_t seed = options.seed + done;
    SeedResult result = run_seed(seed, lives, counters);
    counters->add("seeds");
    hash = hash * 0x9e3779b97f4a7c15 + result.hash;
    if (result.complaint.empty()) continue;
    counters->violation(
        fmt::format("sim, seed {}: {}", seed, result.complaint),
        fmt::format("build/tests/varve_prove sim --seed {} --count 1 --lives {}", seed, lives));
    if (options.text("stop", "never") == "first") return;
    if (options.text("shrink", "yes") == "yes") fmt::print(stderr, "{}", shrink(seed, lives));
  }
  fmt::print("history {:016x}\n", hash);
}

const Registration registration({"sim",
                                 "whole servers in simulated worlds: crashes, faults, every reply checked",
                                 run});

}  // namespace
}  // namespace varve::prove
