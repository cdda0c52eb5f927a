#include "command/command_docs.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/check.h"

namespace varve {
namespace {

constexpr const char* kKey = "key:key0";
constexpr const char* kKeys = "key:key0*";
constexpr const char* kKeyField = "key:key0 field";
constexpr const char* kKeyScan = "key:key0 cursor:integer MATCH=pattern:pattern? COUNT=count:integer?";
constexpr const char* kStoreKeys = "destination:key0 key:key1*";
constexpr const char* kKeyElements = "key:key0 element*";
constexpr const char* kKeyValue = "key:key0 value";
constexpr const char* kRange = "key:key0 start:integer end:integer";
constexpr const char* kAsync = "async(ASYNC@4.0.0|SYNC@6.2.0)?";
constexpr const char* kOnOff = "enabled(ON|OFF)";

const CommandDocs kDocs[] = {
    // --- strings ---
    {"append", kKeyValue},
    {"decr", kKey},
    {"decrby", "key:key0 decrement:integer"},
    {"get", kKey},
    {"getdel", kKey},
    {"getex",
     "key:key0 expiration(EX=seconds:integer|PX=milliseconds:integer|EXAT=unix-time-seconds:unix-time|"
     "PXAT=unix-time-milliseconds:unix-time|PERSIST)?",
     "RW and UPDATE because it changes the TTL"},
    {"getrange", kRange},
    {"getset", kKeyValue, "", "6.2.0", "`SET` with the `!GET` argument"},
    {"incr", kKey},
    {"incrby", "key:key0 increment:integer"},
    {"incrbyfloat", "key:key0 increment:double"},
    {"mget", kKeys},
    {"mset", "key_value{key:key0 value}*"},
    {"msetnx", "key_value{key:key0 value}*"},
    {"psetex", "key:key0 milliseconds:integer value"},
    {"set",
     "key:key0 value condition(NX|XX)?@2.6.12 GET?@6.2.0 expiration(EX=seconds:integer@2.6.12|"
     "PX=milliseconds:integer@2.6.12|EXAT=unix-time-seconds:unix-time@6.2.0|"
     "PXAT=unix-time-milliseconds:unix-time@6.2.0|KEEPTTL@6.0.0)?",
     "RW and ACCESS due to the optional `GET` argument"},
    {"setex", "key:key0 seconds:integer value"},
    {"setnx", kKeyValue},
    {"setrange", "key:key0 offset:integer value"},
    {"strlen", kKey},
    {"substr", kRange, "", "2.0.0", "`GETRANGE`"},

    {"lcs", "key1:key0 key2:key0 LEN? IDX? MINMATCHLEN=len:integer? WITHMATCHLEN?"},

    // --- bits ---
    {"bitcount", "key:key0 index{start:integer end:integer index_unit(BYTE|BIT)?@7.0.0}?"},
    {"bitfield",
     "key:key0 operation(GET=encoding_offset{encoding offset:integer}|write{OVERFLOW=wrap_sat_fail(WRAP|SAT|"
     "FAIL)? write_operation(SET=encoding_offset_value{encoding offset:integer value:integer}|"
     "INCRBY=encoding_offset_increment{encoding offset:integer increment:integer})})?*",
     "This command allows both access and modification of the key"},
    {"bitfield_ro", "key:key0 GET=encoding_offset{encoding offset:integer}?*+"},
    {"bitop", "operation destkey:key0 key:key1*"},
    {"bitpos",
     "key:key0 bit:integer index{start:integer end_index{end:integer index_unit(BYTE|BIT)?@7.0.0}?}?"},
    {"getbit", "key:key0 offset:integer"},
    {"setbit", "key:key0 offset:integer value:integer"},

    // --- HyperLogLogs ---
    {"pfadd", "key:key0 element?*"},
    {"pfcount", kKeys,
     "RW because it may change the internal representation of the key, and propagate to replicas"},
    {"pfdebug", "subcommand key:key0", "", "", "", true},
    {"pfmerge", "destkey:key0 sourcekey:key1*"},
    {"pfselftest", "", "", "", "", true},

    // --- keys ---
    {"copy", "source:key0 destination:key1 DB=destination-db:integer? REPLACE?"},
    {"del", kKeys},
    {"exists", kKeys},
    {"expire", "key:key0 seconds:integer condition(NX|XX|GT|LT)?@7.0.0"},
    {"expireat", "key:key0 unix-time-seconds:unix-time condition(NX|XX|GT|LT)?@7.0.0"},
    {"expiretime", kKey},
    {"flushall", kAsync},
    {"flushdb", kAsync},
    {"keys", "pattern:pattern"},
    {"move", "key:key0 db:integer"},
    {"object|encoding", kKey},
    {"object|freq", kKey},
    {"object|idletime", kKey},
    {"object|refcount", kKey},
    {"persist", kKey},
    {"pexpire", "key:key0 milliseconds:integer condition(NX|XX|GT|LT)?@7.0.0"},
    {"pexpireat", "key:key0 unix-time-milliseconds:unix-time condition(NX|XX|GT|LT)?@7.0.0"},
    {"pexpiretime", kKey},
    {"pttl", kKey},
    {"rename", "key:key0 newkey:key1"},
    {"renamenx", "key:key0 newkey:key1"},
    {"scan", "cursor:integer MATCH=pattern:pattern? COUNT=count:integer? TYPE=type?@6.0.0"},
    {"swapdb", "index1:integer index2:integer"},
    {"touch", kKeys},
    {"ttl", kKey},
    {"type", kKey},
    {"unlink", kKeys},

    {"sort",
     "key:key0 BY=pattern:pattern1? LIMIT=offset_count{offset:integer count:integer}? "
     "GET=pattern:pattern1?*+ "
     "order(ASC|DESC)? ALPHA=sorting:pure-token? STORE=destination:key2?"},
    {"sort_ro",
     "key:key0 BY=pattern:pattern1? LIMIT=offset_count{offset:integer count:integer}? "
     "GET=pattern:pattern1?*+ "
     "order(ASC|DESC)? ALPHA=sorting:pure-token?"},

    // --- streams ---
    {"xadd",
     "key:key0 NOMKSTREAM?@6.2.0 trim{strategy(MAXLEN|MINID@6.2.0) "
     "operator('='=equal:pure-token|'~'=approximately:pure-token)? threshold LIMIT=count:integer?@6.2.0}? "
     "id_or_auto('*'=auto_id:pure-token|id) field_value{field value}*",
     "UPDATE instead of INSERT because of the optional trimming feature"},
    {"xdel", "key:key0 id*"},
    {"xinfo|consumers", "key:key0 groupname"},
    {"xinfo|groups", kKey},
    {"xinfo|stream", "key:key0 FULL=full{COUNT=count:integer?}?"},
    {"xlen", kKey},
    {"xrange", "key:key0 start end COUNT=count:integer?"},
    {"xread", "COUNT=count:integer? BLOCK=milliseconds:integer? STREAMS=streams{key:key0* id*}"},
    {"xrevrange", "key:key0 end start COUNT=count:integer?"},
    {"xsetid",
     "key:key0 last-id ENTRIESADDED=entries_added:integer?@7.0.0 MAXDELETEDID=max_deleted_entry_id?@7.0.0"},
    {"xtrim",
     "key:key0 trim{strategy(MAXLEN|MINID@6.2.0) "
     "operator('='=equal:pure-token|'~'=approximately:pure-token)? "
     "threshold LIMIT=count:integer?@6.2.0}"},

    // --- hashes ---
    {"hdel", "key:key0 field*"},
    {"hexists", kKeyField},
    {"hget", kKeyField},
    {"hgetall", kKey},
    {"hincrby", "key:key0 field increment:integer"},
    {"hincrbyfloat", "key:key0 field increment:double"},
    {"hkeys", kKey},
    {"hlen", kKey},
    {"hmget", "key:key0 field*"},
    {"hmset", "key:key0 field_value{field value}*", "", "4.0.0", "`HSET` with multiple field-value pairs"},
    {"hrandfield", "key:key0 options{count:integer WITHVALUES?}?"},
    {"hscan", kKeyScan},
    {"hset", "key:key0 field_value{field value}*"},
    {"hsetnx", "key:key0 field value"},
    {"hstrlen", kKeyField},
    {"hvals", kKey},

    // --- sets ---
    {"sadd", "key:key0 member*"},
    {"scard", kKey},
    {"sdiff", kKeys},
    {"sdiffstore", kStoreKeys},
    {"sinter", kKeys},
    {"sintercard", "numkeys:integer key:key0* LIMIT=limit:integer?"},
    {"sinterstore", kStoreKeys},
    {"sismember", "key:key0 member"},
    {"smembers", kKey},
    {"smismember", "key:key0 member*"},
    {"smove", "source:key0 destination:key1 member"},
    {"spop", "key:key0 count:integer?@3.2.0"},
    {"srandmember", "key:key0 count:integer?@2.6.0"},
    {"srem", "key:key0 member*"},
    {"sscan", kKeyScan},
    {"sunion", kKeys},
    {"sunionstore", kStoreKeys},

    // --- lists ---
    {"blmove", "source:key0 destination:key1 wherefrom(LEFT|RIGHT) whereto(LEFT|RIGHT) timeout:double"},
    {"blmpop", "timeout:double numkeys:integer key:key0* where(LEFT|RIGHT) COUNT=count:integer?"},
    {"blpop", "key:key0* timeout:double"},
    {"brpop", "key:key0* timeout:double"},
    {"brpoplpush", "source:key0 destination:key1 timeout:double", "", "6.2.0",
     "`BLMOVE` with the `RIGHT` and `LEFT` arguments"},
    {"lindex", "key:key0 index:integer"},
    {"linsert", "key:key0 where(BEFORE|AFTER) pivot element"},
    {"llen", kKey},
    {"lmove", "source:key0 destination:key1 wherefrom(LEFT|RIGHT) whereto(LEFT|RIGHT)"},
    {"lmpop", "numkeys:integer key:key0* where(LEFT|RIGHT) COUNT=count:integer?"},
    {"lpop", "key:key0 count:integer?@6.2.0"},
    {"lpos", "key:key0 element RANK=rank:integer? COUNT=num-matches:integer? MAXLEN=len:integer?"},
    {"lpush", kKeyElements},
    {"lpushx", kKeyElements},
    {"lrange", "key:key0 start:integer stop:integer"},
    {"lrem", "key:key0 count:integer element"},
    {"lset", "key:key0 index:integer element"},
    {"ltrim", "key:key0 start:integer stop:integer"},
    {"rpop", "key:key0 count:integer?@6.2.0"},
    {"rpoplpush", "source:key0 destination:key1", "", "6.2.0",
     "`LMOVE` with the `RIGHT` and `LEFT` arguments"},
    {"rpush", kKeyElements},
    {"rpushx", kKeyElements},

    // --- sorted sets ---
    {"bzmpop", "timeout:double numkeys:integer key:key0* where(MIN|MAX) COUNT=count:integer?"},
    {"bzpopmax", "key:key0* timeout:double"},
    {"bzpopmin", "key:key0* timeout:double"},
    {"zadd",
     "key:key0 condition(NX|XX)?@3.0.2 comparison(GT|LT)?@6.2.0 CH=change:pure-token?@3.0.2 "
     "INCR=increment:pure-token?@3.0.2 score_member{score:double member}*"},
    {"zcard", kKey},
    {"zcount", "key:key0 min:double max:double"},
    {"zdiff", "numkeys:integer key:key0* WITHSCORES?"},
    {"zdiffstore", "destination:key0 numkeys:integer key:key1*"},
    {"zincrby", "key:key0 increment:integer member"},
    {"zinter",
     "numkeys:integer key:key0* WEIGHTS=weight:integer?* AGGREGATE=aggregate(SUM|MIN|MAX)? WITHSCORES?"},
    {"zintercard", "numkeys:integer key:key0* LIMIT=limit:integer?"},
    {"zinterstore",
     "destination:key0 numkeys:integer key:key1* WEIGHTS=weight:integer?* AGGREGATE=aggregate(SUM|MIN|MAX)?"},
    {"zlexcount", "key:key0 min max"},
    {"zmpop", "numkeys:integer key:key0* where(MIN|MAX) COUNT=count:integer?"},
    {"zmscore", "key:key0 member*"},
    {"zpopmax", "key:key0 count:integer?"},
    {"zpopmin", "key:key0 count:integer?"},
    {"zrandmember", "key:key0 options{count:integer WITHSCORES?}?"},
    {"zrange",
     "key:key0 start stop sortby(BYSCORE|BYLEX)?@6.2.0 REV?@6.2.0 "
     "LIMIT=offset_count{offset:integer count:integer}?@6.2.0 "
     "WITHSCORES?"},
    {"zrangebylex", "key:key0 min max LIMIT=offset_count{offset:integer count:integer}?", "", "6.2.0",
     "`ZRANGE` with the `BYLEX` argument"},
    {"zrangebyscore",
     "key:key0 min:double max:double WITHSCORES?@2.0.0 LIMIT=offset_count{offset:integer count:integer}?", "",
     "6.2.0", "`ZRANGE` with the `BYSCORE` argument"},
    {"zrangestore",
     "dst:key0 src:key1 min max sortby(BYSCORE|BYLEX)? REV? LIMIT=offset_count{offset:integer "
     "count:integer}?"},
    {"zrank", "key:key0 member WITHSCORE?@7.2.0"},
    {"zrem", "key:key0 member*"},
    {"zremrangebylex", "key:key0 min max"},
    {"zremrangebyrank", "key:key0 start:integer stop:integer"},
    {"zremrangebyscore", "key:key0 min:double max:double"},
    {"zrevrange", "key:key0 start:integer stop:integer WITHSCORES?", "", "6.2.0",
     "`ZRANGE` with the `REV` argument"},
    {"zrevrangebylex", "key:key0 max min LIMIT=offset_count{offset:integer count:integer}?", "", "6.2.0",
     "`ZRANGE` with the `REV` and `BYLEX` arguments"},
    {"zrevrangebyscore",
     "key:key0 max:double min:double WITHSCORES? LIMIT=offset_count{offset:integer count:integer}?", "",
     "6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments"},
    {"zrevrank", "key:key0 member WITHSCORE?@7.2.0"},
    {"zscan", kKeyScan},
    {"zscore", "key:key0 member"},
    {"zunion",
     "numkeys:integer key:key0* WEIGHTS=weight:integer?* AGGREGATE=aggregate(SUM|MIN|MAX)? WITHSCORES?"},
    {"zunionstore",
     "destination:key0 numkeys:integer key:key1* WEIGHTS=weight:integer?* AGGREGATE=aggregate(SUM|MIN|MAX)?"},

    // --- geo ---
    {"geoadd",
     "key:key0 condition(NX|XX)?@6.2.0 CH=change:pure-token?@6.2.0 "
     "longitude_latitude_member{longitude:double "
     "latitude:double member}*"},
    {"geodist", "key:key0 member1 member2 unit(M|KM|FT|MI)?"},
    {"geohash", "key:key0 member*"},
    {"geopos", "key:key0 member*"},
    {"georadius",
     "key:key0 longitude:double latitude:double radius:double unit(M|KM|FT|MI) WITHCOORD? WITHDIST? "
     "WITHHASH? count{COUNT=count:integer ANY?@6.2.0}? order(ASC|DESC)? STORE=key:key1? STOREDIST=key:key2?",
     "", "6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument"},
    {"georadius_ro",
     "key:key0 longitude:double latitude:double radius:double unit(M|KM|FT|MI) WITHCOORD? WITHDIST? "
     "WITHHASH? count{COUNT=count:integer ANY?@6.2.0}? order(ASC|DESC)?",
     "", "6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument"},
    {"georadiusbymember",
     "key:key0 member radius:double unit(M|KM|FT|MI) WITHCOORD? WITHDIST? WITHHASH? "
     "count{COUNT=count:integer ANY?}? order(ASC|DESC)? STORE=key:key1? STOREDIST=key:key2?",
     "", "6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments"},
    {"georadiusbymember_ro",
     "key:key0 member radius:double unit(M|KM|FT|MI) WITHCOORD? WITHDIST? WITHHASH? "
     "count{COUNT=count:integer ANY?}? order(ASC|DESC)?",
     "", "6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"},
    {"geosearch",
     "key:key0 from(FROMMEMBER=member|FROMLONLAT=longitude_latitude{longitude:double "
     "latitude:double}) by(circle{BYRADIUS=radius:double unit(M|KM|FT|MI)}|box{BYBOX=width:double "
     "height:double unit(M|KM|FT|MI)}) order(ASC|DESC)? count{COUNT=count:integer ANY?}? WITHCOORD? "
     "WITHDIST? WITHHASH?"},
    {"geosearchstore",
     "destination:key0 source:key1 "
     "from(FROMMEMBER=member|FROMLONLAT=longitude_latitude{longitude:double latitude:double}) "
     "by(circle{BYRADIUS=radius:double unit(M|KM|FT|MI)}|box{BYBOX=width:double height:double "
     "unit(M|KM|FT|MI)}) order(ASC|DESC)? count{COUNT=count:integer ANY?}? STOREDIST?"},

    // --- connection ---
    {"auth", "username?@6.0.0 password"},
    {"client|caching", "mode(YES|NO)"},
    {"client|kill",
     "filter('ip:port'!2.8.12|new-format(ID=client-id:integer?@2.8.12|TYPE=normal_master_slave_pubsub("
     "NORMAL|MASTER@3.2.0|SLAVE|REPLICA@5.0.0|PUBSUB)?@2.8.12|USER=username?|ADDR='ip:port'?|"
     "LADDR='ip:port'?@6.2.0|SKIPME=yes/no?)*)"},
    {"client|list",
     "TYPE=normal_master_replica_pubsub(NORMAL|MASTER|REPLICA|PUBSUB)?@5.0.0 "
     "ID=id{client-id:integer*}?@6.2.0"},
    {"client|no-evict", kOnOff},
    {"client|no-touch", kOnOff},
    {"client|pause", "timeout:integer mode(WRITE|ALL)?@6.2.0"},
    {"client|reply", "on_off_skip(ON|OFF|SKIP)"},
    {"client|setinfo", "attr(LIB-NAME=libname|LIB-VER=libver)"},
    {"client|setname", "connection-name"},
    {"client|unblock", "client-id:integer timeout_error(TIMEOUT|ERROR)?"},
    {"echo", "message"},
    {"hello", "arguments{protover:integer AUTH=username_password{username password}? SETNAME=clientname?}?"},
    {"ping", "message?"},
    {"select", "index:integer"},

    // --- transactions, messages ---
    {"watch", kKeys},
    {"publish", "channel message"},
    {"subscribe", "channel*"},
    {"unsubscribe", "channel?*"},
    {"psubscribe", "pattern{pattern:pattern}*"},
    {"punsubscribe", "pattern:pattern?*"},
    {"spublish", "shardchannel message"},
    {"ssubscribe", "shardchannel*"},
    {"sunsubscribe", "shardchannel?*"},
    {"pubsub|channels", "pattern:pattern?"},
    {"pubsub|numsub", "channel?*"},
    {"pubsub|shardchannels", "pattern:pattern?"},
    {"pubsub|shardnumsub", "shardchannel?*"},

    // --- server ---
    {"acl|cat", "categoryname?"},
    {"acl|deluser", "username*"},
    {"acl|dryrun", "username command arg?*"},
    {"acl|genpass", "bits:integer?"},
    {"acl|getuser", "username"},
    {"acl|log", "operation(count:integer|RESET)?"},
    {"acl|setuser", "username rule?*"},
    {"bgsave", "SCHEDULE?@3.2.2"},
    {"cluster|countkeysinslot", "slot:integer"},
    {"cluster|getkeysinslot", "slot:integer count:integer"},
    {"cluster|keyslot", "key"},
    {"cluster|slots", "", "", "7.0.0", "`CLUSTER SHARDS`"},
    {"command|docs", "command-name*?"},
    {"command|info", "command-name*?"},
    {"command|list", "FILTERBY=filterby(MODULE=module-name|ACLCAT=category|PATTERN=pattern:pattern)?"},
    {"compact", "range{min max}?"},
    {"config|get", "parameter{parameter}*"},
    {"config|set", "parameter_value{parameter value}*"},
    {"debug", "", "", "", "", true},
    {"info", "section*?"},
    {"latency|graph", "event"},
    {"latency|histogram", "command?*"},
    {"latency|history", "event"},
    {"latency|reset", "event?*"},
    {"lolwut", "VERSION=version:integer?"},
    {"memory|usage", "key:key0 SAMPLES=count:integer?"},
    {"module|load", "path arg?*"},
    {"module|loadex", "path CONFIG=configs{name value}?*+ ARGS=args{arg}?*"},
    {"module|unload", "name"},
    {"shutdown", "nosave_save(NOSAVE|SAVE)? NOW?@7.0.0 FORCE?@7.0.0 ABORT?@7.0.0"},
    {"slowlog|get", "count:integer?"},
    {"wait", "numreplicas:integer timeout:integer"},
    {"waitaof", "numlocal:integer numreplicas:integer timeout:integer"},
};

class SyntaxParser {
 public:
  explicit SyntaxParser(std::string_view text) : text_(text) {}

  std::vector<DocArgument> parse() {
    std::vector<DocArgument> arguments = list(' ');
    VARVE_CHECK(at_ == text_.size());
    return arguments;
  }

 private:
  char here() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (here() != c) return false;
    at_++;
    return true;
  }

  std::vector<DocArgument> list(char separator) {
    std::vector<DocArgument> arguments;
    if (at_ == text_.size()) return arguments;
    do arguments.push_back(argument());
    while (take(separator));
    return arguments;
  }

  std::string word() {
    size_t begin = at_;
    if (take('\'')) {
      at_ = text_.find('\'', at_);
      VARVE_CHECK(at_++ != std::string_view::npos);
      return std::string(text_.substr(begin + 1, at_ - begin - 2));
    }
    while (at_ < text_.size() && std::string_view(" |(){}?*+=:@!").find(text_[at_]) == std::string_view::npos)
      at_++;
    VARVE_CHECK(at_ > begin);
    return std::string(text_.substr(begin, at_ - begin));
  }

  DocArgument argument() {
    DocArgument argument;
    argument.name = word();
    if (take('=')) {
      argument.token = argument.name;
      argument.name = word();
    } else if (is_token(argument.name)) {
      argument.token = argument.name;
      for (char& c : argument.name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
      argument.type = "pure-token";
    }
    if (argument.type.empty()) argument.type = "string";
    if (take(':')) set_type(word(), &argument);
    if (take('(')) {
      argument.type = "oneof";
      argument.parts = list('|');
      VARVE_CHECK(take(')'));
    } else if (take('{')) {
      argument.type = "block";
      argument.parts = list(' ');
      VARVE_CHECK(take('}'));
    }
    size_t marks = std::min(text_.find_first_not_of("?*+", at_), text_.size());
    std::string_view marked = text_.substr(at_, marks - at_);
    at_ = marks;
    for (auto [mark, flag] : {std::pair{'?', "optional"}, {'*', "multiple"}, {'+', "multiple_token"}}) {
      if (marked.find(mark) != std::string_view::npos) argument.flags.emplace_back(flag);
    }
    if (take('@')) argument.since = word();
    if (take('!')) argument.deprecated_since = word();
    return argument;
  }

  static bool is_token(std::string_view name) {
    for (char c : name) {
      if (c >= 'a' && c <= 'z') return false;
    }
    return true;
  }

  static void set_type(std::string type, DocArgument* argument) {
    if (type.back() >= '0' && type.back() <= '9') {
      argument->key_spec = type.back() - '0';
      type.pop_back();
    }
    argument->type = std::move(type);
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

CommandDocs command_docs(std::string_view full_name) {
  static const std::unordered_map<std::string_view, const CommandDocs*> index = [] {
    std::unordered_map<std::string_view, const CommandDocs*> docs;
    for (const CommandDocs& entry : kDocs) docs.emplace(entry.name, &entry);
    return docs;
  }();
  auto it = index.find(full_name);
  return it == index.end() ? CommandDocs() : *it->second;
}

std::vector<DocArgument> parse_syntax(std::string_view syntax) {
  return SyntaxParser(syntax).parse();
}

}  // namespace varve
