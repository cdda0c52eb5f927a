// prove sim: whole servers in simulated worlds, a seed each: random commands, crashes, recoveries, checks.
//
//   varve_prove sim --seed 1 --count 200       200 seeds from 1 on
//   varve_prove sim --seed 7 --count 1         one again; its history hash is printed
//   --lives N      lives of each seed (default 12)
//   --shrink no    a failing seed is not cut down to a short script
//   --twice N      one seed in N runs twice and must come to the same history (default 40)
//   --stop first   the first failing seed is the last one
#include <fmt/format.h>

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/log.h"
#include "prove/proof.h"
#include "prove/sim_generator.h"
#include "prove/sim_shrink.h"

namespace varve::prove {
namespace {

std::string again(uint64_t seed, uint64_t lives) {
  return fmt::format("build/tests/varve_prove sim --seed {} --count 1 --lives {}", seed, lives);
}

// Nothing but the seed decides: the same run, byte for byte; and another seed, another run.
void check_repeatable(uint64_t seed, uint64_t lives, uint64_t hash, Counters* counters) {
  counters->add("repeated");
  if (run_seed(seed, lives, nullptr).hash != hash) {
    counters->violation(fmt::format("sim, seed {}: two runs differ", seed),
                        again(seed, lives) + " --twice 1");
  }
  if (run_seed(seed + 1, lives, nullptr).hash == hash) {
    counters->violation(fmt::format("sim, seed {}: the same run as with the next one", seed),
                        again(seed, lives));
  }
}

std::string running;  // told if the process dies of a failed check

void tell_seed(int signal) {
  (void)!::write(STDERR_FILENO, running.data(), running.size());
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const Options& options, Counters* counters) {
  set_log_level(options.verbose ? LogLevel::kWarning : LogLevel::kNothing);
  uint64_t lives = options.number("lives", kDefaultLives);
  uint64_t twice = std::max<uint64_t>(1, options.number("twice", 40));
  uint64_t hash = 0;
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE}) std::signal(signal, tell_seed);
  for (uint64_t done = 0; go_on(options, done, 200); ++done) {
    uint64_t seed = options.seed + done;
    running =
        fmt::format("VIOLATION sim, seed {}: the process died\n  again: {}\n", seed, again(seed, lives));
    SeedResult result = run_seed(seed, lives, counters);
    counters->add("seeds");
    hash = hash * 0x9e3779b97f4a7c15 + result.hash;
    if (done % twice == 0) check_repeatable(seed, lives, result.hash, counters);
    if (result.complaint.empty()) continue;
    counters->violation(fmt::format("sim, seed {}: {}", seed, result.complaint), again(seed, lives));
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
