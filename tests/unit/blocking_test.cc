// Goal: clients that wait for keys are served in the order in which they came, and nothing comes between a
// write and those it serves. Method: the real dispatcher and engine with a blocking command made up here:
// TAKE key [key ...] ms takes the first byte of the first string that has one, and waits for strings
// otherwise.
#include <doctest/doctest.h>

#include <map>

#include "command/command_context.h"
#include "command/command_table.h"
#include "server/in_process.h"

namespace varve::test {
namespace {

void run_take(CommandContext& context) {
  const auto& args = context.args;
  int64_t ms = std::stoll(std::string(args.back()));
  std::string scratch;
  for (size_t i = 1; i + 1 < args.size(); ++i) {
    Entry entry;
    if (!context.tx.find(context.db(), args[i], &entry)) continue;
    std::string value(context.tx.read_string(entry, &scratch));
    context.reply.array(2);
    context.reply.bulk(args[i]);
    context.reply.bulk(value.substr(0, 1));
    if (value.size() == 1) return context.tx.remove(context.db(), args[i], entry);
    return context.tx.put_string(context.db(), args[i], entry, value.substr(1), Record());
  }
  if (!context.may_block()) return context.reply.null_array();
  context.block_on({args.begin() + 1, args.end() - 1}, ValueType::kString, ms);
}

// SHIFT from to: takes the first byte of one string and puts it behind another, as BLMOVE does with elements.
void run_shift(CommandContext& context) {
  std::string_view from = context.args[1];
  std::string_view to = context.args[2];
  Entry entry;
  if (!context.tx.find(context.db(), from, &entry))
    return context.block_on({std::string(from)}, ValueType::kString, 0);
  std::string scratch;
  std::string value(context.tx.read_string(entry, &scratch));
  if (value.size() == 1)
    context.tx.remove(context.db(), from, entry);
  else
    context.tx.put_string(context.db(), from, entry, value.substr(1), Record());
  Entry target;
  std::string moved;
  if (context.tx.find(context.db(), to, &target)) moved = context.tx.read_string(target, &scratch);
  context.tx.put_string(context.db(), to, target, moved + value[0], Record());
  context.reply.bulk(value.substr(0, 1));
}

// FLIP key: waits for a string, then exchanges databases 0 and 1.
void run_flip(CommandContext& context) {
  Entry entry;
  if (!context.tx.find(context.db(), context.args[1], &entry))
    return context.block_on({std::string(context.args[1])}, ValueType::kString, 0);
  context.tx.swap_databases(0, 1);
  context.reply.ok();
}

// LOOK key other: removes a string, and waits for it otherwise; looks at another key before.
void run_look(CommandContext& context) {
  Entry entry;
  context.tx.find(context.db(), context.args[2], &entry);
  if (!context.tx.find(context.db(), context.args[1], &entry))
    return context.block_on({std::string(context.args[1])}, ValueType::kString, 0);
  context.tx.remove(context.db(), context.args[1], entry);
  context.reply.ok();
}

void add_take(CommandTable& table) {
  Command look;
  look.name = "look";
  look.arity = 3;
  look.flags = kCmdWrite | kCmdBlocking;
  look.keys = {{1, 2, 1, kKeyRW}};
  look.run = run_look;
  table.add(std::move(look));

  Command flip;
  flip.name = "flip";
  flip.arity = 2;
  flip.flags = kCmdWrite | kCmdBlocking;
  flip.keys = {{1, 1, 1, kKeyRW}};
  flip.run = run_flip;
  table.add(std::move(flip));

  Command shift;
  shift.name = "shift";
  shift.arity = 3;
  shift.flags = kCmdWrite | kCmdBlocking;
  shift.keys = {{1, 2, 1, kKeyRW}};
  shift.run = run_shift;
  table.add(std::move(shift));

  Command take;
  take.name = "take";
  take.arity = -3;
  take.flags = kCmdWrite | kCmdBlocking;
  take.keys = {{1, -2, 1, kKeyRW}};
  take.run = run_take;
  table.add(std::move(take));
}

std::string taken(const char* key, char byte) {
  return std::string("*2\r\n$1\r\n") + key + "\r\n$1\r\n" + byte + "\r\n";
}

struct Fixture {
  explicit Fixture(InProcessOptions options = {}) : server(with_take(options)) {}
  static InProcessOptions with_take(InProcessOptions options) {
    options.add_commands = add_take;
    return options;
  }
  // Words without spaces in them.
  std::string run(uint64_t client, const std::string& line) {
    std::vector<std::string> words;
    for (size_t at = 0; at < line.size();) {
      size_t end = std::min(line.find(' ', at), line.size());
      words.push_back(line.substr(at, end - at));
      at = end + 1;
    }
    return server.run(client, words);
  }
  InProcessServer server;
};

TEST_CASE("waiting clients are served in the order in which they came") {
  for (InProcessOptions options :
       {InProcessOptions{}, InProcessOptions{.seed = 3, .random_miss_one_in = 2, .flush_often = true}}) {
    Fixture f(options);
    CHECK(f.run(1, "TAKE k 0") == "");
    CHECK(f.run(2, "TAKE k 0") == "");
    CHECK(f.run(3, "TAKE k 0") == "");
    CHECK(f.run(4, "APPEND k ab") == ":2\r\n");
    CHECK(f.server.take(1) == taken("k", 'a'));
    CHECK(f.server.take(2) == taken("k", 'b'));
    CHECK(f.server.blocked(3));
    CHECK(f.server.dispatcher().blocked_clients() == 1);
    CHECK(f.run(4, "EXISTS k") == ":0\r\n");
    CHECK(f.run(4, "SET k xyz") == "+OK\r\n");
    CHECK(f.server.take(3) == taken("k", 'x'));
    CHECK(f.run(4, "GET k") == "$2\r\nyz\r\n");
    CHECK(f.server.dispatcher().blocked_clients() == 0);
  }
}

TEST_CASE("a client that waits for several keys") {
  Fixture f;
  CHECK(f.run(1, "TAKE a b a 0") == "");
  CHECK(f.run(2, "TAKE b 0") == "");
  CHECK(f.run(3, "SET b 12") == "+OK\r\n");
  CHECK(f.server.take(1) == taken("b", '1'));
  CHECK(f.server.take(2) == taken("b", '2'));
  CHECK(f.run(3, "SET a 1") == "+OK\r\n");
  CHECK(f.run(3, "GET a") == "$1\r\n1\r\n");
}

TEST_CASE("an EXEC serves when it is committed, and does not wait itself") {
  Fixture f;
  f.run(1, "TAKE k 0");
  f.run(2, "MULTI");
  f.run(2, "SET k ab");
  f.run(2, "TAKE k 0");
  f.run(2, "TAKE none 0");
  CHECK(f.run(2, "EXEC") == "*3\r\n+OK\r\n" + taken("k", 'a') + "*-1\r\n");
  CHECK(f.server.take(1) == taken("k", 'b'));
  // What is gone again at the end of the EXEC serves nobody.
  f.run(1, "TAKE k 0");
  f.run(2, "MULTI");
  f.run(2, "SET k ab");
  f.run(2, "DEL k");
  f.run(2, "EXEC");
  CHECK(f.server.blocked(1));
}

TEST_CASE("timeouts, and the end of them") {
  Fixture f;
  f.run(1, "TAKE k 100");
  f.run(2, "TAKE k 300");
  f.server.advance_ms(99);
  CHECK(f.server.take(1) == "");
  f.server.advance_ms(1);
  CHECK(f.server.take(1) == "*-1\r\n");
  CHECK(f.server.blocked(2));
  f.run(3, "SET k a");
  CHECK(f.server.take(2) == taken("k", 'a'));
  // The old timer says nothing about a later wait.
  f.run(2, "TAKE k 0");
  f.server.advance_ms(1000);
  CHECK(f.server.blocked(2));
}

TEST_CASE("CLIENT UNBLOCK") {
  Fixture f;
  CHECK(f.run(9, "CLIENT UNBLOCK 1") == ":0\r\n");
  f.run(1, "TAKE k 0");
  f.run(2, "TAKE k 0");
  f.run(3, "TAKE k 0");
  CHECK(f.run(9, "CLIENT UNBLOCK 1") == ":1\r\n");
  CHECK(f.server.take(1) == "*-1\r\n");
  CHECK(f.run(9, "CLIENT UNBLOCK 2 ERROR") == ":1\r\n");
  CHECK(f.server.take(2) == "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
  CHECK(f.run(9, "CLIENT UNBLOCK 2") == ":0\r\n");
  f.run(9, "SET k a");
  CHECK(f.server.take(3) == taken("k", 'a'));
}

TEST_CASE("clients that go, and changes that serve nobody") {
  Fixture f;
  f.run(1, "TAKE k 0");
  f.run(2, "TAKE k 0");
  f.server.disconnect(1);
  f.run(9, "SELECT 1");
  f.run(9, "SET k a");
  CHECK(f.server.blocked(2));
  f.run(9, "FLUSHALL");
  CHECK(f.server.blocked(2));
  f.run(9, "SET k b");
  f.run(9, "SWAPDB 0 1");
  CHECK(f.server.take(2) == taken("k", 'b'));
  // RENAME brings what is waited for.
  f.run(2, "TAKE k 0");
  f.run(9, "SELECT 0");
  f.run(9, "SET other c");
  f.run(9, "RENAME other k");
  CHECK(f.server.take(2) == taken("k", 'c'));
}

TEST_CASE("a pause holds back writes, or everyone") {
  Fixture f;
  f.run(1, "SET k a");
  f.run(2, "MULTI");
  f.run(2, "SET k c");
  CHECK(f.run(9, "CLIENT PAUSE 100 WRITE") == "+OK\r\n");
  CHECK(f.run(1, "GET k") == "$1\r\na\r\n");
  CHECK(f.run(1, "SET k b") == "");
  CHECK(f.run(2, "EXEC") == "");
  CHECK(f.run(3, "PUBLISH c m") == "");
  CHECK(f.run(9, "GET k") == "$1\r\na\r\n");
  CHECK(f.server.dispatcher().blocked_clients() == 3);
  CHECK(f.run(9, "CLIENT UNPAUSE") == "+OK\r\n");
  CHECK(f.server.take(1) == "+OK\r\n");
  CHECK(f.server.take(2) == "*1\r\n+OK\r\n");
  CHECK(f.server.take(3) == ":0\r\n");
  // By its time; a shorter one does not end it earlier.
  f.run(9, "CLIENT PAUSE 100");
  CHECK(f.run(1, "GET k") == "");
  f.server.advance_ms(99);
  CHECK(f.server.take(1) == "");
  f.server.advance_ms(1);
  CHECK(f.server.take(1) == "$1\r\nc\r\n");
}

TEST_CASE("an EXEC is one log record, however often it was run") {
  for (InProcessOptions options :
       {InProcessOptions{}, InProcessOptions{.seed = 5, .random_miss_one_in = 2, .flush_often = true}}) {
    Fixture f(options);
    for (const char* key : {"a", "b", "c"}) f.run(1, std::string("SET ") + key + " 1");
    f.run(1, "MULTI");
    for (const char* key : {"a", "b", "c", "a"}) f.run(1, std::string("INCR ") + key);
    f.run(1, "SELECT 1");
    f.run(1, "INCR a");
    uint64_t before = f.server.engine().stats().log_batches;
    CHECK(f.run(1, "EXEC") == "*6\r\n:2\r\n:2\r\n:2\r\n:3\r\n+OK\r\n:1\r\n");
    CHECK(f.server.engine().stats().log_batches == before + 1);
    CHECK(f.run(1, "GET a") == "$1\r\n1\r\n");  // SELECT stays
  }
}

TEST_CASE("serving goes on from key to key") {
  Fixture f({.seed = 4, .random_miss_one_in = 2, .flush_often = true});
  f.run(1, "SHIFT a b");
  f.run(2, "SHIFT b c");
  f.run(3, "TAKE c 0");
  f.run(4, "TAKE b 0");
  f.run(9, "SET a xy");
  CHECK(f.server.take(1) == "$1\r\nx\r\n");
  CHECK(f.server.take(2) == "$1\r\nx\r\n");
  CHECK(f.server.take(3) == taken("c", 'x'));
  CHECK(f.server.blocked(4));
  CHECK(f.run(9, "GET a") == "$1\r\ny\r\n");
}

// While a served client fetches what its run misses, databases are exchanged once more. Its run finds nothing
// and ends; that its key was called ready again meanwhile must not make it try to run within its own end.
TEST_CASE("a key becomes ready again while it serves") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Fixture f({.seed = seed, .random_miss_one_in = 2, .flush_often = true});
    f.run(9, "SET other 0");
    f.run(9, "SELECT 1");
    f.run(9, "SET other 1");
    f.run(9, "SET b 1");
    f.run(1, "LOOK a other");
    f.run(2, "FLIP b");
    f.run(9, "SWAPDB 0 1");
    CHECK(f.server.take(2) == "+OK\r\n");
    CHECK(f.server.blocked(1));
    CHECK(f.server.dispatcher().blocked_clients() == 1);
    f.run(9, "SELECT 0");
    f.run(9, "SET a x");
    CHECK(f.server.take(1) == "+OK\r\n");
  }
}

// Whatever comes, at rest nobody waits for a key that could serve him, and no byte is lost or taken twice.
TEST_CASE("nobody is forgotten, nothing is lost") {
  constexpr uint64_t kClients = 12;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    InProcessOptions options{.seed = seed};
    if (seed % 2 == 0) options = {.seed = seed, .random_miss_one_in = 2, .flush_often = true};
    Fixture f(options);
    Random random(seed);
    auto key = [&] { return std::string(1, static_cast<char>('a' + random.below(4))); };
    std::map<uint64_t, std::string> waits_for;
    size_t put = 0;
    size_t got = 0;
    auto collect = [&] {
      for (uint64_t id = 1; id <= kClients; ++id) {
        std::string reply = f.server.take(id);
        if (reply.compare(0, 2, "*2") == 0) ++got;
        if (!f.server.blocked(id)) waits_for.erase(id);
      }
    };
    for (int step = 0; step < 400; ++step) {
      uint64_t id = 1 + random.below(kClients);
      std::string a = key();
      std::string b = key();
      if (f.server.blocked(id)) {
        if (random.one_in(8)) {
          f.run(99, "CLIENT UNBLOCK " + std::to_string(id));
        } else if (random.one_in(8)) {
          f.server.disconnect(id);
        }
      } else if (random.one_in(3)) {
        f.run(98, "MULTI");
        f.run(98, "APPEND " + a + " 12");
        f.run(98, "APPEND " + b + " 3");
        f.run(98, "EXEC");
        put += 3;
      } else if (random.one_in(4)) {
        waits_for[id] = a;
        f.run(id, "SHIFT " + a + " " + b);
      } else {
        waits_for[id] = a + b;
        if (f.run(id, "TAKE " + a + " " + b + " 0").compare(0, 2, "*2") == 0) ++got;
      }
      collect();
      size_t left = 0;
      for (const char* name : {"a", "b", "c", "d"}) {
        std::string length = f.run(97, std::string("STRLEN ") + name);
        size_t bytes = std::stoul(length.substr(1));
        left += bytes;
        if (bytes == 0) continue;
        for (const auto& [waiter, keys] : waits_for) CHECK(keys.find(name[0]) == std::string::npos);
      }
      REQUIRE(put == got + left);
    }
    CHECK(f.server.dispatcher().blocked_clients() == waits_for.size());
  }
}

}  // namespace
}  // namespace varve::test
