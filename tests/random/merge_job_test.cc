// How run_merge distributes a merge's result over files, at random sizes: the files are disjoint and in
// order, each lies within its bounds, and together they hold the records and range tombstones that
// RecordMerger lets through.
#include "lsm/merge_job.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "lsm/record_merger.h"
#include "support/crash_fs.h"
#include "support/records.h"
#include "support/script.h"

namespace varve {
namespace {

class Run {
 public:
  explicit Run(uint64_t seed) : random_(seed) {
    REQUIRE(fs_.create_dir("/db").ok());
    in_.fs = &fs_;
    in_.dir = "/db";
    in_.first_file_number = 1;
    in_.file_number_count = random_.one_in(4) ? 1 + random_.below(5) : 1000;
    in_.target_file_size = 1 + random_.below(4000);
    in_.table.block_size = 64 + random_.below(512);
    if (random_.one_in(2)) in_.deeper = {{KeyRange{"00", "50", true}, KeyRange{"70", "80", false}}};
    for (Sequence s : {50, 120}) {
      if (random_.one_in(2)) in_.snapshots.push_back(s);
    }
    fill();
  }

  void check() {
    MergeOutput out = run_merge(in_);
    REQUIRE(out.status.ok());
    REQUIRE(out.outputs.size() <= in_.file_number_count);
    MergeRules rules{in_.snapshots, in_.deeper, memtable_->range_tombstones(), nullptr};
    std::vector<std::string> expected = merged(rules), found;
    RangeTombstones kept = kept_tombstones(rules), found_tombstones;
    auto source = new_direct_source(fs_, "/db");
    for (size_t i = 0; i < out.outputs.size(); ++i) {
      const TableRef& table = out.outputs[i];
      KeyRange range = bounds(table->meta);
      if (i > 0) REQUIRE(!bounds(out.outputs[i - 1]->meta).overlaps(range));
      if (i > 0) REQUIRE(out.outputs[i - 1]->meta.smallest < range.begin);
      auto it = new_table_iterator(source.get(), table);
      for (it->seek_to_first(); it->valid(); it->next()) {
        REQUIRE(range.contains(it->key()));
        found.push_back(test::describe_record(it->key(), it->tag(), it->value()));
      }
      RangeTombstones tombstones;
      REQUIRE(table_range_tombstones(*source, table, &tombstones) == IterState::kValid);
      for (const auto& [begin, fragment] : tombstones.fragments()) {
        REQUIRE(begin >= range.begin);
        REQUIRE(fragment.end <= range.end);
        // Joins again what was cut at the borders.
        found_tombstones.append(begin, fragment.end, fragment.sequences);
      }
    }
    REQUIRE(found == expected);
    REQUIRE(found_tombstones.debug_string() == kept.debug_string());
  }

 private:
  std::string random_key() { return fmt::format("{:02}", random_.below(100)); }

  void fill() {
    memtable_ = std::make_shared<MemTable>();
    uint64_t ranges = random_.below(4);
    Sequence newest = in_.snapshots.empty() ? 0 : in_.snapshots.back();
    for (Sequence s = 1; s <= 200; ++s) {
      if (random_.below(10) < ranges)
        memtable_->add_range_delete(s, random_key(), random_key());
      else if (random_.one_in(5))
        memtable_->add(s, Kind::kDelete, false, random_key(), "", newest);
      else
        memtable_->add(s, Kind::kPut, false, random_key(), std::string(random_.below(100), 'v'), newest);
    }
    memtable_->freeze();
    in_.memtables = {memtable_};
  }

  std::vector<std::string> merged(const MergeRules& rules) {
    std::vector<std::string> records;
    RecordMerger merger(rules, [&](std::string_view key, const std::vector<RecordMerger::Kept>& versions) {
      for (const auto& v : versions) records.push_back(test::describe_record(key, v.tag, v.value));
      return Status();
    });
    auto it = memtable_->new_iterator();
    for (it->seek_to_first(); it->valid(); it->next())
      REQUIRE(merger.add(it->key(), it->tag(), it->value()).ok());
    REQUIRE(merger.finish().ok());
    return records;
  }

  Random random_;
  test::CrashFs fs_;
  MergeInput in_;
  std::shared_ptr<MemTable> memtable_;
};

TEST_CASE("outputs of a merge hold what the rules let through") {
  uint64_t first = test::test_seed(1);
  for (uint64_t seed = first; seed < first + 100; ++seed) {
    INFO("VARVE_SEED=" << seed);
    Run(seed).check();
  }
}

}  // namespace
}  // namespace varve
