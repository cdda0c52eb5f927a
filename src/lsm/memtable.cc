#include "lsm/memtable.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/checksum.h"
#include "lsm/memtable_entry.h"
#include "lsm/memtable_index.h"
#include "lsm/memtable_tree.h"

namespace varve {

struct MemTable::Core {
  MemTableArena arena;
  MemTableIndex index;
  MemTableTree tree;
  uint64_t entries = 0;
  Sequence last_range_delete = 0;

  MemTableEntry* find(std::string_view key, uint64_t hash);
  MemTableEntry* new_entry(Tag tag, std::string_view key, std::string_view value, uint64_t hash);
  // Makes value the entry's; its old one is lost unless something else points at it.
  void set_value(MemTableEntry* entry, std::string_view value, bool keep_old);
  void push_version(MemTableEntry* entry);
  MemTableEntry::Detached* detach(MemTableEntry* entry);
};

namespace {

void copy(char* to, std::string_view from) {
  if (!from.empty()) std::memcpy(to, from.data(), from.size());
}

class MemTableIterator final : public RecordIterator {
 public:
  explicit MemTableIterator(MemTableTree& tree) : tree_(tree) {}

  void seek_to_first() override { start(tree_.first(), false); }
  void seek_to_last() override { start(tree_.last(), true); }
  void seek(std::string_view key) override { start(tree_.lower_bound(key), false); }
  void seek_before(std::string_view key) override {
    MemTableTree::Position at = tree_.lower_bound(key);
    start(at.leaf == nullptr ? tree_.last() : MemTableTree::previous(at), true);
  }
  void next() override {
    VARVE_DCHECK(valid());
    if (version_ < older_.size()) {
      ++version_;
      show();
    } else {
      step(MemTableTree::next(at_), true);
    }
  }
  void prev() override {
    VARVE_DCHECK(valid());
    if (version_ > 0) {
      --version_;
      show();
    } else {
      step(MemTableTree::previous(at_), false);
    }
  }

 private:
  static constexpr int kAheadMax = 8;

  void start(MemTableTree::Position at, bool oldest) {
    ahead_ = fetched_ = 0;
    enter(at, oldest);
  }
  void step(MemTableTree::Position at, bool forward) {
    if (forward != forward_ || at.leaf != at_.leaf) fetched_ = 0;
    forward_ = forward;
    ahead_ = std::min(ahead_ * 2 + 1, kAheadMax);
    if (at.leaf != nullptr) fetch_ahead(at);
    enter(at, !forward);
  }
  // Entries lie wherever there was room, and each would be a cache miss. So those that come next are on their
  // way while one is looked at, the more the longer the walk.
  void fetch_ahead(MemTableTree::Position at) {
    if (fetched_ > 0) --fetched_;
    while (fetched_ < ahead_) {
      int slot = forward_ ? at.slot + fetched_ + 1 : at.slot - fetched_ - 1;
      if (slot < 0 || slot >= at.leaf->count) {
        MemTableTree::prefetch_leaf(forward_ ? at.leaf->right : at.leaf->left, forward_);
        return;
      }
      const char* entry = reinterpret_cast<const char*>(at.leaf->entry[slot]);
      __builtin_prefetch(entry);
      __builtin_prefetch(entry + 64);
      ++fetched_;
    }
  }
  // Stands on the newest version of the entry, or on its oldest.
  void enter(MemTableTree::Position at, bool oldest) {
    at_ = at;
    older_.clear();
    version_ = 0;
    if (at.leaf == nullptr) {
      state_ = IterState::kEnd;
      return;
    }
    const MemTableVersion* version = at.entry()->older();
    for (; version != nullptr; version = version->older) older_.push_back(version);
    if (oldest) version_ = older_.size();
    show();
  }
  void show() {
    const MemTableEntry* entry = at_.entry();
    key_ = entry->key();
    if (version_ == 0) {
      tag_ = entry->tag;
      value_ = entry->value();
    } else {
      const MemTableVersion* version = older_[version_ - 1];
      tag_ = version->tag;
      value_ = {version->value, version->value_size};
    }
    state_ = IterState::kValid;
  }

  MemTableTree& tree_;
  MemTableTree::Position at_;
  std::vector<const MemTableVersion*> older_;  // of the entry at at_, newest first
  size_t version_ = 0;                         // 0: the entry's own; i: older_[i - 1]
  bool forward_ = true;
  int ahead_ = 0;    // so many entries of the leaf are fetched before they are needed
  int fetched_ = 0;  // and so many are
};

}  // namespace

MemTableEntry* MemTable::Core::find(std::string_view key, uint64_t hash) {
  MemTableIndex::Found found = index.find(key, hash);
  return found.ask_tree ? tree.find(key) : found.entry;
}

MemTableEntry* MemTable::Core::new_entry(Tag tag, std::string_view key, std::string_view value,
                                         uint64_t hash) {
  size_t size = (sizeof(MemTableEntry) + key.size() + value.size() + 7) & ~size_t{7};
  auto* entry = reinterpret_cast<MemTableEntry*>(arena.allocate(size));
  entry->tag = tag;
  entry->hash = static_cast<uint32_t>(hash);
  entry->key_size_and_bit = static_cast<uint32_t>(key.size());
  entry->sizes.value_size = static_cast<uint32_t>(value.size());
  entry->sizes.value_room = static_cast<uint32_t>(size - sizeof(MemTableEntry) - key.size());
  copy(entry->bytes(), key);
  copy(entry->bytes() + key.size(), value);
  return entry;
}

MemTableEntry::Detached* MemTable::Core::detach(MemTableEntry* entry) {
  if (entry->detached()) return entry->elsewhere;
  auto* detached =
      reinterpret_cast<MemTableEntry::Detached*>(arena.allocate(sizeof(MemTableEntry::Detached)));
  detached->value = entry->bytes() + entry->key().size();
  detached->value_size = entry->sizes.value_size;
  detached->value_room = entry->sizes.value_room;
  detached->older = nullptr;
  entry->key_size_and_bit |= MemTableEntry::kDetachedBit;
  entry->elsewhere = detached;
  return detached;
}

void MemTable::Core::push_version(MemTableEntry* entry) {
  MemTableEntry::Detached* detached = detach(entry);
  auto* version = reinterpret_cast<MemTableVersion*>(arena.allocate(sizeof(MemTableVersion)));
  *version = {entry->tag, detached->value, detached->value_size, detached->older};
  detached->older = version;
  ++entries;
}

void MemTable::Core::set_value(MemTableEntry* entry, std::string_view value, bool keep_old) {
  auto size = static_cast<uint32_t>(value.size());
  if (!keep_old && !entry->detached() && size <= entry->sizes.value_room) {
    copy(entry->bytes() + entry->key().size(), value);
    entry->sizes.value_size = size;
    return;
  }
  MemTableEntry::Detached* detached = detach(entry);
  if (keep_old || size > detached->value_room) {
    // A value that grows once mostly grows again (APPEND, SETRANGE): some slack keeps the waste linear.
    size_t room = size + (keep_old ? 0 : size / 4);
    room = (room + 7) & ~size_t{7};
    detached->value = arena.allocate(room);
    detached->value_room = static_cast<uint32_t>(room);
  }
  copy(detached->value, value);
  detached->value_size = size;
}

MemTable::MemTable() : core_(std::make_unique<Core>()) {}
MemTable::~MemTable() = default;

void MemTable::add(Sequence sequence, Kind kind, bool blind, std::string_view key, std::string_view value,
                   Sequence newest_snapshot) {
  add(sequence, kind, blind, key, value, newest_snapshot, hash_key(key));
}

void MemTable::add(Sequence sequence, Kind kind, bool blind, std::string_view key, std::string_view value,
                   Sequence newest_snapshot, uint64_t key_hash) {
  VARVE_CHECK(kind == Kind::kPut || (kind == Kind::kDelete && value.empty()));
  VARVE_CHECK(key.size() <= kMaxEngineKeySize && value.size() <= kMaxEngineValueSize);
  note_sequence(sequence);
  if (blind) ++blind_adds_;
  MemTableEntry* entry = core_->find(key, key_hash);
  if (entry == nullptr) {
    entry = core_->new_entry(Tag::make(sequence, kind, blind), key, value, key_hash);
    core_->index.insert(key_hash, entry);
    core_->tree.insert(entry);
    ++core_->entries;
    return;
  }
  Tag old = entry->tag;
  bool keep_old = old.sequence() <= newest_snapshot || blind || range_deleted_since(key, old.sequence());
  if (keep_old) core_->push_version(entry);
  core_->set_value(entry, value, keep_old);
  entry->tag = Tag::make(sequence, kind, blind || (!keep_old && old.blind()));
}

bool MemTable::amend(std::string_view key, uint64_t key_hash, Sequence sequence, size_t offset,
                     std::string_view bytes, Sequence newest_snapshot) {
  VARVE_CHECK(!frozen_);
  MemTableEntry* entry = core_->find(key, key_hash);
  if (entry == nullptr || entry->tag.sequence() != sequence || entry->tag.kind() != Kind::kPut) return false;
  if (sequence <= newest_snapshot || range_deleted_since(key, sequence)) return false;
  std::string_view value = entry->value();
  if (offset > value.size() || bytes.size() > value.size() - offset) return false;
  copy(const_cast<char*>(value.data()) + offset, bytes);  // the entry's own bytes, in the arena
  return true;
}

void MemTable::freeze() {
  core_->tree.place_waiting();
  frozen_ = true;
}

bool MemTable::range_deleted_since(std::string_view key, Sequence sequence) const {
  return core_->last_range_delete > sequence && range_tombstones_.covering(key, kMaxSequence) > sequence;
}

void MemTable::add_range_delete(Sequence sequence, std::string_view begin, std::string_view end) {
  note_sequence(sequence);
  range_tombstones_.add(begin, end, sequence);
  core_->last_range_delete = sequence;
}

void MemTable::note_sequence(Sequence sequence) {
  VARVE_CHECK(!frozen_ && sequence > last_sequence_ && sequence <= kMaxSequence);
  if (first_sequence_ == 0) first_sequence_ = sequence;
  last_sequence_ = sequence;
}

bool MemTable::find(std::string_view key, Sequence at, Hit* hit) const {
  return find(key, hash_key(key), at, hit);
}

bool MemTable::find(std::string_view key, uint64_t key_hash, Sequence at, Hit* hit) const {
  const MemTableEntry* entry = core_->find(key, key_hash);
  if (entry == nullptr) return false;
  if (entry->tag.sequence() <= at) {
    *hit = {entry->tag, entry->value()};
    return true;
  }
  const MemTableVersion* version = entry->older();
  while (version != nullptr && version->tag.sequence() > at) version = version->older;
  if (version == nullptr) return false;
  *hit = {version->tag, {version->value, version->value_size}};
  return true;
}

size_t MemTable::prefetch(const uint64_t* key_hashes, size_t count, uint64_t* unknown) const {
  return core_->index.prefetch(key_hashes, count, unknown);
}

std::unique_ptr<RecordIterator> MemTable::new_iterator() const {
  return std::make_unique<MemTableIterator>(core_->tree);
}

size_t MemTable::memory_used() const {
  // A node of std::map, roughly.
  constexpr size_t kCounterCost = 64;
  return core_->arena.memory_used() + core_->index.memory_used() + core_->tree.memory_used() +
         range_tombstones_.memory_used() + counters_.size() * kCounterCost;
}

uint64_t MemTable::entry_count() const {
  return core_->entries;
}

}  // namespace varve
