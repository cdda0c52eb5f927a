#include "tool/keyspace_records.h"

#include <algorithm>

#include "base/coding.h"
#include "lsm/table_dump.h"

namespace varve::tool {

std::optional<uint32_t> counter_of(std::string_view key) {
  DatabaseId database = 0;
  std::string_view user_key;
  int64_t expire_ms = 0;
  if (parse_metadata_key(key, &database, &user_key)) return database;
  if (parse_hint_key(key, &expire_ms, &database, &user_key)) return database | kHintCounter;
  return std::nullopt;
}

void KeyspaceMender::take(std::string_view key, std::string_view value, WriteBatch* batch) {
  DatabaseId database = 0;
  std::string_view user_key;
  if (key.empty()) return;
  if (key[0] == kSystemSpace) return take_system(key, value, batch);
  if (parse_metadata_key(key, &database, &user_key))
    return take_metadata(database, user_key, key, value, batch);
  uint64_t collection = key[0] == kElementSpace && key.size() >= 9 ? decode_big64(key.data() + 1) : 0;
  if (!collections_.contains(collection)) {
    ++dropped_elements_;
    return;
  }
  auto pending = pending_.find(collection);
  if (pending != pending_.end() && --pending->second.segments_left == 0) pending_.erase(pending);
  batch->put(key, value);
}

void KeyspaceMender::take_system(std::string_view key, std::string_view value, WriteBatch* batch) {
  if (hint_range().contains(key)) return;  // made again with the records they speak of
  uint32_t number = 0;
  if (key == identity_key()) identity_ = true;
  if (key == next_database_key()) {
    if (value.size() == 4) next_database_ = decode_fixed32(value.data());
    return;
  }
  if (parse_database_key(key, &number) && value.size() == 4) {
    highest_database_ = std::max(highest_database_, decode_fixed32(value.data()));
  }
  batch->put(key, value);
}

void KeyspaceMender::drop(DatabaseId database, std::string_view user_key, std::string_view why) {
  ++dropped_keys_;
  losses_.add_key(fmt::format("key {} of database {}: {}", printable(user_key), database, why));
}

void KeyspaceMender::take_metadata(DatabaseId database, std::string_view user_key, std::string_view key,
                                   std::string_view value, WriteBatch* batch) {
  Record record;
  if (!decode_record(value, &record)) return drop(database, user_key, "its record makes no sense");
  highest_database_ = std::max(highest_database_, database);
  if (record.collection != 0) {
    last_collection_ = std::max(last_collection_, record.collection);
    if (losses_.touches(collection_range(record.collection))) {
      return drop(database, user_key, "a part of its value lay in what is lost");
    }
    collections_.insert(record.collection);
    uint64_t segments = (record.count + kSegmentSize - 1) / kSegmentSize;
    if (doubtful_ && record.type == ValueType::kString && segments > 0) {
      pending_[record.collection] = {std::string(key), record.expire_ms, segments};
    }
  }
  if (record.expire_ms != 0) {
    EngineKey hint;
    make_hint_key(record.expire_ms, database, user_key, &hint);
    batch->put(hint, {});
    batch->add_count(database | kHintCounter, 1);
  }
  batch->put(key, value);
  batch->add_count(database, 1);
  ++keys_;
}

// Some may have been holes from the start; nobody can tell any more.
void KeyspaceMender::remove_incomplete(WriteBatch* batch) {
  for (const auto& [collection, value] : pending_) {
    DatabaseId database = 0;
    std::string_view user_key;
    (void)parse_metadata_key(value.key, &database, &user_key);
    drop(database, user_key, fmt::format("{} segments of its value are missing", value.segments_left));
    --keys_;
    batch->remove(value.key);
    batch->add_count(database, -1);
    KeyRange elements = collection_range(collection);
    batch->remove_range(elements.begin, elements.end);
    if (value.expire_ms == 0) continue;
    EngineKey hint;
    make_hint_key(value.expire_ms, database, user_key, &hint);
    batch->remove(hint);
    batch->add_count(database | kHintCounter, -1);
  }
}

void KeyspaceMender::finish(WriteBatch* batch) {
  remove_incomplete(batch);
  if (!identity_) {
    const char identity[] = {kEntryFormatVersion, 0};
    batch->put(identity_key(), std::string_view(identity, sizeof identity));
  }
  DatabaseId next = highest_database_ >= kFirstFreshDatabase ? highest_database_ + 1 : 0;
  next = std::max(next, next_database_);
  if (next == 0) return;
  char bytes[4];
  encode_fixed32(bytes, next);
  batch->put(next_database_key(), std::string_view(bytes, sizeof bytes));
}

}  // namespace varve::tool
