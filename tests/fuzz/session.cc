#include "fuzz/session.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"
#include "keyspace/entry_format.h"
#include "prove/image_fs.h"
#include "server/clients.h"
#include "server/connection.h"
#include "support/manual_clock.h"
#include "support/sim_executor.h"

namespace varve::fuzz {
namespace {

constexpr int kTurnsMax = 20'000;
constexpr uint64_t kMaxBulk = 64 * 1024;

class FuzzHost final : public Host {
 public:
  std::vector<std::pair<std::string, std::string>> config_get(std::string_view pattern) override {
    return configuration.get(pattern);
  }
  Status config_set(const std::vector<std::pair<std::string, std::string>>& settings) override {
    return configuration.set(settings, [](const Config&, const Config&) { return Status(); });
  }
  void config_rewrite(std::function<void(Status)> done) override { done(Status()); }
  void reset_stats() override {}
  const std::string& password() const override { return password_; }
  uint32_t databases() const override { return 16; }
  uint64_t max_bulk() const override { return kMaxBulk; }
  uint64_t max_reply() const override { return 1 << 20; }
  std::vector<const ClientState*> clients() override { return connections->states(); }
  bool kill_client(uint64_t id) override { return connections->kill(id, connections->current()); }
  ClientState* client(uint64_t id) override {
    Connection* connection = connections->find(id);
    return connection == nullptr ? nullptr : &connection->state();
  }
  void push(uint64_t id, Sequence gate, const PushMessage& message) override {
    if (Connection* connection = connections->find(id)) connection->push(gate, message);
  }
  bool run_again(uint64_t id) override {
    Connection* connection = connections->find(id);
    return connection != nullptr && connection->run_again();
  }
  void wake(uint64_t id) override {
    if (Connection* connection = connections->find(id)) connection->wake();
  }
  uint32_t event_classes() const override { return configuration.values().notify_keyspace_events; }
  std::string info(const std::vector<std::string>&) override { return "# Server\r\n"; }
  void shutdown(bool, bool) override {}
  void checkpoint(std::function<void(Status)> done) override { done(Status()); }
  bool checkpoint_running() const override { return false; }
  int64_t last_checkpoint_s() const override { return 0; }
  void after_ms(int64_t, std::function<void()> call) override { later.push_back(std::move(call)); }
  int64_t uptime_s() const override { return 1; }

  Configuration configuration;
  std::string password_;
  Clients* connections = nullptr;
  std::vector<std::function<void()>> later;
};

// The far end. Outlives the connection.
struct Wire {
  bool open = true;
  std::string sent;
};

class FuzzTransport final : public Transport {
 public:
  explicit FuzzTransport(Wire* wire) : wire_(wire) {}
  ~FuzzTransport() override { wire_->open = false; }
  int64_t write(std::string_view bytes) override {
    wire_->sent.append(bytes);
    return wire_->sent.size() > kReplyMax ? -1 : static_cast<int64_t>(bytes.size());
  }
  size_t pending() const override { return 0; }
  void set_reading(bool) override {}

 private:
  Wire* wire_;
};

class Session final : private Backend {
 public:
  Session(bool password, bool misses) : fs_("/data", {}, !misses), executor_(1), clients_(*this, clock_) {
    host_.connections = &clients_;
    host_.password_ = password ? "secret" : "";
    EngineOptions options;
    options.fs = &fs_;
    options.executor = &executor_;
    options.clock = &clock_;
    options.random_seed = 1;
    options.dir = "/data";
    options.application = kEntryFormatName;
    options.inspector = &inspector_;
    options.log_segment_size = 128 * 1024;
    options.log_max_bytes = 1 << 20;
    options.memtable_size = 64 * 1024;
    options.block_cache_size = misses ? 0 : 128 * 1024;
    options.random_miss_one_in = misses ? 3 : 0;
    auto engine = Engine::open_blocking(options);
    VARVE_CHECK(engine.ok());
    engine_ = engine.take();
    dispatcher_ = std::make_unique<Dispatcher>(host_, clock_, 1);
    VARVE_CHECK(dispatcher_->attach(engine_.get()).ok());
    ClientLimits limits;
    limits.parser.max_bulk = kMaxBulk;
    limits.parser.max_multibulk = 4096;
    limits.query_buffer = 1 << 20;
    limits.password = password;
    clients_.set_limits(limits);
    clients_.release(engine_->durable_sequence());
    connection_ = clients_.add(std::make_unique<FuzzTransport>(&wire_), {"127.0.0.1:1", "127.0.0.1:6379"});
    VARVE_CHECK(connection_ != nullptr);
  }

  ~Session() override {
    clients_.close_all("the input is over");
    rest();
    dispatcher_->detach();
    dispatcher_.reset();
    executor_.drop_all();
    engine_.reset();
  }

  // Everything the client is sent for these bytes, in pieces of at most so many (0: as many as are taken).
  std::string talk(std::string_view bytes, size_t piece) {
    while (!bytes.empty() && wire_.open) {
      Connection::Room room = connection_->read_room();
      size_t n = std::min({room.size, bytes.size(), piece == 0 ? bytes.size() : piece});
      std::memcpy(room.data, bytes.data(), n);
      bytes.remove_prefix(n);
      connection_->received(n);
      if (piece != 0 || bytes.empty()) turn();
      VARVE_CHECK(clients_.memory_used() < 4 * kReplyMax);
    }
    rest();
    return std::move(wire_.sent);
  }
  bool open() const { return wire_.open; }

 private:
  RunResult run(ClientState& client, Invocation& invocation, OutputBuffer& out) override {
    return dispatcher_->run(client, invocation, out);
  }
  void prefetch_first(const FirstRequest* requests, size_t count) override {
    dispatcher_->prefetch_first(requests, count);
  }
  size_t prefetch(const ClientState& client, std::string_view input) override {
    return dispatcher_->prefetch(client, input);
  }
  size_t probe(const ClientState& client, const std::vector<std::string_view>& args, ReadContext& read,
               size_t keys_max) override {
    return dispatcher_->probe(client, args, read, keys_max);
  }
  void client_gone(uint64_t id) override { dispatcher_->client_gone(id); }
  void stream_ended(const ClientState& client, Invocation& invocation) override {
    dispatcher_->stream_ended(client, invocation);
  }
  void fetch(ReadContext& read, std::function<void()> done) override {
    engine_->fetch(read, std::move(done));
  }
  void end_of_turn() override { engine_->end_of_turn(); }

  void turn() {
    clients_.end_of_turn();
    engine_->tick();
    executor_.run_completions();
    clients_.release(engine_->durable_sequence());
    clients_.admission_changed();
  }

  // Until nothing goes on by itself.
  void rest() {
    for (int i = 0, quiet = 0; i < kTurnsMax; ++i) {
      turn();
      std::vector<std::function<void()>> later;
      later.swap(host_.later);
      for (auto& call : later) call();
      bool still = !clients_.has_work() && executor_.pending() == 0 && later.empty() &&
                   clients_.waiting() == 0 && engine_->durable_sequence() == engine_->last_sequence();
      quiet = still ? quiet + 1 : 0;
      if (quiet > 2) return;
      clock_.advance_us(1000);
      if (i % 100 == 99) {
        dispatcher_->tick();
        clients_.tick();
      }
    }
    VARVE_CHECK(false && "the session does not come to rest");
  }

  prove::ImageFs fs_;
  test::SimExecutor executor_;
  test::ManualClock clock_;
  FuzzHost host_;
  KeyspaceInspector inspector_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Dispatcher> dispatcher_;
  Wire wire_;
  Clients clients_;
  Connection* connection_ = nullptr;
};

}  // namespace

Conversation converse(const SessionOptions& options, std::string_view bytes, size_t piece) {
  Session session(options.password, options.misses);
  std::string replies = session.talk(bytes, piece);
  return {std::move(replies), session.open()};
}

}  // namespace varve::fuzz
