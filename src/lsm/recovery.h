// recovery.h: opening a data directory: a blocking function of its input, on a worker. When it returns,
// everything the log held is durable in tables, the manifest names it, and new log segments are ready. Until
// its very last step the manifest and the segments are untouched, so a crash in here repeats it. This step is
// the switch of CURRENT to a new manifest, or, after a clean close, an edit in the one that is there.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lsm/engine.h"
#include "lsm/manifest.h"
#include "lsm/version.h"

namespace varve {

struct Recovered {
  std::unique_ptr<FileLock> lock;
  ManifestState state;
  std::map<uint64_t, TableRef> tables;
  std::unique_ptr<ManifestWriter> manifest;
  uint64_t manifest_edit = 0;
  Identity directory;
  Sequence last_sequence = 0;
  std::vector<std::shared_ptr<WriteFile>> segment_files;  // of state.log, in its order
  std::vector<LogSegment> free_segments;                  // files of former logs, for reuse
  // Names of files that nothing needs any more, to be removed: that can take as long as all the rest.
  std::vector<std::string> orphans;
  uint64_t batches = 0;
  uint64_t log_bytes = 0;
  bool torn_tail = false;
  std::string torn_place;
  bool created = false;
};

// How far file numbers are reserved ahead by each edit, and how many of them a job may use.
inline constexpr uint64_t kFileNumberHeadroom = 20'000;
inline constexpr uint64_t kJobFileNumbers = 1'000;

Result<Recovered> recover(const EngineOptions& options);

// Table options for a level's outputs.
TableOptions table_options(const EngineOptions& options, int output_level, bool last_level);

}  // namespace varve
