// sorted_set.h: Redis's sorted sets. Small ones stand in the record, each member with its score behind it, in
// order. Large ones have two elements for each member: in the main part by the hash of its name, with the
// score (there ZSCORE and ZSCAN look), and in the order part by its place, score and name (there ranges
// walk). How many stand before a place is the rank index's matter, from 64 members on.
//
// A *place* is where a member stands in the order: make_place(). Any bytes can be compared with places, so
// ranges of scores and names are ranges of places: [begin, end).
//
// The state (rank_state.h) keeps marks between which all members stand, so that a queue's ends are found
// without walking among what has gone through it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "keyspace/types/limits.h"
#include "keyspace/types/members.h"
#include "keyspace/types/rank_index.h"

namespace varve {

struct ScoredMember {
  std::string member;
  double score = 0;
};

// The members whose place is at least `begin` and less than `end`.
struct PlaceRange {
  std::string begin;  // empty: the beginning
  std::string end;    // empty: the end, unless to_end is false
  bool to_end = true;
};

class SortedSet final : public Members {
 public:
  // `entry`: what find() said of the key; it holds a sorted set or nothing.
  SortedSet(Transaction& tx, DatabaseId database, std::string_view key, const Entry& entry,
            const CollectionLimits& limits);

  bool find_score(std::string_view member, double* score);
  // --- changes; views may not point into this set. A score is never NaN ---
  // Of a member that is not there; of one that has this score now.
  void add(std::string_view member, double score);
  void change(std::string_view member, double old_score, double score);
  // True when it was there.
  bool remove(std::string_view member);
  // `count` members from `rank` on, which are there. Puts them, in order, into `removed` if it is given.
  void remove_range(uint64_t rank, uint64_t count, std::vector<ScoredMember>* removed);
  // No members: save() removes the key, and elements need no walk.
  void clear();
  // All members of a set that is empty, in order and each once: nothing is looked up.
  void fill(std::vector<ScoredMember>& members);
  void save();

  // --- order ---
  // How many members stand before a place.
  uint64_t count_before(std::string_view place);
  // [*first, *last): the ranks of the members in a range.
  void find_ranks(const PlaceRange& range, uint64_t* first, uint64_t* last);

  // Goes through the members in order. One at a time, and no changes meanwhile.
  class OrderWalk {
   public:
    explicit OrderWalk(SortedSet& set);
    void seek_rank(uint64_t rank);  // less than size(), else invalid
    void seek_to_last();
    void seek_place(std::string_view place);   // the first one there or behind
    void seek_before(std::string_view place);  // the last one before it
    void next();
    void prev();
    void move(bool forward) { forward ? next() : prev(); }
    bool valid() const { return valid_; }
    // Invalid for want of a block.
    bool missed() const { return elements_ != nullptr && elements_->state() == IterState::kMiss; }
    // Valid until the walk moves, or a change.
    std::string_view member() const { return member_; }
    double score() const { return score_; }
    std::string place() const;

   private:
    void load();

    SortedSet& set_;
    ElementIterator* elements_ = nullptr;  // null: inline
    std::vector<std::string_view> members_;
    std::vector<double> scores_;
    size_t at_ = 0;
    bool valid_ = false;
    std::string_view member_;
    double score_ = 0;
  };

  // The order part between the marks, as a reply that is streamed walks it.
  KeyRange order_range() const;
  // For tests: the parts and counts of a large set agree; empty, or what is wrong.
  std::string check();

 private:
  void put_elements(std::string_view member, double score);
  // Makes order_key_; the place in it.
  std::string_view set_place(std::string_view member, double score);
  void remove_elements(std::string_view member, double score);
  void remove_place(std::string_view member, double score);
  bool add_inline(std::string_view member, double score);
  // Where an inline member of this place is put.
  size_t inline_place(std::string_view member, double score) const;
  void spread();
  void pack(const std::vector<ScoredMember>& members);
  void put_all(const std::vector<ScoredMember>& members);
  void renew_id();
  void count_in(std::string_view member);

  const CollectionLimits& limits_;
  RankState state_;
  RankIndex index_{tx_, state_};
  EngineKey order_key_;
  std::string state_bytes_;
};

}  // namespace varve
