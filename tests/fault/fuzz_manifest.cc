// Fuzzes the manifest's readers: whatever stands in CURRENT and in a manifest, reading and dumping must not
// read outside it, must end, and what is accepted must be a state that its own snapshot rebuilds. The first
// byte chooses: the bytes are CURRENT, a manifest's, its records' payloads (with right checksums around
// them), or one edit. With libFuzzer: clang++ -fsanitize=fuzzer,address -DVARVE_LIBFUZZER ... Without, main()
// runs made-up inputs from a seed.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/check.h"
#include "base/random.h"
#include "lsm/manifest.h"
#include "lsm/manifest_record.h"
#include "support/crash_fs.h"

namespace varve {
namespace {

constexpr char kDir[] = "/db";
const Identity kDirectory{1, 2}, kFile{3, 4};

void check_state(const ManifestState& state) {
  std::string bytes;
  state.snapshot().encode(&bytes);
  VersionEdit snapshot;
  VARVE_CHECK(snapshot.decode(bytes).ok());
  ManifestState again;
  VARVE_CHECK(again.apply(snapshot).ok());
  VARVE_CHECK(again.debug_string() == state.debug_string());
}

void read_all(const std::string& current, const std::string& manifest) {
  test::CrashFs fs;
  fs.put("/db/CURRENT", current);
  fs.put("/db/MANIFEST-00000001", manifest);
  for (bool accept_loss : {false, true}) {
    ManifestState state;
    ManifestInfo info;
    Status status = read_manifest(fs, kDir, accept_loss, &state, &info);
    if (status) check_state(state);
    VARVE_CHECK(info.size <= manifest.size());
  }
  size_t written = 0;
  Status status =
      dump_manifest(fs, "/db/MANIFEST-00000001", [&](std::string_view line) { written += line.size(); });
  VARVE_CHECK(written <= 1000 + 200 * manifest.size());
}

}  // namespace
}  // namespace varve

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace varve;
  if (size < 1) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string current = encode_current({kDirectory, "MANIFEST-00000001"});
  std::string manifest = encode_manifest_header({kDirectory, kFile, 1, "fuzz"});
  const int what = data[0] % 4;
  if (what == 0) read_all(std::string(bytes), manifest);
  if (what == 1) read_all(current, std::string(bytes));
  if (what == 2) {
    // Each piece: its length, then a record's payload.
    for (uint64_t edit = 0; !bytes.empty(); ++edit) {
      size_t n = std::min<size_t>(bytes.size() - 1, static_cast<uint8_t>(bytes[0]));
      append_record(&manifest, edit == 0 ? kSnapshotRecord : kEditRecord, edit, bytes.substr(1, n), kFile,
                    manifest.size());
      bytes.remove_prefix(1 + n);
    }
    read_all(current, manifest);
  }
  VersionEdit edit;
  ManifestState state;
  state.next_file_number = UINT32_MAX;
  if (what == 3 && edit.decode(bytes)) {
    VARVE_CHECK(edit.debug_string().size() <= 200 + 200 * bytes.size());
    if (state.apply(edit)) check_state(state);
  }
  return 0;
}

#ifndef VARVE_LIBFUZZER
// fuzz_manifest [INPUTS [SEED]]
int main(int argc, char** argv) {
  using namespace varve;
  uint64_t inputs = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : 5000;
  uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 1;
  std::printf("fuzz_manifest %llu %llu\n", static_cast<unsigned long long>(inputs),
              static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  Random random(seed);
  for (uint64_t i = 0; i < inputs; ++i) {
    std::string bytes(1, static_cast<char>(random.next()));
    for (uint64_t records = random.below(4); records > 0; --records) {
      VersionEdit edit;
      edit.next_file_number = 100 + i % 50;
      if (random.one_in(2))
        edit.log_added.push_back({random.below(120), {1, 2}, kLogBlockSize * (1 + random.below(4))});
      if (random.one_in(3)) edit.log_removed.push_back(random.below(120));
      if (random.one_in(2)) edit.counter_deltas[1] = static_cast<int64_t>(random.next());
      if (random.one_in(2)) edit.garbage_added.push_back({"a", "b", random.one_in(2)});
      if (random.one_in(3)) edit.garbage_removed.push_back({"a", "b", random.one_in(2)});
      if (random.one_in(3)) edit.removed.push_back({{1, 0}, 4});
      edit.flushed_sequence = random.below(20);
      std::string payload;
      edit.encode(&payload);
      if (random.one_in(2)) payload[random.below(payload.size())] = static_cast<char>(random.next());
      if (static_cast<uint8_t>(bytes[0]) % 4 == 2) bytes.push_back(static_cast<char>(payload.size()));
      bytes += payload;
    }
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
  return 0;
}
#endif
