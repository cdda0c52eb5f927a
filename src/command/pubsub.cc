#include "command/pubsub.h"

#include <algorithm>

#include "command/glob.h"
#include "command/push_message.h"

namespace varve {
namespace {

// What a subscription costs beside its name, in both directions.
constexpr size_t kSubscriptionBytes = 160;

}  // namespace

bool PubSub::subscribe(ClientState& client, Subscription kind, std::string_view name) {
  auto [at, added] = by_client_[client.id][kind].emplace(name);
  if (!added) return false;
  Clients& clients = kind == kPattern ? patterns_[*at] : by_name_[kind == kShardChannel ? 1 : 0][*at];
  clients.push_back(client.id);
  ++client.subscriptions[kind];
  client.subscription_bytes += kSubscriptionBytes + 2 * name.size();
  return true;
}

void PubSub::drop(Clients& clients, uint64_t client) {
  clients.erase(std::find(clients.begin(), clients.end(), client));
}

void PubSub::remove(uint64_t client, Subscription kind, std::string_view name) {
  if (kind == kPattern) {
    auto at = patterns_.find(name);
    drop(at->second, client);
    if (at->second.empty()) patterns_.erase(at);
  } else {
    auto& names = by_name_[kind == kShardChannel ? 1 : 0];
    auto at = names.find(name);
    drop(at->second, client);
    if (at->second.empty()) names.erase(at);
  }
}

bool PubSub::unsubscribe(ClientState& client, Subscription kind, std::string_view name) {
  auto mine = by_client_.find(client.id);
  if (mine == by_client_.end()) return false;
  auto at = mine->second[kind].find(name);
  if (at == mine->second[kind].end()) return false;
  remove(client.id, kind, name);
  client.subscription_bytes -= kSubscriptionBytes + 2 * name.size();
  mine->second[kind].erase(at);  // `name` may be a view of it
  if (--client.subscriptions[kind] == 0 && client.subscription_bytes == 0) by_client_.erase(mine);
  return true;
}

std::vector<std::string> PubSub::names_of(uint64_t client, Subscription kind) const {
  auto mine = by_client_.find(client);
  if (mine == by_client_.end()) return {};
  return {mine->second[kind].begin(), mine->second[kind].end()};
}

void PubSub::forget(uint64_t client) {
  auto mine = by_client_.find(client);
  if (mine == by_client_.end()) return;
  for (Subscription kind : {kChannel, kPattern, kShardChannel}) {
    for (const std::string& name : mine->second[kind]) remove(client, kind, name);
  }
  by_client_.erase(mine);
}

size_t PubSub::subscribers(std::string_view channel, bool shard) const {
  auto at = by_name_[shard ? 1 : 0].find(channel);
  return at == by_name_[shard ? 1 : 0].end() ? 0 : at->second.size();
}

uint64_t PubSub::receivers(std::string_view channel, bool shard) const {
  uint64_t count = subscribers(channel, shard);
  if (shard) return count;
  for (const auto& [pattern, clients] : patterns_) {
    if (glob_matches(pattern, channel)) count += clients.size();
  }
  return count;
}

void PubSub::publish(Host& host, Sequence gate, std::string_view channel, std::string_view message,
                     bool shard) const {
  // A client that is pushed too much is closed, but leaves these lists only at the end of the turn.
  const auto& names = by_name_[shard ? 1 : 0];
  if (auto at = names.find(channel); at != names.end()) {
    PushMessage push({shard ? "smessage" : "message", channel, message});
    for (uint64_t client : at->second) host.push(client, gate, push);
  }
  if (shard) return;
  for (const auto& [pattern, clients] : patterns_) {
    if (!glob_matches(pattern, channel)) continue;
    PushMessage push({"pmessage", pattern, channel, message});
    for (uint64_t client : clients) host.push(client, gate, push);
  }
}

std::vector<std::string> PubSub::channels_like(std::optional<std::string_view> pattern, bool shard) const {
  std::vector<std::string> found;
  for (const auto& [name, clients] : by_name_[shard ? 1 : 0]) {
    if (!pattern || glob_matches(*pattern, name)) found.push_back(name);
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace varve
