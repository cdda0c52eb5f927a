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

// "L0: 7[a-f]:10 8[c-k] | 5[a-z]": number[smallest-largest]:megabytes, deletes after a "d". Runs newest
// first.
Shape parse_shape(const std::vector<std::string>& lines) {
  Shape shape;
  for (const std::string& line : lines) {
    std::istringstream in(line);
    std::string word;
    in >> word;
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
      if (close + 1 < word.size()) {
        char* end = nullptr;
        meta.file_size = std::strtoull(word.c_str() + close + 2, &end, 10) << 20;
        if (*end == 'd') meta.deletes = std::strtoull(end + 1, nullptr, 10);
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
  o.job_bytes_max = static_cast<uint64_t>(step.number("job", 1000)) << 20;
  return o;
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

// A simulation over metadata alone: flushes of random tables, jobs carried out as merges of bounds and sizes.
TEST_CASE("compaction policy: on drawn trees it comes to rest and keeps newer above older") {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    CompactionOptions options;
    options.base_level_size = (20 + random.below(200)) << 20;
    options.level_multiplier = 2 + static_cast<int>(random.below(9));
    options.level0_trigger = 1 + static_cast<int>(random.below(6));
    options.job_bytes_max = (50 + random.below(500)) << 20;
    Shape shape;
    uint64_t number = 1;
    for (int flush = 0; flush < 150; ++flush) {
      TableMeta meta;
      meta.number = number++;
      uint64_t a = random.below(900), b = a + random.below(1000 - a);
      meta.smallest = fmt::format("{:03}", a);
      meta.largest = fmt::format("{:03}", b);
      meta.file_size = (1 + random.below(40)) << 20;
      meta.records = 100;
      shape.add(0, static_cast<uint64_t>(flush) + 1, meta);
      int jobs = 0;
      while (auto pick = pick_compaction(*shape.version(), {}, options)) {
        REQUIRE(++jobs < 1000);
        // Nothing older than an input may stay above the output, and the output's level stays disjoint.
        int top = pick->inputs.front().place.level;
        uint64_t newest_run = pick->inputs.front().place.run;
        uint64_t bytes = 0;
        std::string smallest = "~", largest;
        for (const auto& input : pick->inputs) {
          CHECK(input.place.level <= pick->output_level);
          for (const TableRef& table : input.tables) {
            bytes += table->meta.file_size;
            smallest = std::min(smallest, table->meta.smallest);
            largest = std::max(largest, table->meta.largest);
            shape.state.tables.erase(table->meta.number);
          }
        }
        TableMeta out;
        out.number = number++;
        out.smallest = smallest;
        out.largest = largest;
        out.file_size = bytes;
        out.records = 100;
        for (const auto& [n, added] : shape.state.tables) {
          if (added.place.level == pick->output_level) CHECK(!bounds(added.meta).overlaps(bounds(out)));
          if (top == 0 && added.place.level == 0) CHECK(added.place.run > newest_run);
          if (top == 0 && added.place.level > 0) CHECK(added.place.level >= pick->output_level);
        }
        shape.add(pick->output_level, 0, out);
      }
      VersionRef version = shape.version();
      CHECK(version->levels[0].size() < static_cast<size_t>(options.level0_trigger) + 1);
    }
  }
}
