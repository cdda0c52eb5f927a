// keyspace_records.h: what the tools know of the keyspace's records (keyspace/entry_format.h): which counter
// counts a record, and how live records are put back together when some of their fellows are lost.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "keyspace/entry_format.h"
#include "lsm/key_format.h"
#include "tool/losses.h"

namespace varve::tool {

// The engine counter in which a live put record of the application "varve-redis" is counted.
std::optional<uint32_t> counter_of(std::string_view key);

// Takes the live records of a damaged directory in key order and says what becomes of each. The keyspace's
// rules, held again where a loss broke them:
//   - hints come from the metadata, none from the source: so hints and their counter are right;
//   - a long string that a loss may have touched, or that lacks a segment (its record came back, because
//     the record that deleted it is lost), is left out as a whole: missing segments would read as zeros;
//   - elements whose record is gone are left out;
//   - database ids are never used twice: the next one lies above every id met.
class KeyspaceMender {
 public:
  // `doubtful`: something is lost, or not all that counts is known.
  KeyspaceMender(bool doubtful, Losses* losses) : doubtful_(doubtful), losses_(*losses) {}

  // Appends to `batch` what `key` is in the new directory.
  void take(std::string_view key, std::string_view value, WriteBatch* batch);
  // After the last record: what stands for the whole.
  void finish(WriteBatch* batch);

  // Keys left out, and elements without an owner.
  uint64_t keys() const { return keys_; }
  uint64_t dropped_keys() const { return dropped_keys_; }
  uint64_t dropped_elements() const { return dropped_elements_; }
  // The highest collection id met.
  uint64_t last_collection() const { return last_collection_; }

 private:
  void take_system(std::string_view key, std::string_view value, WriteBatch* batch);
  void take_metadata(DatabaseId database, std::string_view user_key, std::string_view key,
                     std::string_view value, WriteBatch* batch);
  void remove_incomplete(WriteBatch* batch);
  void drop(DatabaseId database, std::string_view user_key, std::string_view why);

  const bool doubtful_;
  Losses& losses_;
  // A long string whose segments are counted as they come.
  struct Pending {
    std::string key;  // of the metadata
    int64_t expire_ms = 0;
    uint64_t segments_left = 0;
  };
  std::unordered_set<uint64_t> collections_;  // owned by a record that was taken
  std::map<uint64_t, Pending> pending_;       // by collection; only if doubtful
  bool identity_ = false;
  DatabaseId next_database_ = 0;
  DatabaseId highest_database_ = 0;
  uint64_t keys_ = 0;
  uint64_t dropped_keys_ = 0;
  uint64_t dropped_elements_ = 0;
  uint64_t last_collection_ = 0;
};

}  // namespace varve::tool
