#include "lsm/range_tombstones.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <sstream>
#include <string>

#include "support/script.h"

namespace varve {
namespace {

// Goal: fragments for a given series of range deletes, and what they cover. Method: "add" takes lines "begin
// end sequence"; the fragments are printed.
TEST_CASE("range tombstones") {
  RangeTombstones tombstones;
  test::run_script("script/range_tombstones.txt", [&](const test::Step& step) -> std::string {
    if (step.name == "new") {
      tombstones = RangeTombstones();
      return "";
    }
    if (step.name == "add") {
      for (const std::string& line : step.input_lines()) {
        std::istringstream words(line);
        std::string begin, end;
        Sequence sequence = 0;
        words >> begin >> end >> sequence;
        tombstones.add(begin, end, sequence);
      }
      return tombstones.debug_string();
    }
    if (step.name == "covering") {
      auto at = static_cast<Sequence>(step.number("at", static_cast<int64_t>(kMaxSequence)));
      std::string out;
      for (const std::string& key : step.words)
        out += fmt::format("{}: {}\n", key, tombstones.covering(key, at));
      return out;
    }
    if (step.name == "clipped") {
      bool has_upper = step.options.count("upper") > 0;
      return tombstones.clipped(step.text("lower"), step.text("upper"), has_upper).debug_string();
    }
    return "unknown step\n";
  });
}

TEST_CASE("append joins what touches and was deleted at the same sequences") {
  RangeTombstones tombstones;
  tombstones.append("a", "c", {5, 2});
  tombstones.append("c", "d", {5, 2});
  tombstones.append("d", "e", {5});
  tombstones.append("f", "g", {5});
  CHECK(tombstones.debug_string() == "[a,d) 5 2; [d,e) 5; [f,g) 5");
}

TEST_CASE("memory follows what is held") {
  RangeTombstones tombstones;
  CHECK(tombstones.memory_used() == 0);
  tombstones.add("a", "m", 1);
  size_t one = tombstones.memory_used();
  CHECK(one > 100);
  tombstones.add("c", "d", 2);
  CHECK(tombstones.fragment_count() == 3);
  CHECK(tombstones.memory_used() > 2 * one);
  size_t three = tombstones.memory_used();
  tombstones.add("c", "d", 2);
  CHECK(tombstones.memory_used() == three);
}

}  // namespace
}  // namespace varve
