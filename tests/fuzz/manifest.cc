// The manifest's readers: whatever stands in CURRENT and in a manifest, reading and dumping must not read
// outside of it, must end, and what is accepted must be a state that its own snapshot rebuilds. The first
// byte chooses: the bytes are CURRENT, a manifest's, its records' payloads (run puts right headers and
// checksums around them), or one edit.
#include <algorithm>

#include "base/check.h"
#include "base/coding.h"
#include "fuzz/target.h"
#include "lsm/manifest.h"
#include "lsm/manifest_record.h"
#include "prove/image_fs.h"

namespace varve::fuzz {
namespace {

constexpr char kDir[] = "/db";
constexpr char kName[] = "MANIFEST-00000001";
const Identity kDirectory{1, 2}, kFile{3, 4};

enum class Part : uint8_t { kCurrent, kManifest, kRecords, kEdit };
constexpr int kParts = 4;

Part part_of(std::string_view input) {
  return static_cast<Part>(static_cast<uint8_t>(input[0]) % kParts);
}

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
  prove::ImageFs fs(kDir, {{"CURRENT", prove::bytes_of(current)}, {kName, prove::bytes_of(manifest)}}, true);
  for (bool accept_loss : {false, true}) {
    ManifestState state;
    ManifestInfo info;
    Status status = read_manifest(fs, kDir, accept_loss, &state, &info);
    if (status) check_state(state);
    VARVE_CHECK(status.ok() || !status.message().empty());
    VARVE_CHECK(info.size <= manifest.size());
  }
  size_t written = 0;
  Status status =
      dump_manifest(fs, join_path(kDir, kName), [&](std::string_view line) { written += line.size(); });
  VARVE_CHECK(written <= 1000 + 200 * manifest.size());
}

// Each piece: its length (two bytes), the record's kind, how far its edit number is from the expected one.
std::string with_records(std::string manifest, std::string_view pieces) {
  uint64_t edit = 0;
  while (pieces.size() >= 4) {
    size_t n = static_cast<uint8_t>(pieces[0]) + 256 * static_cast<uint8_t>(pieces[1]);
    auto kind = static_cast<uint32_t>(static_cast<uint8_t>(pieces[2]) % 5);
    edit += static_cast<uint8_t>(pieces[3]) % 3;
    pieces.remove_prefix(4);
    n = std::min(n, pieces.size());
    append_record(&manifest, kind, edit, pieces.substr(0, n), kFile, manifest.size());
    pieces.remove_prefix(n);
  }
  return manifest;
}

void run(std::string_view input) {
  if (input.empty()) return;
  std::string_view bytes = input.substr(1);
  const std::string current = encode_current({kDirectory, kName});
  const std::string header = encode_manifest_header({kDirectory, kFile, 1, "fuzz"});
  switch (part_of(input)) {
    case Part::kCurrent:
      return read_all(std::string(bytes), header);
    case Part::kManifest:
      return read_all(current, std::string(bytes));
    case Part::kRecords:
      return read_all(current, with_records(header, bytes));
    case Part::kEdit:
      break;
  }
  VersionEdit edit;
  ManifestState state;
  state.next_file_number = UINT32_MAX;
  if (!edit.decode(bytes)) return;
  VARVE_CHECK(edit.debug_string().size() <= 200 + 200 * bytes.size());
  if (state.apply(edit)) check_state(state);
}

VersionEdit make_edit(Random* random) {
  VersionEdit edit;
  edit.next_file_number = 100 + random->below(50);
  if (random->one_in(2))
    edit.log_added.push_back({random->below(120), {1, 2}, kLogBlockSize * (1 + random->below(4))});
  if (random->one_in(3)) edit.log_removed.push_back(random->below(120));
  if (random->one_in(2)) edit.counter_deltas[1] = static_cast<int64_t>(random->next());
  if (random->one_in(2)) edit.garbage_added.push_back({"a", "b", random->one_in(2)});
  if (random->one_in(3)) edit.garbage_removed.push_back({"a", "b", random->one_in(2)});
  if (random->one_in(3)) edit.removed.push_back({{1, 0}, 4});
  if (random->one_in(2)) {
    VersionEdit::AddedTable added;
    added.place = {static_cast<int>(random->below(3)), random->below(3)};
    added.meta.number = random->below(90);
    added.meta.file_size = 4000;
    added.meta.identity = {5, 6};
    added.meta.smallest = "a";
    added.meta.largest = "z";
    added.meta.records = 3;
    added.meta.top_index = {100, 20};
    edit.added.push_back(added);
  }
  edit.flushed_sequence = random->below(20);
  return edit;
}

void append_piece(std::string* out, uint32_t kind, uint64_t step, std::string_view payload) {
  out->push_back(static_cast<char>(payload.size() % 256));
  out->push_back(static_cast<char>(payload.size() / 256));
  out->push_back(static_cast<char>(kind));
  out->push_back(static_cast<char>(step));
  out->append(payload);
}

std::string make(Random* random) {
  auto part = static_cast<Part>(random->one_in(2) ? 2 : random->below(kParts));
  std::string out(1, static_cast<char>(part));
  if (part == Part::kCurrent) return out + encode_current({kDirectory, kName});
  std::string pieces;
  for (uint64_t i = 0, n = 1 + random->below(4); i < n; ++i) {
    std::string payload;
    make_edit(random).encode(&payload);
    if (part == Part::kEdit) return out + payload;
    append_piece(&pieces, i == 0 ? kSnapshotRecord : kEditRecord, i == 0 ? 0 : 1, payload);
    if (i > 0 && random->one_in(2)) append_piece(&pieces, kWatermarkRecord, 0, {});
  }
  if (part == Part::kRecords) return out + pieces;
  return out + with_records(encode_manifest_header({kDirectory, kFile, 1, "fuzz"}), pieces);
}

void mutate(std::string* input, Random* random) {
  if (input->empty() || random->one_in(6)) {
    *input = make(random);
    return;
  }
  switch (random->below(4)) {
    case 0: {
      std::string payload;
      make_edit(random).encode(&payload);
      append_piece(input, static_cast<uint32_t>(random->below(5)), random->below(3), payload);
      break;
    }
    case 1:  // a number in an edit
      if (input->size() > 1)
        (*input)[1 + random->below(input->size() - 1)] = static_cast<char>(edge_number(random, 8));
      break;
    default:
      mutate_bytes(input, random);
      break;
  }
}

// Four bytes of an input can be a record, which takes 4 KiB of the manifest.
uint64_t allocation_max(size_t input_size) {
  return 64 * 1024 + 2100 * input_size;
}

const Registration registration({"manifest", "CURRENT, manifests and edits: read and dumped", 64 * 1024, run,
                                 make, mutate, allocation_max});

}  // namespace
}  // namespace varve::fuzz
