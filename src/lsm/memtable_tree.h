// memtable_tree.h: the memtable's order: a B+tree of entries; private to memtable*.
//
// What a search in a tree of pointers costs is the cache miss of every compare. So a slot holds, beside the
// pointer, the 8 key bytes behind those that all keys of the node share ("skip" bytes), as a big-endian
// number: nearly every compare is one of numbers that lie side by side. Only equal numbers make it look at
// the entries. The shared bytes stand in the node as well (as long as they fit), so that a search key can be
// held against them.
//
// skip shrinks whenever a key comes that shares less, without touching an entry. It grows only when equal
// numbers are met: recomputing the numbers touches every entry of the node.
//
// Keys are unique and never leave. Separators are the entries that were first in the right node at a split.
//
// A new entry next to the latest one (the ends of a list, elements that come in order) goes in beside it
// without a search. Others wait until some are there: their ways down are gone side by side, so that the
// memory which they touch is loaded for all at once. Whatever looks at the order places them first.
#pragma once

#include <cstdint>
#include <string_view>

#include "lsm/memtable_entry.h"

namespace varve {

class MemTableTree {
 public:
  static constexpr int kNodeSlots = 64;

  struct Node {
    uint16_t count = 0;
    uint16_t last_insert = 0;  // slot of the latest insert
    uint32_t level = 0;        // 0: leaf
    Node* left = nullptr;      // leaf: the neighbour; inner: the child before slot 0
    Node* right = nullptr;     // leaf only
    uint32_t skip = 0;
    char shared[36];  // the first `skip` bytes of every key, if they fit
    uint64_t number[kNodeSlots];
    MemTableEntry* entry[kNodeSlots];
  };
  struct Inner : Node {
    Node* child[kNodeSlots];  // child[i]: keys from entry[i] on
  };
  static_assert(sizeof(Node) == 64 + kNodeSlots * 16 && sizeof(Inner) == sizeof(Node) + kNodeSlots * 8);

  // A slot of a leaf; leaf == nullptr: the end.
  struct Position {
    const Node* leaf = nullptr;
    int slot = 0;
    MemTableEntry* entry() const { return leaf->entry[slot]; }
  };

  // The key must not be there yet. The entry may be placed later.
  void insert(MemTableEntry* entry);
  // Places all entries. Needed before readers of other threads come: the calls below do it, too.
  void place_waiting();
  MemTableEntry* find(std::string_view key);
  Position first();
  Position last();
  // First entry with a key >= key.
  Position lower_bound(std::string_view key);
  // nullptr leaf when there is none.
  static Position next(Position at);
  static Position previous(Position at);
  // Asks for what a walk that comes to this leaf (or none) looks at first.
  static void prefetch_leaf(const Node* leaf, bool forward) {
    if (leaf == nullptr) return;
    __builtin_prefetch(leaf);
    __builtin_prefetch(leaf->entry + (forward ? 0 : kNodeSlots / 2));
  }
  size_t memory_used() const { return arena_.memory_used(); }

 private:
  static constexpr int kMaxHeight = 16;
  static constexpr int kWaiting = 16;

  bool insert_beside_latest(MemTableEntry* entry);
  void insert_into_leaf(Node* leaf, MemTableEntry* entry);
  void insert_from_root(MemTableEntry* entry);
  Node* new_node(uint32_t level);
  Node* split(Node* node, int slot);
  void insert_into_parent(Node** path, int height, Node* left, Node* right);

  MemTableArena arena_;
  Node* root_ = nullptr;
  Node* first_leaf_ = nullptr;
  Node* last_leaf_ = nullptr;
  Node* latest_ = nullptr;  // the leaf of the latest insert
  MemTableEntry* waiting_[kWaiting];
  int waiting_count_ = 0;
};

}  // namespace varve
