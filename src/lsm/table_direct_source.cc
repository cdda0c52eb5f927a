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
// A step forward over not more than this (a section's partitions) is still a walk.
constexpr uint64_t kMaxGap = 64 * 1024;

class DirectSource final : public BlockSource {
 public:
  DirectSource(FileSystem& fs, std::string dir, size_t readahead_max)
      : fs_(fs), dir_(std::move(dir)), readahead_max_(readahead_max) {}

  IterState get(const TableRef& table, BlockHandle handle, BlockKind kind, BlockRef* out) override {
    Result<BlockRef> block = read(table->meta, handle, kind);
    if (!block) {
      status_ = block.status();
      return IterState::kError;
    }
    *out = block.take();
    return IterState::kValid;
  }

  Status status() const override { return status_; }

 private:
  // One table and the walk through it. As many as may be open: more would only start their windows afresh.
  struct Stream {
    OpenTableRef table;
    Buffer bytes;  // from `start` on
    uint64_t start = 0;
    uint64_t expected = 0;  // where a walk goes on
    size_t window = kFirstWindow;
    uint64_t last_used = 0;
  };

  Result<Stream*> stream_of(const TableMeta& meta) {
    auto it = std::find_if(streams_.begin(), streams_.end(), [&](const Stream& s) {
      return s.table->meta.number == meta.number && s.table->meta.identity == meta.identity;
    });
    if (it == streams_.end()) {
      if (streams_.size() == kDirectSourceFiles) {
        streams_.erase(
            std::min_element(streams_.begin(), streams_.end(),
                             [](const Stream& a, const Stream& b) { return a.last_used < b.last_used; }));
      }
      auto opened = open_live_table(fs_, dir_, meta);
      if (!opened) return opened.status();
      it = streams_.emplace(streams_.end());
      it->table = opened.take();
      it->expected = UINT64_MAX;
    }
    it->last_used = ++clock_;
    return &*it;
  }

  Result<BlockRef> read(const TableMeta& meta, BlockHandle handle, BlockKind kind) {
    auto stream = stream_of(meta);
    if (!stream) return stream.status();
    bool walks = kind == BlockKind::kData && readahead_max_ > 0 && handle_fits(handle, meta.file_size);
    return walks ? read_data(**stream, handle) : read_block(*(*stream)->table, handle, kind);
  }

  Result<BlockRef> read_data(Stream& stream, BlockHandle handle) {
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
    return decode_block(*stream.table, handle, BlockKind::kData,
                        stream.bytes.view().substr(handle.offset - stream.start, need));
  }

  Status fill(Stream& stream, uint64_t offset, size_t need) {
    const OpenTable& table = *stream.table;
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

  FileSystem& fs_;
  const std::string dir_;
  const size_t readahead_max_;
  std::vector<Stream> streams_;
  uint64_t clock_ = 0;
  Status status_;
};

}  // namespace

std::unique_ptr<BlockSource> new_direct_source(FileSystem& fs, std::string dir, size_t readahead_max) {
  return std::make_unique<DirectSource>(fs, std::move(dir), readahead_max);
}

}  // namespace varve
