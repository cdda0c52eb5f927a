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

// A table as the tree knows it: by what the manifest says. Immutable, shared by versions and jobs. There may
// be many more of them than files may be open: a BlockSource opens what it is asked for, and while anybody
// holds a reference the file is not removed.
struct Table {
  TableMeta meta;
};
using TableRef = std::shared_ptr<const Table>;

// A table whose file is open and was found to be the one meant. The file closes with the last reference; any
// thread may read from it and let it go.
struct OpenTable : Table {
  std::unique_ptr<ReadFile> file;
};
using OpenTableRef = std::shared_ptr<const OpenTable>;

std::string table_file_name(uint64_t number);  // "00000012.sst"

// Reads one block: checks it before anyone looks inside, then decompresses. Any thread.
Result<BlockRef> read_block(const OpenTable& table, BlockHandle handle, BlockKind kind);
// The same from bytes already read (stored block and trailer).
Result<BlockRef> decode_block(const OpenTable& table, BlockHandle handle, BlockKind kind,
                              std::string_view stored);
// Bytes to read for a block: its stored size and the trailer.
size_t stored_block_size(BlockHandle handle);

// Checks footer, properties and identity against `meta` and opens. Any thread; blocks.
Result<OpenTableRef> open_table(FileSystem& fs, const std::string& dir, const TableMeta& meta);
// The same for a table that a version names, whose file must be there: its absence is damage too.
Result<OpenTableRef> open_live_table(FileSystem& fs, const std::string& dir, const TableMeta& meta);
// Opens a table of which nothing is known: reads the meta from its own footer and properties (tools,
// salvage).
Result<OpenTableRef> open_table_file(FileSystem& fs, const std::string& path);

// Where a reader gets blocks from.
class BlockSource {
 public:
  virtual ~BlockSource() = default;
  // kValid: *out holds it. kMiss: it was noted as wanted. kError: status() says why.
  virtual IterState get(const TableRef& table, BlockHandle handle, BlockKind kind, BlockRef* out) = 0;
  virtual Status status() const = 0;
};

// How many files a direct source keeps open at most.
inline constexpr size_t kDirectSourceFiles = 32;
// Reads blocks from the files of `dir`, blocking, with readahead that doubles from 8 KiB to `readahead_max`
// on sequential access; caches nothing. Opens the tables it is asked for (open_live_table) and closes those
// asked for longest ago. For workers and tools.
std::unique_ptr<BlockSource> new_direct_source(FileSystem& fs, std::string dir,
                                               size_t readahead_max = 1 << 20);

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
// Steps of it, on blocks at hand. False: the table has no such key.
struct PartitionHandles;
bool find_partition(const Block& top_index, std::string_view key, PartitionHandles* partition);
// *may_go_on: the key's versions may go on in the next block.
bool find_data_block(const Block& index, std::string_view key, BlockHandle* handle, bool* may_go_on);
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
// Adds all range tombstones of a range block, of the table, to *out.
void add_range_tombstones(const BlockRef& range_block, RangeTombstones* out);
IterState table_range_tombstones(BlockSource& source, const TableRef& table, RangeTombstones* out);
// All records of one table; of a sorted run of tables with disjoint bounds. source must outlive it.
std::unique_ptr<RecordIterator> new_table_iterator(BlockSource* source, TableRef table);
std::unique_ptr<RecordIterator> new_run_iterator(BlockSource* source, const std::vector<TableRef>* run);

}  // namespace varve
