#include "lsm/merging_iterator.h"

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <vector>

#include "base/random.h"
#include "support/records.h"
#include "support/script.h"

namespace varve {
namespace {

using test::Record;
using test::RecordListIterator;

// "a#5 put x; b#2 delete": one child.
std::unique_ptr<RecordListIterator> child(const std::string& text) {
  std::vector<Record> records;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ';');) {
    records.push_back(test::parse_record(part.substr(part.find_first_not_of(' '))));
  }
  return std::make_unique<RecordListIterator>(std::move(records));
}

std::unique_ptr<RecordIterator> merge(const std::vector<std::string>& texts) {
  std::vector<std::unique_ptr<RecordIterator>> children;
  for (const std::string& text : texts) children.push_back(child(text));
  return new_merging_iterator(std::move(children));
}

std::string here(const RecordIterator& it) {
  switch (it.state()) {
    case IterState::kValid:
      return test::describe_record(it.key(), it.tag(), it.value());
    case IterState::kEnd:
      return "end";
    case IterState::kMiss:
      return "miss";
    case IterState::kError:
      return "error";
  }
  return "";
}

std::string forward(RecordIterator& it) {
  std::string out;
  for (it.seek_to_first(); it.valid(); it.next()) out += here(it) + "; ";
  return out + here(it);
}

std::string backward(RecordIterator& it) {
  std::string out;
  for (it.seek_to_last(); it.valid(); it.prev()) out += here(it) + "; ";
  return out + here(it);
}

TEST_CASE("keys ascend, versions fall") {
  auto it = merge({"b#9 put new; c#8 delete", "a#3 put x; b#2 put old", ""});
  CHECK(forward(*it) == "a#3 put x; b#9 put new; b#2 put old; c#8 delete; end");
  CHECK(backward(*it) == "c#8 delete; b#2 put old; b#9 put new; a#3 put x; end");
}

TEST_CASE("among equal records the earlier child comes first") {
  auto it = merge({"a#5 put first", "a#5 put second"});
  CHECK(forward(*it) == "a#5 put first; a#5 put second; end");
  CHECK(backward(*it) == "a#5 put second; a#5 put first; end");
}

TEST_CASE("of nothing") {
  auto it = merge({});
  CHECK(forward(*it) == "end");
  CHECK(backward(*it) == "end");
}

TEST_CASE("seek and seek_before") {
  auto it = merge({"b#9 put 1; d#8 put 2", "b#3 put 3; e#2 put 4"});
  it->seek("b");
  CHECK(here(*it) == "b#9 put 1");
  it->seek("bb");
  CHECK(here(*it) == "d#8 put 2");
  it->seek("f");
  CHECK(here(*it) == "end");
  it->seek_before("d");
  CHECK(here(*it) == "b#3 put 3");
  it->seek_before("b");
  CHECK(here(*it) == "end");
}

TEST_CASE("turning round") {
  auto it = merge({"a#9 put 1; c#7 put 3", "a#2 put 2; d#5 put 4"});
  it->seek("c");
  it->prev();
  CHECK(here(*it) == "a#2 put 2");
  it->next();
  CHECK(here(*it) == "c#7 put 3");
  it->next();
  CHECK(here(*it) == "d#5 put 4");
  it->prev();
  CHECK(here(*it) == "c#7 put 3");
  it->prev();
  it->prev();
  CHECK(here(*it) == "a#9 put 1");
  it->next();
  CHECK(here(*it) == "a#2 put 2");
}

TEST_CASE("a miss of any child is the merge's own, and the others have been asked as well") {
  std::vector<std::unique_ptr<RecordIterator>> children;
  children.push_back(child("a#9 put miss"));
  auto second = child("b#3 put 1; c#2 put 2");
  RecordListIterator* watched = second.get();
  children.push_back(std::move(second));
  auto it = new_merging_iterator(std::move(children));
  it->seek("a");
  CHECK(here(*it) == "miss");
  CHECK(watched->moves() == 1);
  CHECK(it->status().ok());
}

TEST_CASE("a miss on the way") {
  auto it = merge({"a#9 put 1; c#8 put miss", "b#3 put 2"});
  CHECK(forward(*it) == "a#9 put 1; miss");
  it->seek("b");
  CHECK(here(*it) == "miss");
  it->seek("a");
  CHECK(here(*it) == "a#9 put 1");
}

TEST_CASE("an error weighs more than a miss and says what it was") {
  auto it = merge({"a#9 put miss", "b#3 put error"});
  it->seek_to_first();
  CHECK(here(*it) == "error");
  CHECK(it->status().is_io_error());
}

// Against a sorted list, walked at random.
TEST_CASE("random walks") {
  uint64_t seed = test::test_seed(7);
  Random random(seed);
  INFO("VARVE_SEED=" << seed);
  for (int round = 0; round < 200; ++round) {
    size_t count = 1 + random.below(6);
    std::vector<std::vector<Record>> lists(count);
    std::vector<Record> all;
    uint64_t records = random.below(40);
    for (Sequence s = 1; s <= records; ++s) {
      Record record{std::string(1, static_cast<char>('a' + 2 * random.below(8))), Tag::make(s, Kind::kPut),
                    std::to_string(s)};
      lists[random.below(count)].push_back(record);
      all.push_back(record);
    }
    test::sort_records(&all);
    std::vector<std::unique_ptr<RecordIterator>> children;
    for (auto& list : lists) {
      test::sort_records(&list);
      children.push_back(std::make_unique<RecordListIterator>(list));
    }
    auto it = new_merging_iterator(std::move(children));
    RecordListIterator expected(all);
    for (int step = 0; step < 100; ++step) {
      std::string key(1, static_cast<char>('a' + random.below(17)));
      uint64_t what = random.below(12);
      if (what == 0)
        it->seek_to_first(), expected.seek_to_first();
      else if (what == 1)
        it->seek_to_last(), expected.seek_to_last();
      else if (what == 2)
        it->seek(key), expected.seek(key);
      else if (what == 3)
        it->seek_before(key), expected.seek_before(key);
      else if (!expected.valid())
        continue;
      else if (what < 8)
        it->next(), expected.next();
      else
        it->prev(), expected.prev();
      REQUIRE(here(*it) == here(expected));
    }
  }
}

}  // namespace
}  // namespace varve
