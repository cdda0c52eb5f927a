// wal_dump.cc: a log segment as text, for people.
#include "lsm/wal_format.h"
#include "lsm/wal_segment.h"

namespace varve {
namespace {

using Out = std::function<void(std::string_view line)>;

// The beginning of some bytes: what is not printable as \xNN.
std::string excerpt(std::string_view bytes) {
  constexpr size_t kMax = 48;
  std::string text;
  for (char c : bytes.substr(0, kMax)) {
    if (c > ' ' && c <= '~' && c != '\\')
      text += c;
    else
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  if (bytes.size() > kMax) text += fmt::format("...({} bytes)", bytes.size());
  return text;
}

std::string describe(const BatchReader::Op& op) {
  if (op.is_counter) return fmt::format("counter {} {:+}", op.counter_id, op.counter_delta);
  const char* blind = op.blind ? " blind" : "";
  if (op.kind == Kind::kPut) return fmt::format("put{} {} = {}", blind, excerpt(op.key), excerpt(op.value));
  if (op.kind == Kind::kDelete) return fmt::format("delete{} {}", blind, excerpt(op.key));
  return fmt::format("delete [{}..{})", excerpt(op.key), excerpt(op.value));
}

std::string describe(uint64_t offset, const FrameHeader& header) {
  std::string text = fmt::format("{}: ", offset);
  if (header.size == 0) {
    text += fmt::format("watermark at sequence {}", header.last_sequence);
  } else {
    static constexpr const char* kNames[] = {"", "first part, ", "middle part, ", "last part, "};
    text += fmt::format("sequences {}..{}, ", header.first_sequence, header.last_sequence);
    if (header.flags != kFrameWhole) text += kNames[header.flags];
    text += fmt::format("{} bytes", header.size);
  }
  return text +
         fmt::format(", durable up to {}, manifest edit {}", header.durable_sequence, header.manifest_edit);
}

void dump_batches(const FrameProbe& frame, bool ops, const Out& out) {
  PayloadReader payload(frame.payload);
  Sequence first = frame.header.first_sequence;
  std::string_view batch;
  uint32_t count = 0;
  while (payload.next(&batch, &count)) {
    out(fmt::format("  batch: sequences {}..{}, {} bytes", first, first + count - 1, batch.size()));
    BatchReader reader(batch);
    Sequence sequence = first;
    for (BatchReader::Op op; ops && reader.next(&op);) {
      out(op.is_counter ? fmt::format("    {}", describe(op))
                        : fmt::format("    {} {}", sequence++, describe(op)));
    }
    if (reader.corrupt()) out("    an operation that makes no sense");
    first += count;
  }
  if (payload.corrupt()) out("  a batch that makes no sense");
}

}  // namespace

Status dump_log(FileSystem& fs, const std::string& path, bool ops, const Out& out) {
  auto opened = SegmentReader::open_any(fs, path);
  if (!opened) return opened.status();
  SegmentReader& reader = **opened;
  const LogSegment& segment = reader.segment();
  out(fmt::format("log segment {}, {} bytes, identity {}", segment.number, segment.size,
                  segment.identity.to_string()));
  uint64_t offset = kLogBlockSize;
  while (true) {
    auto frame = reader.probe(offset);
    if (!frame) return frame.status();
    if (frame->state != FrameProbe::State::kValid) break;
    out(describe(offset, frame->header));
    dump_batches(*frame, ops, out);
    offset += frame_footprint(frame->header.size);
  }
  if (offset + kLogBlockSize > segment.size) {
    out(fmt::format("{}: end: the segment is full", offset));
    return {};
  }
  auto frame = reader.probe(offset);
  if (!frame) return frame.status();
  if (frame->state == FrameProbe::State::kHeaderOnly) {
    out(describe(offset, frame->header));
    out(fmt::format("{}: end: of this frame only the header is whole", offset));
  } else {
    auto zero = reader.is_zero(offset);
    if (!zero) return zero.status();
    out(fmt::format("{}: end: {}", offset, *zero ? "zeros" : "no frame of this segment's life"));
  }
  for (offset += kLogBlockSize;; offset += kLogBlockSize) {
    frame = reader.find(&offset);
    if (!frame) return frame.status();
    if (frame->state == FrameProbe::State::kNone) return {};
    out("behind the end: " + describe(offset, frame->header));
  }
}

}  // namespace varve
