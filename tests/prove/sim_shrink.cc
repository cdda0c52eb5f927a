#include "prove/sim_shrink.h"

#include <fmt/format.h>

#include <algorithm>

#include "prove/sim_generator.h"

namespace varve::prove {
namespace {

constexpr double kShrinkSeconds = 60;

bool ends_life(const Action& action) {
  return action.kind == Action::Kind::kKill || action.kind == Action::Kind::kShutdown;
}

}  // namespace

SeedResult run_seed(uint64_t seed, uint64_t lives, Counters* counters, bool keep_script) {
  Counters unused;
  World world(seed, counters != nullptr ? counters : &unused);
  Generator generator(seed, world);
  SeedResult result;
  for (uint64_t ended = 0; ended < lives && world.ok();) {
    Action action = generator.next();
    if (ends_life(action)) ++ended;
    if (keep_script) result.script.push_back(action);
    world.apply(action);
  }
  world.report();
  result.complaint = world.complaint();
  result.hash = world.hash();
  return result;
}

SeedResult replay(uint64_t seed, const std::vector<Action>& script) {
  Counters unused;
  World world(seed, &unused);
  for (const Action& action : script) world.apply(action);
  return {world.complaint(), world.hash(), {}};
}

// Takes away runs of actions, long ones first, as long as anything still goes wrong (ddmin).
std::string shrink(uint64_t seed, uint64_t lives) {
  double until = elapsed_s() + kShrinkSeconds;
  SeedResult whole = run_seed(seed, lives, nullptr, true);
  std::vector<Action> script = std::move(whole.script);
  std::string complaint = whole.complaint;
  size_t before = script.size();
  auto fails = [&](const std::vector<Action>& shorter) {
    SeedResult result = replay(seed, shorter);
    if (!result.complaint.empty()) complaint = result.complaint;
    return !result.complaint.empty();
  };
  if (!fails(script)) return "  (the script alone does not fail: look for chance outside the seed)\n";
  for (size_t piece = script.size() / 2; piece > 0 && elapsed_s() < until;) {
    bool any = false;
    // From the end: later actions depend on earlier ones, hardly the other way round.
    for (size_t end = script.size(); end > 0 && elapsed_s() < until;) {
      size_t begin = end > piece ? end - piece : 0;
      std::vector<Action> shorter(script.begin(), script.begin() + static_cast<std::ptrdiff_t>(begin));
      shorter.insert(shorter.end(), script.begin() + static_cast<std::ptrdiff_t>(end), script.end());
      if (fails(shorter)) {
        script = std::move(shorter);
        any = true;
      }
      end = std::min(begin, script.size());
    }
    if (!any || piece > script.size()) piece = std::min(piece / 2, script.size() / 2);
  }
  std::string text = fmt::format("  {} of {} actions are left: {}\n", script.size(), before, complaint);
  for (size_t i = 0; i < script.size() && i < 200; ++i)
    text += fmt::format("  {:>4}  {}\n", i + 1, script[i].to_string());
  return text;
}

}  // namespace varve::prove
