// Goal: an edit survives its encoding, damaged bytes are refused, and a state accepts only edits that can be.
#include <doctest/doctest.h>

#include "base/coding.h"
#include "base/random.h"
#include "lsm/version.h"
#include "lsm/version_edit.h"

namespace varve::test {
namespace {

TableMeta table(uint64_t number, std::string smallest, std::string largest) {
  TableMeta meta;
  meta.number = number;
  meta.file_size = 1000 + number;
  meta.identity = {number, 1};
  meta.smallest = std::move(smallest);
  meta.largest = std::move(largest);
  meta.smallest_sequence = number;
  meta.largest_sequence = number + 9;
  meta.records = 10;
  meta.top_index = {100, 50};
  return meta;
}

VersionEdit sample() {
  VersionEdit edit;
  edit.added = {{{0, 7}, table(12, "a", std::string("k\0", 2))}, {{3, 0}, table(13, "", "z")}};
  edit.removed = {{{1, 0}, 4}, {{0, 5}, 9}};
  edit.quarantined = {13};
  edit.healed = {15};
  edit.log_added = {{14, {8, 9}, 8 * kLogBlockSize}};
  edit.log_removed = {2, 3};
  edit.counter_deltas = {{1, -5}, {70000, INT64_MAX}};
  edit.garbage_added = {{"d", "e", true}, {std::string("\0\xff", 2), "", false}};
  edit.garbage_removed = {{"b", "c", false}};
  edit.flushed_sequence = 100;
  edit.durable_sequence = 120;
  edit.next_file_number = 50;
  return edit;
}

// What the sample needs to be there before it.
ManifestState before() {
  VersionEdit edit;
  edit.added = {{{1, 0}, table(4, "a", "c")}, {{0, 5}, table(9, "a", "c")}, {{1, 0}, table(15, "x", "y")}};
  edit.quarantined = {15};
  edit.log_added = {{2, {1, 1}, 8 * kLogBlockSize}, {3, {1, 2}, 8 * kLogBlockSize}};
  edit.garbage_added = {{"b", "c", false}};
  edit.counter_deltas = {{1, 5}};
  edit.flushed_sequence = 90;
  edit.next_file_number = 20;
  ManifestState state;
  REQUIRE(state.apply(edit).ok());
  return state;
}

// The same from trying as from doing.
std::string refusal(const VersionEdit& edit) {
  ManifestState state = before();
  std::string tried = state.would_apply(edit).to_string();
  CHECK(state.snapshot() == before().snapshot());
  CHECK(state.apply(edit).to_string() == tried);
  return tried;
}

}  // namespace

TEST_CASE("edit: what was encoded is decoded, and every cut of it is refused or an edit of fewer fields") {
  std::string bytes;
  sample().encode(&bytes);
  VersionEdit decoded;
  REQUIRE(decoded.decode(bytes).ok());
  CHECK(decoded == sample());
  for (size_t n = 0; n < bytes.size(); ++n) {
    VersionEdit cut;
    if (!cut.decode(std::string_view(bytes).substr(0, n))) continue;
    std::string again;
    cut.encode(&again);
    CHECK(again.size() <= n);
    CHECK(cut != sample());
  }
}

TEST_CASE("edit: what makes no sense is refused") {
  VersionEdit edit;
  CHECK(edit.decode({}).ok());
  CHECK(edit == VersionEdit());
  std::string unknown;
  put_varint(&unknown, 99);
  CHECK(edit.decode(unknown).code() == StatusCode::kUnsupported);
  auto corrupt = [&](std::string_view bytes) { return edit.decode(bytes).is_corruption(); };
  CHECK(corrupt(std::string_view("\x02\x40\x00\x01", 4)));  // level 64
  CHECK(corrupt(std::string_view("\x09\x05\x09\x06", 4)));  // two flushed sequences
  CHECK(corrupt(std::string_view("\x07\x02\x00\x00", 4)));  // neither inclusive nor exclusive
  CHECK(
      corrupt(std::string_view("\x07\x01\xff\xff\xff\xff\x0f"
                               "a",
                               8)));                                // a key longer than what is there
  CHECK(corrupt(std::string_view("\x06\x01\x02\x06\x01\x02", 6)));  // a counter twice
  std::string segment("\x04\x01", 2);                               // a log segment of a size that is none
  segment += std::string(16, 'i') + "\x01";
  CHECK(corrupt(segment));
}

TEST_CASE("edit: for people") {
  CHECK(sample().debug_string() ==
        "- L1.0 00000004.sst\n"
        "- L0.5 00000009.sst\n"
        "+ L0.7 00000012.sst [a..k\\x00] sequences 12..21, 10 records, 1012 bytes\n"
        "+ L3.0 00000013.sst [..z] sequences 13..22, 10 records, 1013 bytes\n"
        "quarantined 00000013.sst\n"
        "healed 00000015.sst\n"
        "- 00000002.log\n"
        "- 00000003.log\n"
        "+ 00000014.log (32768 bytes, identity 00000000000000080000000000000009)\n"
        "counter 1 -5\n"
        "counter 70000 +9223372036854775807\n"
        "- garbage [b..c)\n"
        "+ garbage [d..e]\n"
        "+ garbage [\\x00\\xff..)\n"
        "flushed 100\n"
        "durable 120\n"
        "next file 50\n");
}

TEST_CASE("state: what edits add up to, and a snapshot that rebuilds it") {
  ManifestState state = before();
  REQUIRE(state.apply(sample()).ok());
  CHECK(state.debug_string() ==
        "+ L0.7 00000012.sst [a..k\\x00] sequences 12..21, 10 records, 1012 bytes\n"
        "+ L3.0 00000013.sst [..z] sequences 13..22, 10 records, 1013 bytes\n"
        "+ L1.0 00000015.sst [x..y] sequences 15..24, 10 records, 1015 bytes\n"
        "quarantined 00000013.sst\n"
        "+ 00000014.log (32768 bytes, identity 00000000000000080000000000000009)\n"
        "counter 70000 +9223372036854775807\n"  // counter 1 is back at nothing
        "+ garbage [\\x00\\xff..)\n"
        "+ garbage [d..e]\n"
        "flushed 100\n"
        "durable 120\n"
        "next file 50\n");
  std::string bytes;
  state.snapshot().encode(&bytes);
  VersionEdit snapshot;
  REQUIRE(snapshot.decode(bytes).ok());
  ManifestState again;
  REQUIRE(again.apply(snapshot).ok());
  CHECK(again.debug_string() == state.debug_string());
}

TEST_CASE("state: a table moves and a segment is reused within one edit") {
  VersionEdit edit;
  edit.removed = {{{1, 0}, 4}};
  edit.added = {{{2, 0}, table(4, "a", "c")}};
  edit.log_removed = {2};
  edit.log_added = {{2, {7, 7}, 8 * kLogBlockSize}};
  VersionEdit mark;
  mark.quarantined = {4};
  ManifestState state = before();
  REQUIRE(state.apply(mark).ok());
  REQUIRE(state.apply(mark).ok());  // found damaged twice
  std::map<uint64_t, TableRef> tables;
  for (const auto& [number, added] : state.tables)
    tables[number] = std::make_shared<const Table>(Table{added.meta});
  VersionRef version = make_version(state, tables);
  CHECK(state.would_apply(edit).ok());
  REQUIRE(state.apply(edit).ok());
  CHECK(apply_edit(*version, edit, {})->is_quarantined(4));  // as in the state: only moved
  CHECK(state.tables.at(4).place == TablePlace{2, 0});
  CHECK(state.quarantined == std::vector<uint64_t>{15, 4});
  CHECK(state.log.front().number == 3);
  CHECK(state.log.back().identity == Identity{7, 7});
  edit = VersionEdit();
  edit.removed = {{{2, 0}, 4}};
  REQUIRE(state.apply(edit).ok());
  CHECK(state.quarantined == std::vector<uint64_t>{15});
}

TEST_CASE("state: garbage, in key order; what was added twice is removed twice") {
  VersionEdit add, remove;
  add.garbage_added = {{"m", "n", false}, {"d", "e", true}, {"d", "e", false}, {"d", "e", true}};
  remove.garbage_removed = {{"d", "e", true}};
  ManifestState state;
  REQUIRE(state.apply(add).ok());
  CHECK(state.snapshot().garbage_added ==
        std::vector<KeyRange>{{"d", "e", false}, {"d", "e", true}, {"d", "e", true}, {"m", "n", false}});
  REQUIRE(state.apply(remove).ok());
  CHECK(state.snapshot().garbage_added ==
        std::vector<KeyRange>{{"d", "e", false}, {"d", "e", true}, {"m", "n", false}});
  REQUIRE(state.apply(remove).ok());
  CHECK(state.apply(remove).is_corruption());
}

// A minute where each removal looks at all that is there.
TEST_CASE("state: very much garbage comes and goes") {
  VersionEdit add, remove;
  for (int i = 0; i < 200'000; ++i) add.garbage_added.push_back({fmt::format("{:08}", i), "z", false});
  remove.garbage_removed.assign(add.garbage_added.rbegin(), add.garbage_added.rend());
  ManifestState state;
  REQUIRE(state.apply(add).ok());
  CHECK(state.garbage.size() == 200'000);
  REQUIRE(state.apply(remove).ok());
  CHECK(state.garbage.empty());
}

TEST_CASE("state: refuses what cannot be") {
  VersionEdit edit;
  edit.added = {{{0, 1}, table(4, "a", "b")}};
  CHECK(refusal(edit) == "corruption: edit cannot be applied: adds table 4, which is there already");
  edit.added = {{{0, 1}, table(20, "a", "b")}};
  CHECK(refusal(edit) ==
        "corruption: edit cannot be applied: adds table 20, but file numbers are given out only below 20");
  edit = VersionEdit();
  edit.removed = {{{1, 0}, 5}};
  CHECK(refusal(edit) ==
        "corruption: edit cannot be applied: removes table 5, which is not in level 1 run 0");
  edit.removed = {{{2, 0}, 4}};
  CHECK(refusal(edit) ==
        "corruption: edit cannot be applied: removes table 4, which is not in level 2 run 0");
  edit = VersionEdit();
  edit.quarantined = {5};
  CHECK(refusal(edit) == "corruption: edit cannot be applied: quarantines table 5, which is not there");
  edit = VersionEdit();
  edit.healed = {4};
  CHECK(refusal(edit) == "corruption: edit cannot be applied: heals table 4, which is not in quarantine");
  edit = VersionEdit();
  edit.log_added = {{2, {7, 7}, 8 * kLogBlockSize}};
  CHECK(refusal(edit) == "corruption: edit cannot be applied: adds log segment 2, which is there already");
  edit = VersionEdit();
  edit.log_removed = {7};
  CHECK(refusal(edit) == "corruption: edit cannot be applied: removes log segment 7, which is not there");
  edit = VersionEdit();
  edit.garbage_removed = {{"b", "c", true}};
  CHECK(refusal(edit) == "corruption: edit cannot be applied: removes garbage [b..c], which is not there");
  edit = VersionEdit();
  edit.counter_deltas = {{1, INT64_MAX}};
  CHECK(refusal(edit) == "corruption: edit cannot be applied: counter 1 overflows");
  edit = VersionEdit();
  edit.flushed_sequence = 89;
  CHECK(refusal(edit) == "corruption: edit cannot be applied: the flushed sequence falls from 90 to 89");
  edit = VersionEdit();
  edit.next_file_number = 19;
  CHECK(refusal(edit) == "corruption: edit cannot be applied: the next file number falls from 20 to 19");
}

}  // namespace varve::test
