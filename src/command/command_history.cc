#include "command/command_history.h"

namespace varve {
namespace {

struct Entry {
  std::string_view name;
  CommandChange change;
};

constexpr const char* kManyElements = "Takes several elements at once.";
constexpr const char* kManyMembers = "Takes several members at once.";
constexpr const char* kCount = "Takes a `count`.";
constexpr const char* kFraction = "The `timeout` may have a fraction.";
constexpr const char* kConditions = "Has the conditions `NX`, `XX`, `GT` and `LT`.";
constexpr const char* kMissingKey = "Replies -2 for a key that does not exist.";
constexpr const char* kAsync = "Has the mode `ASYNC`.";
constexpr const char* kSync = "Has the mode `SYNC`.";
constexpr const char* kBits = "Counts positions in bytes or bits: `BYTE|BIT`.";
constexpr const char* kChannels = "Knows patterns of Pub/Sub channels.";
constexpr const char* kAny = "Has `ANY` beside `COUNT`.";
constexpr const char* kUpperUnits = "Takes units in upper case.";

// Grouped by command, each oldest first.
constexpr Entry kHistory[] = {
    {"acl|getuser", {"6.2.0", kChannels}},
    {"acl|getuser", {"7.0.0", "Shows selectors, and patterns as the rules that make them."}},
    {"acl|setuser", {"6.2.0", kChannels}},
    {"acl|setuser", {"7.0.0", "Knows selectors and patterns of keys by what is done with them."}},
    {"auth", {"6.0.0", "Takes the name of a user before the password."}},
    {"bgsave", {"3.2.2", "Has the option `SCHEDULE`."}},
    {"bitcount", {"7.0.0", kBits}},
    {"bitpos", {"7.0.0", kBits}},
    {"blpop", {"6.0.0", kFraction}},
    {"brpop", {"6.0.0", kFraction}},
    {"brpoplpush", {"6.0.0", kFraction}},
    {"bzpopmax", {"6.0.0", kFraction}},
    {"bzpopmin", {"6.0.0", kFraction}},
    {"client|kill", {"2.8.12", "Takes filters."}},
    {"client|kill", {"2.8.12", "Has the filter `ID`."}},
    {"client|kill", {"3.2.0", "The filter `TYPE` knows `master`."}},
    {"client|kill", {"5.0.0", "The filter `TYPE` calls `slave` `replica`; the old name works too."}},
    {"client|kill", {"6.2.0", "Has the filter `LADDR`."}},
    {"client|list", {"2.8.12", "Shows the `id`."}},
    {"client|list", {"5.0.0", "Has the filter `TYPE`."}},
    {"client|list", {"6.0.0", "Shows the `user`."}},
    {"client|list", {"6.2.0", "Shows `argv-mem`, `tot-mem`, `laddr` and `redir`, and has the filter `ID`."}},
    {"client|list", {"7.0.0", "Shows `resp`, `multi-mem`, `rbs` and `rbp`."}},
    {"client|list", {"7.0.3", "Shows `ssub`."}},
    {"client|pause", {"6.2.0", "Takes a mode; `WRITE` holds back what writes."}},
    {"cluster|slots", {"4.0.0", "Shows the nodes' ids."}},
    {"cluster|slots", {"7.0.0", "Shows more about the nodes' network."}},
    {"command|info", {"7.0.0", "Without names it tells about all commands."}},
    {"config|get", {"7.0.0", "Takes several patterns at once."}},
    {"config|set", {"7.0.0", "Sets several parameters at once."}},
    {"exists", {"3.0.3", "Takes several keys at once."}},
    {"expire", {"7.0.0", kConditions}},
    {"expireat", {"7.0.0", kConditions}},
    {"flushall", {"4.0.0", kAsync}},
    {"flushall", {"6.2.0", kSync}},
    {"flushdb", {"4.0.0", kAsync}},
    {"flushdb", {"6.2.0", kSync}},
    {"geoadd", {"6.2.0", "Has the options `CH`, `NX` and `XX`."}},
    {"georadius", {"6.2.0", kAny}},
    {"georadius", {"7.0.0", kUpperUnits}},
    {"georadius_ro", {"6.2.0", kAny}},
    {"georadiusbymember", {"7.0.0", kUpperUnits}},
    {"geosearch", {"7.0.0", kUpperUnits}},
    {"geosearchstore", {"7.0.0", kUpperUnits}},
    {"hdel", {"2.4.0", "Takes several fields at once."}},
    {"hello", {"6.2.0", "The `protover` may be missing: then it only tells how the connection is."}},
    {"hset", {"4.0.0", "Sets several fields at once."}},
    {"info", {"7.0.0", "Takes several sections at once."}},
    {"lpop", {"6.2.0", kCount}},
    {"lpush", {"2.4.0", kManyElements}},
    {"lpushx", {"4.0.0", kManyElements}},
    {"pexpire", {"7.0.0", kConditions}},
    {"pexpireat", {"7.0.0", kConditions}},
    {"pttl", {"2.8.0", kMissingKey}},
    {"renamenx", {"3.2.0", "Source and destination may be the same."}},
    {"restore", {"3.0.0", "Has the modifier `REPLACE`."}},
    {"restore", {"5.0.0", "Has the modifier `ABSTTL`."}},
    {"restore", {"5.0.0", "Has the options `IDLETIME` and `FREQ`."}},
    {"rpop", {"6.2.0", kCount}},
    {"rpush", {"2.4.0", kManyElements}},
    {"rpushx", {"4.0.0", kManyElements}},
    {"sadd", {"2.4.0", kManyMembers}},
    {"scan", {"6.0.0", "Has the option `TYPE`."}},
    {"set", {"2.6.12", "Has the options `EX`, `PX`, `NX` and `XX`."}},
    {"set", {"6.0.0", "Has the option `KEEPTTL`."}},
    {"set", {"6.2.0", "Has the options `GET`, `EXAT` and `PXAT`."}},
    {"set", {"7.0.0", "Takes `NX` and `GET` together."}},
    {"shutdown", {"7.0.0", "Has the modifiers `NOW`, `FORCE` and `ABORT`."}},
    {"slowlog|get", {"4.0.0", "Shows the client's address and name."}},
    {"spop", {"3.2.0", kCount}},
    {"srandmember", {"2.6.0", kCount}},
    {"srem", {"2.4.0", kManyMembers}},
    {"ttl", {"2.8.0", kMissingKey}},
    {"xadd", {"6.2.0", "Has the options `NOMKSTREAM` and `LIMIT`, and trims by `MINID`."}},
    {"xadd", {"7.0.0", "Takes ids of the form `<ms>-*`."}},
    {"xautoclaim", {"7.0.0", "Shows the deleted entries that it took out of the pending ones."}},
    {"xgroup|create", {"7.0.0", "Takes `ENTRIESREAD`."}},
    {"xgroup|setid", {"7.0.0", "Takes `ENTRIESREAD`."}},
    {"xinfo|groups", {"7.0.0", "Shows `entries-read` and `lag`."}},
    {"xinfo|stream", {"6.0.0", "Has the modifier `FULL`."}},
    {"xinfo|stream",
     {"7.0.0",
      "Shows `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag`."}},
    {"xrange", {"6.2.0", "Ranges may be exclusive."}},
    {"xrevrange", {"6.2.0", "Ranges may be exclusive."}},
    {"xsetid", {"7.0.0", "Takes `ENTRIESADDED` and `MAXDELETEDID`."}},
    {"xtrim", {"6.2.0", "Has the option `LIMIT`, and trims by `MINID`."}},
    {"zadd", {"2.4.0", kManyMembers}},
    {"zadd", {"3.0.2", "Has the options `XX`, `NX`, `CH` and `INCR`."}},
    {"zadd", {"6.2.0", "Has the options `GT` and `LT`."}},
    {"zrange", {"6.2.0", "Has the options `REV`, `BYSCORE`, `BYLEX` and `LIMIT`."}},
    {"zrangebyscore", {"2.0.0", "Has the option `WITHSCORES`."}},
    {"zrank", {"7.2.0", "Has the option `WITHSCORE`."}},
    {"zrem", {"2.4.0", kManyMembers}},
    {"zrevrangebyscore", {"2.1.6", "Limits may be exclusive."}},
    {"zrevrank", {"7.2.0", "Has the option `WITHSCORE`."}},
};

}  // namespace

std::vector<CommandChange> command_history(std::string_view full_name) {
  std::vector<CommandChange> changes;
  for (const Entry& entry : kHistory) {
    if (entry.name == full_name) changes.push_back(entry.change);
  }
  return changes;
}

}  // namespace varve
