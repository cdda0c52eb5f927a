// Goal: a data directory of the first format opens with all that is in it, for ever; one of a newer format is
// refused, and the message names both versions. Method: copies of tests/fixture/format-1 (what is in it, and
// how it was made: fixture/make_format_1.cc), read whole, and with one file of a newer format.
#include <doctest/doctest.h>

#include <set>

#include "fixture/fixture.h"
#include "fixture/newer_format.h"
#include "fixture/open_directory.h"

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
  for (const char* kind : kNewerKinds) {
    CAPTURE(kind);
    Fixture fixture;
    REQUIRE(make_newer(posix_file_system(), fixture.path(), kind).ok());
    fixture.note_files();
    check_refused(open_copy(fixture));
    CHECK(fixture.unchanged_since_write());
  }
}

}  // namespace varve::test
