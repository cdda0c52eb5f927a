#include "keyspace/types/collection.h"

#include "base/check.h"
#include "base/plant.h"

namespace varve {

Collection::Collection(Transaction& tx, DatabaseId database, std::string_view key, const Entry& entry,
                       ValueType type, uint64_t entries_each)
    : tx_(tx), database_(database), key_(key), old_(entry) {
  VARVE_CHECK(!entry.exists || entry.record.type == type);
  if (!entry.exists) {
    record_.type = type;
    return;
  }
  record_ = entry.record;
  if (!is_inline()) return;
  packed_.reset(record_.payload);
  if (packed_.whole(record_.count * entries_each)) return;
  tx_.fail(Status::corruption("keyspace: the record of key '{}' holds other than its {} elements", key,
                              record_.count));
  record_.count = 0;
  packed_.reset({});
}

void Collection::leave_inline() {
  VARVE_CHECK(is_inline());
  record_.encoding = Encoding::kElements;
  record_.collection = tx_.fresh_collection();
  record_.payload = {};
}

void Collection::save() {
  if (!changed_) return;
  changed_ = false;
  bool stays = record_.type == ValueType::kStream || planted(Plant::hollow_key_stays);
  if (record_.count == 0 && !stays) return tx_.remove(database_, key_, old_);
  if (is_inline()) record_.payload = packed_.bytes();
  tx_.put(database_, key_, old_, record_);
}

}  // namespace varve
