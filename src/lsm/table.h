// table.h: reading sorted tables. The format is drawn in table_format.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lsm/block.h"
#include "lsm/iterator.h"
#include "lsm/range_tombstones.h"
#include "lsm/table_meta.h"
#include "os/file_system.h"

namespace varve {

// An open table. Immutable, shared by versions and jobs; reading goes through a BlockSource.
struct Table {
  TableMeta meta;
  std::unique_ptr<ReadFile> file;
};
using TableRef = std::shared_ptr<const Table>;

std::string table_file_name(uint64_t number);  // "00000012.sst"

// Reads one block: checks it before anyone looks inside, then decompresses. Any thread.
Result<BlockRef> read_block(const Table& table, BlockHandle handle, BlockKind kind);
// The same from bytes already read (stored block and trailer).
Result<BlockRef> decode_block(const Table& table, BlockHandle handle, BlockKind kind,
                              std::string_view stored);
// Bytes to read for a block: its stored size and the trailer.
size_t stored_block_size(BlockHandle handle);

// Checks footer, properties and identity against `meta` and opens. Any thread; blocks.
Result<TableRef> open_table(FileSystem& fs, const std::string& dir, TableMeta meta);
// Opens a table of which nothing is known: reads the meta from its own footer and properties (tools,
// salvage).
Result<TableRef> open_table_file(FileSystem& fs, const std::string& path);

// Where a reader gets blocks from.
class BlockSource {
 public:
  virtual ~BlockSource() = default;
  // kValid: *out holds it. kMiss: it was noted as wanted. kError: status() says why.
  virtual IterState get(const TableRef& table, BlockHandle handle, BlockKind kind, BlockRef* out) = 0;
  virtual Status status() const = 0;
};

// Reads blocks from the file, blocking, with readahead that doubles from 8 KiB to `readahead_max` on
// sequential access; caches nothing. For workers and tools.
std::unique_ptr<BlockSource> new_direct_source(size_t readahead_max = 1 << 20);

struct TableHit {
  bool found = false;
  bool filtered = false;  // absent, and the filter alone knew it
  Tag tag;
  std::string_view value;  // points into `pin`
  BlockRef pin;
};
// The newest record of key with sequence <= at: kValid with hit->found or not; kMiss; kError. Uses the
// filter. Range tombstones are not consulted.
IterState table_get(BlockSource& source, const TableRef& table, std::string_view key, uint64_t key_hash,
                    Sequence at, TableHit* hit);
// The highest sequence <= at of a range tombstone of the table that covers key; 0 when none.
IterState table_covering(BlockSource& source, const TableRef& table, std::string_view key, Sequence at,
                         Sequence* covering);
// What range tombstones say of all keys from `begin` to `end` (exclusive; empty: no bound): deleted at
// `sequence`, or, when that is 0, not deleted.
struct TombstoneStretch {
  std::string begin;
  std::string end;
  Sequence sequence = 0;
};
// Of the table's range tombstones with a sequence <= at: the stretch that holds `key` or, with `below`, the
// keys just below it (begin < key <= end).
IterState table_tombstone_stretch(BlockSource& source, const TableRef& table, std::string_view key,
                                  bool below, Sequence at, TombstoneStretch* stretch);
// Adds all range tombstones of the table to *out.
IterState table_range_tombstones(BlockSource& source, const TableRef& table, RangeTombstones* out);
// All records of one table; of a sorted run of tables with disjoint bounds. source must outlive it.
std::unique_ptr<RecordIterator> new_table_iterator(BlockSource* source, TableRef table);
std::unique_ptr<RecordIterator> new_run_iterator(BlockSource* source, const std::vector<TableRef>* run);

}  // namespace varve
