// watches.h: which clients watch which keys (WATCH). A commit that changes a watched key makes the
// transactions of its watchers fail; what counts as a change is Redis's:
//
//   any write of the key's record               also when the value stays the same
//   its removal, if it was there at WATCH       a key that had expired by then is absent
//   its time has come since WATCH               asked at EXEC
//   FLUSHDB, FLUSHALL                           keys that were there
//   SWAPDB                                      keys that were there, or are there now (run_swapdb looks)
//
// Loop thread only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "command/host.h"

namespace varve {

class Watches {
 public:
  explicit Watches(Host& host) : host_(host) {}

  bool empty() const { return by_client_.empty(); }
  // `exists` and `expire_ms` (0: never): the key as it is now. Watching it twice changes nothing.
  void add(ClientState& client, uint32_t database, std::string_view key, bool exists, int64_t expire_ms);
  // A watched key of the client has expired since.
  bool expired(uint64_t client, int64_t now_ms) const;
  // UNWATCH, and the end of every transaction.
  void clear(ClientState& client);
  void forget(uint64_t client);

  void written(uint32_t database, std::string_view key) { touch(database, key, false); }
  void removed(uint32_t database, std::string_view key) { touch(database, key, true); }
  void flushed(uint32_t database, int64_t now_ms);
  // The watched keys of a database.
  std::vector<std::string> keys_of(uint32_t database) const;

 private:
  struct Watcher {
    uint64_t client;
    bool exists;
    int64_t expire_ms;
  };
  using Key = std::pair<uint32_t, std::string>;
  using KeyView = std::pair<uint32_t, std::string_view>;
  struct Less {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return KeyView(a.first, a.second) < KeyView(b.first, b.second);
    }
  };
  using WatcherMap = std::map<Key, std::vector<Watcher>, Less>;

  void touch(uint32_t database, std::string_view key, bool removal);
  void fail(const std::vector<uint64_t>& clients);

  Host& host_;
  WatcherMap watchers_;
  std::unordered_map<uint64_t, std::vector<Key>> by_client_;
};

}  // namespace varve
