// client_state.h: what commands know and change of one connection. Owned by the connection (server) and
// touched by the loop thread only.
#pragma once

#include <cstdint>
#include <string>

namespace varve {

enum class ReplyMode : uint8_t { kOn, kOff, kSkipNext };

struct ClientState {
  uint64_t id = 0;
  int protocol = 2;
  uint32_t db = 0;
  bool authenticated = false;
  std::string name;
  std::string library_name;     // CLIENT SETINFO LIB-NAME
  std::string library_version;  // CLIENT SETINFO LIB-VER
  std::string address;          // "127.0.0.1:51234", "/tmp/varve.sock:0"
  std::string local_address;
  bool unix_socket = false;
  bool no_evict = false;
  bool no_touch = false;
  ReplyMode reply_mode = ReplyMode::kOn;
  bool skip_this_reply = false;    // CLIENT REPLY SKIP: set for exactly the next command
  bool close_after_reply = false;  // QUIT, CLIENT KILL of oneself, protocol errors
  int64_t created_ms = 0;
  int64_t last_interaction_ms = 0;
  std::string last_command = "NULL";  // "client|list", for CLIENT LIST
  size_t cursor_bytes = 0;            // what the table of cursors holds for it: SCAN's
  // Kept by the connection, for CLIENT LIST.
  int fd = -1;
  uint64_t query_buffer = 0, query_buffer_free = 0, args_memory = 0;
  uint64_t output_bytes = 0, output_list = 0, output_memory = 0, total_memory = 0;
  uint64_t net_in = 0, net_out = 0;
};

}  // namespace varve
