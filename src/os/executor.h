// executor.h: how slow work leaves the owner's thread and comes back (DESIGN.md: "Slow work leaves as a plain
// function of its input and comes back as a value").
//
// The owner submits a work function (run on some worker, touching nothing but its own captured input) and a
// done function (run later on the owner's thread, with the value). A lane's jobs start in the order they were
// submitted; with one thread in a lane they also finish in that order. Lanes never queue behind each other.
// Implementations: ThreadExecutor (os/worker_pool.h), SimExecutor (tests/support).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace varve {

enum class Lane : uint8_t {
  kLog,       // append and fdatasync of the write-ahead log; one thread
  kManifest,  // appends to the manifest; one thread
  kRead,      // blocks that were not in memory
  kFlush,     // frozen memtable -> level-0 tables
  kCompact,   // tables -> tables; lower CPU and I/O priority
  kUtility,   // segment preparation, unlinking, checkpoints, recovery
};
inline constexpr int kLaneCount = 6;

// One piece of work. run() on a worker, then finish() on the owner's thread, then destroyed there.
class Job {
 public:
  virtual ~Job() = default;
  virtual void run() = 0;
  virtual void finish() = 0;
};

class Executor {
 public:
  virtual ~Executor() = default;
  virtual void submit_job(Lane lane, std::unique_ptr<Job> job) = 0;
  // Owner's thread: finishes completed jobs, at most `limit`; returns how many. Never waits.
  virtual size_t run_completions(size_t limit = SIZE_MAX) = 0;
  // Owner's thread: waits until a completion is there (or no job is left); then as run_completions.
  virtual size_t wait_completions() = 0;
  // Jobs submitted and not yet finished.
  virtual size_t pending() const = 0;

  template <class Work, class Done>
  void submit(Lane lane, Work work, Done done) {
    using Value = std::invoke_result_t<Work&>;
    struct Call final : Job {
      Call(Work w, Done d) : work(std::move(w)), done(std::move(d)) {}
      void run() override { value.emplace(work()); }
      void finish() override { done(std::move(*value)); }
      Work work;
      Done done;
      std::optional<Value> value;
    };
    submit_job(lane, std::make_unique<Call>(std::move(work), std::move(done)));
  }
};

}  // namespace varve
