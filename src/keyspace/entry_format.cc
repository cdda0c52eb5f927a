#include "keyspace/entry_format.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/checksum.h"
#include "base/coding.h"

namespace varve {
namespace {

constexpr uint8_t kFlagExpires = 1;
constexpr uint8_t kFlagCollection = 2;
constexpr uint8_t kFlagCount = 4;
constexpr uint8_t kFlagNotInteger = 8;  // of a string
constexpr uint8_t kFlagGrown = 8;       // of a collection
constexpr uint8_t kFlagRaw = 16;
constexpr uint8_t kKnownFlags = 31;
constexpr uint64_t kSignBit = uint64_t{1} << 63;

std::string system_key(char kind) {
  return {kSystemSpace, kind};
}

KeyRange prefix_range(const std::string& prefix) {
  return {prefix, prefix_end(prefix), false};
}

}  // namespace

const char* value_type_name(ValueType type) {
  switch (type) {
    case ValueType::kString:
      return "string";
    case ValueType::kList:
      return "list";
    case ValueType::kSet:
      return "set";
    case ValueType::kSortedSet:
      return "zset";
    case ValueType::kHash:
      return "hash";
    case ValueType::kStream:
      return "stream";
  }
  return "unknown";
}

void encode_record(const Record& record, std::string* out) {
  VARVE_CHECK(record.expire_ms >= 0);
  bool is_string = record.type == ValueType::kString;
  bool has_count = record.encoding != Encoding::kInline || !is_string;
  uint8_t flags = 0;
  if (record.expire_ms != 0) flags |= kFlagExpires;
  if (record.collection != 0) flags |= kFlagCollection;
  if (has_count) flags |= kFlagCount;
  if (is_string && record.form == StringForm::kNotInteger) flags |= kFlagNotInteger;
  if (is_string && record.form == StringForm::kRaw) flags |= kFlagRaw;
  if (!is_string && record.grown) flags |= kFlagGrown;
  char head[2 + 3 * kMaxVarintSize];
  char* p = head;
  *p++ = static_cast<char>(static_cast<uint8_t>(record.type) | static_cast<uint8_t>(record.encoding) << 4);
  *p++ = static_cast<char>(flags);
  if (record.expire_ms != 0) p = encode_varint(p, static_cast<uint64_t>(record.expire_ms));
  if (record.collection != 0) p = encode_varint(p, record.collection);
  if (has_count) p = encode_varint(p, record.count);
  out->append(head, static_cast<size_t>(p - head)).append(record.payload);
}

bool decode_record(std::string_view bytes, Record* record) {
  uint8_t head = 0;
  uint8_t flags = 0;
  if (!get_u8(&bytes, &head) || !get_u8(&bytes, &flags)) return false;
  if ((head & 15) > kMaxValueType || (head >> 4) > static_cast<uint8_t>(Encoding::kBlob)) return false;
  if ((flags & ~kKnownFlags) != 0) return false;
  *record = Record();
  record->type = static_cast<ValueType>(head & 15);
  record->encoding = static_cast<Encoding>(head >> 4);
  bool is_string = record->type == ValueType::kString;
  if (!is_string) {
    if ((flags & kFlagRaw) != 0 || (flags & kFlagCount) == 0) return false;
    record->grown = (flags & kFlagGrown) != 0;
  } else if ((flags & kFlagRaw) != 0) {
    record->form = StringForm::kRaw;
  } else if ((flags & kFlagNotInteger) != 0) {
    record->form = StringForm::kNotInteger;
  }
  uint64_t expire = 0;
  if ((flags & kFlagExpires) != 0 && (!get_varint(&bytes, &expire) || expire == 0 || expire > INT64_MAX))
    return false;
  record->expire_ms = static_cast<int64_t>(expire);
  if ((flags & kFlagCollection) != 0 &&
      (!get_varint(&bytes, &record->collection) || record->collection == 0)) {
    return false;
  }
  if ((flags & kFlagCount) != 0 && !get_varint(&bytes, &record->count)) return false;
  if (record->encoding == Encoding::kElements && record->collection == 0) return false;
  if (!is_string && record->type != ValueType::kStream && record->count == 0) return false;
  record->payload = bytes;
  return true;
}

void make_metadata_key(DatabaseId database, std::string_view key, EngineKey* out) {
  char* p = out->reset(5 + key.size());
  p[0] = kMetadataSpace;
  encode_big32(p + 1, database);
  if (!key.empty()) std::memcpy(p + 5, key.data(), key.size());
}

void make_segment_key(uint64_t collection, uint32_t segment, EngineKey* out) {
  char* p = out->reset(13);
  p[0] = kElementSpace;
  encode_big64(p + 1, collection);
  encode_big32(p + 9, segment);
}

void make_element_key(uint64_t collection, Part part, std::string_view rest, EngineKey* out) {
  char* p = out->reset(kPartPrefixSize + rest.size());
  p[0] = kElementSpace;
  encode_big64(p + 1, collection);
  p[9] = static_cast<char>(part);
  if (!rest.empty()) std::memcpy(p + kPartPrefixSize, rest.data(), rest.size());
}

void make_member_key(uint64_t collection, std::string_view member, EngineKey* out) {
  make_member_key(collection, Part::kMain, member_hash(member), member, out);
}

void make_member_key(uint64_t collection, Part part, uint32_t hash, std::string_view member, EngineKey* out) {
  char* p = out->reset(kPartPrefixSize + 4 + member.size());
  p[0] = kElementSpace;
  encode_big64(p + 1, collection);
  p[9] = static_cast<char>(part);
  encode_big32(p + kPartPrefixSize, hash);
  if (!member.empty()) std::memcpy(p + kPartPrefixSize + 4, member.data(), member.size());
}

void make_position_key(uint64_t collection, uint64_t position, EngineKey* out) {
  char rest[8];
  encode_big64(rest, position);
  make_element_key(collection, Part::kMain, {rest, sizeof rest}, out);
}

void encode_score(char* dst, double score) {
  auto bits = std::bit_cast<uint64_t>(score);
  encode_big64(dst, (bits & kSignBit) != 0 ? ~bits : bits | kSignBit);
}

double decode_score(const char* src) {
  uint64_t bits = decode_big64(src);
  return std::bit_cast<double>((bits & kSignBit) != 0 ? bits & ~kSignBit : ~bits);
}

void make_place(double score, std::string_view member, std::string* place) {
  place->resize(kScoreSize);
  encode_score(place->data(), score == 0 ? 0 : score);
  place->append(member);
}

void make_order_key(uint64_t collection, std::string_view member, double score, EngineKey* out) {
  char* p = out->reset(kPartPrefixSize + kScoreSize + member.size());
  p[0] = kElementSpace;
  encode_big64(p + 1, collection);
  p[9] = static_cast<char>(Part::kOrder);
  encode_score(p + kPartPrefixSize, score == 0 ? 0 : score);
  if (!member.empty()) std::memcpy(p + kPartPrefixSize + kScoreSize, member.data(), member.size());
}

bool parse_order_element(std::string_view engine_key, std::string_view value, std::string_view* member,
                         double* score) {
  if (engine_key.size() < kPartPrefixSize + kScoreSize || engine_key[0] != kElementSpace ||
      engine_key[9] != static_cast<char>(Part::kOrder)) {
    return false;
  }
  *score = decode_score(engine_key.data() + kPartPrefixSize);
  *member = engine_key.substr(kPartPrefixSize + kScoreSize);
  if (!value.empty() && *score == 0) *score = -0.0;
  return !std::isnan(*score) && (value.empty() || (value == "\1" && *score == 0));
}

uint32_t member_hash(std::string_view member) {
  return static_cast<uint32_t>(hash_key(member));
}

void make_piece_key(std::string_view main_key, uint32_t piece, EngineKey* out) {
  char* p = out->reset(main_key.size() + 4);
  std::memcpy(p, main_key.data(), main_key.size());
  p[9] = static_cast<char>(Part::kLong);
  encode_big32(p + main_key.size(), piece);
}

Part main_part(uint8_t generation) {
  VARVE_DCHECK(generation <= kLastGeneration);
  return generation == 0 ? Part::kMain : static_cast<Part>(static_cast<uint8_t>(Part::kLong) + generation);
}

bool parse_member_key(std::string_view engine_key, uint32_t* hash, std::string_view* member) {
  if (engine_key.size() < kPartPrefixSize + 4 || engine_key[0] != kElementSpace) return false;
  auto part = static_cast<Part>(engine_key[9]);
  if (part != Part::kMain && part <= Part::kLong) return false;
  *hash = decode_big32(engine_key.data() + kPartPrefixSize);
  *member = engine_key.substr(kPartPrefixSize + 4);
  return true;
}

void make_hint_key(int64_t expire_ms, DatabaseId database, std::string_view key, EngineKey* out) {
  char* p = out->reset(14 + key.size());
  p[0] = kSystemSpace;
  p[1] = 'e';
  encode_big64(p + 2, static_cast<uint64_t>(expire_ms));
  encode_big32(p + 10, database);
  if (!key.empty()) std::memcpy(p + 14, key.data(), key.size());
}

void make_database_key(uint32_t number, EngineKey* out) {
  char* p = out->reset(6);
  p[0] = kSystemSpace;
  p[1] = 'd';
  encode_big32(p + 2, number);
}

std::string identity_key() {
  return system_key('i');
}
std::string next_database_key() {
  return system_key('n');
}

bool parse_metadata_key(std::string_view engine_key, DatabaseId* database, std::string_view* key) {
  if (engine_key.size() < 5 || engine_key[0] != kMetadataSpace) return false;
  *database = decode_big32(engine_key.data() + 1);
  *key = engine_key.substr(5);
  return true;
}

bool parse_hint_key(std::string_view engine_key, int64_t* expire_ms, DatabaseId* database,
                    std::string_view* key) {
  if (engine_key.size() < 14 || engine_key[0] != kSystemSpace || engine_key[1] != 'e') return false;
  *expire_ms = static_cast<int64_t>(decode_big64(engine_key.data() + 2));
  *database = decode_big32(engine_key.data() + 10);
  *key = engine_key.substr(14);
  return true;
}

bool parse_database_key(std::string_view engine_key, uint32_t* number) {
  if (engine_key.size() != 6 || engine_key[0] != kSystemSpace || engine_key[1] != 'd') return false;
  *number = decode_big32(engine_key.data() + 2);
  return true;
}

KeyRange metadata_range(DatabaseId database) {
  EngineKey key;
  make_metadata_key(database, "", &key);
  return prefix_range(std::string(key.view()));
}

KeyRange collection_range(uint64_t collection) {
  std::string prefix(1, kElementSpace);
  put_big64(&prefix, collection);
  return prefix_range(prefix);
}

KeyRange part_range(uint64_t collection, Part part) {
  EngineKey key;
  make_element_key(collection, part, "", &key);
  return prefix_range(std::string(key.view()));
}

KeyRange hint_range() {
  return prefix_range(system_key('e'));
}
KeyRange database_map_range() {
  return prefix_range(system_key('d'));
}

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

RecordInspector::Traits KeyspaceInspector::traits(std::string_view key, std::string_view value) const {
  Record record;
  if (key.empty() || key[0] != kMetadataSpace || !decode_record(value, &record)) return {};
  return {record.collection != 0, record.expire_ms};
}

RecordInspector::Death KeyspaceInspector::death(std::string_view key, std::string_view value) const {
  Death death;
  std::string_view user_key;
  Record record;
  if (!parse_metadata_key(key, &death.counter_id, &user_key)) return death;
  death.counted = true;
  if (decode_record(value, &record) && record.collection != 0)
    death.garbage = collection_range(record.collection);
  return death;
}

}  // namespace varve
