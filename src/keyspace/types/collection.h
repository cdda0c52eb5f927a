// collection.h: what the types of collections share: one key's collection as a command works on it. It is
// opened from what Transaction::find() said, read and changed, and saved at the end; elements go into the
// transaction at once, the record (with everything of an inline collection) in save(), as the last operation
// on the key.
//
// Lives inside one run. Behind a missing block everything looks absent or empty, and loops end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "keyspace/keyspace.h"
#include "keyspace/types/packed.h"

namespace varve {

class Collection {
 public:
  Collection(const Collection&) = delete;
  Collection& operator=(const Collection&) = delete;

  // Elements: pairs of a hash, members of a set.
  uint64_t size() const { return record_.count; }
  bool empty() const { return record_.count == 0; }
  bool is_inline() const { return record_.encoding == Encoding::kInline; }
  // Redis would have its encoding for large ones.
  bool grown() const { return record_.grown; }
  const Record& record() const { return record_; }
  Transaction& tx() { return tx_; }

  // For a collection opened as empty under a key that holds something else, whatever it is: save() replaces
  // it.
  void replaces(const Entry& old) { old_ = old; }
  // Puts the record; removes the key when nothing is left (but of a stream); does nothing when nothing was
  // changed. The last call.
  void save();

 protected:
  // `entry` is what find() said of this key, and holds this type or nothing. `entries_each`: packed entries
  // an element takes.
  Collection(Transaction& tx, DatabaseId database, std::string_view key, const Entry& entry, ValueType type,
             uint64_t entries_each);
  ~Collection() = default;

  // From inline to elements: gives the collection an id. The caller puts the elements.
  void leave_inline();

  Transaction& tx_;
  Record record_;
  Packed packed_;  // when inline
  bool changed_ = false;

 private:
  DatabaseId database_;
  std::string_view key_;
  Entry old_;
};

}  // namespace varve
