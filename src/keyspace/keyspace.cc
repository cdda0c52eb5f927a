#include "keyspace/keyspace.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "base/coding.h"

namespace varve {
namespace {

// Reads one system record, blocking. *value is empty when there is none.
Status read_system_record(Engine& engine, std::string_view key, std::string* value) {
  ReadContext read;
  read.blocking = true;
  ReadValue found;
  value->clear();
  ReadState state = engine.get(read, key, &found);
  if (!read.error.ok()) return read.error;
  if (state == ReadState::kFound) value->assign(found.value);
  return Status();
}

Status check_identity(Engine& engine) {
  std::string identity;
  if (Status s = read_system_record(engine, identity_key(), &identity); !s) return s;
  if (identity.empty()) {
    if (engine.fenced() || engine.admit(64).verdict != Admission::Verdict::kGo)
      return Status();  // a later start writes it
    WriteBatch batch;
    const char record[] = {kEntryFormatVersion, 0};
    batch.put(identity_key(), std::string_view(record, sizeof record));
    engine.commit(batch);
    return Status();
  }
  if (identity.size() != 2 || identity[0] != kEntryFormatVersion || identity[1] != 0) {
    return Status::unsupported(
        "the keys in this data directory have format {} with flags {}; this build knows format {}",
        identity.empty() ? 0 : static_cast<int>(static_cast<uint8_t>(identity[0])),
        identity.size() < 2 ? 0 : static_cast<int>(static_cast<uint8_t>(identity[1])), kEntryFormatVersion);
  }
  return Status();
}

}  // namespace

Status Keyspace::attach(Engine* engine) {
  databases_.clear();
  next_database_ = kFirstFreshDatabase;
  map_sequence_ = 0;
  expiry_low_water_ = hint_range().begin;
  if (Status s = check_identity(*engine); !s) return s;
  std::string next;
  if (Status s = read_system_record(*engine, next_database_key(), &next); !s) return s;
  if (!next.empty()) {
    if (next.size() != 4)
      return Status::corruption("keyspace: the record of the next database id is damaged");
    next_database_ = decode_fixed32(next.data());
  }
  ReadContext read;
  read.blocking = true;
  KeyRange range = database_map_range();
  std::unique_ptr<LiveIterator> it = engine->new_iterator(read, range.begin, range.end);
  for (it->seek_to_first(); it->valid(); it->next()) {
    uint32_t number = 0;
    if (!parse_database_key(it->key(), &number) || it->value().size() != 4) {
      return Status::corruption("keyspace: the record of a database's id is damaged");
    }
    databases_[number] = decode_fixed32(it->value().data());
  }
  if (!read.error.ok()) return read.error;
  engine_ = engine;
  return Status();
}

DatabaseId Keyspace::database(uint32_t number) const {
  if (databases_.empty()) return number;
  auto found = databases_.find(number);
  return found == databases_.end() ? number : found->second;
}

uint64_t Keyspace::key_count(DatabaseId database) const {
  return static_cast<uint64_t>(std::max<int64_t>(0, engine_->counter(database)));
}

uint64_t Keyspace::expiring_count(DatabaseId database) const {
  int64_t hints = std::max<int64_t>(0, engine_->counter(database | kHintCounter));
  return std::min(static_cast<uint64_t>(hints), key_count(database));
}

int64_t Keyspace::mean_ttl_ms(DatabaseId database, int64_t now_ms) const {
  const MeanExpiry& mean = mean_expiries_[database % std::size(mean_expiries_)];
  if (mean.database != database || mean.expire_ms == 0) return 0;
  return std::max<int64_t>(0, static_cast<int64_t>(mean.expire_ms) - now_ms);
}

void Keyspace::note_expiry(DatabaseId database, int64_t expire_ms) {
  constexpr double kWeight = 1.0 / 64;
  MeanExpiry& mean = mean_expiries_[database % std::size(mean_expiries_)];
  auto expiry = static_cast<double>(expire_ms);
  if (mean.database != database || mean.expire_ms == 0)
    mean = {database, expiry};
  else
    mean.expire_ms += (expiry - mean.expire_ms) * kWeight;
}

}  // namespace varve
