#include "tool/salvage_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/checksum.h"
#include "base/coding.h"
#include "lsm/table_builder.h"
#include "lsm/table_format.h"

namespace varve::tool {
namespace {

// Blocks that are searched for are at most this large; only a single record of such a size makes a larger
// one.
constexpr uint64_t kSearchWindow = 256 * 1024;

class Survey {
 public:
  Survey(OpenTableRef table, std::string name, RangeTombstones* ranges, Losses* losses)
      : table_(std::move(table)), name_(std::move(name)), ranges_(*ranges), losses_(*losses) {}

  std::vector<BlockHandle> run() {
    const TableMeta& meta = table_->meta;
    data_end_ = meta.file_size;
    for (BlockHandle handle : {meta.top_index, meta.range_block}) {
      if (handle.size > 0) data_end_ = std::min(data_end_, handle.offset);
    }
    if (meta.range_block.size > 0) read_ranges();
    if (meta.top_index.size > 0) read_sections();
    search_gaps();
    sort(&data_);
    report();
    return std::move(data_);
  }

 private:
  struct Bad {
    uint64_t offset;
    std::string text;
  };

  static void sort(std::vector<BlockHandle>* handles) {
    std::sort(handles->begin(), handles->end(),
              [](const BlockHandle& a, const BlockHandle& b) { return a.offset < b.offset; });
  }

  BlockRef read(BlockHandle handle, BlockKind kind, Status* status) {
    places_.push_back(handle);
    auto block = read_block(*table_, handle, kind);
    if (!block) *status = block.status();
    return block ? block.take() : BlockRef();
  }

  void read_ranges() {
    auto block = read_block(*table_, table_->meta.range_block, BlockKind::kRange);
    if (block) return add_range_tombstones(*block, &ranges_);
    losses_.add(fmt::format("{} (range deletes; what they deleted may come back)", block.status().message()),
                bounds(table_->meta));
  }

  // A partition that cannot be read leaves a gap, which is searched.
  void read_sections() {
    Status status;
    BlockRef top = read(table_->meta.top_index, BlockKind::kTopIndex, &status);
    if (!top) return losses_.note(status.message() + " (an index: its blocks are searched for)");
    BlockIterator it(top->bytes());
    for (it.seek_to_first(); it.valid(); it.next()) {
      PartitionHandles handles;
      if (!handles.decode(it.value())) continue;
      if (handles.filter.size > 0) places_.push_back(handles.filter);
      BlockRef index = read(handles.index, BlockKind::kIndex, &status);
      if (index) {
        read_index(index->bytes());
      } else {
        losses_.note(status.message() + " (an index: its blocks are searched for)");
      }
    }
  }

  void read_index(std::string_view index) {
    BlockIterator it(index);
    for (it.seek_to_first(); it.valid(); it.next()) {
      BlockHandle handle;
      std::string_view value = it.value();
      if (!get_handle(&value, &handle)) continue;
      Status status;
      if (read(handle, BlockKind::kData, &status)) {
        data_.push_back(handle);
      } else {
        bad_.push_back({handle.offset, status.message()});
      }
    }
  }

  void search_gaps() {
    sort(&places_);
    std::vector<BlockHandle> known = std::move(places_);
    known.push_back({data_end_, 0});
    uint64_t at = 0;
    for (const BlockHandle& place : known) {
      if (place.offset > data_end_) break;
      search(at, place.offset);
      at = std::max(at, place.offset + stored_block_size(place));
    }
  }

  // Blocks of a section, one behind the other, from `at` on.
  void search(uint64_t at, uint64_t end) {
    while (at < end) {
      BlockHandle found;
      BlockKind kind = BlockKind::kData;
      if (!find_block_at(at, end, &found, &kind)) {
        bad_.push_back({at, fmt::format("{}: block at {}: no block can be found up to {}", name_, at, end)});
        return;
      }
      if (kind == BlockKind::kData) data_.push_back(found);
      at = found.offset + stored_block_size(found);
    }
  }

  bool find_block_at(uint64_t at, uint64_t end, BlockHandle* found, BlockKind* kind) {
    if (at >= table_->file->size()) return false;
    uint64_t window = std::min({end - at, kSearchWindow, table_->file->size() - at});
    Buffer bytes;
    if (!table_->file->read_at(at, static_cast<size_t>(window), &bytes)) return false;
    std::string_view view = bytes.view();
    static constexpr BlockKind kKinds[] = {BlockKind::kData, BlockKind::kFilter, BlockKind::kIndex};
    for (size_t size = 1; size + kBlockTrailerSize <= view.size(); ++size) {
      if (static_cast<uint8_t>(view[size]) > static_cast<uint8_t>(Compression::kZstd)) continue;
      uint64_t stored = decode_fixed64(view.data() + size + 1);
      for (BlockKind k : kKinds) {
        uint64_t seed = place_seed(table_->meta.identity, at, static_cast<uint8_t>(k));
        if (checksum(view.substr(0, size + 1), seed) != stored) continue;
        *found = {at, size};
        *kind = k;
        return decode_block(*table_, *found, k, view.substr(0, size + kBlockTrailerSize)).ok();
      }
    }
    return false;
  }

  // A loss lies between the last key before it and the first one behind it.
  void report() {
    for (const Bad& bad : bad_) {
      KeyRange range = bounds(table_->meta);
      range.end_inclusive = true;
      auto after = std::find_if(data_.begin(), data_.end(),
                                [&](const BlockHandle& handle) { return handle.offset > bad.offset; });
      if (after != data_.end()) range.end = edge(*after, true);
      if (after != data_.begin()) range.begin = edge(*std::prev(after), false) + '\0';
      if (range.begin > range.end) range.begin = range.end;
      losses_.add(bad.text, range);
    }
  }

  std::string edge(BlockHandle handle, bool first) {
    auto block = read_block(*table_, handle, BlockKind::kData);
    if (!block) return first ? table_->meta.largest : table_->meta.smallest;
    BlockIterator it((*block)->bytes());
    if (first) {
      it.seek_to_first();
    } else {
      it.seek_to_last();
    }
    return std::string(it.key());
  }

  OpenTableRef table_;
  std::string name_;
  RangeTombstones& ranges_;
  Losses& losses_;
  uint64_t data_end_ = 0;  // sections end here
  std::vector<BlockHandle> places_;
  std::vector<BlockHandle> data_;
  std::vector<Bad> bad_;
};

// The table by its own footer, or by what the manifest says of it.
Result<OpenTableRef> open_somehow(FileSystem& fs, const std::string& path, const TableMeta* named,
                                  Losses* losses) {
  auto opened = open_table_file(fs, path);
  bool mine = opened && (named == nullptr || ((*opened)->meta.identity == named->identity &&
                                              (*opened)->meta.number == named->number));
  if (mine) return opened;
  if (opened) return Status::corruption("{}: is another table than the manifest names", path);
  if (named == nullptr || !opened.status().is_corruption()) return opened.status();
  auto file = fs.open_read(path);
  if (!file) return file.status();
  losses->note(opened.status().message() + " (read by what the manifest says of it)");
  auto table = std::make_shared<OpenTable>();
  table->meta = *named;
  table->file = file.take();
  return OpenTableRef(std::move(table));
}

}  // namespace

Result<SurveyedTable> survey_table(FileSystem& fs, const std::string& dir, const std::string& name,
                                   const TableMeta* named, RangeTombstones* ranges, Losses* losses) {
  auto table = open_somehow(fs, join_path(dir, name), named, losses);
  if (!table && table.status().code() == StatusCode::kUnsupported) return table.status();
  if (!table) {
    if (named == nullptr) {
      losses->add(fmt::format("{}: the whole table: {}", name, table.status().message()));
    } else {
      losses->add(fmt::format("{}: the whole table: {}", name, table.status().message()), bounds(*named));
    }
    return SurveyedTable();
  }
  SurveyedTable out;
  out.table = *table;
  out.data = Survey(*table, name, ranges, losses).run();
  return out;
}

bool SurveyedRecords::next() {
  if (it_.valid()) it_.next();
  while (!it_.valid() && next_block_ < table_.data.size()) {
    auto block = read_block(*table_.table, table_.data[next_block_], BlockKind::kData);
    if (!block) {
      status_ = block.status();
      return false;
    }
    ++next_block_;
    block_ = block.take();
    it_.open(block_->bytes());
    it_.seek_to_first();
  }
  return it_.valid();
}

}  // namespace varve::tool
