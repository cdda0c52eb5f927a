// Goal: hashes and sets hold what maps of strings would hold, whatever their size makes of them on disk.
// Method: random commands to the command layer in process and to the model, in several ways of placing the
// data; the keys are few and the names drawn from small and large pools, so that collections grow, shrink,
// convert, are copied, renamed, overwritten and emptied.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "command/numbers.h"
#include "keyspace/types/member_layout.h"
#include "server/in_process.h"
#include "support/script.h"

namespace varve::test {
namespace {

using Map = std::map<std::string, std::string>;

// The bulks and integers of a reply, arrays flattened.
std::vector<std::string> flat(const std::string& reply) {
  std::vector<std::string> all;
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

struct World {
  World(uint64_t seed, InProcessOptions options) : random(seed), server(options) {}

  Random random;
  InProcessServer server;
  std::map<std::string, Map> hashes;
  std::map<std::string, std::set<std::string>> sets;

  std::vector<std::string> run(const std::vector<std::string>& args) { return flat(server.run(1, args)); }
  std::string hash_key() { return "h" + std::to_string(random.below(3)); }
  std::string set_key() { return "s" + std::to_string(random.below(4)); }
  std::string member() {
    uint64_t pool = random.one_in(3) ? 2000 : 12;
    std::string number = std::to_string(random.below(pool));
    return random.one_in(2) ? number : "member:" + number;
  }
  std::string value() {
    uint64_t size = random.one_in(40) ? 600'000 : random.one_in(10) ? 2000 : 10;
    return std::string(random.below(size), static_cast<char>('a' + random.below(26)));
  }
  uint64_t some() { return random.one_in(6) ? 1 + random.below(150) : 1 + random.below(3); }

  void check_hash(const std::string& key) {
    std::vector<std::string> got = run({"HGETALL", key});
    Map all;
    REQUIRE(got.size() % 2 == 0);
    for (size_t i = 0; i < got.size(); i += 2) all.emplace(got[i], got[i + 1]);
    REQUIRE(all.size() == got.size() / 2);
    REQUIRE((all == hashes[key]));
    REQUIRE(run({"HLEN", key}) == std::vector<std::string>{std::to_string(all.size())});
    REQUIRE(run({"EXISTS", key}) == std::vector<std::string>{all.empty() ? "0" : "1"});
  }
  void check_set(const std::string& key) {
    std::vector<std::string> got = run({"SMEMBERS", key});
    std::set<std::string> all(got.begin(), got.end());
    REQUIRE(all.size() == got.size());
    REQUIRE((all == sets[key]));
    REQUIRE(run({"SCARD", key}) == std::vector<std::string>{std::to_string(all.size())});
  }

  void change_hash() {
    std::string key = hash_key();
    Map& model = hashes[key];
    std::vector<std::string> args = {"HSET", key};
    size_t before = model.size();
    switch (random.below(8)) {
      case 0: {
        std::string other = hash_key();
        if (other == key || model.empty()) return;
        bool copy = random.one_in(2);
        run(copy ? std::vector<std::string>{"COPY", key, other, "REPLACE"}
                 : std::vector<std::string>{"RENAME", key, other});
        hashes[other] = model;
        if (!copy) model.clear();
        return;
      }
      case 1:
        if (!random.one_in(4)) return;
        run({random.one_in(2) ? "DEL" : "UNLINK", key});
        model.clear();
        return;
      case 2:
      case 3:
      case 4: {
        args[0] = "HDEL";
        for (uint64_t i = some(); i > 0; --i) args.push_back(member());
        for (size_t i = 2; i < args.size(); ++i) model.erase(args[i]);
        REQUIRE(run(args) == std::vector<std::string>{std::to_string(before - model.size())});
        return;
      }
      case 5: {
        std::string field = member();
        auto old = model.find(field);
        int64_t number = 0;
        std::vector<std::string> got = run({"HINCRBY", key, field, "3"});
        if (old != model.end() && !parse_integer(old->second, &number)) {
          REQUIRE(got == std::vector<std::string>{"ERR hash value is not an integer"});
        } else {
          model[field] = std::to_string(number + 3);
          REQUIRE(got == std::vector<std::string>{model[field]});
        }
        return;
      }
      default:
        for (uint64_t i = some(); i > 0; --i) {
          args.push_back(member());
          args.push_back(value());
          model[args[args.size() - 2]] = args.back();
        }
        REQUIRE(run(args) == std::vector<std::string>{std::to_string(model.size() - before)});
    }
  }

  void change_set() {
    std::string key = set_key();
    std::set<std::string>& model = sets[key];
    size_t before = model.size();
    std::vector<std::string> args = {"SADD", key};
    for (uint64_t i = some(); i > 0; --i) args.push_back(member());
    switch (random.below(6)) {
      case 0: {
        args = {"SPOP", key, std::to_string(random.below(random.one_in(3) ? 400 : 4))};
        std::vector<std::string> got = run(args);
        REQUIRE(got.size() == std::min<size_t>(before, std::stoul(args[2])));
        for (const std::string& one : got) REQUIRE(model.erase(one) == 1);
        return;
      }
      case 1: {
        std::string other = set_key();
        bool there = model.contains(args[2]);
        REQUIRE(run({"SMOVE", key, other, args[2]}) == std::vector<std::string>{there ? "1" : "0"});
        if (there) model.erase(args[2]), sets[other].insert(args[2]);
        return;
      }
      case 2:
      case 3:
        args[0] = "SREM";
        for (size_t i = 2; i < args.size(); ++i) model.erase(args[i]);
        REQUIRE(run(args) == std::vector<std::string>{std::to_string(before - model.size())});
        return;
      default:
        for (size_t i = 2; i < args.size(); ++i) model.insert(args[i]);
        REQUIRE(run(args) == std::vector<std::string>{std::to_string(model.size() - before)});
    }
  }

  void combine_sets() {
    std::string a = set_key(), b = set_key(), c = set_key();
    std::set<std::string> both, result;
    const auto &x = sets[a], &y = sets[b], &z = sets[c];
    uint64_t which = random.below(3);
    if (which == 0) {
      std::set_intersection(x.begin(), x.end(), y.begin(), y.end(), std::inserter(both, both.end()));
      std::set_intersection(both.begin(), both.end(), z.begin(), z.end(),
                            std::inserter(result, result.end()));
    } else if (which == 1) {
      std::set_union(x.begin(), x.end(), y.begin(), y.end(), std::inserter(both, both.end()));
      std::set_union(both.begin(), both.end(), z.begin(), z.end(), std::inserter(result, result.end()));
    } else {
      std::set_difference(x.begin(), x.end(), y.begin(), y.end(), std::inserter(both, both.end()));
      std::set_difference(both.begin(), both.end(), z.begin(), z.end(), std::inserter(result, result.end()));
    }
    const char* names[] = {"SINTER", "SUNION", "SDIFF"};
    std::vector<std::string> got = run({names[which], a, b, c});
    REQUIRE(got.size() == result.size());
    REQUIRE((std::set<std::string>(got.begin(), got.end()) == result));
    if (which == 0) {
      REQUIRE(run({"SINTERCARD", "3", a, b, c}) == std::vector<std::string>{std::to_string(result.size())});
    }
    if (!random.one_in(3)) return;
    std::string target = set_key();
    REQUIRE(run({std::string(names[which]) + "STORE", target, a, b, c}) ==
            std::vector<std::string>{std::to_string(result.size())});
    sets[target] = result;
  }
};

TEST_CASE("collections: hashes and sets against a model") {
  uint64_t seed = test_seed(41);
  CAPTURE(seed);
  const InProcessOptions ways[] = {{},
                                   {.seed = seed, .random_miss_one_in = 3, .flush_often = true},
                                   {.seed = seed, .block_cache_size = 0, .flush_often = true}};
  for (const InProcessOptions& way : ways) {
    World world(seed, way);
    int steps = way.flush_often ? 250 : 1200;
    for (int step = 0; step < steps; ++step) {
      CAPTURE(step);
      uint64_t kind = world.random.below(20);
      if (kind < 9) {
        world.change_hash();
      } else if (kind < 17) {
        world.change_set();
      } else if (kind < 19) {
        world.combine_sets();
      } else if (world.random.one_in(10)) {
        world.random.one_in(2) ? world.server.compact() : world.server.reopen();
      }
      if (!world.random.one_in(8)) continue;
      world.check_hash(world.hash_key());
      world.check_set(world.set_key());
    }
  }
}

MemberLayout layout_of(World& world, const std::string& name, uint64_t* count) {
  EngineKey key;
  make_metadata_key(0, name, &key);
  ReadContext read;
  ReadValue found;
  Record record;
  MemberLayout layout;
  REQUIRE(world.server.engine().get(read, key, &found) == ReadState::kFound);
  REQUIRE(decode_record(found.value, &record));
  REQUIRE(layout.read(record));
  *count = record.count;
  return layout;
}

std::multiset<std::string> scan_all(World& world, const std::string& command, const std::string& key) {
  std::multiset<std::string> all;
  std::string cursor = "0";
  do {
    std::vector<std::string> page = world.run({command, key, cursor, "COUNT", "300"});
    cursor = page.at(0);
    all.insert(page.begin() + 1, page.end());
  } while (cursor != "0");
  return all;
}

// Goal: walks in a large set or hash that is popped to its end, or is a queue, never have many more removed
// members to pass than there are others; and it holds what it should while these move. Method: the record
// tells how many were removed since members moved last; replies are compared with a model.
TEST_CASE("collections: members move away from what was removed") {
  uint64_t seed = test_seed(47);
  CAPTURE(seed);
  World world(seed, {.seed = seed, .random_miss_one_in = 50});
  std::set<std::string>& set = world.sets["s"];
  Map& hash = world.hashes["h"];
  uint64_t added = 0, moving = 0, generation = 0;
  auto add = [&](uint64_t count) {
    std::vector<std::string> sadd = {"SADD", "s"}, hset = {"HSET", "h"};
    for (; count > 0; --count) {
      std::string name = fmt::format("member:{}", added++);
      set.insert(name);
      hash[name] = std::string(added % 5000 == 0 ? 300'000 : 3, 'v');
      sadd.push_back(name);
      hset.insert(hset.end(), {name, hash[name]});
    }
    world.run(sadd);
    world.run(hset);
  };
  auto pop = [&](uint64_t count) {
    std::vector<std::string> hdel = {"HDEL", "h"};
    for (const std::string& name : world.run({"SPOP", "s", std::to_string(count)})) {
      REQUIRE(set.erase(name) == 1);
      REQUIRE(hash.erase(name) == 1);
      hdel.push_back(name);
    }
    REQUIRE(hdel.size() == count + 2);
    REQUIRE(world.run(hdel) == std::vector<std::string>{std::to_string(count)});
  };
  auto check = [&] {
    for (const char* name : {"s", "h"}) {
      uint64_t count = 0;
      MemberLayout layout = layout_of(world, name, &count);
      REQUIRE(count == set.size());
      REQUIRE(layout.removed <= 4 * count + 256);
      moving += layout.moving ? 1 : 0;
      generation = std::max<uint64_t>(generation, layout.generation);
    }
    REQUIRE(world.run({"SISMEMBER", "s", *set.begin()}) == std::vector<std::string>{"1"});
    REQUIRE(set.contains(world.run({"SRANDMEMBER", "s"}).at(0)));
    if (!world.random.one_in(25)) return;
    world.check_set("s");
    world.check_hash("h");
    REQUIRE((scan_all(world, "SSCAN", "s") == std::multiset<std::string>(set.begin(), set.end())));
    std::multiset<std::string> pairs;
    for (const auto& [field, value] : hash) pairs.insert({field, value});
    REQUIRE((scan_all(world, "HSCAN", "h") == pairs));
    REQUIRE(world.run({"SINTERCARD", "2", "s", "s"}) == std::vector<std::string>{std::to_string(set.size())});
    if (world.random.one_in(4)) world.server.reopen();
  };
  for (int i = 0; i < 60; ++i) add(500);
  while (set.size() > 3100) pop(50 + world.random.below(50)), check();
  for (int i = 0; i < 400; ++i) add(40), pop(40), check();
  while (set.size() > 40) pop(1 + world.random.below(set.size() < 1000 ? 20 : 40)), check();
  CHECK(moving > 10);
  CHECK(generation >= 2);
  world.run({"DEL", "s", "h"});
  world.server.compact();
}

// Goal: a scan that is content with less than it wanted, because blocks keep missing, hides no miss of other
// commands of its EXEC. Method: every other look at a block misses, and the scan and the walk in front of it
// have a long way: often both still miss blocks when the scan's patience ends.
TEST_CASE("collections: scans inside EXEC, blocks missing") {
  InProcessServer server({.seed = 7, .random_miss_one_in = 2, .block_cache_size = 16 * 1024});
  for (const char* hash : {"g", "h"}) {
    std::vector<std::string> fill = {"HSET", hash};
    for (int i = 0; i < 5000; ++i)
      fill.insert(fill.end(), {fmt::format("field:{}", i), std::string(40, 'v')});
    server.run(1, fill);
  }
  for (int i = 0; i < 3000; ++i) server.run(1, {"SET", fmt::format("key:{}", i), std::string(100, 'v')});
  server.flush();
  using Words = std::vector<std::string>;
  for (const Words& scan : {Words{"HSCAN", "h", "0", "COUNT", "5000"}, Words{"SCAN", "0", "COUNT", "3000"}}) {
    for (int round = 0; round < 60; ++round) {
      CAPTURE(scan[0]);
      server.run(1, {"MULTI"});
      server.run(1, {"HKEYS", "g"});
      server.run(1, scan);
      std::string reply = server.run(1, {"EXEC"});
      REQUIRE(reply.substr(0, 4) == "*2\r\n");
      std::vector<std::string> all = flat(reply);
      REQUIRE(all.size() > 5000);
      CHECK(all[4999].substr(0, 6) == "field:");
      CHECK(std::set<std::string>(all.begin(), all.begin() + 5000).size() == 5000);
    }
  }
}

// Goal: what a waiting client's next commands will read of a large hash is asked for ahead. Method: the
// elements are in tables, the record is in memory again, and every block is missing.
TEST_CASE("collections: fields are probed") {
  InProcessServer server({.random_miss_one_in = 1});
  std::vector<std::string> fill = {"HSET", "h"};
  for (int i = 0; i < 500; ++i) fill.insert(fill.end(), {"field:" + std::to_string(i), "value"});
  server.run(1, fill);
  server.flush();
  server.run(1, {"EXPIRE", "h", "1000"});
  ClientState client;
  auto misses = [&](const std::vector<std::string_view>& args) {
    ReadContext read;
    server.dispatcher().probe(client, args, read, 10);
    return read.misses.size();
  };
  CHECK(misses({"HGET", "h", "field:7"}) > 0);
  CHECK(misses({"HSET", "h", "field:7", "x"}) > 0);
  CHECK(misses({"HLEN", "h"}) == 0);
}

// Goal: a short range of a long list reads what it shows, not what a longer walk would come to. Method: the
// list is much larger than the cache; blocks are counted.
TEST_CASE("collections: ten elements are one or two blocks") {
  InProcessServer server({.random_miss_one_in = 1});
  std::vector<std::string> fill = {"RPUSH", "l"};
  for (int i = 0; i < 20000; ++i) fill.push_back(fmt::format("{:0100}", i));
  server.run(1, fill);
  server.flush();
  server.run(1, {"LINDEX", "l", "0"});
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"LRANGE", "l", "2000", "2009"}, {"LPOP", "l", "10"}, {"RPOP", "l", "10"}}) {
    CAPTURE(command[0]);
    const EngineStats before = server.engine().stats();
    CHECK(flat(server.run(1, command)).size() == 10);
    const EngineStats after = server.engine().stats();
    // The data, and what leads to it.
    CHECK(after.block_reads + after.nowait_reads - before.block_reads - before.nowait_reads <= 8);
  }
}

}  // namespace
}  // namespace varve::test
