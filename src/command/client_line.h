// client_line.h: a client in one line, as CLIENT LIST and ACL LOG show it.
#pragma once

#include <cstdint>
#include <string>

namespace varve {

class Acl;
struct ClientState;

// Without a newline. Byte counts are as old as the client's state.
std::string client_line(const ClientState& client, const Acl& acl, int64_t now_ms);

}  // namespace varve
