// element_iterator.h: a walk over a key range as a command sees it: the engine's live records with the
// command's own writes laid over them, in both directions. When the batch says nothing about the range, the
// normal case, it is the engine's iterator and nothing more.
//
// Writes into the range made after the last seek may be seen or not; views into the iterator are valid until
// it moves or the next write. Behind a missing block it is in state kMiss, and the run is worthless.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "keyspace/overlay.h"
#include "lsm/engine.h"

namespace varve {

class ElementIterator {
 public:
  // Keys in [begin, end); neither is empty.
  ElementIterator(Overlay& overlay, std::unique_ptr<LiveIterator> records, std::string_view begin,
                  std::string_view end);

  void seek(std::string_view key);         // first key >= key
  void seek_before(std::string_view key);  // last key < key
  void seek_to_first() { seek(begin_); }
  void seek_to_last() { seek_before(end_); }
  void next();  // needs valid()
  void prev();  // needs valid()
  IterState state() const { return merged_ ? state_ : records_->state(); }
  bool valid() const { return state() == IterState::kValid; }
  std::string_view key() const { return own_ ? std::string_view(own_key_) : records_->key(); }
  std::string_view value() const { return own_ ? own_value_ : records_->value(); }

 private:
  void settle_forward(std::string_view from);
  void settle_backward(std::string_view before);
  // Moves the engine's side out of what the batch hides.
  void skip_hidden(bool forward);

  Overlay& overlay_;
  std::unique_ptr<LiveIterator> records_;
  std::string begin_;
  std::string end_;
  bool merged_ = false;  // the batch has a word in this range
  bool forward_ = true;
  bool own_ = false;  // the current record is the batch's
  IterState state_ = IterState::kEnd;
  std::string own_key_;  // a copy: the batch may grow between two moves
  std::string_view own_value_;
};

}  // namespace varve
