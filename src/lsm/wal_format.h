// wal_format.h: how groups of batches lie in the write-ahead log, and the pure functions that write and read
// it.
//
// A segment is a file of fixed size, pre-written with zeros by a worker ("prepared") and named in the
// manifest with its identity before the first acknowledgement from it. Its life begins with a header block:
//
//   segment := header (4 KiB)  frame*  anything
//   header  := magic:u64 "varvelog"  format:u32  segment_size:u64  identity:128  number:u64
//              checksum:u64  zeros to 4 KiB
//
// Later formats keep the header's first 52 bytes, so that a newer one is told from a damaged one.
//
// A group of batches that is written and synced together is one or more frames, each on its own 4 KiB
// boundary, so that acknowledged bytes are never rewritten:
//
//   frame   := checksum:u64  magic:u32  size:u32 (payload)  first_sequence:u64  last_sequence:u64
//              durable_sequence:u64  manifest_edit:u64  flags:u32  header_check:u32  payload  zeros to 4 KiB
//   payload := batch*
//   batch   := size:u32 (of ops)  count:u32  ops (include/varve/write_batch.h)
//
// The checksum covers everything behind itself up to the end of the payload, seeded with the segment's
// identity and the frame's offset (a reused segment still holds the frames of its former life behind the new
// ones). header_check, seeded likewise, covers the header alone: the search behind a bad frame asks it first,
// so that neither old frames nor values that imitate a frame cost more than their header; and a frame whose
// payload was torn still tells what it knew. The padding is under no checksum; nobody reads it.
//
// A frame is replayed whole or not at all. So the value of a put in it may have bytes that a later batch of
// the same frame changed: that batch has no operation for this.
//
// durable_sequence: everything up to it was durable when the frame was written (so it is below
// first_sequence); manifest_edit: so was that edit of the manifest. Together they tell a torn tail from
// damage to synced data. A frame without payload (first = last + 1) is a watermark: written when the log has
// been idle for 100 ms and at a clean close. Its block is kept free behind every frame with operations, so
// that the last of them in a segment have their witness too.
//
// flags: kPartBegin, kPartMiddle*, kPartCommit for a batch that is larger than a frame and goes in parts, cut
// between operations; 0 for whole batches. The payload of a part is one `batch`, and takes at least one
// sequence (but for a commit that holds only counters). It happened only if the commit is there. The parts
// are written in one group, with nothing between them; they may go over into the next segment.
//
// Tail rule: where the next frame should be and no valid one is, the log goes on with the next frame behind,
// in this segment or in the first later one that has any, if that continues the sequence (nothing is missing:
// either a segment was left, or what is bad was a watermark). Otherwise it ends there - if nothing shows that
// something durable is missing. These do, and make it damage (corruption, naming file and offset):
//   - a durable sequence not below the next expected one: the manifest's, or that of any frame of the
//     same lives, before or behind the bad place, in this segment or a later one;
//   - a segment that is missing, has not its fixed size, or has a bad or foreign header;
//   - a valid frame, just where it should be, that does not continue the sequence.
// Before the first frame the next expected sequence is flushed + 1, and a frame that starts below it will do
// as well.
//
// After a clean close (manifest.h) it is known where the log ends. Then, once everything up to there was read
// or stands in tables, only the places are looked at where the first frame of an unused segment would be; if
// there is none, the log ends. If there is one, the rule above holds.
//
// What the owner must keep to: the manifest edit that installs what was replayed also removes every segment
// in which the replay met a frame (new frames go behind no old ones); a segment becomes removable once
// flushed_sequence covers all its batches; flushed_sequence and durable_sequence never lie inside a batch,
// and the first is never above the second.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/identity.h"
#include "base/status.h"
#include "lsm/key_format.h"
#include "os/file_system.h"

namespace varve {

inline constexpr size_t kLogBlockSize = 4096;
inline constexpr size_t kFrameHeaderSize = 56;
inline constexpr size_t kBatchHeaderSize = 8;
// Payload bytes of a frame (batch headers included) are at most this; larger batches go in parts.
inline constexpr size_t kMaxFramePayload = 4 * 1024 * 1024;

enum FrameFlags : uint32_t { kFrameWhole = 0, kPartBegin = 1, kPartMiddle = 2, kPartCommit = 3 };

struct LogSegment {
  uint64_t number = 0;  // NNNNNNNN.log
  Identity identity;    // of this life of the file
  uint64_t size = 0;    // whole file, header included
  bool operator==(const LogSegment&) const = default;
};

std::string log_file_name(uint64_t number);  // "00000007.log"

struct FrameHeader {
  uint32_t size = 0;
  Sequence first_sequence = 0;
  Sequence last_sequence = 0;
  Sequence durable_sequence = 0;
  uint64_t manifest_edit = 0;
  uint32_t flags = kFrameWhole;
};

// Bytes a frame with this payload takes in the segment.
inline uint64_t frame_footprint(size_t payload) {
  return (kFrameHeaderSize + payload + kLogBlockSize - 1) / kLogBlockSize * kLogBlockSize;
}

// Appends a batch (or a part of one) to a frame's payload.
void append_batch(Buffer* frame, std::string_view ops, uint32_t count);

// Fills the header into the first kFrameHeaderSize bytes of `frame` (the payload stands behind it), pads with
// zeros to the footprint, and computes the checksums. header.size must be the payload's.
void finish_frame(Buffer* frame, const FrameHeader& header, const LogSegment& segment, uint64_t offset);

// Makes the file ready for use as `segment`: creates it and writes zeros over its whole size, or, if `reuse`,
// keeps the bytes of an existing segment file of the same size (which no manifest names any more); then
// writes the header, syncs file and directory. A new file that could not be finished (disk full) is removed
// again. Worker.
Status prepare_segment(FileSystem& fs, const std::string& dir, const LogSegment& segment, bool reuse);

struct LogReplay {
  Sequence last_sequence = 0;     // of the last whole batch in the log, at least flushed_sequence
  Sequence durable_sequence = 0;  // highest known-durable sequence any frame told; at most last_sequence
  uint64_t manifest_edit = 0;     // highest manifest edit any frame told
  bool torn_tail = false;  // something behind the end was cut (an unacknowledged write, or accepted loss)
  std::string torn_place;  // "00000007.log: 8192", for the log
  uint64_t frames = 0;     // valid ones read
  uint64_t batches = 0;    // handed over
  uint64_t bytes = 0;      // of their ops
  // So many segments at the end of the log are whole and hold no frame of this life, valid or not. None after
  // damage that was accepted.
  size_t unused_segments = 0;
};
// One batch: its first sequence and ops, which are well-formed and as many as counted. Returning a failure
// stops the replay with it.
using ReplayFunction = std::function<Status(Sequence first_sequence, std::string_view ops)>;

// Reads `segments` in order and hands over every whole batch behind `flushed_sequence` (batches up to it
// stand in tables already; frames wholly at or below it are checked but not handed over). `durable_sequence`
// and the segments are what the manifest says. Memory: a window of about 1 MiB, a frame, and a batch in
// parts. When it fails, batches may have been handed over already. `accept_loss`: the operator's explicit
// switch; damage and unreadable places are then treated like a torn tail: nothing behind them is replayed.
// `closed`: the log's last sequence, after a clean close.
Result<LogReplay> replay_log(FileSystem& fs, const std::string& dir, const std::vector<LogSegment>& segments,
                             Sequence flushed_sequence, Sequence durable_sequence, bool accept_loss,
                             const ReplayFunction& apply, std::optional<Sequence> closed = {});

// For people: header, frames (sequence range, durable, flags, batch count) and, if `ops`, every operation,
// one line each; ends with why it ended. Works without a manifest: the identity is taken from the header.
Status dump_log(FileSystem& fs, const std::string& path, bool ops,
                const std::function<void(std::string_view line)>& out);

}  // namespace varve
