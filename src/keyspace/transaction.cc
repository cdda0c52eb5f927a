#include <algorithm>

#include "base/check.h"
#include "base/coding.h"
#include "base/plant.h"
#include "keyspace/keyspace.h"

namespace varve {
namespace {

// What is appended to mostly is again: zeros behind a string's end let the next changes be small ones.
constexpr size_t kRoomToGrow = 512;
constexpr size_t kKeptPins = 1024;
constexpr size_t kKeptCopy = 64 * 1024;
constexpr size_t kKeptEvents = 256;

}  // namespace

void Transaction::begin(ReadContext* read, int64_t now_ms) {
  read_ = read;
  now_ms_ = now_ms;
  if (!overlay_.empty()) overlay_.clear();
  pins_.clear();
  element_pin_ = {};
  if (!copies_.empty()) copies_.clear();
  if (!map_changes_.empty()) map_changes_.clear();
  next_database_ = 0;
  event_classes_ = keyspace_.event_classes_;
  if (!events_.empty()) events_.clear();
  last_collection_ = 0;
}

void Transaction::end() {
  begin(nullptr, 0);
  overlay_.release_memory();
  if (pins_.capacity() > kKeptPins) pins_ = std::vector<BlockRef>();
  if (element_copy_.capacity() > kKeptCopy) std::string().swap(element_copy_);
  if (events_.capacity() > kKeptEvents) events_ = std::vector<KeyEvent>();
}

bool Transaction::only_deletes() const {
  if (overlay_.change() != nullptr) return false;
  BatchReader reader(overlay_.batch().bytes());
  BatchReader::Op op;
  while (reader.next(&op)) {
    if (!op.is_counter && op.kind == Kind::kPut) return false;
  }
  return true;
}

DatabaseId Transaction::database(uint32_t number) const {
  if (!map_changes_.empty()) {
    auto changed = map_changes_.find(number);
    if (changed != map_changes_.end()) return changed->second;
  }
  return keyspace_.database(number);
}

bool Transaction::number_of(DatabaseId database, uint32_t* number) const {
  using Map = std::map<uint32_t, DatabaseId>;
  for (const Map* map : {&map_changes_, static_cast<const Map*>(&keyspace_.databases_)}) {
    for (auto [known, id] : *map) {
      if (id != database) continue;
      *number = known;
      return true;
    }
  }
  *number = database;
  return keyspace_.database(database) == database;
}

// Of a change in this transaction, where only the id is at hand.
void Transaction::note_own_event(uint32_t event_class, const char* name, DatabaseId database,
                                 std::string_view key) {
  uint32_t number = 0;
  if (wants_events(event_class) && number_of(database, &number)) note_event(event_class, name, number, key);
}

// --- reading ---

bool Transaction::get(std::string_view engine_key, std::string_view* value) {
  std::string_view mine;
  switch (overlay_.find(engine_key, &mine)) {
    case Overlay::Answer::kPut:
      *value = copies_.emplace_back(mine);
      return true;
    case Overlay::Answer::kDeleted:
      return false;
    case Overlay::Answer::kUntouched:
      break;
  }
  ReadValue found;
  if (keyspace_.engine().get(*read_, engine_key, &found) != ReadState::kFound) return false;
  *value = found.value;
  if (found.pin) pins_.push_back(std::move(found.pin));
  return true;
}

void Transaction::decode(std::string_view engine_key, std::string_view value, Entry* entry) {
  if (!decode_record(value, &entry->record)) {
    read_->error =
        Status::corruption("keyspace: the record of key '{}' cannot be understood", engine_key.substr(5));
    return;
  }
  entry->stored = true;
  entry->exists = !entry->record.expired(now_ms_) || planted(Plant::expired_is_served);
}

bool Transaction::find(DatabaseId database, std::string_view key, Entry* entry) {
  make_metadata_key(database, key, &key_);
  std::string_view value;
  *entry = Entry();
  if (get(key_, &value)) decode(key_, value, entry);
  return entry->exists;
}

std::string_view Transaction::read_segment(uint64_t collection, uint32_t segment) {
  make_segment_key(collection, segment, &key_);
  std::string_view value;
  if (!get(key_, &value)) return {};
  if (value.size() > kSegmentSize) {
    read_->error =
        Status::corruption("keyspace: segment {} of collection {} is too long", segment, collection);
    return {};
  }
  return value;
}

std::string_view Transaction::read_string(const Entry& entry, uint64_t offset, uint64_t size,
                                          std::string* scratch) {
  uint64_t length = entry.record.length();
  if (offset >= length) return {};
  size = std::min(size, length - offset);
  if (entry.record.encoding == Encoding::kInline) return entry.record.payload.substr(offset, size);
  scratch->assign(size, '\0');
  uint64_t end = offset + size;
  for (uint64_t at = offset; at < end;) {
    uint64_t segment = at / kSegmentSize;
    uint64_t inside = at % kSegmentSize;
    uint64_t wanted = std::min<uint64_t>(kSegmentSize - inside, end - at);
    std::string_view bytes = read_segment(entry.record.collection, static_cast<uint32_t>(segment));
    if (bytes.size() > inside) bytes.copy(scratch->data() + (at - offset), wanted, inside);
    at += wanted;
  }
  return *scratch;
}

int64_t Transaction::pending_count(uint32_t counter) const {
  int64_t sum = 0;
  BatchReader reader(overlay_.batch().bytes());
  BatchReader::Op op;
  while (reader.next(&op)) {
    if (op.is_counter && op.counter_id == counter) sum += op.counter_delta;
  }
  return sum;
}

std::map<uint32_t, int64_t> Transaction::pending_counts() const {
  std::map<uint32_t, int64_t> counts;
  BatchReader reader(overlay_.batch().bytes());
  BatchReader::Op op;
  while (reader.next(&op)) {
    if (op.is_counter) counts[op.counter_id] += op.counter_delta;
  }
  return counts;
}

uint64_t Transaction::key_count(DatabaseId database) const {
  int64_t count = keyspace_.engine().counter(database) + pending_count(database);
  return static_cast<uint64_t>(std::max<int64_t>(0, count));
}

// --- writing ---

uint64_t Transaction::fresh_collection() {
  if (overlay_.change() != nullptr) overlay_.write_change();
  // The sequence of the next operation, which belongs to the collection: so no later one can get it again.
  uint64_t id = keyspace_.engine().next_sequence() + overlay_.batch().count();
  VARVE_CHECK(id > last_collection_);
  last_collection_ = id;
  return id;
}

void Transaction::drop_collection(uint64_t collection) {
  KeyRange range = collection_range(collection);
  overlay_.remove_range(range.begin, range.end);
}

void Transaction::put_hint(DatabaseId database, std::string_view key, int64_t expire_ms) {
  make_hint_key(expire_ms, database, key, &key_);
  overlay_.put(key_, {});
  overlay_.add_count(database | kHintCounter, 1);
  keyspace_.note_hint(key_);
  keyspace_.note_expiry(database, expire_ms);
}

void Transaction::remove_hint(DatabaseId database, std::string_view key, int64_t expire_ms) {
  make_hint_key(expire_ms, database, key, &key_);
  overlay_.remove(key_);
  overlay_.add_count(database | kHintCounter, -1);
}

// What the death or the change of the old record brings with it, before `record` is put.
void Transaction::settle(DatabaseId database, std::string_view key, const Entry& old, const Record& record) {
  if (old.stored && !old.exists) note_own_event(kEventExpired, "expired", database, key);
  if (!old.exists) note_own_event(kEventNew, "new", database, key);
  if (!old.stored) {
    overlay_.add_count(database, 1);
  } else {
    if (old.record.collection != 0 && old.record.collection != record.collection)
      drop_collection(old.record.collection);
    if (old.record.expire_ms != 0 && old.record.expire_ms != record.expire_ms) {
      remove_hint(database, key, old.record.expire_ms);
    }
  }
  bool hinted = old.stored && old.record.expire_ms == record.expire_ms;
  if (record.expire_ms != 0 && !hinted) put_hint(database, key, record.expire_ms);
}

void Transaction::put_record(DatabaseId database, std::string_view key, const Record& record, bool blind) {
  record_bytes_.clear();
  encode_record(record, &record_bytes_);
  make_metadata_key(database, key, &key_);
  overlay_.put(key_, record_bytes_, blind);
}

void Transaction::put(DatabaseId database, std::string_view key, const Entry& old, const Record& record) {
  settle(database, key, old, record);
  put_record(database, key, record, false);
}

void Transaction::place_string(std::string_view value, Record* record) {
  record->type = ValueType::kString;
  record->collection = 0;
  record->count = 0;
  if (value.size() <= kInlineStringMax) {
    record->encoding = Encoding::kInline;
    record->payload = value;
    return;
  }
  record->encoding = Encoding::kElements;
  record->collection = fresh_collection();
  record->count = value.size();
  record->payload = {};
  for (uint32_t segment = 0; !value.empty(); ++segment) {
    std::string_view piece = value.substr(0, kSegmentSize);
    make_segment_key(record->collection, segment, &key_);
    overlay_.put(key_, piece);
    value.remove_prefix(piece.size());
  }
}

void Transaction::put_string(DatabaseId database, std::string_view key, const Entry& old,
                             std::string_view value, Record record) {
  place_string(value, &record);
  put(database, key, old, record);
}

void Transaction::put_string_blind(DatabaseId database, std::string_view key, std::string_view value,
                                   Record record) {
  Entry old;
  if (wants_events(kEventExpired | kEventNew)) {  // which depend on what was there
    find(database, key, &old);
    return put_string(database, key, old, value, record);
  }
  make_metadata_key(database, key, &key_);
  bool known = true;
  std::string_view mine;
  ReadValue found;
  Overlay::Answer answer = overlay_.find(key_, &mine);
  if (answer == Overlay::Answer::kPut) {
    decode(key_, copies_.emplace_back(mine), &old);
  } else if (answer == Overlay::Answer::kUntouched) {
    ReadState state = keyspace_.engine().get_in_memory(key_, &found);
    known = state != ReadState::kFault;
    if (state == ReadState::kFound) decode(key_, found.value, &old);
  }
  place_string(value, &record);
  settle(database, key, old, record);  // unknown: counts itself, compaction settles the rest
  put_record(database, key, record, !known);
}

// A few bytes inside one segment, as the first that is written: the engine may do without the whole segment.
bool Transaction::change_segment(DatabaseId database, std::string_view key, const Entry& old, uint64_t offset,
                                 std::string_view bytes, const Record& record) {
  bool fresh = !old.exists || record.collection != old.record.collection;
  if (fresh || bytes.empty() || bytes.size() > kSegmentSize / 4 || !overlay_.empty()) return false;
  auto segment = static_cast<uint32_t>(offset / kSegmentSize);
  size_t inside = offset % kSegmentSize;
  std::string_view was = read_segment(record.collection, segment);
  if (was.size() < inside + bytes.size()) return false;
  Overlay::Change& change = overlay_.begin_change();
  change.key = key_;  // read_segment's
  change.was = was;
  change.offset = inside;
  change.bytes = bytes;
  make_metadata_key(database, key, &key_);
  change.record_key = key_;
  change.record.clear();
  encode_record(record, &change.record);
  return true;
}

void Transaction::write_range(DatabaseId database, std::string_view key, const Entry& old, uint64_t offset,
                              std::string_view bytes, StringForm form) {
  Record record;
  if (old.exists) record = old.record;
  record.form = form;
  uint64_t old_length = old.exists ? old.record.length() : 0;
  uint64_t length = std::max<uint64_t>(old_length, offset + bytes.size());
  std::string_view inline_bytes;
  if (record.encoding == Encoding::kInline) {
    inline_bytes = record.payload;
    if (length <= kInlineStringMax) {
      std::string value(inline_bytes);
      value.resize(length, '\0');
      if (!bytes.empty()) bytes.copy(value.data() + offset, bytes.size());
      record.payload = value;
      return put(database, key, old, record);
    }
    record.encoding = Encoding::kElements;
    record.collection = fresh_collection();
    record.payload = {};
  }
  record.count = length;
  if (change_segment(database, key, old, offset, bytes, record)) return;
  // The first segment is touched too when it takes over the bytes of an inline value.
  std::string piece;
  auto write_segment = [&](uint64_t segment, std::string_view existing) {
    uint64_t start = segment * kSegmentSize;
    uint64_t from = std::max<uint64_t>(offset, start);
    uint64_t to = std::min<uint64_t>(offset + bytes.size(), start + kSegmentSize);
    piece.assign(existing);
    if (from < to) {
      piece.resize(std::max<uint64_t>(piece.size(), to - start), '\0');
      bytes.copy(piece.data() + (from - start), to - from, from - offset);
    }
    bool grows = !existing.empty() && piece.size() > existing.size();
    if (grows) piece.resize(std::min(piece.size() + kRoomToGrow, kSegmentSize), '\0');
    make_segment_key(record.collection, static_cast<uint32_t>(segment), &key_);
    overlay_.put(key_, piece);
  };
  uint64_t first = offset / kSegmentSize;
  uint64_t end = bytes.empty() ? first : (offset + bytes.size() - 1) / kSegmentSize + 1;
  bool fresh = !old.exists || record.collection != old.record.collection;
  if (fresh && (first > 0 || bytes.empty())) write_segment(0, inline_bytes);
  for (uint64_t segment = first; segment < end; ++segment) {
    bool whole = offset <= segment * kSegmentSize && offset + bytes.size() >= (segment + 1) * kSegmentSize;
    if (fresh) {
      write_segment(segment, segment == 0 ? inline_bytes : std::string_view());
    } else {
      write_segment(segment, whole ? std::string_view()
                                   : read_segment(record.collection, static_cast<uint32_t>(segment)));
    }
  }
  put(database, key, old, record);
}

void Transaction::remove(DatabaseId database, std::string_view key, const Entry& old) {
  if (!old.stored) return;
  if (!old.exists) note_own_event(kEventExpired, "expired", database, key);
  if (old.record.collection != 0) drop_collection(old.record.collection);
  remove_keeping_collection(database, key, old);
}

void Transaction::remove_keeping_collection(DatabaseId database, std::string_view key, const Entry& old) {
  if (!old.stored) return;
  if (old.record.expire_ms != 0) remove_hint(database, key, old.record.expire_ms);
  overlay_.add_count(database, -1);
  make_metadata_key(database, key, &key_);
  overlay_.remove(key_);
}

// --- whole databases ---

void Transaction::map_database(uint32_t number, DatabaseId id) {
  char value[4];
  encode_fixed32(value, id);
  make_database_key(number, &key_);
  overlay_.put(key_, std::string_view(value, sizeof value));
  map_changes_[number] = id;
}

DatabaseId Transaction::renew_database(uint32_t number, const std::map<uint32_t, int64_t>& pending) {
  DatabaseId old = database(number);
  if (next_database_ == 0) next_database_ = keyspace_.next_database_;
  map_database(number, next_database_++);
  for (DatabaseId counter : {old, old | kHintCounter}) {
    auto found = pending.find(counter);
    int64_t count = keyspace_.engine().counter(counter) + (found == pending.end() ? 0 : found->second);
    if (count != 0) overlay_.add_count(counter, -count);
  }
  return old;
}

void Transaction::flush_database(uint32_t number) {
  KeyRange range = metadata_range(renew_database(number, pending_counts()));
  overlay_.remove_range(range.begin, range.end);
}

void Transaction::flush_all(uint32_t databases) {
  bool touched = has_writes();
  std::map<uint32_t, int64_t> pending = pending_counts();
  for (uint32_t number = 0; number < databases; ++number) {
    DatabaseId id = database(number);
    if (touched || keyspace_.engine().counter(id) != 0 || keyspace_.engine().counter(id | kHintCounter) != 0)
      renew_database(number, pending);
  }
  for (char space : {kMetadataSpace, kElementSpace}) {
    std::string begin(1, space);
    overlay_.remove_range(begin, prefix_end(begin));
  }
  KeyRange hints = hint_range();
  overlay_.remove_range(hints.begin, hints.end);
}

void Transaction::swap_databases(uint32_t a, uint32_t b) {
  if (a == b) return;
  DatabaseId id_a = database(a);
  DatabaseId id_b = database(b);
  map_database(a, id_b);
  map_database(b, id_a);
}

void Transaction::make_change() {
  const Overlay::Change& change = *overlay_.change();
  size_t batch_bytes = overlay_.byte_size() - change.was.size();
  if (keyspace_.engine().amend(change.key, change.offset, change.bytes, batch_bytes)) {
    overlay_.change_made();
  } else {
    overlay_.write_change();
  }
}

Sequence Transaction::commit() {
  if (overlay_.empty()) return 0;
  if (next_database_ != 0) {
    char value[4];
    encode_fixed32(value, next_database_);
    overlay_.put(next_database_key(), std::string_view(value, sizeof value));
  }
  if (overlay_.change() != nullptr) make_change();
  Sequence sequence = keyspace_.engine().commit(overlay_.batch());
  if (keyspace_.observer_ != nullptr) keyspace_.observer_->committed(*this, sequence);
  if (next_database_ != 0) keyspace_.next_database_ = next_database_;
  for (auto [number, id] : map_changes_) keyspace_.databases_[number] = id;
  if (!map_changes_.empty()) keyspace_.map_sequence_ = sequence;
  return sequence;
}

}  // namespace varve
