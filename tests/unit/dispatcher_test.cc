// Goal: what commands promise beside their replies: bounded runs, the gate, admission, memory, and that an
// expired key is gone for everyone long before anybody removed it. Method: the real dispatcher over a real
// engine in memory; single runs where the run itself is the point.
#include "command/dispatcher.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>
#include <string>
#include <vector>

#include "command/command_table.h"
#include "server/in_process.h"

namespace varve {
namespace {

using test::InProcessOptions;
using test::InProcessServer;
using Words = std::vector<std::string>;

// A client whose commands are run once, without a turn of the engine around them.
struct SingleRuns {
  InProcessServer& server;
  ClientState state;
  OutputBuffer out;
  Invocation invocation;

  explicit SingleRuns(InProcessServer& s) : server(s) { state.id = 1000; }

  RunResult run(const Words& args) {
    invocation.reset();
    invocation.args.assign(args.begin(), args.end());
    invocation.own_args();
    return again();
  }
  RunResult again() { return server.dispatcher().run(state, invocation, out); }
  std::string take() {
    std::string reply(out.unsent(out.end()));
    out.consume(reply.size());
    return reply;
  }
};

std::string bulk(const std::string& text) {
  return fmt::format("${}\r\n{}\r\n", text.size(), text);
}

void fill(InProcessServer& server, const std::string& prefix, int count, const Words& more = {}) {
  for (int i = 0; i < count; ++i) {
    Words set = {"SET", fmt::format("{}{:06}", prefix, i), "v"};
    set.insert(set.end(), more.begin(), more.end());
    REQUIRE(server.run(1, set) == "+OK\r\n");
  }
}

// --- walks ---

TEST_CASE("KEYS walks many keys in slices, and others are served between them") {
  InProcessServer server({});
  fill(server, "key:", 9000);
  SingleRuns walker(server);
  REQUIRE(walker.run({"KEYS", "*:008*"}) == RunResult::kStream);
  int slices = 0;
  for (RunResult result = RunResult::kStream; result != RunResult::kDone; ++slices) {
    bool broken = false;
    result = walker.invocation.stream->step(walker.invocation.read, walker.out, 1 << 20, &broken);
    REQUIRE_FALSE(broken);
    REQUIRE(slices < 100);
    CHECK(server.run(2, {"INCR", "served"}) == fmt::format(":{}\r\n", slices + 1));
  }
  CHECK(slices >= 2 * 9000 / 2000);  // a pass to count, and one to send
  std::string reply = walker.take();
  CHECK(reply.substr(0, 7) == "*1000\r\n");
  CHECK(reply.find("served") == std::string::npos);  // it came later than the walk's snapshot
}

TEST_CASE("SCAN looks at a bounded number of keys, whatever its COUNT") {
  InProcessServer server({});
  fill(server, "key:", 10'050);
  SingleRuns walker(server);
  REQUIRE(walker.run({"SCAN", "0", "COUNT", "1000000000"}) == RunResult::kDone);
  std::string reply = walker.take();
  CHECK(reply.find("*10000\r\n") != std::string::npos);
  CHECK(reply.find(bulk("key:010000")) == std::string::npos);
  // Where nothing matches it stops as soon: an empty page and a cursor to go on from.
  REQUIRE(walker.run({"SCAN", "0", "COUNT", "1000000000", "MATCH", "*none*"}) == RunResult::kDone);
  reply = walker.take();
  CHECK(reply.substr(reply.size() - 4) == "*0\r\n");
  CHECK(reply.find("$1\r\n0\r\n") == std::string::npos);
}

TEST_CASE("SCAN with a cursor nobody was given is an error") {
  InProcessServer server({});
  fill(server, "key:", 30);
  std::string page = server.run(1, {"SCAN", "0"});
  std::string cursor = page.substr(page.find("\r\n", 4) + 2);
  cursor.resize(cursor.find("\r\n"));
  CHECK(server.run(2, {"SCAN", cursor}).substr(0, 4) == "*2\r\n");
  std::string unknown = std::to_string(std::stoull(cursor) + 1000);
  CHECK(server.run(1, {"SCAN", unknown}).substr(0, 5) == "-ERR ");
}

// --- what the reply waits for, and what the run needs ---

TEST_CASE("INFO waits for the writes it counts; a section without them waits for nothing") {
  InProcessServer server({});
  SingleRuns client(server);
  REQUIRE(client.run({"SET", "a", "1"}) == RunResult::kDone);
  Sequence written = server.engine().last_sequence();
  REQUIRE(written > server.engine().durable_sequence());
  for (const Words& args : {Words{"INFO"}, Words{"INFO", "keyspace"}, Words{"INFO", "LSM"},
                            Words{"INFO", "all"}, Words{"INFO", "server", "persistence"}}) {
    CAPTURE(args.back());
    REQUIRE(client.run(args) == RunResult::kDone);
    CHECK(client.invocation.gate == written);
  }
  for (const Words& args : {Words{"INFO", "server"}, Words{"INFO", "clients", "memory"}, Words{"PING"}}) {
    REQUIRE(client.run(args) == RunResult::kDone);
    CHECK(client.invocation.gate == 0);
  }
}

// The log is four small segments, and nobody makes room in it while single commands run.
TEST_CASE("admission: writers wait when the log is short, and what frees space does not") {
  InProcessServer server({.log_segment_size = 1 << 20, .log_max_bytes = 4 << 20});
  for (const char* key : {"old", "older", "oldest"}) server.run(1, {"SET", key, "x"});
  SingleRuns client(server);
  const std::string value(50'000, 'v');
  int written = 0;
  while (client.run({"SET", fmt::format("key{}", written), value}) == RunResult::kDone)
    REQUIRE(++written < 200);
  REQUIRE(written > 0);
  client.take();
  REQUIRE(client.again() == RunResult::kWait);
  CHECK(client.take().empty());

  SingleRuns other(server);
  int small = 0;  // in what is left
  while (other.run({"SET", fmt::format("small{}", small), "x"}) == RunResult::kDone)
    REQUIRE(++small < 10'000);
  REQUIRE(other.again() == RunResult::kWait);
  other.take();
  CHECK(other.run({"APPEND", "old", value}) == RunResult::kWait);
  CHECK(other.run({"GET", "old"}) == RunResult::kDone);
  CHECK(other.run({"DEL", "old"}) == RunResult::kDone);
  CHECK(other.run({"GETDEL", "older"}) == RunResult::kDone);
  CHECK(other.run({"PEXPIREAT", "oldest", "1"}) == RunResult::kDone);  // deletes, at such a time
  CHECK(other.run({"EXISTS", "old", "older", "oldest"}) == RunResult::kDone);
  CHECK(other.take() == bulk("x") + ":1\r\n" + bulk("x") + ":1\r\n:0\r\n");
  CHECK(other.run({"FLUSHDB"}) == RunResult::kDone);

  // Turns make room: the command that waited runs, with the arguments it came with.
  RunResult result = RunResult::kWait;
  for (int turn = 0; turn < 1000 && result == RunResult::kWait; ++turn) {
    server.advance_ms(1);
    result = client.again();
  }
  REQUIRE(result == RunResult::kDone);
  CHECK(server.run(2, {"GET", fmt::format("key{}", written)}) == bulk(value));
}

TEST_CASE("admission: what outgrew it is not run again before there is room for all of it") {
  InProcessServer server({.log_segment_size = 4 << 20, .log_max_bytes = 32 << 20});
  const std::string value(1'000'000, 'v');
  server.run(1, {"SET", "long", value});
  SingleRuns client(server);
  int copies = 0;
  while (client.run({"COPY", "long", fmt::format("copy{}", copies)}) == RunResult::kDone)
    REQUIRE(++copies < 100);
  REQUIRE(copies > 0);
  uint64_t reads = server.engine().stats().gets;
  for (int i = 0; i < 3; ++i) CHECK(client.again() == RunResult::kWait);
  CHECK(server.engine().stats().gets == reads);
  RunResult result = RunResult::kWait;
  for (int turn = 0; turn < 1000 && result == RunResult::kWait; ++turn) {
    server.advance_ms(1);
    result = client.again();
  }
  REQUIRE(result == RunResult::kDone);
  CHECK(server.run(2, {"GET", fmt::format("copy{}", copies)}) == bulk(value));
}

TEST_CASE("a large MSET leaves no memory behind") {
  InProcessServer server({});
  server.run(1, {"SET", "a", "1"});
  size_t before = server.dispatcher().memory_used();
  Words mset = {"MSET"};
  for (int i = 0; i < 2000; ++i) {
    mset.push_back(fmt::format("key{}", i));
    mset.push_back(std::string(4000, 'v'));
  }
  REQUIRE(server.run(1, mset) == "+OK\r\n");
  CHECK(server.dispatcher().memory_used() < before + 128 * 1024);
  CHECK(server.run(1, {"DBSIZE"}) == ":2001\r\n");
}

// --- expiry ---

// Each command finds a key that expired 10 ms ago and that nobody has removed.
TEST_CASE("an expired key is gone for every command before it is removed") {
  struct Case {
    Words command;
    std::string reply;
  };
  const std::vector<Case> cases = {
      {{"GET", "k"}, "$-1\r\n"},
      {{"MGET", "k", "k"}, "*2\r\n$-1\r\n$-1\r\n"},
      {{"STRLEN", "k"}, ":0\r\n"},
      {{"GETRANGE", "k", "0", "-1"}, "$0\r\n\r\n"},
      {{"SUBSTR", "k", "0", "-1"}, "$0\r\n\r\n"},
      {{"EXISTS", "k", "k"}, ":0\r\n"},
      {{"TYPE", "k"}, "+none\r\n"},
      {{"TTL", "k"}, ":-2\r\n"},
      {{"PTTL", "k"}, ":-2\r\n"},
      {{"EXPIRETIME", "k"}, ":-2\r\n"},
      {{"PEXPIRETIME", "k"}, ":-2\r\n"},
      {{"TOUCH", "k"}, ":0\r\n"},
      {{"OBJECT", "ENCODING", "k"}, "$-1\r\n"},
      {{"KEYS", "*"}, "*0\r\n"},
      {{"SCAN", "0"}, "*2\r\n$1\r\n0\r\n*0\r\n"},
      {{"SCAN", "0", "TYPE", "string"}, "*2\r\n$1\r\n0\r\n*0\r\n"},
      {{"RANDOMKEY"}, "$-1\r\n"},
      {{"DBSIZE"}, ":1\r\n"},  // as in Redis: a count, not a walk
      {{"DEL", "k"}, ":0\r\n"},
      {{"UNLINK", "k"}, ":0\r\n"},
      {{"PERSIST", "k"}, ":0\r\n"},
      {{"EXPIRE", "k", "100"}, ":0\r\n"},
      {{"RENAME", "k", "l"}, "-ERR no such key\r\n"},
      {{"RENAMENX", "k", "l"}, "-ERR no such key\r\n"},
      {{"COPY", "k", "l"}, ":0\r\n"},
      {{"MOVE", "k", "1"}, ":0\r\n"},
      {{"GETDEL", "k"}, "$-1\r\n"},
      {{"GETEX", "k", "PERSIST"}, "$-1\r\n"},
      {{"GETSET", "k", "new"}, "$-1\r\n"},
      {{"SET", "k", "new", "GET"}, "$-1\r\n"},
      {{"SET", "k", "new", "XX"}, "$-1\r\n"},
      {{"SET", "k", "new", "NX"}, "+OK\r\n"},
      {{"SETNX", "k", "new"}, ":1\r\n"},
      {{"MSETNX", "k", "new", "l", "new"}, ":1\r\n"},
      {{"APPEND", "k", "new"}, ":3\r\n"},
      {{"SETRANGE", "k", "1", "x"}, ":2\r\n"},
      {{"INCR", "k"}, ":1\r\n"},
      {{"DECRBY", "k", "2"}, ":-2\r\n"},
      {{"INCRBYFLOAT", "k", "0.5"}, "$3\r\n0.5\r\n"},
      {{"SET", "k", "new", "KEEPTTL"}, "+OK\r\n"},
      // As the key that something goes to.
      {{"RENAMENX", "other", "k"}, ":1\r\n"},
      {{"COPY", "other", "k"}, ":1\r\n"},
      {{"COPY", "k", "other", "REPLACE"}, ":0\r\n"},
  };
  for (bool in_tables : {false, true}) {
    for (const Case& c : cases) {
      CAPTURE(in_tables);
      CAPTURE(fmt::format("{}", fmt::join(c.command, " ")));
      InProcessServer server({});
      bool with_other = std::find(c.command.begin(), c.command.end(), "other") != c.command.end();
      if (with_other) server.run(1, {"SET", "other", "here"});
      server.run(1, {"SET", "k", std::string(in_tables ? 10'000 : 2, '7'), "PX", "100"});
      if (in_tables) server.flush();
      server.advance_clock_ms(110);
      CHECK(server.run(1, c.command) == c.reply);
      // What the command made of it has no deadline.
      CHECK(server.run(1, {"PTTL", "k"}).substr(0, 2) == ":-");
      bool gone = !with_other || c.command[0] == "RENAMENX";
      CHECK(server.run(1, {"GET", "other"}) == (gone ? "$-1\r\n" : bulk("here")));
    }
  }
}

TEST_CASE("MOVE onto an expired key, and RANDOMKEY past very many of them") {
  InProcessServer server({});
  server.run(1, {"SELECT", "1"});
  server.run(1, {"SET", "k", "old", "PX", "100"});
  server.run(1, {"SELECT", "0"});
  server.run(1, {"SET", "k", "new"});
  fill(server, "expired:", 5000, {"PX", "1000000"});
  server.advance_clock_ms(2'000'000);
  for (int i = 0; i < 20; ++i) CHECK(server.run(1, {"RANDOMKEY"}) == bulk("k"));
  CHECK(server.run(1, {"MOVE", "k", "1"}) == ":1\r\n");
  CHECK(server.run(1, {"RANDOMKEY"}) == "$-1\r\n");
  CHECK(server.run(1, {"DBSIZE"}) == ":5000\r\n");
  server.run(1, {"SELECT", "1"});
  CHECK(server.run(1, {"GET", "k"}) == bulk("new"));
}

// Hints of keys that FLUSHALL took away come due later, and speak of nobody.
TEST_CASE("FLUSHALL: deadlines of flushed keys do not reach their successors") {
  InProcessServer server({});
  for (const char* flush : {"FLUSHALL", "FLUSHDB"}) {
    server.run(1, {"SET", "forever", "1", "PX", "100"});
    server.run(1, {"SET", "longer", "1", "PX", "100"});
    server.run(1, {"SET", "gone", "1", "PX", "100"});
    server.flush();
    REQUIRE(server.run(1, {flush}) == "+OK\r\n");
    server.run(1, {"SET", "forever", "2"});
    server.run(1, {"SET", "longer", "2", "PX", "100000"});
    server.advance_ms(1000);
    CHECK(server.dispatcher().expired_keys() == 0);
    CHECK(server.run(1, {"MGET", "forever", "longer", "gone"}) ==
          "*3\r\n" + bulk("2") + bulk("2") + "$-1\r\n");
    CHECK(server.run(1, {"DBSIZE"}) == ":2\r\n");
    server.run(1, {"FLUSHALL"});
  }
}

// That there is no such key shows the flush, which must not be seen before it is durable.
TEST_CASE("XREAD BLOCK: the event of a miss waits for the flush that it shows") {
  InProcessServer server({});
  server.run(1, {"CONFIG", "SET", "notify-keyspace-events", "KEAm"});
  server.run(2, {"SUBSCRIBE", "__keyevent@0__:keymiss"});
  server.run(1, {"XADD", "s", "*", "a", "b"});
  server.run(1, {"FLUSHALL"});
  const Sequence flushed = server.engine().last_sequence();
  server.run(3, {"XREAD", "BLOCK", "0", "STREAMS", "s", "0"});
  CHECK(server.take(2).find("keymiss") != std::string::npos);
  CHECK(server.pushed_gate() == flushed);
}

// DEBUG PROTOCOL runs behind the commit, when HELLO has been run.
TEST_CASE("EXEC: a reply is written in the protocol of its place") {
  InProcessServer server({});
  const Words ask = {"DEBUG", "PROTOCOL", "set"};
  const std::string elements = "3\r\n:0\r\n:1\r\n:2\r\n";
  for (const Words& command : {Words{"MULTI"}, ask, {"HELLO", "3"}, ask}) server.run(1, command);
  std::string replies = server.run(1, {"EXEC"});
  CHECK(replies.substr(0, 5 + elements.size()) == "*3\r\n*" + elements);
  CHECK(replies.substr(replies.size() - elements.size() - 1) == "~" + elements);
}

// --- help ---

TEST_CASE("HELP of every container names exactly its subcommands") {
  InProcessServer server({});
  CommandTable table;
  build_command_table(table);
  int containers = 0;
  for (const auto& command : table.commands()) {
    if (command->subcommands.empty() || command->full_name == "cluster") continue;  // as Redis: only an error
    CAPTURE(command->full_name);
    ++containers;
    std::string help = server.run(1, {command->full_name, "HELP"});
    std::set<std::string> named, known;
    for (size_t at = help.find("\r\n+"); at != std::string::npos; at = help.find("\r\n+", at + 3)) {
      std::string word = help.substr(at + 3, help.find_first_of(" \r", at + 3) - at - 3);
      if (!word.empty() && word != "(no" && word.find('<') == std::string::npos) named.insert(word);
    }
    for (const Command& sub : command->subcommands) {
      std::string name = sub.name;
      for (char& c : name) c = static_cast<char>(std::toupper(c));
      known.insert(name);
    }
    named.erase(command->full_name);
    std::string title;
    for (char c : command->full_name) title += static_cast<char>(std::toupper(c));
    if (known.count(title) == 0) named.erase(title);
    CHECK(named == known);
  }
  CHECK(containers >= 5);
}

}  // namespace
}  // namespace varve
