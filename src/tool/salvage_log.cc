#include "tool/salvage_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/coding.h"
#include "lsm/wal_segment.h"

namespace varve::tool {
namespace {

constexpr uint64_t kMaxSegmentSize = uint64_t{4} << 30;

struct Frame {
  FrameHeader header;
  bool whole = false;  // otherwise its payload is damaged
  size_t segment = 0;
  uint64_t offset = 0;
};

struct Segment {
  std::string name;
  std::string path;
  LogSegment identity;
};

// The frame that begins the bytes, which stand at `offset` of the segment. False: none does.
bool read_frame(std::string_view bytes, const LogSegment& segment, uint64_t offset, Frame* frame) {
  if (bytes.size() < kFrameHeaderSize || decode_fixed32(bytes.data() + 8) != kFrameMagic) return false;
  if (decode_fixed32(bytes.data() + 52) != frame_header_check(bytes.data(), segment, offset)) return false;
  FrameHeader& header = frame->header;
  header.size = decode_fixed32(bytes.data() + 12);
  header.first_sequence = decode_fixed64(bytes.data() + 16);
  header.last_sequence = decode_fixed64(bytes.data() + 24);
  header.durable_sequence = decode_fixed64(bytes.data() + 32);
  header.manifest_edit = decode_fixed64(bytes.data() + 40);
  header.flags = decode_fixed32(bytes.data() + 48);
  if (header.flags > kPartCommit || header.last_sequence > kMaxSequence ||
      header.last_sequence + 1 < header.first_sequence) {
    return false;
  }
  frame->offset = offset;
  frame->whole = header.size <= kMaxFramePayload && header.size <= bytes.size() - kFrameHeaderSize &&
                 decode_fixed64(bytes.data()) ==
                     frame_checksum(bytes.substr(0, kFrameHeaderSize + header.size), segment, offset);
  return true;
}

class LogSalvage {
 public:
  LogSalvage(FileSystem& fs, Sequence flushed, Losses* losses)
      : fs_(fs), losses_(*losses), flushed_(flushed), next_(flushed + 1) {
    log_.records = std::make_shared<MemTable>();
  }

  Status survey(const std::string& dir, const SegmentFile& file) {
    Segment segment{file.name, join_path(dir, file.name), {}};
    auto bytes = read(segment.path);
    if (!bytes) {
      losses_.add(fmt::format("{}: the whole segment: {}", file.name, bytes.status().message()));
      return Status();
    }
    Status status = decode_segment_header(*bytes, file.name, &segment.identity);
    if (status.code() == StatusCode::kUnsupported) return status;
    if (file.named != nullptr) {
      if (!status.ok()) losses_.note(status.message() + " (read by what the manifest says of it)");
      if (status.ok() && segment.identity.identity != file.named->identity) {
        losses_.add(fmt::format("{}: 0: is another segment than the manifest names", file.name));
      }
      segment.identity = *file.named;
    } else if (!status.ok()) {
      losses_.add(status.message());
      return Status();
    }
    for (uint64_t offset = kLogBlockSize; offset < bytes->size();) {
      Frame frame;
      frame.segment = segments_.size();
      bool found = read_frame(std::string_view(*bytes).substr(offset), segment.identity, offset, &frame);
      if (found) frames_.push_back(frame);
      offset += found && frame.whole ? frame_footprint(frame.header.size) : kLogBlockSize;
    }
    segments_.push_back(std::move(segment));
    return Status();
  }

  Result<SalvagedLog> run(Sequence durable) {
    std::stable_sort(frames_.begin(), frames_.end(), [](const Frame& a, const Frame& b) {
      return a.header.first_sequence < b.header.first_sequence;
    });
    for (const Frame& frame : frames_) {
      const FrameHeader& header = frame.header;
      durable = std::max(durable, header.durable_sequence);
      log_.manifest_edit = std::max(log_.manifest_edit, header.manifest_edit);
      log_.last_sequence = std::max(log_.last_sequence, header.last_sequence);
      if (frame.whole && header.size > 0 && header.last_sequence >= next_) VARVE_TRY(take(frame));
    }
    // A batch in parts whose commit is missing.
    if (parts_first_ != 0) next_ = parts_first_;
    if (durable >= next_) lose(next_, durable, "at the log's end");
    return std::move(log_);
  }

 private:
  Result<std::string> read(const std::string& path) {
    auto size = fs_.file_size(path);
    if (!size) return size.status();
    if (*size > kMaxSegmentSize) return Status::corruption("{}: {} bytes are no segment", path, *size);
    return fs_.read_whole(path);
  }

  void lose(Sequence first, Sequence last, std::string_view where) {
    std::string place(where);
    for (const Frame& frame : frames_) {
      bool inside =
          !frame.whole && frame.header.last_sequence >= first && frame.header.first_sequence <= last;
      if (inside) place = fmt::format("damaged at {}: {}", segments_[frame.segment].name, frame.offset);
      if (inside) break;
    }
    losses_.add(fmt::format("the log's sequences {} to {}, {}", first, last, place));
  }

  Status take(const Frame& frame) {
    const FrameHeader& header = frame.header;
    if (header.first_sequence > next_) {
      Sequence first = parts_first_ != 0 ? parts_first_ : next_;
      lose(first, header.first_sequence - 1,
           fmt::format("before {}: {}", segments_[frame.segment].name, frame.offset));
      parts_first_ = 0;
    }
    auto file = fs_.open_read(segments_[frame.segment].path);
    if (!file) return file.status();
    Buffer bytes;
    VARVE_TRY((*file)->read_at(frame.offset + kFrameHeaderSize, header.size, &bytes));
    PayloadReader payload(bytes.view());
    std::string_view ops;
    uint32_t count = 0;
    Sequence first = header.first_sequence;
    while (payload.next(&ops, &count)) {
      if (header.flags == kFrameWhole) {
        apply(first, ops);
      } else {
        take_part(header, ops);
      }
      first += count;
    }
    next_ = header.last_sequence + 1;
    return Status();
  }

  void take_part(const FrameHeader& header, std::string_view ops) {
    if (header.flags == kPartBegin) {
      parts_first_ = header.first_sequence;
      parts_.clear();
    }
    if (parts_first_ == 0) return;  // its first part is lost, and was told
    parts_.append(ops);
    if (header.flags != kPartCommit) return;
    apply(parts_first_, parts_);
    parts_first_ = 0;
    parts_.clear();
  }

  void apply(Sequence sequence, std::string_view ops) {
    BatchReader reader(ops);
    for (BatchReader::Op op; reader.next(&op);) {
      if (op.is_counter) {
        log_.records->add_count(op.counter_id, op.counter_delta);
        continue;
      }
      Sequence at = sequence++;
      if (at <= flushed_ || at <= applied_) continue;
      applied_ = at;
      if (op.kind == Kind::kRangeDelete) {
        log_.records->add_range_delete(at, op.key, op.value);
      } else {
        log_.records->add(at, op.kind, op.blind, op.key, op.value, 0);
      }
    }
    ++log_.batches;
  }

  FileSystem& fs_;
  Losses& losses_;
  const Sequence flushed_;
  Sequence next_;         // expected
  Sequence applied_ = 0;  // the highest one in the memtable
  std::vector<Segment> segments_;
  std::vector<Frame> frames_;
  Sequence parts_first_ = 0;  // 0: not between a batch's parts
  std::string parts_;
  SalvagedLog log_;
};

}  // namespace

Result<SalvagedLog> salvage_log(FileSystem& fs, const std::string& dir, const std::vector<SegmentFile>& files,
                                Sequence flushed_sequence, Sequence durable_sequence, Losses* losses) {
  LogSalvage salvage(fs, flushed_sequence, losses);
  for (const SegmentFile& file : files) VARVE_TRY(salvage.survey(dir, file));
  return salvage.run(durable_sequence);
}

}  // namespace varve::tool
