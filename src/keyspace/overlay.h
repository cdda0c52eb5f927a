// overlay.h: a command's own writes as its later reads see them. The batch is the only copy of the bytes; a
// small batch is searched from its front, a larger one through an index that is built when first asked.
//
// Range deletes are not looked at: a dropped collection cannot be reached through its metadata any more, and
// a flushed database has a new id.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

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
  void clear();
  // Gives back what a large command has left, when empty.
  void release_memory();
  const WriteBatch& batch() const { return batch_; }
  size_t memory_used() const {
    return batch_.bytes().capacity() + index_.size() * 64 + index_.bucket_count() * 8;
  }

 private:
  Answer find_from_front(std::string_view key, std::string_view* value) const;
  void bring_index_up_to_date();

  WriteBatch batch_;
  // Where a key's last operation starts in the batch's bytes.
  std::unordered_map<std::string, size_t> index_;
  size_t indexed_bytes_ = 0;
};

}  // namespace varve
