#include "lsm/memtable_tree.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/coding.h"

namespace varve {
namespace {

using Node = MemTableTree::Node;
using Inner = MemTableTree::Inner;

// The 8 bytes of key from `skip` on, as a number that orders like them; zeros where the key ends.
uint64_t key_number(std::string_view key, size_t skip) {
  if (key.size() >= skip + 8) return decode_big64(key.data() + skip);
  char bytes[8] = {};
  if (key.size() > skip) std::memcpy(bytes, key.data() + skip, key.size() - skip);
  return decode_big64(bytes);
}

size_t common_size(std::string_view a, std::string_view b) {
  size_t n = std::min(a.size(), b.size());
  size_t i = 0;
  while (i + 8 <= n) {
    uint64_t difference = decode_fixed64(a.data() + i) ^ decode_fixed64(b.data() + i);
    if (difference != 0) return i + static_cast<size_t>(__builtin_ctzll(difference)) / 8;
    i += 8;
  }
  while (i < n && a[i] == b[i]) ++i;
  return i;
}

std::string_view shared_bytes(const Node& node) {
  return {node.skip <= sizeof node.shared ? node.shared : node.entry[0]->bytes(), node.skip};
}

Node* child_at(const Node& node, int index) {
  return index == 0 ? node.left : static_cast<const Inner&>(node).child[index - 1];
}

// Fetches what a search in the node will look at.
void prefetch_node(const Node* node) {
  const char* p = reinterpret_cast<const char*>(node);
  for (size_t offset = 0; offset < offsetof(Node, entry); offset += 64) __builtin_prefetch(p + offset);
}

int count_below(const Node& node, uint64_t number) {
  const uint64_t* base = node.number;
  int n = node.count;
  while (n > 1) {
    int half = n / 2;
    base += base[half - 1] < number ? half : 0;
    n -= half;
  }
  return static_cast<int>(base - node.number) + (n == 1 && *base < number);
}

struct Found {
  int slot = 0;  // of the first key >= the one searched
  bool exact = false;
  bool tied = false;  // numbers did not suffice
};

Found search(const Node& node, std::string_view key) {
  std::string_view shared = shared_bytes(node);
  int c = key.substr(0, shared.size()).compare(shared.substr(0, key.size()));
  if (c < 0 || (c == 0 && key.size() < shared.size())) return {};
  if (c > 0) return {node.count, false, false};
  uint64_t number = key_number(key, node.skip);
  Found found;
  found.slot = count_below(node, number);
  if (found.slot == node.count || node.number[found.slot] != number) return found;
  found.tied = true;
  int end = found.slot + 1;
  while (end < node.count && node.number[end] == number) ++end;
  std::string_view rest = key.substr(node.skip);
  while (found.slot < end) {
    int middle = (found.slot + end) / 2;
    int order = node.entry[middle]->key().substr(node.skip).compare(rest);
    if (order == 0) {
      found.slot = middle;
      found.exact = true;
      return found;
    }
    if (order < 0)
      found.slot = middle + 1;
    else
      end = middle;
  }
  return found;
}

// Index of the child that key belongs to.
int child_index(const Node& node, std::string_view key) {
  Found found = search(node, key);
  return found.slot + (found.exact ? 1 : 0);
}

void shrink_skip(Node* node, uint32_t skip) {
  std::string_view shared = shared_bytes(*node);
  uint32_t back = node->skip - skip;
  uint64_t front = key_number(shared, skip);
  for (int i = 0; i < node->count; ++i) {
    node->number[i] = back >= 8 ? front : front | node->number[i] >> (8 * back);
  }
  if (node->skip > sizeof node->shared && skip <= sizeof node->shared) {
    std::memcpy(node->shared, shared.data(), skip);
  }
  node->skip = skip;
}

void grow_skip(Node* node) {
  std::string_view first = node->entry[0]->key();
  size_t common = common_size(first, node->entry[node->count - 1]->key());
  if (common <= node->skip) return;
  node->skip = static_cast<uint32_t>(common);
  if (common <= sizeof node->shared) std::memcpy(node->shared, first.data(), common);
  for (int i = 0; i < node->count; ++i) node->number[i] = key_number(node->entry[i]->key(), common);
}

bool has_equal_numbers(const Node& node) {
  for (int i = 1; i < node.count; ++i) {
    if (node.number[i] == node.number[i - 1]) return true;
  }
  return false;
}

template <class T>
void open_slot(T* array, int slot, int count) {
  std::memmove(array + slot + 1, array + slot, static_cast<size_t>(count - slot) * sizeof(T));
}

// Puts entry (and, in an inner node, the child to its right) into a slot of a node that has room.
void put_into(Node* node, int slot, MemTableEntry* entry, Node* child) {
  std::string_view key = entry->key();
  size_t common = common_size(key, shared_bytes(*node));
  if (common < node->skip) shrink_skip(node, static_cast<uint32_t>(common));
  open_slot(node->number, slot, node->count);
  open_slot(node->entry, slot, node->count);
  node->number[slot] = key_number(key, node->skip);
  node->entry[slot] = entry;
  if (node->level > 0) {
    Node** children = static_cast<Inner*>(node)->child;
    open_slot(children, slot, node->count);
    children[slot] = child;
  }
  ++node->count;
  node->last_insert = static_cast<uint16_t>(slot);
}

// Numbers that do not tell keys apart are worth a look now and then, not at every insert.
bool grow_is_due(const Node& node, bool tied) {
  return tied && node.count >= 8 && node.count % 8 == 0;
}

}  // namespace

Node* MemTableTree::new_node(uint32_t level) {
  Node* node =
      level == 0 ? new (arena_.allocate(sizeof(Node))) Node : new (arena_.allocate(sizeof(Inner))) Inner;
  node->level = level;
  return node;
}

// Moves the slots from `slot` on to a new right node. In an inner node the entry at `slot` stays there too,
// as the caller's separator: its child becomes the new node's first.
Node* MemTableTree::split(Node* node, int slot) {
  Node* right = new_node(node->level);
  int from = slot + (node->level > 0 ? 1 : 0);
  int moved = node->count - from;
  right->count = static_cast<uint16_t>(moved);
  // An empty node has no entry that could lend its bytes.
  right->skip = moved > 0 || node->skip <= sizeof node->shared ? node->skip : 0;
  std::memcpy(right->shared, node->shared, sizeof node->shared);
  std::memcpy(right->number, node->number + from, static_cast<size_t>(moved) * sizeof(uint64_t));
  std::memcpy(right->entry, node->entry + from, static_cast<size_t>(moved) * sizeof(MemTableEntry*));
  if (node->level > 0) {
    Node** children = static_cast<Inner*>(node)->child;
    right->left = children[slot];
    std::memcpy(static_cast<Inner*>(right)->child, children + from,
                static_cast<size_t>(moved) * sizeof(Node*));
  } else {
    right->left = node;
    right->right = node->right;
    (node->right != nullptr ? node->right->left : last_leaf_) = right;
    node->right = right;
  }
  bool ties = has_equal_numbers(*node);
  node->count = static_cast<uint16_t>(slot);
  if (ties && node->count > 0) grow_skip(node);
  if (ties && right->count > 0) grow_skip(right);
  return right;
}

void MemTableTree::insert(MemTableEntry* entry) {
  if (insert_beside_latest(entry)) return;
  waiting_[waiting_count_++] = entry;
  if (waiting_count_ == kWaiting) place_waiting();
}

// Stands the entry between the latest one and its neighbour? Mostly numbers tell, so that nothing but the
// leaf is looked at, and at its end the next one's first entry.
bool MemTableTree::insert_beside_latest(MemTableEntry* entry) {
  Node* leaf = latest_;
  if (leaf == nullptr) return false;
  std::string_view key = entry->key();
  std::string_view shared = shared_bytes(*leaf);
  if (key.size() < shared.size() || std::memcmp(key.data(), shared.data(), shared.size()) != 0) return false;
  uint64_t number = key_number(key, leaf->skip);
  auto before = [&](int slot) {
    return leaf->number[slot] == number ? leaf->entry[slot]->key() < key : leaf->number[slot] < number;
  };
  int slot = leaf->last_insert;
  if (!before(slot)) {
    if (slot == 0 || !before(slot - 1)) return false;
  } else if (++slot < leaf->count) {
    if (before(slot)) return false;
  } else if (leaf->right != nullptr && leaf->right->entry[0]->key() <= key) {
    return false;
  }
  if (leaf->count == kNodeSlots)
    insert_from_root(entry);
  else
    put_into(leaf, slot, entry, nullptr);
  return true;
}

void MemTableTree::place_waiting() {
  if (waiting_count_ == 0) return;
  int count = std::exchange(waiting_count_, 0);
  if (root_ == nullptr) root_ = first_leaf_ = last_leaf_ = new_node(0);
  Node* leaf[kWaiting];
  std::fill_n(leaf, count, root_);
  for (uint32_t level = root_->level; level > 0; --level) {
    for (int i = 0; i < count; ++i) {
      leaf[i] = child_at(*leaf[i], child_index(*leaf[i], waiting_[i]->key()));
      prefetch_node(leaf[i]);
    }
  }
  bool split = false;  // then a way down that was found before may lead elsewhere
  for (int i = 0; i < count; ++i) {
    if (!split && leaf[i]->count < kNodeSlots) {
      insert_into_leaf(leaf[i], waiting_[i]);
    } else {
      insert_from_root(waiting_[i]);
      split = true;
    }
  }
}

// The leaf has room.
void MemTableTree::insert_into_leaf(Node* leaf, MemTableEntry* entry) {
  Found found = search(*leaf, entry->key());
  VARVE_DCHECK(!found.exact);
  put_into(leaf, found.slot, entry, nullptr);
  latest_ = leaf;
  if (grow_is_due(*leaf, found.tied)) grow_skip(leaf);
}

void MemTableTree::insert_from_root(MemTableEntry* entry) {
  std::string_view key = entry->key();
  Node* path[kMaxHeight];
  int height = 0;
  Node* node = root_;
  while (node->level > 0) {
    path[height++] = node;
    node = child_at(*node, child_index(*node, key));
    prefetch_node(node);
  }
  if (node->count < kNodeSlots) return insert_into_leaf(node, entry);
  Found found = search(*node, key);
  VARVE_DCHECK(!found.exact);
  // Keys that come in order, up or down, leave full leaves behind; others split in the middle. What stands
  // beside the run parts from it, but for one key in front of a run downward: as the separator, it keeps the
  // coming ones with the run.
  int middle = kNodeSlots / 2;
  bool goes_right = found.slot > middle;
  if (found.slot == kNodeSlots && node->last_insert == kNodeSlots - 1) {
    middle = kNodeSlots;
  } else if (found.slot == node->last_insert && !goes_right) {
    goes_right = found.slot > 1;
    middle = goes_right ? found.slot - 1 : 1;
  } else if (found.slot == node->last_insert + 1 && goes_right) {
    middle = found.slot;
    goes_right = false;
  }
  Node* right = split(node, middle);
  latest_ = goes_right ? right : node;
  put_into(latest_, found.slot - (goes_right ? middle : 0), entry, nullptr);
  insert_into_parent(path, height, node, right);
}

void MemTableTree::insert_into_parent(Node** path, int height, Node* left, Node* right) {
  MemTableEntry* separator = right->entry[0];
  while (height > 0) {
    Node* parent = path[--height];
    Found found = search(*parent, separator->key());
    if (parent->count < kNodeSlots) {
      put_into(parent, found.slot, separator, right);
      if (grow_is_due(*parent, found.tied)) grow_skip(parent);
      return;
    }
    bool appending = found.slot == kNodeSlots;
    int middle = appending ? kNodeSlots - 1 : kNodeSlots / 2;
    MemTableEntry* risen = parent->entry[middle];
    Node* half = split(parent, middle);
    bool goes_right = found.slot > middle;
    put_into(goes_right ? half : parent, found.slot - (goes_right ? middle + 1 : 0), separator, right);
    separator = risen;
    left = parent;
    right = half;
  }
  VARVE_CHECK(left->level + 2 < kMaxHeight);
  Node* root = new_node(left->level + 1);
  root->left = left;
  put_into(root, 0, separator, right);
  root_ = root;
}

MemTableEntry* MemTableTree::find(std::string_view key) {
  Position at = lower_bound(key);
  return at.leaf != nullptr && at.entry()->key() == key ? at.entry() : nullptr;
}

MemTableTree::Position MemTableTree::first() {
  place_waiting();
  return {first_leaf_, 0};
}

MemTableTree::Position MemTableTree::last() {
  place_waiting();
  return {last_leaf_, last_leaf_ == nullptr ? 0 : last_leaf_->count - 1};
}

MemTableTree::Position MemTableTree::lower_bound(std::string_view key) {
  place_waiting();
  if (root_ == nullptr) return {};
  const Node* node = root_;
  while (node->level > 0) {
    node = child_at(*node, child_index(*node, key));
    prefetch_node(node);
  }
  Position at{node, search(*node, key).slot};
  return at.slot < node->count ? at : Position{node->right, 0};
}

MemTableTree::Position MemTableTree::next(Position at) {
  if (at.slot + 1 < at.leaf->count) return {at.leaf, at.slot + 1};
  return {at.leaf->right, 0};
}

MemTableTree::Position MemTableTree::previous(Position at) {
  if (at.slot > 0) return {at.leaf, at.slot - 1};
  const Node* left = at.leaf->left;
  return {left, left == nullptr ? 0 : left->count - 1};
}

}  // namespace varve
