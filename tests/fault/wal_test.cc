// Goal: whatever happens to the log's or the manifest's files at rest, opening them gives back a prefix with
// everything that is known to be durable, unaltered, or says which file is damaged and where. Method: spoil
// each block (and each bit of each frame's header, each byte of manifest and CURRENT) in every way, and read.
#include <doctest/doctest.h>

#include <functional>

#include "lsm/manifest.h"
#include "support/crash_fs.h"
#include "support/log_scribe.h"
#include "support/script.h"

namespace varve::test {
namespace {

constexpr char kDir[] = "/db";
constexpr uint64_t kSegmentSize = 12 * kLogBlockSize;

struct Batch {
  Sequence first;
  std::string ops;
  bool operator==(const Batch&) const = default;
};

WriteBatch make_batch(Random* random) {
  WriteBatch batch;
  for (uint64_t n = 1 + random->below(4); n > 0; --n) {
    batch.put(std::to_string(random->next()), std::string(random->below(random->one_in(6) ? 6000 : 90), 'v'));
  }
  if (random->one_in(3)) batch.add_count(1, 1);
  return batch;
}

// Names a file of ours and an offset in it.
bool names_place(const Status& status) {
  const std::string& text = status.message();
  size_t file = std::min(text.find(".log: "), std::min(text.find("MANIFEST-"), text.find("CURRENT: ")));
  if (file == std::string::npos) return false;
  size_t colon = text.find(": ", file);
  return colon + 2 < text.size() && isdigit(static_cast<unsigned char>(text[colon + 2])) != 0;
}

// A log of several segments, one of them in its second life, that ends with a watermark: all of it is known
// durable.
class SpoiledLog {
 public:
  explicit SpoiledLog(uint64_t seed) : random_(seed), scribe_(fs_, kDir, kSegmentSize, seed) {
    REQUIRE(fs_.create_dir(kDir).ok());
    for (uint64_t number = 1; number <= 4; ++number) REQUIRE(scribe_.add_segment(number).ok());
    while (scribe_.frames().empty() || scribe_.frames().back().segment.number < 2) write_group();
    // The first segment again, as the fifth: it still holds its old frames.
    flushed_ = 0;
    for (const auto& frame : scribe_.frames()) {
      if (frame.segment.number == 1) flushed_ = frame.header.last_sequence;
    }
    for (const Batch& batch : batches_) {  // never inside a batch
      if (batch.first <= flushed_) flushed_ = std::max(flushed_, last_of(batch));
    }
    scribe_.drop_segment(1);
    REQUIRE(scribe_.add_segment(1, true).ok());
    while (scribe_.frames().back().segment.number != 1) write_group();
    write_group();
    REQUIRE(scribe_.sync().ok());
    REQUIRE(scribe_.write_watermark().ok());
    std::erase_if(batches_, [&](const Batch& batch) { return batch.first <= flushed_; });
  }

  // Everything must be there, or be missed.
  void check(const std::string& what) {
    std::vector<Batch> replayed;
    auto result = replay_log(fs_, kDir, scribe_.segments(), flushed_, 0, false,
                             [&](Sequence first, std::string_view ops) {
                               replayed.push_back({first, std::string(ops)});
                               return Status();
                             });
    CHECK_MESSAGE((replayed.size() <= batches_.size() &&
                   std::equal(replayed.begin(), replayed.end(), batches_.begin())),
                  what, ": altered data");
    if (result) {
      ++accepted_;
      CHECK_MESSAGE(replayed == batches_, what, ": lost ", batches_.size() - replayed.size(),
                    " batches silently");
    } else {
      CHECK_MESSAGE((result.status().is_corruption() && names_place(result.status())), what, ": ",
                    result.status().to_string());
    }
  }

  // Does something to a file, checks, and puts the old bytes back.
  void spoil(const std::string& file, const std::string& what,
             const std::function<void(const std::string&)>& act) {
    const std::string before = fs_.contents(file);
    act(file);
    check(file + ": " + what);
    fs_.put(file, before);
  }

  CrashFs& fs() { return fs_; }
  Random& random() { return random_; }
  const LogScribe& scribe() const { return scribe_; }
  int accepted() const { return accepted_; }

 private:
  static Sequence last_of(const Batch& batch) {
    Sequence last = batch.first - 1;
    BatchReader reader(batch.ops);
    for (BatchReader::Op op; reader.next(&op);) last += op.is_counter ? 0 : 1;
    return last;
  }

  void write_group() {
    std::vector<WriteBatch> group;
    Sequence next = scribe_.last() + 1;
    for (uint64_t n = 1 + random_.below(3); n > 0; --n) {
      group.push_back(make_batch(&random_));
      batches_.push_back({next, group.back().bytes()});
      next += group.back().count();
    }
    REQUIRE(scribe_.write(group, random_.one_in(3) ? 5000 : kMaxFramePayload).ok());
    REQUIRE(scribe_.sync().ok());
    if (random_.one_in(4)) REQUIRE(scribe_.write_watermark().ok());
  }

  CrashFs fs_;
  Random random_;
  LogScribe scribe_;
  std::vector<Batch> batches_;
  Sequence flushed_ = 0;
  int accepted_ = 0;
};

}  // namespace

TEST_CASE("log at rest: every block zeroed, replaced, cut off, and sampled bits flipped") {
  const uint64_t seed = test_seed(1);
  CAPTURE(seed);
  SpoiledLog log(seed);
  log.check("untouched");
  REQUIRE(log.accepted() == 1);
  const std::vector<std::string> files = log.fs().all_files(kDir);
  for (const std::string& file : files) {
    const uint64_t size = log.fs().contents(file).size();
    for (uint64_t at = 0; at < size; at += kLogBlockSize) {
      const std::string where = " at " + std::to_string(at);
      log.spoil(file, "zero" + where,
                [&](const auto& f) { log.fs().overwrite(f, at, std::string(kLogBlockSize, '\0')); });
      log.spoil(file, "cut" + where, [&](const auto& f) { log.fs().cut(f, at); });
      log.spoil(file, "cut inside" + where,
                [&](const auto& f) { log.fs().cut(f, at + 1 + log.random().below(4095)); });
      for (int i = 0; i < 6; ++i) {
        const std::string& other = files[log.random().below(files.size())];
        uint64_t from = log.random().below(kSegmentSize / kLogBlockSize) * kLogBlockSize;
        std::string block = log.fs().contents(other).substr(from, kLogBlockSize);
        log.spoil(file, fmt::format("{} of {}{}", from, other, where),
                  [&](const auto& f) { log.fs().overwrite(f, at, block); });
      }
      for (int i = 0; i < 24; ++i) {
        uint64_t bit = at * 8 + log.random().below(kLogBlockSize * 8);
        log.spoil(file, fmt::format("bit {}", bit), [&](const auto& f) { log.fs().flip_bit(f, bit); });
      }
    }
    log.spoil(file, "longer",
              [&](const auto& f) { log.fs().put(f, log.fs().contents(f) + std::string(4096, '\0')); });
  }
  CHECK(log.accepted() > 100);  // blocks that nobody needs
}

TEST_CASE("log at rest: every bit of every header") {
  const uint64_t seed = test_seed(2);
  CAPTURE(seed);
  SpoiledLog log(seed);
  auto every_bit = [&](const std::string& file, uint64_t offset, uint64_t n) {
    for (uint64_t bit = offset * 8; bit < (offset + n) * 8; ++bit) {
      log.fs().flip_bit(file, bit);
      log.check(fmt::format("{}: bit {} of byte {}", file, bit % 8, bit / 8));
      log.fs().flip_bit(file, bit);
    }
  };
  for (const LogSegment& segment : log.scribe().segments()) {
    every_bit(join_path(kDir, log_file_name(segment.number)), 0, 52);
  }
  for (const auto& frame : log.scribe().frames()) {
    every_bit(join_path(kDir, log_file_name(frame.segment.number)), frame.offset, kFrameHeaderSize);
  }
}

TEST_CASE("log at rest: a segment missing, or in another's place") {
  const uint64_t seed = test_seed(3);
  CAPTURE(seed);
  SpoiledLog log(seed);
  const std::vector<std::string> files = log.fs().all_files(kDir);
  for (const std::string& file : files) {
    const std::string before = log.fs().contents(file);
    REQUIRE(log.fs().remove(file).ok());
    log.check(file + " is missing");
    log.fs().put(file, before);
    for (const std::string& other : files) {
      if (other == file) continue;
      log.spoil(file, other + " in its place",
                [&](const auto& f) { log.fs().put(f, log.fs().contents(other)); });
    }
  }
}

namespace {

// A manifest of five edits, all durable; the log's frames know of the last.
class SpoiledManifest {
 public:
  SpoiledManifest() {
    REQUIRE(fs_.create_dir(kDir).ok());
    ManifestState state;
    state.next_file_number = 100;
    state.log = {{7, {7, 7}, kSegmentSize}};
    states_.push_back(state.debug_string());
    auto writer = ManifestWriter::create(fs_, kDir, 1, {1, 2}, {3, 4}, "test", 0, state);
    REQUIRE(writer.ok());
    for (uint64_t n = 1; n <= kEdits; ++n) {
      VersionEdit edit;
      edit.flushed_sequence = n * 10;
      edit.counter_deltas[3] = 1;
      edit.garbage_added = {{"a" + std::to_string(n), "b", false}};
      REQUIRE((*writer)->append(n, edit).ok());
      REQUIRE(state.apply(edit).ok());
      states_.push_back(state.debug_string());
    }
  }

  // What an engine does: reads the manifest, and asks the log whether it is all of it.
  void check(const std::string& what) {
    ManifestState state;
    ManifestInfo info;
    Status status = read_manifest(fs_, kDir, false, &state, &info);
    if (!status) {
      bool tells =
          (status.is_corruption() && names_place(status)) || status.code() == StatusCode::kInvalidArgument;
      CHECK_MESSAGE(tells, what, ": ", status.to_string());
      return;
    }
    REQUIRE_MESSAGE(info.last_edit <= kEdits, what);
    CHECK_MESSAGE(state.debug_string() == states_[info.last_edit], what, ": altered data");
    if (info.last_edit == kEdits)
      ++whole_;
    else
      ++told_by_log_;
    // Only what nothing stands behind can be missed: the last edit or, cut at a record's end, some last
    // edits.
    bool cut = what.find("cut") != std::string::npos;
    CHECK_MESSAGE((info.last_edit == kEdits || cut), what, ": edits lost silently from ", info.last_edit);
  }

  CrashFs& fs() { return fs_; }
  int whole() const { return whole_; }
  int told_by_log() const { return told_by_log_; }

 private:
  static constexpr uint64_t kEdits = 5;
  CrashFs fs_;
  std::vector<std::string> states_;  // after each edit
  int whole_ = 0;
  int told_by_log_ = 0;
};

}  // namespace

TEST_CASE("manifest and CURRENT at rest: every bit, and cut at every byte") {
  SpoiledManifest manifest;
  manifest.check("untouched");
  REQUIRE(manifest.whole() == 1);
  for (const std::string& file : manifest.fs().all_files(kDir)) {
    const std::string before = manifest.fs().contents(file);
    for (uint64_t byte = 0; byte < before.size(); ++byte) {
      // Padding is all alike: a bit of a byte now and then will do.
      const bool padding = byte % 4096 >= 120 && byte % 4096 < 4088;
      if (padding && byte % 64 != 0) continue;
      for (uint64_t bit = byte * 8; bit < byte * 8 + (padding ? 1 : 8); ++bit) {
        manifest.fs().flip_bit(file, bit);
        manifest.check(fmt::format("{}: bit {} of byte {}", file, bit % 8, byte));
        manifest.fs().flip_bit(file, bit);
      }
      manifest.fs().cut(file, byte);
      manifest.check(fmt::format("{}: cut at {}", file, byte));
      manifest.fs().put(file, before);
    }
    manifest.fs().put(file, before + std::string(100, '\0'));
    manifest.check(file + ": zeros behind");
    manifest.fs().put(file, before);
    REQUIRE(manifest.fs().remove(file).ok());
    manifest.check(file + ": missing");
    manifest.fs().put(file, before);
  }
  CHECK(manifest.whole() > 1);        // the last watermark may go
  CHECK(manifest.told_by_log() > 0);  // a cut that only the log can tell (LogReplay::manifest_edit)
}

TEST_CASE("manifest at rest: an older CURRENT, an older manifest, another directory's") {
  SpoiledManifest manifest;
  CrashFs& fs = manifest.fs();
  const std::string old_current = fs.contents("/db/CURRENT"),
                    old_manifest = fs.contents("/db/MANIFEST-00000001");
  ManifestState state;
  ManifestInfo info;
  REQUIRE(read_manifest(fs, kDir, false, &state, &info).ok());
  REQUIRE(ManifestWriter::create(fs, kDir, 2, {1, 2}, {5, 6}, "test", info.last_edit, state).ok());
  manifest.check("rewritten");
  fs.put("/db/MANIFEST-00000002", old_manifest);
  manifest.check("the old manifest under the new name");
  REQUIRE(fs.remove("/db/MANIFEST-00000001").ok());
  fs.put("/db/CURRENT", old_current);
  manifest.check("an old CURRENT names a manifest that is gone");
}

}  // namespace varve::test
