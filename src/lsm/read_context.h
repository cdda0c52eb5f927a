// read_context.h: what belongs to one run of one command (or one call of the embedded Database): the blocks
// it wants, the blocks it holds, and the newest undurable thing it saw.
#pragma once

#include <memory>
#include <vector>

#include "lsm/block.h"
#include "lsm/table.h"

namespace varve {

struct BlockRequest {
  TableRef table;
  BlockHandle handle;
  BlockKind kind = BlockKind::kData;
};

struct ReadContext {
  // Read missing blocks right here, blocking (embedded Database, start-up).
  bool blocking = false;
  // Blocks found missing by this run, without duplicates. Non-empty after a run: its result is worthless;
  // fetch, run again.
  std::vector<BlockRequest> misses;
  // Blocks fetched for this command; they stay in memory until it is done.
  std::vector<BlockRef> pins;
  static constexpr size_t kKeptPins = 1024;  // room for so many is kept for the next command
  // First failure met by this run (I/O error, corruption).
  Status error;
  // Highest sequence among the records and tombstones met (0: none that could still be undurable).
  Sequence seen = 0;
  // How often this command has been run again.
  int restarts = 0;
  // Blocks whose fetch failed, and why: the next run meets the failure as an error instead of missing them
  // again.
  struct Failure {
    uint64_t file_number = 0;
    uint64_t offset = 0;
    Status status;
  };
  std::vector<Failure> failures;
  // Taken by the engine after many restarts: no new version is installed while it is held, so the command
  // gets through.
  std::shared_ptr<void> install_hold;
  // Debug setting random_miss_one_in: so many restarts at most are due to it; 0: not drawn yet.
  int pretended_misses_max = 0;

  bool faulted() const { return !misses.empty() || !error.ok(); }
  // Before another run: forgets misses, error and what was seen; keeps pins.
  void begin_run() {
    misses.clear();
    if (!error.ok()) error = Status();
    seen = 0;
  }
  // Between two commands, or two steps of a long one, that share a context: nothing of the last one stays.
  void begin_command() {
    begin_run();
    if (pins.capacity() > kKeptPins) pins = std::vector<BlockRef>();
    pins.clear();
    failures.clear();
    restarts = 0;
    pretended_misses_max = 0;
    install_hold.reset();
  }
};

}  // namespace varve
