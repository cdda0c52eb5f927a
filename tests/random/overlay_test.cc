// Goal: point reads and walks over a command's own writes see what they would see if the batch had been
// applied. Method: random puts, deletes and range deletes over a random map standing for the engine, compared
// after every few with a std::map to which the same was done, in both directions and with turns.
#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>

#include "base/random.h"
#include "keyspace/element_iterator.h"
#include "support/script.h"

namespace varve {
namespace {

using Map = std::map<std::string, std::string, std::less<>>;

// The engine's side: a map that does not change.
class MapIterator final : public LiveIterator {
 public:
  MapIterator(const Map& map, std::string begin, std::string end)
      : first_(map.lower_bound(begin)), last_(map.lower_bound(end)), map_(map), at_(last_) {}
  void seek(std::string_view key) override { at_ = bounded(map_.lower_bound(key)); }
  void seek_before(std::string_view key) override {
    at_ = bounded(map_.lower_bound(key));
    prev_or_end();
  }
  void seek_to_first() override { at_ = first_; }
  void seek_to_last() override {
    at_ = last_;
    prev_or_end();
  }
  void next() override { ++at_; }
  void prev() override { prev_or_end(); }
  IterState state() const override { return at_ == last_ ? IterState::kEnd : IterState::kValid; }
  std::string_view key() const override { return at_->first; }
  std::string_view value() const override { return at_->second; }

 private:
  using It = Map::const_iterator;
  It bounded(It it) const {
    if (first_ == last_ || it == map_.end() || (last_ != map_.end() && it->first >= last_->first))
      return last_;
    return first_ != map_.end() && it->first < first_->first ? first_ : it;
  }
  void prev_or_end() { at_ = at_ == first_ ? last_ : std::prev(at_); }
  It first_, last_;
  const Map& map_;
  It at_;
};

std::string name(uint64_t i) {
  return "k" + std::string(1, static_cast<char>('a' + i / 10)) + std::to_string(i % 10);
}

struct World {
  Map engine;
  Map truth;
  Overlay overlay;

  void change(Random& random) {
    std::string a = name(random.below(60));
    std::string b = name(random.below(60));
    std::string value = std::to_string(random.below(1000));
    switch (random.below(8)) {
      case 0:
        if (b < a) std::swap(a, b);
        overlay.remove_range(a, b);
        truth.erase(truth.lower_bound(a), truth.lower_bound(b));
        break;
      case 1:
      case 2:
      case 3:
        overlay.remove(a);
        truth.erase(a);
        break;
      case 4:
        overlay.add_count(1, 1);
        break;
      default:
        overlay.put(a, value);
        truth[a] = value;
    }
  }

  std::string read(const std::string& key) {
    std::string_view value;
    switch (overlay.find(key, &value)) {
      case Overlay::Answer::kPut:
        return std::string(value);
      case Overlay::Answer::kDeleted:
        return "-";
      case Overlay::Answer::kUntouched:
        break;
    }
    auto found = engine.find(key);
    return found == engine.end() ? "-" : found->second;
  }
};

std::string shown(const ElementIterator& it) {
  return it.valid() ? std::string(it.key()) + "=" + std::string(it.value()) : "end";
}

// A walk with turns over [begin, end), beside one over the truth.
void walk(World& world, Random& random) {
  std::string begin = name(random.below(60));
  std::string end = name(random.below(60));
  if (end <= begin) end = "z";
  ElementIterator it(world.overlay, std::make_unique<MapIterator>(world.engine, begin, end), begin, end);
  auto first = world.truth.lower_bound(begin);
  auto last = world.truth.lower_bound(end);
  auto at = last;
  auto want = [&] { return at == last ? std::string("end") : at->first + "=" + at->second; };
  for (int step = 0; step < 30; ++step) {
    std::string key = name(random.below(60));
    uint64_t choice = at == last ? random.below(4) : random.below(12);
    if (choice == 0) {
      it.seek_to_first();
      at = first;
    } else if (choice == 1) {
      it.seek_to_last();
      at = first == last ? last : std::prev(last);
    } else if (choice == 2) {
      it.seek(key);
      at = world.truth.lower_bound(std::max(key, begin));
      if (at == world.truth.end() || at->first >= end) at = last;
    } else if (choice == 3) {
      it.seek_before(key);
      at = world.truth.lower_bound(std::min(key, end));
      at = at == world.truth.begin() || std::prev(at)->first < begin ? last : std::prev(at);
    } else if (choice < 9) {
      it.next();
      ++at;
    } else {
      it.prev();
      at = at == first ? last : std::prev(at);
    }
    REQUIRE(shown(it) == want());
  }
}

TEST_CASE("overlay: reads and walks see the batch as if it were applied") {
  uint64_t seed = test::test_seed(31);
  CAPTURE(seed);
  Random random(seed);
  for (int round = 0; round < 150; ++round) {
    World world;
    for (uint64_t i = random.below(40); i > 0; --i) {
      world.engine[name(random.below(60))] = "old" + std::to_string(i);
    }
    world.truth = world.engine;
    for (uint64_t changes = random.below(60); changes > 0; --changes) {
      world.change(random);
      if (!random.one_in(4)) continue;
      walk(world, random);
      for (int i = 0; i < 10; ++i) {
        std::string key = name(random.below(60));
        auto found = world.truth.find(key);
        REQUIRE(world.read(key) == (found == world.truth.end() ? "-" : found->second));
      }
    }
  }
}

TEST_CASE("overlay: a walk may delete what it stands on") {
  Map engine;
  for (uint64_t i = 0; i < 30; ++i) engine[name(i)] = "e";
  Overlay overlay;
  for (uint64_t i = 0; i < 60; i += 2) overlay.put(name(i), "own");
  ElementIterator it(overlay, std::make_unique<MapIterator>(engine, "k", "l"), "k", "l");
  int seen = 0;
  for (it.seek_to_first(); it.valid(); it.next(), ++seen) overlay.remove(std::string(it.key()));
  CHECK(seen == 45);
  it.seek_to_first();
  CHECK_FALSE(it.valid());
}

}  // namespace
}  // namespace varve
