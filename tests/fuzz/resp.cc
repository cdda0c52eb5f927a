// A connection: bytes from the network in arbitrary pieces, through the real parser, connection, dispatcher,
// keyspace and engine (files in memory), to replies. Whatever comes, every reply is well-formed RESP, the
// connection holds no more memory than its limits say, everything comes to rest, and the replies do not
// depend on how the bytes were cut (unless a command asked for what does depend on it).
//
// An input: one byte of flags (a password is set; reads miss), one for the sizes of the pieces, then the
// bytes.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "fuzz/session.h"
#include "fuzz/target.h"
#include "server/config_text.h"

namespace varve::fuzz {
namespace {

// How deep varve's own replies nest at most: COMMAND DOCS of a subcommand's arguments within arguments.
constexpr int kDepthMax = 12;

// Length of the well-formed reply at the front; 0 if there is no whole one.
size_t reply_size(std::string_view in, int depth) {
  size_t line = in.find("\r\n");
  if (line == std::string_view::npos || line == 0 || depth > kDepthMax) return 0;
  std::string_view head = in.substr(1, line - 1);
  size_t used = line + 2;
  int64_t n = 0;
  auto [end, error] = std::from_chars(head.data(), head.data() + head.size(), n);
  bool number = error == std::errc() && end == head.data() + head.size();
  switch (in[0]) {
    case '+':
    case '-':
    case '(':
      return head.find_first_of("\r\n") == std::string_view::npos ? used : 0;
    case ':':
      return number ? used : 0;
    case ',':
    case '_':
    case '#':
      return used;
    case '$':
    case '=':
    case '!':
      if (!number || n < -1) return 0;
      if (n == -1) return used;
      if (in.size() < used + static_cast<size_t>(n) + 2) return 0;
      return in.substr(used + static_cast<size_t>(n), 2) == "\r\n" ? used + static_cast<size_t>(n) + 2 : 0;
    case '*':
    case '~':
    case '>':
    case '%':
    case '|': {
      if (!number || n < -1) return 0;
      int64_t parts = in[0] == '%' || in[0] == '|' ? 2 * n : n;
      for (int64_t i = 0; i < parts; ++i) {
        size_t part = reply_size(in.substr(used), depth + 1);
        if (part == 0) return 0;
        used += part;
      }
      return used;
    }
    default:
      return 0;
  }
}

// Commands that tell of the connection, of time, of chance, or of work done.
bool may_depend_on_pieces(std::string_view bytes) {
  std::string lower = lower_case(bytes);
  for (const char* word :
       {"client",   "info",   "rand",    "debug",   "memory",  "time", "ttl",      "scan",   "config",
        "ex",       "px",     "monitor", "slowlog", "latency", "wait", "lastsave", "bgsave", "save",
        "shutdown", "object", "hello",   "reset",   "dbsize",  "copy", "keys",     "idle",   "spop"}) {
    if (lower.find(word) != std::string::npos) return true;
  }
  return false;
}

void run(std::string_view input) {
  if (input.size() < 2) return;
  const auto flags = static_cast<uint8_t>(input[0]);
  const auto pieces = static_cast<uint8_t>(input[1]);
  std::string_view bytes = input.substr(2);
  const SessionOptions options{(flags & 1) != 0, (flags & 2) != 0};
  const auto [replies, open] = converse(options, bytes, pieces);
  // A connection that was closed for its output may have been cut anywhere.
  const bool cut_off = replies.size() > kReplyMax / 2 || !open;
  std::string_view rest = replies;
  while (!rest.empty()) {
    size_t n = reply_size(rest, 0);
    VARVE_CHECK(n > 0 || cut_off);
    if (n == 0) break;
    rest.remove_prefix(n);
  }
  if ((flags & 4) == 0 || cut_off || may_depend_on_pieces(bytes)) return;
  VARVE_CHECK(converse(options, bytes, 0).replies == replies);
}

// --- inputs ---

const char* const kWords[] = {"SET",
                              "GET",
                              "DEL",
                              "APPEND",
                              "STRLEN",
                              "SETRANGE",
                              "GETRANGE",
                              "MSET",
                              "MGET",
                              "MSETNX",
                              "INCR",
                              "INCRBY",
                              "INCRBYFLOAT",
                              "DECR",
                              "GETSET",
                              "GETDEL",
                              "GETEX",
                              "SETNX",
                              "SETEX",
                              "PSETEX",
                              "EXPIRE",
                              "PEXPIRE",
                              "EXPIREAT",
                              "PERSIST",
                              "TTL",
                              "PTTL",
                              "EXPIRETIME",
                              "RENAME",
                              "RENAMENX",
                              "COPY",
                              "MOVE",
                              "SWAPDB",
                              "SELECT",
                              "FLUSHDB",
                              "FLUSHALL",
                              "DBSIZE",
                              "KEYS",
                              "SCAN",
                              "RANDOMKEY",
                              "TYPE",
                              "EXISTS",
                              "TOUCH",
                              "UNLINK",
                              "OBJECT",
                              "PING",
                              "ECHO",
                              "HELLO",
                              "AUTH",
                              "CLIENT",
                              "CONFIG",
                              "COMMAND",
                              "INFO",
                              "DEBUG",
                              "QUIT",
                              "RESET",
                              "LCS",
                              "SUBSTR",
                              "WAITAOF",
                              "WAIT",
                              "TIME",
                              "MULTI",
                              "MULTI",
                              "EXEC",
                              "EXEC",
                              "DISCARD",
                              "WATCH",
                              "UNWATCH",
                              "SUBSCRIBE",
                              "PSUBSCRIBE",
                              "UNSUBSCRIBE",
                              "PUBLISH",
                              "PUBSUB",
                              "HSET",
                              "HSET",
                              "HGET",
                              "HMGET",
                              "HDEL",
                              "HGETALL",
                              "HINCRBY",
                              "HINCRBYFLOAT",
                              "HSCAN",
                              "HRANDFIELD",
                              "HLEN",
                              "SADD",
                              "SADD",
                              "SREM",
                              "SMOVE",
                              "SPOP",
                              "SRANDMEMBER",
                              "SMEMBERS",
                              "SSCAN",
                              "SINTER",
                              "SUNIONSTORE",
                              "SDIFF",
                              "SINTERCARD",
                              "LPUSH",
                              "RPUSH",
                              "LPUSHX",
                              "RPUSHX",
                              "LPOP",
                              "RPOP",
                              "LMPOP",
                              "LMOVE",
                              "RPOPLPUSH",
                              "LRANGE",
                              "LINDEX",
                              "LSET",
                              "LTRIM",
                              "LINSERT",
                              "LREM",
                              "LPOS",
                              "LLEN",
                              "BLPOP",
                              "BRPOP",
                              "BLMOVE",
                              "BLMPOP",
                              "BRPOPLPUSH",
                              "ZADD",
                              "ZADD",
                              "ZINCRBY",
                              "ZREM",
                              "ZSCORE",
                              "ZMSCORE",
                              "ZRANK",
                              "ZREVRANK",
                              "ZCARD",
                              "ZRANDMEMBER",
                              "ZSCAN",
                              "ZPOPMIN",
                              "ZPOPMAX",
                              "ZMPOP",
                              "BZPOPMIN",
                              "BZPOPMAX",
                              "BZMPOP",
                              "ZRANGE",
                              "ZREVRANGE",
                              "ZRANGEBYSCORE",
                              "ZREVRANGEBYLEX",
                              "ZRANGESTORE",
                              "ZCOUNT",
                              "ZLEXCOUNT",
                              "ZREMRANGEBYRANK",
                              "ZREMRANGEBYSCORE",
                              "ZREMRANGEBYLEX",
                              "ZUNION",
                              "ZINTER",
                              "ZDIFF",
                              "ZUNIONSTORE",
                              "ZINTERSTORE",
                              "ZDIFFSTORE",
                              "ZINTERCARD"};
const char* const kArguments[] = {"a",
                                  "b",
                                  "key:1",
                                  "key:2",
                                  "",
                                  "0",
                                  "1",
                                  "-1",
                                  "10",
                                  "65536",
                                  "9223372036854775807",
                                  "-9223372036854775808",
                                  "1.5",
                                  "nan",
                                  "inf",
                                  "EX",
                                  "PX",
                                  "NX",
                                  "XX",
                                  "GT",
                                  "LT",
                                  "KEEPTTL",
                                  "EXAT",
                                  "MATCH",
                                  "COUNT",
                                  "TYPE",
                                  "string",
                                  "*",
                                  "k*",
                                  "[a-",
                                  "ENCODING",
                                  "REPLACE",
                                  "DB",
                                  "SETNAME",
                                  "SETINFO",
                                  "GETNAME",
                                  "LIST",
                                  "ID",
                                  "KILL",
                                  "NO-EVICT",
                                  "GET",
                                  "SET",
                                  "secret",
                                  "default",
                                  "maxmemory",
                                  "appendfsync",
                                  "2",
                                  "3",
                                  "LEN",
                                  "IDX",
                                  "SLEEP",
                                  "STRING",
                                  "LSM",
                                  "PROTOCOL",
                                  "COUNTKEYSINSLOT",
                                  "DOCS",
                                  "GETKEYS",
                                  "\r\n",
                                  "FLUSH",
                                  "ASYNC",
                                  "SYNC",
                                  "WITHVALUES",
                                  "LIMIT",
                                  "notify-keyspace-events",
                                  "KEA",
                                  "LEFT",
                                  "RIGHT",
                                  "BEFORE",
                                  "AFTER",
                                  "RANK",
                                  "MAXLEN",
                                  "MIN",
                                  "MAX",
                                  "BYSCORE",
                                  "BYLEX",
                                  "REV",
                                  "WITHSCORES",
                                  "WITHSCORE",
                                  "INCR",
                                  "CH",
                                  "WEIGHTS",
                                  "AGGREGATE",
                                  "(1",
                                  "[a",
                                  "(b",
                                  "-",
                                  "+",
                                  "-inf",
                                  "+inf",
                                  "0.01",
                                  "list:1",
                                  "zset:1"};

void append_command(std::string* out, const std::vector<std::string>& words) {
  *out += fmt::format("*{}\r\n", words.size());
  for (const std::string& word : words) *out += fmt::format("${}\r\n{}\r\n", word.size(), word);
}

std::string argument(Random* random) {
  if (random->one_in(12)) return std::string(random->below(9000), static_cast<char>('a' + random->below(26)));
  if (random->one_in(10)) return std::to_string(edge_number(random, 20));
  if (random->one_in(20)) return std::string(1, static_cast<char>(random->next()));
  return kArguments[random->below(std::size(kArguments))];
}

void append_random_command(std::string* out, Random* random) {
  std::vector<std::string> words = {kWords[random->below(std::size(kWords))]};
  for (uint64_t n = random->below(5); n > 0; --n) words.push_back(argument(random));
  if (random->one_in(8)) {
    std::string line;
    for (const std::string& word : words) line += (line.empty() ? "" : " ") + quote_word(word);
    *out += line + "\r\n";
  } else {
    append_command(out, words);
  }
}

std::string make(Random* random) {
  std::string out;
  out += static_cast<char>(random->one_in(3) ? random->next() : 4);
  out += static_cast<char>(random->one_in(3) ? 0 : random->one_in(2) ? random->below(20) : random->next());
  append_command(&out, {"SET", "key:1", std::string(random->below(40), 'v')});
  append_command(&out, {"APPEND", "key:2", std::string(random->below(9000), 'w')});
  append_command(&out, {"RPUSH", "list:1", "a", std::string(random->below(2000), 'x'), "b"});
  append_command(&out,
                 {"ZADD", "zset:1", "1", "a", "2.5", "b", "-inf", std::string(random->below(2000), 'y')});
  for (uint64_t n = random->below(12); n > 0; --n) append_random_command(&out, random);
  return out;
}

// The places where something of the protocol begins.
void mutate(std::string* input, Random* random) {
  static const char* const kPieces[] = {"*1\r\n",
                                        "*0\r\n",
                                        "*-1\r\n",
                                        "$-1\r\n",
                                        "$0\r\n\r\n",
                                        "\r\n",
                                        "*2147483648\r\n",
                                        "$9223372036854775807\r\n",
                                        "$4\r\nPING\r\n",
                                        "GET a\r\n",
                                        "\"",
                                        "'",
                                        "\\x4",
                                        "*3\r\n$3\r\nSET\r\n",
                                        "$ 1\r\n",
                                        "*+1\r\n",
                                        "QUIT\r\n",
                                        "GET / HTTP/1.1\r\n",
                                        "Host: x\r\n"};
  if (input->size() < 2) *input = make(random);
  size_t at = 2;
  for (uint64_t n = random->below(30); n > 0; --n) {
    size_t next = input->find("\r\n", at);
    if (next == std::string::npos) break;
    at = next + 2;
  }
  switch (random->below(7)) {
    case 0: {
      std::string command;
      append_random_command(&command, random);
      input->insert(at, command);
      break;
    }
    case 1:
      input->insert(at, kPieces[random->below(std::size(kPieces))]);
      break;
    case 2: {  // a line away
      size_t end = input->find("\r\n", at);
      if (end != std::string::npos) input->erase(at, end + 2 - at);
      break;
    }
    case 3: {  // an argument's content and length
      std::string word = argument(random);
      input->insert(at, fmt::format("${}\r\n{}\r\n", word.size(), word));
      break;
    }
    case 4:
      (*input)[random->below(2)] = static_cast<char>(random->next());
      break;
    case 5: {  // a part once more
      std::string part = input->substr(2, random->below(std::min<size_t>(input->size() - 2, 3000) + 1));
      input->insert(at, part);
      break;
    }
    default:
      mutate_bytes(input, random);
      break;
  }
}

// Replies, values and the engine's own buffers are bounded by the limits above, not by the input.
uint64_t allocation_max(size_t) {
  return 8 << 20;
}

const Registration registration({"resp", "a connection's bytes, in pieces, to a whole server without sockets",
                                 48 * 1024, run, make, mutate, allocation_max});

}  // namespace
}  // namespace varve::fuzz
