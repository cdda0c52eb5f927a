// The memtable against a model: every version ever written in a std::map, from which what each snapshot sees
// is computed anew. Keys come from families that stress the tree: long shared prefixes, prefixes of each
// other, zeros.
#include "lsm/memtable.h"

#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "support/script.h"

namespace varve {
namespace {

struct Version {
  Kind kind;
  std::string value;
};
using Versions = std::map<Sequence, Version, std::greater<>>;

std::string random_key(Random& random, uint64_t space) {
  uint64_t n = random.below(space);
  switch (random.below(7)) {
    case 0:
      return "key:" + std::string(12 - std::to_string(n).size(), '0') + std::to_string(n);
    case 1:
      return std::string(60, 'p') + std::to_string(n);
    case 2:
      return std::string(n % 50, 'a');
    case 3:
      return std::string(n % 20, '\0') + "z";
    case 4:
      return std::string("ab\0", 3).substr(0, 1 + n % 3) + std::string(n % 11, '\0');
    case 5:
      return std::string(1, static_cast<char>(n * 37));
    default:
      return "user:" + std::to_string(n / 10) + ":field:" + std::to_string(n % 10);
  }
}

std::string random_value(Random& random, Sequence sequence) {
  size_t size = random.one_in(50) ? random.below(100000) : random.below(30);
  return std::to_string(sequence) + ":" + std::string(size, 'v');
}

class Run {
 public:
  explicit Run(uint64_t seed) : random_(seed), space_(10 + random_.below(3000)) {}

  void play(int steps) {
    for (int i = 0; i < steps; ++i) step();
    check_order();
    table_.freeze();
    for (const auto& [key, versions] : model_) check_key(key);
  }

 private:
  void step() {
    switch (random_.below(40)) {
      case 0:
        snapshots_.insert(sequence_);
        return;
      case 1:
        if (!snapshots_.empty()) snapshots_.erase(snapshots_.begin());
        return;
      case 2:
        check_order();
        return;
      case 3:
      case 4:
      case 5:
      case 6:
      case 7:
        check_key(random_key(random_, space_));
        return;
      case 8:
        check_seeks(random_key(random_, space_));
        return;
      default:
        write(random_key(random_, space_));
    }
  }

  void write(const std::string& key) {
    ++sequence_;
    bool is_delete = random_.one_in(5);
    Version version{is_delete ? Kind::kDelete : Kind::kPut,
                    is_delete ? "" : random_value(random_, sequence_)};
    Sequence newest = snapshots_.empty() ? 0 : *snapshots_.rbegin();
    table_.add(sequence_, version.kind, false, key, version.value, newest);
    model_[key][sequence_] = version;
  }

  // What `at` sees is the same in both.
  void check_key(const std::string& key) {
    std::vector<Sequence> views(snapshots_.begin(), snapshots_.end());
    views.push_back(kMaxSequence);
    for (Sequence at : views) {
      const Version* expected = nullptr;
      Sequence expected_sequence = 0;
      if (auto it = model_.find(key); it != model_.end()) {
        if (auto v = it->second.lower_bound(at); v != it->second.end()) {
          expected_sequence = v->first;
          expected = &v->second;
        }
      }
      MemTable::Hit hit;
      bool found = table_.find(key, at, &hit);
      REQUIRE(found == (expected != nullptr));
      if (!found) continue;
      REQUIRE(hit.tag.sequence() == expected_sequence);
      REQUIRE(hit.tag.kind() == expected->kind);
      REQUIRE(hit.value == expected->value);
    }
  }

  void check_seeks(const std::string& key) {
    auto it = table_.new_iterator();
    it->seek(key);
    auto expected = model_.lower_bound(key);
    REQUIRE(it->valid() == (expected != model_.end()));
    if (it->valid()) {
      REQUIRE(it->key() == expected->first);
      REQUIRE(it->tag().sequence() == expected->second.begin()->first);
    }
    it->seek_before(key);
    REQUIRE(it->valid() == (expected != model_.begin()));
    if (it->valid()) REQUIRE(it->key() == std::prev(expected)->first);
  }

  // Forwards and backwards the iterator gives the same records, in order; every key is there, newest version
  // first, and every record was written.
  void check_order() {
    std::vector<std::pair<std::string, Sequence>> forward;
    auto it = table_.new_iterator();
    for (it->seek_to_first(); it->valid(); it->next()) {
      forward.emplace_back(it->key(), it->tag().sequence());
      const Version& version = model_.at(forward.back().first).at(forward.back().second);
      REQUIRE(version.value == it->value());
    }
    REQUIRE(forward.size() == table_.entry_count());
    for (size_t i = 1; i < forward.size(); ++i) {
      REQUIRE(compare_records(forward[i - 1].first, forward[i - 1].second, forward[i].first,
                              forward[i].second) < 0);
    }
    std::set<std::string> keys;
    for (auto& record : forward) {
      if (keys.insert(record.first).second) REQUIRE(model_.at(record.first).begin()->first == record.second);
    }
    REQUIRE(keys.size() == model_.size());
    size_t left = forward.size();
    for (it->seek_to_last(); it->valid(); it->prev()) {
      REQUIRE(left-- > 0);
      REQUIRE(it->key() == forward[left].first);
      REQUIRE(it->tag().sequence() == forward[left].second);
    }
    REQUIRE(left == 0);
  }

  Random random_;
  uint64_t space_;
  MemTable table_;
  std::map<std::string, Versions> model_;
  std::set<Sequence> snapshots_;
  Sequence sequence_ = 0;
};

TEST_CASE("memtable against a model") {
  uint64_t first = test::test_seed(1);
  for (uint64_t seed = first; seed < first + 12; ++seed) {
    INFO("VARVE_SEED=" << seed);
    Run(seed).play(3000);
  }
}

}  // namespace
}  // namespace varve
