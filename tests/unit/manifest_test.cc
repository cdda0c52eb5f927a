// Goal: what edits were acknowledged is read back; what a directory without a readable manifest is, is told
// apart.
#include <doctest/doctest.h>

#include <set>

#include "base/checksum.h"
#include "base/coding.h"
#include "lsm/manifest.h"
#include "lsm/manifest_record.h"
#include "support/crash_fs.h"
#include "support/log_scribe.h"

namespace varve::test {
namespace {

constexpr char kDir[] = "/db";
const Identity kDirectory{1, 2};
const Identity kFile{3, 4};

std::unique_ptr<CrashFs> new_fs() {
  auto fs = std::make_unique<CrashFs>();
  REQUIRE(fs->create_dir(kDir).ok());
  REQUIRE(fs->sync_dir("/").ok());
  return fs;
}

ManifestState first_state() {
  ManifestState state;
  state.next_file_number = 10;
  return state;
}

VersionEdit flushed(Sequence sequence) {
  VersionEdit edit;
  edit.flushed_sequence = sequence;
  return edit;
}

std::unique_ptr<ManifestWriter> create(CrashFs& fs, uint64_t number = 1, uint64_t last_edit = 0,
                                       const ManifestState& state = first_state()) {
  auto writer = ManifestWriter::create(fs, kDir, number, kDirectory, kFile, "test", last_edit, state);
  REQUIRE_MESSAGE(writer.ok(), writer.status().to_string());
  return writer.take();
}

std::string read(CrashFs& fs, bool accept_loss = false) {
  ManifestState state;
  ManifestInfo info;
  Status status = read_manifest(fs, kDir, accept_loss, &state, &info);
  if (!status) return status.to_string();
  return fmt::format("manifest {} of \"{}\", edit {}, flushed {}{}{}", info.number, info.application,
                     info.last_edit, state.flushed_sequence, info.torn_tail ? ", torn" : "",
                     info.closed ? fmt::format(", closed at {}", *info.closed) : "");
}

// A manifest with one edit, closed when the log ended at sequence 7.
void create_closed(CrashFs& fs) {
  auto writer = create(fs);
  REQUIRE(writer->append(1, flushed(5)).ok());
  REQUIRE(writer->close(1, 7).ok());
}

// Larger than the closing record that it is written over.
VersionEdit large_edit() {
  VersionEdit edit = flushed(7);
  edit.garbage_added = {{std::string(2000, 'a'), std::string(9000, 'b'), false}};
  return edit;
}

Result<std::unique_ptr<ManifestWriter>> go_on(CrashFs& fs, const VersionEdit& edit) {
  ManifestState state;
  ManifestInfo info;
  VARVE_TRY(read_manifest(fs, kDir, false, &state, &info));
  REQUIRE(info.closed);
  return ManifestWriter::go_on(fs, kDir, info, info.last_edit + 1, edit);
}

}  // namespace

TEST_CASE("manifest: edits are durable when append returns, names included") {
  auto fs = new_fs();
  auto writer = create(*fs);
  REQUIRE(writer->append(1, flushed(5)).ok());
  REQUIRE(writer->append(2, flushed(9)).ok());
  CHECK(read(*fs) == "manifest 1 of \"test\", edit 2, flushed 9");
  CHECK(writer->size() == fs->file_size("/db/MANIFEST-00000001").take());
  fs->crash(CrashPolicy::drop_all(), 1);
  CHECK(read(*fs) == "manifest 1 of \"test\", edit 2, flushed 9");

  std::string lines;
  Status status = dump_manifest(*fs, "/db/MANIFEST-00000001",
                                [&](std::string_view line) { lines.append(line).append("\n"); });
  REQUIRE(status.ok());
  CHECK(lines ==
        "manifest 1, directory 00000000000000010000000000000002, identity 00000000000000030000000000000004, "
        "application \"test\"\n"
        "4096: snapshot at edit 0\n  flushed 0\n  durable 0\n  next file 10\n"
        "8192: edit 1\n  flushed 5\n"
        "12288: watermark of edit 1\n"
        "16384: edit 2\n  flushed 9\n"
        "20480: watermark of edit 2\n"
        "24576: end\n");
}

TEST_CASE("manifest: a failed sync is never retried") {
  auto fs = new_fs();
  auto writer = create(*fs);
  fs->add_fault({.kind = Fault::Kind::kIoError, .call = Call::kSync});
  Status failed = writer->append(1, flushed(5));
  CHECK(failed.is_io_error());
  CHECK(writer->append(2, flushed(9)).to_string() == failed.to_string());
  CHECK(fs->calls(Call::kSync) == 3);  // manifest, CURRENT, and the one that failed
  fs->crash(CrashPolicy::drop_all(), 1);
  CHECK(read(*fs) == "manifest 1 of \"test\", edit 0, flushed 0");
}

TEST_CASE("manifest: a clean close leaves a record, over which the next start writes its edit") {
  auto fs = new_fs();
  create_closed(*fs);
  fs->crash(CrashPolicy::drop_all(), 1);
  CHECK(read(*fs) == "manifest 1 of \"test\", edit 1, flushed 5, closed at 7");
  auto writer = go_on(*fs, large_edit());
  REQUIRE(writer.ok());
  CHECK((*writer)->snapshot_size() == kManifestHeaderSize + kManifestBlockSize);
  fs->crash(CrashPolicy::drop_all(), 1);
  CHECK(read(*fs) == "manifest 1 of \"test\", edit 2, flushed 7");
  fs = new_fs();
  create_closed(*fs);
  writer = go_on(*fs, flushed(8));
  REQUIRE(writer.ok());
  REQUIRE((*writer)->append(3, flushed(9)).ok());
  REQUIRE((*writer)->close(3, 9).ok());
  CHECK_FALSE((*writer)->append(4, flushed(10)).ok());
  CHECK(read(*fs) == "manifest 1 of \"test\", edit 3, flushed 9, closed at 9");

  std::string lines;
  Status status = dump_manifest(*fs, "/db/MANIFEST-00000001",
                                [&](std::string_view line) { lines.append(line).append("\n"); });
  REQUIRE(status.ok());
  CHECK(
      lines.ends_with("16384: edit 2\n  flushed 8\n20480: edit 3\n  flushed 9\n24576: watermark of edit 3\n"
                      "28672: closed after edit 3\n  the log ends at sequence 9\n32768: end\n"));
}

TEST_CASE("manifest: going on is cut short at any call: the close holds, or its record is gone") {
  auto fs = new_fs();
  create_closed(*fs);
  const uint64_t before = fs->changes();
  REQUIRE(go_on(*fs, large_edit()).ok());
  const uint64_t steps = fs->changes() - before;
  std::set<std::string> found;
  for (uint64_t step = 1; step <= steps; ++step) {
    for (uint64_t seed = 1; seed <= 60; ++seed) {
      auto files = new_fs();
      create_closed(*files);
      files->add_fault({.kind = Fault::Kind::kCrash, .changes_only = true, .nth = step});
      CHECK_FALSE(go_on(*files, large_edit()).ok());
      files->crash(CrashPolicy(), seed);
      found.insert(read(*files));
    }
  }
  CHECK(found == std::set<std::string>{"manifest 1 of \"test\", edit 1, flushed 5, closed at 7",
                                       "manifest 1 of \"test\", edit 1, flushed 5, torn",
                                       "manifest 1 of \"test\", edit 2, flushed 7"});
}

// The page cache shows the record to the next start, but the disk never had it.
TEST_CASE("manifest: a closing record whose sync failed harms nothing") {
  auto fs = new_fs();
  auto writer = create(*fs);
  REQUIRE(writer->append(1, flushed(5)).ok());
  fs->add_fault({.kind = Fault::Kind::kIoError, .call = Call::kSync});
  CHECK(writer->close(1, 7).is_io_error());
  fs->kill_process();
  if (read(*fs).ends_with("closed at 7")) REQUIRE(go_on(*fs, flushed(8)).ok());
  std::string known = read(*fs);
  fs->crash(CrashPolicy::drop_all(), 1);
  CHECK(read(*fs) == known);
}

TEST_CASE("manifest: a damaged closing record is none") {
  auto fs = new_fs();
  create_closed(*fs);
  const std::string path = "/db/MANIFEST-00000001";
  const uint64_t at = fs->contents(path).size() - kManifestBlockSize;
  for (uint64_t bit = at * 8; bit < (at + kRecordHeaderSize + 8) * 8; ++bit) {
    fs->flip_bit(path, bit);
    CHECK(read(*fs) == "manifest 1 of \"test\", edit 1, flushed 5, torn");
    fs->flip_bit(path, bit);
  }
  // What stands behind it, an edit would have been written over.
  fs->put(path, fs->contents(path) + std::string(kManifestBlockSize, '\0'));
  CHECK(read(*fs) == "manifest 1 of \"test\", edit 1, flushed 5, torn");
}

TEST_CASE("manifest: rewritten as a snapshot; the old one rules until CURRENT is switched") {
  auto fs = new_fs();
  REQUIRE(create(*fs)->append(1, flushed(5)).ok());
  ManifestState state = first_state();
  state.flushed_sequence = 5;
  const uint64_t before = fs->changes();
  {
    auto copy = fs->crashed_copy(CrashPolicy::keep_all(), 1);
    create(*copy, 2, 1, state);
    CHECK(read(*copy) == "manifest 2 of \"test\", edit 1, flushed 5");
  }
  create(*fs, 2, 1, state);
  const uint64_t steps = fs->changes() - before;
  CHECK(steps >= 6);
  for (uint64_t step = 1; step <= steps; ++step) {
    auto files = new_fs();
    REQUIRE(create(*files)->append(1, flushed(5)).ok());
    files->add_fault({.kind = Fault::Kind::kCrash, .changes_only = true, .nth = step});
    auto writer = ManifestWriter::create(*files, kDir, 2, kDirectory, kFile, "test", 1, state);
    CHECK_FALSE(writer.ok());
    files->crash(CrashPolicy(), step);
    std::string found = read(*files);
    CHECK_MESSAGE(found.substr(found.find(' ', 9)) == " of \"test\", edit 1, flushed 5", "step ", step, ": ",
                  found);
    // The number may be used again: what is there under it is cleared away, but never what CURRENT names.
    auto again = ManifestWriter::create(*files, kDir, 2, kDirectory, kFile, "test", 1, state);
    CHECK(again.ok() == (found.starts_with("manifest 1")));
  }
}

TEST_CASE("manifest: never grows past what readers accept") {
  auto fs = new_fs();
  create(*fs);
  VersionEdit garbage;
  garbage.garbage_added = {{std::string(5000, 'a'), "b", false}};
  ManifestState state = first_state();
  REQUIRE(state.apply(garbage).ok());
  auto create_limited = [&](ManifestLimits limits) {
    return ManifestWriter::create(*fs, kDir, 2, kDirectory, kFile, "test", 0, state, limits);
  };

  // A state too large: refused, and nothing has changed.
  auto refused = create_limited({.snapshot = 12287, .file = 1 << 20});
  CHECK(refused.status().to_string() ==
        "invalid argument: MANIFEST-00000002: the state takes 12288 bytes (0 tables, 1 ranges of garbage), "
        "more "
        "than 12287");
  CHECK_FALSE(fs->exists("/db/MANIFEST-00000002"));
  CHECK(read(*fs) == "manifest 1 of \"test\", edit 0, flushed 0");

  // Edits up to the limit; the one that does not fit leaves no trace, and a new manifest takes it.
  auto writer = create_limited({.snapshot = 12288, .file = 12288 + 5 * 4096});
  REQUIRE(writer.ok());
  REQUIRE((*writer)->append(1, flushed(5)).ok());
  REQUIRE((*writer)->append(2, flushed(9)).ok());
  CHECK((*writer)->append(3, flushed(11)).to_string() ==
        "invalid argument: MANIFEST-00000002: full: 28672 bytes, and an edit of 2");
  CHECK(fs->file_size("/db/MANIFEST-00000002").take() == 28672);
  CHECK(read(*fs) == "manifest 2 of \"test\", edit 2, flushed 9");
  state.flushed_sequence = 9;
  REQUIRE(create(*fs, 3, 2, state)->append(3, flushed(11)).ok());
  CHECK(read(*fs) == "manifest 3 of \"test\", edit 3, flushed 11");
}

TEST_CASE("manifest: a directory whose creation was interrupted is new") {
  for (uint64_t step = 1;; ++step) {
    auto fs = new_fs();
    fs->add_fault({.kind = Fault::Kind::kCrash, .changes_only = true, .nth = step});
    LogScribe log(*fs, kDir, 4 * kLogBlockSize, 1);
    ManifestState state = first_state();
    bool prepared = log.add_segment(1).ok() && log.add_segment(2).ok();
    state.log = log.segments();
    bool made = prepared && ManifestWriter::create(*fs, kDir, 3, kDirectory, kFile, "test", 1, state).ok();
    if (made) break;
    fs->crash(CrashPolicy(), step);
    std::string found = read(*fs);
    bool is_new = found == "not found: /db: no database here yet";
    CHECK_MESSAGE((is_new || found == "manifest 3 of \"test\", edit 1, flushed 0"), "step ", step, ": ",
                  found);
  }
}

TEST_CASE("manifest: a directory without CURRENT is new only if nothing in it holds data") {
  const char* lost =
      "there is no CURRENT, but {} holds data: not a new directory. Bring back CURRENT (or the whole "
      "directory) from a backup, or choose an empty directory";
  auto message = [&](const std::string& file) {
    return "invalid argument: /db: " + fmt::format(fmt::runtime(lost), file);
  };
  CrashFs nothing;
  CHECK(read(nothing).starts_with("not found"));
  auto fs = new_fs();
  CHECK(read(*fs) == "not found: /db: no database here yet");
  fs->put("/db/varve.conf", "port 6379");
  fs->put("/db/varve.log", "hello");
  fs->put("/db/LOCK", "");
  CHECK(read(*fs) == "not found: /db: no database here yet");
  fs->put("/db/00000007.sst", "");
  CHECK(read(*fs) == message("00000007.sst"));

  fs = new_fs();
  REQUIRE(create(*fs)->append(1, flushed(5)).ok());
  REQUIRE(fs->remove("/db/CURRENT").ok());
  CHECK(read(*fs) == message("MANIFEST-00000001"));

  // A young database: everything it has is in its log.
  fs = new_fs();
  LogScribe log(*fs, kDir, 4 * kLogBlockSize, 1);
  REQUIRE(log.add_segment(1).ok());
  CHECK(read(*fs) == "not found: /db: no database here yet");
  WriteBatch batch;
  batch.put("a", "1");
  REQUIRE(log.write({batch}).ok());
  CHECK(read(*fs) == message("00000001.log"));
  fs->flip_bit("/db/00000001.log", 20 * 8);  // its header
  CHECK(read(*fs) == message("00000001.log"));
}

TEST_CASE("manifest: CURRENT of others, of later versions, and damaged") {
  auto fs = new_fs();
  create(*fs);
  const std::string current = fs->contents("/db/CURRENT");
  fs->put("/db/CURRENT", "MANIFEST-000004\n");
  CHECK(read(*fs) ==
        "invalid argument: /db: CURRENT: was not written by varve: this is another program's data directory");
  fs->put("/db/CURRENT", std::string(5000, 'x'));
  CHECK(read(*fs).starts_with("invalid argument"));
  fs->put("/db/CURRENT", current.substr(0, current.size() - 1));
  CHECK(read(*fs) == "corruption: /db: CURRENT: 0: damaged");
  fs->put("/db/CURRENT", "");
  CHECK(read(*fs) == "corruption: /db: CURRENT: 0: damaged");

  std::string newer = "varve\n2\nand whatever else\n";
  newer += fmt::format("{:016x}\n", checksum(newer, place_seed(Identity(), 0, 4)));
  fs->put("/db/CURRENT", newer);
  CHECK(read(*fs) == "unsupported: /db: CURRENT: format 2 is newer than 1, the newest this version knows");

  fs->put("/db/CURRENT", encode_current({kDirectory, "MANIFEST-00000009"}));
  CHECK(read(*fs) ==
        "corruption: MANIFEST-00000009: 0: CURRENT names this manifest, but there is no such file");
  fs->put("/db/CURRENT", encode_current({kFile, "MANIFEST-00000001"}));
  CHECK(read(*fs).starts_with("corruption: MANIFEST-00000001: 0: is another directory's"));
  fs->put("/db/CURRENT", current);
  std::string manifest = fs->contents("/db/MANIFEST-00000001");
  encode_fixed32(manifest.data() + 8, 2);
  std::string_view covered = std::string_view(manifest).substr(0, kManifestHeaderSize - 8);
  encode_fixed64(manifest.data() + covered.size(), checksum(covered, place_seed(kFile, 0, 1)));
  fs->put("/db/MANIFEST-00000001", manifest);
  CHECK(read(*fs) ==
        "unsupported: MANIFEST-00000001: manifest format 2 is newer than 1, the newest this version knows");
}

TEST_CASE("manifest: a torn tail is cut, damage is not") {
  auto fs = new_fs();
  auto writer = create(*fs);
  REQUIRE(writer->append(1, flushed(5)).ok());
  const uint64_t second = writer->size();
  REQUIRE(writer->append(2, flushed(9)).ok());
  const std::string path = "/db/MANIFEST-00000001";
  const std::string whole = fs->contents(path);

  fs->cut(path, second + 10);  // while edit 2 was being written
  CHECK(read(*fs) == "manifest 1 of \"test\", edit 1, flushed 5, torn");
  fs->put(path, whole);
  fs->flip_bit(path, (second + kRecordHeaderSize) * 8);  // its watermark knows better
  CHECK(read(*fs).starts_with(
      fmt::format("corruption: MANIFEST-00000001: {}: damaged: the record behind it", second)));
  CHECK(read(*fs, true) == "manifest 1 of \"test\", edit 1, flushed 5, torn");
  // The snapshot was synced before CURRENT named the file.
  fs->cut(path, kManifestHeaderSize + 10);
  CHECK(read(*fs) ==
        "corruption: MANIFEST-00000001: 4096: the snapshot that a manifest begins with is damaged");
  CHECK(read(*fs, true) ==
        "corruption: MANIFEST-00000001: 4096: the snapshot that a manifest begins with is damaged");

  // Records that are whole but cannot be: a number missing, an edit that cannot be applied.
  fs->put(path, whole);
  REQUIRE(writer->append(4, flushed(10)).ok());
  CHECK(read(*fs) == "corruption: MANIFEST-00000001: 24576: edit 4 where 3 was expected");
  CHECK(read(*fs, true) == "manifest 1 of \"test\", edit 2, flushed 9, torn");
}

}  // namespace varve::test
