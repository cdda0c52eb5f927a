#include "lsm/log_pipeline.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "base/plant.h"

namespace varve {
namespace {

// Some more than a frame has room for values that are worth it.
constexpr size_t kNotedValues = 1021;
constexpr int64_t kIdleUs = 100'000;
constexpr size_t kSpareBuffers = 2;
constexpr size_t kSpareSize = 1 << 20;
constexpr int64_t kSecondUs = 1'000'000;

}  // namespace

LogPipeline::LogPipeline(Executor* executor, Clock* clock, uint64_t segment_size, SyncMode mode,
                         Callbacks callbacks)
    : executor_(executor),
      clock_(clock),
      segment_size_(segment_size),
      payload_max_(std::min<uint64_t>(kMaxFramePayload, segment_size / 4)),
      mode_(mode),
      callbacks_(std::move(callbacks)),
      noted_(kNotedValues) {}

void LogPipeline::add_segment(const LogSegment& info, std::shared_ptr<WriteFile> file) {
  auto segment = std::make_shared<Segment>();
  segment->info = info;
  segment->file = std::move(file);
  ready_.push_back(std::move(segment));
}

uint64_t LogPipeline::need(size_t batch_bytes) const {
  // Parts are at least half full, and each may lose a block to padding and one to its headers.
  return batch_bytes + (batch_bytes / (payload_max_ / 2) + 2) * 2 * kLogBlockSize;
}

uint64_t LogPipeline::room_of(uint64_t segments, size_t largest_op) const {
  // A segment is left when the next frame and a watermark do not fit, so of each one frame's worth may be
  // lost.
  uint64_t lost = std::max<uint64_t>(payload_max_, largest_op) + 3 * kLogBlockSize;
  return segment_size_ > lost ? segments * (segment_size_ - lost) : 0;
}

uint64_t LogPipeline::room(bool keep_last, size_t largest_op) const {
  size_t whole = ready_.size();
  if (keep_last) whole = whole > 0 ? whole - 1 : 0;
  uint64_t sum = room_of(whole, largest_op);
  if (used_.empty() || (keep_last && ready_.empty())) return sum;
  uint64_t at =
      open_ ? open_->offset + frame_footprint(open_->bytes.size() - kFrameHeaderSize) : used_.back()->offset;
  uint64_t gone = at - kLogBlockSize;
  uint64_t empty = room_of(1, largest_op);
  return sum + (empty > gone ? empty - gone : 0);
}

// Behind a frame with operations there is room for a watermark.
bool LogPipeline::fits(const Segment& segment, uint64_t offset, size_t payload) {
  return offset + frame_footprint(payload) + (payload > 0 ? kLogBlockSize : 0) <= segment.info.size;
}

// Starts a frame in the segment being filled if `payload` bytes fit there, else in the next one.
void LogPipeline::open_frame(Sequence first, size_t payload, uint32_t flags) {
  close_frame();
  if (used_.empty() || !fits(*used_.back(), used_.back()->offset, payload)) {
    VARVE_CHECK(!ready_.empty());
    used_.push_back(std::move(ready_.front()));
    ready_.pop_front();
    VARVE_CHECK(fits(*used_.back(), used_.back()->offset, payload));
  }
  open_ = std::make_unique<Frame>();
  open_->segment = used_.back();
  open_->offset = used_.back()->offset;
  open_->header.first_sequence = first;
  open_->header.last_sequence = first - 1;
  open_->header.flags = flags;
  if (!spare_.empty()) {
    open_->bytes = std::move(spare_.back());
    spare_.pop_back();
  }
  open_->bytes.resize(kFrameHeaderSize);
}

void LogPipeline::close_frame() {
  if (!open_) return;
  size_t payload = open_->bytes.size() - kFrameHeaderSize;
  open_->header.size = static_cast<uint32_t>(payload);
  open_->header.durable_sequence = planted(Plant::tell_no_durable_sequence) ? 0 : durable_;
  open_->header.manifest_edit = callbacks_.manifest_edit();
  open_->segment->offset = open_->offset + frame_footprint(payload);
  open_->segment->last = std::max(open_->segment->last, open_->header.last_sequence);
  told_durable_ = durable_;
  told_manifest_edit_ = open_->header.manifest_edit;
  closed_.push_back(std::move(*open_));
  open_.reset();
}

void LogPipeline::add_to_frame(std::string_view ops, uint32_t count) {
  Buffer& bytes = open_->bytes;
  last_ops_at_ = bytes.size() + kBatchHeaderSize;
  char header[kBatchHeaderSize];
  encode_fixed32(header, static_cast<uint32_t>(ops.size()));
  encode_fixed32(header + 4, count);
  bytes.append(header, sizeof header);
  bytes.append(ops);
  open_->header.last_sequence += count;
}

// Is there room for `payload` more in the open frame?
bool LogPipeline::joins_frame(size_t payload) const {
  if (!open_) return false;
  payload += open_->bytes.size() - kFrameHeaderSize;
  return payload <= payload_max_ && fits(*open_->segment, open_->offset, payload);
}

void LogPipeline::note_value(uint64_t key_hash, Sequence sequence, size_t at) {
  if (open_) noted(key_hash) = {key_hash, sequence, last_ops_at_ + at};
}

Sequence LogPipeline::noted_value(uint64_t key_hash, size_t batch_bytes) const {
  const NotedValue& value = noted_[key_hash % noted_.size()];
  bool stands = open_ && value.key_hash == key_hash && value.sequence >= open_->header.first_sequence;
  return stands && joins_frame(kBatchHeaderSize + batch_bytes) ? value.sequence : 0;
}

void LogPipeline::amend(uint64_t key_hash, size_t offset, std::string_view bytes) {
  const NotedValue& value = noted(key_hash);
  VARVE_CHECK(open_ && value.key_hash == key_hash && value.sequence >= open_->header.first_sequence);
  VARVE_CHECK(value.at + offset + bytes.size() <= open_->bytes.size());
  std::memcpy(open_->bytes.data() + value.at + offset, bytes.data(), bytes.size());
}

void LogPipeline::append(Sequence first, const WriteBatch& batch) {
  VARVE_CHECK(first == last_ + 1);
  ++stats_.batches;
  size_t size = kBatchHeaderSize + batch.byte_size();
  if (size > payload_max_) {
    append_parts(first, batch);
  } else {
    if (!joins_frame(size)) open_frame(first, size, kFrameWhole);
    add_to_frame(batch.bytes(), batch.count());
  }
  last_ = first + batch.count() - 1;
}

// A batch larger than a frame: cut between operations, the parts one behind the other.
void LogPipeline::append_parts(Sequence first, const WriteBatch& batch) {
  std::string_view rest = batch.bytes();
  uint32_t flags = kPartBegin;
  while (true) {
    BatchReader reader(rest);
    BatchReader::Op op;
    size_t cut = 0;
    uint32_t count = 0;
    bool more = false;
    while (reader.next(&op)) {
      size_t end = rest.size() - reader.rest().size();
      if (cut > 0 && kBatchHeaderSize + end > payload_max_) {
        more = true;
        break;
      }
      cut = end;
      if (!op.is_counter) ++count;
    }
    VARVE_CHECK(!reader.corrupt());
    // A batch of one large operation is a whole batch in a large frame.
    if (!more) flags = flags == kPartBegin ? kFrameWhole : kPartCommit;
    if (planted(Plant::parts_as_batches)) flags = kFrameWhole;
    open_frame(first, kBatchHeaderSize + cut, flags);
    add_to_frame(rest.substr(0, cut), count);
    close_frame();
    first += count;
    rest.remove_prefix(cut);
    flags = kPartMiddle;
    if (!more) return;
  }
}

void LogPipeline::add_watermark() {
  close_frame();
  // Never worth a segment of its own: there is room behind the last operations, which is what matters; a
  // later one, for an edit of the manifest alone, may find none.
  if (used_.empty() || !fits(*used_.back(), used_.back()->offset, 0)) return;
  open_frame(last_ + 1, 0, kFrameWhole);
  close_frame();
}

void LogPipeline::pump() {
  if (in_flight_ || fenced()) return;
  bool have = open_ || !closed_.empty();
  bool sync_now = want_sync_ || (have && mode_ == SyncMode::kAlways);
  if (have || (want_sync_ && durable_ < last_)) start_write(sync_now);
}

// What goes to the log lane, and comes back.
struct LogPipeline::Group {
  std::vector<Frame> frames;
  std::vector<std::shared_ptr<WriteFile>> to_sync;  // for what earlier groups have written
  bool sync = false;
  Clock* clock = nullptr;
  Status status;
  int64_t sync_us = 0;

  void write();
  Status write_run(std::span<Frame> run);
};

// Frames of one segment, one behind the other.
Status LogPipeline::Group::write_run(std::span<Frame> run) {
  WriteFile& file = *run.front().segment->file;
  uint64_t offset = run.front().offset;
  std::vector<std::string_view> parts;
  for (Frame& frame : run) {
    finish_frame(&frame.bytes, frame.header, frame.segment->info, frame.offset);
    parts.push_back(frame.bytes.view());
  }
  if (sync && !planted(Plant::skip_log_sync)) return file.write_durable(offset, parts);
  for (std::string_view part : parts) {
    VARVE_TRY(file.write_at(offset, part));
    offset += part.size();
  }
  return Status();
}

void LogPipeline::Group::write() {
  int64_t start = clock->monotonic_us();
  for (size_t begin = 0, end = 0; begin < frames.size() && status.ok(); begin = end) {
    while (end < frames.size() && frames[end].segment == frames[begin].segment) ++end;
    status = write_run(std::span(frames).subspan(begin, end - begin));
    if (planted(Plant::ignore_failed_log_write)) status = Status();
    if (planted(Plant::retry_failed_sync) && !status.ok()) status = frames[begin].segment->file->sync();
    if (planted(Plant::ignore_failed_sync)) status = Status();
  }
  for (const auto& file : to_sync) {
    if (status.ok()) status = file->sync();
  }
  sync_us = sync ? clock->monotonic_us() - start : 0;
}

void LogPipeline::start_write(bool with_sync) {
  close_frame();
  auto group = std::make_shared<Group>();
  group->frames = std::move(closed_);
  group->sync = with_sync;
  group->clock = clock_;
  closed_.clear();
  flying_bytes_ = 0;
  for (Frame& frame : group->frames) {
    flying_bytes_ += frame.bytes.capacity();
    stats_.bytes += frame_footprint(frame.header.size);
  }
  if (with_sync) {
    for (const SegmentRef& segment : used_) {
      if (std::exchange(segment->unsynced, false)) group->to_sync.push_back(segment->file);
    }
    want_sync_ = false;
  } else {
    for (Frame& frame : group->frames) frame.segment->unsynced = true;
  }
  in_flight_ = true;
  ++stats_.groups;
  Sequence last = last_;
  last_activity_us_ = clock_->monotonic_us();
  if (planted(Plant::acknowledge_early)) callbacks_.on_durable(durable_ = last);
  executor_->submit(
      Lane::kLog,
      [group] {
        group->write();
        return true;
      },
      [this, group, last](bool) {
        keep_spare(&group->frames);
        finish_write(group->status, last, group->sync, group->sync_us);
      });
}

// The memory of frames is used again: new pages cost more than filling them.
void LogPipeline::keep_spare(std::vector<Frame>* frames) {
  for (Frame& frame : *frames) {
    if (spare_.size() >= kSpareBuffers || frame.bytes.capacity() > kSpareSize) continue;
    frame.bytes.clear();
    spare_.push_back(std::move(frame.bytes));
  }
}

void LogPipeline::finish_write(const Status& status, Sequence last, bool synced, int64_t sync_us) {
  in_flight_ = false;
  flying_bytes_ = 0;
  if (!status.ok()) return fence_with(status);
  written_ = last;
  if (synced) {
    ++stats_.syncs;
    uint64_t us = static_cast<uint64_t>(std::max<int64_t>(sync_us, 0));
    stats_.sync_us_total += us;
    stats_.sync_us_last = us;
    stats_.sync_us_max = std::max(stats_.sync_us_max, us);
    last_sync_us_ = clock_->monotonic_us();
    if (last > durable_) {
      durable_ = last;
      callbacks_.on_durable(durable_);
    }
    release_waiters();
  }
  if (want_sync_) pump();
}

void LogPipeline::release_waiters() {
  while (!waiters_.empty() && (fenced() || waiters_.front().sequence <= durable_)) {
    Waiter waiter = std::move(waiters_.front());
    waiters_.pop_front();
    waiter.done(waiter.sequence <= durable_ ? Status() : fence_);
  }
}

void LogPipeline::fence_with(const Status& status) {
  if (fenced()) return;
  fence_ = Status::fenced(
      "the write-ahead log could not be written ({}); nothing is acknowledged any more, restart "
      "the server",
      status.message());
  callbacks_.on_fenced(fence_);
  release_waiters();
}

void LogPipeline::tick() {
  if (fenced()) return;
  int64_t now = clock_->monotonic_us();
  if (mode_ == SyncMode::kEverySecond && durable_ < last_ && now - last_sync_us_ >= kSecondUs)
    want_sync_ = true;
  bool untold = told_durable_ < durable_ || told_manifest_edit_ < callbacks_.manifest_edit();
  bool idle =
      !in_flight_ && !open_ && closed_.empty() && durable_ == last_ && now - last_activity_us_ >= kIdleUs;
  if (untold && idle) {
    add_watermark();
    want_sync_ = true;
  }
  pump();
}

void LogPipeline::set_mode(SyncMode mode) {
  if (mode == SyncMode::kAlways && durable_ < last_) want_sync_ = true;
  mode_ = mode;
}

void LogPipeline::sync(std::function<void(Status)> done) {
  if (fenced()) return done(fence_);
  if (durable_ == last_) return done(Status());
  waiters_.push_back({last_, std::move(done)});
  want_sync_ = true;
  pump();
}

void LogPipeline::finish(std::function<void(Status)> done) {
  sync([this, done = std::move(done)](const Status& status) {
    if (!status.ok() || fenced()) return done(status.ok() ? fence_ : status);
    bool untold = told_durable_ < durable_ || told_manifest_edit_ < callbacks_.manifest_edit();
    if (!untold) return done(Status());
    add_watermark();
    if (closed_.empty()) return done(Status());
    // The watermark is a frame without operations, so a waiter for its sequence would be released at once:
    // wait for the write itself.
    auto group = std::make_shared<Group>();
    group->frames = std::move(closed_);
    group->sync = true;
    group->clock = clock_;
    closed_.clear();
    in_flight_ = true;
    executor_->submit(
        Lane::kLog,
        [group] {
          group->write();
          return true;
        },
        [this, group, done](bool) {
          in_flight_ = false;
          done(group->status);
        });
  });
}

size_t LogPipeline::memory_used() const {
  size_t sum = flying_bytes_ + (open_ ? open_->bytes.capacity() : 0);
  for (const Frame& frame : closed_) sum += frame.bytes.capacity();
  for (const Buffer& buffer : spare_) sum += buffer.capacity();
  return sum;
}

uint64_t LogPipeline::bytes_behind(Sequence flushed) const {
  uint64_t sum = 0;
  for (const SegmentRef& segment : used_) {
    if (segment->last > flushed) sum += segment->offset;
  }
  return sum;
}

std::vector<LogSegment> LogPipeline::retire(Sequence flushed) {
  std::vector<LogSegment> out;
  // The segment being filled stays, and so does everything behind one that is still needed.
  while (used_.size() > 1 && used_.front()->last <= flushed && !used_.front()->unsynced) {
    out.push_back(used_.front()->info);
    used_.pop_front();
  }
  return out;
}

std::vector<LogSegment> LogPipeline::segments() const {
  std::vector<LogSegment> out;
  for (const SegmentRef& segment : used_) out.push_back(segment->info);
  for (const SegmentRef& segment : ready_) out.push_back(segment->info);
  return out;
}

}  // namespace varve
