// set.h: Redis's sets. A set of integers that Redis would keep as an intset stands in their order while it is
// inline.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "keyspace/types/limits.h"
#include "keyspace/types/members.h"

namespace varve {

class Set final : public Members {
 public:
  // `entry`: what find() said of the key; it holds a set or nothing.
  Set(Transaction& tx, DatabaseId database, std::string_view key, const Entry& entry,
      const CollectionLimits& limits)
      : Members(tx, database, key, entry, ValueType::kSet), limits_(limits) {}

  // True when it is new. The view may not point into this set.
  bool add(std::string_view member);
  // The same for a member that is known to be new: nothing is looked up among elements.
  void add_new(std::string_view member);
  // The one that a walk stands on, the walk's last use.
  using Members::remove_at;
  // So many distinct members at random, at most all there are; nothing is changed.
  std::vector<std::string> choose(uint64_t count, Random& random);
  // Redis makes a new set of what is left when most is popped: it may be an intset again.
  void renew();
  // No members: save() removes the key, and elements need no walk.
  void clear();

 private:
  bool add_inline(std::string_view member, bool integer, bool* added);
  void count_in(bool integer);

  const CollectionLimits& limits_;
};

}  // namespace varve
