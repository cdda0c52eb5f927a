// Goal: whatever file of a directory is damaged, check names it and the place, and salvage saves everything
// else. Method: one damage at a time to a copy of the fixture; what salvage wrote is checked, opened, and
// compared key by key with what should be there: a line may be missing only where a loss was told, and no key
// is ever wrong without one.
#include <doctest/doctest.h>

#include <map>
#include <set>
#include <sstream>

#include "base/random.h"
#include "fixture/fixture.h"
#include "fixture/open_directory.h"
#include "lsm/table_format.h"
#include "tool/check.h"
#include "tool/salvage.h"

namespace varve::test {
namespace {

struct Lines {
  std::string text;
  tool::Print print() {
    return [this](std::string_view line) { text += std::string(line) + "\n"; };
  }
  bool has(const std::string& part) const { return text.find(part) != std::string::npos; }
};

std::set<std::string> lines_of(const std::string& text) {
  std::set<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.insert(line);
  return out;
}

// The keys' lines, without those that count.
std::set<std::string> keys_of(const std::string& text) {
  std::set<std::string> out;
  for (const std::string& line : lines_of(text)) {
    if (line.find(" key ") != std::string::npos) out.insert(line);
  }
  return out;
}

struct Salvaged {
  uint64_t losses = 0;
  std::string told;
  std::string text;
};

uint64_t check_into(const std::string& dir, Lines* lines) {
  auto damages = tool::check_directory(posix_file_system(), dir, lines->print());
  REQUIRE_MESSAGE(damages.ok(), damages.status().to_string());
  return *damages;
}

// The counts that a database tells are those of the keys that are there.
void check_counts(const std::string& text) {
  std::map<std::string, int> found;
  for (const std::string& line : keys_of(text)) ++found[line.substr(0, line.find(" key "))];
  for (const auto& [database, count] : found) {
    CHECK_MESSAGE(text.find(fmt::format("\n{} has {} keys, ", database, count)) != std::string::npos, text);
  }
}

Salvaged salvage_and_open(Fixture& fixture) {
  tool::SalvageOptions options;
  options.dir = fixture.path();
  options.out = fixture.beside("out");
  options.log_segment_size = 64 * 1024 * 4;
  Lines lines;
  auto report = tool::salvage(posix_file_system(), options, lines.print());
  REQUIRE_MESSAGE(report.ok(), report.status().to_string());
  CHECK(fixture.unchanged_since_write());
  Lines checked;
  CHECK_MESSAGE(check_into(options.out, &checked) == 0, checked.text);
  OpenDirectory out(options.out);
  REQUIRE_MESSAGE(out.status().ok(), out.status().to_string());
  Salvaged salvaged{report->losses, lines.text, out.text()};
  check_counts(salvaged.text);
  out.close();
  return salvaged;
}

uint64_t largest_table(const Fixture& fixture) {
  uint64_t largest = 0, size = 0;
  for (const auto& [number, added] : fixture.state().tables) {
    if (added.meta.data_blocks > size) largest = number;
    size = std::max(size, added.meta.data_blocks);
  }
  return largest;
}

}  // namespace

TEST_CASE("salvage of an intact directory copies everything and loses nothing") {
  Fixture fixture;
  Salvaged salvaged = salvage_and_open(fixture);
  CHECK_MESSAGE(salvaged.losses == 0, salvaged.told);
  CHECK(salvaged.text == fixture.expected());
}

TEST_CASE("new collections never take the id of a salvaged one") {
  Fixture fixture;
  salvage_and_open(fixture);
  OpenDirectory out(fixture.beside("out"));
  REQUIRE(out.status().ok());
  CHECK(out.engine().next_sequence() > fixture.state().flushed_sequence);
}

TEST_CASE("a damaged data block: the rest of the table is saved") {
  Fixture fixture;
  uint64_t number = largest_table(fixture);
  std::string name = table_file_name(number);
  fixture.flip(name, 20);
  Lines lines;
  CHECK(check_into(fixture.path(), &lines) >= 1);
  CHECK_MESSAGE(lines.has("damage: " + name + ": block at 0: bad checksum"), lines.text);
  Salvaged salvaged = salvage_and_open(fixture);
  CHECK(salvaged.losses >= 1);
  CHECK_MESSAGE(
      salvaged.told.find("lost: " + name + ": block at 0: bad checksum: keys from") != std::string::npos,
      salvaged.told);
  std::set<std::string> expected = keys_of(fixture.expected()), found = keys_of(salvaged.text);
  CHECK(found.size() + 15 > expected.size());
  for (const std::string& line : found) CHECK_MESSAGE(expected.contains(line), line);
}

TEST_CASE("a lost index, footer or filter loses no key") {
  Fixture fixture;
  uint64_t number = largest_table(fixture);
  std::string name = table_file_name(number);
  const TableMeta& meta = fixture.state().tables.at(number).meta;
  SUBCASE("top index") {
    fixture.flip(name, meta.top_index.offset + 3);
  }
  SUBCASE("last index partition") {
    fixture.flip(name, meta.top_index.offset - 12);
  }
  SUBCASE("properties") {
    fixture.flip(name, meta.file_size - kTableFooterSize - 12);
  }
  SUBCASE("footer") {
    fixture.flip(name, meta.file_size - kTableFooterSize + 5);
  }
  SUBCASE("magic") {
    fixture.flip(name, meta.file_size - 1);
  }
  Lines lines;
  CHECK(check_into(fixture.path(), &lines) >= 1);
  CHECK_MESSAGE(lines.has("damage: " + name), lines.text);
  Salvaged salvaged = salvage_and_open(fixture);
  CHECK_MESSAGE(salvaged.losses == 0, salvaged.told);
  CHECK(salvaged.text == fixture.expected());
}

TEST_CASE("a missing table, and one that was cut short") {
  Fixture fixture;
  uint64_t number = largest_table(fixture);
  std::string name = table_file_name(number);
  SUBCASE("missing") {
    fixture.remove(name);
  }
  SUBCASE("cut short") {
    std::string bytes = fixture.read(name);
    fixture.write(name, bytes.substr(0, bytes.size() / 2));
  }
  Lines lines;
  CHECK(check_into(fixture.path(), &lines) >= 1);
  CHECK_MESSAGE(lines.has("damage: " + name + ": "), lines.text);
  Salvaged salvaged = salvage_and_open(fixture);
  CHECK(salvaged.losses >= 1);
  CHECK(salvaged.told.find("lost: " + name) != std::string::npos);
  CHECK(keys_of(salvaged.text).size() > 20);
}

TEST_CASE("damage in the log: check names the frame, salvage goes on behind it") {
  Fixture fixture;
  // The frame of the fixture's last batches.
  constexpr uint64_t kFrame = 20480;
  const LogSegment& segment = fixture.state().log.front();
  std::string name = log_file_name(segment.number);
  SUBCASE("a frame") {
    fixture.flip(name, kFrame + kFrameHeaderSize + 10);
    Lines lines;
    CHECK(check_into(fixture.path(), &lines) >= 1);
    CHECK_MESSAGE(lines.has("damage: " + name + ": 20480: "), lines.text);
    Salvaged salvaged = salvage_and_open(fixture);
    CHECK(salvaged.losses >= 1);
    CHECK_MESSAGE(salvaged.told.find("damaged at " + name + ": 20480") != std::string::npos, salvaged.told);
    CHECK(salvaged.text.find("key late:expires") == std::string::npos);
    CHECK(salvaged.text.find("key long:late") != std::string::npos);
  }
  SUBCASE("the header") {
    fixture.flip(name, 13);
    Lines lines;
    CHECK(check_into(fixture.path(), &lines) >= 1);
    CHECK_MESSAGE(lines.has("damage: " + name + ": 0: "), lines.text);
    Salvaged salvaged = salvage_and_open(fixture);
    CHECK_MESSAGE(salvaged.losses == 0, salvaged.told);
    CHECK(salvaged.text == fixture.expected());
  }
  SUBCASE("the whole segment") {
    fixture.remove(name);
    Lines lines;
    CHECK(check_into(fixture.path(), &lines) >= 1);
    CHECK_MESSAGE(lines.has("damage: " + name + ": 0: "), lines.text);
    CHECK(salvage_and_open(fixture).losses >= 1);
  }
}

TEST_CASE("without CURRENT or manifest the tables and the log still tell everything") {
  Fixture fixture;
  std::string place = "CURRENT";
  SUBCASE("CURRENT missing") {
    fixture.remove("CURRENT");
  }
  SUBCASE("CURRENT damaged") {
    fixture.flip("CURRENT", 20);
  }
  SUBCASE("manifest missing") {
    fixture.remove(place = fixture.manifest());
  }
  SUBCASE("manifest's header") {
    fixture.flip(place = fixture.manifest(), 20);
  }
  SUBCASE("manifest's snapshot") {
    fixture.flip(place = fixture.manifest(), 4096 + 60);
  }
  Lines lines;
  CHECK(check_into(fixture.path(), &lines) >= 1);
  CHECK_MESSAGE(lines.has(place), lines.text);
  Salvaged salvaged = salvage_and_open(fixture);
  CHECK_MESSAGE(salvaged.losses == 0, salvaged.told);
  CHECK(salvaged.text == fixture.expected());
}

TEST_CASE("a lost part of a long value is never served as zeros") {
  Fixture fixture;
  std::set<std::string> expected = keys_of(fixture.expected());
  for (const auto& [number, added] : fixture.state().tables) {
    if (added.meta.largest.empty() || added.meta.largest[0] != kElementSpace) continue;
    Fixture copy;
    copy.flip(table_file_name(number), 30);
    for (const std::string& line : keys_of(salvage_and_open(copy).text)) {
      if (line.find("key long:") != std::string::npos) CHECK_MESSAGE(expected.contains(line), line);
    }
  }
}

TEST_CASE("random damage: check finds it, salvage survives it") {
  uint64_t seed = test_seed(1);
  CAPTURE(seed);
  Random random(seed);
  for (int round = 0; round < 12; ++round) {
    Fixture fixture;
    const auto& tables = fixture.state().tables;
    auto table = std::next(tables.begin(), static_cast<ptrdiff_t>(random.below(tables.size())));
    std::string name = table_file_name(table->first);
    uint64_t offset = random.below(table->second.meta.file_size);
    CAPTURE(name);
    CAPTURE(offset);
    fixture.flip(name, offset);
    Lines lines;
    CHECK_MESSAGE(check_into(fixture.path(), &lines) >= 1, lines.text);
    CHECK_MESSAGE(lines.has("damage: " + name), lines.text);
    salvage_and_open(fixture);
  }
}

}  // namespace varve::test
