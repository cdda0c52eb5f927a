#include "lsm/row_cache.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "base/check.h"
#include "base/checksum.h"
#include "base/touch.h"

namespace varve {
namespace {

constexpr size_t kFirstBuckets = 64;
constexpr int kLooksPerInsert = 4;       // buckets
constexpr int kLooksPerResize = 4096;    // buckets; below a millisecond or two
constexpr uint64_t kLetInOneIn = 4;      // of the rows that a full cache is offered
constexpr size_t kRetiredMax = 1 << 20;  // bytes that wait for release_retired(); then nothing goes in
constexpr size_t kGenerations = 4096;
constexpr size_t kPrefix = 9;  // of a key: in varve's own keys, all elements of one collection share it

constexpr int kPrefetchedLines = 3;  // of a row

constexpr int kTagShift = 48;
constexpr uint64_t kUsed = 1;
constexpr uint64_t kAddress = (uint64_t{1} << kTagShift) - 8;

// Do all keys of [begin, end) start with the same kPrefix bytes?
bool have_one_prefix(std::string_view begin, std::string_view end) {
  if (begin.size() < kPrefix) return false;
  std::string_view prefix = begin.substr(0, kPrefix);
  if (end.substr(0, kPrefix) == prefix) return true;
  char next[kPrefix];
  std::memcpy(next, prefix.data(), kPrefix);
  for (size_t i = kPrefix; i > 0 && ++next[i - 1] == 0;) --i;
  return end == std::string_view(next, kPrefix);
}

size_t bucket_hash(uint64_t hash) {
  return static_cast<size_t>(hash >> 9 & 0xffffffff);
}

}  // namespace

struct RowCache::Stored {
  uint64_t hash;
  uint32_t generation;
  uint32_t key_size : 31;
  uint32_t found : 1;
  uint32_t value_size;

  char* bytes() { return reinterpret_cast<char*>(this + 1); }
  std::string_view key() { return {bytes(), key_size}; }
  std::string_view value() { return {bytes() + key_size, value_size}; }
  // With what the allocator rounds up, roughly.
  size_t charge() const {
    size_t size = sizeof(Stored) + key_size + value_size;
    return size + size / 10 + 8;
  }
};

// How many range deletes the rows with a prefix have outlived. A row of an older generation is no row.
struct RowCache::Generations {
  uint32_t all = 0;
  uint32_t of[kGenerations] = {};

  static size_t place(std::string_view key) { return hash_key(key.substr(0, kPrefix)) % kGenerations; }
};

RowCache::RowCache(size_t capacity_bytes)
    : capacity_(capacity_bytes), generations_(std::make_unique<Generations>()) {}

RowCache::~RowCache() {
  for (Stored* row : retired_) ::operator delete(row);
  for (size_t b = 0; b < buckets_; ++b) {
    for (uint64_t slot : bucket(b).slots) ::operator delete(reinterpret_cast<void*>(slot & kAddress));
  }
}

// --- places ---

RowCache::Bucket& RowCache::bucket(size_t index) const {
  size_t chunk = static_cast<size_t>(std::bit_width(index / kFirstBuckets));
  size_t first = chunk == 0 ? 0 : kFirstBuckets << (chunk - 1);
  return chunks_[chunk][index - first];
}

size_t RowCache::bucket_of(uint64_t hash) const {
  size_t low = std::bit_floor(buckets_);
  size_t index = bucket_hash(hash) & (2 * low - 1);
  return index < buckets_ ? index : index & (low - 1);
}

// One bucket more: it takes its share of the one that it was part of.
void RowCache::grow() {
  size_t fresh = buckets_;
  size_t chunk = static_cast<size_t>(std::bit_width(fresh / kFirstBuckets));
  if (chunk == chunks_.size()) {
    size_t size = chunk == 0 ? kFirstBuckets : kFirstBuckets << (chunk - 1);
    chunks_.push_back(std::make_unique<Bucket[]>(size));
  }
  ++buckets_;
  used_ += sizeof(Bucket);
  if (fresh == 0) return;
  Bucket& from = bucket(fresh - std::bit_floor(fresh));
  for (uint64_t slot : from.slots) __builtin_prefetch(reinterpret_cast<void*>(slot & kAddress));
  for (uint64_t& slot : from.slots) {
    if (slot == 0 || bucket_of(reinterpret_cast<Stored*>(slot & kAddress)->hash) != fresh) continue;
    place(&bucket(fresh), slot);
    slot = 0;
  }
}

void RowCache::place(Bucket* bucket, uint64_t slot) {
  for (uint64_t& free : bucket->slots) {
    if (free != 0) continue;
    free = slot;
    return;
  }
  VARVE_CHECK(false);
}

uint64_t* RowCache::find(std::string_view key, uint64_t hash) const {
  if (rows_ == 0) return nullptr;
  for (uint64_t& slot : bucket(bucket_of(hash)).slots) {
    if (slot >> kTagShift != hash >> kTagShift || slot == 0) continue;
    auto* row = reinterpret_cast<Stored*>(slot & kAddress);
    if (row->hash == hash && row->key() == key) return &slot;
  }
  return nullptr;
}

// The row of that tag, or null: mostly the key's.
const void* RowCache::likely_row(uint64_t hash) const {
  for (uint64_t slot : bucket(bucket_of(hash)).slots) {
    if (slot >> kTagShift == hash >> kTagShift && slot != 0)
      return reinterpret_cast<const void*>(slot & kAddress);
  }
  return nullptr;
}

size_t RowCache::prefetch(const uint64_t* hashes, size_t count, uint64_t* unknown) const {
  VARVE_DCHECK(count <= kPrefetched);
  if (rows_ == 0) {
    if (unknown != hashes) std::copy(hashes, hashes + count, unknown);
    return count;
  }
  const void* rows[kPrefetched];
  size_t found = 0, rest = 0;
  for (size_t i = 0; i < count; ++i) touch(&bucket(bucket_of(hashes[i])));
  for (size_t i = 0; i < count; ++i) {
    if (const void* row = likely_row(hashes[i]))
      rows[found++] = row;
    else
      unknown[rest++] = hashes[i];
  }
  for (size_t i = 0; i < found; ++i) touch(rows[i]);
  for (size_t i = 0; i < found; ++i) prefetch_lines(rows[i], 1, kPrefetchedLines);
  return rest;
}

uint32_t RowCache::generation_of(std::string_view key) const {
  return generations_->all + generations_->of[Generations::place(key)];
}

// --- rows ---

bool RowCache::lookup(std::string_view key, uint64_t hash, Row* out) {
  uint64_t* slot = find(key, hash);
  if (slot == nullptr) {
    ++misses_;
    return false;
  }
  auto* row = reinterpret_cast<Stored*>(*slot & kAddress);
  if (row->generation != generation_of(key)) {
    retire(slot);
    ++misses_;
    return false;
  }
  ++hits_;
  if ((*slot & kUsed) == 0) *slot |= kUsed;
  *out = {row->found != 0, row->value()};
  return true;
}

void RowCache::insert(std::string_view key, uint64_t hash, const Row& row) {
  if (key.size() + row.value.size() > kRowMax || retired_bytes_ > kRetiredMax) return;
  if (used_ >= capacity_) {
    if (refused_++ % kLetInOneIn != 0) return;
    evict(kLooksPerInsert);
    if (used_ >= capacity_) return;
  }
  if (uint64_t* old = find(key, hash)) retire(old);
  // Half of the slots in use, on average, leave few buckets full.
  if (rows_ * 2 >= buckets_ * kSlots) grow();
  Bucket& home = bucket(bucket_of(hash));
  uint64_t* slot = std::find(home.slots, home.slots + kSlots, uint64_t{0});
  if (slot == home.slots + kSlots) {
    slot = std::find_if(home.slots, home.slots + kSlots, [](uint64_t s) { return (s & kUsed) == 0; });
    if (slot == home.slots + kSlots) slot = &home.slots[hash % kSlots];
    retire(slot);
  }
  *slot = store(key, hash, row);
}

uint64_t RowCache::store(std::string_view key, uint64_t hash, const Row& row) {
  auto* stored = static_cast<Stored*>(::operator new(sizeof(Stored) + key.size() + row.value.size()));
  auto address = reinterpret_cast<uintptr_t>(stored);
  VARVE_CHECK((address & ~kAddress) == 0);
  stored->hash = hash;
  stored->generation = generation_of(key);
  stored->key_size = static_cast<uint32_t>(key.size());
  stored->found = row.found;
  stored->value_size = static_cast<uint32_t>(row.value.size());
  std::memcpy(stored->bytes(), key.data(), key.size());
  if (!row.value.empty()) std::memcpy(stored->bytes() + key.size(), row.value.data(), row.value.size());
  used_ += stored->charge();
  ++rows_;
  return hash >> kTagShift << kTagShift | address;
}

void RowCache::replace(std::string_view key, uint64_t hash, std::string_view value) {
  uint64_t* slot = find(key, hash);
  if (slot == nullptr) return;
  auto* row = reinterpret_cast<Stored*>(*slot & kAddress);
  if (row->value_size == value.size()) {
    if (!value.empty()) std::memcpy(row->bytes() + row->key_size, value.data(), value.size());
    row->found = true;
    row->generation = generation_of(key);
    return;
  }
  uint64_t used = *slot & kUsed;
  retire(slot);
  if (key.size() + value.size() <= kRowMax && retired_bytes_ <= kRetiredMax && used_ < capacity_)
    *slot = store(key, hash, {true, value}) | used;
}

void RowCache::erase(std::string_view key, uint64_t hash) {
  if (uint64_t* slot = find(key, hash)) retire(slot);
}

void RowCache::erase_range(std::string_view begin, std::string_view end) {
  if (rows_ == 0) return;
  ++(have_one_prefix(begin, end) ? generations_->of[Generations::place(begin)] : generations_->all);
}

void RowCache::retire(uint64_t* slot) {
  auto* row = reinterpret_cast<Stored*>(*slot & kAddress);
  *slot = 0;
  --rows_;
  used_ -= row->charge();
  retired_bytes_ += row->charge();
  retired_.push_back(row);
}

void RowCache::release_retired() {
  for (Stored* row : retired_) ::operator delete(row);
  retired_.clear();
  retired_bytes_ = 0;
  if (used_ > capacity_) evict(kLooksPerInsert);
}

void RowCache::evict(int looks) {
  for (; looks > 0 && used_ > capacity_ / 16 * 15 && rows_ > 0; --looks) {
    if (++hand_ >= buckets_) hand_ = 0;
    for (uint64_t& slot : bucket(hand_).slots) {
      if ((slot & kUsed) != 0)
        slot &= ~kUsed;
      else if (slot != 0)
        retire(&slot);
    }
  }
}

void RowCache::set_capacity(size_t bytes) {
  capacity_ = bytes;
  evict(kLooksPerResize);
}

}  // namespace varve
