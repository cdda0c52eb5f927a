// Goal: the policy's choice for a given shape of the tree. Method: draw the shape, read the choice; and on
// drawn shapes, follow its choices until it has none and check that the tree stays well-formed and comes to
// rest.
#include "lsm/compaction_policy.h"

#include <doctest/doctest.h>

#include <sstream>

#include "base/random.h"
#include "support/script.h"

using namespace varve;
using namespace varve::test;

namespace {

struct Shape {
  ManifestState state;
  std::map<uint64_t, TableRef> tables;

  void add(int level, uint64_t run, TableMeta meta) {
    state.tables[meta.number] = {{level, run}, meta};
    auto table = std::make_shared<Table>();
    table->meta = meta;
    tables[meta.number] = table;
  }
  VersionRef version() const { return make_version(state, tables); }
};

// "L0: 7[a-f]:10 8[c-k]! | 5[a-z]": number[smallest-largest]:megabytes, deletes after a "d", range deletes
// after an "r"; "!" at the end: damaged. Runs newest first.
Shape parse_shape(const std::vector<std::string>& lines) {
  Shape shape;
  for (const std::string& line : lines) {
    std::istringstream in(line);
    std::string word;
    if (!(in >> word)) continue;
    int level = word[1] - '0';
    uint64_t run = 1000;
    while (in >> word) {
      if (word == "|") {
        --run;
        continue;
      }
      TableMeta meta;
      size_t open = word.find('['), dash = word.find('-'), close = word.find(']');
      meta.number = std::stoull(word.substr(0, open));
      meta.smallest = word.substr(open + 1, dash - open - 1);
      meta.largest = word.substr(dash + 1, close - dash - 1);
      meta.records = 1000;
      meta.file_size = 10 << 20;
      if (word.back() == '!') {
        shape.state.quarantined.push_back(meta.number);
        word.pop_back();
      }
      if (close + 1 < word.size()) {
        char* end = nullptr;
        meta.file_size = std::strtoull(word.c_str() + close + 2, &end, 10) << 20;
        if (*end == 'd') meta.deletes = std::strtoull(end + 1, nullptr, 10);
        if (*end == 'r') meta.range_deletes = std::strtoull(end + 1, nullptr, 10);
      }
      shape.add(level, level == 0 ? run : 0, meta);
    }
  }
  return shape;
}

CompactionOptions options_of(const Step& step) {
  CompactionOptions o;
  o.base_level_size = static_cast<uint64_t>(step.number("base", 100)) << 20;
  o.level0_trigger = static_cast<int>(step.number("trigger", 4));
  o.level_multiplier = static_cast<int>(step.number("multiplier", 10));
  o.table_size = static_cast<uint64_t>(step.number("table", 32)) << 20;
  o.job_bytes_max = static_cast<uint64_t>(step.number("job", 5000)) << 20;
  o.job_tables_max = static_cast<size_t>(step.number("tables", 500));
  return o;
}

// A simulation over metadata alone: flushes of random tables, jobs carried out as merges of bounds and sizes.
struct Simulation {
  Shape shape;
  CompactionOptions options;
  uint64_t next_number = 1;
  std::set<uint64_t> left_over;  // rests of jobs that ended early
  uint64_t jobs_in_parts = 0;

  void flush(Random& random, uint64_t run) {
    TableMeta meta;
    meta.number = next_number++;
    uint64_t a = random.below(900), b = a + random.below(1000 - a);
    meta.smallest = fmt::format("{:03}", a);
    meta.largest = fmt::format("{:03}", b);
    meta.file_size = (1 + random.below(40)) << 20;
    meta.records = 100;
    if (random.one_in(3)) meta.range_deletes = 1 + random.below(100);
    if (random.one_in(3)) meta.deletes = 64;
    shape.add(0, run, meta);
  }

  // As the policy promises: together the inputs are not too much, or none of them could be left out.
  void check_bounded(const CompactionPick& pick) const {
    size_t count = 0;
    const TablePlace target{pick.output_level, pick.output_run};
    std::string first_moved = "~";
    for (const auto& input : pick.inputs) {
      REQUIRE(!input.tables.empty());
      count += input.tables.size();
      if (!(input.place == target)) first_moved = std::min(first_moved, input.tables[0]->meta.smallest);
    }
    if (pick.trivial_move) return;
    bool bounded = pick.input_bytes() <= options.job_bytes_max && count <= options.job_tables_max;
    for (const auto& input : pick.inputs) {
      for (const TableRef& table : input.tables) {
        if (!bounded && table->meta.smallest > first_moved) FAIL_CHECK("too much");
        if (pick.end && table->meta.smallest >= *pick.end) FAIL_CHECK("begins behind the end");
      }
    }
    if (pick.end) CHECK(first_moved < *pick.end);
  }

  // Takes the inputs out, checks that the output may stand where it goes, and puts it there, in tables of the
  // usual size. What range deletes stay over nothing vanishes. Bytes lie evenly between a table's bounds.
  void carry_out(const CompactionPick& pick) {
    INFO(pick.debug_string());
    check_bounded(pick);
    TableMeta out;
    out.smallest = "~";
    const bool from_level0 = pick.inputs.front().place.level == 0;
    const uint64_t end = pick.end ? std::stoull(*pick.end) : 1000;
    uint64_t oldest_run = 0;
    std::vector<std::pair<TablePlace, TableMeta>> rests;
    for (const auto& input : pick.inputs) {
      CHECK(input.place.level <= pick.output_level);
      if (input.place.level == 0) oldest_run = input.place.run;
      for (const TableRef& table : input.tables) {
        TableMeta meta = table->meta;
        CHECK(!std::count(shape.state.quarantined.begin(), shape.state.quarantined.end(), meta.number));
        REQUIRE(shape.state.tables.erase(meta.number) == 1);
        uint64_t from = std::stoull(meta.smallest), to = std::stoull(meta.largest);
        if (to >= end) {
          TableMeta rest = meta;
          rest.number = next_number++;
          rest.smallest = *pick.end;
          rest.file_size = meta.file_size * (to - end + 1) / (to - from + 1);
          meta.file_size -= rest.file_size;
          meta.largest = fmt::format("{:03}", end - 1);
          rests.push_back({input.place, rest});
          left_over.insert(rest.number);
        }
        out.file_size += meta.file_size;
        out.range_deletes += meta.range_deletes;
        out.smallest = std::min(out.smallest, meta.smallest);
        out.largest = std::max(out.largest, meta.largest);
      }
    }
    for (const auto& [place, rest] : rests) shape.add(place.level, place.run, rest);
    bool over_something = false;
    for (const auto& [n, added] : shape.state.tables) {
      int level = added.place.level;
      bool meets = bounds(added.meta).overlaps(bounds(out));
      over_something = over_something || (meets && level > pick.output_level);
      if (!meets) continue;
      bool stands_well = level == 0 || level != pick.output_level;
      if (from_level0 && pick.output_level == 0) {
        // Its neighbours in level 0, none between them.
        if (level == 0) stands_well = added.place.run > pick.output_run || added.place.run < oldest_run;
        over_something = true;
      } else if (from_level0) {
        // Nothing older may stay above the output.
        stands_well =
            level == 0 ? added.place.run > pick.inputs.front().place.run : level > pick.output_level;
      }
      CHECK(stands_well);
    }
    if (!over_something) out.range_deletes = 0;
    if (pick.output_level > 0) CHECK(pick.output_run == 0);
    add_outputs(pick, out);
  }

  void add_outputs(const CompactionPick& pick, const TableMeta& all) {
    uint64_t from = std::stoull(all.smallest), keys = std::stoull(all.largest) - from + 1;
    uint64_t tables = std::min(keys, all.file_size / options.table_size + 1);
    for (uint64_t i = 0; i < tables; ++i) {
      TableMeta meta = all;
      meta.number = next_number++;
      meta.records = 100;
      meta.smallest = fmt::format("{:03}", from + i * keys / tables);
      meta.largest = fmt::format("{:03}", from + (i + 1) * keys / tables - 1);
      meta.file_size = all.file_size / tables + 1;
      shape.add(pick.output_level, pick.output_run, meta);
    }
  }

  void run_to_rest() {
    for (int jobs = 0;; ++jobs) {
      REQUIRE(jobs < 5000);
      auto pick = pick_compaction(*shape.version(), {}, options);
      if (!pick) return;
      carry_out(*pick);
      if (pick->end) ++jobs_in_parts;
    }
  }

  void compact_all() {
    const uint64_t rewritten_from = next_number;
    const KeyRange all{"000", "999", true};
    for (int level = 0; level < kLevelCount; ++level) {
      for (int jobs = 0;; ++jobs) {
        REQUIRE(jobs < 5000);
        auto pick = pick_manual(*shape.version(), all, level, rewritten_from, left_over, options);
        if (!pick) break;
        carry_out(*pick);
      }
    }
  }
};

Simulation draw_simulation(Random& random) {
  Simulation s;
  s.options.base_level_size = (20 + random.below(200)) << 20;
  s.options.level_multiplier = 2 + static_cast<int>(random.below(9));
  s.options.level0_trigger = 1 + static_cast<int>(random.below(6));
  s.options.table_size = (1 + random.below(64)) << 20;
  s.options.job_bytes_max = (50 + random.below(500)) << 20;
  s.options.job_tables_max = 10 + random.below(40);
  return s;
}

}  // namespace

TEST_CASE("compaction policy: drawn shapes") {
  Shape shape;
  run_script("script/compaction_policy.txt", [&](const Step& step) -> std::string {
    if (step.name == "define") {
      shape = parse_shape(step.input_lines());
      return shape.version()->debug_string();
    }
    if (step.name == "pick") {
      std::set<uint64_t> busy;
      if (step.has("busy")) return "busy needs a number\n";
      if (step.number("busy") != 0) busy.insert(static_cast<uint64_t>(step.number("busy")));
      auto pick = pick_compaction(*shape.version(), busy, options_of(step));
      return pick ? pick->debug_string() : "nothing";
    }
    if (step.name == "manual") {
      KeyRange range{step.text("begin", "a"), step.text("end", "zz"), true};
      std::set<uint64_t> rests{static_cast<uint64_t>(step.number("rest"))};
      auto pick = pick_manual(*shape.version(), range, static_cast<int>(step.number("level")),
                              static_cast<uint64_t>(step.number("rewritten", 1000)), rests, options_of(step));
      return pick ? pick->debug_string() : "nothing";
    }
    if (step.name == "targets") {
      LevelTargets targets = level_targets(*shape.version(), options_of(step));
      std::string out = fmt::format("base L{}:", targets.base_level);
      for (uint64_t bytes : targets.bytes) out += fmt::format(" {}", bytes >> 20);
      return out;
    }
    return "unknown step";
  });
}

// Each run that a job merges is an open file.
TEST_CASE("compaction policy: a job reads a bounded number of runs") {
  for (const char* below : {"", "L6: 1[a-z]:10!"}) {
    CAPTURE(below);
    std::string line = "L0:";
    for (int number = 1000; number > 800; --number) {
      line += fmt::format("{} {}[a-z]:1", number == 1000 ? "" : " |", number);
    }
    VersionRef version = parse_shape({line, below}).version();
    CompactionOptions options;
    auto pick = pick_compaction(*version, {}, options);
    REQUIRE(pick);
    CHECK(pick->inputs.size() == kJobRunsMax);
    // The oldest ones if they go down, neighbours if they stay.
    CHECK(pick->output_level == (*below == '\0' ? 6 : 0));
  }
}

TEST_CASE("compaction policy: on drawn trees it comes to rest, keeps newer above older, bounds jobs") {
  uint64_t in_parts = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    Simulation s = draw_simulation(random);
    for (uint64_t flush = 1; flush <= 150; ++flush) {
      s.flush(random, flush);
      s.run_to_rest();
      VersionRef version = s.shape.version();
      CHECK(version->levels[0].size() < static_cast<size_t>(s.options.level0_trigger) + 1);
      if (random.one_in(20)) s.compact_all();
    }
    in_parts += s.jobs_in_parts;
  }
  CHECK(in_parts > 1000);
}

TEST_CASE("compaction policy: damaged tables do not let level 0 grow") {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    Simulation s = draw_simulation(random);
    s.options.level0_trigger += 1;
    size_t damaged = 0;
    for (uint64_t flush = 1; flush <= 150; ++flush) {
      s.flush(random, flush);
      if (damaged < 4 && random.one_in(20)) {
        auto it = s.shape.state.tables.begin();
        std::advance(it, static_cast<ptrdiff_t>(random.below(s.shape.state.tables.size())));
        s.shape.state.quarantined.push_back(it->first);
        damaged = s.shape.state.quarantined.size();
      }
      s.run_to_rest();
      // Each damaged table may stand in level 0 by itself and part what is beside it.
      CHECK(s.shape.version()->levels[0].size() <=
            std::max(static_cast<size_t>(s.options.level0_trigger), 2 * damaged + 1));
    }
  }
}

// A pick looks at a sample of a large level: the choice must be good all the same, and a sample of tables
// that are all blocked must not be the end.
TEST_CASE("compaction policy: in a level of thousands of tables") {
  Shape shape;
  CompactionOptions options;
  options.base_level_size = 100 << 20;
  for (uint64_t i = 0; i < 3000; ++i) {
    TableMeta meta;
    meta.number = 10 + i;
    meta.smallest = fmt::format("{:05}", 2 * i);
    meta.largest = fmt::format("{:05}", 2 * i + 1);
    meta.records = 100;
    meta.file_size = 10 << 20;
    if (i < 2000) {
      shape.add(6, 0, meta);
      meta.number += 10'000;
      if (i != 1234) shape.state.quarantined.push_back(meta.number);
    }
    if (i % 2 == 0 || i == 1234 || i >= 2000) shape.add(5, 0, meta);
  }
  // Behind key 4000 nothing lies below: such a table is in every sample.
  auto pick = pick_compaction(*shape.version(), {}, options);
  REQUIRE(pick);
  CHECK(pick->trivial_move);
  CHECK(pick->inputs[0].tables[0]->meta.smallest >= "04000");
  // All but one are damaged: it is found.
  std::erase_if(shape.state.tables,
                [](const auto& t) { return t.second.place.level == 5 && t.second.meta.smallest >= "04000"; });
  pick = pick_compaction(*shape.version(), {}, options);
  REQUIRE(pick);
  CHECK(pick->debug_string() == "size: L5 11244 + L6 1244 -> L6");
}

TEST_CASE("version: an edit changes a run as building it anew would") {
  Random random(3);
  Shape shape;
  VersionRef version = shape.version();
  for (int step = 0; step < 300; ++step) {
    VersionEdit edit;
    std::map<uint64_t, TableRef> added;
    for (const auto& [number, table] : shape.state.tables) {
      if (random.one_in(4)) edit.removed.push_back({table.place, number});
    }
    for (const auto& removed : edit.removed) shape.state.tables.erase(removed.number);
    for (uint64_t n = random.below(12); n > 0; --n) {
      TableMeta meta;
      meta.number = static_cast<uint64_t>(step) * 100 + n;
      uint64_t a = random.below(80);
      meta.smallest = fmt::format("{:02}", a);
      meta.largest = fmt::format("{:02}", a + 1 + random.below(5));
      meta.largest_exclusive = random.one_in(2);
      meta.file_size = 1 + random.below(100);
      meta.range_deletes = random.below(2);
      TablePlace place{static_cast<int>(random.below(2)), random.below(2)};
      bool free = std::none_of(shape.state.tables.begin(), shape.state.tables.end(), [&](const auto& t) {
        return t.second.place == place && bounds(t.second.meta).overlaps(bounds(meta));
      });
      if (!free) continue;
      shape.add(place.level, place.run, meta);
      edit.added.push_back({place, meta});
      added[meta.number] = shape.tables[meta.number];
    }
    version = apply_edit(*version, edit, added);
    VersionRef fresh = shape.version();
    REQUIRE(version->debug_string() == fresh->debug_string());
    KeyRange range{fmt::format("{:02}", random.below(90)), fmt::format("{:02}", random.below(90)),
                   random.one_in(2)};
    for (int level = 0; level < 2; ++level) {
      for (size_t i = 0; i < version->levels[level].size(); ++i) {
        const Run& run = *version->levels[level][i];
        REQUIRE(run.bytes == fresh->levels[level][i]->bytes);
        REQUIRE(run.deleting == fresh->levels[level][i]->deleting);
        if (range.begin > range.end) continue;
        std::vector<TableRef> met;
        uint64_t bytes = 0;
        for (const TableRef& t : run.tables) {
          if (!bounds(t->meta).overlaps(range)) continue;
          met.push_back(t);
          bytes += t->meta.file_size;
        }
        auto part = run.overlapping(range);
        REQUIRE(std::vector<TableRef>(part.begin(), part.end()) == met);
        REQUIRE(run.bytes_of(part) == bytes);
      }
    }
  }
}
