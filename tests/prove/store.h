// store.h: an engine, or the whole keyspace above one, opened on a made-up file system by a seeded executor
// without threads; with the sizes so small that a few dozen records fill several tables. Every wait is
// bounded: what does not come to its end is told, not waited for.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "keyspace/keyspace.h"
#include "lsm/engine.h"
#include "prove/past.h"
#include "support/manual_clock.h"
#include "support/sim_executor.h"

namespace varve::prove {

inline constexpr char kStoreDir[] = "/db";

// What a scan met.
struct Reading {
  bool backwards = false, keyspace = false;
  Contents found;
  // Keys that could not be read; of a keyspace also "0/" for a database whose rest could not.
  std::map<std::string, Status> failed;
  // Every key in its direction before this one was met (engine). Empty: it came to its end.
  std::optional<std::string> stopped_after;
  Status failure;  // why it stopped

  // What is not as `expected`, a line each, at most `most`; what it says it could not read may be missing.
  std::vector<std::string> differences(const Contents& expected, size_t most) const;

 private:
  bool excused(const std::string& key) const;
};

class Store {
 public:
  // Opens, or tells by status() why not. Options but for fs, executor and clock are the caller's.
  Store(FileSystem& fs, EngineOptions options, uint64_t seed, bool keyspace);
  ~Store();
  Store(const Store&) = delete;

  const Status& status() const { return status_; }
  // The engine opened; status() may still be the keyspace's.
  bool opened() const { return engine_ != nullptr; }
  Engine& engine() { return *engine_; }
  Keyspace& keyspace() { return keyspace_; }
  bool has_keyspace() const { return has_keyspace_; }

  // Commits and returns the last sequence; kBusy when the engine admits nothing for too long.
  Result<Sequence> commit(const WriteBatch& batch);
  // One command over the keyspace.
  Result<Sequence> run(const std::function<void(Transaction&)>& command);
  // One turn of the owner's loop: the log is written.
  void turn();
  // Turns until everything committed is durable and nothing runs; without the idle watermark unless `idle`.
  Status settle(bool idle = true);
  Status flush() { return finish(begin_flush()); }
  Status compact() { return finish(begin_compact()); }
  Status checkpoint(const std::string& dir) { return finish(begin_checkpoint(dir)); }
  Status close();

  // The answer to something that takes a while; empty until it is there. Outlives the store.
  using Answer = std::shared_ptr<std::optional<Status>>;
  Answer begin_flush();
  Answer begin_compact();
  Answer begin_checkpoint(const std::string& dir);
  // Turns until the answer is there; kBusy after `turns_max` of them.
  Status finish(const Answer& answer, int turns_max = 20'000);

  // One value, by blocking reads or (not `blocking`) through misses and fetches. Keyspace: expired keys
  // count.
  Status get(const std::string& key, bool blocking, std::optional<std::string>* value);
  Reading scan(bool backwards);

 private:
  Status get_entry(ReadContext* context, const std::string& key, std::optional<std::string>* value);
  // Runs `read` again until it meets no missing block.
  Status through_misses(ReadContext* context, const std::function<void()>& read);
  Reading scan_engine(bool backwards);
  Reading scan_keyspace(bool backwards);

  test::ManualClock clock_;
  KeyspaceInspector inspector_;
  const bool has_keyspace_;
  std::unique_ptr<test::SimExecutor> executor_;
  std::unique_ptr<Engine> engine_;
  Keyspace keyspace_;
  Status status_;
};

// The engine's options with everything small.
EngineOptions small_options();

// "0/key" and its value as Contents have them.
std::string keyspace_name(uint32_t database, std::string_view key);
std::string keyspace_value(int64_t expire_ms, std::string_view value);

}  // namespace varve::prove
