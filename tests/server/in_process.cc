#include "server/in_process.h"

#include <optional>
#include <utility>

#include "base/check.h"
#include "command/acl.h"

namespace varve::test {

InProcessServer::InProcessServer(InProcessOptions options)
    : options_(options),
      files_({.nowait_percent = options.random_miss_one_in > 0 ? 0 : 100}),
      executor_(options.seed) {
  VARVE_CHECK(files_.create_dir("/data").ok());
  open();
}

InProcessServer::~InProcessServer() {
  close();
}

void InProcessServer::open() {
  EngineOptions options;
  options.fs = &files_;
  options.executor = &executor_;
  options.clock = &clock_;
  // Each life draws its own identities for files: a reused one must not take an old life's frames for its
  // own.
  options.random_seed = options_.seed + lives_++;
  options.dir = "/data";
  options.application = kEntryFormatName;
  options.inspector = &inspector_;
  options.log_segment_size = options_.log_segment_size;
  options.log_max_bytes = options_.log_max_bytes;
  options.block_cache_size = options_.block_cache_size;
  options.random_miss_one_in = options_.random_miss_one_in;
  Result<std::unique_ptr<Engine>> engine = Engine::open_blocking(options);
  VARVE_CHECK(engine.ok());
  engine_ = engine.take();
  dispatcher_ = std::make_unique<Dispatcher>(host_, clock_, options_.seed, options_.add_commands);
  VARVE_CHECK(dispatcher_->attach(engine_.get()).ok());
  host_.now_ms_ = clock_.now_us() / 1000;
  turn();
}

void InProcessServer::close() {
  dispatcher_->detach();
  wait_for([&](auto done) { engine_->close(std::move(done)); });
  dispatcher_.reset();
  engine_.reset();
}

void InProcessServer::reopen() {
  close();
  open();
}

template <class Start>
void InProcessServer::wait_for(Start start) {
  std::optional<Status> result;
  start([&result](Status status) { result = std::move(status); });
  while (!result) turn();
  VARVE_CHECK(result->ok());
}

void InProcessServer::turn() {
  engine_->end_of_turn();
  engine_->tick();
  if (executor_.pending() > 0) executor_.wait_completions();
}

void InProcessServer::flush() {
  wait_for([&](auto done) { engine_->flush(std::move(done)); });
}

void InProcessServer::compact() {
  wait_for([&](auto done) { engine_->compact_range("", "", std::move(done)); });
}

void InProcessServer::advance_ms(int64_t ms) {
  clock_.advance_ms(ms);
  host_.now_ms_ = clock_.now_us() / 1000;
  // The expiry's fetches and further slices.
  for (int i = 0; i < 100; ++i) {
    dispatcher_->tick();
    turn();
    auto later = std::exchange(host_.later_, {});
    for (auto& [due_ms, call] : later) {
      if (due_ms <= host_.now_ms_)
        call();
      else
        host_.later_.emplace_back(due_ms, std::move(call));
    }
  }
  drive();
}

InProcessServer::Client& InProcessServer::client(uint64_t id) {
  std::unique_ptr<Client>& found = clients_[id];
  if (found == nullptr) {
    found = std::make_unique<Client>();
    found->state.id = id;
    found->state.authenticated = !dispatcher_->acl().needs_auth();
    host_.clients_.push_back(&found->state);
  }
  return *found;
}

void InProcessServer::disconnect(uint64_t id) {
  auto found = clients_.find(id);
  if (found == clients_.end()) return;
  std::erase(host_.clients_, &found->second->state);
  clients_.erase(found);
  dispatcher_->client_gone(id);
}

// --- what commands ask of each other's clients ---

ClientState* InProcessServer::ServerHost::client(uint64_t id) {
  auto found = server_.clients_.find(id);
  return found == server_.clients_.end() ? nullptr : &found->second->state;
}

void InProcessServer::ServerHost::push(uint64_t id, Sequence gate, const PushMessage& message) {
  server_.pushed_gate_ = gate;
  Client& c = server_.client(id);
  std::string_view bytes = message.encoded(c.state.protocol);
  if (c.running)
    c.pushes += bytes;
  else
    c.out.append(bytes);
}

bool InProcessServer::ServerHost::run_again(uint64_t id) {
  auto found = server_.clients_.find(id);
  if (found == server_.clients_.end() || found->second->parked == nullptr) return false;
  if (found->second->running) return false;  // as a connection does
  server_.step(*found->second);
  return true;
}

void InProcessServer::ServerHost::wake(uint64_t id) {
  auto found = server_.clients_.find(id);
  if (found != server_.clients_.end()) found->second->woken = true;
}

// --- running ---

void InProcessServer::fetch(Invocation& invocation) {
  ++faults_;
  bool fetched = false;
  engine_->fetch(invocation.read, [&fetched] { fetched = true; });
  while (!fetched) turn();
}

// One run of what the client has parked.
void InProcessServer::step(Client& c) {
  uint64_t before = c.out.end();
  c.woken = false;
  c.running = true;
  RunResult result = dispatcher_->run(c.state, *c.parked, c.out);
  c.running = false;
  c.reason = result;
  // A run that did not come to its end leaves nothing behind.
  if (result == RunResult::kFault || result == RunResult::kWait || result == RunResult::kBlocked)
    VARVE_CHECK(c.out.end() == before);
  if (result == RunResult::kStream) {
    while (result != RunResult::kDone) {
      bool broken = false;
      result = c.parked->stream->step(c.parked->read, c.out, 16 * 1024, &broken);
      VARVE_CHECK(!broken);
      if (result == RunResult::kFault) fetch(*c.parked);
    }
    dispatcher_->stream_ended(c.state, *c.parked);
  }
  c.out.append(std::exchange(c.pushes, {}));
  if (result == RunResult::kDone) c.parked.reset();
}

// Goes on with everyone who can go on.
void InProcessServer::drive() {
  for (bool progress = true; progress;) {
    progress = false;
    for (auto& [id, c] : clients_) {
      if (c->parked == nullptr || c->reason == RunResult::kSuspended) continue;
      if (c->reason == RunResult::kBlocked && !c->woken) continue;
      if (c->reason == RunResult::kFault) fetch(*c->parked);
      if (c->reason == RunResult::kWait) {
        clock_.advance_ms(1);
        turn();
      }
      step(*c);
      progress = true;
    }
  }
}

std::string InProcessServer::run(uint64_t id, const std::vector<std::string>& args) {
  Client& c = client(id);
  VARVE_CHECK(c.parked == nullptr);
  c.parked = std::make_unique<Invocation>();
  c.parked->args.assign(args.begin(), args.end());
  c.parked->own_args();
  c.parked->resume = [&c](Sequence, const std::function<void(OutputBuffer&, int)>& write) {
    write(c.out, c.state.protocol);
    c.parked.reset();
  };
  step(c);
  drive();
  while (c.parked != nullptr && c.reason == RunResult::kSuspended) advance_ms(1);
  std::string reply = take(id);
  constexpr uint64_t kLongTurn = 100;
  if (!options_.long_turns || ++runs_ % kLongTurn == 0) turn();
  if (options_.flush_often) flush();
  return reply;
}

std::string InProcessServer::take(uint64_t id) {
  Client& c = client(id);
  std::string sent(c.out.unsent(c.out.end()));
  c.out.consume(sent.size());
  return sent;
}

}  // namespace varve::test
