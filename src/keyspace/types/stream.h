// stream.h: Redis's streams, without consumer groups. Every entry is an element under its id, in the order of
// ids; there is no inline form: a stream grows at its end, so packed into its record it would be written
// again whole with every XADD, where an entry and about 60 bytes of state do.
//
//   entry  := count:varint { length:varint bytes }        fields and values, count strings in all
//   state  := flags:u8 last:id first:id max_deleted:id added:varint nodes:varint [head:id start:id node]
//   flags  := 1 values in pieces may stand among the entries (others: 0; 2 is for consumer groups)
//   id     := ms:varint sequence:varint
//   node   := last:id live:varint deleted:varint bytes:varint fields:varint names:u64
//   counts part: ms:u64 sequence:u64 of a node's start -> node
//
// Redis keeps entries in nodes of up to 100 entries or 4096 bytes, and approximate trimming (~) removes whole
// nodes only: which entries stay shows where nodes begin. So nodes are counted here as Redis would have made
// them with its default settings (`bytes` is the size that Redis's listpack would have). They are useful too:
// finding the entry that a trim ends at takes a step for a node, not for an entry. The last node is part of
// the state (`start` is where it begins); one that is full goes to the counts part, a small record for each
// hundred entries.
//
// `first` is the first entry there is, `head` the start of the first node: what was trimmed or deleted before
// them is never looked at again. A stream may be empty: its record stays.
#pragma once

#include <compare>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "keyspace/types/collection.h"

namespace varve {

struct StreamId {
  uint64_t ms = 0;
  uint64_t seq = 0;

  auto operator<=>(const StreamId&) const = default;
};
inline constexpr StreamId kLastStreamId = {UINT64_MAX, UINT64_MAX};
// The next or the one before; false when there is none.
bool increase(StreamId* id);
bool decrease(StreamId* id);
std::string format_stream_id(StreamId id);

void make_entry_key(uint64_t collection, StreamId id, EngineKey* out);
StreamId entry_id(std::string_view entry_key);

// What XTRIM and XADD take away from the front.
struct StreamTrim {
  enum class By : uint8_t { kNothing, kLength, kId };
  By by = By::kNothing;
  uint64_t length = 0;  // entries that stay
  StreamId id;          // the first that stays
  bool approximate = false;
  uint64_t limit = 0;  // of removed entries; 0: none
};

class Stream final : public Collection {
 public:
  // `entry`: what find() said of the key; it holds a stream or nothing.
  Stream(Transaction& tx, DatabaseId database, std::string_view key, const Entry& entry);

  StreamId last_id() const { return last_id_; }
  StreamId first_id() const { return first_id_; }
  StreamId max_deleted_id() const { return max_deleted_; }
  uint64_t entries_added() const { return added_; }
  uint64_t nodes() const { return nodes_; }
  // How many nodes Redis's radix tree would have: exact up to 10,000 of ours, about right beyond.
  uint64_t radix_nodes();
  // The last entry there is; false when there is none.
  bool last_entry(StreamId* id);
  // No entry has a greater id.
  StreamId greatest() const { return nodes_ == 0 ? StreamId() : tail_.last; }

  // Goes through the entries from `from` to `to`, both included; in reverse it starts at `to`.
  class Walk {
   public:
    Walk(Stream& stream, StreamId from, StreamId to, bool forward = true);
    // False at the end, and in a run that fails.
    bool valid() const { return valid_; }
    void next();
    StreamId id() const { return id_; }
    // The whole entry's bytes: valid until the walk moves, or into *scratch.
    std::string_view read(std::string* scratch) const;
    uint64_t size() const { return value_.length; }
    const ElementValue& value() const { return value_; }

   private:
    void load();

    Stream& stream_;
    bool forward_;
    bool valid_ = false;
    StreamId id_;
    ElementValue value_;
    std::unique_ptr<ElementIterator> entries_;
  };

  // --- changing; save() at the end ---
  // `words`: fields and values, an even number. The id is greater than last_id().
  void append(StreamId id, const std::string_view* words, size_t count);
  // True when it was there. first_id() is made right by settle_first().
  bool remove(StreamId id);
  void settle_first();
  // How many were removed.
  uint64_t trim(const StreamTrim& trim);
  void set_last_id(StreamId id);
  void set_entries_added(uint64_t added) { added_ = added; }
  void set_max_deleted_id(StreamId id) { max_deleted_ = id; }
  void save();

 private:
  struct Node {
    StreamId start;  // its first entry, gone or not
    StreamId last;
    uint64_t live = 0;
    uint64_t deleted = 0;
    uint64_t bytes = 0;   // of Redis's listpack
    uint64_t fields = 0;  // of its first entry
    uint64_t names = 0;   // a hash of their names
  };
  class NodeWalk;

  // Where a trim ends: the first node that stays, and what goes before it.
  struct Cut {
    bool all = false;  // no node stays
    Node node;
    uint64_t entries = 0;
    uint64_t nodes = 0;
  };

  void read_state();
  static void encode_node(const Node& node, std::string* out);
  static bool decode_node(StreamId start, std::string_view* bytes, Node* node);
  void put_node(const Node& node);
  void remove_node(StreamId start);
  // The last node is gone: the one before it takes its place.
  void drop_tail();
  void drop_node(const Node& node);
  bool find_node(StreamId id, Node* node);
  Cut find_cut(const StreamTrim& trim);
  Cut find_cut_from_end(uint64_t length);
  // Entries of a node that stays. Returns the first that stays; *removed counts.
  StreamId cut_node(const StreamTrim& trim, const Cut& cut, uint64_t* removed);
  void remove_entries(StreamId end, bool all, uint64_t count);
  void remove_nodes(const Cut& cut);
  void fail(const char* what);

  StreamId last_id_;
  StreamId first_id_;
  StreamId max_deleted_;
  uint64_t added_ = 0;
  uint64_t nodes_ = 0;
  StreamId head_;
  Node tail_;
  bool has_long_ = false;
  bool first_gone_ = false;
  EngineKey element_key_;
  std::string state_;
};

// A stream's entry in its parts; false on damage.
class EntryWords {
 public:
  // The bytes must live as long.
  bool open(std::string_view entry);
  uint64_t count() const { return count_; }
  bool next(std::string_view* word) { return words_.read(&at_, word); }

 private:
  uint64_t count_ = 0;
  size_t at_ = 0;
  Packed words_;
};

}  // namespace varve
