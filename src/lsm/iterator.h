// iterator.h: the one shape of everything that walks records in order: memtables, blocks, tables, levels,
// merges. Order: key ascending, within a key newest first (key_format.h). Range deletes are not records: they
// travel apart (range_tombstones.h).
//
// A position may be unreachable because a block is not in memory: the iterator is then in state kMiss, the
// wanted blocks stand in the ReadContext behind it, and the owner gives up its run and starts again when they
// are there (DESIGN.md, law 5). An iterator in kMiss or kError stays so until the next seek.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "lsm/key_format.h"

namespace varve {

enum class IterState : uint8_t { kValid, kEnd, kMiss, kError };

class RecordIterator {
 public:
  virtual ~RecordIterator() = default;

  IterState state() const { return state_; }
  bool valid() const { return state_ == IterState::kValid; }
  // Ok unless state() is kError.
  virtual Status status() const { return Status(); }

  virtual void seek_to_first() = 0;
  virtual void seek_to_last() = 0;
  // First record whose key is >= key.
  virtual void seek(std::string_view key) = 0;
  // Last record (the oldest version of its key) whose key is < key.
  virtual void seek_before(std::string_view key) = 0;
  virtual void next() = 0;  // needs valid()
  virtual void prev() = 0;  // needs valid()
  // Needs valid(). True: the record before this one, if there is one, has another key. False: that is not
  // known without going there.
  virtual bool begins_key() const { return false; }

  // Valid until the iterator moves.
  std::string_view key() const { return key_; }
  std::string_view value() const { return value_; }
  Tag tag() const { return tag_; }

 protected:
  // Implementations keep these current; the accessors above are then free of virtual calls.
  std::string_view key_;
  std::string_view value_;
  Tag tag_;
  IterState state_ = IterState::kEnd;
};

}  // namespace varve
