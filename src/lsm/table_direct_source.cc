// Blocks straight from the file, for workers and tools: no cache, but readahead. Data blocks of one table lie
// in key order with a few index and filter blocks between them; a walk reads them through a window that
// doubles.
#include <algorithm>
#include <vector>

#include "base/buffer.h"
#include "lsm/table.h"
#include "lsm/table_format.h"

namespace varve {
namespace {

constexpr size_t kFirstWindow = 8 * 1024;
// Tables walked at the same time (a merge's inputs). More would only start their windows afresh.
constexpr size_t kMaxStreams = 32;
// A step forward over not more than this (a section's partitions) is still a walk.
constexpr uint64_t kMaxGap = 64 * 1024;

class DirectSource final : public BlockSource {
 public:
  explicit DirectSource(size_t readahead_max) : readahead_max_(readahead_max) {}

  IterState get(const TableRef& table, BlockHandle handle, BlockKind kind, BlockRef* out) override {
    Result<BlockRef> block =
        kind == BlockKind::kData ? read_data(table, handle) : read_block(*table, handle, kind);
    if (!block) {
      status_ = block.status();
      return IterState::kError;
    }
    *out = block.take();
    return IterState::kValid;
  }

  Status status() const override { return status_; }

 private:
  struct Stream {
    TableRef table;
    Buffer bytes;  // from `start` on
    uint64_t start = 0;
    uint64_t expected = 0;  // where a walk goes on
    size_t window = kFirstWindow;
    uint64_t last_used = 0;
  };

  Stream& stream_of(const TableRef& table) {
    auto it =
        std::find_if(streams_.begin(), streams_.end(), [&](const Stream& s) { return s.table == table; });
    if (it == streams_.end()) {
      if (streams_.size() < kMaxStreams) {
        it = streams_.emplace(streams_.end());
      } else {
        it = std::min_element(streams_.begin(), streams_.end(),
                              [](const Stream& a, const Stream& b) { return a.last_used < b.last_used; });
        *it = Stream();
      }
      it->table = table;
      it->expected = UINT64_MAX;
    }
    it->last_used = ++clock_;
    return *it;
  }

  Result<BlockRef> read_data(const TableRef& table, BlockHandle handle) {
    if (readahead_max_ == 0 || !handle_fits(handle, table->meta.file_size)) {
      return read_block(*table, handle, BlockKind::kData);
    }
    Stream& stream = stream_of(table);
    size_t need = stored_block_size(handle);
    bool inside = handle.offset >= stream.start && handle.offset - stream.start <= stream.bytes.size() &&
                  need <= stream.bytes.size() - (handle.offset - stream.start);
    if (!inside) {
      bool walking = handle.offset >= stream.expected && handle.offset - stream.expected <= kMaxGap;
      stream.window =
          walking ? std::min(stream.window * 2, std::max(readahead_max_, kFirstWindow)) : kFirstWindow;
      VARVE_TRY(fill(stream, handle.offset, need));
    }
    stream.expected = handle.offset + need;
    return decode_block(*table, handle, BlockKind::kData,
                        stream.bytes.view().substr(handle.offset - stream.start, need));
  }

  Status fill(Stream& stream, uint64_t offset, size_t need) {
    const Table& table = *stream.table;
    uint64_t left = table.meta.file_size - offset;
    auto size = static_cast<size_t>(std::min<uint64_t>(left, std::max(need, stream.window)));
    stream.start = offset;
    Status read = table.file->read_at(offset, size, &stream.bytes);
    if (!read.ok()) {
      stream.bytes.clear();
      return Status(read.code(), table_file_name(table.meta.number) + ": block at " + std::to_string(offset) +
                                     ": " + read.message());
    }
    if (stream.window > kFirstWindow && left > size) {
      table.file->will_need(offset + size,
                            static_cast<size_t>(std::min<uint64_t>(left - size, stream.window)));
    }
    return Status();
  }

  size_t readahead_max_;
  std::vector<Stream> streams_;
  uint64_t clock_ = 0;
  Status status_;
};

}  // namespace

std::unique_ptr<BlockSource> new_direct_source(size_t readahead_max) {
  return std::make_unique<DirectSource>(readahead_max);
}

}  // namespace varve
