// The log's readers: whatever stands in segment files, replay and dump must not read outside of them, must
// end, and must hold no more memory than they justify. Mutations make the header and the frames' checksums
// right again.
#include <algorithm>

#include "base/check.h"
#include "base/coding.h"
#include "fuzz/target.h"
#include "lsm/wal_segment.h"
#include "prove/image_fs.h"

namespace varve::fuzz {
namespace {

constexpr char kDir[] = "/db";

// The first byte: known sequences, and whether the rest is one segment or two.
struct Input {
  explicit Input(std::string_view bytes) {
    uint8_t flags = bytes.empty() ? 0 : static_cast<uint8_t>(bytes[0]);
    known = flags % 8;
    if (!bytes.empty()) bytes.remove_prefix(1);
    bool two = (flags & 0x80) != 0 && bytes.size() >= 4 * kLogBlockSize;
    size_t cut = two ? bytes.size() / 2 / kLogBlockSize * kLogBlockSize : bytes.size();
    parts.push_back(bytes.substr(0, cut));
    if (two) parts.push_back(bytes.substr(cut));
    for (uint64_t i = 0; i < parts.size(); ++i) segments.push_back({i + 1, {1, 2 + i}, parts[i].size()});
  }
  Sequence known;
  std::vector<std::string_view> parts;
  std::vector<LogSegment> segments;
};

void seal(std::string* input) {
  size_t whole = (input->size() + kLogBlockSize - 2) / kLogBlockSize * kLogBlockSize;
  input->resize(1 + std::max(whole, 2 * kLogBlockSize));
  Input parsed(*input);
  char* begin = input->data() + 1;
  for (const LogSegment& segment : parsed.segments) {
    std::string header = encode_segment_header(segment);
    std::copy_n(header.data(), kSegmentHeaderSize, begin);
    for (uint64_t at = kLogBlockSize; at + kLogBlockSize <= segment.size; at += kLogBlockSize) {
      char* frame = begin + at;
      uint32_t size = decode_fixed32(frame + 12);
      if (decode_fixed32(frame + 8) != kFrameMagic) continue;
      encode_fixed32(frame + 52, frame_header_check(frame, segment, at));
      if (size > segment.size - at - kFrameHeaderSize) continue;
      encode_fixed64(frame, frame_checksum(std::string_view(frame, kFrameHeaderSize + size), segment, at));
    }
    begin += segment.size;
  }
}

void run(std::string_view input) {
  Input parsed(input);
  prove::Files files;
  for (size_t i = 0; i < parsed.parts.size(); ++i)
    files[log_file_name(i + 1)] = prove::bytes_of(std::string(parsed.parts[i]));
  prove::ImageFs fs(kDir, files, true);
  for (bool accept_loss : {false, true}) {
    uint64_t handed_over = 0;
    Sequence last = parsed.known;
    auto replayed = replay_log(fs, kDir, parsed.segments, last, last, accept_loss,
                               [&](Sequence first, std::string_view ops) {
                                 VARVE_CHECK(first > last);
                                 handed_over += ops.size();
                                 BatchReader reader(ops);
                                 for (BatchReader::Op op; reader.next(&op);)
                                   last = op.is_counter ? last : first++;
                                 VARVE_CHECK(!reader.corrupt());
                                 return Status();
                               });
    VARVE_CHECK(handed_over <= input.size());
    VARVE_CHECK(replayed.ok() || !replayed.status().message().empty());
    if (replayed) VARVE_CHECK(replayed->last_sequence >= last);
  }
  size_t lines = 0;
  for (const auto& [name, bytes] : files) {
    Status status = dump_log(fs, join_path(kDir, name), true, [&](std::string_view) { ++lines; });
    VARVE_CHECK(status.ok() || !status.message().empty());
  }
  VARVE_CHECK(lines <= 2 * input.size() + 10);
}

std::string make(Random* random) {
  std::string bytes(1 + kLogBlockSize * (2 + random->below(random->one_in(2) ? 2 : 5)), '\0');
  bytes[0] = static_cast<char>(random->one_in(3) ? random->next() : random->one_in(2) ? 0 : 0x80);
  Sequence next = 1;
  for (size_t at = 1 + kLogBlockSize; at + kLogBlockSize <= bytes.size(); at += kLogBlockSize) {
    if (random->one_in(6)) continue;
    WriteBatch batch;
    for (uint64_t n = random->below(4); n > 0; --n) batch.put(std::to_string(random->next()), "value");
    if (random->one_in(4)) batch.add_count(static_cast<uint32_t>(random->below(9)), -1);
    if (random->one_in(4)) batch.remove_range("a", "b");
    Buffer payload;
    for (uint64_t n = random->below(3); n > 0; --n) append_batch(&payload, batch.bytes(), batch.count());
    char* frame = bytes.data() + at;
    encode_fixed32(frame + 8, kFrameMagic);
    encode_fixed32(frame + 12, static_cast<uint32_t>(payload.size()));
    encode_fixed64(frame + 16, next);
    next += batch.count() * (payload.size() / (kBatchHeaderSize + batch.byte_size()));
    encode_fixed64(frame + 24, next - 1);
    encode_fixed64(frame + 32, random->below(next));
    encode_fixed32(frame + 48, static_cast<uint32_t>(random->one_in(3) ? random->below(4) : 0));
    bytes.replace(at + kFrameHeaderSize, payload.size(), payload.view());
  }
  seal(&bytes);
  return bytes;
}

void mutate(std::string* input, Random* random) {
  if (input->size() < 1 + 2 * kLogBlockSize) seal(input);
  size_t blocks = (input->size() - 1) / kLogBlockSize;
  size_t block = 1 + random->below(blocks) * kLogBlockSize;
  switch (random->below(5)) {
    case 0: {  // a field of a frame's header
      static constexpr uint8_t kWide[] = {16, 24, 32, 40}, kNarrow[] = {8, 12, 48};
      if (random->one_in(2))
        encode_fixed64(input->data() + block + kWide[random->below(4)], edge_number(random, 20));
      else
        encode_fixed32(input->data() + block + kNarrow[random->below(3)],
                       random->one_in(3) ? kFrameMagic : static_cast<uint32_t>(edge_number(random, 14)));
      break;
    }
    case 1:  // the front of a payload: lengths and codes
      (*input)[block + kFrameHeaderSize + random->below(40)] = static_cast<char>(edge_number(random, 8));
      break;
    case 2: {  // a block twice, or gone
      std::string copy = input->substr(block, kLogBlockSize);
      if (random->one_in(2))
        input->insert(block, copy);
      else if (blocks > 2)
        input->erase(block, kLogBlockSize);
      break;
    }
    case 3:
      (*input)[0] = static_cast<char>(random->next());
      break;
    default:
      mutate_bytes(input, random);
      break;
  }
  if (!random->one_in(8)) seal(input);
}

uint64_t allocation_max(size_t input_size) {
  return (1 << 20) + 4 * input_size + 64 * 1024;
}

const Registration registration({"log", "log segments: replay and dump", 256 * 1024, run, make, mutate,
                                 allocation_max});

}  // namespace
}  // namespace varve::fuzz
