// client_state.h: what commands know and change of one connection. Owned by the connection (server) and
// touched by the loop thread only.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "command/multi_state.h"
#include "lsm/key_format.h"

namespace varve {

class AclUser;

enum class ReplyMode : uint8_t { kOn, kOff, kSkipNext };

enum Subscription : uint8_t { kChannel, kPattern, kShardChannel };
inline constexpr size_t kSubscriptions = 3;

// What commands set for the commands behind them. EXEC puts it back before it runs again.
struct ClientSettings {
  int protocol = 2;
  uint32_t db = 0;
  bool authenticated = false;
  std::shared_ptr<AclUser> user;  // null: "default"; told by Acl::user_of()
  std::string name;
  std::string lib_name;     // CLIENT SETINFO LIB-NAME
  std::string lib_version;  // CLIENT SETINFO LIB-VER
  bool no_evict = false;
  bool no_touch = false;
  ReplyMode reply_mode = ReplyMode::kOn;
  bool skip_this_reply = false;  // CLIENT REPLY SKIP: set for exactly the next command
};

struct ClientState : ClientSettings {
  uint64_t id = 0;
  std::string address;  // "127.0.0.1:51234", "/tmp/varve.sock:0"
  std::string local_address;
  bool unix_socket = false;
  bool close_after_reply = false;  // QUIT, CLIENT KILL of oneself, protocol errors
  int64_t created_ms = 0;
  int64_t last_interaction_ms = 0;
  std::string last_command = "NULL";  // "client|list", for CLIENT LIST
  size_t cursor_bytes = 0;            // what the table of cursors holds for it: SCAN's
  std::unique_ptr<MultiState> multi;  // since MULTI
  bool watch_failed = false;          // a watched key was changed: EXEC does nothing
  size_t watched_keys = 0;
  bool blocked = false;  // waits for keys, or for the end of a pause
  bool monitor = false;  // is shown every command
  std::array<size_t, kSubscriptions> subscriptions = {};
  // What others hold for it: charged to it.
  size_t watch_bytes = 0, subscription_bytes = 0, block_bytes = 0;
  // The highest sequence it has written or been shown: what it publishes depends on that.
  Sequence shown = 0;
  // Kept by the connection, for CLIENT LIST.
  int fd = -1;
  uint64_t query_buffer = 0, query_buffer_free = 0, args_memory = 0;
  uint64_t output_bytes = 0, output_list = 0, output_memory = 0, total_memory = 0;
  uint64_t net_in = 0, net_out = 0;

  size_t subscribed() const { return subscriptions[kChannel] + subscriptions[kPattern]; }
  bool is_subscriber() const { return subscribed() + subscriptions[kShardChannel] > 0; }
  // Subscribers and monitors get what they did not ask for just now: their output has limits of its own.
  bool is_listener() const { return is_subscriber() || monitor; }
  size_t multi_bytes() const { return multi ? multi->bytes : 0; }
};

}  // namespace varve
