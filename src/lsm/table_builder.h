// table_builder.h: writes one sorted table (table_format.h). Worker thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lsm/record_inspector.h"
#include "lsm/table_meta.h"
#include "os/file_system.h"

namespace varve {

enum class Compression : uint8_t { kNone = 0, kLz4 = 1, kZstd = 2 };

struct TableOptions {
  size_t block_size = 8 * 1024;      // raw bytes of a data block before it is cut
  size_t partition_size = 4 * 1024;  // of an index or filter partition
  int restart_interval = 16;
  Compression compression = Compression::kLz4;
  int zstd_level = 1;
  double filter_bits_per_key = 10;  // 0: no filter
  bool hash_index = false;          // in data blocks, for point lookups; costs about 1.3 bytes a record
  const RecordInspector* inspector = nullptr;  // may be null
};

class TableBuilder {
 public:
  // `file` is new and empty; the builder owns it.
  TableBuilder(const TableOptions& options, std::unique_ptr<WriteFile> file, uint64_t number,
               Identity identity);
  ~TableBuilder();

  // In record order. The first failed write is kept and returned by finish().
  void add(std::string_view key, Tag tag, std::string_view value);
  // Fragments in order of begin, not overlapping; may be mixed freely with add(). sequences: newest first.
  void add_range_tombstone(std::string_view begin, std::string_view end,
                           const std::vector<Sequence>& sequences);

  // Bytes written and about to be: for cutting outputs.
  uint64_t estimated_size() const;
  bool empty() const;
  // Widest bounds so far of the records are taken automatically; writes the rest, syncs and closes the file.
  // The caller syncs the directory.
  Result<TableMeta> finish();

 private:
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

}  // namespace varve
