// The rules of ACL users: what they make of a user, whom they let in, and the log of what was refused. That
// they mean what they mean in Redis is proven against one (server/commands/acl.txt, server/test_acl.py).
#include <doctest/doctest.h>

#include <fmt/format.h>

#include "base/words.h"
#include "command/acl.h"
#include "command/acl_log.h"
#include "command/acl_user.h"
#include "command/secrets.h"
#include "server/in_process.h"

namespace varve {
namespace {

const CommandTable& commands() {
  static const std::unique_ptr<CommandTable> table = [] {
    auto made = std::make_unique<CommandTable>();
    build_command_table(*made);
    return made;
  }();
  return *table;
}

const AclRules kRules{commands()};

AclUser user_of(std::string_view rules) {
  AclUser user("someone", false);
  std::vector<std::string> words = split_words(rules).value();
  std::vector<std::string> merged;
  size_t open = 0;
  REQUIRE(merge_selectors({words.begin(), words.end()}, &merged, &open));
  for (const std::string& rule : merged)
    REQUIRE_MESSAGE(user.apply(kRules, rule) == AclRuleError::kNone, rule);
  user.finish(commands());
  return user;
}

// The verdict about a command, with the argument it is about.
std::string verdict(const AclUser& user, std::string_view line) {
  std::vector<std::string> words = split_words(line).value();
  std::vector<std::string_view> args(words.begin(), words.end());
  const Command* command = commands().find(args[0]);
  REQUIRE(command != nullptr);
  if (!command->subcommands.empty()) command = CommandTable::find_subcommand(*command, args[1]);
  REQUIRE(command != nullptr);
  std::vector<FoundKey> keys;
  int position = 0;
  AclVerdict verdict = user.check(*command, args, &keys, &position);
  if (verdict == AclVerdict::kAllowed) return "allowed";
  if (verdict == AclVerdict::kCommand) return "command";
  return fmt::format("{} {}", acl_reason_name(verdict), args[static_cast<size_t>(position)]);
}

TEST_CASE("acl: hashes of passwords") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("foo") == "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae");
  AclUser user = user_of(">foo >bar <bar");
  CHECK(user.knows_password(sha256_hex("foo")));
  CHECK_FALSE(user.knows_password(sha256_hex("bar")));
  CHECK_FALSE(user.knows_password("foo"));
  CHECK_FALSE(user.knows_password(""));
}

TEST_CASE("acl: only all commands, keys and channels together make all-powerful") {
  CHECK(user_of("+@all ~* &*").all_powerful());
  CHECK(user_of("(+@all allkeys allchannels)").all_powerful());
  CHECK_FALSE(user_of("+@all ~* &* -get").all_powerful());
  CHECK_FALSE(user_of("+@all ~* &* -get +get").all_powerful());
  CHECK_FALSE(user_of("+@all ~*").all_powerful());
  CHECK_FALSE(user_of("+@all &* ~a* ~b*").all_powerful());
  CHECK_FALSE(user_of("+@all &* (~* +@all)").all_powerful());
  // A category without commands is one of later versions.
  CHECK_FALSE(user_of("+@all ~* &* -@scripting").all_powerful());
}

TEST_CASE("acl: a description makes the same user again") {
  for (const char* rules :
       {"on nopass ~* &* +@all", "off >a >b ~a* %R~b %W~c &x -@all +@read -get +config|get",
        "+@all -@dangerous", "+@all -@scripting", "+@scripting +get",
        "+select|0 +select|X -config +config|get +@write -@list", "(~a +get) (%W~b &c* +@all -@slow) +@hash",
        "+client -client|list +acl|whoami", "reset on", "skip-sanitize-payload +@all -config|set -client"}) {
    CAPTURE(rules);
    AclUser user = user_of(rules);
    std::vector<std::string> words = split_words(user.text()).value();
    std::vector<std::string> merged;
    size_t open = 0;
    REQUIRE(merge_selectors({words.begin(), words.end()}, &merged, &open));
    AclUser again("again", false);
    for (const std::string& rule : merged) REQUIRE(again.apply(kRules, rule) == AclRuleError::kNone);
    again.finish(commands());
    CHECK(again.text() == user.text());
    for (const Command* command : commands().by_index()) {
      std::vector<std::string_view> args(command->parent != nullptr ? 2 : 1, command->full_name);
      std::vector<FoundKey> keys;
      int position = 0;
      CAPTURE(command->full_name);
      CHECK(again.check(*command, args, &keys, &position) == user.check(*command, args, &keys, &position));
    }
  }
}

TEST_CASE("acl: what is told when several selectors refuse") {
  AclUser user = user_of("+get +mget ~a (+set ~b) (+get +mget ~c)");
  CHECK(verdict(user, "get a") == "allowed");
  CHECK(verdict(user, "get c") == "allowed");
  CHECK(verdict(user, "get b") == "key b");
  CHECK(verdict(user, "mget a c") == "key c");  // no selector allows both
  CHECK(verdict(user, "mget c x a") == "key x");
  CHECK(verdict(user, "incr a") == "command");
  CHECK(verdict(user, "ping") == "command");
  CHECK(verdict(user, "quit") == "allowed");
  CHECK(verdict(user_of("+@all ~*"), "publish c x") == "channel c");
}

// Redis 7.0 looks at the first one only, and writes to the last.
TEST_CASE("acl: a second STORE hides no key") {
  AclUser user = user_of("+@all ~place* ~STOREDIST");
  CHECK(verdict(user, "georadius place 1 2 3 m store place1 store place2") == "allowed");
  CHECK(verdict(user, "georadius place 1 2 3 m store place1 store other") == "key other");
  CHECK(verdict(user, "georadius place 1 2 3 m storedist place1 storedist other") == "key other");
  CHECK(verdict(user, "georadius place 1 2 3 m store STOREDIST storedist other") == "key other");
  CHECK(verdict(user, "georadius place 1 2 3 m store STOREDIST count 1") == "allowed");
  CHECK(verdict(user, "georadiusbymember place store 3 m store place1 store other") == "key other");
  CHECK(verdict(user, "sort place1 store place2 store other") == "key other");
}

TEST_CASE("acl: limits of a user") {
  AclUser user("someone", false);
  auto many = [&](const std::string& before, size_t count, const std::string& behind = "") {
    for (size_t i = 0; i < count; ++i) {
      AclRuleError error = user.apply(kRules, before + std::to_string(i) + behind);
      if (error != AclRuleError::kNone)
        return fmt::format("{} at {}", std::string_view(acl_rule_error_text(error)).substr(0, 9), i);
    }
    return std::string("all");
  };
  CHECK(many("~", kAclPatternsMax) == "all");
  CHECK(user.apply(kRules, "~more") == AclRuleError::kTooMuch);
  CHECK(user.apply(kRules, "~1") == AclRuleError::kNone);
  CHECK(many("&", 2000) == "More than at 1024");
  CHECK(many(">", 2000) == "More than at 128");
  CHECK(many("+select|", 2000) == "More than at 1024");
  CHECK(many("(~", 2000, ")") == "More than at 128");
  CHECK(user.apply(kRules, "resetkeys") == AclRuleError::kNone);
  CHECK(user.apply(kRules, "~" + std::string(kAclPatternSizeMax + 1, 'x')) == AclRuleError::kTooMuch);
  CHECK(user.apply(kRules, "resetpass") == AclRuleError::kNone);
  CHECK(user.apply(kRules, ">" + std::string(kPasswordSizeMax + 1, 'x')) == AclRuleError::kTooMuch);
}

TEST_CASE("acl: a file is taken whole or not at all") {
  AclFile good = parse_acl_file(kRules, "\n  user a on >x ~* +@all \r\nuser b off (+get  ~x)\n", "f");
  CHECK(good.errors == "");
  CHECK(good.users.size() == 2);
  CHECK(good.users["b"]->text() == "off resetchannels -@all (~x resetchannels -@all +get)");
  AclFile bad = parse_acl_file(
      kRules, "user a on\nuser a off\nUSER b\nuser\nuser c +nope ~* ~x %\nuser d (+get\n# no comments\n",
      "f");
  CHECK(
      bad.errors ==
      "WARNING: Duplicate user 'a' found on line 2. "
      "f:3 should start with user keyword followed by the username. "
      "f:4 should start with user keyword followed by the username. "
      "f:5: Error in applying operation '+nope': Unknown command or category name in ACL. "
      "f:5: Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any "
      "effect. Try 'resetkeys' to start with an empty list of patterns. "
      "f:6: Unmatched parenthesis in selector definition."
      "f:7 should start with user keyword followed by the username. "
      "WARNING: ACL errors detected, no change to the previously active ACL rules was performed");
}

TEST_CASE("acl: the log groups what is alike, and is bounded") {
  AclLog log;
  auto add = [&](std::string object, int64_t at_ms, uint64_t length_max = 128) {
    AclLogEntry entry;
    entry.object = std::move(object);
    entry.at_ms = at_ms;
    log.add(std::move(entry), length_max);
  };
  auto shown = [&] {
    std::string text;
    for (const AclLogEntry& entry : log.entries())
      text += fmt::format("{}:{} ", entry.object.substr(0, 5), entry.count);
    return text;
  };
  add("a", 1000);
  add("b", 2000);
  add("a", 3000);
  CHECK(shown() == "a:2 b:1 ");
  add("a", 63'001);
  CHECK(shown() == "a:1 a:2 b:1 ");
  add("c", 63'002, 2);
  CHECK(shown() == "c:1 a:1 ");
  add("d", 63'003, 0);
  CHECK(shown() == "");
  CHECK(log.memory_used() == 0);
  // Only the ten newest are looked at.
  for (int i = 0; i < 11; ++i) add(std::to_string(i), 0);
  add("0", 1);
  CHECK(log.entries().size() == 12);
  for (int i = 0; i < 5000; ++i) add(std::to_string(i) + std::string(5000, 'x'), 0, 1'000'000);
  CHECK(log.memory_used() <= AclLog::kBytesMax);
  CHECK(log.entries().front().object.size() == AclLog::kTextMax);
}

TEST_CASE("acl: a failed AUTH inside an EXEC that runs several times is logged once") {
  test::InProcessServer server({.seed = 3, .random_miss_one_in = 2, .flush_often = true});
  server.run(1, {"SET", "k", "v"});
  uint64_t faults = server.faults();
  for (int i = 0; i < 20 || server.faults() == faults; ++i) {
    server.run(1, {"ACL", "LOG", "RESET"});
    server.run(2, {"MULTI"});
    server.run(2, {"AUTH", "nobody", "x"});
    server.run(2, {"GET", "k"});
    CHECK(server.run(2, {"EXEC"}).substr(0, 14) == "*2\r\n-WRONGPASS");
    std::string log = server.run(1, {"ACL", "LOG"});
    CHECK(log.substr(0, 24) == "*1\r\n*14\r\n$5\r\ncount\r\n:1\r\n");
  }
}

}  // namespace
}  // namespace varve
