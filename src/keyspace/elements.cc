// elements.cc: the transaction's reads and writes of what stands under collection ids.

#include <algorithm>

#include "base/check.h"
#include "base/coding.h"
#include "keyspace/keyspace.h"

namespace varve {
namespace {

// The first byte of an element of the main part.
constexpr char kFollows = 0;
constexpr char kInPieces = 1;
// No value of Redis's is longer than this; a record that says so is damaged.
constexpr uint64_t kLongestValue = uint64_t{1} << 40;

}  // namespace

bool decode_element_value(std::string_view record, ElementValue* value) {
  *value = ElementValue();
  if (record.empty()) return false;
  value->exists = true;
  if (record.front() == kFollows) {
    value->bytes = record.substr(1);
    value->length = value->bytes.size();
    return true;
  }
  value->in_pieces = true;
  char form = record.front();
  record.remove_prefix(1);
  return form == kInPieces && get_varint(&record, &value->length) && record.empty() && value->length > 0 &&
         value->length <= kLongestValue;
}

bool Transaction::get_element(std::string_view element_key, std::string_view* record) {
  std::string_view mine;
  switch (overlay_.find(element_key, &mine)) {
    case Overlay::Answer::kPut:
      element_copy_.assign(mine);
      *record = element_copy_;
      return true;
    case Overlay::Answer::kDeleted:
      return false;
    case Overlay::Answer::kUntouched:
      break;
  }
  ReadValue found;
  if (keyspace_.engine().get(*read_, element_key, &found) != ReadState::kFound) return false;
  *record = found.value;
  element_pin_ = std::move(found.pin);
  return true;
}

std::unique_ptr<ElementIterator> Transaction::iterate(std::string_view begin, std::string_view end) {
  return std::make_unique<ElementIterator>(overlay_, keyspace_.engine().new_iterator(*read_, begin, end),
                                           begin, end);
}

bool Transaction::find_value(std::string_view main_key, ElementValue* value) {
  *value = ElementValue();
  std::string_view record;
  if (!get_element(main_key, &record)) return false;
  if (decode_element_value(record, value)) return true;
  fail(Status::corruption("keyspace: an element of collection {} cannot be understood",
                          decode_big64(main_key.data() + 1)));
  *value = ElementValue();
  return false;
}

// The pieces of a value of `length` bytes, from piece `from` on.
void Transaction::remove_pieces(std::string_view main_key, uint64_t length, uint64_t from) {
  EngineKey key;
  for (uint64_t piece = from; piece * kLongPieceSize < length; ++piece) {
    make_piece_key(main_key, static_cast<uint32_t>(piece), &key);
    overlay_.remove(key);
  }
}

void Transaction::put_value(std::string_view main_key, std::string_view value, const ElementValue& old) {
  record_bytes_.clear();
  if (value.size() <= kLongPieceSize) {
    if (old.in_pieces) remove_pieces(main_key, old.length, 0);
    record_bytes_.push_back(kFollows);
    record_bytes_.append(value);
    return overlay_.put(main_key, record_bytes_);
  }
  record_bytes_.push_back(kInPieces);
  put_varint(&record_bytes_, value.size());
  overlay_.put(main_key, record_bytes_);
  EngineKey key;
  uint64_t pieces = 0;
  for (; pieces * kLongPieceSize < value.size(); ++pieces) {
    make_piece_key(main_key, static_cast<uint32_t>(pieces), &key);
    overlay_.put(key, value.substr(pieces * kLongPieceSize, kLongPieceSize));
  }
  if (old.in_pieces) remove_pieces(main_key, old.length, pieces);
}

void Transaction::remove_value(std::string_view main_key, const ElementValue& old) {
  if (old.in_pieces) remove_pieces(main_key, old.length, 0);
  overlay_.remove(main_key);
}

std::string_view Transaction::read_value(std::string_view main_key, const ElementValue& value,
                                         std::string* scratch) {
  if (!value.in_pieces) return value.bytes;
  scratch->clear();
  std::string main(main_key);  // may point into what the pieces' reads replace
  EngineKey key;
  for (uint64_t at = 0; at < value.length; at += kLongPieceSize) {
    make_piece_key(main, static_cast<uint32_t>(at / kLongPieceSize), &key);
    std::string_view piece;
    bool found = get_element(key, &piece);
    if (read_->faulted()) continue;  // the other pieces are asked for too, so that all are fetched together
    if (!found || piece.size() != std::min<uint64_t>(kLongPieceSize, value.length - at)) {
      fail(Status::corruption("keyspace: a piece of a long element of collection {} is missing",
                              decode_big64(main.data() + 1)));
      break;
    }
    scratch->append(piece);
  }
  return *scratch;
}

bool Transaction::copy(const Entry& from, DatabaseId database, std::string_view key, const Entry& old,
                       int64_t expire_ms, uint64_t bytes_max) {
  Record record = from.record;
  record.expire_ms = expire_ms;
  if (record.collection != 0) {
    KeyRange source = collection_range(from.record.collection);
    std::unique_ptr<ElementIterator> it = iterate(source.begin, source.end);
    uint64_t bytes = 0;
    for (it->seek_to_first(); it->valid(); it->next()) {
      bytes += it->key().size() + it->value().size();
      if (bytes > bytes_max) return false;
    }
    record.collection = fresh_collection();
    std::string copied;
    for (it->seek_to_first(); it->valid(); it->next()) {
      copied.assign(it->key());
      encode_big64(copied.data() + 1, record.collection);
      element_copy_.assign(it->value());  // may stand in the batch, which grows
      overlay_.put(copied, element_copy_);
    }
  }
  put(database, key, old, record);
  return true;
}

}  // namespace varve
