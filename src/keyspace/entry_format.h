// entry_format.h: how Redis keys and values lie in the engine's ordered key space. Disk format, version 1.
//
// Engine keys open with a space byte. Integers inside keys are big-endian, so that memcmp orders them.
//
//   0x01 system    0x01 'i'                                   -> identity := version:u8 flags:u8
//                  0x01 'n'                                   -> next database id: u32
//                  0x01 'd' number:u32                        -> database id: u32     (absent: id = number)
//                  0x01 'e' expire_ms:u64 database:u32 key    -> (empty)              expiry hint
//   0x02 metadata  0x02 database:u32 key                      -> record
//   0x03 elements  0x03 collection:u64 element_key            -> as the type says
//
//   identity flags: bit 0 is set when metadata keys carry a two-byte cluster slot (big-endian) between
//   database and key. This build writes 0 and refuses anything else.
//
//   record := head:u8 flags:u8 [expire_ms:varint] [collection:varint] [count:varint] payload
//   head   := type | encoding << 4
//   flags  := 1 expires | 2 owns a collection | 4 has a count | 8 not an integer, or grown | 16 raw
//   (others: 0)
//
//   type      0 string  1 list  2 set  3 sorted set  4 hash  5 stream
//   encoding  0 inline: the payload is the value (of a string), or the whole small collection, packed
//               packed := { length:varint bytes }: a set's members, a hash's fields each with its value
//               behind it, a list's elements, a sorted set's members each with its score (8 bytes) behind it
//             1 elements: the value stands under the collection id; `count` is its length or cardinality;
//               the payload is the type's state, drawn with the type (types/*.h), empty for strings
//             2 blob: the payload says where in a blob file the value stands (reserved)
//   A collection's record always has its count, and an empty collection has no record, but for streams.
//   flags 8 and 16 keep what OBJECT ENCODING tells: of a string, 8: it was not made an integer (INCRBYFLOAT),
//   16: it was changed in place (APPEND, SETRANGE); of a collection, 8: Redis would have converted it to the
//   encoding of large ones (it never goes back). Where the bytes stand is another matter: small collections
//   are inline up to kInlineCollectionMax whatever Redis would call them.
//
//   Elements of a string:     element_key := segment:u32. A segment holds bytes [segment * 8192, + 8192) of
//                             it; bytes that it lacks, and whole absent segments, are zeros. Behind the
//                             string's end it may hold zeros
//   Elements of a collection: element_key := part:u8 rest
//
//   part      rest                                         value
//   0 main    hash, set, zset: hash32:u32 member           form:u8 ...
//             list: position:u64                             0: the value follows: a hash's value, a list's
//             stream: ms:u64 sequence:u64                       element, a zset's score, a stream's entry
//                                                               (types/stream.h); nothing for a set
//                                                            1: length:varint, the value stands in part 3
//   1 order   zset: score:8 member (its place)             empty; one byte 1 when the score is -0
//   2 counts  zset: node:u32                               a node (types/rank_node.h)
//             stream: ms:u64 sequence:u64                  a node (types/stream.h)
//   3 long    rest of the main key, piece:u32              bytes [piece * 256 KiB, + 256 KiB) of the value
//   4.. main    hash, set: as part 0, of generations 1 to 252 (types/member_layout.h)
//   of streams, parts from 16 on are reserved for consumer groups
//
//   hash32 is the low half of the member's XXH3; a list's positions start in the middle of their range.
//   A score in 8 bytes: the bits of the double, big-endian, with the sign bit turned over, of negative ones
//   all bits: memcmp orders them. In a place -0 is written as 0, because Redis takes them for equal.
//
// Engine counters: a database's id counts its metadata records; id | kHintCounter counts its hints.
//
// A hint says: look at this key at that time. It may be stale; the record decides. Database ids and
// collection ids are never used twice. A database number without a record stands for the id of the same
// value; fresh ids start above kFirstFreshDatabase.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lsm/record_inspector.h"

namespace varve {

using DatabaseId = uint32_t;

inline constexpr char kSystemSpace = 0x01;
inline constexpr char kMetadataSpace = 0x02;
inline constexpr char kElementSpace = 0x03;
inline constexpr uint8_t kEntryFormatVersion = 1;
inline constexpr const char* kEntryFormatName = "varve-redis";  // EngineOptions::application

inline constexpr DatabaseId kFirstFreshDatabase = 1u << 20;  // database numbers stay below
inline constexpr uint32_t kHintCounter = 1u << 31;
inline constexpr size_t kMaxKeySize = 64 * 1024;      // of a Redis key, field or member
inline constexpr size_t kInlineStringMax = 4 * 1024;  // longer strings stand in segments
inline constexpr size_t kSegmentSize = 8 * 1024;
inline constexpr size_t kInlineCollectionMax = 1024;  // bytes packed; larger ones stand in elements
inline constexpr size_t kLongPieceSize = 256 * 1024;  // longer values of elements stand in pieces
static_assert(kMaxKeySize + 32 <= kMaxEngineKeySize);

enum class ValueType : uint8_t { kString = 0, kList = 1, kSet = 2, kSortedSet = 3, kHash = 4, kStream = 5 };
inline constexpr uint8_t kMaxValueType = 5;
// "string", "list", "set", "zset", "hash", "stream".
const char* value_type_name(ValueType type);

enum class Encoding : uint8_t { kInline = 0, kElements = 1, kBlob = 2 };

// How a string came to be, for OBJECT ENCODING.
enum class StringForm : uint8_t { kPlain, kNotInteger, kRaw };

// A metadata record, decoded. The payload points into the bytes it was decoded from.
struct Record {
  ValueType type = ValueType::kString;
  Encoding encoding = Encoding::kInline;
  StringForm form = StringForm::kPlain;  // of a string
  bool grown = false;                    // of a collection
  int64_t expire_ms = 0;                 // since 1970; 0: never
  uint64_t collection = 0;               // 0: owns none
  uint64_t count = 0;                    // a segmented string's bytes; a collection's elements; else 0
  std::string_view payload;

  bool operator==(const Record&) const = default;
  bool expired(int64_t now_ms) const { return expire_ms != 0 && expire_ms <= now_ms; }
  // Of a string.
  uint64_t length() const { return encoding == Encoding::kInline ? payload.size() : count; }
};

void encode_record(const Record& record, std::string* out);
// False on damage or a newer format.
bool decode_record(std::string_view bytes, Record* record);

// An engine key under construction: short ones need no heap.
class EngineKey {
 public:
  EngineKey() = default;
  EngineKey(const EngineKey&) = delete;
  EngineKey& operator=(const EngineKey&) = delete;
  std::string_view view() const { return {data_, size_}; }
  operator std::string_view() const { return view(); }  // NOLINT: implicit on purpose
  // Room for n bytes, filled by the caller.
  char* reset(size_t n) {
    if (n > sizeof small_) {
      large_.resize(n);
      data_ = large_.data();
    } else {
      data_ = small_;
    }
    size_ = n;
    return data_;
  }

 private:
  char small_[128];
  std::string large_;
  char* data_ = small_;
  size_t size_ = 0;
};

void make_metadata_key(DatabaseId database, std::string_view key, EngineKey* out);
void make_segment_key(uint64_t collection, uint32_t segment, EngineKey* out);
void make_hint_key(int64_t expire_ms, DatabaseId database, std::string_view key, EngineKey* out);
void make_database_key(uint32_t number, EngineKey* out);
std::string identity_key();
std::string next_database_key();

// Parts of the elements of a collection.
enum class Part : uint8_t { kMain = 0, kOrder = 1, kCounts = 2, kLong = 3 };
inline constexpr size_t kPartPrefixSize = 10;  // space, collection, part
void make_element_key(uint64_t collection, Part part, std::string_view rest, EngineKey* out);
// Of the main part: by the member's hash, by position.
void make_member_key(uint64_t collection, std::string_view member, EngineKey* out);
// In the main part of a generation, with the hash known.
void make_member_key(uint64_t collection, Part part, uint32_t hash, std::string_view member, EngineKey* out);
void make_position_key(uint64_t collection, uint64_t position, EngineKey* out);
uint32_t member_hash(std::string_view member);
// A score's 8 bytes. What stands for no number is read as NaN.
inline constexpr size_t kScoreSize = 8;
void encode_score(char* dst, double score);
double decode_score(const char* src);
// Where a member of a sorted set stands in its order: the rest of its key in the order part.
void make_place(double score, std::string_view member, std::string* place);
void make_order_key(uint64_t collection, std::string_view member, double score, EngineKey* out);
// Member and score of an element of the order part; false when it is none.
bool parse_order_element(std::string_view engine_key, std::string_view value, std::string_view* member,
                         double* score);
// The piece of a long value whose main key this is.
void make_piece_key(std::string_view main_key, uint32_t piece, EngineKey* out);
// The main part of members' generations, 0 to kLastGeneration: 0 is where they begin, behind the last follows
// 0.
inline constexpr uint8_t kLastGeneration = 252;
Part main_part(uint8_t generation);
// The member and its hash in an element key of a main part; false when it is none.
bool parse_member_key(std::string_view engine_key, uint32_t* hash, std::string_view* member);

// The user key behind a metadata key of any database; false when it is none.
bool parse_metadata_key(std::string_view engine_key, DatabaseId* database, std::string_view* key);
bool parse_hint_key(std::string_view engine_key, int64_t* expire_ms, DatabaseId* database,
                    std::string_view* key);
bool parse_database_key(std::string_view engine_key, uint32_t* number);

// Everything of a database, of a collection, of the hints, of the database map: [begin, end).
KeyRange metadata_range(DatabaseId database);
KeyRange collection_range(uint64_t collection);
KeyRange part_range(uint64_t collection, Part part);
KeyRange hint_range();
KeyRange database_map_range();
// The first key behind all keys that begin with `prefix`; empty when there is none.
std::string prefix_end(std::string_view prefix);

// Tells flush and compaction what they may know of records. Stateless, safe on any thread.
class KeyspaceInspector : public RecordInspector {
 public:
  Traits traits(std::string_view key, std::string_view value) const override;
  Death death(std::string_view key, std::string_view value) const override;
};

}  // namespace varve
