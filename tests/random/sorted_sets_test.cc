// Goal: sorted sets hold what a map from member to score would hold, in its order, whatever their size makes
// of them on disk, and their counts add up on every level. Method: random commands to the command layer in
// process and to the model, in several ways of placing the data; members are drawn from small and large
// pools, so that sets grow beyond the second level of counts, shrink, are popped from both ends, copied,
// combined and emptied. The type itself is asked to check its parts against each other.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "keyspace/types/sorted_set.h"
#include "resp/reply.h"
#include "server/in_process.h"
#include "support/script.h"

namespace varve::test {
namespace {

using Model = std::map<std::string, double>;
using Texts = std::vector<std::string>;

// The bulks and integers of a reply, arrays flattened.
Texts flat(const std::string& reply) {
  Texts all;
  for (size_t at = 0; at < reply.size();) {
    size_t line = reply.find("\r\n", at);
    std::string rest = reply.substr(at + 1, line - at - 1);
    char kind = reply[at];
    at = line + 2;
    if (kind == '$' && rest != "-1") {
      all.push_back(reply.substr(at, std::stoul(rest)));
      at += std::stoul(rest) + 2;
    } else if (kind == '-' || kind == ':' || kind == '$') {
      all.push_back(rest);
    }
  }
  return all;
}

std::vector<ScoredMember> in_order(const Model& model) {
  std::vector<ScoredMember> members;
  for (const auto& [member, score] : model) members.push_back({member, score});
  std::stable_sort(members.begin(), members.end(),
                   [](const ScoredMember& a, const ScoredMember& b) { return a.score < b.score; });
  return members;
}

struct World {
  World(uint64_t seed, InProcessOptions options) : random(seed), server(options) {}

  Random random;
  InProcessServer server;
  std::map<std::string, Model> sets;
  size_t largest = 0;

  Texts run(const Texts& args) { return flat(server.run(1, args)); }
  std::string key() { return "z" + std::to_string(random.below(4)); }
  std::string member(bool wide) {
    std::string number = std::to_string(random.below(wide || random.one_in(3) ? 6000 : 20));
    return random.one_in(50) ? std::string(300, 'm') + number : "m" + number;
  }
  double score() {
    switch (random.below(6)) {
      case 0:
        return static_cast<double>(random.below(5)) - 2;
      case 1:
        return -random.real() * 1e6;
      case 2:
        return random.one_in(20) ? INFINITY : 0.5;
      default:
        return static_cast<double>(random.below(1000));
    }
  }
  uint64_t some() {
    return random.one_in(12)  ? 1 + random.below(2500)
           : random.one_in(4) ? 1 + random.below(150)
                              : 1 + random.below(3);
  }
  static std::string text(double score) { return format_real(score); }
  static Texts number(uint64_t n) { return {std::to_string(n)}; }

  void check(const std::string& key) {
    const Model& model = sets[key];
    Texts expected;
    for (const ScoredMember& one : in_order(model)) {
      expected.push_back(one.member);
      expected.push_back(text(one.score));
    }
    REQUIRE((run({"ZRANGE", key, "0", "-1", "WITHSCORES"}) == expected));
    Texts reversed;
    for (size_t i = expected.size(); i >= 2; i -= 2) {
      reversed.push_back(expected[i - 2]);
      reversed.push_back(expected[i - 1]);
    }
    REQUIRE((run({"ZREVRANGE", key, "0", "-1", "WITHSCORES"}) == reversed));
    REQUIRE(run({"ZCARD", key}) == number(model.size()));
    Keyspace keyspace;
    REQUIRE(keyspace.attach(&server.engine()).ok());
    ReadContext read;
    read.blocking = true;
    Transaction tx(keyspace);
    tx.begin(&read, 1);
    Entry entry;
    REQUIRE(tx.find(0, key, &entry) == !model.empty());
    CollectionLimits limits;
    SortedSet set(tx, 0, key, entry, limits);
    REQUIRE(set.check() == "");
    REQUIRE(read.error.ok());
  }

  void change() {
    std::string name = key();
    Model& model = sets[name];
    Texts args;
    size_t before = model.size();
    largest = std::max(largest, before);
    switch (random.below(12)) {
      case 0: {
        args = {"ZREM", name};
        for (uint64_t i = some(); i > 0; --i) args.push_back(member(false));
        for (size_t i = 2; i < args.size(); ++i) model.erase(args[i]);
        REQUIRE(run(args) == number(before - model.size()));
        return;
      }
      case 1:
      case 2: {
        bool max = random.one_in(2);
        size_t count = std::min<size_t>(some(), before);
        std::vector<ScoredMember> order = in_order(model);
        if (max) std::reverse(order.begin(), order.end());
        Texts expected;
        for (size_t i = 0; i < count; ++i) {
          expected.push_back(order[i].member);
          expected.push_back(text(order[i].score));
          model.erase(order[i].member);
        }
        REQUIRE((run({max ? "ZPOPMAX" : "ZPOPMIN", name, std::to_string(count)}) == expected));
        return;
      }
      case 3: {
        if (before == 0) return;
        std::vector<ScoredMember> order = in_order(model);
        size_t from = random.below(before);
        size_t count = std::min<size_t>(some(), before - from);
        for (size_t i = from; i < from + count; ++i) model.erase(order[i].member);
        REQUIRE(run({"ZREMRANGEBYRANK", name, std::to_string(from), std::to_string(from + count - 1)}) ==
                number(count));
        return;
      }
      case 4: {
        double low = score();
        double high = low + static_cast<double>(random.below(30));
        std::erase_if(model, [&](const auto& one) { return one.second >= low && one.second <= high; });
        REQUIRE(run({"ZREMRANGEBYSCORE", name, text(low), text(high)}) == number(before - model.size()));
        return;
      }
      case 5: {
        std::string one = member(false);
        double more = static_cast<double>(random.below(9)) - 4;
        double sum = model.contains(one) ? model[one] + more : more;
        model[one] = sum;
        REQUIRE(run({"ZINCRBY", name, text(more), one}) == Texts{text(sum)});
        return;
      }
      case 6:
        return replace(name);
      default:
        args = {"ZADD", name};
        for (uint64_t all = some(), i = all; i > 0; --i) {
          double next = score();
          args.push_back(text(next));
          args.push_back(member(all > 10));
          model[args.back()] = next;
        }
        REQUIRE(run(args) == number(model.size() - before));
    }
  }

  void replace(const std::string& name) {
    std::string other = key();
    std::string target = key();
    Model result;
    switch (random.below(5)) {
      case 0:
        if (other == name || sets[name].empty()) return;
        run({"COPY", name, other, "REPLACE"});
        sets[other] = sets[name];
        return;
      case 1:
        result = sets[name];
        for (const auto& [member, score] : sets[other]) {
          auto found = result.emplace(member, score);
          if (!found.second) found.first->second = std::min(score, found.first->second);
        }
        run({"ZUNIONSTORE", target, "2", name, other, "AGGREGATE", "MIN"});
        break;
      case 2:
        for (const auto& [member, score] : sets[name]) {
          if (sets[other].contains(member)) result[member] = std::max(score, sets[other][member]);
        }
        run({"ZINTERSTORE", target, "2", name, other, "AGGREGATE", "MAX"});
        break;
      case 3:
        for (const auto& [member, score] : sets[name]) {
          if (!sets[other].contains(member)) result[member] = score;
        }
        run({"ZDIFFSTORE", target, "2", name, other});
        break;
      default: {
        std::vector<ScoredMember> order = in_order(sets[name]);
        for (size_t i = 2; i < order.size(); ++i) result[order[i].member] = order[i].score;
        run({"ZRANGESTORE", target, name, "2", "-1"});
      }
    }
    sets[target] = result;
  }

  void ask() {
    std::string name = key();
    std::vector<ScoredMember> order = in_order(sets[name]);
    if (order.empty()) return;
    size_t rank = random.below(order.size());
    REQUIRE(run({"ZRANK", name, order[rank].member}) == number(rank));
    REQUIRE(run({"ZREVRANK", name, order[rank].member}) == number(order.size() - 1 - rank));
    REQUIRE(run({"ZSCORE", name, order[rank].member}) == Texts{text(order[rank].score)});
    size_t last = std::min(order.size() - 1, rank + random.below(20));
    Texts expected;
    for (size_t i = rank; i <= last; ++i) expected.push_back(order[i].member);
    REQUIRE(run({"ZRANGE", name, std::to_string(rank), std::to_string(last)}) == expected);
    double low = score();
    double high = low + static_cast<double>(random.below(100));
    expected.clear();
    for (const ScoredMember& one : order) {
      if (one.score > low && one.score <= high) expected.push_back(one.member);
    }
    REQUIRE(run({"ZCOUNT", name, "(" + text(low), text(high)}) == number(expected.size()));
    REQUIRE(run({"ZRANGEBYSCORE", name, "(" + text(low), text(high)}) == expected);
    std::reverse(expected.begin(), expected.end());
    if (expected.size() > 10) expected.resize(10);
    REQUIRE(run({"ZREVRANGEBYSCORE", name, text(high), "(" + text(low), "LIMIT", "0", "10"}) == expected);
  }
};

// Goal: a mark that was moved back for one member goes over what was popped before in one step. Method: the
// places of a queue by hand.
TEST_CASE("sorted sets: marks remember the gap that a member from outside leaves") {
  RankState state;
  auto marks = [&] {
    std::string bytes;
    state.encode(&bytes);
    RankState again;
    REQUIRE(again.decode(bytes));
    REQUIRE(again.gap.at_low == state.gap.at_low);
    return again.low + " " + again.high + " " + again.gap.begin.c_str() + "-" + again.gap.end;
  };
  state.set_low("m");
  state.set_high("t");
  CHECK(state.make_room("d"));
  CHECK(marks() == "d t d-m");
  CHECK_FALSE(state.make_room("f"));  // into the gap
  CHECK(marks() == "d t f-m");
  CHECK(state.make_room("b"));  // in front of the others
  CHECK(marks() == "b t f-m");
  CHECK_FALSE(state.make_room("p"));
  state.set_low("e");  // those in front of the one in the gap are popped
  CHECK(marks() == "e t f-m");
  state.set_low("g");  // and that one
  CHECK(marks() == "m t -");
  CHECK(state.make_room("x"));
  CHECK(marks() == std::string("m x") + '\0' + " t-x");
  CHECK_FALSE(state.make_room("v"));
  CHECK(marks() == std::string("m x") + '\0' + " t-v");
  state.set_high("v");
  CHECK(marks() == "m t -");
  // Marks are short, and the gap is never wider than the truth.
  std::string wide(100, 'c');
  CHECK(state.make_room(wide));
  CHECK(state.low <= wide);
  CHECK(state.gap.begin > wide);
  CHECK(state.gap.end == "m");
}

TEST_CASE("sorted sets against a model") {
  uint64_t seed = test_seed(43);
  CAPTURE(seed);
  const InProcessOptions ways[] = {{},
                                   {.seed = seed, .random_miss_one_in = 3, .flush_often = true},
                                   {.seed = seed, .block_cache_size = 0, .flush_often = true}};
  for (const InProcessOptions& way : ways) {
    World world(seed, way);
    int steps = way.flush_often ? 150 : 600;
    for (int step = 0; step < steps; ++step) {
      CAPTURE(step);
      if (world.random.one_in(100)) {
        world.random.one_in(2) ? world.server.compact() : world.server.reopen();
      }
      world.change();
      world.ask();
      if (world.random.one_in(10)) world.check(world.key());
    }
    if (!way.flush_often) CHECK(world.largest > 2048);  // there was a second level of counts
  }
}

// Goal: the counts' tree grows, shrinks and stays right in all its shapes. Method: members with long common
// beginnings, of which few fit a node, so that some thousands make many levels; they come in order from
// either end or in none, go one by one, by ranges and from the ends, and every part is checked on the way.
TEST_CASE("sorted sets: deep trees of counts") {
  uint64_t seed = test_seed(44);
  CAPTURE(seed);
  for (int order : {0, 1, 2}) {
    CAPTURE(order);
    World world(seed + static_cast<uint64_t>(order), {.block_cache_size = 1 << 20});
    Model& model = world.sets["z0"];
    auto member = [&](uint64_t i) {
      std::string number = std::to_string(100'000 + i);
      return std::string(2100, 'p') + number;
    };
    constexpr uint64_t kMembers = 3000;
    for (uint64_t i = 0; i < kMembers;) {
      Texts args = {"ZADD", "z0"};
      for (uint64_t end = std::min(kMembers, i + 1 + world.random.below(40)); i < end; ++i) {
        uint64_t number = order == 0 ? i : order == 1 ? kMembers - i : (i * 7919) % kMembers;
        args.push_back("1");
        args.push_back(member(number));
        model[args.back()] = 1;
      }
      world.run(args);
    }
    world.check("z0");
    for (int round = 0; !model.empty(); ++round) {
      CAPTURE(round);
      std::vector<ScoredMember> members = in_order(model);
      size_t from = world.random.below(members.size());
      size_t count = std::min(members.size() - from, size_t{1} << world.random.below(11));
      std::string name = "z0";
      if (round % 4 == 0) {
        world.run({"ZREMRANGEBYRANK", name, std::to_string(from), std::to_string(from + count - 1)});
      } else if (round % 4 == 1) {
        from = 0;
        world.run({"ZPOPMIN", name, std::to_string(count)});
      } else {
        Texts args = {"ZREM", name};
        for (size_t i = from; i < from + count; ++i) args.push_back(members[i].member);
        world.run(args);
      }
      for (size_t i = from; i < from + count; ++i) model.erase(members[i].member);
      if (world.random.one_in(8)) world.check(name);
      if (!model.empty()) world.ask();
    }
    world.check("z0");
  }
}

// Goal: what a member costs does not grow with the set, in one command or in many. Method: sets of all sizes
// get new members one by one; what the log takes for each is counted.
TEST_CASE("sorted sets: a change of a large set writes little") {
  InProcessServer server({});
  uint64_t written[2] = {};
  uint64_t members = 0;
  for (uint64_t size : {1'000, 30'000}) {
    while (members < size) {
      Texts args = {"ZADD", "z"};
      for (int i = 0; i < 100; ++i, ++members) {
        args.push_back(std::to_string((members * 48271) % 1'000'003));
        args.push_back("m" + std::to_string(members));
      }
      server.run(1, args);
    }
    constexpr uint64_t kMore = 500;
    uint64_t before = server.engine().stats().user_bytes_written;
    for (uint64_t i = 0; i < kMore; ++i, ++members) {
      server.run(1,
                 {"ZADD", "z", std::to_string((members * 48271) % 1'000'003), "m" + std::to_string(members)});
    }
    written[size > 1'000 ? 1 : 0] = (server.engine().stats().user_bytes_written - before) / kMore;
  }
  CHECK(written[0] < 200);
  CHECK(written[1] < 400);
}

// Goal: a range whose length was counted while blocks were missing is counted again, also when its members
// would be streamed by then. Method: every other look at a block misses, and the count goes a long way; often
// blocks still miss when the walk's patience ends.
TEST_CASE("sorted sets: ranges by score, blocks missing") {
  InProcessServer server({.seed = 7, .random_miss_one_in = 2, .block_cache_size = 16 * 1024});
  constexpr int kMembers = 900;
  for (int i = 0; i < kMembers; ++i) {
    server.run(1, {"ZADD", "z", std::to_string(i), std::to_string(i) + std::string(200, 'm')});
  }
  server.flush();
  for (int round = 0; round < 300; ++round) {
    Texts all = flat(server.run(1, {"ZRANGE", "z", "-inf", "+inf", "BYSCORE"}));
    CHECK(all.size() == kMembers);
  }
}

// Goal: what goes through a queue leaves nothing in the way of its ends. Method: many pairs through a set
// that stays large, then its ends are asked with a walk that would show what is in its way; the record's
// marks and counts are checked.
TEST_CASE("sorted sets: queues at both ends") {
  for (const char* how : {"ZPOPMIN", "ZPOPMAX", "ZREM"}) {
    CAPTURE(how);
    World world(7, {});
    Model& model = world.sets["z0"];
    auto add = [&](int i) {
      double score = std::string_view(how) == "ZPOPMAX" ? -i : i;
      world.run({"ZADD", "z0", World::text(score), "job:" + std::to_string(i)});
      model["job:" + std::to_string(i)] = score;
    };
    for (int i = 0; i < 2000; ++i) add(i);
    for (int i = 2000; i < 8000; ++i) {
      add(i);
      std::string oldest = "job:" + std::to_string(i - 2000);
      if (std::string_view(how) == "ZREM") {
        world.run({"ZREM", "z0", oldest});
      } else {
        REQUIRE(world.run({how, "z0"}).at(0) == oldest);
      }
      model.erase(oldest);
      if (i % 1000 == 0) world.server.flush();
    }
    world.check("z0");
  }
}

}  // namespace
}  // namespace varve::test
