// engine_world.h: a real Engine in a simulated world: files that lose power, an executor without threads, a
// clock that stands still. Keeps what a client would know: which batches were committed, which were seen to
// be durable.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "lsm/engine.h"
#include "support/crash_fs.h"
#include "support/manual_clock.h"
#include "support/sim_executor.h"

namespace varve::test {

using Contents = std::map<std::string, std::string>;

// One batch as the model applies it. Every batch also writes its own number under kBatchKey.
struct ModelBatch {
  struct Op {
    Kind kind;
    std::string key, value;
  };
  std::vector<Op> ops;
  void apply(Contents* contents) const;
};
inline constexpr std::string_view kBatchKey = "~batch";

class EngineWorld {
 public:
  explicit EngineWorld(uint64_t seed);
  ~EngineWorld();

  // Redraws the engine's options (tiny memtables, tiny caches, random misses, sync modes).
  void draw_options();
  EngineOptions& options() { return options_; }
  CrashFs& files() { return files_; }
  Engine& engine() { return *engine_; }
  Random& random() { return random_; }
  SimExecutor& executor() { return *executor_; }
  ManualClock& clock() { return clock_; }

  // Opens and, if it opened, checks that the contents are those of a prefix of all batches that holds at
  // least the durable ones; from then on that prefix is the past. Returns why not.
  Status open();
  // One random thing a server could do: commit a batch, read, iterate, end a turn, let the world move on.
  void step();
  // Commits a random batch if the engine admits it.
  void commit_random();
  // A read that must agree with the model, through misses and fetches.
  void check_key(const std::string& key);
  // The whole contents against the model, forwards and backwards.
  void check_all();
  // Lets everything under way finish; false if it does not.
  bool settle();
  // The process dies: jobs are gone, files keep what `policy` leaves.
  void kill(const CrashPolicy& policy);
  // A clean close.
  Status close();

  std::string random_key();
  const Contents& contents() const { return contents_; }
  uint64_t committed() const { return past_ + batches_.size(); }
  uint64_t durable_batches() const;
  uint64_t lost_batches() const { return lost_batches_; }  // committed, never durable, gone after a kill
  uint64_t amended() const { return amended_; }            // values changed in place
  uint64_t replayed_batches() const { return replayed_batches_; }  // found by recoveries in the log
  std::vector<std::string> errors;                                 // disagreements with the model

 private:
  void complain(const std::string& text);
  void amend_random(const WriteBatch& batch, ModelBatch* model);
  Contents read_all(bool backwards);
  void wait_for(const bool& flag);
  void check_recovered();

  Random random_;
  Random amend_random_;  // its own, so that seeds mean what they did
  CrashFs files_;
  ManualClock clock_;
  std::unique_ptr<SimExecutor> executor_;
  EngineOptions options_;
  std::unique_ptr<Engine> engine_;

  uint64_t past_ = 0;                     // batches before the last recovery, all of them in base_
  Contents base_;                         // contents at the last recovery
  Contents contents_;                     // contents now
  std::vector<ModelBatch> batches_;       // since the last recovery
  std::vector<Sequence> last_sequences_;  // of each of them
  Sequence durable_ = 0;                  // as told by the engine of this life
  uint64_t lost_batches_ = 0, replayed_batches_ = 0;
  std::string last_long_;  // the key that was last given a long value
  uint64_t amended_ = 0;
};

}  // namespace varve::test
