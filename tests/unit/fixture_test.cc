// Goal: a data directory of the first format opens with all that is in it, for ever; one of a newer format is
// refused, and the message names both versions. Method: copies of tests/fixture/format-1 (what is in it, and
// how it was made: fixture/make_format_1.cc), read whole, and with a newer version patched in under a right
// checksum.
#include <doctest/doctest.h>

#include <set>

#include "base/checksum.h"
#include "base/coding.h"
#include "fixture/fixture.h"
#include "fixture/open_directory.h"
#include "lsm/block.h"
#include "lsm/manifest_record.h"
#include "lsm/table_format.h"
#include "lsm/wal_segment.h"

namespace varve::test {
namespace {

Status open_copy(const Fixture& fixture) {
  return OpenDirectory(fixture.path()).status();
}

void check_refused(const Status& status) {
  CHECK_MESSAGE(status.code() == StatusCode::kUnsupported, status.to_string());
  CHECK_MESSAGE(status.message().find("2 is newer than") != std::string::npos, status.to_string());
  CHECK_MESSAGE(status.message().find("1", status.message().find("newer than")) != std::string::npos,
                status.to_string());
}

}  // namespace

TEST_CASE("the first format opens with everything in it") {
  Fixture fixture;
  for (int start = 0; start < 2; ++start) {
    CAPTURE(start);
    OpenDirectory directory(fixture.path());
    REQUIRE_MESSAGE(directory.status().ok(), directory.status().to_string());
    CHECK(directory.text() == fixture.expected());
    if (start == 1) directory.compact();
    CHECK(directory.text() == fixture.expected());
    directory.close();
  }
}

TEST_CASE("the fixture holds what it is there for") {
  Fixture fixture;
  ManifestState state;
  ManifestInfo info;
  REQUIRE(read_manifest(posix_file_system(), fixture.path(), false, &state, &info).ok());
  CHECK(info.application == kEntryFormatName);
  std::set<int> levels;
  uint64_t range_deletes = 0, deletes = 0;
  for (const auto& [number, added] : state.tables) {
    levels.insert(added.place.level);
    range_deletes += added.meta.range_deletes;
    deletes += added.meta.deletes;
  }
  CHECK(levels.size() >= 3);
  CHECK(levels.contains(0));
  CHECK(range_deletes > 0);
  CHECK(deletes > 0);
  auto replay =
      replay_log(posix_file_system(), fixture.path(), state.log, state.flushed_sequence,
                 state.durable_sequence, false, [](Sequence, std::string_view) { return Status(); });
  REQUIRE(replay.ok());
  CHECK(replay->batches == 3);
}

TEST_CASE("newer formats are refused, with both versions named") {
  Fixture fixture;
  SUBCASE("CURRENT") {
    std::string text = fixture.read("CURRENT");
    size_t version = text.find('\n') + 1;
    size_t sum = text.rfind('\n', text.size() - 2) + 1;
    text[version] = '2';
    text.resize(sum);
    text += fmt::format("{:016x}\n", checksum(text, place_seed(Identity(), 0, 4)));
    fixture.write("CURRENT", text);
    check_refused(open_copy(fixture));
  }
  SUBCASE("manifest") {
    std::string bytes = fixture.read(fixture.manifest());
    ManifestHeader header;
    REQUIRE(decode_manifest_header(bytes, "manifest", &header).ok());
    encode_fixed32(bytes.data() + 8, 2);
    std::string_view covered = std::string_view(bytes).substr(0, kManifestHeaderSize - 8);
    encode_fixed64(bytes.data() + kManifestHeaderSize - 8, checksum(covered, place_seed(header.file, 0, 1)));
    fixture.write(fixture.manifest(), bytes);
    check_refused(open_copy(fixture));
  }
  SUBCASE("table") {
    // The last one: what a newer build writes has higher numbers than what was there.
    std::string name = table_file_name(fixture.state().tables.rbegin()->first);
    std::string bytes = fixture.read(name);
    char* tail = bytes.data() + bytes.size() - kTableTailSize;
    encode_fixed32(tail, 2);
    encode_fixed64(tail + 8, checksum(std::string_view(tail, 8), kTableMagic));
    fixture.write(name, bytes);
    check_refused(open_copy(fixture));
  }
  SUBCASE("log") {
    const LogSegment& segment = fixture.state().log.front();
    std::string name = log_file_name(segment.number);
    std::string bytes = fixture.read(name);
    encode_fixed32(bytes.data() + 8, 2);
    std::string_view covered = std::string_view(bytes).substr(0, kSegmentHeaderSize - 8);
    encode_fixed64(bytes.data() + kSegmentHeaderSize - 8,
                   checksum(covered, place_seed(segment.identity, 0, 1)));
    fixture.write(name, bytes);
    check_refused(open_copy(fixture));
  }
  CHECK(fixture.unchanged_since_write());
}

}  // namespace varve::test
