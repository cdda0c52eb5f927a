// command_script_test.cc: runs tests/server/commands/*.txt: commands and the replies they must get, written
// as redis-cli prints them. In process against the real engine, in several ways of placing the data; or
// against a real Redis, to prove the expectations:
//
//   command_scripts                                    in process
//   command_scripts --host 127.0.0.1 --port 6379       a server with nothing worth keeping in it: it is
//   flushed
//
// A script:
//   # comment
//   > SET greeting "hello\r\n"      a command; words as in redis-cli, x*5000 stands for that many x
//   OK                              its reply, up to the next line that begins with >, #, or an empty line
//   2> GET greeting                 the same from a second client
//   2 sends> BLPOP list 0           the same without waiting for a reply
//   2 reads>                        the next reply or message the second client gets
//   2 leaves>                       closes its connection
//   2 speaks> 3                     HELLO 3, whatever that replies
//   sorted> KEYS *                  the reply's elements in any order
//   count> KEYS *                   how many elements the reply has
//   scan> COUNT 2 MATCH u*          a whole walk with SCAN and these options: all its keys, sorted; also
//                                   behind count>
//   walk> SSCAN key COUNT 2         the same with HSCAN, SSCAN or ZSCAN
//   fill> name: 100                 sets name:1 to name:100
//   fill> SADD key name: 100        one command with these names; HSET with the value x for each, ZADD
//                                   with the score 1
//   varve> ...                      not sent to a real Redis
//   wait> 50                        milliseconds pass
//   compact>  reopen>               what it says; nothing on a real Redis
//
// The word $id2 in a command stands for the second client's CLIENT ID.
//
// VARVE_REWRITE=1 writes what came out into the scripts.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "command/numbers.h"
#include "server/in_process.h"

namespace varve::test {
namespace {

// --- who answers ---

// Where the reply at the start of `text` ends; npos when it is not all there.
size_t reply_end(std::string_view text, size_t at = 0) {
  size_t line = text.find("\r\n", at);
  if (line == std::string_view::npos) return line;
  size_t next = line + 2;
  int64_t n = 0;
  if (std::strchr("$*%~>=", text[at]) == nullptr) return next;
  if (!parse_integer(text.substr(at + 1, line - at - 1), &n) || n < 0) return next;
  if (text[at] == '$' || text[at] == '=') {
    next += static_cast<size_t>(n) + 2;
    return next <= text.size() ? next : std::string_view::npos;
  }
  if (text[at] == '%') n *= 2;
  for (int64_t i = 0; i < n && next != std::string_view::npos; ++i) next = reply_end(text, next);
  return next;
}

class Target {
 public:
  virtual ~Target() = default;
  virtual void send(uint64_t client, const std::vector<std::string>& args) = 0;
  // The next reply or message a client gets; empty when there comes none. `patient`: one is expected.
  std::string receive(uint64_t client, bool patient = true) {
    std::string& inbox = inboxes_[client];
    size_t end = std::string::npos;
    while (inbox.empty() || (end = reply_end(inbox)) == std::string::npos) {
      std::string more = read(client, patient);
      if (more.empty()) return "";
      inbox += more;
    }
    std::string reply = inbox.substr(0, end);
    inbox.erase(0, end);
    return reply;
  }
  std::string run(uint64_t client, const std::vector<std::string>& args) {
    send(client, args);
    return receive(client);
  }
  virtual std::string id_of(uint64_t client) = 0;
  virtual void disconnect(uint64_t client) = 0;
  virtual void wait_ms(int64_t ms) = 0;
  virtual bool is_varve() const = 0;
  virtual void compact() {}
  virtual void reopen() {}

 protected:
  virtual std::string read(uint64_t client, bool patient) = 0;

 private:
  std::map<uint64_t, std::string> inboxes_;
};

class LocalTarget final : public Target {
 public:
  explicit LocalTarget(InProcessOptions options) : server_(options) {}
  void send(uint64_t client, const std::vector<std::string>& args) override {
    sent_[client] += server_.run(client, args);
  }
  std::string id_of(uint64_t client) override { return std::to_string(client); }
  void disconnect(uint64_t client) override { server_.disconnect(client); }
  void wait_ms(int64_t ms) override { server_.advance_ms(ms); }
  bool is_varve() const override { return true; }
  void compact() override { server_.compact(); }
  void reopen() override { server_.reopen(); }

 private:
  std::string read(uint64_t client, bool) override {
    return std::exchange(sent_[client], {}) + server_.take(client);
  }
  InProcessServer server_;
  std::map<uint64_t, std::string> sent_;
};

class SocketTarget final : public Target {
 public:
  SocketTarget(std::string host, int port) : host_(std::move(host)), port_(port) {
    run(1, {"FLUSHALL"});
    run(1, {"CONFIG", "SET", "notify-keyspace-events", ""});
  }
  ~SocketTarget() override {
    for (auto [client, fd] : sockets_) ::close(fd);
  }
  void send(uint64_t client, const std::vector<std::string>& args) override {
    std::string request = fmt::format("*{}\r\n", args.size());
    for (const std::string& arg : args) request += fmt::format("${}\r\n", arg.size()) + arg + "\r\n";
    int fd = socket_of(client);
    for (size_t sent = 0; sent < request.size();) {
      ssize_t n = ::write(fd, request.data() + sent, request.size() - sent);
      if (n <= 0) return;
      sent += static_cast<size_t>(n);
    }
    ::usleep(kArrivalUs);  // before what another client sends next
  }
  std::string id_of(uint64_t client) override {
    socket_of(client);
    return ids_[client];
  }
  void disconnect(uint64_t client) override {
    ::close(socket_of(client));
    sockets_.erase(client);
    ::usleep(kArrivalUs);
  }
  void wait_ms(int64_t ms) override { ::usleep(static_cast<useconds_t>(ms * 1000)); }
  bool is_varve() const override { return false; }

 private:
  static constexpr useconds_t kArrivalUs = 2000;

  std::string read(uint64_t client, bool patient) override {
    pollfd ready = {socket_of(client), POLLIN, 0};
    if (::poll(&ready, 1, patient ? 1000 : 20) <= 0) return "";
    char buffer[64 * 1024];
    ssize_t n = ::read(ready.fd, buffer, sizeof buffer);
    return n <= 0 ? "-the server closed the connection\r\n" : std::string(buffer, static_cast<size_t>(n));
  }
  int socket_of(uint64_t client) {
    auto found = sockets_.find(client);
    if (found != sockets_.end()) return found->second;
    int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port_));
    ::inet_pton(AF_INET, host_.c_str(), &address.sin_addr);
    if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      fmt::print(stderr, "cannot connect to {}:{}: {}\n", host_, port_, std::strerror(errno));
      std::exit(2);
    }
    sockets_[client] = fd;
    std::string id = run(client, {"CLIENT", "ID"});
    ids_[client] = id.substr(1, id.size() - 3);
    return fd;
  }
  std::string host_;
  int port_;
  std::map<uint64_t, int> sockets_;
  std::map<uint64_t, std::string> ids_;
};

// --- replies as redis-cli prints them ---

std::string quoted(std::string_view bytes) {
  if (bytes.size() > 200) {
    uint32_t sum = 0;
    for (char c : bytes) sum = sum * 31 + static_cast<unsigned char>(c);
    return fmt::format("({} bytes, sum {:08x})", bytes.size(), sum);
  }
  std::string out = "\"";
  for (char c : bytes) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// Prints the reply at *at and leaves *at behind it. Lines inside an array are indented by its numbers.
std::string printed(std::string_view text, size_t* at, bool sorted) {
  size_t line_end = text.find("\r\n", *at);
  if (line_end == std::string_view::npos) return "(no reply)";
  char kind = text[*at];
  std::string line(text.substr(*at + 1, line_end - *at - 1));
  *at = line_end + 2;
  int64_t n = 0;
  switch (kind) {
    case '+':
      return line;
    case '-':
      return "(error) " + line;
    case ':':
      return "(integer) " + line;
    case ',':
      return "(double) " + line;
    case '#':
      return line == "t" ? "(true)" : "(false)";
    case '_':
      return "(nil)";
    case '$':
    case '=': {
      if (!parse_integer(line, &n) || n < 0) return "(nil)";
      std::string_view bytes = text.substr(*at, static_cast<size_t>(n));
      *at += static_cast<size_t>(n) + 2;
      return quoted(bytes);
    }
    default:
      break;
  }
  if (!parse_integer(line, &n) || n < 0) return "(nil)";
  if (n == 0) return kind == '*' ? "(empty array)" : kind == '%' ? "(empty hash)" : "(empty set)";
  if (kind == '%') n *= 2;
  std::vector<std::string> elements;
  for (int64_t i = 0; i < n; ++i) elements.push_back(printed(text, at, sorted));
  if (sorted) std::sort(elements.begin(), elements.end());
  std::string out = kind == '>' ? "(push)\n" : "";
  for (size_t i = 0; i < elements.size(); ++i) {
    std::string prefix = fmt::format("{}{}) ", i == 0 ? "" : "\n", i + 1);
    std::string indent(prefix.size() - (i == 0 ? 0 : 1), ' ');
    out += prefix;
    for (char c : elements[i]) {
      out += c;
      if (c == '\n') out += indent;
    }
  }
  return out;
}

// --- scripts ---

// The words of a command line: quotes and escapes as in redis-cli; an unquoted x*N is N times x.
std::vector<std::string> split_words(const std::string& line) {
  std::vector<std::string> words;
  for (size_t i = 0; i < line.size();) {
    if (line[i] == ' ') {
      ++i;
      continue;
    }
    std::string word;
    bool was_quoted = line[i] == '"';
    if (was_quoted) {
      for (++i; i < line.size() && line[i] != '"'; ++i) {
        if (line[i] != '\\') {
          word += line[i];
        } else if (line[++i] == 'x') {
          word += static_cast<char>(std::stoi(line.substr(i + 1, 2), nullptr, 16));
          i += 2;
        } else {
          word += line[i] == 'n' ? '\n' : line[i] == 'r' ? '\r' : line[i] == 't' ? '\t' : line[i];
        }
      }
      ++i;
    } else {
      while (i < line.size() && line[i] != ' ') word += line[i++];
      int64_t times = 0;
      if (word.size() > 2 && word[1] == '*' && word[0] != '*' && parse_integer(word.substr(2), &times)) {
        word = std::string(static_cast<size_t>(times), word[0]);
      }
    }
    words.push_back(std::move(word));
  }
  return words;
}

// Splits "sorted> KEYS *" into what stands before and behind the first "> ". False: not a command line.
bool split_prompt(const std::string& line, std::string* prompt, std::string* rest) {
  size_t at = line.find('>');
  if (at == std::string::npos || line.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789 ") != at)
    return false;
  *prompt = line.substr(0, at);
  *rest = at + 1 < line.size() ? line.substr(at + 2) : "";
  return true;
}

struct Step {
  std::string prompt;
  std::string command;
  std::string expected;
  size_t line = 0;  // of the command, from 1 on
  size_t end = 0;   // lines up to and with the reply
};

// The elements of a whole SCAN, HSCAN ..., as one array reply. `before` and `options` stand around the
// cursor. Every cursor is asked twice and must answer the same, only that behind missing blocks a page may
// end early.
std::string walk(Target& target, const std::vector<std::string>& before,
                 const std::vector<std::string>& options) {
  std::string elements;
  size_t count = 0;
  std::string cursor = "0";
  do {
    std::vector<std::string> args = before;
    args.push_back(cursor);
    args.insert(args.end(), options.begin(), options.end());
    std::string reply = target.run(1, args);
    std::string again = target.run(1, args);
    if (reply[0] != '*') return reply;
    size_t keys = reply_end(reply, 4);  // behind *2 and the cursor
    size_t digits = reply.find("\r\n", 4) + 2;
    cursor = reply.substr(digits, keys - 2 - digits);
    size_t first = reply.find("\r\n", keys) + 2;
    std::string_view shown = std::string_view(reply).substr(first);
    std::string_view shown_again =
        std::string_view(again).substr(again.find("\r\n", reply_end(again, 4)) + 2);
    if (target.is_varve() && !shown.starts_with(shown_again) && !shown_again.starts_with(shown))
      return "-asked twice, answered twice\r\n";
    count += std::stoull(reply.substr(keys + 1));
    elements += reply.substr(first);
  } while (cursor != "0");
  return fmt::format("*{}\r\n", count) + elements;
}

// The reply to a command of the script, which may be one of its own.
std::string answer(Target& target, uint64_t client, std::vector<std::string> words) {
  if (words.empty() || (words[0] != "scan" && words[0] != "walk")) return target.run(client, words);
  if (words[0] == "scan") return walk(target, {"SCAN"}, {words.begin() + 1, words.end()});
  return walk(target, {words.begin() + 1, words.begin() + 3}, {words.begin() + 3, words.end()});
}

void fill(Target& target, const std::vector<std::string>& words) {
  bool keys = words.size() == 2;
  std::vector<std::string> args = {"MSET"};
  if (!keys) args = {words.at(0), words.at(1)};
  for (int i = 1; i <= std::stoi(words.at(keys ? 1 : 3)); ++i) {
    if (words[0] == "ZADD") args.push_back("1");
    args.push_back(words.at(keys ? 0 : 2) + std::to_string(i));
    if (keys || words[0] == "HSET") args.push_back("x");
  }
  target.run(1, args);
}

bool walks(const Step& step) {
  return step.prompt == "scan" || step.prompt == "walk";
}

// A reply as the script has it.
std::string shown(const Step& step, std::string_view reply) {
  if (reply.empty()) return "(no reply)";
  if (step.prompt == "count") return std::string(reply.substr(0, reply.find('\r')));
  size_t at = 0;
  return printed(reply, &at, step.prompt == "sorted" || walks(step));
}

// Runs one step; nothing when it has no reply to compare.
std::optional<std::string> run_step(Target& target, const Step& step) {
  if (step.prompt == "wait") return target.wait_ms(std::stoll(step.command)), std::nullopt;
  if (step.prompt == "compact") return target.compact(), std::nullopt;
  if (step.prompt == "reopen") return target.reopen(), std::nullopt;
  if (step.prompt == "varve" && !target.is_varve()) return std::nullopt;
  if (step.prompt == "fill") return fill(target, split_words(step.command)), std::nullopt;
  bool numbered = !step.prompt.empty() && step.prompt[0] >= '0' && step.prompt[0] <= '9';
  uint64_t client = numbered ? std::stoull(step.prompt) : 1;
  auto asks_for = [&](const char* word) {
    return step.prompt == word || step.prompt == fmt::format("{} {}", client, word);
  };
  std::vector<std::string> words = split_words(walks(step) ? step.prompt + " " + step.command : step.command);
  for (std::string& word : words) {
    if (word.size() > 3 && word.compare(0, 3, "$id") == 0) word = target.id_of(std::stoull(word.substr(3)));
  }
  if (asks_for("leaves")) return target.disconnect(client), std::nullopt;
  if (asks_for("speaks")) return target.run(client, {"HELLO", step.command}), std::nullopt;
  if (asks_for("sends")) return target.send(client, words), std::nullopt;
  std::string reply = asks_for("reads") ? target.receive(client, step.expected != "(no reply)")
                                        : answer(target, client, words);
  return shown(step, reply);
}

struct Way {
  const char* name;
  InProcessOptions options;
  size_t in_exec = 0;                     // up to so many commands share an EXEC
  std::vector<std::string> scripts = {};  // all if empty
};

// The steps of a script, each with the line it stands in; and its other lines.
struct Script {
  std::vector<std::string> lines;
  std::vector<Step> steps;
};

Script read_script(const std::filesystem::path& path) {
  Script script;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) script.lines.push_back(line);
  const std::vector<std::string>& lines = script.lines;
  for (size_t i = 0; i < lines.size();) {
    Step step;
    if (!split_prompt(lines[i], &step.prompt, &step.command)) {
      ++i;
      continue;
    }
    step.line = ++i;
    std::string ignored;
    for (; i < lines.size() && !lines[i].empty() && lines[i][0] != '#' &&
           !split_prompt(lines[i], &ignored, &ignored);
         ++i) {
      step.expected += (step.expected.empty() ? "" : "\n") + lines[i];
    }
    step.end = i;
    script.steps.push_back(std::move(step));
  }
  return script;
}

// --- inside MULTI ---

// Commands about keys, of the first client.
bool may_be_queued(const Step& step) {
  static const std::set<std::string> others = {"HELLO", "CLIENT", "CONFIG", "COMMAND", "DEBUG",
                                               "INFO",  "SELECT", "RESET",  "MULTI",   "EXEC"};
  if (step.prompt != "" && step.prompt != "sorted" && step.prompt != "count") return false;
  std::vector<std::string> words = split_words(step.command);
  if (words.empty() || words[0] == "walk" || others.contains(words[0])) return false;
  bool counts = words[0] == "OBJECT" && words.size() > 1 && words[1] == "REFCOUNT";
  return !counts;  // Redis counts one more of what is queued
}

// Runs so many steps from `first` on as one EXEC; their replies, of at least one. A command that is not even
// queued is the last of them, and runs by itself.
std::vector<std::string> run_exec(Target& target, const std::vector<Step>& steps, size_t first,
                                  size_t count) {
  std::string refusal;
  size_t queued = 0;
  target.run(1, {"MULTI"});
  for (; queued < count && refusal.empty(); ++queued) {
    std::string reply = target.run(1, split_words(steps[first + queued].command));
    if (reply != "+QUEUED\r\n") refusal = shown(steps[first + queued], reply);
  }
  std::vector<std::string> replies;
  if (!refusal.empty()) {
    target.run(1, {"DISCARD"});
    if (--queued > 0) replies = run_exec(target, steps, first, queued);
    replies.push_back(refusal);
    return replies;
  }
  std::string reply = target.run(1, {"EXEC"});
  size_t at = reply.find("\r\n") + 2;
  for (size_t i = 0; i < queued && at < reply.size(); ++i) {
    size_t end = reply_end(reply, at);
    if (end == std::string::npos) break;
    replies.push_back(shown(steps[first + i], std::string_view(reply).substr(at, end - at)));
    at = end;
  }
  replies.resize(queued, "(nothing from EXEC: " + reply.substr(0, 100) + ")");
  return replies;
}

// Runs a script; returns how many replies were wrong. `rewritten` gets the script with the replies that came.
int run_file(Target& target, const std::filesystem::path& path, const Way& way, std::string* rewritten) {
  Script script = read_script(path);
  const std::vector<Step>& steps = script.steps;
  int wrong = 0;
  size_t copied = 0;
  auto copy_lines = [&](size_t end) {
    for (; copied < end; ++copied) *rewritten += script.lines[copied] + "\n";
  };
  for (size_t i = 0; i < steps.size();) {
    size_t together = 0;
    while (together < way.in_exec && i + together < steps.size() && may_be_queued(steps[i + together]))
      ++together;
    std::vector<std::optional<std::string>> replies;
    if (together > 0) {
      for (std::string& reply : run_exec(target, steps, i, together)) replies.emplace_back(std::move(reply));
    } else {
      replies.push_back(run_step(target, steps[i]));
    }
    for (const std::optional<std::string>& got : replies) {
      const Step& step = steps[i++];
      copy_lines(step.line);
      copied = step.end;
      if (got || !step.expected.empty()) *rewritten += got.value_or(step.expected) + "\n";
      if (!got || *got == step.expected) continue;
      ++wrong;
      fmt::print(stderr, "{}:{} ({}): {}\n  expected {}\n  got      {}\n", path.filename().string(),
                 step.line, way.name, step.command, step.expected, *got);
    }
  }
  copy_lines(script.lines.size());
  return wrong;
}

int run_all(const std::function<std::unique_ptr<Target>(const Way&)>& make, const std::vector<Way>& ways,
            bool rewrite) {
  int wrong = 0;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(VARVE_TESTS_DIR "/server/commands")) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    for (const Way& way : ways) {
      const std::vector<std::string>& only = way.scripts;
      bool runs = only.empty() || std::find(only.begin(), only.end(), file.filename()) != only.end();
      if (!runs) continue;
      std::unique_ptr<Target> target = make(way);
      std::string rewritten;
      wrong += run_file(*target, file, way, &rewritten);
      if (rewrite) std::ofstream(file, std::ios::trunc) << rewritten;
    }
  }
  fmt::print("{} scripts, {} ways, {} wrong replies\n", files.size(), ways.size(), wrong);
  return rewrite ? 0 : wrong;
}

}  // namespace
}  // namespace varve::test

int main(int argc, char** argv) {
  using namespace varve::test;
  std::string host = "127.0.0.1";
  int port = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--host") == 0) host = argv[i + 1];
    if (std::strcmp(argv[i], "--port") == 0) port = std::atoi(argv[i + 1]);
  }
  const char* rewrite_text = std::getenv("VARVE_REWRITE");
  bool rewrite = rewrite_text != nullptr && *rewrite_text != '\0';
  const std::vector<std::string> data = {"bits.txt",    "geo.txt",    "hashes.txt", "hyperloglogs.txt",
                                         "keys.txt",    "lists.txt",  "sets.txt",   "sort.txt",
                                         "streams.txt", "strings.txt"};
  if (port != 0) {
    auto connect = [&](const Way&) { return std::make_unique<SocketTarget>(host, port); };
    std::vector<Way> ways = {{"a real server", {}}, {"a real server, inside MULTI", {}, 7, data}};
    if (rewrite) ways.resize(1);
    return run_all(connect, ways, rewrite) == 0 ? 0 : 1;
  }
  std::vector<Way> ways = {
      {"in memory", {}},
      {"in tables, blocks missing at random", {.seed = 7, .random_miss_one_in = 2, .flush_often = true}},
      {"in tables, hardly any cache", {.seed = 11, .block_cache_size = 0, .flush_often = true}},
      {"each inside MULTI", {}, 1, data},
      {"some together inside MULTI", {}, 7, data},
      {"inside MULTI, blocks missing at random",
       {.seed = 13, .random_miss_one_in = 2, .flush_often = true},
       4,
       data},
  };
  if (rewrite) ways.resize(1);
  auto make = [](const Way& way) { return std::make_unique<LocalTarget>(way.options); };
  return run_all(make, ways, rewrite) == 0 ? 0 : 1;
}
