// Commands that speak of the process: CONFIG, INFO, CLIENT LIST and KILL, AUTH, SHUTDOWN, DEBUG. A host of
// plain values stands behind them, and no engine: the server is still loading, which these commands must not
// mind.
#include <doctest/doctest.h>

#include <map>
#include <memory>

#include "command/command_docs.h"
#include "command/command_table.h"
#include "command/dispatcher.h"
#include "server/config.h"
#include "server/config_text.h"
#include "server/info.h"
#include "support/script.h"

namespace varve {
namespace {

constexpr int64_t kNowUs = 1'700'000'000'123'456;

class FixedClock final : public Clock {
 public:
  int64_t now_us() override { return kNowUs; }
  int64_t monotonic_us() override { return 0; }
};

class RecordingHost final : public Host {
 public:
  std::vector<std::pair<std::string, std::string>> config_get(std::string_view pattern) override {
    return configuration.get(pattern);
  }
  Status config_set(const std::vector<std::pair<std::string, std::string>>& settings) override {
    return configuration.set(settings, nullptr);
  }
  void config_rewrite(std::function<void(Status)> done) override {
    done(Status::invalid_argument("The server is running without a config file"));
  }
  void reset_stats() override { events += "statistics reset\n"; }
  const std::string& password() const override { return configuration.values().requirepass; }
  uint32_t databases() const override { return configuration.values().databases; }
  uint64_t max_bulk() const override { return configuration.values().proto_max_bulk_len; }
  std::vector<const ClientState*> clients() override { return {connected.begin(), connected.end()}; }
  bool kill_client(uint64_t id) override {
    events += fmt::format("client {} killed\n", id);
    return true;
  }
  std::string info(const std::vector<std::string>& sections) override {
    InfoData data;
    data.maxclients = configuration.values().maxclients;
    return info_text(data, sections);
  }
  void shutdown(bool now, bool force) override {
    events += fmt::format("shutdown{}{}\n", now ? " now" : "", force ? " force" : "");
  }
  void checkpoint(std::function<void(Status)> done) override { done(Status()); }
  bool checkpoint_running() const override { return false; }
  int64_t last_checkpoint_s() const override { return 1'600'000'000; }
  void after_ms(int64_t ms, std::function<void()> call) override {
    events += fmt::format("after {} ms\n", ms);
    later.push_back(std::move(call));
  }
  int64_t uptime_s() const override { return 1; }

  Configuration configuration;
  std::vector<ClientState*> connected;
  std::vector<std::function<void()>> later;
  std::string events;
};

class Stage {
 public:
  Stage() : dispatcher_(host_, clock_, 1) {}

  std::string run(const test::Step& step) {
    host_.events.clear();
    if (step.name == "client") return connect(step);
    if (step.name == "later") return run_later();
    if (step.name != "run") return "unknown step\n";
    std::string out;
    uint64_t id = static_cast<uint64_t>(step.number("by", 1));
    for (const std::string& line : step.input_lines()) out += run_command(id, line);
    return out + host_.events;
  }

 private:
  struct Client {
    ClientState state;
    OutputBuffer out;
    Invocation invocation;
  };

  // A new connection: id=, address=, age= in seconds.
  std::string connect(const test::Step& step) {
    auto client = std::make_unique<Client>();
    ClientState& state = client->state;
    state.id = static_cast<uint64_t>(step.number("id"));
    state.fd = static_cast<int>(state.id) + 10;
    state.address = step.text("address");
    state.local_address = "127.0.0.1:6379";
    state.unix_socket = state.address[0] == '/';
    state.created_ms = kNowUs / 1000 - step.number("age") * 1000;
    state.last_interaction_ms = kNowUs / 1000;
    host_.connected.push_back(&state);
    clients_[state.id] = std::move(client);
    return "";
  }

  std::string run_command(uint64_t id, const std::string& line) {
    Client& client = *clients_.at(id);
    client.invocation.reset();
    words_ = split_words(line).value();
    client.invocation.args.assign(words_.begin(), words_.end());
    client.invocation.resume = [&client](Sequence, const std::function<void(OutputBuffer&, int)>& write) {
      write(client.out, client.state.protocol);
    };
    RunResult result = dispatcher_.run(client.state, client.invocation, client.out);
    std::string out = taken(client);
    if (result == RunResult::kSuspended) out += "suspended\n";
    if (out.empty()) out = "no reply\n";
    if (client.state.close_after_reply) out += "closes\n";
    return out;
  }

  // The reply as it goes to the socket, line ends drawn as blanks.
  static std::string taken(Client& client) {
    std::string bytes(client.out.unsent(client.out.end())), out;
    client.out.consume(bytes.size());
    for (char c : bytes) {
      if (c == '\n')
        out += ' ';
      else if (c != '\r')
        out += c;
    }
    return out.empty() ? out : out + "\n";
  }

  std::string all_replies() {
    std::string out;
    for (auto& [id, client] : clients_) {
      std::string reply = taken(*client);
      if (!reply.empty()) out += fmt::format("{}: {}", id, reply);
    }
    return out + host_.events;
  }

  std::string run_later() {
    auto calls = std::move(host_.later);
    host_.later.clear();
    for (auto& call : calls) call();
    return all_replies();
  }

  FixedClock clock_;
  RecordingHost host_;
  Dispatcher dispatcher_;
  std::map<uint64_t, std::unique_ptr<Client>> clients_;
  std::vector<std::string> words_;
};

TEST_CASE("admin commands script") {
  Stage stage;
  test::run_script("script/admin_commands.txt", [&](const test::Step& step) { return stage.run(step); });
}

void check_argument(const DocArgument& argument) {
  CAPTURE(argument.name);
  CHECK(!argument.type.empty());
  CHECK((argument.type == "oneof" || argument.type == "block") == !argument.parts.empty());
  // SORT's patterns make keys too.
  CHECK((argument.type == "key" || argument.type == "pattern") >= (argument.key_spec >= 0));
  CHECK((argument.type == "key") <= (argument.key_spec >= 0));
  for (const DocArgument& part : argument.parts) check_argument(part);
}

// Goal: every command is described, and its description can be read. Method: walk the table.
TEST_CASE("every command has its facts") {
  CommandTable table;
  build_command_table(table);
  auto check = [](const Command& command) {
    CAPTURE(command.full_name);
    CHECK(std::string_view(command.summary) != "");
    CHECK(std::string_view(command.since) != "");
    CHECK(std::string_view(command.group) != "");
    CHECK(command.arity != 0);
    CHECK(command.categories != 0);
    CHECK((command.run != nullptr || !command.subcommands.empty()));
    for (const DocArgument& argument : parse_syntax(command_docs(command.full_name).syntax))
      check_argument(argument);
  };
  for (const auto& command : table.commands()) {
    check(*command);
    for (const Command& sub : command->subcommands) check(sub);
  }
}

std::string drawn(const DocArgument& argument) {
  std::string out = argument.token.empty() ? argument.name : argument.token + "/" + argument.name;
  out += ":" + argument.type;
  if (argument.key_spec >= 0) out += std::to_string(argument.key_spec);
  for (const std::string& flag : argument.flags) out += "," + flag;
  for (const DocArgument& part : argument.parts) out += " <" + drawn(part) + ">";
  return out;
}

TEST_CASE("the syntax of arguments") {
  CHECK(parse_syntax("").empty());
  auto draw = [](std::string_view syntax) {
    std::string out;
    for (const DocArgument& argument : parse_syntax(syntax)) out += drawn(argument) + "; ";
    return out;
  };
  CHECK(draw("key:key1* value XX?") == "key:key1,multiple; value:string; XX/xx:pure-token,optional; ");
  CHECK(draw("expiration(EX=seconds:integer|KEEPTTL)?") ==
        "expiration:oneof,optional <EX/seconds:integer> <KEEPTTL/keepttl:pure-token>; ");
  CHECK(draw("ID=id{client:integer*}? x") == "ID/id:block,optional <client:integer,multiple>; x:string; ");
}

}  // namespace
}  // namespace varve
