// salvage_log.h: the batches of a log that may be damaged anywhere. The replay of a start (lsm/wal_format.h)
// ends at the first bad place; this goes on behind it: each frame stands for itself, by checksum, place and
// the segment's identity.
#pragma once

#include <string>
#include <vector>

#include "lsm/memtable.h"
#include "lsm/wal_format.h"
#include "tool/losses.h"

namespace varve::tool {

struct SalvagedLog {
  std::shared_ptr<MemTable> records;  // batches behind flushed_sequence
  Sequence last_sequence = 0;         // of any frame
  uint64_t manifest_edit = 0;         // the highest that any frame told
  uint64_t batches = 0;
};

// A segment file, and its identity if the manifest names it.
struct SegmentFile {
  std::string name;
  const LogSegment* named = nullptr;
};

// Reads every segment whole. Batches up to flushed_sequence stand in tables and are left out; what is missing
// between there and the highest sequence known to have been durable is a loss.
Result<SalvagedLog> salvage_log(FileSystem& fs, const std::string& dir, const std::vector<SegmentFile>& files,
                                Sequence flushed_sequence, Sequence durable_sequence, Losses* losses);

}  // namespace varve::tool
