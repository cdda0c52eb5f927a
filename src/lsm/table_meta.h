// table_meta.h: what the manifest says of a table, so that opening one reads nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/identity.h"
#include "base/status.h"
#include "lsm/key_format.h"

namespace varve {

// Where a block lies: offset and stored (compressed) size, trailer not included. size 0: no such block.
struct BlockHandle {
  uint64_t offset = 0;
  uint64_t size = 0;
  bool operator==(const BlockHandle&) const = default;
};

struct TableMeta {
  uint64_t number = 0;  // NNNNNNNN.sst; never used twice
  uint64_t file_size = 0;
  Identity identity;
  // Bounds of everything in it, range deletes included: smallest <= key, and key <= largest (key < largest
  // when largest_exclusive: the end of a range delete).
  std::string smallest;
  std::string largest;
  bool largest_exclusive = false;
  Sequence smallest_sequence = 0;
  Sequence largest_sequence = 0;
  // Counts by kind: puts + deletes = records.
  uint64_t records = 0;
  uint64_t deletes = 0;
  uint64_t range_deletes = 0;  // fragments in the range block
  uint64_t blind = 0;          // records with the blind mark
  uint64_t collections = 0;    // metadata records that own a collection id
  uint64_t raw_key_bytes = 0;
  uint64_t raw_value_bytes = 0;
  uint64_t data_blocks = 0;
  // Records that expire: how many bytes (keys + values), and the times, milliseconds since 1970 (0: none).
  uint64_t expiring_bytes = 0;
  int64_t min_expire_ms = 0;
  int64_t max_expire_ms = 0;
  BlockHandle top_index;
  BlockHandle range_block;

  bool operator==(const TableMeta&) const = default;
  void encode(std::string* out) const;
  // False on damage. Advances `in` past the meta.
  bool decode(std::string_view* in);
};

// [begin, end), or [begin, end] when end_inclusive. Bounds of a table, of a job, of what lies deeper.
struct KeyRange {
  std::string begin;
  std::string end;
  bool end_inclusive = false;
  bool contains(std::string_view key) const {
    return key >= std::string_view(begin) && (key < std::string_view(end) || (end_inclusive && key == end));
  }
  bool overlaps(const KeyRange& other) const {
    bool this_before = end_inclusive ? end < other.begin : end <= other.begin;
    bool other_before = other.end_inclusive ? other.end < begin : other.end <= begin;
    return !this_before && !other_before;
  }
  bool operator==(const KeyRange&) const = default;
};

inline KeyRange bounds(const TableMeta& t) {
  return {t.smallest, t.largest, !t.largest_exclusive};
}

// A KeyRange that copies nothing: for the owner's thread, which compares the bounds of many tables.
struct KeySpan {
  std::string_view begin;
  std::string_view end;
  bool end_inclusive = false;
  KeySpan() = default;
  KeySpan(const KeyRange& r) : begin(r.begin), end(r.end), end_inclusive(r.end_inclusive) {}
  explicit KeySpan(const TableMeta& t)
      : begin(t.smallest), end(t.largest), end_inclusive(!t.largest_exclusive) {}
};

// All of the table lies before key; all of it lies behind the span.
inline bool ends_before(const TableMeta& t, std::string_view key) {
  int c = std::string_view(t.largest).compare(key);
  return c < 0 || (c == 0 && t.largest_exclusive);
}
inline bool begins_after(const TableMeta& t, const KeySpan& span) {
  int c = std::string_view(t.smallest).compare(span.end);
  return c > 0 || (c == 0 && !span.end_inclusive);
}
inline bool overlaps(const TableMeta& t, const KeySpan& span) {
  return !ends_before(t, span.begin) && !begins_after(t, span);
}
// No key of the table lies outside of the span.
inline bool lies_within(const TableMeta& t, const KeySpan& span) {
  int c = std::string_view(t.largest).compare(span.end);
  return t.smallest >= span.begin && (c < 0 || (c == 0 && (span.end_inclusive || t.largest_exclusive)));
}

}  // namespace varve
