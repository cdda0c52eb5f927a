// log_pipeline.h: the owner's side of the write-ahead log: collects batches into frames, hands one group at a
// time to the log lane, and knows which sequence is durable. The formats are wal_format.h's; the worker only
// fills in checksums, writes and syncs what it was given.
//
// Space: segments are prepared ahead on the utility lane and enter use only when the manifest names them.
// room() is what can still be appended; the engine admits writes against it, so append() never fails.
//
// After a failed write or sync the pipeline is fenced: nothing more is written, durable_sequence() stands
// still.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "lsm/engine.h"
#include "lsm/wal_format.h"
#include "os/executor.h"

namespace varve {

class LogPipeline {
 public:
  struct Callbacks {
    std::function<void(Sequence)> on_durable;
    std::function<void(const Status&)> on_fenced;
    std::function<uint64_t()> manifest_edit;  // the last durable one, for the frames
  };
  struct Stats {
    uint64_t bytes = 0, groups = 0, batches = 0, syncs = 0;
    uint64_t sync_us_total = 0, sync_us_max = 0, sync_us_last = 0;
  };

  LogPipeline(Executor* executor, Clock* clock, uint64_t segment_size, SyncMode mode, Callbacks callbacks);

  // A prepared segment, open for writing, named in the durable manifest; used after all earlier ones.
  void add_segment(const LogSegment& segment, std::shared_ptr<WriteFile> file);
  // What a batch of so many bytes takes at most, headers and padding included.
  uint64_t need(size_t batch_bytes) const;
  // Bytes of batches that surely fit, counted pessimistically, for a batch whose largest operation has at
  // most `largest_op` bytes; `keep_last`: without the last segment.
  uint64_t room(bool keep_last, size_t largest_op) const;
  // The most that room() could say with so many empty segments.
  uint64_t room_of(uint64_t segments, size_t largest_op) const;
  size_t ready_segments() const { return ready_.size(); }

  void start_at(Sequence last) { last_ = durable_ = written_ = last; }
  // Appends a batch of `count` operations whose first sequence is first. Room must have been there.
  void append(Sequence first, const WriteBatch& batch);
  // Remembers where the value of an operation of the batch that was appended last stands, `at` from the start
  // of its operations, while its frame is open.
  void note_value(uint64_t key_hash, Sequence sequence, size_t at);
  // The sequence of the last noted value of such a key that stands in the frame which a batch of
  // `batch_bytes` would join; 0: there is none.
  Sequence noted_value(uint64_t key_hash, size_t batch_bytes) const;
  // Overwrites bytes of it, which noted_value() has just found. Frames are replayed whole or not at all, so
  // that belongs to the batch appended next.
  void amend(uint64_t key_hash, size_t offset, std::string_view bytes);
  // End of a turn: starts a write of what is there unless one is in flight.
  void pump();
  // Every 100 ms: everysec's sync, the idle watermark.
  void tick();
  void set_mode(SyncMode mode);
  // Makes everything appended so far durable whatever the mode, then calls back.
  void sync(std::function<void(Status)> done);
  // Clean close: everything durable, then a final watermark.
  void finish(std::function<void(Status)> done);

  Sequence last() const { return last_; }
  Sequence durable() const { return durable_; }
  bool fenced() const { return !fence_.ok(); }
  const Status& fence() const { return fence_; }
  bool in_flight() const { return in_flight_; }
  const Stats& stats() const { return stats_; }
  void reset_stats() { stats_ = Stats(); }
  // Bytes of frames waiting or in flight, and of memory kept for the next.
  size_t memory_used() const;
  // Bytes of segments from the one that holds `sequence` on: what a replay would read.
  uint64_t bytes_behind(Sequence flushed) const;

  // Segments all of whose frames are at or below `flushed`: no longer needed. They leave the pipeline.
  std::vector<LogSegment> retire(Sequence flushed);
  std::vector<LogSegment> segments() const;  // in order of use, those ready included

 private:
  struct Segment {
    LogSegment info;
    std::shared_ptr<WriteFile> file;
    uint64_t offset = kLogBlockSize;  // where the next frame goes
    Sequence last = 0;                // of its last frame; 0: none yet
    bool unsynced = false;            // written since its last sync
  };
  using SegmentRef = std::shared_ptr<Segment>;
  struct Frame {
    SegmentRef segment;
    uint64_t offset = 0;
    FrameHeader header;
    Buffer bytes;  // room for the header, then the payload
  };
  struct Waiter {
    Sequence sequence;
    std::function<void(Status)> done;
  };

  // Where a large value stands in the open frame.
  struct NotedValue {
    uint64_t key_hash = 0;
    Sequence sequence = 0;
    size_t at = 0;  // in the frame's bytes
  };

  struct Group;

  bool joins_frame(size_t payload) const;
  NotedValue& noted(uint64_t key_hash) { return noted_[key_hash % noted_.size()]; }
  static bool fits(const Segment& segment, uint64_t offset, size_t payload);
  void open_frame(Sequence first, size_t payload, uint32_t flags);
  void close_frame();
  void add_to_frame(std::string_view ops, uint32_t count);
  void append_parts(Sequence first, const WriteBatch& batch);
  void add_watermark();
  void start_write(bool with_sync);
  void keep_spare(std::vector<Frame>* frames);
  void finish_write(const Status& status, Sequence last, bool synced, int64_t sync_us);
  void release_waiters();
  void fence_with(const Status& status);

  Executor* executor_;
  Clock* clock_;
  uint64_t segment_size_;
  size_t payload_max_;  // of a frame
  SyncMode mode_;
  Callbacks callbacks_;

  std::deque<SegmentRef> used_;   // oldest first; the last one is being filled
  std::deque<SegmentRef> ready_;  // not yet written to
  std::unique_ptr<Frame> open_;
  size_t last_ops_at_ = 0;         // where the operations of the batch appended last begin in open_
  std::vector<NotedValue> noted_;  // by hash; of two that share a place the later one has it
  std::vector<Frame> closed_;
  std::vector<Buffer> spare_;  // empty, for frames to come
  size_t flying_bytes_ = 0;

  Sequence last_ = 0;     // appended
  Sequence written_ = 0;  // handed to the system
  Sequence durable_ = 0;
  Sequence told_durable_ = 0;  // by the last frame on disk
  uint64_t told_manifest_edit_ = 0;
  bool in_flight_ = false;
  bool want_sync_ = false;
  int64_t last_activity_us_ = 0;
  int64_t last_sync_us_ = 0;
  Status fence_;
  std::deque<Waiter> waiters_;
  Stats stats_;
};

}  // namespace varve
