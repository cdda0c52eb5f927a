// A small LSM of record lists, driven at random, against a model that remembers every version and range
// delete.
//
// Writes go to a real memtable; it is flushed, and neighbouring runs are merged, by RecordMerger, with
// whatever is older as `deeper`. After each step every live snapshot and the present must see in the runs
// what they see in the model. At the end everything is merged to the bottom: no range tombstone, no delete
// and no blind mark may be left; the counters with all corrections are the true counts; and every collection
// that died was reported exactly once, by the writer that knew it or by a merge, or its elements were deleted
// by a range delete after its death. Collections move from key to key: one that lives is never reported.
#include "lsm/record_merger.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "lsm/memtable.h"
#include "lsm/merging_iterator.h"
#include "support/records.h"
#include "support/script.h"

namespace varve {
namespace {

using test::Record;

// A collection's id, and where its elements would be: neighbours touch.
std::string collection_name(uint64_t id) {
  return fmt::format("<{:05}", id);
}
constexpr std::string_view kElementsEnd = "=";

// Keys are a group letter and a name. A group has its counter. A value is a collection's name or unique.
class GroupInspector final : public RecordInspector {
 public:
  Death death(std::string_view key, std::string_view value) const override {
    Death death;
    death.counted = true;
    death.counter_id = static_cast<uint32_t>(key[0]);
    if (value[0] == '<') death.garbage = KeyRange{std::string(value), collection_name(id_of(value) + 1)};
    return death;
  }

  static uint64_t id_of(std::string_view name) { return std::stoull(std::string(name.substr(1))); }
};

struct Run {
  std::vector<Record> records;
  RangeTombstones tombstones;
  std::vector<KeyRange> bounds;  // of its pieces, as if each were a table
};

struct Event {
  bool is_put = false;
  std::string value;
};

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : random_(seed) {
    names_ = 1 + random_.below(12);
    blind_one_in_ = 1 + random_.below(6);
    range_delete_one_in_ = random_.one_in(3) ? 0 : 5 + random_.below(60);
    element_delete_one_in_ = random_.one_in(2) ? 0 : 1 + random_.below(10);
    move_one_in_ = 2 + random_.below(10);
    memtable_ = std::make_unique<MemTable>();
  }

  void play(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
      check_views();
    }
    snapshots_.clear();
    flush();
    merge(0, runs_.size());
    check_views();
    check_end();
  }

 private:
  void step() {
    switch (random_.below(20)) {
      case 0:
        snapshots_.insert(sequence_);
        return;
      case 1:
        if (!snapshots_.empty())
          snapshots_.erase(
              std::next(snapshots_.begin(), static_cast<long>(random_.below(snapshots_.size()))));
        return;
      case 2:
        flush();
        return;
      case 3: {
        if (runs_.empty()) return;
        size_t from = random_.below(runs_.size());
        merge(from, from + 1 + random_.below(runs_.size() - from));
        return;
      }
      default:
        write();
    }
  }

  std::string random_key() {
    return fmt::format("{}{}", static_cast<char>('a' + random_.below(4)), random_.below(names_));
  }
  Sequence newest_snapshot() const { return snapshots_.empty() ? 0 : *snapshots_.rbegin(); }

  void write() {
    ++sequence_;
    if (range_delete_one_in_ != 0 && random_.one_in(range_delete_one_in_)) return delete_range();
    std::string key = random_key();
    const Event* known = visible(key, kMaxSequence);
    bool existed = known != nullptr && known->is_put;
    bool blind = random_.one_in(blind_one_in_);
    if (existed && known->value[0] == '<' && random_.one_in(move_one_in_))
      return move(key, known->value, blind);
    bool is_put = !random_.one_in(4);
    std::string value = !is_put             ? ""
                        : random_.one_in(2) ? collection_name(collections_++)
                                            : fmt::format("v{}", sequence_);
    put_or_delete(key, value, blind);
  }

  // A delete when the value is empty. A blind writer takes it that the key was not there; the others settle
  // what they replace.
  void put_or_delete(const std::string& key, const std::string& value, bool blind) {
    const Event* known = visible(key, kMaxSequence);
    int64_t& counter = counters_[static_cast<uint32_t>(key[0])];
    if (!value.empty()) ++counter;
    if (known != nullptr && known->is_put) {
      if (!blind) --counter;
      if (!blind && known->value[0] == '<') REQUIRE(reported_.insert(known->value).second);
      died(known->value);
    }
    add_event(key, value, blind);
  }

  // MOVE and RENAME: the old key's writer knows what it takes away and leaves the collection alone.
  void move(const std::string& from, std::string collection, bool blind) {
    std::string to = random_key();
    if (from == to) return;
    --counters_[static_cast<uint32_t>(from[0])];
    add_event(from, "", false);
    ++sequence_;
    put_or_delete(to, collection, blind);
  }

  void add_event(const std::string& key, const std::string& value, bool blind) {
    Kind kind = value.empty() ? Kind::kDelete : Kind::kPut;
    memtable_->add(sequence_, kind, blind, key, value, newest_snapshot());
    history_[key][sequence_] = {!value.empty(), value};
  }

  void delete_range() {
    if (element_delete_one_in_ != 0 && random_.one_in(element_delete_one_in_)) {
      delete_elements();
      ++sequence_;
    }
    std::string begin = random_key(), end = random_key();
    if (begin > end) std::swap(begin, end);
    memtable_->add_range_delete(sequence_, begin, end);
    for (auto it = history_.lower_bound(begin); it != history_.end() && it->first < end; ++it) {
      const Event* known = visible(it->first, kMaxSequence);
      if (known->is_put) died(known->value);
      it->second[sequence_] = {};
      uncounted_.insert(it->first[0]);  // a range delete settles counts as a whole: here by giving them up
    }
    if (element_delete_one_in_ != 0 && random_.one_in(element_delete_one_in_)) {
      ++sequence_;
      delete_elements();
    }
  }

  // As FLUSHALL does, in one piece or in two that touch.
  void delete_elements() {
    std::string middle = random_.one_in(2) ? collection_name(random_.below(collections_ + 1)) : "<";
    elements_deleted_ = sequence_;
    if (middle > "<") memtable_->add_range_delete(sequence_++, "<", middle);
    memtable_->add_range_delete(sequence_, middle, kElementsEnd);
  }

  void died(const std::string& value) {
    if (value[0] == '<') died_at_[value] = sequence_;
  }

  const Event* visible(const std::string& key, Sequence at) const {
    auto events = history_.find(key);
    if (events == history_.end()) return nullptr;
    auto it = events->second.lower_bound(at);
    return it == events->second.end() ? nullptr : &it->second;
  }

  void flush() {
    memtable_->freeze();
    merge_into(memtable_->new_iterator(), memtable_->range_tombstones(), 0, 0);
    memtable_ = std::make_unique<MemTable>();
  }

  // runs_[from, to) become one; newest first.
  void merge(size_t from, size_t to) {
    std::vector<std::unique_ptr<RecordIterator>> children;
    RangeTombstones tombstones;
    for (size_t i = from; i < to; ++i) {
      children.push_back(std::make_unique<test::RecordListIterator>(runs_[i].records));
      for (const auto& [begin, fragment] : runs_[i].tombstones.fragments()) {
        for (Sequence s : fragment.sequences) tombstones.add(begin, fragment.end, s);
      }
    }
    merge_into(new_merging_iterator(std::move(children)), std::move(tombstones), from, to);
  }

  void merge_into(std::unique_ptr<RecordIterator> input, RangeTombstones tombstones, size_t from, size_t to) {
    MergeRules rules;
    rules.snapshots.assign(snapshots_.begin(), snapshots_.end());
    rules.tombstones = std::move(tombstones);
    rules.inspector = &inspector_;
    for (size_t i = to; i < runs_.size(); ++i) rules.deeper.push_back(runs_[i].bounds);
    Run run;
    RecordMerger merger(rules, [&](std::string_view key, const std::vector<RecordMerger::Kept>& versions) {
      for (const auto& v : versions) run.records.push_back({std::string(key), v.tag, std::string(v.value)});
      return Status();
    });
    for (input->seek_to_first(); input->valid(); input->next()) {
      REQUIRE(merger.add(input->key(), input->tag(), input->value()).ok());
    }
    REQUIRE(merger.finish().ok());
    run.tombstones = kept_tombstones(rules);
    cut(&run);
    for (auto [id, delta] : merger.count_corrections()) counters_[id] += delta;
    take_garbage(merger.garbage());
    auto first = runs_.begin() + static_cast<long>(from);
    first = runs_.erase(first, runs_.begin() + static_cast<long>(to));
    if (!run.bounds.empty()) runs_.insert(first, std::move(run));
  }

  // Only what is dead, and once only; ranges are apart from each other.
  void take_garbage(const std::vector<KeyRange>& garbage) {
    for (size_t i = 0; i < garbage.size(); ++i) {
      if (i > 0) REQUIRE(garbage[i - 1].end < garbage[i].begin);
      uint64_t end = GroupInspector::id_of(garbage[i].end);
      for (uint64_t id = GroupInspector::id_of(garbage[i].begin); id < end; ++id) {
        std::string collection = collection_name(id);
        REQUIRE_MESSAGE(died_at_.count(collection) > 0, collection << " lives");
        REQUIRE_MESSAGE(reported_.insert(collection).second, collection << " is reported again");
      }
    }
  }

  // Bounds of pieces cut at random keys, and range tombstones cut at the same places.
  void cut(Run* run) {
    std::vector<std::string> borders{""};
    for (const Record& r : run->records) {
      if (random_.one_in(4) && r.key > borders.back()) borders.push_back(r.key);
    }
    RangeTombstones pieces;
    for (size_t i = 0; i < borders.size(); ++i) {
      bool last = i + 1 == borders.size();
      std::string upper = last ? "" : borders[i + 1];
      std::optional<KeyRange> piece;
      auto widen = [&](const std::string& begin, const std::string& end, bool inclusive) {
        if (!piece) piece = KeyRange{begin, end, inclusive};
        if (begin < piece->begin) piece->begin = begin;
        if (end > piece->end || (end == piece->end && inclusive))
          piece->end = end, piece->end_inclusive = inclusive;
      };
      for (const Record& r : run->records) {
        if (r.key >= borders[i] && (last || r.key < upper)) widen(r.key, r.key, true);
      }
      RangeTombstones clipped = run->tombstones.clipped(borders[i], upper, !last);
      for (const auto& [begin, fragment] : clipped.fragments()) {
        widen(begin, fragment.end, false);
        for (Sequence s : fragment.sequences) pieces.add(begin, fragment.end, s);
      }
      if (piece) run->bounds.push_back(*piece);
    }
    run->tombstones = std::move(pieces);
  }

  // What a reader finds in memtable and runs: the newest record, unless a newer range tombstone covers it.
  std::string read(const std::string& key, Sequence at) const {
    std::optional<std::pair<Tag, std::string>> best;
    MemTable::Hit hit;
    if (memtable_->find(key, at, &hit)) best = {hit.tag, std::string(hit.value)};
    Sequence deleted = memtable_->range_tombstones().covering(key, at);
    for (const Run& run : runs_) {
      for (const Record& r : run.records) {
        if (!best && r.key == key && r.tag.sequence() <= at) best = {r.tag, r.value};
      }
      deleted = std::max(deleted, run.tombstones.covering(key, at));
    }
    if (!best || best->first.kind() == Kind::kDelete || deleted > best->first.sequence()) return "none";
    return best->second;
  }

  void check_views() const {
    std::set<Sequence> views = snapshots_;
    views.insert(kMaxSequence);
    for (const auto& entry : history_) {
      const std::string& key = entry.first;  // clang 14 cannot capture a structured binding
      for (Sequence at : views) {
        const Event* event = visible(key, at);
        std::string expected = event != nullptr && event->is_put ? event->value : "none";
        REQUIRE_MESSAGE(read(key, at) == expected, key << " at " << at << " after " << sequence_);
      }
    }
  }

  void check_end() const {
    std::map<char, int64_t> truth;
    std::set<std::string> living;
    for (const auto& [key, events] : history_) {
      const Event* event = visible(key, kMaxSequence);
      if (!event->is_put) continue;
      ++truth[key[0]];
      living.insert(event->value);
    }
    for (auto [id, count] : counters_) {
      char group = static_cast<char>(id);
      if (uncounted_.count(group) == 0) CHECK_MESSAGE(count == truth[group], "counter of group " << group);
    }
    for (uint64_t id = 0; id < collections_; ++id) {
      std::string collection = collection_name(id);
      auto died = died_at_.find(collection);
      REQUIRE((died == died_at_.end()) == (living.count(collection) > 0));
      if (died == died_at_.end()) continue;
      CHECK_MESSAGE((reported_.count(collection) > 0 || elements_deleted_ >= died->second), collection);
    }
    REQUIRE(runs_.size() <= 1);
    if (runs_.empty()) return;
    CHECK(runs_[0].tombstones.empty());
    for (const Record& r : runs_[0].records) {
      CHECK(r.tag.kind() == Kind::kPut);
      CHECK(!r.tag.blind());
    }
  }

  Random random_;
  uint64_t names_ = 0;
  uint64_t blind_one_in_ = 0;
  uint64_t range_delete_one_in_ = 0;  // 0: never
  uint64_t element_delete_one_in_ = 0;
  uint64_t move_one_in_ = 0;
  GroupInspector inspector_;
  std::unique_ptr<MemTable> memtable_;
  std::vector<Run> runs_;  // newest first
  std::set<Sequence> snapshots_;
  Sequence sequence_ = 0;
  std::map<uint32_t, int64_t> counters_;
  uint64_t collections_ = 0;                 // made so far
  std::map<std::string, Sequence> died_at_;  // collections that nobody owns any more
  std::set<std::string> reported_;           // those known to be dead
  Sequence elements_deleted_ = 0;            // the last range delete of all elements
  std::set<char> uncounted_;
  std::map<std::string, std::map<Sequence, Event, std::greater<>>> history_;
};

TEST_CASE("merges against a model") {
  uint64_t first = test::test_seed(1);
  for (uint64_t seed = first; seed < first + 100; ++seed) {
    INFO("VARVE_SEED=" << seed);
    Simulation(seed).play(200);
  }
}

}  // namespace
}  // namespace varve
