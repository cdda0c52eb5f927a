// monitors.h: the clients in MONITOR, who are shown every command as it has run. Loop thread only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "command/client_state.h"
#include "command/host.h"

namespace varve {

class Monitors {
 public:
  bool empty() const { return clients_.empty(); }
  void add(ClientState& client);
  // It may be gone, or none of them.
  void remove(uint64_t client);

  // Shows a command of `client`, which was in `db` when it had run.
  void show(Host& host, Sequence gate, int64_t now_us, const ClientState& client, uint32_t db,
            const std::vector<std::string_view>& args);

 private:
  std::vector<uint64_t> clients_;
};

// The line of a command, without its end: "1339518083.107412 [0 127.0.0.1:60866] "keys" "*"".
std::string monitor_line(int64_t now_us, const ClientState& client, uint32_t db,
                         const std::vector<std::string_view>& args);

}  // namespace varve
