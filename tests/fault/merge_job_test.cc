// A merge whose files fail it, at each operation in turn: it says so, names the input that could not be read,
// no output is left, and nothing is reported that the manifest would have to take back.
#include "lsm/merge_job.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "support/crash_fs.h"

namespace varve {
namespace {

class CountingInspector final : public RecordInspector {
 public:
  Death death(std::string_view key, std::string_view) const override {
    return {true, 1, KeyRange{"g" + std::string(key), "g" + std::string(key) + "~", false}};
  }
};

struct World {
  test::CrashFs fs;
  CountingInspector inspector;

  MergeInput input(uint64_t first_number) {
    MergeInput in;
    in.fs = &fs;
    in.dir = "/db";
    in.first_file_number = first_number;
    in.file_number_count = 100;
    in.target_file_size = 2000;
    in.table.block_size = 512;
    in.table.compression = Compression::kNone;
    in.table.inspector = &inspector;
    return in;
  }

  World() { REQUIRE(fs.create_dir("/db").ok()); }

  // 100 keys in several files; half of them hidden by a range delete if the keys are blind.
  std::vector<TableRef> flush(uint64_t first_number, Sequence sequence, bool blind) {
    auto memtable = std::make_shared<MemTable>();
    for (int i = 0; i < 100; ++i) {
      memtable->add(++sequence, Kind::kPut, blind, fmt::format("key{:03}", i), std::string(50, 'v'), 0);
    }
    if (blind) memtable->add_range_delete(++sequence, "key050", "x");
    memtable->freeze();
    MergeInput in = input(first_number);
    in.memtables = {memtable};
    in.deeper = {{KeyRange{"a", "z", true}}};
    MergeOutput out = run_merge(in);
    REQUIRE(out.status.ok());
    REQUIRE(out.outputs.size() > 1);
    return out.outputs;
  }
};

// Runs the same merge with the nth matching call failing, n = 1, 2, ... until one passes unharmed. Inputs are
// blamed for what fails on them (all other files are outputs), `blamed` times at least.
void fail_everywhere(test::Fault fault, uint64_t at_least, uint64_t blamed = 0) {
  uint64_t failures = 0, blames = 0;
  for (;;) {
    World world;
    MergeInput in = world.input(300);
    in.runs = {world.flush(100, 1000, true), world.flush(200, 0, false)};
    size_t before = world.fs.list("/db")->size();
    fault.nth = failures + 1;
    world.fs.add_fault(fault);
    MergeOutput out = run_merge(in);
    if (out.status.ok()) {
      CHECK(out.count_corrections.at(1) == -50);  // the others died by the range delete
      CHECK(out.garbage.size() == 100);
      break;
    }
    ++failures;
    INFO("call " << failures << ": " << out.status.to_string());
    CHECK(out.status.code() ==
          (fault.kind == test::Fault::Kind::kNoSpace ? StatusCode::kNoSpace : StatusCode::kIoError));
    // The message names the file that failed.
    bool input_failed = false;
    for (const auto& run : in.runs) {
      for (const TableRef& table : run) {
        bool named = out.status.message().find(table_file_name(table->meta.number)) != std::string::npos;
        CHECK(named == (out.damaged_table == table->meta.number));
        input_failed |= named;
      }
    }
    CHECK((out.damaged_table != 0) == input_failed);
    blames += input_failed ? 1 : 0;
    CHECK(out.outputs.empty());
    CHECK(out.count_corrections.empty());
    CHECK(out.garbage.empty());
    CHECK(world.fs.list("/db")->size() == before);
  }
  CHECK(failures >= at_least);
  CHECK(blames >= blamed);
  if (blamed == 0) CHECK(blames == 0);
}

TEST_CASE("a write that fails") {
  fail_everywhere({.kind = test::Fault::Kind::kIoError, .changes_only = true}, 4);
}
TEST_CASE("a full disk") {
  fail_everywhere({.kind = test::Fault::Kind::kNoSpace, .call = test::Call::kWrite}, 1);
}
TEST_CASE("a read that fails") {
  fail_everywhere({.kind = test::Fault::Kind::kIoError, .call = test::Call::kRead}, 4, 4);
}

}  // namespace
}  // namespace varve
