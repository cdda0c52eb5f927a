// wal_segment.h: one log segment as its readers see it: header checked, frames probed at chosen places.
//
// Nothing read is trusted: the file's size is compared with what the manifest says before anything else, a
// frame's length with the segment's end before its payload is read. Memory is one window of the file, or one
// frame if larger. Private to the log (wal_*.cc).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/buffer.h"
#include "base/status.h"
#include "lsm/wal_format.h"
#include "os/file_system.h"

namespace varve {

inline constexpr uint64_t kLogMagic = 0x676f6c6576726176;  // "varvelog"
inline constexpr uint32_t kLogFormat = 1;
inline constexpr uint32_t kFrameMagic = 0x6d617266;  // "fram"
inline constexpr size_t kSegmentHeaderSize = 52;

// The segment's header block, padded to kLogBlockSize.
std::string encode_segment_header(const LogSegment& segment);
// Reads it from the first bytes of a file. `file` is for the messages. kCorruption or kUnsupported.
Status decode_segment_header(std::string_view bytes, const std::string& file, LogSegment* out);

// The header's two checksums, for a frame at `offset` of `segment`. `frame` begins with the frame header.
uint32_t frame_header_check(const char* frame, const LogSegment& segment, uint64_t offset);
uint64_t frame_checksum(std::string_view frame, const LogSegment& segment, uint64_t offset);

struct FrameProbe {
  enum class State : uint8_t {
    kNone,        // no frame of this life begins here
    kHeaderOnly,  // its header is whole, its payload is not
    kValid,
  };
  State state = State::kNone;
  FrameHeader header;        // unless kNone
  std::string_view payload;  // kValid; until the next probe
};

class SegmentReader {
 public:
  // Opens dir/NNNNNNNN.log and checks that it is `segment`: kCorruption when it is missing, has another size,
  // or a bad or foreign header.
  static Result<std::unique_ptr<SegmentReader>> open(FileSystem& fs, const std::string& dir,
                                                     const LogSegment& segment);
  // Opens any segment file by its own header.
  static Result<std::unique_ptr<SegmentReader>> open_any(FileSystem& fs, const std::string& path);

  // Is there a frame at `offset` (a multiple of kLogBlockSize)? Fails only when the file cannot be read.
  Result<FrameProbe> probe(uint64_t offset);
  // As probe(), but never kValid: only the header is looked at.
  Result<FrameProbe> probe_header(uint64_t offset);
  // Looks for the next frame of this life, valid or with a valid header, at *offset or behind it. Moves
  // *offset to it, or to the segment's end.
  Result<FrameProbe> find(uint64_t* offset);
  // Is the block at `offset` all zeros?
  Result<bool> is_zero(uint64_t offset);

  const LogSegment& segment() const { return segment_; }
  // "00000007.log: 8192".
  std::string place(uint64_t offset) const;

 private:
  SegmentReader(std::unique_ptr<ReadFile> file, const LogSegment& segment)
      : file_(std::move(file)), segment_(segment), window_size_(kFirstWindowSize) {}
  static constexpr uint64_t kFirstWindowSize = 16 << 10;
  // [offset, offset + n) of the file, which must lie in the segment.
  Result<std::string_view> view(uint64_t offset, size_t n);

  std::unique_ptr<ReadFile> file_;
  LogSegment segment_;
  Buffer window_;
  uint64_t window_offset_ = 0;
  uint64_t window_size_;  // of the next one: grows, as often only headers are asked for
};

// The batches of a payload whose checksum is good.
class PayloadReader {
 public:
  explicit PayloadReader(std::string_view payload) : rest_(payload) {}
  // False at the end or when the lengths make no sense; corrupt() tells which.
  bool next(std::string_view* ops, uint32_t* count);
  bool corrupt() const { return corrupt_; }

 private:
  std::string_view rest_;
  bool corrupt_ = false;
};

}  // namespace varve
