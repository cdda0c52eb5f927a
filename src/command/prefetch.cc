// prefetch.cc: what the requests that stand in line will touch in memory is loaded for all of them at once,
// before the first runs. Hints only: nothing here has an effect, and what a hint was wrong about is merely
// not loaded.

#include <algorithm>
#include <cstring>

#include "base/checksum.h"
#include "command/dispatcher_impl.h"
#include "keyspace/types/list.h"
#include "keyspace/types/member_layout.h"
#include "resp/peek.h"

namespace varve {
namespace {

constexpr size_t kPrefetchedKeyMax = 100;  // no more than a key that lies on the stack
constexpr int kPrefetchedOwn = 64;         // of one command's keys: as many as stay in the first cache

// Collects keys that are read or written soon, and has what they touch in memory loaded.
class PrefetchedKeys {
 public:
  explicit PrefetchedKeys(const Engine& engine) : engine_(engine) {}

  bool full() const { return count_ == Engine::kPrefetched; }
  void add(DatabaseId database, std::string_view key) {
    if (key.size() > kPrefetchedKeyMax) return;
    make_metadata_key(database, key, &key_);
    add_made();
  }
  void add_member(const MemberLayout& layout, std::string_view member) {
    if (member.size() > kPrefetchedKeyMax) return;
    layout.make_key(member, &key_);
    add_made();
  }
  void add_position(uint64_t collection, uint64_t position) {
    make_position_key(collection, position, &key_);
    add_made();
  }
  void load() {
    engine_.prefetch(keys_, hashes_, count_);
    count_ = 0;
    used_ = 0;
  }

 private:
  // A collection id or a database stand before what is at most kPrefetchedKeyMax long.
  static constexpr size_t kMadeMax = kPrefetchedKeyMax + 28;

  void add_made() {
    std::string_view made = key_;
    if (made.size() > kMadeMax) return;
    hashes_[count_] = hash_key(made);
    std::memcpy(bytes_ + used_, made.data(), made.size());
    keys_[count_++] = {bytes_ + used_, made.size()};
    used_ += made.size();
  }

  const Engine& engine_;
  EngineKey key_;
  uint64_t hashes_[Engine::kPrefetched];
  std::string_view keys_[Engine::kPrefetched];
  char bytes_[Engine::kPrefetched * kMadeMax];
  size_t used_ = 0;  // of bytes_
  size_t count_ = 0;
};

// Requests in a row for one key: what stands behind it. Of hashes and sets, the field or member that a
// request names; of lists, where it will push or pop.
class PrefetchedElements {
 public:
  PrefetchedElements(const Engine& engine, DatabaseId database)
      : engine_(engine), database_(database), elements_(engine) {}

  // `before` has the same key as what follows.
  void begin_row(const PeekedRequest& before) {
    place_ = 0;
    EngineKey key;
    std::string_view value;
    make_metadata_key(database_, before.key, &key);
    known_ = before.key.size() <= kPrefetchedKeyMax && engine_.peek(key, &value) &&
             decode_record(value, &record_) && record_.encoding == Encoding::kElements;
    if (known_)
      known_ = record_.type == ValueType::kList ? List::head_of(record_, &head_) : layout_.read(record_);
    add(before);
  }
  void add(const PeekedRequest& request) {
    if (!known_ || elements_.full()) return;
    if (record_.type == ValueType::kList)
      add_place(request.name);
    else if ((record_.type == ValueType::kHash || record_.type == ValueType::kSet) && !request.member.empty())
      elements_.add_member(layout_, request.member);
  }
  void load() { elements_.load(); }

 private:
  // LPUSH, RPUSH, LPOP and RPOP, each one place further than the one before.
  void add_place(std::string_view name) {
    auto letter = [name](size_t i) { return name[i] | 0x20; };
    if (name.size() < 4 || letter(1) != 'p' || (letter(0) != 'l' && letter(0) != 'r')) return;
    uint64_t place = place_++;
    bool pushes = letter(2) == 'u';
    if (!pushes && place >= record_.count) return;
    uint64_t tail = head_ + record_.count;
    bool upward = (letter(0) == 'r') == pushes;
    uint64_t from = letter(0) == 'r' ? tail : head_;
    elements_.add_position(record_.collection, upward ? from + place : from - 1 - place);
  }

  const Engine& engine_;
  DatabaseId database_;
  PrefetchedKeys elements_;
  bool known_ = false;
  Record record_;
  MemberLayout layout_;
  uint64_t head_ = 0;   // of a list
  uint64_t place_ = 0;  // so many pushes and pops stand before
};

}  // namespace

size_t Dispatcher::Impl::prefetch(const ClientState& client, std::string_view input) const {
  if (!worth_prefetching()) return kPrefetched;
  DatabaseId database = keyspace_.database(client.db);
  PrefetchedKeys keys(*services_.engine);
  PrefetchedElements elements(*services_.engine, database);
  PeekedRequest before;
  PeekedRequest request;
  size_t count = 0;
  bool in_row = false;  // `before` has the key of the one before it
  for (; count < kPrefetched && peek_request(&input, &request); ++count) {
    if (count == 0 || request.key != before.key) {
      keys.add(database, request.key);
      in_row = false;
    } else {
      if (!in_row) elements.begin_row(before);
      elements.add(request);
      in_row = true;
    }
    before = request;
  }
  keys.load();
  elements.load();
  return std::max<size_t>(count, 1);
}

void Dispatcher::Impl::prefetch_first(const FirstRequest* requests, size_t count) const {
  if (!worth_prefetching()) return;
  PrefetchedKeys keys(*services_.engine);
  for (size_t i = 0; i < count; ++i) {
    std::string_view input = requests[i].input;
    PeekedRequest request;
    if (peek_request(&input, &request)) keys.add(keyspace_.database(requests[i].client->db), request.key);
  }
  keys.load();
}

// For a command of many keys that stand in a row.
void Dispatcher::Impl::prefetch_own(const Command& command, const ClientState& client,
                                    const std::vector<std::string_view>& args) const {
  if (command.keys.size() != 1) return;
  const KeySpec& spec = command.keys[0];
  if (spec.first == 0 || spec.last >= 0 || spec.counted || !worth_prefetching()) return;
  PrefetchedKeys keys(*services_.engine);
  DatabaseId database = keyspace_.database(client.db);
  size_t end = std::min(args.size(), static_cast<size_t>(spec.first + spec.step * kPrefetchedOwn));
  for (size_t i = static_cast<size_t>(spec.first); i < end; i += static_cast<size_t>(spec.step)) {
    if (keys.full()) keys.load();
    keys.add(database, args[i]);
  }
  keys.load();
}

}  // namespace varve
