// pubsub.h: who has subscribed to what. Messages are published when the publisher's batch is committed
// (dispatcher_effects.cc), never out of a run that may be repeated.
//
// Loop thread only.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "command/client_state.h"
#include "command/host.h"

namespace varve {

class PubSub {
 public:
  // False when the client has it already (or has it not). The counts in `client` follow.
  bool subscribe(ClientState& client, Subscription kind, std::string_view name);
  bool unsubscribe(ClientState& client, Subscription kind, std::string_view name);
  // What a client has subscribed to, sorted.
  std::vector<std::string> names_of(uint64_t client, Subscription kind) const;
  // Everything of a client that is gone or starts anew.
  void forget(uint64_t client);

  // Nobody would hear anything.
  bool silent() const { return by_name_[0].empty() && patterns_.empty(); }
  // How many subscriptions a message of a channel (or shard channel) meets.
  uint64_t receivers(std::string_view channel, bool shard) const;
  void publish(Host& host, Sequence gate, std::string_view channel, std::string_view message,
               bool shard) const;

  size_t channels() const { return by_name_[0].size(); }
  size_t shard_channels() const { return by_name_[1].size(); }
  size_t patterns() const { return patterns_.size(); }
  size_t subscribers(std::string_view channel, bool shard) const;
  // Channels that match a glob pattern, sorted; all without one (* does not match the empty name).
  std::vector<std::string> channels_like(std::optional<std::string_view> pattern, bool shard) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Clients = std::vector<uint64_t>;  // in the order in which they came
  using Names = std::set<std::string, std::less<>>;

  static void drop(Clients& clients, uint64_t client);
  void remove(uint64_t client, Subscription kind, std::string_view name);

  std::array<std::unordered_map<std::string, Clients, Hash, std::equal_to<>>, 2> by_name_;  // channels, shard
  std::map<std::string, Clients, std::less<>> patterns_;
  std::unordered_map<uint64_t, std::array<Names, kSubscriptions>> by_client_;
};

}  // namespace varve
