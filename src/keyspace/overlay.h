// overlay.h: a command's own writes as its later reads see them. The batch is the only copy of the bytes; a
// small batch is searched from its front, a larger one through an index in key order that is brought up to
// date when it is asked. Range deletes of the batch hide what stands before them in the batch and everything
// in the engine.
// Most keys that are asked for are not in it, which a word of 64 bits mostly tells.
//
// A small change inside a large value stands beside the batch for as long as the command writes and asks
// nothing more, which is mostly to its end: the engine can often make it in place (Engine::amend). Else it
// becomes the put of the whole value that it stands for.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/coding.h"
#include "varve/write_batch.h"

namespace varve {

class Overlay {
 public:
  enum class Answer : uint8_t { kUntouched, kPut, kDeleted };

  void put(std::string_view key, std::string_view value, bool blind = false) {
    if (changing_) write_change();
    note(key);
    batch_.put(key, value, blind);
  }
  void remove(std::string_view key) {
    if (changing_) write_change();
    note(key);
    batch_.remove(key);
  }
  void remove_range(std::string_view begin, std::string_view end) {
    if (changing_) write_change();
    noted_ = ~uint64_t{0};
    batch_.remove_range(begin, end);
  }
  void add_count(uint32_t id, int64_t delta) {
    if (changing_) write_change();
    batch_.add_count(id, delta);
  }

  struct Change {
    std::string key;
    std::string_view was;  // its value before
    size_t offset = 0;
    std::string bytes;  // which stand there now, within the value
    std::string record_key, record;
  };
  // Bytes of a value change, and `record` is put behind that. Nothing may have been written before; `was`
  // must stay in its place until the next call but those of this block.
  Change& begin_change() {
    VARVE_DCHECK(empty());
    changing_ = true;
    return change_;
  }
  const Change* change() const { return changing_ ? &change_ : nullptr; }
  // The change has been made in place: only its record is left to be put.
  void change_made() {
    changing_ = false;
    note(change_.record_key);
    batch_.put(change_.record_key, change_.record);
  }
  // Makes it the puts that it stands for.
  void write_change();

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

  bool empty() const { return batch_.empty() && !changing_; }
  // What a batch with all of it takes.
  size_t byte_size() const;
  void clear();
  // Gives back what a large command has left, when empty.
  void release_memory();
  // Without a change() that still stands beside it.
  const WriteBatch& batch() const { return batch_; }
  size_t memory_used() const { return batch_.bytes().capacity() + (index_.size() + ranges_.size()) * 128; }

 private:
  // Which of 64 sorts a key is, by its end, where the keys of a command differ.
  static uint64_t sort_of(std::string_view key) {
    constexpr uint64_t kScatter = 0x9e3779b97f4a7c15;
    uint64_t end = key.size();
    if (key.size() >= 8) end ^= decode_fixed64(key.data() + key.size() - 8);
    return uint64_t{1} << (end * kScatter >> 58);
  }
  void note(std::string_view key) { noted_ |= sort_of(key); }
  Answer find_from_front(std::string_view key, std::string_view* value) const;
  void bring_index_up_to_date();
  void index_range_delete(std::string_view begin, std::string_view end);
  BatchReader::Op op_at(size_t offset) const;

  WriteBatch batch_;
  uint64_t noted_ = 0;  // sorts of the keys that the batch puts or deletes: of others it knows nothing
  // Where a key's last put or delete starts in the batch's bytes. A delete inside a deleted range has none.
  std::map<std::string, size_t, std::less<>> index_;
  std::map<std::string, std::string, std::less<>> ranges_;  // deleted: disjoint, begin -> end
  size_t indexed_bytes_ = 0;
  bool changing_ = false;
  Change change_;  // when changing_
};

}  // namespace varve
