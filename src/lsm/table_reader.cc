// Opening tables, reading their blocks, point lookups. The format is drawn in table_format.h.
#include <fmt/format.h>

#include "base/check.h"
#include "base/checksum.h"
#include "base/plant.h"
#include "lsm/block_compression.h"
#include "lsm/block_reader.h"
#include "lsm/filter.h"
#include "lsm/table.h"
#include "lsm/table_format.h"
#include "lsm/table_iterator.h"

namespace varve {

std::string table_file_name(uint64_t number) {
  return fmt::format("{:08}.sst", number);
}

size_t stored_block_size(BlockHandle handle) {
  return static_cast<size_t>(handle.size) + kBlockTrailerSize;
}

namespace {

// Failures name the file as it is, which a tool may have found under another name.
std::string_view file_name(const ReadFile& file) {
  std::string_view path = file.path();
  return path.substr(path.rfind('/') + 1);
}

Status bad_block(const OpenTable& table, BlockHandle handle, std::string_view why) {
  return Status::corruption("{}: block at {}: {}", file_name(*table.file), handle.offset, why);
}

bool content_is_valid(const OpenTable& table, BlockKind kind, std::string_view raw) {
  switch (kind) {
    case BlockKind::kData:
    case BlockKind::kIndex:
    case BlockKind::kTopIndex:
    case BlockKind::kRange:
      return check_entries(raw, kind, table.meta.file_size);
    case BlockKind::kFilter:
      return filter_is_valid(raw);
    case BlockKind::kProperties:
      return true;  // decoded by open_table
    case BlockKind::kFooter:
      return false;
  }
  return false;
}

}  // namespace

// The whole content is looked at here, once, on the worker that read it: so lookups on the owner's thread
// meet only well-formed blocks.
Result<BlockRef> decode_block(const OpenTable& table, BlockHandle handle, BlockKind kind,
                              std::string_view stored) {
  if (stored.size() != stored_block_size(handle)) return bad_block(table, handle, "cut short");
  std::string_view content = stored.substr(0, handle.size);
  auto compression = static_cast<uint8_t>(stored[handle.size]);
  uint64_t expected = decode_fixed64(stored.data() + handle.size + 1);
  uint64_t seed = place_seed(table.meta.identity, handle.offset, static_cast<uint8_t>(kind));
  if (checksum(stored.substr(0, handle.size + 1), seed) != expected && !planted(Plant::block_unchecked))
    return bad_block(table, handle, "bad checksum");
  Buffer raw;
  if (!decompress_block(content, compression, &raw)) return bad_block(table, handle, "does not decompress");
  if (!content_is_valid(table, kind, raw.view())) return bad_block(table, handle, "malformed");
  return BlockRef(new Block(std::move(raw), kind));
}

Result<BlockRef> read_block(const OpenTable& table, BlockHandle handle, BlockKind kind) {
  if (!handle_fits(handle, table.meta.file_size)) return bad_block(table, handle, "outside of the file");
  Buffer stored;
  Status read = table.file->read_at(handle.offset, stored_block_size(handle), &stored);
  if (!read.ok()) {
    return Status(read.code(),
                  fmt::format("{}: block at {}: {}", file_name(*table.file), handle.offset, read.message()));
  }
  return decode_block(table, handle, kind, stored.view());
}

namespace {

// Opens the file at `path` and learns everything from the file itself.
Result<std::shared_ptr<OpenTable>> open_and_check(FileSystem& fs, const std::string& path) {
  auto opened = fs.open_read(path);
  if (!opened) return opened.status();
  auto table = std::make_shared<OpenTable>();
  table->file = opened.take();
  const ReadFile& file = *table->file;
  uint64_t size = file.size();
  if (size < kTableFooterSize) {
    return Status::corruption("{}: 0: too short for a table ({} bytes)", file_name(file), size);
  }
  const uint64_t footer_at = size - kTableFooterSize;
  Buffer bytes;
  VARVE_TRY(file.read_at(footer_at, kTableFooterSize, &bytes));
  TableFooter footer;
  if (Status status = footer.decode(bytes.view(), size); !status.ok()) {
    if (status.is_corruption())
      return Status::corruption("{}: {}: {}", file_name(file), footer_at, status.message());
    return Status(status.code(), fmt::format("{}: {}", file_name(file), status.message()));
  }
  table->meta.file_size = size;
  table->meta.identity = footer.identity;
  auto properties = read_block(*table, footer.properties, BlockKind::kProperties);
  if (!properties) return properties.status();
  std::string_view in = (*properties)->bytes();
  TableMeta meta;
  if (!meta.decode(&in) || !in.empty() || meta.file_size != 0) {
    return bad_block(*table, footer.properties, "malformed properties");
  }
  meta.file_size = size;
  if (meta.number != footer.number || meta.identity != footer.identity ||
      meta.top_index != footer.top_index || meta.range_block != footer.range_block) {
    return Status::corruption("{}: {}: footer and properties disagree", file_name(file), footer_at);
  }
  table->meta = std::move(meta);
  return table;
}

}  // namespace

Result<OpenTableRef> open_table(FileSystem& fs, const std::string& dir, const TableMeta& meta) {
  auto table = open_and_check(fs, join_path(dir, table_file_name(meta.number)));
  if (!table) return table.status();
  const TableMeta& found = (*table)->meta;
  if (found == meta) return OpenTableRef(table.take());
  std::string name = fmt::format("{}: {}", table_file_name(meta.number), found.file_size - kTableFooterSize);
  if (found.identity != meta.identity || found.number != meta.number) {
    return Status::corruption("{}: is another table ({} {}, expected {} {})", name, found.number,
                              found.identity.to_string(), meta.number, meta.identity.to_string());
  }
  if (found.file_size != meta.file_size) {
    return Status::corruption("{}: has {} bytes, expected {}", name, found.file_size, meta.file_size);
  }
  return Status::corruption("{}: properties are not those in the manifest", name);
}

Result<OpenTableRef> open_live_table(FileSystem& fs, const std::string& dir, const TableMeta& meta) {
  auto table = open_table(fs, dir, meta);
  if (!table && table.status().is_not_found()) {
    return Status::corruption("{}: the file is gone ({})", table_file_name(meta.number),
                              table.status().message());
  }
  return table;
}

Result<OpenTableRef> open_table_file(FileSystem& fs, const std::string& path) {
  auto table = open_and_check(fs, path);
  if (!table) return table.status();
  return OpenTableRef(table.take());
}

namespace {

// A block that decode_block let pass cannot fail these: it is our own mistake, or bad memory, if one does.
BlockView view_of(const Block& block) {
  BlockView view;
  VARVE_CHECK(view.parse(block.bytes()));
  return view;
}

bool find_entry(const Block& block, std::string_view key, BlockPosition* position) {
  BlockSearch result = search_block(view_of(block), key, position);
  VARVE_CHECK(result != BlockSearch::kMalformed);
  return result == BlockSearch::kFound;
}

// For keys whose versions go on in the next block.
IterState get_by_walking(BlockSource& source, const TableRef& table, std::string_view key, Sequence at,
                         TableHit* hit) {
  TableIterator it(&source, table);
  for (it.seek(key); it.valid() && it.key() == key; it.next()) {
    if (it.tag().sequence() > at) continue;
    hit->found = true;
    hit->tag = it.tag();
    hit->value = it.value();
    hit->pin = it.data_block();
    return IterState::kValid;
  }
  return it.state() == IterState::kEnd ? IterState::kValid : it.state();
}

}  // namespace

bool find_partition(const Block& top_index, std::string_view key, PartitionHandles* partition) {
  BlockPosition position;
  if (!find_entry(top_index, key, &position)) return false;
  VARVE_CHECK(partition->decode(position.entry.value_view()));
  return true;
}

bool find_data_block(const Block& index, std::string_view key, BlockHandle* handle, bool* may_go_on) {
  BlockPosition position;
  if (!find_entry(index, key, &position)) return false;
  std::string_view value = position.entry.value_view();
  VARVE_CHECK(get_handle(&value, handle));
  *may_go_on = position.exact;
  return true;
}

IterState table_get(BlockSource& source, const TableRef& table, std::string_view key, uint64_t key_hash,
                    Sequence at, TableHit* hit) {
  hit->found = false;
  hit->filtered = false;
  if (table->meta.top_index.size == 0) return IterState::kValid;
  BlockRef block;
  IterState state = source.get(table, table->meta.top_index, BlockKind::kTopIndex, &block);
  if (state != IterState::kValid) return state;
  PartitionHandles partition;
  if (!find_partition(*block.get(), key, &partition)) return IterState::kValid;

  if (partition.filter.size > 0) {
    BlockRef filter;
    state = source.get(table, partition.filter, BlockKind::kFilter, &filter);
    if (state == IterState::kMiss) {
      // The index will be wanted unless the filter says no: have both fetched together.
      BlockRef index;
      return source.get(table, partition.index, BlockKind::kIndex, &index) == IterState::kError
                 ? IterState::kError
                 : IterState::kMiss;
    }
    if (state != IterState::kValid) return state;
    if (!filter_may_contain(filter->bytes(), key_hash)) {
      hit->filtered = true;
      return IterState::kValid;
    }
  }
  state = source.get(table, partition.index, BlockKind::kIndex, &block);
  if (state != IterState::kValid) return state;
  BlockHandle handle;
  bool may_go_on = false;
  if (!find_data_block(*block.get(), key, &handle, &may_go_on)) return IterState::kValid;
  state = source.get(table, handle, BlockKind::kData, &block);
  if (state != IterState::kValid) return state;
  BlockHit found;
  VARVE_CHECK(find_in_block(view_of(*block.get()), key, key_hash, at, &found) != BlockSearch::kMalformed);
  if (found.found) {
    hit->found = true;
    hit->tag = found.tag;
    hit->value = found.value;
    hit->pin = std::move(block);
  } else if (found.exhausted && may_go_on) {
    return get_by_walking(source, table, key, at, hit);
  }
  return IterState::kValid;
}

namespace {

// Opens the table's range block; kEnd when it has none.
IterState open_range_block(BlockSource& source, const TableRef& table, BlockRef* block, BlockIterator* it) {
  if (table->meta.range_block.size == 0) return IterState::kEnd;
  IterState state = source.get(table, table->meta.range_block, BlockKind::kRange, block);
  if (state == IterState::kValid) it->open((*block)->bytes());
  return state;
}

// Where the fragment at which the iterator stands ends; *sequences: what visit_sequences reads.
std::string_view fragment_end(const BlockIterator& it, std::string_view* sequences) {
  std::string_view end;
  *sequences = it.value();
  VARVE_CHECK(get_length_prefixed(sequences, &end));
  return end;
}

// Calls `visit` for each sequence of a fragment, newest first, until it returns false.
template <class Visit>
void visit_sequences(Tag tag, std::string_view rest, Visit visit) {
  Sequence sequence = tag.sequence();
  uint64_t more = 0;
  VARVE_CHECK(get_varint(&rest, &more));
  for (; visit(sequence) && more > 0; --more) {
    uint64_t drop = 0;
    VARVE_CHECK(get_varint(&rest, &drop));
    sequence -= drop;
  }
}

// The newest sequence <= at of a fragment; 0 when there is none.
Sequence newest_visible(Tag tag, std::string_view sequences, Sequence at) {
  Sequence newest = 0;
  visit_sequences(tag, sequences, [&](Sequence sequence) {
    if (sequence <= at) newest = sequence;
    return sequence > at;
  });
  return newest;
}

}  // namespace

IterState table_covering(BlockSource& source, const TableRef& table, std::string_view key, Sequence at,
                         Sequence* covering) {
  *covering = 0;
  BlockRef block;
  BlockIterator it;
  IterState state = open_range_block(source, table, &block, &it);
  if (state != IterState::kValid) return state == IterState::kEnd ? IterState::kValid : state;
  // The last fragment that begins at or before key.
  it.seek(key);
  if (it.state() == IterState::kEnd)
    it.seek_to_last();
  else if (it.valid() && it.key() > key)
    it.prev();
  VARVE_CHECK(it.state() != IterState::kError);
  if (!it.valid()) return IterState::kValid;
  std::string_view sequences;
  if (key < fragment_end(it, &sequences)) *covering = newest_visible(it.tag(), sequences, at);
  return IterState::kValid;
}

IterState table_tombstone_stretch(BlockSource& source, const TableRef& table, std::string_view key,
                                  bool below, Sequence at, TombstoneStretch* stretch) {
  *stretch = TombstoneStretch();
  BlockRef block;
  BlockIterator it;
  IterState state = open_range_block(source, table, &block, &it);
  if (state != IterState::kValid) return state == IterState::kEnd ? IterState::kValid : state;
  // The first fragment behind the place, then the one in front of it.
  it.seek(key);
  if (!below && it.valid() && it.key() == key) it.next();
  if (it.valid()) {
    stretch->end = it.key();
    it.prev();
  } else {
    it.seek_to_last();
  }
  VARVE_CHECK(it.state() != IterState::kError);
  if (!it.valid()) return IterState::kValid;
  std::string_view sequences, end = fragment_end(it, &sequences);
  if (below ? key > end : key >= end) {
    stretch->begin = end;
    return IterState::kValid;
  }
  stretch->begin = it.key();
  stretch->end = end;
  stretch->sequence = newest_visible(it.tag(), sequences, at);
  return IterState::kValid;
}

void add_range_tombstones(const BlockRef& range_block, RangeTombstones* out) {
  BlockIterator it(range_block->bytes());
  for (it.seek_to_first(); it.valid(); it.next()) {
    std::string_view sequences, end = fragment_end(it, &sequences);
    visit_sequences(it.tag(), sequences, [&](Sequence sequence) {
      out->add(it.key(), end, sequence);
      return true;
    });
  }
  VARVE_CHECK(it.state() == IterState::kEnd);
}

IterState table_range_tombstones(BlockSource& source, const TableRef& table, RangeTombstones* out) {
  if (table->meta.range_block.size == 0) return IterState::kValid;
  BlockRef block;
  IterState state = source.get(table, table->meta.range_block, BlockKind::kRange, &block);
  if (state == IterState::kValid) add_range_tombstones(block, out);
  return state;
}

}  // namespace varve
