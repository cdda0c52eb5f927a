// members.h: collections whose elements are found by name: hashes (a value with each) and sets (none). Inline
// they stand in the order they came (integers of a small set in theirs); as elements by the hash of their
// name, so that a walk can start anywhere and a random one is a seek.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/random.h"
#include "keyspace/types/collection.h"

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
    bool missed() const { return elements_ != nullptr && elements_->state() == IterState::kMiss; }
    // Valid until the walk moves, or a change.
    std::string_view member() const { return member_; }
    uint32_t hash() const { return hash_; }  // of elements only
    const ElementValue& value() const { return value_; }
    std::string_view read(std::string* scratch) { return members_.read(member_, value_, scratch); }

   private:
    void load();

    Members& members_;
    std::unique_ptr<ElementIterator> elements_;
    size_t at_ = 0;  // inline: behind the current one
    bool valid_ = false;
    std::string_view member_;
    uint32_t hash_ = 0;
    ElementValue value_;
  };

  // Sets the walk on a random member: exactly uniform among few, nearly so among many. It is invalid only
  // behind a missing block.
  void seek_random(Walk& walk, Random& random) const;

 protected:
  Members(Transaction& tx, DatabaseId database, std::string_view key, const Entry& entry, ValueType type)
      : Collection(tx, database, key, entry, type, type == ValueType::kHash ? 2 : 1),
        with_values_(type == ValueType::kHash) {}

  // Where an inline member stands, and where its value does; false when it is not there.
  bool locate(std::string_view member, size_t* at, size_t* value_at) const;
  // All members become elements.
  void to_elements();
  EngineKey element_key_;

 private:
  bool with_values_;
};

}  // namespace varve
