#include "server/core.h"

#include <utility>

#include "base/log.h"

namespace varve {
namespace {

constexpr int64_t kDrainUs = 1'000'000;

}  // namespace

Core::Core(Host& host, Clock& clock, uint64_t random_seed, std::function<void()> wake)
    : host_(host),
      clock_(clock),
      wake_(std::move(wake)),
      dispatcher_(host, clock, random_seed),
      clients_(*this, clock) {}

Core::~Core() = default;

void Core::stop() {
  clients_.close_all("server stops");
  dispatcher_.detach();
  engine_.reset();
}

// --- opening ---

void Core::open(EngineOptions options, std::function<void(Status)> opened) {
  options.application = kEntryFormatName;
  options.inspector = &inspector_;
  sync_ = options.sync;
  Engine::open(options, [this, opened = std::move(opened)](Result<std::unique_ptr<Engine>> engine) {
    opened(engine ? attach(engine.take()) : engine.status());
  });
}

Status Core::attach(std::unique_ptr<Engine> engine) {
  engine_ = std::move(engine);
  engine_->set_on_durable([this](Sequence) {
    update_gate();
    dispatcher_.note_latency("log-fsync", engine_->last_log_sync_us());
  });
  engine_->set_on_admission_change([this] { clients_.admission_changed(); });
  engine_->set_on_fenced([this](const Status& reason) {
    log_warning(
        "the log cannot be synced, nothing is acknowledged any more: {}. Durable data stays readable; repair "
        "the disk and restart",
        reason.to_string());
    clients_.fence(engine_->durable_sequence(), reason.message());
  });
  VARVE_TRY(dispatcher_.attach(engine_.get()));
  stage_ = Stage::kServing;
  set_sync_mode(sync_);  // may have changed meanwhile
  return Status();
}

void Core::set_sync_mode(SyncMode mode) {
  sync_ = mode;
  if (engine() != nullptr && engine_->options().sync != mode) engine_->set_sync_mode(mode);
  update_gate();
}

// Everything up to the durable sequence may leave; with everysec and no, everything.
void Core::update_gate() {
  if (!engine_) return;
  bool gated = sync_ == SyncMode::kAlways || clients_.fenced();
  clients_.release(gated ? engine_->durable_sequence() : Clients::kEverything);
}

// --- the turn ---

void Core::turn() {
  clients_.end_of_turn();
  if (clients_.turn_us() > 0) dispatcher_.note_latency("loop-turn", clients_.turn_us());
}

RunResult Core::run(ClientState& client, Invocation& invocation, OutputBuffer& out) {
  return dispatcher_.run(client, invocation, out);
}

size_t Core::probe(const ClientState& client, const std::vector<std::string_view>& args, ReadContext& read,
                   size_t keys_max) {
  return dispatcher_.probe(client, args, read, keys_max);
}

size_t Core::prefetch(const ClientState& client, std::string_view input) {
  return dispatcher_.prefetch(client, input);
}

void Core::prefetch_first(const FirstRequest* requests, size_t count) {
  dispatcher_.prefetch_first(requests, count);
}

void Core::client_gone(uint64_t id) {
  host_.client_gone(id);
  dispatcher_.client_gone(id);
}

void Core::stream_ended(const ClientState& client, Invocation& invocation) {
  dispatcher_.stream_ended(client, invocation);
}

void Core::fetch(ReadContext& read, std::function<void()> done) {
  engine_->fetch(read, std::move(done));
}

void Core::end_of_turn() {
  if (engine() != nullptr) engine_->end_of_turn();
}

void Core::tick() {
  if (engine() != nullptr) {
    engine_->tick();
    if (stage_ == Stage::kServing) dispatcher_.tick();
  }
  clients_.tick();
}

// --- shutdown ---

void Core::shut_down() {
  if (shutting_down_) return;
  shutting_down_ = true;
  clients_.finish_all();
}

void Core::advance_shutdown() {
  if (!shutting_down_) return;
  if (stage_ == Stage::kServing) {
    stage_ = Stage::kSyncing;
    engine_->sync([this](const Status& synced) {
      if (!synced.ok()) {
        log_warning("the last writes are not durable: {}", synced.to_string());
        shutdown_status_ = synced;
      }
      stage_ = Stage::kSynced;
      wake_();
    });
    engine_->end_of_turn();
  }
  if (stage_ == Stage::kSynced) {
    update_gate();
    clients_.end_of_turn();  // what has become durable is sent
    dispatcher_.detach();
    stage_ = Stage::kClosing;
    engine_->close([this](const Status& closed) {
      if (!closed.ok()) log_warning("the engine was not closed cleanly: {}", closed.to_string());
      stage_ = Stage::kClosed;
      drained_by_us_ = clock_.monotonic_us() + kDrainUs;
      wake_();
    });
  }
}

bool Core::drained() {
  return stage_ == Stage::kClosed && (clients_.all_idle() || clock_.monotonic_us() >= drained_by_us_);
}

}  // namespace varve
