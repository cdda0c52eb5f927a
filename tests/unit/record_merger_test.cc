#include "lsm/record_merger.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <sstream>
#include <string>
#include <vector>

#include "support/records.h"
#include "support/script.h"

namespace varve {
namespace {

using test::Record;

// A value "<h>" is a collection whose elements are h:..., "<h,k>" one whose elements are [h,k); a value "(x)"
// is an element, which no counter counts.
class DrawnInspector final : public RecordInspector {
 public:
  Death death(std::string_view, std::string_view value) const override {
    Death death;
    death.counted = value.front() != '(';
    death.counter_id = 1;
    if (value.front() == '<') {
      std::string id(value.substr(1, value.size() - 2));
      size_t comma = id.find(',');
      death.garbage = comma == std::string::npos ? KeyRange{id + ":", id + ";"}
                                                 : KeyRange{id.substr(0, comma), id.substr(comma + 1)};
    }
    return death;
  }
};

// "[a,c)" or "[a,c]".
KeyRange parse_range(const std::string& text) {
  size_t comma = text.find(',');
  REQUIRE_MESSAGE((comma != std::string::npos && text.size() >= 4), "not a range: " << text);
  return {text.substr(1, comma - 1), text.substr(comma + 1, text.size() - comma - 2), text.back() == ']'};
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

// Options: snapshots=4,8; deeper=[a,c)+[e,f]|[a,z] ('+' within a run, '|' between runs).
MergeRules parse_rules(const test::Step& step) {
  MergeRules rules;
  for (const std::string& s : split(step.text("snapshots"), ',')) rules.snapshots.push_back(std::stoull(s));
  for (const std::string& run : split(step.text("deeper"), '|')) {
    rules.deeper.emplace_back();
    for (const std::string& range : split(run, '+')) rules.deeper.back().push_back(parse_range(range));
  }
  return rules;
}

// Goal: what stays, what is dropped and what is reported, for every rule. Method: draw the job's records and
// range deletes; read what comes out: records, range tombstones, count corrections, garbage.
TEST_CASE("record merger") {
  DrawnInspector inspector;
  test::run_script("script/record_merger.txt", [&](const test::Step& step) -> std::string {
    if (step.name != "merge") return "unknown step\n";
    MergeRules rules = parse_rules(step);
    rules.inspector = &inspector;
    std::vector<Record> records;
    for (const std::string& line : step.input_lines()) {
      Record record = test::parse_record(line);
      if (record.tag.kind() != Kind::kRangeDelete)
        records.push_back(record);
      else
        rules.tombstones.add(record.key, record.value, record.tag.sequence());
    }
    if (!step.has("as-drawn")) test::sort_records(&records);

    std::string out;
    auto sink = [&](std::string_view key, const std::vector<RecordMerger::Kept>& versions) {
      for (const auto& version : versions)
        out += test::describe_record(key, version.tag, version.value) + "\n";
      return Status();
    };
    RecordMerger merger(rules, sink);
    Status status;
    for (const Record& r : records) {
      if (status.ok()) status = merger.add(r.key, r.tag, r.value);
    }
    if (status.ok()) status = merger.finish();
    if (!status.ok()) return status.to_string();
    std::string tombstones = kept_tombstones(rules).debug_string();
    if (!tombstones.empty()) out += tombstones + "\n";
    for (auto [id, delta] : merger.count_corrections()) out += fmt::format("count {} {:+}\n", id, delta);
    for (const KeyRange& range : merger.garbage())
      out += fmt::format("garbage [{},{})\n", range.begin, range.end);
    return out.empty() ? "nothing\n" : out;
  });
}

// Goal: what FLUSHALL kills does not come out as a range for each key. Method: many collections in an order
// of their own die; every tenth lives.
TEST_CASE("much garbage") {
  struct Inspector final : RecordInspector {
    Death death(std::string_view, std::string_view value) const override {
      uint64_t id = std::stoull(std::string(value));
      return {false, 0, KeyRange{fmt::format("e{:06}", id), fmt::format("e{:06}", id + 1)}};
    }
  } inspector;
  MergeRules rules;
  rules.inspector = &inspector;
  rules.tombstones.add("a", "b", 9'000'000);
  RecordMerger merger(rules, [](std::string_view, const auto&) { return Status(); });
  constexpr uint64_t kCount = 100'000;
  for (uint64_t i = 0; i < kCount; ++i) {
    uint64_t id = i * 7919 % kCount;  // a prime: each id once
    if (id % 10 == 0) continue;
    REQUIRE(merger.add(fmt::format("a{:06}", i), Tag::make(i + 1, Kind::kPut), std::to_string(id)).ok());
  }
  REQUIRE(merger.finish().ok());
  REQUIRE(merger.garbage().size() == kCount / 10);
  CHECK(merger.garbage()[0] == KeyRange{"e000001", "e000010"});
  CHECK(merger.garbage().back() == KeyRange{"e099991", "e100000"});
}

// As a compaction adds them: each key is ended before the next one is looked at.
TEST_CASE("keys that fall are damage, whether or not the last one was ended") {
  MergeRules rules;
  RecordMerger merger(rules, [](std::string_view, const auto&) { return Status(); });
  CHECK(merger.add("b", Tag::make(2, Kind::kPut), "x").ok());
  CHECK(merger.end_key().ok());
  CHECK(merger.add("a", Tag::make(1, Kind::kPut), "x").is_corruption());
  CHECK(merger.add("b", Tag::make(1, Kind::kPut), "x").is_corruption());
  CHECK(merger.add("c", Tag::make(1, Kind::kPut), "x").ok());
}

TEST_CASE("the sink's failure ends the merge") {
  MergeRules rules;
  RecordMerger merger(rules, [](std::string_view, const auto&) { return Status::no_space("full"); });
  CHECK(merger.add("a", Tag::make(1, Kind::kPut), "x").ok());
  CHECK(merger.add("b", Tag::make(2, Kind::kPut), "x").is_no_space());
}

}  // namespace
}  // namespace varve
