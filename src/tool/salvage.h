// salvage.h: copies what is intact out of a damaged data directory into a new one that opens, and says what
// is missing.
//
//   tables (block by block) + log (frame by frame) -> merged by key, newest sequence first -> new directory
//
// A key's newest intact record counts, unless a later range delete covers it. What a lost record had deleted
// or overwritten may come back in its older state; the losses say where. The new directory's sequences go on
// above the old ones, so that nothing derived from a sequence (collection ids) is ever used twice.
#pragma once

#include <string>

#include "os/executor.h"
#include "os/file_system.h"
#include "tool/directory.h"

namespace varve::tool {

struct SalvageOptions {
  std::string dir;          // never changed
  std::string out;          // made; must be absent or empty
  std::string application;  // if no manifest tells it; empty: the server's
  // Of the new directory.
  uint64_t log_segment_size = 32 << 20;
  size_t memtable_size = 32 << 20;
};

struct SalvageReport {
  uint64_t tables = 0;
  uint64_t batches = 0;  // of the log
  uint64_t records = 0;  // written
  uint64_t losses = 0;
};

// Prints losses and notes as it finds them. A failure leaves OUT as it was
// found, or unfinished: then its message says so.
Result<SalvageReport> salvage(FileSystem& fs, const SalvageOptions& options, const Print& print);

}  // namespace varve::tool
