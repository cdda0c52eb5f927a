#include "command/watches.h"

#include <algorithm>

namespace varve {
namespace {

// What a watched key costs beside its bytes, which stand in both maps.
constexpr size_t kWatchBytes = 192;

}  // namespace

void Watches::add(ClientState& client, uint32_t database, std::string_view key, bool exists,
                  int64_t expire_ms) {
  auto found = watchers_.find(KeyView(database, key));
  if (found == watchers_.end()) {
    found = watchers_.emplace(Key(database, key), std::vector<Watcher>()).first;
  } else if (std::any_of(found->second.begin(), found->second.end(),
                         [&](const Watcher& watcher) { return watcher.client == client.id; })) {
    return;
  }
  found->second.push_back({client.id, exists, expire_ms});
  by_client_[client.id].push_back(found->first);
  ++client.watched_keys;
  client.watch_bytes += kWatchBytes + 2 * key.size();
}

bool Watches::expired(uint64_t client, int64_t now_ms) const {
  auto mine = by_client_.find(client);
  if (mine == by_client_.end()) return false;
  for (const Key& key : mine->second) {
    for (const Watcher& watcher : watchers_.find(key)->second) {
      if (watcher.client == client && watcher.exists && watcher.expire_ms != 0 && watcher.expire_ms <= now_ms)
        return true;
    }
  }
  return false;
}

void Watches::clear(ClientState& client) {
  forget(client.id);
  client.watched_keys = 0;
  client.watch_bytes = 0;
}

void Watches::forget(uint64_t client) {
  auto mine = by_client_.find(client);
  if (mine == by_client_.end()) return;
  for (const Key& key : mine->second) {
    auto found = watchers_.find(key);
    std::vector<Watcher>& watchers = found->second;
    watchers.erase(std::find_if(watchers.begin(), watchers.end(),
                                [&](const Watcher& watcher) { return watcher.client == client; }));
    if (watchers.empty()) watchers_.erase(found);
  }
  by_client_.erase(mine);
}

// Their next EXEC will fail; what they watched does not matter any more.
void Watches::fail(const std::vector<uint64_t>& clients) {
  for (uint64_t id : clients) {
    if (ClientState* client = host_.client(id)) {
      client->watch_failed = true;
      clear(*client);
    } else {
      forget(id);
    }
  }
}

void Watches::touch(uint32_t database, std::string_view key, bool removal) {
  auto found = watchers_.find(KeyView(database, key));
  if (found == watchers_.end()) return;
  std::vector<uint64_t> touched;
  for (const Watcher& watcher : found->second) {
    if (!removal || watcher.exists) touched.push_back(watcher.client);
  }
  fail(touched);
}

void Watches::flushed(uint32_t database, int64_t now_ms) {
  std::vector<uint64_t> touched;
  for (auto at = watchers_.lower_bound(KeyView(database, {}));
       at != watchers_.end() && at->first.first == database; ++at) {
    for (const Watcher& watcher : at->second) {
      bool there = watcher.exists && (watcher.expire_ms == 0 || watcher.expire_ms > now_ms);
      if (there) touched.push_back(watcher.client);
    }
  }
  fail(touched);
}

std::vector<std::string> Watches::keys_of(uint32_t database) const {
  std::vector<std::string> keys;
  for (auto at = watchers_.lower_bound(KeyView(database, {}));
       at != watchers_.end() && at->first.first == database; ++at) {
    keys.push_back(at->first.second);
  }
  return keys;
}

}  // namespace varve
