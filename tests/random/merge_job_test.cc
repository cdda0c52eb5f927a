// How run_merge distributes a merge's result over files, at random sizes: the files are disjoint and in
// order, each lies within its bounds, and together they hold the records and range tombstones that
// RecordMerger lets through. None overlaps too much of the level below. And compactions that end early, for
// any reason, do step by step what one that does not would do at once.
#include "lsm/merge_job.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
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
    if (random_.one_in(2)) draw_grandparents();
    fill();
  }

  void check() {
    MergeOutput out = run_merge(in_);
    REQUIRE_MESSAGE(out.status.ok(), out.status.to_string());
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
      if (out.outputs.size() < in_.file_number_count) check_overlap(range);
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
  // Tables of which nothing but bounds and size matters.
  void draw_grandparents() {
    uint64_t from = random_.below(20);
    while (from < 95) {
      uint64_t to = from + random_.below(8);
      auto table = std::make_shared<Table>();
      table->meta.smallest = fmt::format("{:02}", from);
      table->meta.largest = fmt::format("{:02}", to);
      table->meta.largest_exclusive = to > from && random_.one_in(2);
      table->meta.file_size = 1 + random_.below(100);
      in_.grandparents.push_back(table);
      from = to + 1 + random_.below(5);
    }
    in_.max_grandparent_overlap = 1 + random_.below(300);
  }

  // One table may be more than the bound: it is never parted.
  void check_overlap(const KeyRange& range) {
    uint64_t bytes = 0, tables = 0;
    for (const TableRef& table : in_.grandparents) {
      if (!bounds(table->meta).overlaps(range)) continue;
      bytes += table->meta.file_size;
      ++tables;
    }
    REQUIRE((bytes <= in_.max_grandparent_overlap || tables == 1));
  }

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

class CountingInspector final : public RecordInspector {
 public:
  Death death(std::string_view key, std::string_view value) const override {
    return {true, 1,
            KeyRange{"g" + std::string(key) + std::string(value),
                     "g" + std::string(key) + std::string(value) + "~", false}};
  }
};

// Two or three runs above one. All of it goes into the last run, in one compaction or in many.
class Parts {
 public:
  explicit Parts(uint64_t seed) : random_(seed) {
    REQUIRE(fs_.create_dir("/db").ok());
    in_.fs = &fs_;
    in_.dir = "/db";
    in_.first_file_number = 1;
    in_.target_file_size = 200 + random_.below(2000);
    in_.table.block_size = 64 + random_.below(512);
    in_.table.inspector = &inspector_;
    in_.file_number_count = 1000;
    size_t runs = 3 + random_.below(2);
    for (size_t i = 0; i < runs; ++i) runs_.insert(runs_.begin(), flush());
    // All or nothing: of a range tombstone in parts those that hide nothing go, of a whole one none does.
    if (random_.one_in(2)) in_.deeper.clear();
    if (random_.one_in(2)) in_.snapshots = {sequence_ / 3, sequence_ / 3 * 2};
    in_.memtables.clear();
  }

  // Returns how many jobs it took.
  uint64_t check() {
    in_.runs = runs_;
    MergeOutput whole = merge();
    REQUIRE(!whole.ended_at);
    REQUIRE(whole.rests.empty());
    draw_bounds();
    std::vector<TableRef> merged;  // all that is done
    std::vector<KeyRange> garbage;
    int64_t count = 0;
    uint64_t jobs = 0;
    for (bool more = true; more; ++jobs) {
      REQUIRE(jobs < 2000);
      in_.runs = runs_;
      in_.end.reset();
      if (random_.one_in(4)) draw_end();
      MergeOutput out = merge();
      check_findings(out);
      merged.insert(merged.end(), out.outputs.begin(), out.outputs.end());
      garbage.insert(garbage.end(), out.garbage.begin(), out.garbage.end());
      for (const auto& [id, delta] : out.count_corrections) count += delta;
      more = out.ended_at.has_value();
      if (more) go_on_after(out);
    }
    REQUIRE(describe(merged) == describe(whole.outputs));
    auto& expected = whole.count_corrections;
    REQUIRE(count == (expected.empty() ? 0 : expected.at(1)));
    REQUIRE(joined(garbage) == whole.garbage);
    return jobs;
  }

 private:
  std::string random_key() { return fmt::format("{:03}", random_.below(1000)); }

  std::vector<TableRef> flush() {
    auto memtable = std::make_shared<MemTable>();
    for (int i = 0; i < 200; ++i) {
      Sequence s = ++sequence_;
      if (random_.one_in(20))
        memtable->add_range_delete(s, random_key(), random_key());
      else if (random_.one_in(5))
        memtable->add(s, Kind::kDelete, random_.one_in(2), random_key(), "", s);
      else
        memtable->add(s, Kind::kPut, random_.one_in(2), random_key(), fmt::format(":{}", s), s);
    }
    memtable->freeze();
    in_.memtables = {memtable};
    in_.runs.clear();
    in_.deeper = {{KeyRange{"", "~", true}}};
    return merge().outputs;
  }

  MergeOutput merge() {
    MergeOutput out = run_merge(in_);
    REQUIRE_MESSAGE(out.status.ok(), out.status.to_string());
    in_.first_file_number += in_.file_number_count;
    return out;
  }

  void draw_bounds() {
    if (random_.one_in(2)) in_.findings_bytes_max = random_.below(2000);
    if (random_.one_in(2)) in_.tombstone_memory_max = random_.below(2000);
    if (random_.one_in(2)) in_.file_number_count = runs_.size() + 4 + random_.below(5);
  }

  // As the policy does: behind something that is to be merged.
  void draw_end() {
    std::string first = "~";
    for (const auto& run : in_.runs) {
      if (!run.empty()) first = std::min(first, run.front()->meta.smallest);
    }
    std::string end = random_key();
    if (end <= first) return;
    in_.end = end;
    for (auto& run : in_.runs) std::erase_if(run, [&](const TableRef& t) { return t->meta.smallest >= end; });
  }

  void check_findings(const MergeOutput& out) {
    if (!out.ended_at || out.garbage.size() < 2) return;
    uint64_t bytes = 0;
    for (const KeyRange& range : out.garbage) bytes += range.begin.size() + range.end.size();
    // What one key adds comes on top.
    REQUIRE(bytes <= in_.findings_bytes_max + 1000);
  }

  // Each run keeps what the job left of it.
  void go_on_after(const MergeOutput& out) {
    const std::string& end = *out.ended_at;
    for (size_t i = 0; i < runs_.size(); ++i) {
      std::erase_if(runs_[i], [&](const TableRef& t) { return t->meta.smallest < end; });
      for (const MergeOutput::Rest& rest : out.rests) {
        if (rest.run != i) continue;
        REQUIRE(rest.table->meta.smallest >= end);
        REQUIRE((runs_[i].empty() || ends_before(rest.table->meta, runs_[i][0]->meta.smallest)));
        runs_[i].insert(runs_[i].begin(), rest.table);
      }
    }
    for (const TableRef& table : out.outputs) {
      REQUIRE(ends_before(table->meta, end));
    }
  }

  // Records without their sequences: whether a job has range tombstones decides which of them become 0.
  std::string describe(const std::vector<TableRef>& run) {
    std::string text;
    RangeTombstones tombstones;
    auto source = new_direct_source(fs_, "/db");
    for (const TableRef& table : run) {
      auto it = new_table_iterator(source.get(), table);
      for (it->seek_to_first(); it->valid(); it->next()) {
        text += fmt::format("{} {}{} {}\n", it->key(), it->tag().kind() == Kind::kPut ? "put" : "delete",
                            it->tag().blind() ? " blind" : "", it->value());
      }
      RangeTombstones own;
      REQUIRE(table_range_tombstones(*source, table, &own) == IterState::kValid);
      for (const auto& [begin, fragment] : own.fragments()) {
        tombstones.append(begin, fragment.end, fragment.sequences);
      }
    }
    return text + tombstones.debug_string();
  }

  static std::vector<KeyRange> joined(std::vector<KeyRange> ranges) {
    std::sort(ranges.begin(), ranges.end(),
              [](const KeyRange& a, const KeyRange& b) { return a.begin < b.begin; });
    std::vector<KeyRange> out;
    for (KeyRange& range : ranges) {
      if (out.empty() || range.begin > out.back().end)
        out.push_back(std::move(range));
      else
        out.back().end = std::max(out.back().end, range.end);
    }
    return out;
  }

  Random random_;
  test::CrashFs fs_;
  CountingInspector inspector_;
  MergeInput in_;
  Sequence sequence_ = 0;
  std::vector<std::vector<TableRef>> runs_;  // newest first
};

TEST_CASE("compactions that end early do together what one would do") {
  uint64_t first = test::test_seed(1), jobs = 0;
  for (uint64_t seed = first; seed < first + 100; ++seed) {
    INFO("VARVE_SEED=" << seed);
    jobs += Parts(seed).check();
  }
  CHECK(jobs > 400);
}

}  // namespace
}  // namespace varve
