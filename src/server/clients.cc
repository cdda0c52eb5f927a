#include "server/clients.h"

#include <algorithm>
#include <compare>
#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace varve {
namespace {

// Commands that wait for admission ask no more often.
constexpr int64_t kLeastWaitUs = 100;

}  // namespace

const char kProtectedModeError[] =
    "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for "
    "the default "
    "user. In this mode connections are only accepted from the loopback interface. If you want to connect "
    "from external "
    "computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending "
    "the command "
    "'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host "
    "the server is "
    "running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG "
    "REWRITE to make this "
    "change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis "
    "configuration file, and "
    "setting the protected mode option to 'no', and then restarting the server. 3) If you started the server "
    "manually just "
    "for testing, restart it with the '--protected-mode no' option. 4) Setup a an authentication password "
    "for the default "
    "user. NOTE: You only need to do one of the above things in order for the server to start accepting "
    "connections from the "
    "outside.\r\n";

Clients::Clients(Backend& backend, Clock& clock)
    : backend_(backend),
      clock_(clock),
      read_buffer_(std::make_unique<char[]>(kReadBuffer)),
      fresh_buffer_(std::make_unique<char[]>(kFreshBuffer)) {
  now_ms_ = checked_ms_ = clock.now_ms();
}

Clients::~Clients() {
  close_all("server stops");
}

void Clients::set_limits(const ClientLimits& limits) {
  limits_ = limits;
}

// --- coming and going ---

void Clients::refuse(std::unique_ptr<Transport> transport, std::string_view error) {
  // As much as the fresh socket takes; that is all of it.
  (void)transport->write(error);
}

Connection* Clients::add(std::unique_ptr<Transport> transport, Peer peer) {
  ++stats_.accepted;
  if (connections_.size() >= limits_.maxclients) {
    ++stats_.rejected;
    refuse(std::move(transport), "-ERR max number of clients reached\r\n");
    return nullptr;
  }
  if (limits_.protected_mode && !peer.unix_socket && !peer.loopback) {
    ++stats_.denied;
    refuse(std::move(transport), kProtectedModeError);
    return nullptr;
  }
  ClientState state;
  state.id = next_id_++;
  state.authenticated = !limits_.password;
  state.address = std::move(peer.address);
  state.local_address = std::move(peer.local_address);
  state.unix_socket = peer.unix_socket;
  state.fd = peer.fd;
  state.created_ms = state.last_interaction_ms = clock_.now_ms();
  uint64_t id = state.id;
  auto connection = std::make_unique<Connection>(*this, std::move(state));
  Connection* raw = connection.get();
  connections_.emplace(id, std::move(connection));
  raw->attach(std::move(transport));
  charge(*raw);
  log_verbose("client {} ({}): connected", id, raw->state().address);
  return raw;
}

Connection* Clients::find(uint64_t id) {
  auto it = connections_.find(id);
  return it == connections_.end() || it->second->closed() ? nullptr : it->second.get();
}

bool Clients::kill(uint64_t id, uint64_t caller) {
  Connection* connection = find(id);
  if (connection == nullptr) return false;
  if (id == caller)
    connection->state().close_after_reply = true;
  else
    connection->close("killed by another client");
  return true;
}

std::vector<const ClientState*> Clients::states() {
  std::vector<const ClientState*> all;
  all.reserve(connections_.size());
  for (auto& [id, connection] : connections_) {
    if (connection->closed()) continue;
    connection->update_counts();
    all.push_back(&connection->state());
  }
  std::sort(all.begin(), all.end(), [](const ClientState* a, const ClientState* b) { return a->id < b->id; });
  return all;
}

void Clients::bury() {
  for (uint64_t id : dead_) {
    auto it = connections_.find(id);
    if (it == connections_.end()) continue;
    memory_ -= it->second->charged_;
    connections_.erase(it);
    backend_.client_gone(id);
  }
  dead_.clear();
}

void Clients::close_all(std::string_view reason) {
  for (auto& [id, connection] : connections_) connection->close(reason);
  fresh_.clear();
  dirty_.clear();
  queue_.clear();
  bury();
}

void Clients::finish_all() {
  for (auto& [id, connection] : connections_) connection->finish();
}

bool Clients::all_idle() const {
  for (const auto& [id, connection] : connections_) {
    if (!connection->closed() && !connection->idle()) return false;
  }
  return true;
}

// --- lists ---

void Clients::enqueue(Connection& connection) {
  if (connection.queued_ || connection.closed_) return;
  connection.queued_ = true;
  queue_.push_back(connection.id());
}

void Clients::mark_dirty(Connection& connection) {
  if (connection.dirty_ || connection.closed_) return;
  connection.dirty_ = true;
  dirty_.push_back(&connection);
}

void Clients::add_gated(Connection& connection) {
  if (connection.gated_slot_ >= 0) return;
  connection.gated_slot_ = static_cast<int64_t>(gated_.size());
  gated_.push_back(&connection);
}

void Clients::remove_gated(Connection& connection) {
  if (connection.gated_slot_ < 0) return;
  size_t slot = static_cast<size_t>(connection.gated_slot_);
  VARVE_DCHECK(gated_[slot] == &connection);
  gated_[slot] = gated_.back();
  gated_[slot]->gated_slot_ = static_cast<int64_t>(slot);
  gated_.pop_back();
  connection.gated_slot_ = -1;
}

void Clients::wait_for_admission(Connection& connection, int64_t wait_us) {
  if (!connection.waiting_) {  // else it was asked again, and keeps its place
    connection.waiting_ = true;
    waiting_.push_back(connection.id());
  }
  if (wait_us > 0)
    waiting_until_us_ =
        std::min(waiting_until_us_, clock_.monotonic_us() + std::max<int64_t>(wait_us, kLeastWaitUs));
}

void Clients::charge(Connection& connection) {
  size_t now = connection.memory_used();
  memory_ += now - connection.charged_;
  connection.charged_ = now;
}

// --- the gate ---

void Clients::release(Sequence durable) {
  released_ = durable;
  for (size_t i = 0; i < gated_.size();) {
    Connection& connection = *gated_[i];
    if (connection.release(durable))
      ++i;
    else
      remove_gated(connection);  // another one takes slot i
  }
}

void Clients::fence(Sequence durable, const std::string& reason) {
  fenced_ = true;
  fence_error_ = "MISCONF varve cannot make writes durable any more, restart it: " + reason;
  release(durable);
  while (!gated_.empty()) {
    Connection& connection = *gated_.back();
    connection.fence();
    remove_gated(connection);
  }
}

// --- the turn ---

bool Clients::keep_fresh(Connection& connection, std::string_view input) {
  if (running_fresh_ || input.size() > kFreshMax || input.size() > kFreshBuffer - fresh_used_) return false;
  char* kept = fresh_buffer_.get() + fresh_used_;
  std::memcpy(kept, input.data(), input.size());
  fresh_used_ += input.size();
  fresh_.push_back({&connection, {kept, input.size()}});
  connection.fresh_ = true;
  return true;
}

// In the order in which they came.
void Clients::end_of_poll() {
  if (running_fresh_) return;
  running_fresh_ = true;
  FirstRequest ahead[Backend::kPrefetched];
  for (size_t i = 0; i < fresh_.size(); ++i) {
    if (i % Backend::kPrefetched == 0) {
      size_t count = std::min(fresh_.size() - i, Backend::kPrefetched);
      for (size_t j = 0; j < count; ++j) ahead[j] = {&fresh_[i + j].connection->state_, fresh_[i + j].input};
      if (count > 1) backend_.prefetch_first(ahead, count);
    }
    fresh_[i].connection->take(fresh_[i].input);
  }
  fresh_.clear();
  fresh_used_ = 0;
  running_fresh_ = false;
}

void Clients::run_queue() {
  int64_t deadline = clock_.monotonic_us() + kQueueTurnUs;
  // Those that come back to the queue have had their turn.
  for (size_t n = queue_.size(); n > 0; --n) {
    uint64_t id = queue_.front();
    queue_.pop_front();
    auto it = connections_.find(id);
    if (it == connections_.end()) continue;
    it->second->queued_ = false;
    it->second->continue_turn();
    if (n > 1 && clock_.monotonic_us() >= deadline) return;
  }
}

// In order; but a large write for which there is no room yet does not hold back the smaller ones behind it.
void Clients::run_waiting() {
  retry_waiting_ = false;
  waiting_until_us_ = INT64_MAX;
  int64_t deadline = clock_.monotonic_us() + kQueueTurnUs;
  std::vector<uint64_t> refused;
  while (!waiting_.empty() && refused.size() < kRefusalsPerTurn) {
    uint64_t id = waiting_.front();
    waiting_.pop_front();
    Connection* connection = find(id);
    if (connection != nullptr && !connection->retry_waiting()) {
      refused.push_back(id);
    } else if (connection != nullptr) {
      connection->waiting_ = false;
    }
    if (!waiting_.empty() && clock_.monotonic_us() >= deadline) {
      retry_waiting_ = refused.empty();  // else when the refused ones ask again
      break;
    }
  }
  waiting_.insert(waiting_.begin(), refused.begin(), refused.end());
  // Nobody who was refused says when: ask again at once.
  if (waiting_until_us_ == INT64_MAX && !waiting_.empty()) retry_waiting_ = true;
}

bool Clients::has_work() const {
  return !queue_.empty() || !dead_.empty() || (retry_waiting_ && !waiting_.empty());
}

void Clients::end_of_turn() {
  if (limits_.time_turns && turn_began_us_ == 0) turn_began_us_ = clock_.monotonic_us();
  if (!fresh_.empty()) end_of_poll();
  if (!waiting_.empty() && (retry_waiting_ || clock_.monotonic_us() >= waiting_until_us_)) run_waiting();
  if (!queue_.empty()) run_queue();
  backend_.end_of_turn();
  if (!dirty_.empty()) {
    now_ms_ = clock_.now_ms();
    for (size_t i = 0; i < dirty_.size(); ++i) dirty_[i]->flush();
    dirty_.clear();
  }
  if (limits_.memory != 0 && memory_ > limits_.memory) evict();
  evicted_all_ = false;
  if (!dead_.empty()) bury();
  turn_us_ = turn_began_us_ == 0 ? 0 : clock_.monotonic_us() - turn_began_us_;
  turn_began_us_ = 0;
}

// One poll may read megabytes from each of many clients: what they hold is looked at before the turn ends.
void Clients::input_grew(Connection& connection) {
  charge(connection);
  if (limits_.memory != 0 && memory_ > limits_.memory && !evicted_all_) evict();
}

// Closes the clients that hold most until the rest fits, as Redis's maxmemory-clients; but those that have
// not given the password go before those that have.
void Clients::evict() {
  struct Victim {
    bool stranger;
    size_t size;
    uint64_t id;  // of equals the younger one goes first
    Connection* connection;
    auto operator<=>(const Victim&) const = default;
  };
  std::vector<Victim> largest;
  size_t rest = 0;
  for (auto& [id, connection] : connections_) {
    if (connection->closed()) continue;
    connection->release_spare();
    charge(*connection);
    rest += connection->charged_;
    if (!connection->state().no_evict)
      largest.push_back({connection->unauthenticated(), connection->charged_, id, connection.get()});
  }
  std::make_heap(largest.begin(), largest.end());
  size_t evicted = 0;
  while (rest > limits_.memory && !largest.empty()) {
    auto [stranger, size, client, connection] = largest.front();
    std::pop_heap(largest.begin(), largest.end());
    largest.pop_back();
    rest -= size;
    if (++evicted == 1) {
      log_warning(
          "client {} ({}) evicted: it holds {} bytes, all clients together more than {} (maxmemory-clients)",
          client, connection->state().address, size, limits_.memory);
    }
    connection->close("evicted");
    connection->drop_input();
    charge(*connection);
  }
  evicted_all_ = rest > limits_.memory;
  if (evicted > 1) log_warning("{} more clients evicted, from the largest on", evicted - 1);
  stats_.evicted += evicted;
}

void Clients::tick() {
  now_ms_ = clock_.now_ms();
  if (now_ms_ >= checked_ms_ && now_ms_ - checked_ms_ < 1000) return;
  checked_ms_ = now_ms_;
  for (auto& [id, connection] : connections_) connection->check_times(now_ms_);
}

}  // namespace varve
