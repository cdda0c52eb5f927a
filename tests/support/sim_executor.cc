#include "support/sim_executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace varve::test {
namespace {
constexpr std::array<const char*, kLaneCount> kLaneNames = {"log",   "manifest", "read",
                                                            "flush", "compact",  "utility"};
}

SimExecutor::SimExecutor(uint64_t seed, Options options) : options_(options), random_(seed) {
  constexpr uint64_t kWeights[] = {1, 4, 32};
  for (LaneState& lane : lanes_) lane.weight = kWeights[random_.below(std::size(kWeights))];
  for (int threads : options_.threads) VARVE_CHECK(threads >= 1);
}

SimExecutor::~SimExecutor() {
  while (pending_ > 0) wait_completions();
}

bool SimExecutor::has_slow_lane() const {
  auto slower = [](const LaneState& a, const LaneState& b) { return a.weight < b.weight; };
  auto [least, most] = std::minmax_element(lanes_.begin(), lanes_.end(), slower);
  return most->weight >= 32 * least->weight;
}

void SimExecutor::submit_job(Lane lane, std::unique_ptr<Job> job) {
  ++pending_;
  lanes_[static_cast<size_t>(lane)].waiting.push_back({lane, ++submitted_, std::move(job)});
}

size_t SimExecutor::run_completions(size_t limit) {
  while (!random_.one_in(4) && step()) {
  }
  return finish_arrived(limit);
}

size_t SimExecutor::wait_completions() {
  if (pending_ == 0) return 0;
  while (arrived_.empty()) VARVE_CHECK(step());
  return run_completions();
}

bool SimExecutor::step() {
  // A lane can do something if a job has run, or a thread is free for one that waits.
  auto can_run = [&](size_t i) {
    const auto free = static_cast<size_t>(options_.threads[i]) - lanes_[i].ran.size();
    return std::min(free, lanes_[i].waiting.size());
  };
  uint64_t total = 0;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    if (can_run(i) + lanes_[i].ran.size() > 0) total += lanes_[i].weight;
  }
  if (total == 0) return false;
  ++steps_;
  uint64_t at = random_.below(total);
  for (size_t i = 0; i < lanes_.size(); ++i) {
    LaneState& lane = lanes_[i];
    const size_t runnable = can_run(i);
    const size_t choices = runnable + lane.ran.size();
    if (choices == 0) continue;
    if (at >= lane.weight) {
      at -= lane.weight;
      continue;
    }
    const uint64_t choice = random_.below(choices);
    if (choice < runnable)
      run_one(&lane, choice);
    else
      arrive_one(&lane, choice - runnable);
    break;
  }
  return true;
}

void SimExecutor::run_one(LaneState* lane, uint64_t index) {
  auto at = lane->waiting.begin() + static_cast<ptrdiff_t>(index);
  Task task = std::move(*at);
  lane->waiting.erase(at);
  note("run", task);
  task.job->run();
  lane->ran.push_back(std::move(task));
}

void SimExecutor::arrive_one(LaneState* lane, uint64_t index) {
  auto at = lane->ran.begin() + static_cast<ptrdiff_t>(index);
  note("arrive", *at);
  arrived_.push_back(std::move(*at));
  lane->ran.erase(at);
}

size_t SimExecutor::finish_arrived(size_t limit) {
  const size_t count = std::min(limit, arrived_.size());
  size_t finished = 0;
  while (finished < count && !arrived_.empty()) {  // finish() may run completions itself
    Task task = std::move(arrived_.front());
    arrived_.pop_front();
    --pending_;
    note("finish", task);
    task.job->finish();
    ++finished;
  }
  return finished;
}

void SimExecutor::drop_all() {
  for (LaneState& lane : lanes_) {
    lane.waiting.clear();
    lane.ran.clear();
  }
  arrived_.clear();
  pending_ = 0;
}

void SimExecutor::note(const char* what, const Task& task) {
  if (!options_.keep_history) return;
  history_ += fmt::format("{} {} {}\n", what, kLaneNames[static_cast<size_t>(task.lane)], task.number);
}

}  // namespace varve::test
