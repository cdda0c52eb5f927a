#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/coding.h"
#include "base/plant.h"
#include "lsm/wal_format.h"
#include "lsm/wal_segment.h"

namespace varve {
namespace {

// Small enough that the log's own writes do not wait long behind one.
constexpr uint64_t kZerosSize = 256 * 1024;

Status write_zeros(WriteFile& file, uint64_t begin, uint64_t end) {
  Buffer zeros(static_cast<size_t>(std::min(kZerosSize, end - begin)));
  std::memset(zeros.data(), 0, zeros.size());
  for (uint64_t at = begin; at < end; at += zeros.size()) {
    VARVE_TRY(file.write_at(at, zeros.view().substr(0, static_cast<size_t>(end - at))));
  }
  return {};
}

Status write_segment(WriteFile& file, const LogSegment& segment, bool reuse) {
  if (!reuse) {
    Status status = write_zeros(file, kLogBlockSize, segment.size);
    if (!status) return status;
  }
  Buffer header;
  header.append(encode_segment_header(segment));
  Status status = file.write_at(0, header.view());
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
  if (!reuse) {
    auto created = fs.create(path);
    if (!created) return created.status();
  }
  Status status;
  if (auto file = fs.open_write_direct(path)) {
    status = write_segment(**file, segment, reuse);
  } else {
    status = file.status();
  }
  if (status && !planted(Plant::segment_without_dir_sync)) status = fs.sync_dir(dir);
  // Half a segment would only hold the space that was missing.
  if (!status && !reuse) (void)fs.remove(path);
  return status;
}

}  // namespace varve
