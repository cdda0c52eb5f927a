// Fuzzes the log's readers: whatever stands in a segment file, replay and dump must not read outside it, must
// end, and must hold no more memory than it justifies. The first byte chooses how much is made right (so that
// mutated bytes get past the checksums): nothing, the header, the header and each frame's checksums. With
// libFuzzer: clang++ -fsanitize=fuzzer,address -DVARVE_LIBFUZZER ... Without, main() runs made-up inputs from
// a seed.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/check.h"
#include "base/coding.h"
#include "base/random.h"
#include "lsm/wal_segment.h"
#include "support/crash_fs.h"

namespace varve {
namespace {

constexpr char kDir[] = "/db";

void make_checksums_right(std::string* bytes, const LogSegment& segment) {
  for (uint64_t at = kLogBlockSize; at + kLogBlockSize <= bytes->size(); at += kLogBlockSize) {
    char* frame = bytes->data() + at;
    uint32_t size = decode_fixed32(frame + 12);
    if (decode_fixed32(frame + 8) != kFrameMagic) continue;
    encode_fixed32(frame + 52, frame_header_check(frame, segment, at));
    if (size > bytes->size() - at - kFrameHeaderSize) continue;
    encode_fixed64(frame, frame_checksum(std::string_view(frame, kFrameHeaderSize + size), segment, at));
  }
}

}  // namespace
}  // namespace varve

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace varve;
  if (size < 2) return 0;
  const int right = data[0] % 3;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  LogSegment segment{1, {1, 2}, bytes.size()};
  if (right > 0) {
    bytes.resize((bytes.size() + 2 * kLogBlockSize) / kLogBlockSize * kLogBlockSize);
    segment.size = bytes.size();
    bytes.replace(0, kSegmentHeaderSize, encode_segment_header(segment), 0, kSegmentHeaderSize);
  }
  if (right > 1) make_checksums_right(&bytes, segment);
  test::CrashFs fs;
  const std::string path = join_path(kDir, log_file_name(1));
  fs.put(path, bytes);
  for (bool accept_loss : {false, true}) {
    uint64_t handed_over = 0;
    Sequence last = data[0] / 3;
    auto replayed =
        replay_log(fs, kDir, {segment}, last, last, accept_loss, [&](Sequence first, std::string_view ops) {
          VARVE_CHECK(first > last);
          handed_over += ops.size();
          BatchReader reader(ops);
          for (BatchReader::Op op; reader.next(&op);) last = op.is_counter ? last : first++;
          VARVE_CHECK(!reader.corrupt());
          return Status();
        });
    VARVE_CHECK(handed_over <= bytes.size());
    VARVE_CHECK(replayed.ok() || !replayed.status().message().empty());
  }
  size_t lines = 0;
  Status status = dump_log(fs, path, true, [&](std::string_view) { ++lines; });
  VARVE_CHECK(lines <= 2 * bytes.size() + 10);
  return 0;
}

#ifndef VARVE_LIBFUZZER
// fuzz_log [INPUTS [SEED]]
int main(int argc, char** argv) {
  using namespace varve;
  uint64_t inputs = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : 3000;
  uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 1;
  std::printf("fuzz_log %llu %llu\n", static_cast<unsigned long long>(inputs),
              static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  Random random(seed);
  for (uint64_t i = 0; i < inputs; ++i) {
    std::string bytes(1 + kLogBlockSize * (1 + random.below(6)), '\0');
    bytes[0] = static_cast<char>(random.next());
    Sequence next = 1;
    for (size_t at = 1 + kLogBlockSize; at + kLogBlockSize <= bytes.size(); at += kLogBlockSize) {
      if (random.one_in(6)) continue;
      WriteBatch batch;
      for (uint64_t n = random.below(4); n > 0; --n) batch.put(std::to_string(random.next()), "value");
      Buffer payload;
      for (uint64_t n = random.below(3); n > 0; --n) append_batch(&payload, batch.bytes(), batch.count());
      char* frame = bytes.data() + at;
      encode_fixed32(frame + 8, kFrameMagic);
      encode_fixed32(frame + 12, static_cast<uint32_t>(payload.size()));
      encode_fixed64(frame + 16, next);
      next += batch.count() * (payload.size() / (kBatchHeaderSize + batch.byte_size()));
      encode_fixed64(frame + 24, next - 1);
      encode_fixed32(frame + 48, static_cast<uint32_t>(random.one_in(3) ? random.below(4) : 0));
      bytes.replace(at + kFrameHeaderSize, payload.size(), payload.view());
    }
    // A few bytes of the frames' beginnings become anything.
    for (uint64_t n = random.below(5); n > 0; --n) {
      size_t at = 1 + random.below(bytes.size() / kLogBlockSize) * kLogBlockSize + random.below(120);
      bytes[at] = static_cast<char>(random.one_in(2) ? random.next() : random.below(4));
    }
    if (random.one_in(4)) bytes.resize(random.below(bytes.size()));
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
  return 0;
}
#endif
