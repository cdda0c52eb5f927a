// worker_pool.h: the real Executor: threads in lanes, a completion queue, and one call that wakes the owner.
#pragma once

#include <array>
#include <functional>
#include <memory>

#include "os/executor.h"

namespace varve {

struct WorkerPoolOptions {
  // Threads per lane, by Lane's value. kLog and kManifest must have one (their jobs finish in order).
  std::array<int, kLaneCount> threads = {1, 1, 4, 1, 1, 1};
  // Called on a worker's thread when the completion queue turns non-empty (and on the owner's when
  // run_completions leaves some behind); wakes the owner (uv_async_send). Must stay callable until the pool
  // is gone. Empty: the owner uses wait_completions().
  std::function<void()> notify;
};

// Threads: constructed, used and destroyed by the owner's thread. The destructor drains: every submitted job
// runs and its finish() is called, then the threads are joined.
class ThreadExecutor final : public Executor {
 public:
  explicit ThreadExecutor(WorkerPoolOptions options);
  ~ThreadExecutor() override;

  void submit_job(Lane lane, std::unique_ptr<Job> job) override;
  size_t run_completions(size_t limit = SIZE_MAX) override;
  size_t wait_completions() override;
  size_t pending() const override { return pending_; }

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
  size_t pending_ = 0;  // owner's thread only
};

}  // namespace varve
