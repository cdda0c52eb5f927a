// wal_reader.cc: replaying the log after a start, and deciding where it ends (the tail rule of wal_format.h).
#include <algorithm>
#include <utility>

#include "base/plant.h"
#include "lsm/wal_format.h"
#include "lsm/wal_segment.h"

namespace varve {
namespace {

class Replayer {
 public:
  Replayer(Sequence flushed, Sequence durable, std::optional<Sequence> closed, const ReplayFunction& apply)
      : flushed_(flushed),
        durable_(std::max({flushed, durable, closed.value_or(0)})),
        closed_(closed),
        next_(flushed + 1),
        apply_(apply) {
    replay_.last_sequence = flushed;
  }

  // How many segments at the end of the log hold no frame at all. Meaningful once run() has succeeded.
  size_t unused() const { return segments_.size() - used_; }

  // All segments are opened before the first batch is handed over: a missing one is found at once.
  Status open(FileSystem& fs, const std::string& dir, const std::vector<LogSegment>& segments) {
    for (const LogSegment& segment : segments) {
      bad_place_ = fmt::format("{}: 0", log_file_name(segment.number));
      auto reader = SegmentReader::open(fs, dir, segment);
      if (!reader) return reader.status();
      segments_.push_back(reader.take());
    }
    return {};
  }

  Status run() {
    if (closed_ == flushed_) {
      auto ended = ends_closed(0);
      if (!ended || *ended) return ended.status();
    }
    while (index_ < segments_.size()) {
      bad_place_ = here();
      auto frame = segments_[index_]->probe(offset_);
      if (!frame) return frame.status();
      if (frame->state == FrameProbe::State::kValid) {
        used_ = std::max(used_, index_ + 1);
        if (!continues(frame->header)) {
          return Status::corruption(
              "{}: this frame (sequences from {} on, flags {}) does not continue the log, where "
              "sequence {} is next",
              here(), frame->header.first_sequence, frame->header.flags, next_);
        }
        Status status = take(*frame);
        if (!status) return status;
        offset_ += frame_footprint(frame->header.size);
        continue;
      }
      if (closed_ && next_ == *closed_ + 1 && !in_parts_) {
        auto ended = ends_closed(index_ + 1);
        if (!ended || *ended) return ended.status();
      }
      auto found = go_on();
      if (!found) return found.status();
      if (!*found) return end();
    }
    return {};
  }

  // After damage that the operator accepts: what was whole so far is the log.
  void cut() {
    replay_.torn_tail = true;
    replay_.torn_place = bad_place_;
  }

  LogReplay result() {
    replay_.durable_sequence = std::min(told_durable_, replay_.last_sequence);
    return replay_;
  }

 private:
  std::string here() const { return segments_[index_]->place(offset_); }

  // May this frame come next? Decided by sequences alone, so it also holds behind a bad place.
  bool continues(const FrameHeader& header) const {
    bool follows = header.first_sequence == next_ || (!started_ && header.first_sequence < next_);
    if (in_parts_) return follows && header.flags >= kPartMiddle;
    if (header.flags == kFrameWhole || header.flags == kPartBegin) return follows;
    // The rest of a batch whose front was in a segment no longer needed: all of it stands in tables.
    return !started_ && header.last_sequence <= flushed_;
  }

  void learn(const FrameHeader& header) {
    told_durable_ = std::max(told_durable_, header.durable_sequence);
    replay_.manifest_edit = std::max(replay_.manifest_edit, header.manifest_edit);
  }

  Status take(const FrameProbe& frame) {
    const FrameHeader& header = frame.header;
    learn(header);
    ++replay_.frames;
    Status status = header.flags == kFrameWhole ? take_batches(frame) : take_part(frame);
    started_ = true;
    next_ = header.last_sequence + 1;
    return status;
  }

  Status take_batches(const FrameProbe& frame) {
    PayloadReader payload(frame.payload);
    Sequence first = frame.header.first_sequence;
    std::string_view ops;
    uint32_t count = 0;
    while (payload.next(&ops, &count)) {
      if (count > frame.header.last_sequence + 1 - first) return senseless();
      if (planted(Plant::drop_last_of_group) && first != frame.header.first_sequence &&
          first + count > frame.header.last_sequence) {
        first += count;
        continue;
      }
      Status status = hand_over(first, ops, count);
      if (!status) return status;
      first += count;
    }
    return payload.corrupt() || first != frame.header.last_sequence + 1 ? senseless() : Status();
  }

  Status take_part(const FrameProbe& frame) {
    const FrameHeader& header = frame.header;
    PayloadReader payload(frame.payload);
    std::string_view ops, more;
    uint32_t count = 0, ignored = 0;
    if (!payload.next(&ops, &count) || payload.next(&more, &ignored) || payload.corrupt() ||
        count != header.last_sequence + 1 - header.first_sequence ||
        (header.flags != kPartCommit && count == 0)) {
      return senseless();
    }
    if (!in_parts_) {
      in_parts_ = true;
      parts_first_ = header.first_sequence;
      parts_orphaned_ = header.flags != kPartBegin;
      parts_place_ = here();
    }
    if (!parts_orphaned_) parts_ops_.append(ops);
    if (header.flags != kPartCommit) return {};
    in_parts_ = false;
    std::string whole = std::move(parts_ops_);
    parts_ops_.clear();
    if (parts_orphaned_) return {};
    Sequence sum = header.last_sequence + 1 - parts_first_;
    return sum > UINT32_MAX ? senseless() : hand_over(parts_first_, whole, static_cast<uint32_t>(sum));
  }

  Status hand_over(Sequence first, std::string_view ops, uint32_t count) {
    Sequence last = first + count - 1;
    uint64_t found = 0;
    BatchReader reader(ops);
    for (BatchReader::Op op; reader.next(&op);) found += op.is_counter ? 0 : 1;
    if (reader.corrupt() || found != count) return senseless();
    if (first <= flushed_ && last > flushed_) {
      return Status::corruption("{}: a batch of the sequences {} to {} stands only up to {} in tables",
                                here(), first, last, flushed_);
    }
    replay_.last_sequence = std::max(replay_.last_sequence, last);
    if (last <= flushed_) return {};
    ++replay_.batches;
    replay_.bytes += ops.size();
    return apply_(first, ops);
  }

  Status senseless() const {
    return Status::corruption("{}: a frame whose checksum is right holds batches that make no sense", here());
  }

  // Everything up to where the log was closed is at hand: do the segments from `i` on hold nothing newer?
  Result<bool> ends_closed(size_t i) {
    for (; i < segments_.size(); ++i) {
      auto first = segments_[i]->probe_header(kLogBlockSize);
      if (!first) return first.status();
      if (first->state == FrameProbe::State::kNone) continue;
      if (first->header.last_sequence > *closed_) return false;
      learn(first->header);
      used_ = i + 1;
    }
    return true;
  }

  // No valid frame here: moves to the one that the log goes on with, if there is one. Otherwise behind_ is
  // the first frame of all behind this place.
  Result<bool> go_on() {
    for (size_t i = index_; i < segments_.size(); ++i) {
      uint64_t offset = i == index_ ? offset_ : kLogBlockSize;
      auto frame = segments_[i]->find(&offset);
      if (!frame) return frame.status();
      if (frame->state == FrameProbe::State::kNone) continue;
      used_ = std::max(used_, i + 1);
      if (frame->state == FrameProbe::State::kHeaderOnly || !continues(frame->header)) {
        behind_ = {i, offset};
        return false;
      }
      index_ = i;
      offset_ = offset;
      return true;
    }
    behind_ = {segments_.size(), 0};
    return false;
  }

  // The log ends here. Was anything behind it durable?
  Status end() {
    std::string witness =
        told_durable_ < durable_ ? "the manifest" : "an earlier frame";  // who knows the most
    Sequence known = std::max(told_durable_, durable_);
    bool written = false;     // frames of this life stand behind the end
    size_t suspect = index_;  // the segment in which the next frame should have been
    // Operations and the watermark behind them, which has its place there, take two blocks.
    const bool more = index_ + 1 < segments_.size();
    if (more && offset_ + 2 * kLogBlockSize > segments_[index_]->segment().size) ++suspect;
    for (size_t i = behind_.first; i < segments_.size(); ++i) {
      uint64_t offset = i == behind_.first ? behind_.second : kLogBlockSize;
      while (true) {
        auto frame = segments_[i]->find(&offset);
        if (!frame) return frame.status();
        if (frame->state == FrameProbe::State::kNone) break;
        used_ = std::max(used_, i + 1);
        if (!written) suspect = i;
        written = true;
        learn(frame->header);
        if (told_durable_ > known) {
          known = told_durable_;
          witness = segments_[i]->place(offset);
        }
        // A valid frame holds no other; values that imitate one are not looked at.
        bool valid = frame->state == FrameProbe::State::kValid;
        offset += valid ? frame_footprint(frame->header.size) : kLogBlockSize;
      }
    }
    // The last blocks of a segment may be empty because the next frame did not fit, or because it was lost.
    std::string stopped;
    if (suspect != index_) {
      if (offset_ + kLogBlockSize <= segments_[index_]->segment().size)
        stopped = fmt::format(" (or {}: the log stops there)", here());
      bad_place_ = segments_[suspect]->place(kLogBlockSize);
    } else if (more && !written) {
      stopped = fmt::format(" (or {}: the log may go on there)", segments_[index_ + 1]->place(kLogBlockSize));
    }
    const Sequence lost = in_parts_ ? parts_first_ : next_;
    if (known >= lost && !planted(Plant::cut_at_first_bad_frame)) {
      return Status::corruption(
          "{}{}: damaged: sequences from {} on are missing, though those up to {} were durable "
          "(says {})",
          bad_place_, stopped, lost, known, witness);
    }
    if (planted(Plant::replay_unfinished_parts) && in_parts_ && !parts_orphaned_) {
      (void)hand_over(parts_first_, parts_ops_, static_cast<uint32_t>(next_ - parts_first_));
      replay_.last_sequence = next_ - 1;
    }
    if (in_parts_) bad_place_ = parts_place_;
    if (written || in_parts_) cut();
    return {};
  }

  const Sequence flushed_;
  const Sequence durable_;  // as the manifest has it
  const std::optional<Sequence> closed_;
  Sequence next_;  // expected
  const ReplayFunction& apply_;
  LogReplay replay_;
  Sequence told_durable_ = 0;

  std::vector<std::unique_ptr<SegmentReader>> segments_;
  size_t index_ = 0;  // where we read
  uint64_t offset_ = kLogBlockSize;
  std::pair<size_t, uint64_t> behind_;  // segment and offset where end() looks on: before it is no frame
  size_t used_ = 0;                     // segments up to the last one that holds a frame
  bool started_ = false;                // a frame was seen
  std::string bad_place_;               // where damage would be, for cut()

  bool in_parts_ = false;  // between a batch's first part and its commit
  Sequence parts_first_ = 0;
  bool parts_orphaned_ = false;
  std::string parts_ops_;
  std::string parts_place_;
};

}  // namespace

Result<LogReplay> replay_log(FileSystem& fs, const std::string& dir, const std::vector<LogSegment>& segments,
                             Sequence flushed_sequence, Sequence durable_sequence, bool accept_loss,
                             const ReplayFunction& apply, std::optional<Sequence> closed) {
  Status refused;  // by apply, whose failures are not the log's
  const ReplayFunction guarded = [&](Sequence first, std::string_view ops) {
    refused = apply(first, ops);
    return refused;
  };
  auto acceptable = [&](const Status& status) {
    return accept_loss && refused.ok() && (status.is_corruption() || status.is_io_error());
  };
  Replayer replayer(flushed_sequence, durable_sequence, closed, guarded);
  Status opened = replayer.open(fs, dir, segments);
  if (!opened && !acceptable(opened)) return opened;
  if (!opened) replayer.cut();
  Status ran = replayer.run();
  if (!ran && !acceptable(ran)) return ran;
  if (!ran) replayer.cut();
  LogReplay replay = replayer.result();
  if (opened && ran) replay.unused_segments = replayer.unused();
  return replay;
}

}  // namespace varve
