// Goal: clients that wait for keys are served in the order in which they came, and nothing comes between a
// write and those it serves. Method: the real dispatcher and engine with a blocking command made up here:
// TAKE key [key ...] ms takes the first byte of the first string that has one, and waits for strings
// otherwise.
#include <doctest/doctest.h>

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

void add_take(CommandTable& table) {
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

}  // namespace
}  // namespace varve::test
