// Goal: what a table looks like on disk for a given list of records, and what its readers answer, drawn in
// script/table.txt; refusal of what is not such a table.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <set>
#include <sstream>

#include "base/checksum.h"
#include "base/random.h"
#include "lsm/table.h"
#include "lsm/table_builder.h"
#include "lsm/table_dump.h"
#include "lsm/table_format.h"
#include "support/bytes_fs.h"
#include "support/script.h"

namespace varve {
namespace {

const Identity kIdentity{0x11, 0x22};
const std::string kDir = "/db";

std::string path_of(uint64_t number) {
  return join_path(kDir, table_file_name(number));
}

// Blocks from memory when they were let in, else missing; remembers what was asked for.
class GuardedSource final : public BlockSource {
 public:
  explicit GuardedSource(FileSystem& fs) : files_(new_direct_source(fs, kDir, 0)) {}

  IterState get(const TableRef& table, BlockHandle handle, BlockKind kind, BlockRef* out) override {
    if (!present_.contains(handle.offset)) {
      if (std::find(missed_.begin(), missed_.end(), handle.offset) == missed_.end())
        missed_.push_back(handle.offset);
      return IterState::kMiss;
    }
    return files_->get(table, handle, kind, out);
  }
  Status status() const override { return files_->status(); }

  // What was missed since the last call; lets it in.
  std::string take_missed() {
    std::string text;
    for (uint64_t offset : missed_) text += fmt::format("{}{}", text.empty() ? "" : " ", offset);
    present_.insert(missed_.begin(), missed_.end());
    missed_.clear();
    return text;
  }

 private:
  std::set<uint64_t> present_;
  std::vector<uint64_t> missed_;
  std::unique_ptr<BlockSource> files_;
};

// Values "c..." own a collection; values "e<ms>" expire.
class TestInspector final : public RecordInspector {
 public:
  Traits traits(std::string_view, std::string_view value) const override {
    Traits traits;
    traits.owns_collection = value.starts_with("c");
    if (value.starts_with("e")) traits.expire_ms = std::stoll(std::string(value.substr(1)));
    return traits;
  }
};

// Lines "key sequence put value", "key sequence delete", "[begin end) sequence...". "-" is the empty key or
// value, "x*100" is a hundred x; "blind" may follow the sequence.
std::string word(const std::string& text) {
  if (text == "-") return "";
  size_t star = text.find('*');
  if (star == std::string::npos) return text;
  std::string out;
  for (int n = std::stoi(text.substr(star + 1)); n > 0; --n) out += text.substr(0, star);
  return out;
}

void add_line(TableBuilder& builder, const std::string& line) {
  std::istringstream in(line);
  std::string first, second, kind, value;
  in >> first >> second;
  if (first.front() == '[') {
    std::vector<Sequence> sequences;
    for (Sequence s; in >> s;) sequences.push_back(s);
    builder.add_range_tombstone(first.substr(1), second.substr(0, second.size() - 1), sequences);
    return;
  }
  in >> kind;
  bool blind = kind == "blind";
  if (blind) in >> kind;
  in >> value;
  builder.add(word(first), Tag::make(std::stoull(second), kind == "put" ? Kind::kPut : Kind::kDelete, blind),
              word(value));
}

struct Bench {
  test::BytesFs fs;
  TestInspector inspector;
  std::vector<TableRef> run;
  GuardedSource guarded{fs};

  std::string build(const test::Step& step) {
    TableOptions options;
    options.block_size = static_cast<size_t>(step.number("block", 128));
    options.partition_size = static_cast<size_t>(step.number("partition", 4096));
    options.restart_interval = static_cast<int>(step.number("restart", 4));
    options.filter_bits_per_key = static_cast<double>(step.number("bits", 10));
    options.compression = static_cast<Compression>(step.number("compression", 0));
    options.inspector = &inspector;
    auto number = static_cast<uint64_t>(step.number("table", 1));
    if (!step.has("more")) run.clear();
    (void)fs.remove(path_of(number));
    TableBuilder builder(options, fs.create(path_of(number)).take(), number, kIdentity);
    for (const std::string& line : step.input_lines()) add_line(builder, line);
    auto meta = builder.finish();
    if (!meta) return meta.status().to_string();
    auto table = open_table(fs, kDir, *meta);
    if (!table) return table.status().to_string();
    run.push_back(table.take());
    guarded = GuardedSource(fs);
    std::string problems;
    (void)check_table(fs, path_of(number), &run.back()->meta,
                      [&](const std::string& p) { problems += p + "\n"; });
    return problems.empty() ? "ok" : problems;
  }

  std::string dump(const test::Step& step) {
    std::string text;
    Status status = dump_table(fs, path_of(static_cast<uint64_t>(step.number("table", 1))),
                               step.has("records"), [&](std::string_view line) { text += line; });
    return status.ok() ? text : text + status.to_string();
  }

  std::string get(const test::Step& step, BlockSource& source) {
    std::string text;
    for (const std::string& line : step.input_lines()) {
      std::istringstream in(line);
      std::string key;
      Sequence at = kMaxSequence;
      in >> key >> at;
      key = word(key);
      TableHit hit;
      IterState state = table_get(source, run.front(), key, hash_key(key), at, &hit);
      if (state == IterState::kMiss)
        text += "miss " + guarded.take_missed() + "\n";
      else if (state == IterState::kError)
        text += source.status().to_string() + "\n";
      else if (!hit.found)
        text += hit.filtered ? "absent by filter\n" : "absent\n";
      else if (hit.tag.kind() == Kind::kDelete)
        text += fmt::format("{} delete\n", hit.tag.sequence());
      else
        text += fmt::format("{} put {}\n", hit.tag.sequence(), printable(hit.value, 20));
    }
    return text;
  }

  std::string covering(const test::Step& step) {
    auto source = new_direct_source(fs, kDir);
    std::string text;
    for (const std::string& line : step.input_lines()) {
      std::istringstream in(line);
      std::string key;
      Sequence at = kMaxSequence, found = 0;
      in >> key >> at;
      CHECK(table_covering(*source, run.front(), key, at, &found) == IterState::kValid);
      text += std::to_string(found) + "\n";
    }
    return text;
  }

  // Steps "first", "last", "seek k", "before k", "next", "prev" over the whole run; "scan": all of it, until
  // it stops.
  std::string walk(const test::Step& step, BlockSource& source) {
    auto it = new_run_iterator(&source, &run);
    std::string text;
    for (const std::string& line : step.input_lines()) {
      std::istringstream in(line);
      std::string verb, key;
      in >> verb >> key;
      key = word(key);
      if (verb == "first") it->seek_to_first();
      if (verb == "last") it->seek_to_last();
      if (verb == "seek") it->seek(key);
      if (verb == "before") it->seek_before(key);
      if (verb == "next" && it->valid()) it->next();
      if (verb == "prev" && it->valid()) it->prev();
      int passed = 0;
      if (verb == "scan") {
        for (it->seek_to_first(); it->valid(); it->next()) ++passed;
        text += fmt::format("{} records, ", passed);
      }
      if (it->state() == IterState::kMiss) text += "miss " + guarded.take_missed() + "\n";
      if (it->state() == IterState::kEnd) text += "end\n";
      if (it->state() == IterState::kError) text += it->status().to_string() + "\n";
      if (it->valid()) text += fmt::format("{} {}\n", printable(it->key(), 20), it->tag().sequence());
    }
    return text;
  }
};

}  // namespace

TEST_CASE("table script") {
  Bench bench;
  test::run_script("script/table.txt", [&](const test::Step& step) -> std::string {
    if (step.name == "build") return bench.build(step);
    auto direct = new_direct_source(bench.fs, kDir);  // a new one: "build" may write another table 1
    if (step.name == "dump") return bench.dump(step);
    if (step.name == "get") return bench.get(step, *direct);
    if (step.name == "get-guarded") return bench.get(step, bench.guarded);
    if (step.name == "covering") return bench.covering(step);
    if (step.name == "walk") return bench.walk(step, *direct);
    if (step.name == "walk-guarded") return bench.walk(step, bench.guarded);
    return "unknown step\n";
  });
}

TEST_CASE("a separator lies between its keys and is short") {
  CHECK(shortest_separator("abc", "abd") == "abc");
  CHECK(shortest_separator("abc", "axyz") == "ax");
  CHECK(shortest_separator("abcde", "ax") == "ac");
  CHECK(shortest_separator("ab", "abcd") == "abc");
  CHECK(shortest_separator("same", "same") == "same");
  Random random(test::test_seed(5));
  for (int i = 0; i < 20000; ++i) {
    std::string a, b;
    for (uint64_t n = random.below(5); n > 0; --n) a += static_cast<char>(random.below(3) * 127);
    for (uint64_t n = random.below(5); n > 0; --n) b += static_cast<char>(random.below(3) * 127);
    if (a > b) std::swap(a, b);
    std::string s = shortest_separator(a, b);
    REQUIRE(a <= s);
    REQUIRE((a == b ? s == b : s < b));
    REQUIRE(s.size() <= std::max(a.size(), b.size()));
  }
}

TEST_CASE("a newer format is refused, and told apart from damage") {
  Bench bench;
  TableBuilder builder(TableOptions{}, bench.fs.create(path_of(1)).take(), 1, kIdentity);
  builder.add("k", Tag::make(1, Kind::kPut), "v");
  auto meta = builder.finish();
  REQUIRE(meta.ok());
  std::string& bytes = bench.fs.bytes(path_of(1));
  char* tail = bytes.data() + bytes.size() - kTableTailSize;
  encode_fixed32(tail, kTableVersion + 1);
  auto damaged = open_table(bench.fs, kDir, *meta);
  CHECK(damaged.status().to_string() ==
        fmt::format("corruption: 00000001.sst: {}: footer: bad checksum", bytes.size() - kTableFooterSize));
  encode_fixed64(tail + 8, checksum({tail, 8}, kTableMagic));
  auto newer = open_table(bench.fs, kDir, *meta);
  CHECK(newer.status().to_string() ==
        "unsupported: 00000001.sst: table format version 2 is newer than this build's 1");
}

TEST_CASE("open_table compares with the manifest") {
  Bench bench;
  TableBuilder builder(TableOptions{}, bench.fs.create(path_of(1)).take(), 1, kIdentity);
  builder.add("k", Tag::make(1, Kind::kPut), "v");
  TableMeta meta = builder.finish().take();
  CHECK(open_table(bench.fs, kDir, meta).ok());
  TableMeta other = meta;
  other.identity.low ^= 1;
  CHECK(open_table(bench.fs, kDir, other).status().is_corruption());
  other = meta;
  other.records = 2;
  CHECK(open_table(bench.fs, kDir, other).status().is_corruption());
  other = meta;
  other.number = 2;
  CHECK(open_table(bench.fs, kDir, other).status().is_not_found());
  bench.fs.bytes(path_of(2)) = bench.fs.bytes(path_of(1));
  CHECK(open_table(bench.fs, kDir, other).status().message().find("is another table") != std::string::npos);
}

TEST_CASE("a builder keeps the first failed write") {
  struct FullFile final : WriteFile {
    Status write_at(uint64_t, std::string_view) override { return Status::no_space("x: disk full"); }
    Status sync() override { return Status(); }
    void start_write_back(uint64_t, uint64_t) override {}
    Status close() override { return Status(); }
    const std::string& path() const override { return name; }
    std::string name = "x";
  };
  TableBuilder builder(TableOptions{}, std::make_unique<FullFile>(), 1, kIdentity);
  for (int i = 0; i < 10000; ++i)
    builder.add(fmt::format("{:08}", i), Tag::make(1, Kind::kPut), "some value");
  CHECK(builder.finish().status().to_string() == "no space: x: disk full");
}

}  // namespace varve
