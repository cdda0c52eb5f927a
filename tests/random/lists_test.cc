// Goal: lists hold what deques of strings would hold, whatever their size makes of them on disk, and nothing
// of what was removed stays behind. Method: random commands to the command layer in process and to the model,
// in several ways of placing the data. The keys are few, the elements are drawn from small pools and now and
// then very long, so that lists grow out of their record, are searched, shifted, trimmed, emptied, copied.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/coding.h"
#include "base/random.h"
#include "keyspace/entry_format.h"
#include "server/in_process.h"
#include "support/script.h"

namespace varve::test {
namespace {

using Strings = std::vector<std::string>;
using Model = std::deque<std::string>;

// The bulks, integers and errors of a reply, arrays flattened.
Strings flat(const std::string& reply) {
  Strings all;
  for (size_t at = 0; at < reply.size();) {
    size_t line = reply.find("\r\n", at);
    std::string rest = reply.substr(at + 1, line - at - 1);
    char kind = reply[at];
    at = line + 2;
    if (kind == '$' && rest != "-1") {
      all.push_back(reply.substr(at, std::stoul(rest)));
      at += std::stoul(rest) + 2;
    } else if (kind != '*' || rest == "-1") {
      all.push_back(rest);
    }
  }
  return all;
}

struct ListWorld {
  ListWorld(uint64_t seed, InProcessOptions options) : random(seed), server(options) {}

  Random random;
  InProcessServer server;
  std::map<std::string, Model> lists;

  // Inside MULTI replies come with EXEC.
  bool multi = false;
  Strings queued;
  void expect(const Strings& args, const Strings& expected) {
    std::string reply = server.run(1, args);
    if (!multi) {
      REQUIRE((flat(reply) == expected));
      return;
    }
    REQUIRE(reply == "+QUEUED\r\n");
    queued.insert(queued.end(), expected.begin(), expected.end());
  }
  std::string key() { return "l" + std::to_string(random.below(3)); }
  std::string element() {
    std::string text = std::to_string(random.below(random.one_in(2) ? 5 : 1000));
    if (random.one_in(200)) text.append(random.below(700'000), 'x');
    if (random.one_in(20)) text.append(random.below(900), 'y');
    return text;
  }
  int64_t index(const Model& model) {
    auto reach = static_cast<int64_t>(model.size() + 3);
    return static_cast<int64_t>(random.below(static_cast<uint64_t>(2 * reach))) - reach;
  }

  void push(const std::string& name) {
    bool left = random.one_in(2);
    bool existing = random.one_in(8);
    Strings args = {std::string(left ? "LPUSH" : "RPUSH") + (existing ? "X" : ""), name};
    Model& model = lists[name];
    bool nothing = existing && model.empty();
    for (uint64_t i = random.one_in(6) ? 1 + random.below(120) : 1 + random.below(3); i > 0; --i) {
      args.push_back(element());
      if (nothing) continue;
      left ? model.push_front(args.back()) : model.push_back(args.back());
    }
    expect(args, Strings{std::to_string(model.size())});
  }

  void pop(const std::string& name) {
    Model& model = lists[name];
    bool left = random.one_in(2);
    uint64_t count = random.one_in(4) ? 1 + random.below(100) : 1;
    bool counted = count > 1 || random.one_in(2);
    Strings expected;
    for (uint64_t i = 0; i < count && !model.empty(); ++i) {
      expected.push_back(left ? model.front() : model.back());
      left ? model.pop_front() : model.pop_back();
    }
    if (expected.empty()) expected = {"-1"};
    Strings args = {left ? "LPOP" : "RPOP", name};
    if (counted) args.push_back(std::to_string(count));
    expect(args, expected);
  }

  void set(const std::string& name) {
    Model& model = lists[name];
    int64_t at = index(model);
    std::string value = element();
    Strings args = {"LSET", name, std::to_string(at), value};
    if (at < 0) at += static_cast<int64_t>(model.size());
    if (model.empty()) {
      expect(args, {"ERR no such key"});
    } else if (at < 0 || at >= static_cast<int64_t>(model.size())) {
      expect(args, {"ERR index out of range"});
    } else {
      expect(args, {"OK"});
      model[static_cast<size_t>(at)] = value;
    }
  }

  void insert(const std::string& name) {
    Model& model = lists[name];
    bool after = random.one_in(2);
    std::string pivot = random.one_in(2) || model.empty() ? element() : model[random.below(model.size())];
    std::string value = element();
    std::string expected = model.empty() ? "0" : "-1";
    auto found = std::find(model.begin(), model.end(), pivot);
    if (found != model.end()) {
      model.insert(after ? found + 1 : found, value);
      expected = std::to_string(model.size());
    }
    expect({"LINSERT", name, after ? "AFTER" : "BEFORE", pivot, value}, Strings{expected});
  }

  void remove(const std::string& name) {
    Model& model = lists[name];
    std::string value = random.one_in(2) || model.empty() ? element() : model[random.below(model.size())];
    auto count = static_cast<int64_t>(random.below(7)) - 3;
    int64_t most = count == 0 ? INT64_MAX : std::abs(count);
    if (count < 0) std::reverse(model.begin(), model.end());
    int64_t removed = 0;
    Model left;
    for (const std::string& one : model) {
      if (one == value && removed < most) {
        ++removed;
      } else {
        left.push_back(one);
      }
    }
    model = left;
    if (count < 0) std::reverse(model.begin(), model.end());
    expect({"LREM", name, std::to_string(count), value}, Strings{std::to_string(removed)});
  }

  void move(const std::string& name) {
    std::string other = key();
    bool from_left = random.one_in(2);
    bool to_left = random.one_in(2);
    Strings expected = {"-1"};
    if (!lists[name].empty()) {
      Model& from = lists[name];
      expected = {from_left ? from.front() : from.back()};
      from_left ? from.pop_front() : from.pop_back();
      Model& to = lists[other];
      to_left ? to.push_front(expected[0]) : to.push_back(expected[0]);
    }
    expect({"LMOVE", name, other, from_left ? "LEFT" : "RIGHT", to_left ? "LEFT" : "RIGHT"}, expected);
  }

  // [first, last) of a model, as Redis means start and stop.
  static std::pair<size_t, size_t> range(const Model& model, int64_t start, int64_t stop) {
    auto size = static_cast<int64_t>(model.size());
    if (start < 0) start = std::max<int64_t>(0, start + size);
    if (stop < 0) stop += size;
    stop = std::min(stop, size - 1);
    if (start > stop || start >= size) return {0, 0};
    return {static_cast<size_t>(start), static_cast<size_t>(stop) + 1};
  }

  void trim(const std::string& name) {
    Model& model = lists[name];
    int64_t start = random.one_in(3) ? index(model) : static_cast<int64_t>(random.below(3));
    int64_t stop = random.one_in(3) ? index(model) : -1 - static_cast<int64_t>(random.below(3));
    auto [first, last] = range(model, start, stop);
    model = Model(model.begin() + static_cast<int64_t>(first), model.begin() + static_cast<int64_t>(last));
    expect({"LTRIM", name, std::to_string(start), std::to_string(stop)}, Strings{"OK"});
  }

  void replace(const std::string& name) {
    std::string other = key();
    if (random.one_in(6)) {
      expect({"DEL", name}, {lists[name].empty() ? "0" : "1"});
      lists[name].clear();
    } else if (other != name && !lists[name].empty()) {
      bool copy = random.one_in(2);
      copy ? expect({"COPY", name, other, "REPLACE"}, {"1"}) : expect({"RENAME", name, other}, {"OK"});
      lists[other] = lists[name];
      if (!copy) lists[name].clear();
    }
  }

  void search(const std::string& name) {
    const Model& model = lists[name];
    std::string value = random.one_in(2) || model.empty() ? element() : model[random.below(model.size())];
    auto rank = static_cast<int64_t>(random.below(6)) - 3;
    if (rank >= 0) ++rank;
    uint64_t count = random.below(4);
    uint64_t longest = random.one_in(3) ? random.below(model.size() + 2) : 0;
    Strings expected;
    int64_t matches = 0;
    for (size_t i = 0; i < model.size() && (longest == 0 || i < longest); ++i) {
      size_t at = rank > 0 ? i : model.size() - 1 - i;
      if (model[at] != value || ++matches < std::abs(rank)) continue;
      if (count == 0 || expected.size() < count) expected.push_back(std::to_string(at));
    }
    expect({"LPOS", name, value, "RANK", std::to_string(rank), "COUNT", std::to_string(count), "MAXLEN",
            std::to_string(longest)},
           expected);
    expected.resize(1);
    if (count == 0 && !expected[0].empty()) {
      expect({"LPOS", name, value, "RANK", std::to_string(rank), "MAXLEN", std::to_string(longest)},
             expected);
    }
  }

  void check(const std::string& name) {
    const Model& model = lists[name];
    expect({"LLEN", name}, Strings{std::to_string(model.size())});
    expect({"LRANGE", name, "0", "-1"}, Strings(model.begin(), model.end()));
    int64_t start = index(model);
    int64_t stop = index(model);
    auto [first, last] = range(model, start, stop);
    expect({"LRANGE", name, std::to_string(start), std::to_string(stop)},
           Strings(model.begin() + static_cast<int64_t>(first), model.begin() + static_cast<int64_t>(last)));
    auto [at, behind] = range(model, start, start);
    std::string expected = at < behind ? model[at] : "-1";
    if (start >= -static_cast<int64_t>(model.size())) {
      expect({"LINDEX", name, std::to_string(start)}, Strings{expected});
    }
  }

  // What stands under collection ids is the elements of lists and nothing else.
  void check_nothing_else() {
    ReadContext read;
    read.blocking = true;
    const std::string begin(1, kElementSpace);
    std::unique_ptr<LiveIterator> it = server.engine().new_iterator(read, begin, prefix_end(begin));
    std::map<uint64_t, size_t> elements;
    size_t pieces = 0;
    for (it->seek_to_first(); it->valid(); it->next()) {
      bool main = it->key()[kPartPrefixSize - 1] == static_cast<char>(Part::kMain);
      main ? ++elements[decode_big64(it->key().data() + 1)] : ++pieces;
    }
    std::multimap<size_t, std::string> sizes;
    for (const auto& [name, model] : lists) {
      sizes.emplace(model.size(), name);
      for (const std::string& one : model) {
        if (one.size() > kLongPieceSize) pieces -= (one.size() + kLongPieceSize - 1) / kLongPieceSize;
      }
    }
    CHECK(pieces == 0);
    for (const auto& [collection, count] : elements) {
      auto owner = sizes.find(count);
      REQUIRE(owner != sizes.end());
      sizes.erase(owner);
    }
  }

  void step() {
    std::string name = key();
    switch (random.below(16)) {
      case 0:
      case 1:
      case 2:
        return pop(name);
      case 3:
        return set(name);
      case 4:
      case 5:
        return insert(name);
      case 6:
        return remove(name);
      case 7:
        return move(name);
      case 8:
        return random.one_in(2) ? trim(name) : void();
      case 9:
        return random.one_in(3) ? replace(name) : void();
      case 10:
        return search(name);
      default:
        return push(name);
    }
  }

  // Some steps in one EXEC: the later ones work on what the earlier ones have written. Its reply is held in
  // memory, so not with very long lists.
  void step_exec() {
    size_t bytes = 0;
    for (const auto& [name, model] : lists) {
      for (const std::string& one : model) bytes += one.size();
    }
    if (bytes > 1'000'000) return step();
    REQUIRE(server.run(1, {"MULTI"}) == "+OK\r\n");
    multi = true;
    for (uint64_t i = 2 + random.below(6); i > 0; --i) step();
    check(key());
    multi = false;
    Strings expected = std::move(queued);
    queued.clear();
    expect({"EXEC"}, expected);
  }
};

TEST_CASE("lists against a model") {
  uint64_t seed = test_seed(43);
  CAPTURE(seed);
  const InProcessOptions ways[] = {{},
                                   {.seed = seed, .random_miss_one_in = 3, .flush_often = true},
                                   {.seed = seed, .block_cache_size = 0, .flush_often = true}};
  for (const InProcessOptions& way : ways) {
    ListWorld world(seed, way);
    int steps = way.flush_often ? 250 : 2000;
    for (int step = 0; step < steps; ++step) {
      CAPTURE(step);
      world.random.one_in(12) ? world.step_exec() : world.step();
      if (world.random.one_in(200)) world.random.one_in(2) ? world.server.compact() : world.server.reopen();
      if (world.random.one_in(8)) world.check(world.key());
      if (world.random.one_in(50)) world.check_nothing_else();
    }
  }
}

}  // namespace
}  // namespace varve::test
