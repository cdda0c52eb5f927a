// Goal: strings whose bits are written and looked at are what plain strings would be, wherever their segments
// stand. Method: random commands to the command layer in process and to a std::string for each key.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "server/in_process.h"
#include "support/script.h"

namespace varve::test {
namespace {

using Strings = std::vector<std::string>;

struct BitWorld {
  BitWorld(uint64_t seed, InProcessOptions options) : random(seed), server(options) {}

  Random random;
  InProcessServer server;
  std::map<std::string, std::string> strings;  // empty: none

  void expect(const Strings& args, int64_t expected) {
    REQUIRE(server.run(1, args) == ":" + std::to_string(expected) + "\r\n");
  }
  std::string key() { return "b" + std::to_string(random.below(4)); }
  // Mostly near the ends of segments, sometimes far away.
  uint64_t offset() {
    if (random.one_in(40)) return random.below(8'000'000);
    if (random.one_in(2)) return random.below(200'000);
    uint64_t around = 65536 * (1 + random.below(3));
    return random.one_in(4) ? random.below(100) : around - 40 + random.below(80);
  }
  static bool bit_of(const std::string& bytes, uint64_t bit) {
    return bit / 8 < bytes.size() && (static_cast<unsigned char>(bytes[bit / 8]) >> (7 - bit % 8) & 1) != 0;
  }
  static void set_bit(std::string& bytes, uint64_t bit, bool on) {
    auto mask = static_cast<unsigned char>(0x80u >> (bit % 8));
    auto byte = static_cast<unsigned char>(bytes[bit / 8]);
    bytes[bit / 8] = static_cast<char>(on ? byte | mask : byte & ~mask);
  }
  static void make_room(std::string& bytes, uint64_t bit) {
    bytes.resize(std::max<size_t>(bytes.size(), bit / 8 + 1), '\0');
  }

  void set(const std::string& name) {
    uint64_t bit = offset();
    bool on = !random.one_in(4);
    std::string& model = strings[name];
    bool was = bit_of(model, bit);
    make_room(model, bit);
    set_bit(model, bit, on);
    expect({"SETBIT", name, std::to_string(bit), on ? "1" : "0"}, was ? 1 : 0);
  }

  // A number written and read again, or only read.
  void field(const std::string& name) {
    uint64_t bit = offset();
    unsigned bits = static_cast<unsigned>(1 + random.below(63));
    std::string& model = strings[name];
    uint64_t old = 0;
    for (uint64_t i = bit; i < bit + bits; ++i) old = old << 1 | (bit_of(model, i) ? 1 : 0);
    std::string type = "u" + std::to_string(bits);
    std::string place = std::to_string(bit);
    std::string shown = ":" + std::to_string(old) + "\r\n";
    if (random.one_in(3)) {
      REQUIRE(server.run(1, {"BITFIELD_RO", name, "GET", type, place}) == "*1\r\n" + shown);
      return;
    }
    uint64_t value = random.next() >> (64 - bits);
    make_room(model, bit + bits - 1);
    for (unsigned i = 0; i < bits; ++i) set_bit(model, bit + i, (value >> (bits - 1 - i) & 1) != 0);
    REQUIRE(server.run(1, {"BITFIELD", name, "SET", type, place, std::to_string(value), "GET", type,
                           place}) == "*2\r\n" + shown + ":" + std::to_string(value) + "\r\n");
  }

  void append(const std::string& name) {
    std::string& model = strings[name];
    std::string bytes(1 + random.below(random.one_in(9) ? 9000 : 60), static_cast<char>(random.below(256)));
    model += bytes;
    expect({"APPEND", name, bytes}, static_cast<int64_t>(model.size()));
    // As the engine has it now, in one command with more changes.
    if (random.one_in(2)) return;
    server.run(1, {"MULTI"});
    for (int i = 0; i < 2; ++i) {
      bytes.assign(1 + random.below(40), static_cast<char>(random.below(256)));
      size_t at = random.below(model.size() + 100);
      model.resize(std::max(model.size(), at + bytes.size()), '\0');
      model.replace(at, bytes.size(), bytes);
      server.run(1, {"SETRANGE", name, std::to_string(at), bytes});
    }
    server.run(1, {"STRLEN", name});
    std::string length = ":" + std::to_string(model.size()) + "\r\n";
    REQUIRE(server.run(1, {"EXEC"}).ends_with(length));
  }

  void combine(const std::string& name) {
    Strings sources;
    for (uint64_t i = 1 + random.below(3); i > 0; --i) sources.push_back(key());
    static const char* const kNames[] = {"AND", "OR", "XOR", "NOT"};
    size_t operation = random.below(4);
    if (operation == 3) sources.resize(1);
    size_t length = 0;
    for (const std::string& source : sources) length = std::max(length, strings[source].size());
    std::string result(length, '\0');
    for (size_t i = 0; i < sources.size(); ++i) {
      std::string more = strings[sources[i]];
      more.resize(length, '\0');
      for (size_t at = 0; at < length; ++at) {
        char c = more[at];
        result[at] = static_cast<char>(i == 0           ? (operation == 3 ? ~c : c)
                                       : operation == 0 ? result[at] & c
                                       : operation == 1 ? result[at] | c
                                                        : result[at] ^ c);
      }
    }
    Strings args = {"BITOP", kNames[operation], name};
    args.insert(args.end(), sources.begin(), sources.end());
    expect(args, static_cast<int64_t>(length));
    strings[name] = result;
  }

  // What a range of bits holds, in its own unit.
  void look(const std::string& name) {
    const std::string& model = strings[name];
    if (model.empty()) return expect({"BITCOUNT", name}, 0);
    bool in_bits = random.one_in(2);
    uint64_t units = in_bits ? model.size() * 8 : model.size();
    uint64_t first = random.one_in(2) ? random.below(units) : random.below(std::min<uint64_t>(units, 50));
    uint64_t last = random.one_in(2) ? units - 1 : first + random.below(units - first);
    uint64_t first_bit = in_bits ? first : first * 8;
    uint64_t last_bit = in_bits ? last : last * 8 + 7;
    int64_t count = 0;
    int64_t found[2] = {-1, -1};
    for (uint64_t bit = last_bit + 1; bit > first_bit; --bit) {
      bool set = bit_of(model, bit - 1);
      count += set ? 1 : 0;
      found[set ? 1 : 0] = static_cast<int64_t>(bit - 1);
    }
    bool from_end = random.one_in(4);
    auto text = [&](uint64_t at) {
      int64_t shown = static_cast<int64_t>(at) - (from_end ? static_cast<int64_t>(units) : 0);
      return std::to_string(shown);
    };
    const char* unit = in_bits ? "BIT" : "BYTE";
    expect({"BITCOUNT", name, text(first), text(last), unit}, count);
    expect({"BITPOS", name, "0", text(first), text(last), unit}, found[0]);
    expect({"BITPOS", name, "1", text(first), text(last), unit}, found[1]);
    if (last == units - 1 && found[0] < 0 && !in_bits) {  // zeros follow, as far as anybody looks
      expect({"BITPOS", name, "0", text(first)}, static_cast<int64_t>(units * 8));
    }
  }

  void check(const std::string& name) {
    const std::string& model = strings[name];
    expect({"STRLEN", name}, static_cast<int64_t>(model.size()));
    uint64_t bit = offset();
    expect({"GETBIT", name, std::to_string(bit)}, bit_of(model, bit) ? 1 : 0);
    REQUIRE((server.run(1, {"GETRANGE", name, "0", "-1"}) ==
             "$" + std::to_string(model.size()) + "\r\n" + model + "\r\n"));
  }

  void step() {
    std::string name = key();
    switch (random.below(10)) {
      case 0:
        return combine(name);
      case 1:
      case 2:
        return look(name);
      case 3:
      case 4:
        return field(name);
      case 5:
        if (!random.one_in(6)) return;
        strings[name].empty() ? expect({"DEL", name}, 0) : expect({"DEL", name}, 1);
        strings[name].clear();
        return;
      case 6:
        return append(name);
      default:
        return set(name);
    }
  }
};

TEST_CASE("bits against a model") {
  uint64_t seed = test_seed(47);
  CAPTURE(seed);
  const InProcessOptions ways[] = {{.seed = seed, .long_turns = true},
                                   {.seed = seed, .random_miss_one_in = 3, .flush_often = true},
                                   {.seed = seed, .block_cache_size = 0, .flush_often = true}};
  for (const InProcessOptions& way : ways) {
    BitWorld world(seed, way);
    int steps = way.flush_often ? 250 : 1200;
    for (int step = 0; step < steps; ++step) {
      CAPTURE(step);
      world.step();
      if (world.random.one_in(200)) world.random.one_in(2) ? world.server.compact() : world.server.reopen();
      if (world.random.one_in(10)) world.check(world.key());
    }
    for (const char* name : {"b0", "b1", "b2", "b3"}) world.check(name);
    if (!way.flush_often) CHECK(world.server.engine().stats().values_amended > 0);
  }
}

}  // namespace
}  // namespace varve::test
