#include "command/blocked_clients.h"

#include <utility>

namespace varve {
namespace {

// What a waiting client costs beside the bytes of its keys, which stand in two places.
constexpr size_t kWaiterBytes = 256;
constexpr size_t kWaitedKeyBytes = 256;

}  // namespace

// --- waiting ---

bool BlockedClients::block(ClientState& client, KeyWait wait, Sequence gate) {
  auto [at, fresh] = waiters_.try_emplace(client.id);
  Waiter& waiter = at->second;
  waiter.running = false;
  waiter.gate = gate;
  if (!fresh) return false;
  waiter.arrival = ++arrivals_;
  waiter.database = client.db;
  waiter.wait = std::move(wait);
  client.blocked = true;
  client.block_bytes = kWaiterBytes;
  for (const std::string& key : waiter.wait.keys) {
    queues_[Key(client.db, key)].clients[waiter.arrival] = client.id;
    client.block_bytes += kWaitedKeyBytes + 2 * key.size();
  }
  return true;
}

Unblock BlockedClients::begin_run(uint64_t client) {
  auto at = waiters_.find(client);
  if (at == waiters_.end()) return Unblock::kNo;
  at->second.running = true;
  return at->second.ending;
}

void BlockedClients::leave_queues(uint64_t client, const Waiter& waiter) {
  for (const std::string& name : waiter.wait.keys) {
    auto queue = queues_.find(KeyView(waiter.database, name));
    if (queue == queues_.end()) continue;  // a key named twice
    queue->second.clients.erase(waiter.arrival);
    if (queue->second.server == client) end_service(queue->first);
    // What is ready is looked at once more and then goes.
    if (queue->second.clients.empty() && !queue->second.ready) queues_.erase(queue);
  }
}

void BlockedClients::finish_run(ClientState& client) {
  if (!client.blocked) return;
  forget(client.id);
  client.blocked = false;
  client.block_bytes = 0;
}

void BlockedClients::forget(uint64_t client) {
  std::erase(paused_, client);
  std::erase(behind_, client);
  auto at = waiters_.find(client);
  if (at == waiters_.end()) return;
  Waiter waiter = std::move(at->second);
  waiters_.erase(at);
  leave_queues(client, waiter);
}

bool BlockedClients::end(uint64_t client, Unblock how) {
  auto at = waiters_.find(client);
  if (at == waiters_.end() || at->second.running || at->second.ending != Unblock::kNo) return false;
  at->second.ending = how;
  host_.wake(client);
  return true;
}

// A run under way may still serve it; if it does not, the dispatcher asks whether its time is over.
void BlockedClients::time_out(uint64_t client, uint64_t arrival_number) {
  auto at = waiters_.find(client);
  if (at == waiters_.end() || at->second.arrival != arrival_number) return;
  if (at->second.running) {
    at->second.ending = Unblock::kTimeout;
  } else {
    end(client, Unblock::kTimeout);
  }
}

Unblock BlockedClients::ending(uint64_t client) const {
  auto at = waiters_.find(client);
  return at == waiters_.end() ? Unblock::kNo : at->second.ending;
}

uint64_t BlockedClients::arrival(uint64_t client) const {
  auto at = waiters_.find(client);
  return at == waiters_.end() ? 0 : at->second.arrival;
}

Sequence BlockedClients::gate(uint64_t client) const {
  auto at = waiters_.find(client);
  return at == waiters_.end() ? 0 : at->second.gate;
}

// --- commits ---

void BlockedClients::make_ready(QueueMap::iterator queue) {
  queue->second.next = 0;  // from the first client on
  if (queue->second.ready) return;
  queue->second.ready = true;
  ready_.push_back(queue->first);
}

void BlockedClients::key_written(uint32_t database, std::string_view key, ValueType type) {
  auto queue = queues_.find(KeyView(database, key));
  if (queue == queues_.end()) return;
  queue->second.present = Present::kValue;
  queue->second.type = type;
  // A served client's own write (the rest of a list) does not start the queue again.
  if (!queue->second.ready) make_ready(queue);
}

void BlockedClients::key_removed(uint32_t database, std::string_view key) {
  auto queue = queues_.find(KeyView(database, key));
  if (queue != queues_.end()) queue->second.present = Present::kNothing;
}

void BlockedClients::database_changed(uint32_t database) {
  for (auto queue = queues_.lower_bound(KeyView(database, {}));
       queue != queues_.end() && queue->first.first == database; ++queue) {
    queue->second.present = Present::kPerhaps;
    make_ready(queue);
  }
}

// --- serving ---

void BlockedClients::serve(uint64_t running) {
  if (serving_) return;
  serving_ = true;
  // Serving one key may make others ready (BLMOVE); those in service wait in their queue.
  for (size_t looked = 0; looked < ready_.size();) {
    Key key = ready_.front();
    ready_.pop_front();
    if (serve_key(key, running)) {
      looked = 0;
      continue;
    }
    ready_.push_back(std::move(key));
    ++looked;
  }
  serving_ = false;
}

bool BlockedClients::serve_key(const Key& key, uint64_t running) {
  auto queue = queues_.find(key);
  if (queue == queues_.end()) return true;
  if (queue->second.server != 0 && !attempt_ended(queue)) return false;
  while (queue->second.present != Present::kNothing) {
    auto next = queue->second.clients.lower_bound(queue->second.next);
    if (next == queue->second.clients.end()) break;
    auto [arrived, client] = *next;
    queue->second.next = arrived + 1;
    Waiter& waiter = waiters_.at(client);
    if (waiter.running || waiter.ending != Unblock::kNo) continue;
    if (queue->second.present == Present::kValue && waiter.wait.type != queue->second.type) continue;
    queue->second.server = client;
    ++in_service_;
    if (client == running) {
      // Its run has just ended, and what stands at the key may have changed under it: its next one cannot
      // begin within this one.
      waiter.running = true;
      host_.wake(client);
      return false;
    }
    if (!host_.run_again(client)) forget(client);
    if (queue->second.server != 0 && !attempt_ended(queue)) return false;
  }
  queue->second.ready = false;
  queue->second.next = 0;
  if (queue->second.clients.empty()) queues_.erase(queue);
  return true;
}

// A client was run for this key and has not left its queue: it is on its way (false), or waits again.
bool BlockedClients::attempt_ended(QueueMap::iterator queue) {
  const Waiter& waiter = waiters_.at(queue->second.server);
  if (waiter.running) return false;
  end_service(queue->first);
  // It found nothing of its kind, so nobody will; streams are each client's own affair.
  if (waiter.wait.type != ValueType::kStream && queue->second.present == Present::kValue)
    queue->second.present = Present::kNothing;
  return true;
}

// Those who came in the meantime may go on.
void BlockedClients::end_service(const Key& key) {
  Queue& queue = queues_.find(key)->second;
  if (queue.server == 0) return;
  queue.server = 0;
  --in_service_;
  if (in_service_ > 0) return;
  for (uint64_t client : std::exchange(behind_, {})) host_.wake(client);
}

bool BlockedClients::in_service(uint32_t database, std::string_view key, uint64_t client) const {
  auto queue = queues_.find(KeyView(database, key));
  return queue != queues_.end() && queue->second.server != 0 && queue->second.server != client;
}

bool BlockedClients::serves(uint32_t database, std::string_view key, uint64_t client) const {
  auto queue = queues_.find(KeyView(database, key));
  return queue != queues_.end() && queue->second.server == client;
}

// --- CLIENT PAUSE ---

void BlockedClients::pause(int64_t now_ms, int64_t ms, bool all) {
  bool paused_now = pause_until_ms_ > now_ms;
  int64_t until_ms = now_ms + ms;
  pause_all_ = all || (paused_now && pause_all_);
  if (!paused_now || until_ms > pause_until_ms_) pause_until_ms_ = until_ms;
  host_.after_ms(ms, [this, weak = std::weak_ptr<int>(alive_), until_ms] {
    if (!weak.expired() && pause_until_ms_ == until_ms) unpause();
  });
}

void BlockedClients::wait_for_unpause(ClientState& client) {
  client.blocked = true;
  paused_.push_back(client.id);
}

void BlockedClients::unpause() {
  pause_until_ms_ = 0;
  for (uint64_t id : std::exchange(paused_, {})) {
    if (ClientState* client = host_.client(id)) client->blocked = false;
    host_.wake(id);
  }
}

}  // namespace varve
