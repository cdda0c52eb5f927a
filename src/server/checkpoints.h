// checkpoints.h: SAVE and BGSAVE: a checkpoint directory each, below one parent, of which the newest few are
// kept.
//
//   <checkpoint-dir>/checkpoint-<unix milliseconds, 15 digits>/     sorts by age
//
// Loop thread; the file work that is not the engine's runs on the utility lane.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "lsm/engine.h"
#include "os/executor.h"
#include "os/file_system.h"

namespace varve {

class Checkpoints {
 public:
  Checkpoints(FileSystem& fs, Executor& executor, Clock& clock);

  // Makes one below `parent` and then removes all but the newest `keep` (0: keeps all). One at a time; kBusy
  // if one runs.
  void start(Engine& engine, const std::string& parent, int keep, std::function<void(Status)> done);
  bool running() const { return running_; }
  int64_t running_s() const;  // -1: none runs
  int64_t last_s() const { return last_s_; }
  bool last_ok() const { return last_ok_; }
  int64_t last_duration_s() const { return last_duration_s_; }
  // What the last good one holds everything of; what was there at the start, before the first.
  Sequence last_sequence() const { return last_sequence_; }
  void opened(Sequence sequence) { last_sequence_ = sequence; }
  uint64_t count() const { return count_; }

 private:
  void finish(const Status& status, const std::function<void(Status)>& done);

  FileSystem& fs_;
  Executor& executor_;
  Clock& clock_;
  bool running_ = false;
  int64_t started_us_ = 0;
  int64_t last_s_;
  bool last_ok_ = true;
  int64_t last_duration_s_ = -1;
  uint64_t count_ = 0;
  Sequence last_sequence_ = 0;
};

}  // namespace varve
