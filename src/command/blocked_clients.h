// blocked_clients.h: who waits for which keys (BLPOP and its like), and serving them.
//
//   run -> kBlocked            block(): at the end of the queues of its keys
//   a commit leaves a key      key_written(): the key is ready
//   end of that run            serve(): the waiting clients of each ready key run again, in the order in
//   which
//                              they came, as long as the key can serve somebody
//   a served run met a fault   the key stays in service; other clients' commands on it wait (in_service,
//                              wait_behind) until that run is over
//
// A served command is an ordinary run: it finds the truth by itself, and if it finds nothing it blocks again
// and keeps its place. So a key may be called ready too often, but never too rarely.
//
// Also here: who waits for the end of CLIENT PAUSE. Loop thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "command/dispatcher.h"
#include "command/host.h"

namespace varve {

enum class Unblock : uint8_t { kNo, kTimeout, kError };

class BlockedClients {
 public:
  explicit BlockedClients(Host& host) : host_(host) {}

  // --- waiting ---
  // After a run that came to kBlocked. True when it is new: its timeout starts now.
  bool block(ClientState& client, KeyWait wait, Sequence gate);
  // A run of this client starts; kNo unless its waiting was ended from outside.
  Unblock begin_run(uint64_t client);
  // The run of a client came to an end, or was given up: it waits no more.
  void finish_run(ClientState& client);
  // Ends a client's waiting for keys. False: it does not wait, or its run is under way.
  bool end(uint64_t client, Unblock how);
  // Its time is over, if it still waits as that arrival.
  void time_out(uint64_t client, uint64_t arrival);
  Unblock ending(uint64_t client) const;
  uint64_t arrival(uint64_t client) const;  // 0: does not wait
  Sequence gate(uint64_t client) const;
  void forget(uint64_t client);

  // --- commits ---
  bool empty() const { return waiters_.empty(); }
  void key_written(uint32_t database, std::string_view key, ValueType type);
  void key_removed(uint32_t database, std::string_view key);
  // Anything may stand at its keys now.
  void database_changed(uint32_t database);

  // --- serving ---
  bool ready() const { return !ready_.empty(); }
  // At the end of a run of this client (0: of nobody's), not within it.
  void serve(uint64_t running);
  bool serving() const { return in_service_ > 0; }
  bool in_service(uint32_t database, std::string_view key, uint64_t client) const;
  // This client's run is under way because of this key.
  bool serves(uint32_t database, std::string_view key, uint64_t client) const;
  void wait_behind(uint64_t client) { behind_.push_back(client); }

  // --- CLIENT PAUSE ---
  // A pause under way is made longer or wider, never shorter or narrower.
  void pause(int64_t now_ms, int64_t ms, bool all);
  // Whether a command is held back, `changes` if it may change something.
  bool paused(Clock& clock, bool changes) const {
    return pause_until_ms_ != 0 && (pause_all_ || changes) && clock.now_ms() < pause_until_ms_;
  }
  void wait_for_unpause(ClientState& client);
  void unpause();

  size_t count() const { return waiters_.size() + paused_.size(); }

 private:
  using Key = std::pair<uint32_t, std::string>;
  using KeyView = std::pair<uint32_t, std::string_view>;
  struct Less {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return KeyView(a.first, a.second) < KeyView(b.first, b.second);
    }
  };
  enum class Present : uint8_t { kNothing, kValue, kPerhaps };
  struct Queue {
    std::map<uint64_t, uint64_t> clients;  // by arrival
    Present present = Present::kNothing;   // as far as commits have told
    ValueType type = ValueType::kString;   // with kValue
    bool ready = false;
    uint64_t next = 0;    // the arrival to be tried next
    uint64_t server = 0;  // the client whose run is under way
  };
  using QueueMap = std::map<Key, Queue, Less>;
  struct Waiter {
    uint64_t arrival;
    uint32_t database;
    KeyWait wait;
    Sequence gate;
    bool running = false;
    Unblock ending = Unblock::kNo;
  };

  void make_ready(QueueMap::iterator queue);
  void leave_queues(uint64_t client, const Waiter& waiter);
  // False: the run of a client is under way.
  bool serve_key(const Key& key, uint64_t running);
  bool attempt_ended(QueueMap::iterator queue);
  void end_service(const Key& key);

  Host& host_;
  uint64_t arrivals_ = 0;
  std::unordered_map<uint64_t, Waiter> waiters_;
  QueueMap queues_;
  std::deque<Key> ready_;
  size_t in_service_ = 0;
  bool serving_ = false;
  std::vector<uint64_t> behind_;
  std::vector<uint64_t> paused_;
  int64_t pause_until_ms_ = 0;  // 0: no pause
  bool pause_all_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // for calls from Host::after_ms
};

}  // namespace varve
