// sim_executor.h: an Executor without threads. A seed decides which job runs next and when its completion
// arrives, within what the real pool (os/worker_pool.h) could do:
//
//   submitted --run--> ran --arrive--> completed --finish--> gone
//
// A lane with T threads has at most T jobs between "first could run" and "arrived": so a lane of one thread
// runs and completes strictly in order, a wider lane may overtake within its width, and lanes know nothing of
// each other. A job's result may lie "ran" for as long as the seed likes: others see its effects on files
// before the owner hears of it. Some seeds make some lanes slow. Same seed and same calls: same run.
//
// Threads: none; everything happens inside the owner's calls.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "os/executor.h"

namespace varve::test {

class SimExecutor final : public Executor {
 public:
  struct Options {
    std::array<int, kLaneCount> threads = {1, 1, 4, 1, 1, 1};  // by Lane's value, as in the real pool
    bool keep_history = false;
  };
  explicit SimExecutor(uint64_t seed) : SimExecutor(seed, Options()) {}
  SimExecutor(uint64_t seed, Options options);
  // Drains like the real pool: runs and finishes everything. After a simulated kill call drop_all() before.
  ~SimExecutor() override;

  void submit_job(Lane lane, std::unique_ptr<Job> job) override;
  // A random number of steps (maybe none), then finish() of what has arrived.
  size_t run_completions(size_t limit = SIZE_MAX) override;
  // Steps until something has arrived.
  size_t wait_completions() override;
  size_t pending() const override { return pending_; }

  // One job runs, or one completion arrives; no finish(). False when there is nothing to do but finish().
  bool step();
  // The process is killed: every job is destroyed, none is finished.
  void drop_all();

  uint64_t steps() const { return steps_; }
  // Some lane gets its turn far less often than another one.
  bool has_slow_lane() const;
  // With keep_history: "run read 3", "arrive read 3", "finish read 3", a line each. Numbers count
  // submissions.
  const std::string& history() const { return history_; }

 private:
  struct Task {
    Lane lane;
    uint64_t number;
    std::unique_ptr<Job> job;
  };
  struct LaneState {
    std::deque<Task> waiting;  // not run
    std::vector<Task> ran;     // run, not arrived: each still holds a thread
    uint64_t weight = 1;       // how often the lane is chosen, drawn once
  };

  void note(const char* what, const Task& task);
  void run_one(LaneState* lane, uint64_t index);
  void arrive_one(LaneState* lane, uint64_t index);
  size_t finish_arrived(size_t limit);

  const Options options_;
  Random random_;
  std::array<LaneState, kLaneCount> lanes_;
  std::deque<Task> arrived_;
  size_t pending_ = 0;
  uint64_t submitted_ = 0;
  uint64_t steps_ = 0;
  std::string history_;
};

}  // namespace varve::test
