#include "prove/sim_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/checksum.h"
#include "prove/sim_core.h"
#include "prove/sim_resp.h"

namespace varve::prove {
namespace {

using test::Call;
using test::Fault;

constexpr size_t kClients = 6;
constexpr int64_t kTickUs = 100'000;

// What may go wrong with one call, by an action's number.
struct FaultKind {
  const char* name;
  Fault fault;
};
const FaultKind kFaults[] = {
    {"sync of the log fails", {.kind = Fault::Kind::kIoError, .call = Call::kSync, .path = "*.log"}},
    {"write to the log fails", {.kind = Fault::Kind::kIoError, .call = Call::kWrite, .path = "*.log"}},
    {"sync of a table fails", {.kind = Fault::Kind::kIoError, .call = Call::kSync, .path = "*.sst"}},
    {"write to a table fails", {.kind = Fault::Kind::kIoError, .call = Call::kWrite, .path = "*.sst"}},
    {"sync of the manifest fails",
     {.kind = Fault::Kind::kIoError, .call = Call::kSync, .path = "*MANIFEST*"}},
    {"write to the manifest fails",
     {.kind = Fault::Kind::kIoError, .call = Call::kWrite, .path = "*MANIFEST*"}},
    {"read of a table fails", {.kind = Fault::Kind::kIoError, .call = Call::kRead, .path = "*.sst"}},
    {"opening fails", {.kind = Fault::Kind::kIoError, .call = Call::kOpenRead}},
    {"a write is short", {.kind = Fault::Kind::kShortWrite, .call = Call::kWrite}},
    {"a change meets a full disk", {.kind = Fault::Kind::kNoSpace, .changes_only = true}},
    {"sync of a directory fails", {.kind = Fault::Kind::kIoError, .call = Call::kSyncDir}},
    {"making a file fails", {.kind = Fault::Kind::kIoError, .call = Call::kCreate}},
    {"removing fails", {.kind = Fault::Kind::kIoError, .call = Call::kRemove}},
    {"renaming fails", {.kind = Fault::Kind::kIoError, .call = Call::kRename}},
};

// What takes the place of replies that will never be durable.
constexpr std::string_view kFenceError = "-MISCONF varve cannot make writes durable any more";
constexpr std::string_view kReadError = "-ERR the data could not be read";

// As far as both go.
bool agrees(std::string_view a, std::string_view b) {
  size_t n = std::min(a.size(), b.size());
  return a.substr(0, n) == b.substr(0, n);
}

const char* const kKillNames[] = {"kill -9", "power cut", "kill -9, then power cut"};

}  // namespace

std::string Action::to_string() const {
  std::string words;
  for (const std::string& arg : args) words += " " + printable(arg, 40);
  switch (kind) {
    case Kind::kConnect:
      return fmt::format("client {} connects", client);
    case Kind::kSend:
      return fmt::format("client {} sends{}", client, words);
    case Kind::kDeliver:
      return fmt::format("the server receives {} bytes of client {}", a, client);
    case Kind::kTake:
      return fmt::format("client {} reads {} bytes", client, a);
    case Kind::kTurn:
      return "the turn ends";
    case Kind::kStep:
      return fmt::format("{} steps of jobs", a);
    case Kind::kComplete:
      return fmt::format("{} completions", a);
    case Kind::kAdvance:
      return fmt::format("{} us pass", a);
    case Kind::kDisconnect:
      return fmt::format("client {} goes ({})", client,
                         a == 0   ? "reset"
                         : a == 1 ? "half close"
                                  : "silently");
    case Kind::kKill:
      return fmt::format("{} (seed {})", kKillNames[a % 3], b);
    case Kind::kFault:
      return fmt::format("{}, the {}th one", kFaults[a % std::size(kFaults)].name, b);
    case Kind::kCrashAt:
      return fmt::format("{} in the {}th change from here (seed {})", kKillNames[b % 3], a, b);
    case Kind::kSpace:
      return fmt::format("{} bytes are left on the disk", a);
    case Kind::kRest:
      return a != 0 ? "no more faults; everything is answered and compared"
                    : "no more faults; everything is answered";
    case Kind::kShutdown:
      return fmt::format("a clean shutdown (seed {})", b);
  }
  return "?";
}

size_t World::fault_kinds() {
  return std::size(kFaults);
}

World::World(uint64_t seed, Counters* counters)
    : random_(seed),
      counters_(counters),
      options_(draw_world(random_)),
      files_(options_.files),
      clients_(kClients),
      model_(options_.databases),
      ran_(all_commands().size(), 0) {
  (void)files_.create_dir(options_.engine.dir.empty() ? "/data" : options_.engine.dir);
  (void)files_.sync_dir("/");
  Random random(random_.next());
  restart(&random);
}

World::~World() {
  if (executor_) executor_->drop_all();
  core_.reset();
  executor_.reset();
}

void World::complain(const std::string& what) {
  if (complaint_.empty()) complaint_ = what;
}

void World::count(const char* name, uint64_t n) {
  counts_[name] += n;
}

void World::report() {
  for (const auto& [name, n] : counts_) counters_->add(name, n);
  counts_.clear();
  for (size_t i = 0; i < ran_.size(); ++i) {
    if (ran_[i] == 0) continue;
    const CommandRow& row = all_commands()[i];
    counters_->add("operations", ran_[i]);
    counters_->add(fmt::format("family:{}", row.family), ran_[i]);
    counters_->add(fmt::format("command:{}", row.name), ran_[i]);
    ran_[i] = 0;
  }
  for (const auto& [what, n] : files_.fired()) {
    const auto& [kind, call] = what;
    if (kind == Fault::Kind::kCrash) continue;
    bool sync = call == Call::kSync || call == Call::kSyncDir;
    counters_->add(kind == Fault::Kind::kShortWrite ? "fault:short-write"
                   : kind == Fault::Kind::kNoSpace  ? "fault:no-space"
                   : sync                           ? "fault:failed-sync"
                                                    : "fault:io-error",
                   n);
  }
}

void World::apply(const Action& action) {
  if (!ok()) return;
  Client* client = &clients_[action.client % kClients];
  switch (action.kind) {
    case Action::Kind::kConnect:
      connect(client);
      break;
    case Action::Kind::kSend:
      send(client, action.args, action.a != 0);
      break;
    case Action::Kind::kDeliver:
      deliver(client, action.a);
      break;
    case Action::Kind::kTake:
      take(client, action.a);
      break;
    case Action::Kind::kTurn:
      core_->turn();
      break;
    case Action::Kind::kStep:
      for (uint64_t i = 0; i < action.a && executor_->step(); ++i) {
      }
      break;
    case Action::Kind::kComplete:
      executor_->run_completions(action.a);
      break;
    case Action::Kind::kAdvance:
      advance(static_cast<int64_t>(action.a));
      break;
    case Action::Kind::kDisconnect:
      disconnect(client, action.a);
      break;
    case Action::Kind::kKill:
      kill(action.a, action.b);
      break;
    case Action::Kind::kFault:
      set_fault(action.a, action.b);
      break;
    case Action::Kind::kCrashAt:
      crash_seed_ = action.b;
      files_.add_fault(
          {.kind = Fault::Kind::kCrash, .changes_only = true, .nth = std::max<uint64_t>(1, action.a)});
      break;
    case Action::Kind::kSpace:
      disturbed_ = true;
      files_.set_space(files_.used_space() + action.a);
      break;
    case Action::Kind::kRest:
      rest(action.a != 0);
      break;
    case Action::Kind::kShutdown:
      shut_down(action.b);
      break;
  }
  if (ok() && files_.crashed()) kill(crash_seed_ % 3, crash_seed_);
}

void World::set_fault(uint64_t which, uint64_t nth) {
  Fault fault = kFaults[which % std::size(kFaults)].fault;
  fault.nth = std::max<uint64_t>(1, nth);
  files_.add_fault(fault);
  disturbed_ = true;
}

// No command is in the middle of a run: those that wait for keys begin anew.
bool World::runs_stand_still() {
  size_t idle = checker_.idle && connection_of(checker_) != nullptr ? 1 : 0;
  for (const Client& client : clients_) idle += client.idle && connection_of(client) != nullptr ? 1 : 0;
  return core_->clients().parked() == idle;
}

// The wall clock stands still while a command waits for something: its own time is frozen then, and a key
// that expires meanwhile may go or stay for it, which the model cannot tell.
void World::advance(int64_t us) {
  clock_.advance_us(us, !time_stands_ && runs_stand_still());
  host_->run_timers();
  if (int64_t now = clock_.monotonic_us(); now >= next_tick_us_) {
    next_tick_us_ = now + kTickUs;
    core_->tick();
  }
}

// --- clients ---

size_t World::unanswered(uint32_t client) const {
  const Client& c = clients_[client % kClients];
  return c.sent.size() + c.expected.size();
}

bool World::waits(uint32_t client) const {
  return clients_[client % kClients].waits_since_us >= 0;
}

void World::awaited(std::vector<std::string>* keys) const {
  keys->clear();
  for (const Client& client : clients_) {
    if (client.waits_since_us < 0 || client.sent.empty()) continue;
    for (const std::string& arg : client.sent.front()) {
      if (arg.find(':') != std::string::npos) keys->push_back(arg);
    }
  }
}

bool World::fenced() const {
  return core_ && core_->clients().fenced();
}

World::Client* World::client_of(uint64_t connection) {
  if (checker_.id == connection) return &checker_;
  for (Client& client : clients_) {
    if (client.id == connection) return &client;
  }
  return nullptr;
}

Connection* World::connection_of(const Client& client) {
  return client.id == 0 ? nullptr : core_->clients().find(client.id);
}

void World::connect(Client* client) {
  if (client->wire) return;
  *client = Client();
  client->wire = std::make_shared<Wire>();
  client->wire->capacity = options_.wire_capacity;
  client->wire->ahead = options_.wire_ahead;
  Peer peer;
  peer.address = "127.0.0.1:1";
  Connection* connection = core_->clients().add(std::make_unique<SimTransport>(client->wire), peer);
  if (connection == nullptr) {
    if (core_->clients().count() < core_->clients().limits().maxclients) complain("a client was refused");
    *client = Client();
    return;
  }
  client->may_close = client != &checker_ && options_.has("limits");
  client->id = connection->id();
  count("connections");
}

void World::send(Client* client, const std::vector<std::string>& args, bool as_line) {
  if (!client->wire || client->half_closed || client->wire->closed || client->wire->broken) return;
  if (args.size() > 1 && args[1] == kLatestCursor) {
    std::vector<std::string> filled = args;
    filled[1] = client->cursor;
    return send(client, filled, as_line);
  }
  if (!args.empty() && args[0] == "EXEC") return send_transaction(client, args);
  if (!as_line || !append_line(args, &client->outbox)) append_request(args, &client->outbox);
  client->sent.push_back(args);
}

// EXEC's words are the commands in front of it, each behind the number of its own words.
void World::send_transaction(Client* client, const std::vector<std::string>& args) {
  send(client, {"MULTI"});
  for (size_t i = 1; i < args.size();) {
    size_t behind = std::min<size_t>(args.size(), i + 1 + std::stoull(args[i]));
    send(client, {args.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                  args.begin() + static_cast<std::ptrdiff_t>(behind)});
    i = behind;
  }
  append_request({"EXEC"}, &client->outbox);
  client->sent.push_back({"EXEC"});
}

void World::deliver(Client* client, size_t n) {
  Connection* connection = connection_of(*client);
  if (connection == nullptr) return;
  if (client->wire->broken) return connection->lost("connection reset by peer");
  while (n > 0 && client->outbox_at < client->outbox.size() && client->wire->reading) {
    Connection::Room room = connection->read_room();
    size_t k = std::min({n, room.size, client->outbox.size() - client->outbox_at});
    std::memcpy(room.data, client->outbox.data() + client->outbox_at, k);
    client->outbox_at += k;
    n -= k;
    connection->received(k);
  }
  if (client->outbox_at == client->outbox.size()) {
    client->outbox.clear();
    client->outbox_at = 0;
  }
}

void World::take(Client* client, size_t n) {
  if (!client->wire) return;
  Wire& wire = *client->wire;
  if (wire.broken) {
    if (Connection* connection = connection_of(*client)) connection->lost("connection reset by peer");
    *client = Client();
    return;
  }
  n = std::min(n, wire.to_client.size());
  client->inbox.append(wire.to_client, 0, n);
  wire.to_client.erase(0, n);
  wire.settle();
  received(client);
  if (wire.closed && wire.to_client.empty()) {
    bool owed = !client->expected.empty() || !client->sent.empty();
    if (owed && !client->may_close && !fenced() && !disturbed_)
      complain("the server closed a client it owed replies");
    *client = Client();
    return;
  }
  Connection* connection = connection_of(*client);
  if (wire.wants_writable && wire.taken.empty() && connection != nullptr) {
    wire.wants_writable = false;
    connection->writable();
  }
}

void World::received(Client* client) {
  if (client->cut_off) client->inbox.clear();
  std::string_view bytes = client->inbox;
  while (!bytes.empty() && ok()) {
    bool fresh = client->expected.empty() || client->expected.front().matched == 0;
    if (fresh && fenced() && agrees(bytes, kFenceError)) {
      if (bytes.size() >= kFenceError.size()) return fence_reply(client);
      break;
    }
    if (client->expected.empty()) return complain("a reply nobody asked for: " + printable(bytes));
    Expected& reply = client->expected.front();
    // A long reply may meet a failing disk before its first byte has left.
    if (reply.stream && fresh && disturbed_ && agrees(bytes, kReadError)) {
      reply.any = true;
      reply.check = nullptr;
    }
    size_t n = reply.any ? reply_length(bytes) : std::min(bytes.size(), reply.bytes.size() - reply.matched);
    if (reply.any && n == 0) break;  // not whole
    std::string_view rest = std::string_view(reply.bytes).substr(reply.matched);
    if (!reply.any && !agrees(bytes, rest)) {
      return complain(fmt::format("sent was {}, and not {}", printable(bytes), printable(rest)));
    }
    if (reply.check) {
      std::string wrong = reply.check(bytes.substr(0, n));
      if (!wrong.empty())
        return complain(fmt::format("sent was {}: {}", printable(bytes.substr(0, n)), wrong));
    }
    reply.matched += n;
    if (reply.any || reply.matched == reply.bytes.size()) {
      acknowledged(client, reply, bytes.substr(0, n));
      client->expected.pop_front();
    }
    bytes.remove_prefix(n);
  }
  client->inbox.erase(0, client->inbox.size() - bytes.size());
}

// After a failed sync what was not acknowledged never will be: one error, then the connection closes.
void World::fence_reply(Client* client) {
  count("replies fenced");
  client->expected.clear();
  client->sent.clear();
  client->inbox.clear();
  client->may_close = client->cut_off = true;
}

void World::acknowledged(Client* client, const Expected& reply, std::string_view bytes) {
  count(reply.wrote ? "acknowledged" : "observed");
  // Other suspended commands show no data.
  bool durable = reply.promises && (!reply.any || bytes == "*2\r\n:1\r\n:0\r\n");
  if (durable || (reply.gated && (!reply.any || reply.check))) {
    must_have_ = std::max(must_have_, reply.depends);
  }
  std::vector<std::string> keys;
  if (reply.scan) parse_scan(reply.bytes, &client->cursor, &keys);
}

// A reply on its way may leave, from now on or from the moment the gate opens for it; which of them do, a
// client cannot tell.
void World::set_sync_mode(SyncMode mode) {
  options_.engine.sync = mode;
  if (mode != SyncMode::kAlways) {
    for (Client& client : clients_) {
      for (Expected& reply : client.expected) reply.gated = false;
    }
  }
  core_->set_sync_mode(mode);
}

void World::disconnect(Client* client, uint64_t how) {
  Connection* connection = connection_of(*client);
  if (connection == nullptr || client->half_closed) return;
  count("disconnects");
  if (how == 0) {
    connection->lost("connection reset by peer");
    *client = Client();
  } else if (how == 1) {
    // The rest of its requests has been sent before.
    deliver(client, SIZE_MAX);
    if (client->wire->reading && client->outbox.empty()) {
      client->half_closed = client->may_close = true;
      connection = connection_of(*client);
      if (connection != nullptr) connection->end_of_input();
    }
  } else {
    client->wire->broken = true;
  }
}

// --- the process's side ---

std::vector<const ClientState*> World::SimHost::clients() {
  return world_.core_->clients().states();
}

// Null as well while the core goes: its connections still take leave of who waits.
Connection* World::SimHost::find(uint64_t id) {
  return world_.core_ == nullptr ? nullptr : world_.core_->clients().find(id);
}

ClientState* World::SimHost::client(uint64_t id) {
  Connection* connection = find(id);
  return connection == nullptr ? nullptr : &connection->state();
}

void World::SimHost::push(uint64_t id, Sequence gate, const PushMessage& message) {
  if (Connection* connection = find(id)) connection->push(gate, message);
}

bool World::SimHost::run_again(uint64_t id) {
  Connection* connection = find(id);
  return connection != nullptr && connection->run_again();
}

void World::SimHost::wake(uint64_t id) {
  if (Connection* connection = find(id)) connection->wake();
}

Status World::SimHost::config_set(const std::vector<std::pair<std::string, std::string>>& settings) {
  Engine& engine = *world_.core_->engine();
  for (const auto& [name, value] : settings) {
    if (name == "memtable-size") engine.set_memtable_size(std::stoull(value));
    if (name == "block-cache-size") engine.set_block_cache_size(std::stoull(value));
    if (name != "appendfsync") continue;
    world_.set_sync_mode(value == "always" ? SyncMode::kAlways
                         : value == "no"   ? SyncMode::kNo
                                           : SyncMode::kEverySecond);
  }
  return Status();
}

void World::SimHost::checkpoint(std::function<void(Status)> done) {
  if (world_.core_->stage() != Core::Stage::kServing) return done(Status::busy("the data is not open"));
  world_.count("checkpoints");
  world_.checkpoints_->start(*world_.core_->engine(), world_.options_.engine.dir + "/checkpoints", 2,
                             std::move(done));
}

void World::SimHost::run_timers() {
  int64_t now = world_.clock_.monotonic_us();
  for (size_t i = 0; i < timers_.size();) {
    if (timers_[i].at_us > now) {
      ++i;
      continue;
    }
    std::function<void()> call = std::move(timers_[i].call);
    timers_.erase(timers_.begin() + static_cast<std::ptrdiff_t>(i));
    call();
    i = 0;
  }
}

}  // namespace varve::prove
