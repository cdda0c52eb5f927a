// manifest_queue.h: the owner's side of the manifest: edits wait in order, one append is in flight on the
// manifest lane, and the state changes only when an edit is durable. A manifest whose append failed is never
// written to again: its successor (a new file with the whole state) takes over, tried again until the disk
// allows it; the edits wait meanwhile.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "lsm/manifest.h"
#include "lsm/recovery.h"
#include "os/executor.h"

namespace varve {

class ManifestQueue {
 public:
  // `take_file_number` gives the number of a new manifest; `on_stalled` is called after each failure.
  ManifestQueue(const EngineOptions& options, Recovered* recovered,
                std::function<uint64_t()> take_file_number, std::function<void()> on_stalled);

  // `done` runs once the edit is durable and in state().
  void submit(VersionEdit edit, std::function<void()> done);
  // At a clean close, while idle: leaves the closing record (ManifestWriter::close), or goes without.
  void finish(Sequence last, std::function<void()> done);
  // Every 100 ms: retries.
  void tick();
  const ManifestState& state() const { return state_; }
  uint64_t durable_edit() const { return durable_edit_; }
  bool idle() const { return !running_ && queue_.empty(); }
  bool running() const { return running_; }
  // Why the queue stands still; ok when it does not.
  const Status& error() const { return error_; }
  // When it began to; monotonic microseconds, meaningful while error() is not ok.
  int64_t failing_since_us() const { return failing_since_us_; }

 private:
  struct Waiting {
    VersionEdit edit;
    std::function<void()> done;
  };
  void start();
  void start_append();
  void start_rewrite();
  void finish_append(const Status& status);
  void finish_rewrite(Result<std::shared_ptr<ManifestWriter>> writer);
  void stall(const Status& status);

  const EngineOptions& options_;
  std::function<uint64_t()> take_file_number_;
  std::function<void()> on_stalled_;
  Random random_;
  Identity directory_;
  std::shared_ptr<ManifestWriter> writer_;
  ManifestState state_;
  uint64_t durable_edit_ = 0;
  uint64_t size_after_rewrite_ = 0;
  std::deque<Waiting> queue_;
  bool running_ = false;
  bool broken_ = false;  // the writer failed: rewrite before the next append
  Status error_;
  int64_t retry_at_us_ = 0;
  int64_t failing_since_us_ = 0;
};

}  // namespace varve
