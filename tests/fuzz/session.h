// session.h: one connection to a whole server without sockets: the real connection, dispatcher, keyspace and
// engine, files in memory, one thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace varve::fuzz {

// A connection is cut off above this many bytes of replies (commands that multiply: GETRANGE in a loop).
inline constexpr size_t kReplyMax = 8 << 20;

struct SessionOptions {
  bool password = false;  // clients must authenticate ("secret")
  bool misses = false;    // no block is in memory when it is wanted first, some not the second time
};
struct Conversation {
  std::string replies;
  bool open = true;  // the connection was not closed
};
// A fresh server is sent `bytes` in pieces of at most so many (0: as many as are taken), until everything has
// come to rest (checked: it does). Deterministic.
Conversation converse(const SessionOptions& options, std::string_view bytes, size_t piece);

}  // namespace varve::fuzz
