// stream_nodes.cc: a stream's nodes, and what they are for: trimming.

#include <algorithm>

#include "base/check.h"
#include "base/coding.h"
#include "keyspace/types/stream.h"

namespace varve {
namespace {

// So many entries are removed one by one; more at once, as a range.
constexpr uint64_t kSingleRemovals = 32;
// In a stream of more nodes a trim that keeps less than it removes looks for its end from behind.
constexpr uint64_t kFewNodes = 64;
constexpr uint64_t kRadixNodesCounted = 10'000;
constexpr size_t kIdSize = 16;

void make_node_key(uint64_t collection, StreamId start, EngineKey* out) {
  char rest[kIdSize];
  encode_big64(rest, start.ms);
  encode_big64(rest + 8, start.seq);
  make_element_key(collection, Part::kCounts, {rest, sizeof rest}, out);
}

// Counts the nodes of a radix tree as keys of 16 bytes come in order: a leaf for each key, a node for each
// place where keys part, and one for each stretch between them where there is nothing to decide.
class RadixCounter {
 public:
  void add(StreamId id) {
    char key[kIdSize];
    encode_big64(key, id.ms);
    encode_big64(key + 8, id.seq);
    if (leaves_++ > 0) {
      auto [a, b] = std::mismatch(key, key + kIdSize, last_);
      auto depth = static_cast<int>(a - key);
      hang_leaf(std::max(depth, parted_));
      close(depth);
      if (branches_.empty() || branches_.back() != depth) {
        branches_.push_back(depth);
        ++nodes_;
      }
      parted_ = depth;
    }
    std::copy(key, key + kIdSize, last_);
  }
  uint64_t finish() {
    if (leaves_ == 0) return 1;
    if (leaves_ == 1) return 2;
    hang_leaf(parted_);
    close(-1);
    return nodes_;
  }

 private:
  void hang_leaf(int under) { nodes_ += under + 1 < static_cast<int>(kIdSize) ? 2 : 1; }
  // No key to come parts from the others below this depth.
  void close(int depth) {
    while (!branches_.empty() && branches_.back() > depth) {
      int below = branches_.back();
      branches_.pop_back();
      int parent = std::max(depth, branches_.empty() ? -1 : branches_.back());
      if (below > parent + 1) ++nodes_;
    }
  }

  uint64_t leaves_ = 0;
  uint64_t nodes_ = 0;
  int parted_ = -1;            // where the last two keys parted
  std::vector<int> branches_;  // on the way to the last key
  char last_[kIdSize];
};

}  // namespace

// Goes through the nodes from the first or from the last one.
class Stream::NodeWalk {
 public:
  NodeWalk(Stream& stream, bool forward) : stream_(stream), forward_(forward), left_(stream.nodes_) {
    if (left_ == 0) return;
    if (left_ > 1) {
      EngineKey begin;
      make_node_key(stream.record_.collection, stream.head_, &begin);
      full_ = stream.tx_.iterate(begin, part_range(stream.record_.collection, Part::kCounts).end);
      if (forward) full_->seek_to_first();
    }
    load();
  }
  bool valid() const { return valid_; }
  const Node& node() const { return node_; }
  void next() {
    --left_;
    if (full_ && valid_) {
      if (forward_) {
        if (left_ > 1) full_->next();
      } else {
        left_ + 1 == stream_.nodes_ ? full_->seek_to_last() : full_->prev();
      }
    }
    load();
  }

 private:
  void load() {
    valid_ = false;
    if (left_ == 0) return;
    if (forward_ ? left_ == 1 : left_ == stream_.nodes_) {
      node_ = stream_.tail_;
      valid_ = true;
      return;
    }
    if (full_->valid() && full_->key().size() == kPartPrefixSize + kIdSize) {
      std::string_view bytes = full_->value();
      valid_ = decode_node(entry_id(full_->key()), &bytes, &node_) && bytes.empty();
    }
    if (!valid_) stream_.fail("a node is missing or cannot be understood");
  }

  Stream& stream_;
  bool forward_;
  uint64_t left_;  // with this one
  bool valid_ = false;
  Node node_;
  std::unique_ptr<ElementIterator> full_;
};

void Stream::put_node(const Node& node) {
  EngineKey key;
  std::string bytes;
  encode_node(node, &bytes);
  make_node_key(record_.collection, node.start, &key);
  tx_.put_element(key, bytes);
}

void Stream::remove_node(StreamId start) {
  EngineKey key;
  make_node_key(record_.collection, start, &key);
  tx_.remove_element(key);
}

void Stream::drop_tail() {
  NodeWalk walk(*this, false);
  if (nodes_ == 1) {
    nodes_ = 0;
    return;
  }
  walk.next();
  if (!walk.valid()) return;
  tail_ = walk.node();
  --nodes_;
  remove_node(tail_.start);
}

void Stream::drop_node(const Node& node) {
  if (node.start == tail_.start) return drop_tail();
  if (node.start == head_) {
    NodeWalk walk(*this, true);
    walk.next();
    if (walk.valid()) head_ = walk.node().start;
  }
  --nodes_;
  remove_node(node.start);
}

bool Stream::find_node(StreamId id, Node* node) {
  *node = tail_;
  if (id >= tail_.start) return true;
  EngineKey begin;
  EngineKey last;
  make_node_key(record_.collection, head_, &begin);
  make_node_key(record_.collection, id, &last);
  std::string end(last.view());
  end.push_back('\0');
  std::unique_ptr<ElementIterator> nodes = tx_.iterate(begin, end);
  nodes->seek_to_last();
  if (nodes->valid() && nodes->key().size() == kPartPrefixSize + kIdSize) {
    std::string_view bytes = nodes->value();
    if (decode_node(entry_id(nodes->key()), &bytes, node) && bytes.empty() && node->live > 0) return true;
  }
  fail("a node is missing or cannot be understood");
  return false;
}

uint64_t Stream::radix_nodes() {
  RadixCounter counter;
  uint64_t counted = 0;
  for (NodeWalk walk(*this, true); walk.valid() && counted < kRadixNodesCounted; walk.next(), ++counted) {
    counter.add(walk.node().start);
  }
  uint64_t found = counter.finish();
  return counted < kRadixNodesCounted ? found : found * (nodes_ / counted);
}

// --- trimming ---

Stream::Cut Stream::find_cut(const StreamTrim& trim) {
  Cut cut;
  NodeWalk walk(*this, true);
  for (; walk.valid(); walk.next()) {
    cut.node = walk.node();
    uint64_t left = size() - cut.entries;
    uint64_t live = cut.node.live;
    if (trim.by == StreamTrim::By::kLength && left <= trim.length) break;
    if (trim.limit > 0 && cut.entries + live > trim.limit) break;
    bool whole = trim.by == StreamTrim::By::kLength ? left - std::min(left, live) >= trim.length
                                                    : cut.node.last < trim.id;
    if (!whole) break;
    cut.entries += live;
    ++cut.nodes;
  }
  cut.all = cut.nodes == nodes_;
  return cut;
}

Stream::Cut Stream::find_cut_from_end(uint64_t length) {
  Cut cut;
  uint64_t kept = 0;
  uint64_t kept_nodes = 0;
  for (NodeWalk walk(*this, false); walk.valid() && kept < length; walk.next(), ++kept_nodes) {
    cut.node = walk.node();
    kept += cut.node.live;
  }
  cut.entries = size() - std::min(size(), kept);
  cut.nodes = nodes_ - kept_nodes;
  cut.all = kept_nodes == 0;
  return cut;
}

StreamId Stream::cut_node(const StreamTrim& trim, const Cut& cut, uint64_t* removed) {
  bool by_length = trim.by == StreamTrim::By::kLength;
  uint64_t left = size() - cut.entries;
  uint64_t excess = !by_length ? UINT64_MAX : left > trim.length ? left - trim.length : 0;
  Walk walk(*this, cut.node.start, cut.node.last);
  while (*removed < excess && walk.valid() && (by_length || walk.id() < trim.id)) {
    ++*removed;
    walk.next();
  }
  if (walk.valid()) return walk.id();
  StreamId behind = cut.node.last;
  increase(&behind);
  return behind;
}

void Stream::remove_entries(StreamId end, bool all, uint64_t count) {
  if (count <= kSingleRemovals) {
    std::vector<std::pair<StreamId, ElementValue>> gone;
    for (Walk walk(*this, first_id_, kLastStreamId); walk.valid() && gone.size() < count; walk.next()) {
      gone.emplace_back(walk.id(), walk.value());
    }
    for (const auto& [id, value] : gone) {
      make_entry_key(record_.collection, id, &element_key_);
      tx_.remove_value(element_key_, value);
    }
    return;
  }
  EngineKey begin;
  EngineKey behind;
  make_entry_key(record_.collection, first_id_, &begin);
  make_entry_key(record_.collection, end, &behind);
  std::string main_end = all ? part_range(record_.collection, Part::kMain).end : std::string(behind.view());
  tx_.remove_elements(begin, main_end);
  if (!has_long_) return;
  EngineKey first_piece;
  EngineKey last_piece;
  make_piece_key(begin, 0, &first_piece);
  make_piece_key(behind, 0, &last_piece);
  std::string long_end =
      all ? part_range(record_.collection, Part::kLong).end : std::string(last_piece.view());
  tx_.remove_elements(first_piece, long_end);
}

void Stream::remove_nodes(const Cut& cut) {
  bool tail_stays = !cut.all;
  uint64_t stored = cut.nodes - (tail_stays ? 0 : 1);
  if (stored == 1) {
    remove_node(head_);
  } else if (stored > 1) {
    EngineKey begin;
    EngineKey end;
    make_node_key(record_.collection, head_, &begin);
    make_node_key(record_.collection, cut.all ? tail_.start : cut.node.start, &end);
    tx_.remove_elements(begin, end);
  }
  nodes_ -= cut.nodes;
  if (tail_stays) head_ = cut.node.start;
}

uint64_t Stream::trim(const StreamTrim& trim) {
  bool by_length = trim.by == StreamTrim::By::kLength;
  if (trim.by == StreamTrim::By::kNothing || nodes_ == 0 || (by_length && size() <= trim.length)) return 0;
  bool from_end = by_length && trim.limit == 0 && nodes_ > kFewNodes && size() - trim.length > trim.length;
  Cut cut = from_end ? find_cut_from_end(trim.length) : find_cut(trim);
  if (tx_.read().faulted()) return 0;
  uint64_t of_node = 0;
  StreamId end = cut.node.start;
  if (!cut.all && !trim.approximate) end = cut_node(trim, cut, &of_node);
  uint64_t removed = cut.entries + of_node;
  if (tx_.read().faulted() || removed + cut.nodes == 0) return 0;
  remove_entries(end, cut.all, removed);
  remove_nodes(cut);
  if (of_node > 0) {
    cut.node.live -= std::min(cut.node.live, of_node);
    cut.node.deleted += of_node;
    cut.node.start == tail_.start ? void(tail_ = cut.node) : put_node(cut.node);
  }
  record_.count -= std::min(record_.count, removed);
  changed_ = true;
  if (removed > 0) {
    first_gone_ = true;
    first_id_ = std::max(first_id_, end);
    settle_first();
  }
  return removed;
}

}  // namespace varve
