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
  o.job_bytes_max = static_cast<uint64_t>(step.number("job", 1000)) << 20;
  return o;
}

// A simulation over metadata alone: flushes of random tables, jobs carried out as merges of bounds and sizes.
struct Simulation {
  Shape shape;
  CompactionOptions options;
  uint64_t next_number = 1;

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

  // Takes the inputs out, checks that the output may stand where it goes, and puts it there. What range
  // deletes stay over nothing vanishes.
  void carry_out(const CompactionPick& pick) {
    INFO(pick.debug_string());
    TableMeta out;
    out.number = next_number++;
    out.smallest = "~";
    out.records = 100;
    const TablePlace newest = pick.inputs.front().place;
    uint64_t oldest_run = 0;
    for (const auto& input : pick.inputs) {
      CHECK(input.place.level <= pick.output_level);
      if (input.place.level == 0) oldest_run = input.place.run;
      for (const TableRef& table : input.tables) {
        CHECK(
            !std::count(shape.state.quarantined.begin(), shape.state.quarantined.end(), table->meta.number));
        out.file_size += table->meta.file_size;
        out.range_deletes += table->meta.range_deletes;
        out.smallest = std::min(out.smallest, table->meta.smallest);
        out.largest = std::max(out.largest, table->meta.largest);
        REQUIRE(shape.state.tables.erase(table->meta.number) == 1);
      }
    }
    bool over_something = false;
    for (const auto& [n, added] : shape.state.tables) {
      int level = added.place.level;
      bool meets = bounds(added.meta).overlaps(bounds(out));
      over_something = over_something || (meets && level > pick.output_level);
      if (level > 0 && level == pick.output_level) CHECK(!meets);
      if (newest.level > 0) continue;
      if (pick.output_level == 0) {
        // Its neighbours in level 0, none between them.
        if (level == 0) CHECK((added.place.run > newest.run || added.place.run < oldest_run));
        over_something = true;
      } else {
        // Nothing older may stay above the output.
        if (level == 0) CHECK(added.place.run > newest.run);
        if (level > 0) CHECK(level >= pick.output_level);
      }
    }
    if (!over_something) out.range_deletes = 0;
    CHECK(pick.output_run == (pick.output_level == 0 ? newest.run : 0));
    shape.add(pick.output_level, pick.output_run, out);
  }

  void run_to_rest() {
    for (int jobs = 0;; ++jobs) {
      REQUIRE(jobs < 1000);
      auto pick = pick_compaction(*shape.version(), {}, options);
      if (!pick) return;
      carry_out(*pick);
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
      auto pick = pick_manual(*shape.version(), range, static_cast<int>(step.number("level")),
                              static_cast<uint64_t>(step.number("rewritten", 1000)), options_of(step));
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

TEST_CASE("compaction policy: on drawn trees it comes to rest and keeps newer above older") {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    Simulation s = draw_simulation(random);
    for (uint64_t flush = 1; flush <= 150; ++flush) {
      s.flush(random, flush);
      s.run_to_rest();
      VersionRef version = s.shape.version();
      CHECK(version->levels[0].size() < static_cast<size_t>(s.options.level0_trigger) + 1);
    }
  }
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
