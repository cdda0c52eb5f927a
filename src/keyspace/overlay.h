// overlay.h: a command's own writes as its later reads see them. The batch is the only copy of the bytes; a
// small batch is searched from its front, a larger one through an index in key order that is brought up to
// date when it is asked. Range deletes of the batch hide what stands before them in the batch and everything
// in the engine.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "varve/write_batch.h"

namespace varve {

class Overlay {
 public:
  enum class Answer : uint8_t { kUntouched, kPut, kDeleted };

  void put(std::string_view key, std::string_view value, bool blind = false) {
    batch_.put(key, value, blind);
  }
  void remove(std::string_view key) { batch_.remove(key); }
  void remove_range(std::string_view begin, std::string_view end) { batch_.remove_range(begin, end); }
  void add_count(uint32_t id, int64_t delta) { batch_.add_count(id, delta); }

  // The last put or delete of key. `value` points into the batch: valid until the next write.
  Answer find(std::string_view key, std::string_view* value);

  // --- for walks ---
  // Has the batch anything to say about keys in [begin, end)?
  bool touches(std::string_view begin, std::string_view end);
  // The first put in [from, end); the last put in [begin, before). Views are valid until the next write.
  bool first_put(std::string_view from, std::string_view end, std::string_view* key, std::string_view* value);
  bool last_put(std::string_view begin, std::string_view before, std::string_view* key,
                std::string_view* value);
  // The deleted range that holds key: [*begin, *end). Keys in it may have been put again behind the delete.
  bool deleted_around(std::string_view key, std::string_view* begin, std::string_view* end);

  void clear();
  // Gives back what a large command has left, when empty.
  void release_memory();
  const WriteBatch& batch() const { return batch_; }
  size_t memory_used() const { return batch_.bytes().capacity() + (index_.size() + ranges_.size()) * 128; }

 private:
  Answer find_from_front(std::string_view key, std::string_view* value) const;
  void bring_index_up_to_date();
  void index_range_delete(std::string_view begin, std::string_view end);
  BatchReader::Op op_at(size_t offset) const;

  WriteBatch batch_;
  // Where a key's last put or delete starts in the batch's bytes. A delete inside a deleted range has none.
  std::map<std::string, size_t, std::less<>> index_;
  std::map<std::string, std::string, std::less<>> ranges_;  // deleted: disjoint, begin -> end
  size_t indexed_bytes_ = 0;
};

}  // namespace varve
