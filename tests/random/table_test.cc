// Goal: whatever is put into a table comes out of it again, by every road. Method: random records and range
// deletes, random options; each question is also put to a sorted vector.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/checksum.h"
#include "base/random.h"
#include "lsm/table.h"
#include "lsm/table_builder.h"
#include "lsm/table_format.h"
#include "support/bytes_fs.h"
#include "support/script.h"

namespace varve {
namespace {

struct Record {
  std::string key;
  Tag tag;
  std::string value;
};

bool before(const Record& a, const Record& b) {
  return compare_records(a.key, a.tag.sequence(), b.key, b.tag.sequence()) < 0;
}

struct Deleted {
  std::string begin, end;
  std::vector<Sequence> sequences;
};

struct Model {
  std::vector<Record> records;  // in record order
  std::vector<Deleted> deleted;

  const Record* get(const std::string& key, Sequence at) const {
    auto it =
        std::lower_bound(records.begin(), records.end(), Record{key, Tag::make(at, Kind::kPut), ""}, before);
    return it != records.end() && it->key == key ? &*it : nullptr;
  }
  size_t first_at(const std::string& key) const {
    auto it =
        std::partition_point(records.begin(), records.end(), [&](const Record& r) { return r.key < key; });
    return static_cast<size_t>(it - records.begin());
  }
  Sequence covering(const std::string& key, Sequence at) const {
    for (const Deleted& d : deleted) {
      if (key < d.begin || key >= d.end) continue;
      for (Sequence s : d.sequences) {
        if (s <= at) return s;
      }
    }
    return 0;
  }
};

std::string random_key(Random& random, int style) {
  static const std::string kLong(60 * 1024, 'p');
  std::string key;
  switch (style) {
    case 0:  // few and short: many versions, many neighbours
      for (uint64_t n = random.below(4); n > 0; --n) key += static_cast<char>('a' + random.below(3));
      return key;
    case 1:  // long shared prefixes
      return std::string(random.below(3) * 40, 'x') + std::to_string(random.below(500));
    case 2:  // any bytes
      for (uint64_t n = random.below(12); n > 0; --n) key += static_cast<char>(random.below(4) * 85);
      return key;
    default:  // as long as the server allows, now and then
      return (random.one_in(20) ? kLong.substr(0, kLong.size() - random.below(3)) : std::string("k")) +
             std::to_string(random.below(300));
  }
}

std::string random_value(Random& random) {
  if (random.one_in(4)) return "";
  size_t size = random.one_in(50) ? random.below(40000) : random.below(200);
  if (random.one_in(2)) return std::string(size, static_cast<char>('a' + random.below(26)));
  std::string noise;
  for (size_t i = 0; i < size; ++i) noise += static_cast<char>(random.next());
  return noise;
}

Model random_model(Random& random) {
  Model model;
  int style = static_cast<int>(random.below(4));
  size_t count = random.one_in(5) ? 0 : random.below(random.one_in(3) ? 2500 : 300);
  std::set<std::string> ends;
  for (size_t i = 0; i < count; ++i) {
    Kind kind = random.one_in(5) ? Kind::kDelete : Kind::kPut;
    Tag tag = Tag::make(1 + random.below(random.one_in(2) ? 100 : kMaxSequence), kind, random.one_in(7));
    model.records.push_back({random_key(random, style), tag, kind == Kind::kPut ? random_value(random) : ""});
  }
  if (style == 0 && count > 0) {  // one key whose versions fill blocks and partitions
    std::string key = random_key(random, style);
    for (Sequence s = 1000; s < 1000 + random.below(3000); ++s) {
      model.records.push_back({key, Tag::make(s, Kind::kPut), "v" + std::to_string(s)});
    }
  }
  std::sort(model.records.begin(), model.records.end(), before);
  auto same = [](const Record& a, const Record& b) { return !before(a, b) && !before(b, a); };
  model.records.erase(std::unique(model.records.begin(), model.records.end(), same), model.records.end());
  if (random.one_in(2) || model.records.empty()) {
    for (uint64_t n = 2 + random.below(20); n > 0; --n) ends.insert(random_key(random, style));
    ends.insert("zz");
    ends.insert("zzz");
    for (auto it = ends.begin(); std::next(it) != ends.end(); ++it) {
      if (!model.deleted.empty() && random.one_in(3)) continue;
      std::set<Sequence, std::greater<>> sequences;
      for (uint64_t n = 1 + random.below(4); n > 0; --n) sequences.insert(1 + random.below(200));
      model.deleted.push_back({*it, *std::next(it), {sequences.begin(), sequences.end()}});
    }
  }
  return model;
}

TableOptions random_options(Random& random) {
  TableOptions options;
  options.block_size = 64u << random.below(9);
  options.partition_size = 100u << random.below(7);
  options.restart_interval = 1 + static_cast<int>(random.below(20));
  options.compression = static_cast<Compression>(random.below(3));
  options.hash_index = random.one_in(2);
  options.filter_bits_per_key = random.one_in(4) ? 0 : 1 + 19 * random.real();
  return options;
}

Result<TableMeta> build(FileSystem& fs, const Model& model, const TableOptions& options, uint64_t number,
                        Identity identity) {
  auto file = fs.create(join_path("/", table_file_name(number)));
  if (!file) return file.status();
  TableBuilder builder(options, file.take(), number, identity);
  for (const Record& r : model.records) builder.add(r.key, r.tag, r.value);
  for (const Deleted& d : model.deleted) builder.add_range_tombstone(d.begin, d.end, d.sequences);
  return builder.finish();
}

// The iterator stands at records[i], or at its end when there is no such record.
bool stands_at(const RecordIterator& it, const Model& model, size_t i) {
  if (i >= model.records.size()) return it.state() == IterState::kEnd;
  const Record& r = model.records[i];
  return it.valid() && it.key() == r.key && it.tag().packed == r.tag.packed && it.value() == r.value;
}

void check_walks(RecordIterator& it, const Model& model, Random& random,
                 const std::vector<std::string>& questions) {
  it.seek_to_first();
  for (size_t i = 0; i <= model.records.size(); ++i) {
    REQUIRE(stands_at(it, model, i));
    if (it.valid()) it.next();
  }
  it.seek_to_last();
  for (size_t i = model.records.size(); i-- > 0;) {
    REQUIRE(stands_at(it, model, i));
    it.prev();
  }
  REQUIRE(it.state() == IterState::kEnd);
  for (const std::string& key : questions) {
    size_t i = model.first_at(key);
    if (random.one_in(2)) {
      it.seek(key);
    } else {
      it.seek_before(key);
      i = i - 1;  // wraps to "none" before the first
    }
    REQUIRE(stands_at(it, model, i));
    for (int steps = static_cast<int>(random.below(12)); steps > 0 && it.valid(); --steps) {
      bool forward = random.one_in(2);
      forward ? it.next() : it.prev();
      i = forward ? i + 1 : i - 1;
      REQUIRE(stands_at(it, model, i));
    }
  }
}

void check_gets(FileSystem& fs, const TableRef& table, const Model& model, Random& random,
                const std::vector<std::string>& questions) {
  auto source = new_direct_source(fs, "/", random.one_in(2) ? 0 : 64 * 1024);
  RangeTombstones all;
  REQUIRE(table_range_tombstones(*source, table, &all) == IterState::kValid);
  for (const std::string& key : questions) {
    Sequence at = random.one_in(3) ? kMaxSequence : random.below(random.one_in(2) ? 4000 : 110);
    TableHit hit;
    REQUIRE(table_get(*source, table, key, hash_key(key), at, &hit) == IterState::kValid);
    const Record* expected = model.get(key, at);
    REQUIRE(hit.found == (expected != nullptr));
    if (hit.found) {
      REQUIRE(hit.tag.packed == expected->tag.packed);
      REQUIRE(hit.value == expected->value);
      REQUIRE(hit.pin);
    }
    Sequence covering = 0;
    REQUIRE(table_covering(*source, table, key, at, &covering) == IterState::kValid);
    REQUIRE(covering == model.covering(key, at));
  }
}

std::vector<std::string> random_questions(Random& random, const Model& model, int count) {
  std::vector<std::string> questions = {"", "zzzz"};
  for (int i = 0; i < count; ++i) {
    if (!model.records.empty() && random.one_in(2)) {
      std::string key = model.records[random.below(model.records.size())].key;
      if (random.one_in(4)) key += '\0';
      questions.push_back(key);
    } else {
      questions.push_back(random_key(random, static_cast<int>(random.below(4))));
    }
  }
  return questions;
}

}  // namespace

TEST_CASE("tables answer as a sorted vector does") {
  uint64_t first_seed = test::test_seed(20240611);
  int rounds = std::getenv("VARVE_SEED") != nullptr ? 1 : 60;
  for (int round = 0; round < rounds; ++round) {
    uint64_t seed = first_seed + static_cast<uint64_t>(round);
    INFO("run again with VARVE_SEED=" << seed);
    Random random(seed);
    Model model = random_model(random);
    TableOptions options = random_options(random);
    test::BytesFs fs;
    auto meta = build(fs, model, options, 7, random.identity());
    REQUIRE_MESSAGE(meta.ok(), meta.status().to_string());
    auto table = open_table(fs, "/", *meta);
    REQUIRE_MESSAGE(table.ok(), table.status().to_string());
    CHECK(meta->records == model.records.size());
    CHECK(meta->range_deletes == model.deleted.size());
    auto questions = random_questions(random, model, 200);
    check_gets(fs, *table, model, random, questions);
    auto source = new_direct_source(fs, "/");
    auto it = new_table_iterator(source.get(), *table);
    check_walks(*it, model, random, questions);
  }
}

// Goal: a run of tables walks like one. Method: the model's records are dealt out to tables with disjoint
// bounds; range deletes in the gaps widen some of them, and some tables hold nothing else.
TEST_CASE("runs walk as a sorted vector does") {
  uint64_t first_seed = test::test_seed(555);
  int rounds = std::getenv("VARVE_SEED") != nullptr ? 1 : 30;
  for (int round = 0; round < rounds; ++round) {
    uint64_t seed = first_seed + static_cast<uint64_t>(round);
    INFO("run again with VARVE_SEED=" << seed);
    Random random(seed);
    Model model = random_model(random);
    test::BytesFs fs;
    std::vector<TableRef> run;
    for (size_t i = 0; i < model.records.size();) {
      Model part;
      size_t end = std::min(model.records.size(), i + 1 + random.below(80));
      while (end < model.records.size() && model.records[end].key == model.records[end - 1].key) ++end;
      part.records.assign(model.records.begin() + static_cast<std::ptrdiff_t>(i),
                          model.records.begin() + static_cast<std::ptrdiff_t>(end));
      i = end;
      const std::string& last = part.records.back().key;
      // Up to the next table's first key, or short of it.
      std::string next = i < model.records.size() ? model.records[i].key : last + "z";
      std::string middle = last + std::string(1, '\0');
      if (random.one_in(3) && middle < next) {
        if (random.one_in(2)) {
          part.deleted.push_back({last, random.one_in(2) ? middle : next, {1}});
        } else {  // a table of its own for the gap
          Model gap;
          gap.deleted.push_back({middle, next, {1}});
          run.push_back(
              open_table(fs, "/", *build(fs, part, random_options(random), run.size(), random.identity()))
                  .take());
          part = gap;
        }
      }
      auto meta = build(fs, part, random_options(random), run.size(), random.identity());
      REQUIRE(meta.ok());
      auto table = open_table(fs, "/", *meta);
      REQUIRE(table.ok());
      run.push_back(table.take());
    }
    auto source = new_direct_source(fs, "/");
    auto it = new_run_iterator(source.get(), &run);
    check_walks(*it, model, random, random_questions(random, model, 200));
  }
}

}  // namespace varve
