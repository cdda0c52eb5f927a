// list.h: Redis's lists. Few and short elements in one record; else each under its position, and they stand
// dense: at [head, head + count), always. So an element is found by its index with one read, both ends are
// known from the record, and nothing that was removed is ever looked at again: what a queue leaves behind its
// head costs its readers nothing.
//
//   state := flags:u8 head:varint        head: zigzag of the first position's distance from 2^63
//   flags := 1 values in pieces may stand among the elements (others: 0)
//
// What changes the middle (LINSERT, LREM) moves the elements of the shorter side by as many places.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/coding.h"
#include "keyspace/types/collection.h"

namespace varve {

enum class ListEnd : uint8_t { kHead, kTail };

class List final : public Collection {
 public:
  // `entry`: what find() said of the key; it holds a list or nothing.
  List(Transaction& tx, DatabaseId database, std::string_view key, const Entry& entry);

  // Where the elements of a record that is not inline begin. False: it cannot be understood.
  static bool head_of(const Record& record, uint64_t* head) {
    bool ignored = false;
    return parse_state(record, &ignored, head);
  }

  // --- reading; an index is below size() ---
  // False only in a run that fails. The view is valid until the next read or change.
  bool find(uint64_t index, ElementValue* value);
  // All of a value that find() told of: points where that points, or into *scratch.
  std::string_view read(uint64_t index, const ElementValue& value, std::string* scratch);
  // Under which key a list of elements has this one.
  std::string element_key(uint64_t index) const;

  // Goes through the elements from an index on, forward or backward.
  class Walk {
   public:
    Walk(List& list, uint64_t index, bool forward);
    void next();
    // False at the end, and in a run that fails.
    bool valid() const { return valid_; }
    uint64_t index() const { return index_; }
    // Valid until the walk moves, or a change.
    const ElementValue& value() const { return value_; }
    std::string_view read(std::string* scratch) { return list_.read(index_, value_, scratch); }
    bool equals(std::string_view element);

   private:
    friend class List;
    void load();

    List& list_;
    bool forward_;
    bool valid_ = false;
    uint64_t index_;
    std::unique_ptr<ElementIterator> elements_;
    std::vector<size_t> places_;  // of inline elements, for the way back
    size_t at_ = 0;               // inline: behind the current one
    ElementValue value_;
    uint64_t passed_ = 0;
    uint64_t passed_bytes_ = 0;
    std::string scratch_;
  };
  // A walk that has `left` elements to go, if so many are there, has met a missing block: asks for what it
  // will find behind that, too, so that it comes together.
  void ask_ahead(const Walk& walk, uint64_t left = UINT64_MAX);

  // --- changing; save() at the end; values may not point into this list ---
  void push(ListEnd end, std::string_view value);
  void set(uint64_t index, std::string_view value);
  // Keeps `count` elements from `first` on.
  void keep(uint64_t first, uint64_t count);
  // In front of element `index`; size() is the end. False, and nothing was done, when too much would have to
  // be moved.
  bool insert(uint64_t index, std::string_view value);
  // These elements, in ascending order. False as above.
  bool remove(const std::vector<uint64_t>& indexes);

  void save();

 private:
  static bool parse_state(const Record& record, bool* has_long, uint64_t* head);
  void read_state();
  void to_elements();
  void put_at(uint64_t position, std::string_view value);
  void remove_positions(uint64_t from, uint64_t to);
  bool movable(uint64_t from, uint64_t to);
  void remove_inline(const std::vector<uint64_t>& indexes);
  void close_gaps(const std::vector<uint64_t>& indexes, bool toward_head);
  uint64_t tail() const { return head_ + record_.count; }
  void lost();

  uint64_t head_;
  bool has_long_ = false;
  EngineKey element_key_;
  char state_[1 + kMaxVarintSize];
};

}  // namespace varve
