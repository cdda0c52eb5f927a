#include <algorithm>

#include "base/check.h"
#include "base/coding.h"
#include "base/plant.h"
#include "lsm/wal_format.h"
#include "lsm/wal_segment.h"

namespace varve {
namespace {

Status write_zeros(WriteFile& file, uint64_t begin, uint64_t end) {
  const std::string zeros(static_cast<size_t>(std::min<uint64_t>(1 << 20, end - begin)), '\0');
  for (uint64_t at = begin; at < end;) {
    uint64_t n = std::min<uint64_t>(zeros.size(), end - at);
    Status status = file.write_at(at, std::string_view(zeros).substr(0, static_cast<size_t>(n)));
    if (!status) return status;
    // The sync at the end would otherwise send all of it at once, in front of the log's own syncs.
    file.start_write_back(at, n);
    at += n;
  }
  return {};
}

Status write_segment(WriteFile& file, const LogSegment& segment, bool reuse) {
  if (!reuse) {
    Status status = write_zeros(file, kLogBlockSize, segment.size);
    if (!status) return status;
  }
  Status status = file.write_at(0, encode_segment_header(segment));
  if (status) status = file.sync();
  return status ? file.close() : status;
}

}  // namespace

std::string log_file_name(uint64_t number) {
  return fmt::format("{:08}.log", number);
}

void append_batch(Buffer* frame, std::string_view ops, uint32_t count) {
  char header[kBatchHeaderSize];
  encode_fixed32(header, static_cast<uint32_t>(ops.size()));
  encode_fixed32(header + 4, count);
  frame->append(header, sizeof header);
  frame->append(ops);
}

void finish_frame(Buffer* frame, const FrameHeader& header, const LogSegment& segment, uint64_t offset) {
  VARVE_CHECK(frame->size() == kFrameHeaderSize + header.size && header.size <= kMaxFramePayload);
  VARVE_CHECK(offset % kLogBlockSize == 0 && offset >= kLogBlockSize);
  const uint64_t footprint = frame_footprint(header.size);
  VARVE_CHECK(offset <= segment.size && footprint <= segment.size - offset);
  VARVE_CHECK(header.durable_sequence < header.first_sequence);
  VARVE_CHECK(header.first_sequence <= header.last_sequence + 1 && header.last_sequence <= kMaxSequence);
  VARVE_CHECK(header.flags <= kPartCommit);
  char* bytes = frame->data();
  encode_fixed32(bytes + 8, kFrameMagic);
  encode_fixed32(bytes + 12, header.size);
  encode_fixed64(bytes + 16, header.first_sequence);
  encode_fixed64(bytes + 24, header.last_sequence);
  encode_fixed64(bytes + 32, header.durable_sequence);
  encode_fixed64(bytes + 40, header.manifest_edit);
  encode_fixed32(bytes + 48, header.flags);
  encode_fixed32(bytes + 52, frame_header_check(bytes, segment, offset));
  encode_fixed64(bytes, frame_checksum(frame->view(), segment, offset));
  const size_t used = frame->size();
  frame->resize(static_cast<size_t>(footprint));
  std::memset(frame->data() + used, 0, frame->size() - used);
}

Status prepare_segment(FileSystem& fs, const std::string& dir, const LogSegment& segment, bool reuse) {
  const std::string name = log_file_name(segment.number);
  const std::string path = join_path(dir, name);
  if (segment.size < 2 * kLogBlockSize || segment.size % kLogBlockSize != 0) {
    return Status::invalid_argument("{}: {} bytes is no size for a log segment", name, segment.size);
  }
  if (reuse) {
    auto size = fs.file_size(path);
    if (!size) return size.status();
    if (*size != segment.size) {
      return Status::invalid_argument("{}: cannot be reused: {} bytes instead of {}", name, *size,
                                      segment.size);
    }
  }
  auto file = reuse ? fs.open_write(path) : fs.create(path);
  if (!file) return file.status();
  Status status = write_segment(**file, segment, reuse);
  (*file).reset();
  if (status && !planted(Plant::segment_without_dir_sync)) status = fs.sync_dir(dir);
  // Half a segment would only hold the space that was missing.
  if (!status && !reuse) (void)fs.remove(path);
  return status;
}

}  // namespace varve
