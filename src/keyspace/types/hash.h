// hash.h: Redis's hashes. Fields and values in one record while they are few and short, else one element a
// field.
#pragma once

#include <string_view>

#include "keyspace/types/limits.h"
#include "keyspace/types/members.h"

namespace varve {

class Hash final : public Members {
 public:
  // `entry`: what find() said of the key; it holds a hash or nothing.
  Hash(Transaction& tx, DatabaseId database, std::string_view key, const Entry& entry,
       const CollectionLimits& limits)
      : Members(tx, database, key, entry, ValueType::kHash), limits_(limits) {}

  // True when the field is new. Neither view may point into this hash.
  bool set(std::string_view field, std::string_view value);

 private:
  bool set_inline(std::string_view field, std::string_view value, bool* added);

  const CollectionLimits& limits_;
};

}  // namespace varve
