// set.h: Redis's sets. A set of integers that Redis would keep as an intset stands in their order while it is
// inline.
#pragma once

#include <string_view>

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

 private:
  const CollectionLimits& limits_;
};

}  // namespace varve
