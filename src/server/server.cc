#include "server/server.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "command/acl.h"
#include "server/machine.h"

namespace varve {
namespace {

constexpr uint64_t kTickMs = 100;
constexpr int64_t kPeakSampleUs = 1'000'000;
constexpr size_t kCompletionsPerSlice = 64;
constexpr int64_t kCompletionsUs = 200;
constexpr uint64_t kShutdownLimitMs = 30'000;
// What the arguments of the smallest server may be long at least.
constexpr uint64_t kLeastMaxBulk = 64 * 1024;
// A reply that is not streamed: one client's part of the memory of all.
constexpr uint64_t kMaxReply = 64 << 20;

std::string hex_id(uint64_t seed) {
  Random random(seed);
  return random.identity().to_string() + random.identity().to_string().substr(0, 8);
}

// All of it, unless it is longer than users can be.
Result<std::string> read_acl_text(FileSystem& fs, const std::string& path) {
  auto size = fs.file_size(path);
  if (!size) return size.status();
  if (*size > kAclBytesMax)
    return Status::invalid_argument("{}: an ACL file is at most {} bytes long", path, kAclBytesMax);
  return fs.read_whole(path);
}

}  // namespace

// A pending call of after_ms().
struct Server::Timer {
  uv_timer_t handle;
  Server* server;
  std::function<void()> call;
  uint64_t client = 0;  // whose command waits for it; 0: nobody's
};

Server::Server(Configuration configuration, MemoryPlan plan, uint64_t open_files, FileSystem& fs,
               Clock& clock)
    : configuration_(std::move(configuration)),
      plan_(plan),
      open_files_(open_files),
      fs_(fs),
      clock_(clock),
      started_us_(clock.monotonic_us()),
      run_id_(hex_id(random_seed_from_os())),
      core_(*this, clock, random_seed_from_os(), [this] { uv_async_send(&completions_async_); }) {
  VARVE_CHECK(uv_loop_init(&loop_) == 0);
  auto init = [this](auto& handle) { handle.data = this; };
  uv_async_init(&loop_, &completions_async_,
                [](uv_async_t* h) { static_cast<Server*>(h->data)->run_completions(); });
  uv_prepare_init(&loop_, &prepare_);
  uv_idle_init(&loop_, &busy_);
  uv_timer_init(&loop_, &tick_timer_);
  uv_timer_init(&loop_, &wake_timer_);
  uv_timer_init(&loop_, &shutdown_timer_);
  for (uv_signal_t& handle : signals_) {
    uv_signal_init(&loop_, &handle);
    init(handle);
  }
  init(completions_async_), init(prepare_), init(busy_), init(tick_timer_), init(wake_timer_),
      init(shutdown_timer_);

  WorkerPoolOptions pool;
  pool.notify = [this] { uv_async_send(&completions_async_); };
  executor_ = std::make_unique<ThreadExecutor>(pool);
  checkpoints_ = std::make_unique<Checkpoints>(fs_, *executor_, clock_);
  update_limits();
}

Server::~Server() {
  listeners_.clear();
  core_.stop();
  executor_.reset();  // finishes what is under way: its callbacks still find everything else
  for (Timer* timer : timers_)
    uv_close(reinterpret_cast<uv_handle_t*>(&timer->handle),
             [](uv_handle_t* h) { delete static_cast<Timer*>(h->data); });
  uv_walk(
      &loop_,
      [](uv_handle_t* handle, void*) {
        if (!uv_is_closing(handle)) uv_close(handle, nullptr);
      },
      nullptr);
  uv_run(&loop_, UV_RUN_DEFAULT);
  uv_loop_close(&loop_);
}

// --- start ---

Status Server::start() {
  ::signal(SIGPIPE, SIG_IGN);
  VARVE_TRY(load_users());
  VARVE_TRY(listen());
  uv_prepare_start(&prepare_, [](uv_prepare_t* h) { static_cast<Server*>(h->data)->prepare_turn(); });
  uv_timer_start(
      &tick_timer_, [](uv_timer_t* h) { static_cast<Server*>(h->data)->tick(); }, kTickMs, kTickMs);
  static constexpr int kNumbers[] = {SIGTERM, SIGINT};
  for (size_t i = 0; i < 2; ++i) {
    uv_signal_start(
        &signals_[i], [](uv_signal_t* h, int number) { static_cast<Server*>(h->data)->on_signal(number); },
        kNumbers[i]);
  }
  open_engine();
  return Status();
}

Status Server::listen() {
  auto on_accept = [this](UvSocket* socket, Peer peer) { accept(socket, std::move(peer)); };
  if (config().port != 0) {
    for (const std::string& bind : config().bind) {
      bool optional = !bind.empty() && bind[0] == '-';
      std::string address = optional ? bind.substr(1) : bind;
      auto listener = Listener::tcp(&loop_, address, config().port, config().tcp_backlog, on_accept);
      if (!listener) {
        if (!optional || listener.status().code() == StatusCode::kBusy) return listener.status();
        log_verbose("not listening on {}", listener.status().message());
        continue;
      }
      listeners_.push_back(listener.take());
    }
  }
  if (!config().unixsocket.empty()) {
    auto listener = Listener::unix_socket(&loop_, config().unixsocket, config().unixsocketperm,
                                          config().tcp_backlog, on_accept);
    if (!listener) return listener.status();
    listeners_.push_back(listener.take());
  }
  if (listeners_.empty())
    return Status::invalid_argument(
        "nothing to listen on: port is 0 (or no address of bind is there) and unixsocket is not set");
  for (const auto& listener : listeners_) log_notice("listening on {}", listener->name());
  return Status();
}

void Server::accept(UvSocket* socket, Peer peer) {
  if (!peer.unix_socket && config().tcp_keepalive_s > 0) {
    uv_tcp_keepalive(&socket->tcp, 1, static_cast<unsigned>(config().tcp_keepalive_s));
  }
  auto transport = std::make_unique<UvTransport>(socket);
  UvTransport* raw = transport.get();
  Connection* connection = core_.clients().add(std::move(transport), std::move(peer));
  if (connection != nullptr) raw->set_connection(connection);
}

void Server::open_engine() {
  EngineOptions options = engine_options(config(), plan_);
  options.table_cache_files = descriptors(config()).tables;
  options.fs = &fs_;
  options.executor = executor_.get();
  options.clock = &clock_;
  options.random_seed = random_seed_from_os();
  opening_since_s_ = clock_.now_us() / 1'000'000;
  core_.open(options, [this](const Status& status) { engine_opened(status); });
}

void Server::engine_opened(const Status& status) {
  if (!status.ok()) {
    log_warning("{} cannot be served: {}", config().dir, status.to_string());
    exit_code_ = 1;
    return stop();
  }
  EngineStats stats = core_.engine()->stats();
  checkpoints_->opened(stats.last_sequence);
  startup_memory_ = allocated_memory();
  if (shutting_down_) return core_.advance_shutdown();
  log_notice("ready: {} tables, {} MB, opened in {} ms ({} log batches replayed)", stats.tables,
             stats.table_bytes >> 20, stats.recovery_us / 1000, stats.recovered_batches);
}

int Server::run() {
  uv_run(&loop_, UV_RUN_DEFAULT);
  return exit_code_;
}

// --- the turn ---

// Once a turn, right before the loop looks for new events (and perhaps sleeps).
void Server::prepare_turn() {
  if (stopped_) return;
  core_.turn();
  if (!shutdown_reason_.empty()) begin_shutdown(std::exchange(shutdown_reason_, {}));
  core_.advance_shutdown();
  if (core_.drained()) {
    if (!core_.shutdown_status().ok()) exit_code_ = 1;
    log_notice("everything is on disk, bye");
    return stop();
  }

  if (int64_t at = core_.clients().wake_at_us(); at != 0) {
    int64_t us = std::max<int64_t>(0, at - clock_.monotonic_us());
    uv_timer_start(
        &wake_timer_, [](uv_timer_t*) {}, static_cast<uint64_t>(us + 999) / 1000, 0);
  } else {
    uv_timer_stop(&wake_timer_);
  }
  if (core_.clients().has_work())
    uv_idle_start(&busy_, [](uv_idle_t*) {});
  else
    uv_idle_stop(&busy_);
}

void Server::run_completions() {
  if (stopped_) return;
  int64_t deadline = clock_.monotonic_us() + kCompletionsUs;
  while (executor_->run_completions(kCompletionsPerSlice) == kCompletionsPerSlice) {
    if (stopped_) return;
    if (clock_.monotonic_us() < deadline) continue;
    uv_async_send(&completions_async_);
    return;
  }
}

void Server::tick() {
  if (stopped_) return;
  core_.tick();
  for (const auto& listener : listeners_) listener->tick();
  sample_peak();
  int64_t now = clock_.monotonic_us();
  ops_rate_.sample(now, core_.dispatcher().commands_processed());
  input_rate_.sample(now, core_.clients().stats().net_in);
  output_rate_.sample(now, core_.clients().stats().net_out);
}

// Not at every tick: asking the allocator makes it add up all its arenas.
void Server::sample_peak() {
  int64_t now = clock_.monotonic_us();
  if (now - peak_sampled_us_ < kPeakSampleUs) return;
  peak_sampled_us_ = now;
  peak_memory_ = std::max(peak_memory_, allocated_memory());
}

void Server::after_ms(int64_t ms, std::function<void()> call) {
  start_timer(ms, std::move(call));
}

void Server::after_ms_for(uint64_t client, int64_t ms, std::function<void()> call) {
  drop_timer(client);
  Timer* timer = start_timer(ms, std::move(call));
  timer->client = client;
  client_timers_[client] = timer;
}

void Server::drop_timer(uint64_t client) {
  auto found = client_timers_.find(client);
  if (found == client_timers_.end()) return;
  Timer* timer = found->second;
  client_timers_.erase(found);
  timers_.erase(timer);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer->handle),
           [](uv_handle_t* h) { delete static_cast<Timer*>(h->data); });
}

Server::Timer* Server::start_timer(int64_t ms, std::function<void()> call) {
  auto* timer = new Timer{{}, this, std::move(call)};
  timers_.insert(timer);
  uv_timer_init(&loop_, &timer->handle);
  timer->handle.data = timer;
  uv_timer_start(
      &timer->handle,
      [](uv_timer_t* handle) {
        auto* due = static_cast<Timer*>(handle->data);
        due->server->timers_.erase(due);
        if (due->client != 0) due->server->client_timers_.erase(due->client);
        std::function<void()> now = std::move(due->call);
        uv_close(reinterpret_cast<uv_handle_t*>(handle),
                 [](uv_handle_t* h) { delete static_cast<Timer*>(h->data); });
        now();
      },
      static_cast<uint64_t>(std::max<int64_t>(0, ms)), 0);
  return timer;
}

// --- shutdown ---

void Server::on_signal(int number) {
  const char* name = number == SIGINT ? "SIGINT" : "SIGTERM";
  if (shutting_down_) {
    log_warning("{} while shutting down: leaving at once; the log has what was acknowledged", name);
    _exit(1);
  }
  shutdown_reason_ = name;
}

// `now` and `force` change nothing: a shutdown always syncs first and never waits for replicas or an RDB
// file.
void Server::shutdown(bool, bool) {
  shutdown_reason_ = "SHUTDOWN";
}

void Server::begin_shutdown(const std::string& reason) {
  if (shutting_down_) return;
  shutting_down_ = true;
  log_notice("{}: shutting down", reason);
  listeners_.clear();
  core_.shut_down();
  uv_timer_start(
      &shutdown_timer_,
      [](uv_timer_t*) {
        log_warning("shutdown takes too long: leaving; the log has what was acknowledged");
        _exit(1);
      },
      kShutdownLimitMs, 0);
}

void Server::stop() {
  stopped_ = true;
  uv_stop(&loop_);
}

// --- settings ---

DescriptorPlan Server::descriptors(const Config& wanted) const {
  return plan_descriptors(wanted, plan_, open_files_);
}

void Server::update_limits() {
  ClientLimits limits;
  // An argument stands in the input and, while its command waits, beside it: what would not fit twice into
  // the clients' memory is refused at its length, rather than its client evicted half way.
  limits.parser.max_bulk = std::min(config().proto_max_bulk_len, std::max(plan_.clients / 2, kLeastMaxBulk));
  limits.query_buffer = config().client_query_buffer_limit;
  limits.output_soft = config().output_soft_limit;
  limits.output = config().client_output_buffer_limit[static_cast<size_t>(ClientClass::kNormal)];
  limits.output_subscriber = config().client_output_buffer_limit[static_cast<size_t>(ClientClass::kPubSub)];
  limits.memory = plan_.clients;
  DescriptorPlan files = descriptors(config());
  limits.maxclients = files.maxclients;
  limits.timeout_s = config().timeout_s;
  limits.handshake_timeout_s = config().handshake_timeout_s;
  limits.request_timeout_s = config().request_timeout_s;
  limits.stream_timeout_s = config().stream_timeout_s;
  limits.time_turns = config().observation.latency_ms > 0;
  limits.password = core_.dispatcher().acl().needs_auth();
  limits.protected_mode = config().protected_mode && core_.dispatcher().acl().default_nopass();
  if (limits.maxclients < config().maxclients) {
    log_warning(
        "maxclients is {} instead of {}: the process may open {} files only (ulimit -n), of which {} are "
        "reserved for the log and jobs and {} for tables",
        limits.maxclients, config().maxclients, open_files_, files.reserved, files.tables);
  }
  if (Engine* engine = core_.engine()) engine->set_table_cache_files(files.tables);
  core_.clients().set_limits(limits);
}

std::vector<std::pair<std::string, std::string>> Server::config_get(std::string_view pattern) {
  return configuration_.get(pattern);
}

Status Server::config_set(const std::vector<std::pair<std::string, std::string>>& settings) {
  MemoryPlan plan_before = plan_;
  Status set = configuration_.set(settings,
                                  [this](const Config& now, const Config& next) { return apply(now, next); });
  if (!set.ok()) {
    plan_ = plan_before;
    return set;
  }
  // From here on nothing can fail.
  set_log_level(config().loglevel);
  update_limits();
  if (Engine* engine = core_.engine()) {
    if (plan_.memtable != plan_before.memtable) engine->set_memtable_size(plan_.memtable);
    if (plan_.block_cache != plan_before.block_cache) engine->set_block_cache_size(plan_.block_cache);
  }
  core_.set_sync_mode(config().appendfsync);
  return Status();
}

Status Server::apply(const Config& now, const Config& next) {
  auto plan = plan_memory(next, machine_memory());
  if (!plan) return plan.status();
  VARVE_TRY(check_descriptors(now, plan_, next, *plan, open_files_));
  plan_ = *plan;
  return Status();
}

// --- users ---

// Those of the configuration file, or those of the ACL file, before anyone can connect.
Status Server::load_users() {
  Acl& acl = core_.dispatcher().acl();
  VARVE_TRY(acl.configure(config().users));
  if (config().aclfile.empty()) return Status();
  auto text = read_acl_text(fs_, config().aclfile);
  if (!text) return text.status();
  AclFile file = parse_acl_file(acl.rules(), *text, config().aclfile);
  if (!file.errors.empty()) return Status(StatusCode::kInvalidArgument, file.errors);
  acl.install(std::move(file.users));
  return Status();
}

void Server::read_acl_file(std::function<void(const Result<std::string>&)> use, std::function<void()> done) {
  executor_->submit(
      Lane::kUtility,
      [fs = &fs_, path = config().aclfile, use = std::move(use)] {
        use(read_acl_text(*fs, path));
        return true;
      },
      [done = std::move(done)](bool) { done(); });
}

void Server::write_acl_file(std::string text, std::function<void(Status)> done) {
  if (saving_users_) return done(Status::busy("the ACL file is being written already"));
  saving_users_ = true;
  executor_->submit(
      Lane::kUtility,
      [fs = &fs_, path = config().aclfile, text = std::move(text)] {
        auto [dir, name] = split_path(path);
        return fs->replace_whole(dir, name, text);
      },
      [this, done = std::move(done)](const Status& status) {
        saving_users_ = false;
        done(status);
      });
}

void Server::access_changed() {
  ClientLimits limits = core_.clients().limits();
  limits.password = core_.dispatcher().acl().needs_auth();
  limits.protected_mode = config().protected_mode && core_.dispatcher().acl().default_nopass();
  core_.clients().set_limits(limits);
}

ClientState* Server::client(uint64_t id) {
  Connection* connection = core_.clients().find(id);
  return connection == nullptr ? nullptr : &connection->state();
}

void Server::push(uint64_t client, Sequence gate, const PushMessage& message) {
  if (Connection* connection = core_.clients().find(client)) connection->push(gate, message);
}

bool Server::run_again(uint64_t client) {
  Connection* connection = core_.clients().find(client);
  return connection != nullptr && connection->run_again();
}

void Server::wake(uint64_t client) {
  if (Connection* connection = core_.clients().find(client)) connection->wake();
}

uint64_t Server::max_reply() const {
  return std::min(kMaxReply, plan_.clients / 4);
}

void Server::config_rewrite(std::function<void(Status)> done) {
  if (rewriting_) return done(Status::busy("Rewriting config file: it is being rewritten already"));
  rewriting_ = true;
  Configuration settings = configuration_;
  settings.set_users(config().aclfile.empty() ? core_.dispatcher().acl().config_lines()
                                              : std::vector<std::vector<std::string>>());
  executor_->submit(
      Lane::kUtility, [settings = std::move(settings), fs = &fs_] { return settings.rewrite(*fs); },
      [this, done = std::move(done)](const Status& status) {
        rewriting_ = false;
        done(status);
      });
}

void Server::checkpoint(std::function<void(Status)> done) {
  if (core_.stage() != Core::Stage::kServing) return done(Status::busy("the data is not open"));
  checkpoints_->start(*core_.engine(), checkpoint_path(config()), config().checkpoint_keep, std::move(done));
}

}  // namespace varve
