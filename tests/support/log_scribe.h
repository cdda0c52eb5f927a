// log_scribe.h: writes a write-ahead log for the log's tests, as plainly as the format allows, and remembers
// where each frame lies. Failures of the file system fail the test's checks (or, with crashes planned, are
// told).
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "lsm/wal_format.h"
#include "os/file_system.h"

namespace varve::test {

class LogScribe {
 public:
  struct Place {
    LogSegment segment;
    uint64_t offset = 0;
    FrameHeader header;
  };

  LogScribe(FileSystem& fs, std::string dir, uint64_t segment_size, uint64_t seed)
      : fs_(fs), dir_(std::move(dir)), segment_size_(segment_size), random_(seed) {}

  // Prepares one more segment; `reuse` takes the file of that number, which the log must not hold any more.
  Status add_segment(uint64_t number, bool reuse = false) {
    LogSegment segment{number, random_.identity(), segment_size_};
    Status status = prepare_segment(fs_, dir_, segment, reuse);
    if (status) segments_.push_back(segment);
    return status;
  }
  void drop_segment(uint64_t number) {
    VARVE_CHECK(segments_.at(index_).number != number);
    auto it =
        std::find_if(segments_.begin(), segments_.end(), [&](const auto& s) { return s.number == number; });
    if (it < segments_.begin() + static_cast<std::ptrdiff_t>(index_)) --index_;
    segments_.erase(it);
  }
  const std::vector<LogSegment>& segments() const { return segments_; }
  size_t unused_segments() const { return segments_.size() - index_ - 1; }
  // Leaves the current segment, whatever room it has.
  void next_segment() {
    ++index_;
    offset_ = kLogBlockSize;
  }

  // One group: the batches in as few frames as `payload_max` allows. Not synced.
  Status write(const std::vector<WriteBatch>& batches, size_t payload_max = kMaxFramePayload) {
    Buffer frame(kFrameHeaderSize);
    FrameHeader header = next_header();
    for (const WriteBatch& batch : batches) {
      size_t size = kBatchHeaderSize + batch.byte_size();
      bool fits = frame.size() - kFrameHeaderSize + size <= payload_max;
      if (frame.size() > kFrameHeaderSize && !fits) {
        if (Status status = put(&frame, &header); !status) return status;
      }
      if (size <= payload_max) {
        append_batch(&frame, batch.bytes(), batch.count());
        header.last_sequence += batch.count();
        continue;
      }
      Status status = write_parts(batch.bytes(), payload_max);
      if (!status) return status;
      header = next_header();
    }
    return frame.size() > kFrameHeaderSize ? put(&frame, &header) : Status();
  }
  Status write_watermark() {
    Buffer frame(kFrameHeaderSize);
    FrameHeader header = next_header();
    return put(&frame, &header);
  }
  // Everything written so far is durable; later frames will say so.
  Status sync() {
    for (const LogSegment& segment : unsynced_) {
      auto file = fs_.open_write(join_path(dir_, log_file_name(segment.number)));
      if (!file) return file.status();
      if (Status status = (*file)->sync(); !status) return status;
    }
    unsynced_.clear();
    durable_ = last_;
    return {};
  }

  Sequence last() const { return last_; }
  Sequence durable() const { return durable_; }
  void start_at(Sequence last) { last_ = durable_ = last; }
  void set_manifest_edit(uint64_t edit) { manifest_edit_ = edit; }
  const std::vector<Place>& frames() const { return frames_; }

 private:
  FrameHeader next_header() const {
    FrameHeader header;
    header.first_sequence = last_ + 1;
    header.last_sequence = last_;
    header.durable_sequence = durable_;
    header.manifest_edit = manifest_edit_;
    return header;
  }

  Status write_parts(std::string_view ops, size_t payload_max) {
    uint32_t flags = kPartBegin;
    while (true) {
      BatchReader reader(ops);
      size_t cut = 0;
      uint32_t count = 0;
      for (BatchReader::Op op; reader.next(&op);) {
        size_t end = ops.size() - reader.rest().size();
        if (cut > 0 && kBatchHeaderSize + end > payload_max) break;
        cut = end;
        count += op.is_counter ? 0 : 1;
      }
      bool last = cut == ops.size();
      Buffer frame(kFrameHeaderSize);
      FrameHeader header = next_header();
      append_batch(&frame, ops.substr(0, cut), count);
      header.last_sequence += count;
      header.flags = !last ? flags : flags == kPartBegin ? kFrameWhole : kPartCommit;
      Status status = put(&frame, &header);
      if (last || !status) return status;
      ops.remove_prefix(cut);
      flags = kPartMiddle;
    }
  }

  Status put(Buffer* frame, FrameHeader* header) {
    header->size = static_cast<uint32_t>(frame->size() - kFrameHeaderSize);
    if (offset_ + frame_footprint(header->size) > segments_.at(index_).size) next_segment();
    const LogSegment& segment = segments_.at(index_);
    finish_frame(frame, *header, segment, offset_);
    auto file = fs_.open_write(join_path(dir_, log_file_name(segment.number)));
    if (!file) return file.status();
    if (Status status = (*file)->write_at(offset_, frame->view()); !status) return status;
    if (unsynced_.empty() || unsynced_.back() != segment) unsynced_.push_back(segment);
    frames_.push_back({segment, offset_, *header});
    offset_ += frame->size();
    last_ = header->last_sequence;
    *header = next_header();
    frame->resize(kFrameHeaderSize);
    return {};
  }

  FileSystem& fs_;
  const std::string dir_;
  const uint64_t segment_size_;
  Random random_;
  std::vector<LogSegment> segments_;
  std::vector<LogSegment> unsynced_;
  size_t index_ = 0;
  uint64_t offset_ = kLogBlockSize;
  Sequence last_ = 0;
  Sequence durable_ = 0;
  uint64_t manifest_edit_ = 0;
  std::vector<Place> frames_;
};

}  // namespace varve::test
