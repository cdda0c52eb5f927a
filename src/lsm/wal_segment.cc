#include "lsm/wal_segment.h"

#include <algorithm>

#include "base/checksum.h"
#include "base/coding.h"

namespace varve {
namespace {

// Kinds of place (checksum.h) in a log segment. On disk.
constexpr uint8_t kHeaderPlace = 1;
constexpr uint8_t kFrameHeaderPlace = 2;
constexpr uint8_t kFramePlace = 3;

constexpr size_t kFrameChecksumSize = 8;
constexpr size_t kFrameCheckOffset = 52;
// Large enough that reading is sequential, small enough that recovery's memory is not a matter.
constexpr uint64_t kWindowSizeMax = 1 << 20;

bool plausible(const FrameHeader& header, const LogSegment& segment, uint64_t offset) {
  return header.size <= kMaxFramePayload && frame_footprint(header.size) <= segment.size - offset &&
         header.flags <= kPartCommit && header.first_sequence > header.durable_sequence &&
         header.first_sequence <= kMaxSequence + 1 && header.last_sequence <= kMaxSequence &&
         header.last_sequence + 1 >= header.first_sequence;
}

}  // namespace

std::string encode_segment_header(const LogSegment& segment) {
  std::string block;
  put_fixed64(&block, kLogMagic);
  put_fixed32(&block, kLogFormat);
  put_fixed64(&block, segment.size);
  put_fixed64(&block, segment.identity.high);
  put_fixed64(&block, segment.identity.low);
  put_fixed64(&block, segment.number);
  put_fixed64(&block, checksum(block, place_seed(segment.identity, 0, kHeaderPlace)));
  block.resize(kLogBlockSize);
  return block;
}

Status decode_segment_header(std::string_view bytes, const std::string& file, LogSegment* out) {
  if (bytes.size() < kSegmentHeaderSize)
    return Status::corruption("{}: 0: too short for a log segment", file);
  std::string_view in = bytes;
  uint64_t magic = 0, sum = 0;
  uint32_t format = 0;
  bool read = get_fixed64(&in, &magic) && get_fixed32(&in, &format) && get_fixed64(&in, &out->size) &&
              get_fixed64(&in, &out->identity.high) && get_fixed64(&in, &out->identity.low) &&
              get_fixed64(&in, &out->number) && get_fixed64(&in, &sum);
  std::string_view covered = bytes.substr(0, kSegmentHeaderSize - sizeof sum);
  if (!read || magic != kLogMagic || sum != checksum(covered, place_seed(out->identity, 0, kHeaderPlace))) {
    return Status::corruption("{}: 0: bad header of a log segment", file);
  }
  if (format > kLogFormat) {
    return Status::unsupported("{}: log format {} is newer than {}, the newest this version knows", file,
                               format, kLogFormat);
  }
  if (format != kLogFormat || out->size < 2 * kLogBlockSize || out->size % kLogBlockSize != 0) {
    return Status::corruption("{}: 0: header of a log segment makes no sense", file);
  }
  return {};
}

uint32_t frame_header_check(const char* frame, const LogSegment& segment, uint64_t offset) {
  std::string_view covered(frame + kFrameChecksumSize, kFrameCheckOffset - kFrameChecksumSize);
  return static_cast<uint32_t>(checksum(covered, place_seed(segment.identity, offset, kFrameHeaderPlace)));
}

uint64_t frame_checksum(std::string_view frame, const LogSegment& segment, uint64_t offset) {
  return checksum(frame.substr(kFrameChecksumSize), place_seed(segment.identity, offset, kFramePlace));
}

Result<std::unique_ptr<SegmentReader>> SegmentReader::open(FileSystem& fs, const std::string& dir,
                                                           const LogSegment& segment) {
  std::string name = log_file_name(segment.number);
  auto file = fs.open_read(join_path(dir, name));
  if (!file && file.status().is_not_found()) {
    return Status::corruption("{}: 0: this log segment is named in the manifest, but there is no such file",
                              name);
  }
  if (!file) return file.status();
  if ((*file)->size() != segment.size) {
    return Status::corruption("{}: {}: this log segment has {} bytes instead of {}", name,
                              std::min((*file)->size(), segment.size), (*file)->size(), segment.size);
  }
  std::unique_ptr<SegmentReader> reader(new SegmentReader(file.take(), segment));
  auto bytes = reader->view(0, kSegmentHeaderSize);
  if (!bytes) return bytes.status();
  LogSegment found;
  Status status = decode_segment_header(*bytes, name, &found);
  if (!status) return status;
  if (found != segment) {
    return Status::corruption("{}: 0: the header is another segment's (number {}, identity {} instead of {})",
                              name, found.number, found.identity.to_string(), segment.identity.to_string());
  }
  return reader;
}

Result<std::unique_ptr<SegmentReader>> SegmentReader::open_any(FileSystem& fs, const std::string& path) {
  auto file = fs.open_read(path);
  if (!file) return file.status();
  Buffer bytes;
  size_t n = static_cast<size_t>(std::min<uint64_t>((*file)->size(), kSegmentHeaderSize));
  Status status = (*file)->read_at(0, n, &bytes);
  if (!status) return status;
  LogSegment segment;
  status = decode_segment_header(bytes.view(), path, &segment);
  if (!status) return status;
  // A segment that was cut short can still be looked at as far as it goes.
  segment.size = std::min(segment.size, (*file)->size() / kLogBlockSize * kLogBlockSize);
  return std::unique_ptr<SegmentReader>(new SegmentReader(file.take(), segment));
}

Result<std::string_view> SegmentReader::view(uint64_t offset, size_t n) {
  if (offset < window_offset_ || offset + n > window_offset_ + window_.size()) {
    uint64_t size = std::min(std::max<uint64_t>(n, window_size_), segment_.size - offset);
    window_size_ = std::min(window_size_ * 4, kWindowSizeMax);
    window_.clear();
    Status status = file_->read_at(offset, static_cast<size_t>(size), &window_);
    if (!status) {
      window_.clear();
      return status;
    }
    window_offset_ = offset;
  }
  return window_.view().substr(static_cast<size_t>(offset - window_offset_), n);
}

Result<FrameProbe> SegmentReader::probe_header(uint64_t offset) {
  FrameProbe found;
  if (offset + kLogBlockSize > segment_.size) return found;
  auto bytes = view(offset, kFrameHeaderSize);
  if (!bytes) return bytes.status();
  if (decode_fixed32(bytes->data() + 8) != kFrameMagic) return found;
  if (decode_fixed32(bytes->data() + kFrameCheckOffset) !=
      frame_header_check(bytes->data(), segment_, offset)) {
    return found;
  }
  FrameHeader& header = found.header;
  header.size = decode_fixed32(bytes->data() + 12);
  header.first_sequence = decode_fixed64(bytes->data() + 16);
  header.last_sequence = decode_fixed64(bytes->data() + 24);
  header.durable_sequence = decode_fixed64(bytes->data() + 32);
  header.manifest_edit = decode_fixed64(bytes->data() + 40);
  header.flags = decode_fixed32(bytes->data() + 48);
  if (plausible(header, segment_, offset)) found.state = FrameProbe::State::kHeaderOnly;
  return found;
}

Result<FrameProbe> SegmentReader::probe(uint64_t offset) {
  auto probed = probe_header(offset);
  if (!probed || probed->state == FrameProbe::State::kNone) return probed;
  FrameProbe found = *probed;
  auto bytes = view(offset, kFrameHeaderSize + found.header.size);
  if (!bytes) return bytes.status();
  bool whole = decode_fixed64(bytes->data()) == frame_checksum(*bytes, segment_, offset);
  if (whole) {
    found.state = FrameProbe::State::kValid;
    found.payload = bytes->substr(kFrameHeaderSize);
  }
  return found;
}

Result<FrameProbe> SegmentReader::find(uint64_t* offset) {
  for (; *offset + kLogBlockSize <= segment_.size; *offset += kLogBlockSize) {
    auto found = probe(*offset);
    if (!found || found->state != FrameProbe::State::kNone) return found;
  }
  *offset = segment_.size;
  return FrameProbe{};
}

Result<bool> SegmentReader::is_zero(uint64_t offset) {
  auto bytes = view(offset, kLogBlockSize);
  if (!bytes) return bytes.status();
  return bytes->find_first_not_of('\0') == std::string_view::npos;
}

std::string SegmentReader::place(uint64_t offset) const {
  return fmt::format("{}: {}", log_file_name(segment_.number), offset);
}

bool PayloadReader::next(std::string_view* ops, uint32_t* count) {
  if (rest_.empty()) return false;
  uint32_t size = 0;
  corrupt_ = !(get_fixed32(&rest_, &size) && get_fixed32(&rest_, count) && get_bytes(&rest_, size, ops));
  return !corrupt_;
}

}  // namespace varve
