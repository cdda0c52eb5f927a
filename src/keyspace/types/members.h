// members.h: collections whose elements are found by name: hashes (a value with each), sets (none) and sorted
// sets (a score, and an order beside, with a state of their own: sorted_set.h). Inline they
// stand in the order they came (integers of a small set in theirs); as elements by the hash of their name, so
// that a walk can start anywhere and a random one is a seek.
//
// What was removed stays in the engine's way until compaction meets it. So that a collection that much has
// gone through (a queue, a pool, a large set that was popped) is not walked among a million tombstones, what
// is left moves when many more were removed than are left: few at once, to a fresh id or back into the
// record; many to the next generation of their main part, some with each change (member_layout.h). Then
// nothing of the old one is looked at any more.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/coding.h"
#include "base/random.h"
#include "keyspace/types/collection.h"
#include "keyspace/types/member_layout.h"

namespace varve {

class Members : public Collection {
 public:
  bool has(std::string_view member);
  // The view is valid until the next call for a member, or change.
  bool find(std::string_view member, ElementValue* value);
  // All of a value that find() told of: points where that points, or into *scratch.
  std::string_view read(std::string_view member, const ElementValue& value, std::string* scratch);
  // True when it was there.
  bool remove(std::string_view member);

  // As Collection::save().
  void save();
  // Where the members stand; not for inline ones.
  MemberLayout layout() const;

  // Goes through all members, in the order they stand.
  class Walk {
   public:
    explicit Walk(Members& members);
    void seek_to_first();
    // To the first member whose hash is at least this. Not for inline ones.
    void seek(uint32_t hash);
    void next();
    bool valid() const { return valid_; }
    // Invalid for want of a block, not because this was all.
    bool missed() const { return elements_.has_value() && elements_->state() == IterState::kMiss; }
    // Valid until the walk moves, or a change.
    std::string_view member() const { return member_; }
    uint32_t hash() const { return hash_; }  // of elements only
    const ElementValue& value() const { return value_; }
    std::string_view read(std::string* scratch) { return members_.read(member_, value_, scratch); }

   private:
    void load();

    Members& members_;
    std::optional<MemberElements> elements_;
    size_t at_ = 0;  // inline: behind the current one
    bool valid_ = false;
    std::string_view member_;
    uint32_t hash_ = 0;
    ElementValue value_;
  };

  // Sets the walk on a random member: exactly uniform among few, roughly so among many. It is invalid when
  // the collection is empty, and in a run that fails.
  void seek_random(Walk& walk, Random& random) const;

 protected:
  Members(Transaction& tx, DatabaseId database, std::string_view key, const Entry& entry, ValueType type)
      : Collection(tx, database, key, entry, type, type == ValueType::kSet ? 1 : 2),
        with_values_(type != ValueType::kSet),
        old_collection_(record_.collection) {
    if (type != ValueType::kSortedSet) read_state();
  }

  // Where an inline member stands, and where its value does; false when it is not there.
  bool locate(std::string_view member, size_t* at, size_t* value_at) const;
  // All members become elements.
  void to_elements();
  // The member that a walk stands on, without a look-up: the walk is used no more. Not of sorted sets. size()
  // is not 0.
  void remove_at(const Walk& walk);
  // Makes element_key_, in the main part.
  void make_key(std::string_view member);
  // So many were removed under this id that a fresh one is worth it, and may be taken.
  bool worth_moving(uint64_t removed) const;
  // No more bytes of members and values are moved at once.
  static constexpr size_t kMovedBytesMax = 256 * 1024;
  EngineKey element_key_;

 private:
  void read_state();
  // Out of the way of what was removed, if that is worth it, or some of it.
  void leave_removed();
  bool many_removed(uint64_t removed) const;
  // False when they are too many bytes.
  bool renew_id();
  // About `most` members go to the next generation; with the last ones it becomes the only one.
  void move_some(uint64_t most);
  void damaged_element();
  // The members while they are few and short enough to be moved at once.
  struct Moved {
    std::string member;
    std::string value;
  };
  bool take_all(std::vector<Moved>* members);

  bool with_values_;
  uint64_t old_collection_;  // that the key had when it was found
  MemberLayout layout_;
  uint64_t removed_before_ = 0;
  char state_[MemberLayout::kSizeMax];
};

}  // namespace varve
