// run_merge on real files: what record_merger_test.cc cannot see, that is, how outputs are cut, and what is
// left when a merge fails.
#include "lsm/merge_job.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "support/records.h"
#include "support/script.h"

namespace varve {
namespace {

using test::Record;

struct Fixture {
  test::TemporaryDirectory dir;
  FileSystem& fs = posix_file_system();
  uint64_t next_number = 1;

  MergeInput input() {
    MergeInput in;
    in.fs = &fs;
    in.dir = dir.path();
    in.first_file_number = next_number;
    in.file_number_count = 100;
    in.random_seed = next_number;
    in.table.compression = Compression::kNone;
    next_number += in.file_number_count;
    return in;
  }

  // Flushes the drawn records into one run of small files.
  std::vector<TableRef> flush(const std::vector<std::string>& lines, uint64_t file_size = 64 << 20) {
    auto memtable = std::make_shared<MemTable>();
    for (const std::string& line : lines) {
      Record r = test::parse_record(line);
      if (r.tag.kind() == Kind::kRangeDelete)
        memtable->add_range_delete(r.tag.sequence(), r.key, r.value);
      else
        memtable->add(r.tag.sequence(), r.tag.kind(), r.tag.blind(), r.key, r.value, 0);
    }
    memtable->freeze();
    MergeInput in = input();
    in.memtables = {memtable};
    in.deeper = {{KeyRange{"", "\xff", true}}};
    in.target_file_size = file_size;
    MergeOutput out = run_merge(in);
    REQUIRE(out.status.ok());
    return out.outputs;
  }
};

// "a#9 put x; [b,d) 7", one line for each table, with its bounds.
std::string describe(Fixture& f, const std::vector<TableRef>& tables) {
  std::string out;
  auto source = new_direct_source(f.fs, f.dir.path());
  for (const TableRef& table : tables) {
    KeyRange range = bounds(table->meta);
    out += fmt::format("[{},{}{}", range.begin, range.end, range.end_inclusive ? "]:" : "):");
    auto it = new_table_iterator(source.get(), table);
    for (it->seek_to_first(); it->valid(); it->next()) {
      out += " " + test::describe_record(it->key(), it->tag(), it->value()) + ";";
    }
    REQUIRE(it->state() == IterState::kEnd);
    RangeTombstones tombstones;
    REQUIRE(table_range_tombstones(*source, table, &tombstones) == IterState::kValid);
    out += (tombstones.empty() ? "" : " ") + tombstones.debug_string() + "\n";
  }
  return out;
}

size_t file_count(Fixture& f) {
  return f.fs.list(f.dir.path())->size();
}

TEST_CASE("a flush writes what the memtable holds") {
  Fixture f;
  auto tables = f.flush({"b#1 put x", "a#2 put y", "[d,e)#3", "c#4 blind put z"});
  CHECK(describe(f, tables) == "[a,e): a#2 put y; b#1 put x; c#4 blind put z; [d,e) 3\n");
  CHECK(tables[0]->meta.number == 1);
  CHECK(tables[0]->meta.blind == 1);
}

TEST_CASE("a flush of nothing writes nothing") {
  Fixture f;
  CHECK(f.flush({}).empty());
  CHECK(file_count(f) == 0);
}

TEST_CASE("files of range tombstones only") {
  Fixture f;
  CHECK(describe(f, f.flush({"[a,c)#3", "[x,z)#4"})) == "[a,z): [a,c) 3; [x,z) 4\n");
}

TEST_CASE("outputs are cut between keys, and range tombstones with them") {
  Fixture f;
  auto tables = f.flush({"[a,z)#1", "b#2 put x", "d#3 put x", "f#4 put x"}, 1);
  CHECK(describe(f, tables) ==
        "[a,d): b#2 put x; [a,d) 1\n"
        "[d,f): d#3 put x; [d,f) 1\n"
        "[f,z): f#4 put x; [f,z) 1\n");
}

TEST_CASE("a range tombstone around the last records stays with them") {
  Fixture f;
  auto tables = f.flush({"[a,m)#1", "b#2 put x", "[p,q)#3", "x#4 put x"}, 1);
  CHECK(describe(f, tables) == "[a,m): b#2 put x; [a,m) 1\n[p,q): [p,q) 3\n[x,x]: x#4 put x;\n");
}

TEST_CASE("versions of one key stay together") {
  Fixture f;
  MergeInput in = f.input();
  std::vector<TableRef> newer = f.flush({"a#5 put new", "b#6 put new"});
  std::vector<TableRef> older = f.flush({"a#1 put old", "b#2 put old"});
  in.runs = {newer, older};
  in.snapshots = {3};
  in.target_file_size = 1;
  in.deeper = {{KeyRange{"a", "z", true}}};
  MergeOutput out = run_merge(in);
  REQUIRE(out.status.ok());
  CHECK(describe(f, out.outputs) == "[a,a]: a#5 put new; a#1 put old;\n[b,b]: b#6 put new; b#2 put old;\n");
  CHECK(out.records_in == 4);
  CHECK(out.records_out == 4);
  CHECK(out.bytes_read == newer[0]->meta.file_size + older[0]->meta.file_size);
  CHECK(out.bytes_written == out.outputs[0]->meta.file_size + out.outputs[1]->meta.file_size);
}

TEST_CASE("many range tombstones and few records are cut as well") {
  Fixture f;
  auto tables = f.flush({"[a,b)#1", "[c,d)#2", "e#3 put x", "[f,g)#4", "[h,i)#5"}, 1);
  CHECK(describe(f, tables) ==
        "[a,b): [a,b) 1\n[c,d): [c,d) 2\n[e,e]: e#3 put x;\n[f,g): [f,g) 4\n[h,i): [h,i) 5\n");
}

TEST_CASE("the last file number takes all the rest") {
  Fixture f;
  auto memtable = std::make_shared<MemTable>();
  for (Sequence s = 1; s <= 9; ++s) memtable->add(s, Kind::kPut, false, std::to_string(s), "x", 0);
  memtable->freeze();
  MergeInput in = f.input();
  in.memtables = {memtable};
  in.target_file_size = 1;
  in.file_number_count = 2;
  MergeOutput out = run_merge(in);
  REQUIRE(out.status.ok());
  REQUIRE(out.outputs.size() == 2);
  CHECK(out.outputs[1]->meta.records == 8);
}

TEST_CASE("outputs are cut where they overlap much of the level below") {
  Fixture f;
  std::vector<TableRef> below = f.flush({"a#1 put x", "c#2 put x", "e#3 put x", "g#4 put x"}, 1);
  REQUIRE(below.size() == 4);
  MergeInput in = f.input();
  std::vector<TableRef> run = f.flush({"a#5 put y", "b#6 put y", "d#7 put y", "f#8 put y", "h#9 put y"});
  in.runs = {run};
  in.grandparents = below;
  in.max_grandparent_overlap = below[0]->meta.file_size;  // more than one table is too much
  in.deeper = {{KeyRange{"a", "z", true}}};
  MergeOutput out = run_merge(in);
  REQUIRE(out.status.ok());
  CHECK(describe(f, out.outputs) ==
        "[a,b]: a#5 put y; b#6 put y;\n[d,f]: d#7 put y; f#8 put y;\n[h,h]: h#9 put y;\n");
}

TEST_CASE("the last file number also takes a range tombstone that overlaps much of the level below") {
  Fixture f;
  std::vector<TableRef> below = f.flush({"c#1 put x", "e#2 put x", "g#3 put x"}, 1);
  auto memtable = std::make_shared<MemTable>();
  memtable->add_range_delete(4, "a", "x");
  memtable->freeze();
  MergeInput in = f.input();
  in.memtables = {memtable};
  in.grandparents = below;
  in.max_grandparent_overlap = below[0]->meta.file_size;
  in.deeper = {{KeyRange{"a", "z", true}}};
  in.file_number_count = 2;
  MergeOutput out = run_merge(in);
  REQUIRE_MESSAGE(out.status.ok(), out.status.to_string());
  CHECK(describe(f, out.outputs) == "[a,e): [a,e) 4\n[e,x): [e,x) 4\n");
}

TEST_CASE("a full merge to the bottom leaves neither deletes nor range tombstones") {
  Fixture f;
  MergeInput in = f.input();
  in.runs = {f.flush({"a#9 delete", "[c,e)#10"}), f.flush({"a#1 put x", "b#2 put x", "c#3 put x"}, 1)};
  MergeOutput out = run_merge(in);
  REQUIRE(out.status.ok());
  CHECK(describe(f, out.outputs) == "[b,b]: b#2 put x;\n");
  in = f.input();
  in.runs = {f.flush({"b#11 delete"}), out.outputs};
  out = run_merge(in);
  REQUIRE(out.status.ok());
  CHECK(out.outputs.empty());
}

// MOVE takes the collection of a key (0a) to another database (1a), FLUSHDB then deletes the range of the
// first.
TEST_CASE("a collection that moved survives the range it came from") {
  struct Inspector final : RecordInspector {
    Death death(std::string_view, std::string_view value) const override {
      return {false, 0, KeyRange{"<" + std::string(value), "<" + std::string(value) + "~"}};
    }
  } inspector;
  Fixture f;
  MergeInput in = f.input();
  in.table.inspector = &inspector;
  std::vector<TableRef> below = f.flush({"0a#5 put 7", "0b#6 put 8"});
  std::vector<TableRef> above = f.flush({"0a#10 delete", "1a#11 put 7", "[0,1)#20"});
  CHECK(describe(f, above) == "[0,1a]: 0a#10 delete; 1a#11 put 7; [0,1) 20\n");
  in.runs = {above, below};
  MergeOutput out = run_merge(in);
  REQUIRE(out.status.ok());
  CHECK(describe(f, out.outputs) == "[1a,1a]: 1a#11 put 7;\n");
  CHECK(out.garbage == std::vector<KeyRange>{{"<8", "<8~"}});
}

TEST_CASE("a merge that is stopped leaves no file") {
  Fixture f;
  MergeInput in = f.input();
  std::vector<std::string> lines;
  for (int i = 1; i <= 1000; ++i) lines.push_back(fmt::format("key{:04}#{} put x", i, i));
  in.runs = {f.flush(lines)};
  in.cancel = std::make_shared<std::atomic<bool>>(true);
  size_t before = file_count(f);
  MergeOutput out = run_merge(in);
  CHECK(out.status.code() == StatusCode::kAborted);
  CHECK(out.outputs.empty());
  CHECK(file_count(f) == before);
}

TEST_CASE("a damaged input is named, and nothing is left of the outputs") {
  Fixture f;
  std::vector<std::string> lines;
  for (int i = 1; i <= 400; ++i)
    lines.push_back(fmt::format("key{:04}#{} put {}", i, i, std::string(100, 'v')));
  lines.push_back("[x,z)#401");
  std::vector<TableRef> run = f.flush(lines, 16 << 10);
  REQUIRE(run.size() > 2);
  auto damage = [&](const TableRef& table, uint64_t offset) {
    auto file = f.fs.open_write(join_path(f.dir.path(), table_file_name(table->meta.number)));
    REQUIRE(file.ok());
    REQUIRE((*file)->write_at(offset, "damage").ok());
  };
  uint64_t expected = 0;
  SUBCASE("a data block") {
    expected = run[1]->meta.number;
    damage(run[1], 100);
  }
  SUBCASE("range tombstones") {
    expected = run.back()->meta.number;
    damage(run.back(), run.back()->meta.range_block.offset);
  }
  size_t before = file_count(f);
  MergeInput in = f.input();
  in.runs = {f.flush({"a#500 put x"}), run};
  in.target_file_size = 4000;
  MergeOutput out = run_merge(in);
  CHECK(out.status.is_corruption());
  CHECK(out.damaged_table == expected);
  CHECK(out.outputs.empty());
  CHECK(file_count(f) == before + 1);  // the flush above
}

}  // namespace
}  // namespace varve
