#include "server/in_process.h"

#include <optional>

#include "base/check.h"

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
  options.random_seed = options_.seed;
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
  dispatcher_ = std::make_unique<Dispatcher>(host_, clock_, options_.seed);
  VARVE_CHECK(dispatcher_->attach(engine_.get()).ok());
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
  dispatcher_->tick();
  // The expiry's fetches and further slices.
  for (int i = 0; i < 100; ++i) {
    turn();
    std::vector<std::function<void()>> later;
    later.swap(host_.later_);
    for (auto& call : later) call();
  }
}

InProcessServer::Client& InProcessServer::client(uint64_t id) {
  std::unique_ptr<Client>& found = clients_[id];
  if (found == nullptr) {
    found = std::make_unique<Client>();
    found->state.id = id;
    host_.clients_.push_back(&found->state);
  }
  return *found;
}

std::string InProcessServer::run(uint64_t id, const std::vector<std::string>& args) {
  Client& c = client(id);
  Invocation invocation;
  invocation.args.assign(args.begin(), args.end());
  bool resumed = false;
  invocation.resume = [&](Sequence, const std::function<void(OutputBuffer&, int)>& write) {
    write(c.out, c.state.protocol);
    resumed = true;
  };
  auto fetch = [&] {
    ++faults_;
    bool fetched = false;
    engine_->fetch(invocation.read, [&fetched] { fetched = true; });
    while (!fetched) turn();
  };
  for (RunResult result = RunResult::kFault; result != RunResult::kDone;) {
    uint64_t before = c.out.end();
    result = dispatcher_->run(c.state, invocation, c.out);
    // A run that did not come to its end leaves nothing behind.
    if (result == RunResult::kFault || result == RunResult::kWait) VARVE_CHECK(c.out.end() == before);
    if (result == RunResult::kFault) fetch();
    if (result == RunResult::kWait) {
      clock_.advance_ms(1);
      turn();
    }
    if (result == RunResult::kSuspended) {
      while (!resumed) advance_ms(1);
      break;
    }
    if (result != RunResult::kStream) continue;
    while (result != RunResult::kDone) {
      bool broken = false;
      result = invocation.stream->step(invocation.read, c.out, 16 * 1024, &broken);
      VARVE_CHECK(!broken);
      if (result == RunResult::kFault) fetch();
    }
  }
  invocation.reset();
  std::string reply(c.out.unsent(c.out.end()));
  c.out.consume(reply.size());
  turn();
  if (options_.flush_often) flush();
  return reply;
}

}  // namespace varve::test
