#include "lsm/table_builder.h"

#include <algorithm>
#include <optional>

#include "base/buffer.h"
#include "base/check.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "base/plant.h"
#include "lsm/block.h"
#include "lsm/block_builder.h"
#include "lsm/block_compression.h"
#include "lsm/filter.h"
#include "lsm/table_format.h"

namespace varve {
namespace {

constexpr size_t kWriteSize = 256 * 1024;
constexpr uint64_t kWriteBackEvery = 1 << 20;
// Separators are short and each is looked at in a binary search: few of them may need the one before.
constexpr int kIndexRestartInterval = 4;
// Room for the varints of an index entry's handles.
constexpr size_t kHandleRoom = 24;

}  // namespace

struct TableBuilder::Rep {
  Rep(const TableOptions& o, std::unique_ptr<WriteFile> f)
      : options(o),
        file(std::move(f)),
        data(o.restart_interval, o.hash_index),
        index(kIndexRestartInterval, false),
        top_index(kIndexRestartInterval, false),
        range(kIndexRestartInterval, false),
        filter(o.filter_bits_per_key),
        compressor(o.compression, o.zstd_level) {}

  uint64_t offset() const { return flushed + pending.size(); }
  void write_pending(bool all);
  BlockHandle append_block(std::string_view raw, BlockKind kind);
  void count_record(std::string_view key, Tag tag, std::string_view value);
  void see_sequence(Sequence sequence);
  void finish_data_block(std::optional<std::string_view> next_key);
  bool partition_is_full() const;
  void finish_partition();
  void finish_bounds();

  const TableOptions options;
  std::unique_ptr<WriteFile> file;
  TableMeta meta;
  Status status;

  Buffer pending;  // written at `flushed` when it has grown to kWriteSize
  uint64_t flushed = 0;
  uint64_t write_back_from = 0;

  BlockBuilder data;
  BlockBuilder index;  // the partition being built
  BlockBuilder top_index;
  BlockBuilder range;
  FilterBuilder filter;  // goes with `index`
  BlockCompressor compressor;
  size_t keys_of_block = 0;
  std::string last_separator;

  std::string last_key;
  Sequence last_sequence = 0;
  uint64_t last_hash = 0;
  std::string range_begin;  // of the first fragment
  std::string range_end;    // of the last one
  bool sequences_seen = false;
};

void TableBuilder::Rep::write_pending(bool all) {
  if (pending.empty() || (!all && pending.size() < kWriteSize)) return;
  if (status.ok()) status = file->write_at(flushed, pending.view());
  flushed += pending.size();
  pending.clear();
  if (status.ok() && flushed - write_back_from >= kWriteBackEvery) {
    file->start_write_back(write_back_from, flushed - write_back_from);
    write_back_from = flushed;
  }
}

BlockHandle TableBuilder::Rep::append_block(std::string_view raw, BlockKind kind) {
  if (raw.size() > kMaxBlockSize) {
    if (status.ok())
      status = Status::unsupported("{}: a block of {} bytes is too large", file->path(), raw.size());
    return {};
  }
  Compression used = Compression::kNone;
  // Good filters look like noise.
  std::string_view stored = kind == BlockKind::kFilter ? raw : compressor.compress(raw, &used);
  BlockHandle handle{offset(), stored.size()};
  size_t start = pending.size();
  pending.append(stored);
  char trailer[kBlockTrailerSize];
  trailer[0] = static_cast<char>(used);
  pending.append(trailer, 1);
  uint64_t seed = place_seed(meta.identity, handle.offset, static_cast<uint8_t>(kind));
  encode_fixed64(trailer, checksum(pending.view().substr(start), seed));
  pending.append(trailer, 8);
  write_pending(false);
  return handle;
}

void TableBuilder::Rep::see_sequence(Sequence sequence) {
  VARVE_CHECK(sequence <= kMaxSequence);
  meta.smallest_sequence = sequences_seen ? std::min(meta.smallest_sequence, sequence) : sequence;
  meta.largest_sequence = std::max(meta.largest_sequence, sequence);
  sequences_seen = true;
}

void TableBuilder::Rep::count_record(std::string_view key, Tag tag, std::string_view value) {
  ++meta.records;
  if (tag.kind() == Kind::kDelete) ++meta.deletes;
  if (tag.blind()) ++meta.blind;
  meta.raw_key_bytes += key.size();
  meta.raw_value_bytes += value.size();
  see_sequence(tag.sequence());
  if (tag.kind() != Kind::kPut || options.inspector == nullptr) return;
  RecordInspector::Traits traits = options.inspector->traits(key, value);
  if (traits.owns_collection) ++meta.collections;
  if (traits.expire_ms == 0) return;
  bool first = meta.min_expire_ms == 0;
  meta.expiring_bytes += key.size() + value.size();
  meta.min_expire_ms = first ? traits.expire_ms : std::min(meta.min_expire_ms, traits.expire_ms);
  meta.max_expire_ms = first ? traits.expire_ms : std::max(meta.max_expire_ms, traits.expire_ms);
}

// next_key: of the record that opens the next block; none at the end of the table.
void TableBuilder::Rep::finish_data_block(std::optional<std::string_view> next_key) {
  if (data.empty()) return;
  BlockHandle handle = append_block(data.finish(), BlockKind::kData);
  data.reset();
  ++meta.data_blocks;
  last_separator = next_key ? shortest_separator(last_key, *next_key) : last_key;
  std::string value;
  put_handle(&value, handle);
  index.add(last_separator, Tag{}, value);
  if (partition_is_full() || !next_key) finish_partition();
  keys_of_block = 0;
}

// Would another block like the last one overfill the partition?
bool TableBuilder::Rep::partition_is_full() const {
  return filter.size_for(filter.key_count() + keys_of_block) > options.partition_size ||
         index.size_with(last_separator.size(), kHandleRoom) > options.partition_size;
}

void TableBuilder::Rep::finish_partition() {
  PartitionHandles handles;
  if (filter.key_count() > 0) handles.filter = append_block(filter.finish(), BlockKind::kFilter);
  handles.index = append_block(index.finish(), BlockKind::kIndex);
  index.reset();
  std::string value;
  handles.encode(&value);
  top_index.add(last_separator, Tag{}, value);
}

// Records and range deletes together.
void TableBuilder::Rep::finish_bounds() {
  if (meta.records > 0) meta.largest = last_key;  // `smallest` stands since the first record
  if (meta.range_deletes == 0) return;
  if (meta.records == 0 || range_begin < meta.smallest) meta.smallest = range_begin;
  if (meta.records == 0 || range_end > meta.largest) {
    meta.largest = range_end;
    meta.largest_exclusive = true;
  }
}

TableBuilder::TableBuilder(const TableOptions& options, std::unique_ptr<WriteFile> file, uint64_t number,
                           Identity identity)
    : rep_(std::make_unique<Rep>(options, std::move(file))) {
  rep_->meta.number = number;
  rep_->meta.identity = identity;
}

TableBuilder::~TableBuilder() = default;

void TableBuilder::add(std::string_view key, Tag tag, std::string_view value) {
  Rep& r = *rep_;
  VARVE_CHECK(tag.kind() == Kind::kPut || (tag.kind() == Kind::kDelete && value.empty()));
  VARVE_CHECK(key.size() <= kMaxEngineKeySize && value.size() <= kMaxEngineValueSize);
  int order = r.meta.records == 0 ? 1 : key.compare(r.last_key);
  VARVE_CHECK(order > 0 || (order == 0 && tag.sequence() < r.last_sequence));
  // Cut before the block outgrows its size, so that it fills its pages in memory and no more.
  if (!r.data.empty() && r.data.size_with(key.size(), value.size()) > r.options.block_size)
    r.finish_data_block(key);
  if (r.meta.records == 0) r.meta.smallest = key;
  if (order > 0) {
    r.last_hash = hash_key(key);
    r.last_key = key;
  }
  // A key whose versions go on in another partition is in both filters.
  if (r.options.filter_bits_per_key > 0 && (order > 0 || r.filter.key_count() == 0)) {
    r.filter.add(r.last_hash);
    ++r.keys_of_block;
  }
  r.data.add(key, tag, value, r.last_hash);
  r.last_sequence = tag.sequence();
  r.count_record(key, tag, value);
}

void TableBuilder::add_range_tombstone(std::string_view begin, std::string_view end,
                                       const std::vector<Sequence>& sequences) {
  Rep& r = *rep_;
  VARVE_CHECK(begin < end && end.size() <= kMaxEngineKeySize && begin.size() <= kMaxEngineKeySize);
  VARVE_CHECK(!sequences.empty() && (r.range.empty() || std::string_view(r.range_end) <= begin));
  std::string value;
  put_length_prefixed(&value, end);
  put_varint(&value, sequences.size() - 1);
  for (size_t i = 1; i < sequences.size(); ++i) {
    VARVE_CHECK(sequences[i] < sequences[i - 1]);
    put_varint(&value, sequences[i - 1] - sequences[i]);
  }
  if (r.range.empty()) r.range_begin = begin;
  r.range.add(begin, Tag::make(sequences.front(), Kind::kRangeDelete), value);
  r.range_end = end;
  ++r.meta.range_deletes;
  r.see_sequence(sequences.front());
  r.see_sequence(sequences.back());
}

uint64_t TableBuilder::estimated_size() const {
  const Rep& r = *rep_;
  uint64_t filter = r.filter.key_count() > 0 ? r.filter.size_for(r.filter.key_count()) : 0;
  return r.offset() + r.data.size() + r.index.size() + filter + r.top_index.size() + r.range.size() +
         kTableFooterSize;
}

bool TableBuilder::empty() const {
  return rep_->meta.records == 0 && rep_->meta.range_deletes == 0;
}

Result<TableMeta> TableBuilder::finish() {
  Rep& r = *rep_;
  VARVE_CHECK(!empty());
  r.finish_data_block(std::nullopt);
  r.finish_bounds();
  TableFooter footer;
  if (r.meta.range_deletes > 0) footer.range_block = r.append_block(r.range.finish(), BlockKind::kRange);
  if (r.meta.records > 0) footer.top_index = r.append_block(r.top_index.finish(), BlockKind::kTopIndex);
  r.meta.range_block = footer.range_block;
  r.meta.top_index = footer.top_index;
  std::string properties;
  r.meta.encode(&properties);
  footer.properties = r.append_block(properties, BlockKind::kProperties);
  footer.number = r.meta.number;
  footer.identity = r.meta.identity;
  r.pending.append(footer.encode(r.offset()));
  r.write_pending(true);
  r.meta.file_size = r.flushed;
  VARVE_TRY(r.status);
  if (!planted(Plant::table_not_synced)) VARVE_TRY(r.file->sync());
  VARVE_TRY(r.file->close());
  return r.meta;
}

}  // namespace varve
