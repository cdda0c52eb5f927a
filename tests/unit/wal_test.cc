// Goal: where a log ends, what is replayed from it, and what counts as damage. Method: tests/script/wal.txt
// writes frames, spoils them, and reads them again; a group's input is a batch a line: a=1 put, -a delete,
// a..c range delete, #7+3 counter.
#include <doctest/doctest.h>

#include <sstream>

#include "base/checksum.h"
#include "base/coding.h"
#include "lsm/wal_segment.h"
#include "support/crash_fs.h"
#include "support/log_scribe.h"
#include "support/script.h"

namespace varve::test {
namespace {

constexpr char kDir[] = "/db";

WriteBatch parse_batch(const std::string& line) {
  WriteBatch batch;
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    size_t eq = word.find('='), dots = word.find(".."), plus = word.find('+');
    if (word[0] == '-')
      batch.remove(word.substr(1));
    else if (word[0] == '#')
      batch.add_count(static_cast<uint32_t>(std::stoul(word.substr(1))), std::stol(word.substr(plus)));
    else if (dots != std::string::npos)
      batch.remove_range(word.substr(0, dots), word.substr(dots + 2));
    else if (size_t times = word.find('*'); times != std::string::npos)  // a=x*5000: a value of 5000 times x
      batch.put(word.substr(0, eq), std::string(std::stoul(word.substr(times + 1)), word[eq + 1]));
    else
      batch.put(word.substr(0, eq), word.substr(eq + 1));
  }
  return batch;
}

class Session {
 public:
  std::string run(const Step& step) {
    if (step.name == "new") return start(step);
    if (step.name == "group") return group(step);
    if (step.name == "watermark") {
      size_t before = scribe_->frames().size();
      return written(scribe_->write_watermark(), step, before);
    }
    if (step.name == "spoil") return spoil(step);
    if (step.name == "reuse") return reuse(step);
    if (step.name == "retire")
      return scribe_->drop_segment(static_cast<uint64_t>(step.number("segment", 1))), "";
    if (step.name == "sync") return scribe_->sync().to_string();
    if (step.name == "leave") return scribe_->next_segment(), "";
    if (step.name == "replay") return replay(step);
    if (step.name == "dump") return dump(step);
    return "unknown step\n";
  }

 private:
  std::string file_of(const Step& step) const {
    return join_path(kDir, log_file_name(static_cast<uint64_t>(step.number("segment", 1))));
  }

  std::string start(const Step& step) {
    fs_ = std::make_unique<CrashFs>();
    REQUIRE(fs_->create_dir(kDir).ok());
    scribe_ = std::make_unique<LogScribe>(*fs_, kDir,
                                          static_cast<uint64_t>(step.number("blocks", 8)) * kLogBlockSize, 1);
    scribe_->start_at(static_cast<Sequence>(step.number("last")));
    for (int64_t i = 1; i <= step.number("segments", 1); ++i)
      REQUIRE(scribe_->add_segment(static_cast<uint64_t>(i)).ok());
    return "";
  }

  // unsynced: acknowledged by nobody. edit=n: the manifest's last durable edit from now on.
  std::string group(const Step& step) {
    std::vector<WriteBatch> batches;
    for (const std::string& line : step.input_lines()) batches.push_back(parse_batch(line));
    scribe_->set_manifest_edit(static_cast<uint64_t>(step.number("edit")));
    size_t before = scribe_->frames().size();
    return written(scribe_->write(batches, static_cast<size_t>(step.number("payload", kMaxFramePayload))),
                   step, before);
  }

  std::string written(const Status& status, const Step& step, size_t before) {
    REQUIRE(status.ok());
    std::string out;
    for (size_t i = before; i < scribe_->frames().size(); ++i) {
      const LogScribe::Place& frame = scribe_->frames()[i];
      out += fmt::format("{}: {}: {}..{}\n", log_file_name(frame.segment.number), frame.offset,
                         frame.header.first_sequence, frame.header.last_sequence);
    }
    if (!step.has("unsynced")) REQUIRE(scribe_->sync().ok());
    return out;
  }

  std::string spoil(const Step& step) {
    uint64_t at = static_cast<uint64_t>(step.number("at"));
    if (step.has("zero")) fs_->overwrite(file_of(step), at, std::string(kLogBlockSize, '\0'));
    if (step.has("flip")) fs_->flip_bit(file_of(step), at * 8);
    if (step.has("cut")) fs_->cut(file_of(step), at);
    if (step.has("remove")) REQUIRE(fs_->remove(file_of(step)).ok());
    if (step.has("swap"))
      fs_->swap_bytes(file_of(step), at, static_cast<uint64_t>(step.number("with")), kLogBlockSize);
    if (step.has("rewrite")) {  // a group that was written a second time would look like this
      std::string block = fs_->contents(file_of(step)).substr(at, kLogBlockSize);
      fs_->overwrite(file_of(step), static_cast<uint64_t>(step.number("to")), block);
    }
    if (step.has("format")) {  // of a header that some later version wrote
      std::string header = fs_->contents(file_of(step)).substr(0, kSegmentHeaderSize);
      encode_fixed32(header.data() + 8, 2);
      uint64_t sum = checksum(std::string_view(header).substr(0, kSegmentHeaderSize - 8),
                              place_seed(scribe_->segments()[0].identity, 0, 1));
      encode_fixed64(header.data() + kSegmentHeaderSize - 8, sum);
      fs_->overwrite(file_of(step), 0, header);
    }
    return "";
  }

  std::string reuse(const Step& step) {
    uint64_t number = static_cast<uint64_t>(step.number("segment", 1));
    scribe_->drop_segment(number);
    REQUIRE(scribe_->add_segment(number, true).ok());
    return "";
  }

  std::string replay(const Step& step) {
    std::string batches;
    Sequence first = 0;
    auto replayed = replay_log(
        *fs_, kDir, scribe_->segments(), static_cast<Sequence>(step.number("flushed")),
        static_cast<Sequence>(step.number("durable")), step.has("accept-loss"),
        [&](Sequence at, std::string_view ops) {
          if (first == 0) first = at;
          batches += fmt::format(" {}:{}", at, ops.size());
          return step.number("refuse") == static_cast<int64_t>(at) ? Status::no_space("full") : Status();
        },
        step.has("closed") ? std::optional<Sequence>(step.number("closed")) : std::nullopt);
    if (!replayed) return replayed.status().to_string();
    std::string out = first == 0 ? fmt::format("nothing replayed, last {}", replayed->last_sequence)
                                 : fmt::format("replayed {}..{}", first, replayed->last_sequence);
    if (replayed->torn_tail) out += ", torn at " + replayed->torn_place;
    if (replayed->unused_segments > 0 && scribe_->segments().size() > 1)
      out += fmt::format(", unused {}", replayed->unused_segments);
    if (step.has("more")) {
      out += fmt::format("\nframes {}, batches {}, bytes {}, durable {}, manifest edit {}\n{}",
                         replayed->frames, replayed->batches, replayed->bytes, replayed->durable_sequence,
                         replayed->manifest_edit, batches);
    }
    return out;
  }

  std::string dump(const Step& step) {
    std::string out;
    Status status = dump_log(*fs_, file_of(step), step.has("ops"),
                             [&](std::string_view line) { out.append(line).append("\n"); });
    return status ? out : out + status.to_string();
  }

  std::unique_ptr<CrashFs> fs_;
  std::unique_ptr<LogScribe> scribe_;
};

}  // namespace

TEST_CASE("log: replay, tears and damage") {
  Session session;
  run_script("script/wal.txt", [&](const Step& step) { return session.run(step); });
}

TEST_CASE("log: a segment is prepared whole or not at all") {
  CrashFs fs;
  REQUIRE(fs.create_dir(kDir).ok());
  REQUIRE(fs.sync_dir("/").ok());
  LogSegment segment{1, {1, 2}, 64 * kLogBlockSize};
  fs.set_space(10 * kLogBlockSize);
  CHECK(prepare_segment(fs, kDir, segment, false).code() == StatusCode::kNoSpace);
  CHECK_FALSE(fs.exists("/db/00000001.log"));
  fs.set_space(UINT64_MAX);
  CHECK(prepare_segment(fs, kDir, segment, false).ok());
  CHECK(fs.file_size("/db/00000001.log").take() == segment.size);
  // Not over a file that is there, not smaller or larger than the one to reuse, and nothing that is no size.
  CHECK_FALSE(prepare_segment(fs, kDir, segment, false).ok());
  CHECK_FALSE(prepare_segment(fs, kDir, {1, {3, 4}, 32 * kLogBlockSize}, true).ok());
  CHECK_FALSE(prepare_segment(fs, kDir, {2, {3, 4}, kLogBlockSize}, false).ok());
  CHECK_FALSE(prepare_segment(fs, kDir, {2, {3, 4}, 2 * kLogBlockSize + 1}, false).ok());
  // Once prepared it survives a power cut, name and all.
  fs.crash(CrashPolicy::drop_all(), 1);
  CHECK(SegmentReader::open(fs, kDir, segment).ok());
}

// Goal: behind a clean close nothing is read but headers, and what it should not be is still found.
TEST_CASE("log: after a clean close it is not searched") {
  CrashFs fs;
  REQUIRE(fs.create_dir(kDir).ok());
  LogScribe scribe(fs, kDir, 3 << 20, 1);
  for (uint64_t number : {1, 2, 3}) REQUIRE(scribe.add_segment(number).ok());
  for (const char* batch : {"a=1", "b=x*2000000", "d=3"}) REQUIRE(scribe.write({parse_batch(batch)}).ok());
  uint64_t reads = 0;
  auto replay = [&](Sequence flushed, std::optional<Sequence> closed) {
    uint64_t before = fs.calls(Call::kRead);
    auto replayed = replay_log(
        fs, kDir, scribe.segments(), flushed, 0, false, [](Sequence, std::string_view) { return Status(); },
        closed);
    reads = fs.calls(Call::kRead) - before;
    if (!replayed) return replayed.status().to_string();
    return fmt::format("last {}, batches {}, unused {}{}", replayed->last_sequence, replayed->batches,
                       replayed->unused_segments, replayed->torn_tail ? ", torn" : "");
  };
  CHECK(replay(0, {}) == "last 3, batches 3, unused 2");
  const uint64_t searched = reads;
  CHECK(replay(0, 3) == "last 3, batches 3, unused 2");
  CHECK(reads + 6 < searched);
  CHECK(replay(3, 3) == "last 3, batches 0, unused 2");
  CHECK(reads == 3);  // a segment's header and the first frame's stand together
  // It was not: sequences are missing, or there are more.
  CHECK(replay(3, 4).starts_with("corruption: 00000001.log: "));
  CHECK(replay(0, 4).starts_with("corruption: 00000001.log: "));
  REQUIRE(scribe.write({parse_batch("e=x*2000000"), parse_batch("f=5")}).ok());
  REQUIRE(scribe.frames().back().segment.number == 2);
  CHECK(replay(3, 3) == "last 5, batches 2, unused 1");
  CHECK(replay(0, 3) == "last 5, batches 5, unused 1");
}

TEST_CASE("log: an unreadable place is an error, and accepted only by the explicit switch") {
  CrashFs fs;
  REQUIRE(fs.create_dir(kDir).ok());
  LogScribe scribe(fs, kDir, 4 << 20, 1);
  REQUIRE(scribe.add_segment(1).ok());
  REQUIRE(scribe.write({parse_batch("a=1")}).ok());
  REQUIRE(scribe.write({parse_batch("b=x*2000000")}).ok());  // more than is read at once
  auto replay = [&](bool accept_loss) {
    fs.add_fault({.kind = Fault::Kind::kIoError, .call = Call::kRead, .nth = 2});
    return replay_log(fs, kDir, scribe.segments(), 0, 0, accept_loss,
                      [](Sequence, std::string_view) { return Status(); });
  };
  CHECK(replay(false).status().is_io_error());
  auto replayed = replay(true);
  REQUIRE(replayed.ok());
  CHECK(replayed->last_sequence == 1);
  CHECK(replayed->torn_place == "00000001.log: 8192");
}

}  // namespace varve::test
