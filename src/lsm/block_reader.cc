#include "lsm/block_reader.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/touch.h"
#include "lsm/table_format.h"

namespace varve {

bool BlockView::parse(std::string_view bytes) {
  *this = BlockView();
  if (bytes.size() < kBlockFooterSize || bytes.size() > kMaxBlockSize) return false;
  const char* footer = bytes.data() + bytes.size() - kBlockFooterSize;
  bucket_count = decode_fixed16(footer);
  restart_count = decode_fixed32(footer + 2);
  uint64_t tail = kBlockFooterSize + uint64_t{bucket_count} + 4 * uint64_t{restart_count};
  if (tail > bytes.size()) return false;
  base = bytes.data();
  entries_end = static_cast<uint32_t>(bytes.size() - tail);
  restarts = base + entries_end;
  buckets = reinterpret_cast<const uint8_t*>(restarts + 4 * size_t{restart_count});
  return (entries_end == 0) == (restart_count == 0);
}

namespace {

// Byte after the varint at p, found without decoding it; nullptr if it is longer than 8 bytes. Reads 8 bytes:
// p lies before the entries' end, and at least ten bytes follow that.
inline const char* skip_short_varint(const char* p) {
  uint64_t stops = ~decode_fixed64(p) & 0x8080808080808080u;
  return stops == 0 ? nullptr : p + std::countr_zero(stops) / 8 + 1;
}

inline size_t common_prefix(const char* a, const char* b, size_t most) {
  size_t n = 0;
  while (n + 8 <= most) {
    uint64_t different = decode_fixed64(a + n) ^ decode_fixed64(b + n);
    if (different != 0) return n + static_cast<size_t>(std::countr_zero(different)) / 8;
    n += 8;
  }
  while (n < most && a[n] == b[n]) ++n;
  return n;
}

// Most of a lookup's time: kept inside its callers' loops.
[[gnu::always_inline]] inline bool decode(const BlockView& block, const char* p, BlockEntry* entry) {
  const char* end = block.end();
  if (p >= end) return false;
  uint64_t shared = static_cast<unsigned char>(p[0]), unshared = static_cast<unsigned char>(p[1]),
           value_size = 0;
  if ((shared | unshared) < 0x80) [[likely]] {  // p[1] may lie behind the entries, but not behind the block
    p += 2;
  } else {
    p = decode_varint(p, end, &shared);
    if (p == nullptr) return false;
    p = decode_varint(p, end, &unshared);
  }
  if (p == nullptr || p >= end) return false;
  entry->tag = p;
  if (const char* after = skip_short_varint(p); after != nullptr) {
    p = after;
  } else {
    uint64_t ignored = 0;
    p = decode_varint(p, end, &ignored);
  }
  if (p == nullptr || p >= end) return false;
  p = decode_varint(p, end, &value_size);
  if (p == nullptr) return false;
  auto left = static_cast<uint64_t>(end - p);
  if (shared > kMaxEngineKeySize || unshared > left || value_size > left - unshared) return false;
  entry->shared = static_cast<uint32_t>(shared);
  entry->unshared = static_cast<uint32_t>(unshared);
  entry->delta = p;
  entry->value = p + unshared;
  entry->value_size = static_cast<uint32_t>(value_size);
  return true;
}

// The whole key at restart point i.
inline bool restart_entry(const BlockView& block, uint32_t i, BlockEntry* entry) {
  uint32_t offset = block.restart(i);
  return offset < block.entries_end && decode(block, block.base + offset, entry) && entry->shared == 0;
}

// Walks from restart point `restart` to the first entry >= target, at most to `stop`. No key is put together:
// for the entry just passed (which is < target) it is enough to know how many bytes it has in common with the
// target. The next one shares `shared` bytes with it, and then differs:
//   shared > common: it differs from the target where the last one did, so it is below it as well;
//   shared < common: it is above the last one at a place where that one equals the target, so it is above the
//   target; shared = common: the bytes decide.
BlockSearch scan(const BlockView& block, std::string_view target, uint32_t restart, const char* stop,
                 BlockPosition* position) {
  const char* p = block.base + block.restart(restart);
  if (p >= stop) return BlockSearch::kMalformed;
  uint32_t next_restart = restart;
  const char* restart_at = p;
  size_t common = 0;
  BlockEntry& entry = position->entry;
  while (p < stop) {
    if (!decode(block, p, &entry)) return BlockSearch::kMalformed;
    if (p == restart_at) {  // shares nothing, whatever the key before it was
      if (entry.shared != 0) return BlockSearch::kMalformed;
      common = 0;
      ++next_restart;
      restart_at =
          next_restart < block.restart_count ? block.base + block.restart(next_restart) : block.end();
    }
    if (entry.shared <= common) {
      bool found = true;
      position->exact = false;
      if (entry.shared == common) {
        size_t most = std::min<size_t>(entry.unshared, target.size() - common);
        size_t more = common_prefix(entry.delta, target.data() + common, most);
        common += more;
        if (more < most) {
          found = static_cast<unsigned char>(entry.delta[more]) > static_cast<unsigned char>(target[common]);
        } else {
          position->exact = more == entry.unshared && common == target.size();
          found = common == target.size();
        }
      }
      if (found) {
        position->at = p;
        return BlockSearch::kFound;
      }
    }
    p = entry.next();
  }
  return BlockSearch::kEnd;
}

// Last restart point whose key is < target; 0 when none is.
bool last_restart_below(const BlockView& block, std::string_view target, uint32_t* restart) {
  uint32_t low = 0, high = block.restart_count;  // key(low) < target (or low = 0), key(high) >= target
  BlockEntry entry;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (!restart_entry(block, middle, &entry)) return false;
    if (entry.delta_view() < target)
      low = middle;
    else
      high = middle;
  }
  *restart = low;
  return true;
}

}  // namespace

namespace {

uint8_t bucket_in(const BlockView& block, uint64_t key_hash) {
  return block.bucket_count == 0 ? kBucketSeveral : block.buckets[bucket_of(key_hash, block.bucket_count)];
}

constexpr uint32_t kRestartsAhead = 8;  // of more, a search compares few

}  // namespace

bool decode_entry(const BlockView& block, const char* p, BlockEntry* entry) {
  return decode(block, p, entry);
}

BlockSearch search_block(const BlockView& block, std::string_view target, BlockPosition* position) {
  if (block.restart_count == 0) return BlockSearch::kEnd;
  uint32_t restart = 0;
  if (!last_restart_below(block, target, &restart)) return BlockSearch::kMalformed;
  return scan(block, target, restart, block.end(), position);
}

BlockSearch find_in_block(const BlockView& block, std::string_view key, uint64_t key_hash, Sequence at,
                          BlockHit* hit) {
  hit->found = false;
  hit->exhausted = false;
  BlockPosition position;
  BlockSearch result;
  uint8_t bucket = bucket_in(block, key_hash);
  if (bucket == kBucketEmpty) return BlockSearch::kEnd;
  if (bucket == kBucketSeveral) {
    result = search_block(block, key, &position);
  } else {
    if (bucket >= block.restart_count) return BlockSearch::kMalformed;
    bool last = bucket + 1u == block.restart_count;
    const char* stop = last ? block.end() : block.base + block.restart(bucket + 1u);
    if (stop > block.end()) return BlockSearch::kMalformed;
    result = scan(block, key, bucket, stop, &position);
    if (result == BlockSearch::kEnd && !last) return BlockSearch::kEnd;
  }
  if (result == BlockSearch::kEnd) hit->exhausted = true;
  if (result != BlockSearch::kFound || !position.exact) return result;
  // The versions of the key, newest first.
  const char* end = block.end();
  BlockEntry& entry = position.entry;
  while (true) {
    hit->tag = entry.decode_tag();
    if (hit->tag.sequence() <= at) {
      hit->found = true;
      hit->value = entry.value_view();
      return BlockSearch::kFound;
    }
    const char* p = entry.next();
    if (p == end) {
      hit->exhausted = true;
      return BlockSearch::kEnd;
    }
    if (!decode(block, p, &entry)) return BlockSearch::kMalformed;
    bool same =
        entry.shared == 0 ? entry.delta_view() == key : entry.shared == key.size() && entry.unshared == 0;
    if (!same) return BlockSearch::kEnd;
  }
}

void touch_hash_index(const BlockView& block, uint64_t key_hash) {
  touch(block.restarts);
  if (block.bucket_count > 0) touch(block.buckets + bucket_of(key_hash, block.bucket_count));
}

void touch_restart_keys(const BlockView& block, uint64_t key_hash) {
  if (bucket_in(block, key_hash) != kBucketSeveral || block.restart_count > kRestartsAhead) return;
  for (uint32_t i = 1; i < block.restart_count; ++i)
    if (block.restart(i) < block.entries_end) touch(block.base + block.restart(i));
}

std::string_view likely_interval(const BlockView& block, std::string_view key, uint64_t key_hash) {
  uint32_t restart = bucket_in(block, key_hash);
  if (block.restart_count == 0 || restart == kBucketEmpty) return {};
  if (restart == kBucketSeveral && !last_restart_below(block, key, &restart)) return {};
  if (restart >= block.restart_count) return {};
  uint32_t begin = block.restart(restart);
  uint32_t end = restart + 1 == block.restart_count ? block.entries_end : block.restart(restart + 1);
  if (begin >= end || end > block.entries_end) return {};
  return {block.base + begin, end - begin};
}

namespace {

bool check_value(const BlockEntry& entry, Tag tag, std::string_view key, BlockKind kind, uint64_t file_size,
                 std::string* range_end) {
  std::string_view value = entry.value_view();
  switch (kind) {
    case BlockKind::kData:
      return tag.kind() == Kind::kPut || (tag.kind() == Kind::kDelete && value.empty());
    case BlockKind::kIndex: {
      BlockHandle handle;
      return tag.packed == 0 && get_handle(&value, &handle) && value.empty() &&
             handle_fits(handle, file_size);
    }
    case BlockKind::kTopIndex: {
      PartitionHandles handles;
      return tag.packed == 0 && handles.decode(value) && handle_fits(handles.index, file_size) &&
             (handles.filter == BlockHandle{} || handle_fits(handles.filter, file_size));
    }
    case BlockKind::kRange: {
      std::string_view end;
      uint64_t more = 0;
      if (tag.kind() != Kind::kRangeDelete || !get_length_prefixed(&value, &end) || end <= key ||
          end.size() > kMaxEngineKeySize || key < *range_end || !get_varint(&value, &more) ||
          more > value.size()) {
        return false;
      }
      *range_end = end;
      Sequence sequence = tag.sequence();
      for (uint64_t i = 0; i < more; ++i) {
        uint64_t drop = 0;
        if (!get_varint(&value, &drop) || drop == 0 || drop > sequence) return false;
        sequence -= drop;
      }
      return value.empty();
    }
    default:
      return false;
  }
}

}  // namespace

bool check_entries(std::string_view bytes, BlockKind kind, uint64_t file_size) {
  BlockView block;
  if (!block.parse(bytes)) return false;
  for (uint32_t i = 0; i < block.bucket_count; ++i) {
    if (block.buckets[i] < kBucketSeveral && block.buckets[i] >= block.restart_count) return false;
  }
  std::string key, range_end;
  Tag before;
  BlockEntry entry;
  uint32_t restart = 0;
  for (const char* p = block.base; p < block.end(); p = entry.next()) {
    if (!decode(block, p, &entry)) return false;
    Tag tag = entry.decode_tag();
    if (size_t{entry.shared} + entry.unshared > kMaxEngineKeySize) return false;
    bool first = p == block.base;
    bool same_key = false;
    if (restart < block.restart_count && p == block.base + block.restart(restart)) {
      ++restart;
      if (entry.shared != 0) return false;
      int order = first ? 1 : entry.delta_view().compare(key);
      if (order < 0) return false;
      same_key = order == 0;
    } else {
      if (first || entry.shared > key.size()) return false;
      same_key = entry.shared == key.size() && entry.unshared == 0;
      // Above the key before it, and sharing all it can.
      if (entry.shared < key.size() &&
          (entry.unshared == 0 ||
           static_cast<unsigned char>(entry.delta[0]) <= static_cast<unsigned char>(key[entry.shared]))) {
        return false;
      }
    }
    if (same_key && kind == BlockKind::kData && tag.sequence() >= before.sequence()) return false;
    if (same_key && kind == BlockKind::kRange) return false;
    key.resize(entry.shared);
    key.append(entry.delta_view());
    before = tag;
    if (!tag.valid() || !check_value(entry, tag, key, kind, file_size, &range_end)) return false;
  }
  return restart == block.restart_count;
}

void BlockIterator::open(std::string_view bytes) {
  close();
  if (!block_.parse(bytes)) {
    block_ = BlockView();
    fail();
  }
}

void BlockIterator::close() {
  block_ = BlockView();
  passed_.clear();
  malformed_ = false;
  end();
}

void BlockIterator::fail() {
  malformed_ = true;
  passed_.clear();
  state_ = IterState::kError;
}

void BlockIterator::end() {
  at_ = after_ = nullptr;
  state_ = IterState::kEnd;
}

Status BlockIterator::status() const {
  return state_ == IterState::kError ? Status::corruption("malformed block") : Status();
}

// Makes the entry at p current; `prefix` holds what it shares.
bool BlockIterator::load(const char* p, std::string_view prefix) {
  BlockEntry entry;
  if (!decode(block_, p, &entry) || entry.shared > prefix.size()) {
    fail();
    return false;
  }
  if (entry.shared == 0) {
    key_ = entry.delta_view();
  } else {
    if (prefix.data() == buffer_.data())
      buffer_.resize(entry.shared);
    else
      buffer_.assign(prefix.data(), entry.shared);
    buffer_.append(entry.delta, entry.unshared);
    key_ = buffer_;
  }
  tag_ = entry.decode_tag();
  value_ = entry.value_view();
  // A version of the same key would share all of it.
  begins_key_ = entry.shared > 0 && entry.unshared > 0;
  at_ = p;
  after_ = entry.next();
  state_ = IterState::kValid;
  return true;
}

void BlockIterator::seek_to_first() {
  if (malformed_) return fail();
  if (block_.restart_count == 0) return end();
  passed_.clear();
  load(block_.base, {});
}

void BlockIterator::seek_to_last() {
  if (malformed_) return fail();
  if (block_.restart_count == 0) return end();
  walk_until(block_.base + block_.restart(block_.restart_count - 1), block_.end());
}

void BlockIterator::seek(std::string_view target) {
  if (malformed_) return fail();
  BlockPosition position;
  BlockSearch result = search_block(block_, target, &position);
  if (result == BlockSearch::kMalformed) return fail();
  if (result == BlockSearch::kEnd) return end();
  passed_.clear();
  exact_ = position.exact;
  load(position.at, target);
}

void BlockIterator::seek_before(std::string_view target) {
  seek(target);
  if (state_ == IterState::kEnd)
    seek_to_last();
  else if (valid())
    prev();
}

void BlockIterator::next() {
  VARVE_DCHECK(valid());
  if (after_ >= block_.end()) return end();
  passed_.clear();
  load(after_, key_);
}

void BlockIterator::prev() {
  VARVE_DCHECK(valid());
  if (at_ == block_.base) return end();
  if (!passed_.empty()) {
    const Passed& entry = passed_.back();
    after_ = at_;
    at_ = entry.at;
    key_ = std::string_view(passed_keys_).substr(entry.key_at, entry.key_size);
    value_ = entry.value;
    tag_ = entry.tag;
    begins_key_ = entry.begins_key;
    passed_.pop_back();
    return;
  }
  const char* stop = at_;
  const char* start = nullptr;
  if (!restart_before(stop, &start)) return fail();
  walk_until(start, stop);
}

// Last restart point before p.
bool BlockIterator::restart_before(const char* p, const char** start) const {
  uint32_t low = 0, high = block_.restart_count;
  auto offset = static_cast<uint32_t>(p - block_.base);
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (block_.restart(middle) < offset)
      low = middle;
    else
      high = middle;
  }
  *start = block_.base + block_.restart(low);
  return *start < p;
}

// Makes the entry that ends at `stop` current.
void BlockIterator::walk_until(const char* restart, const char* stop) {
  if (restart >= stop) return fail();
  passed_.clear();
  passed_keys_.clear();
  if (!load(restart, {})) return;
  while (after_ < stop) {
    note_passed();
    if (!load(after_, key_)) return;
  }
  if (after_ != stop) fail();
}

void BlockIterator::note_passed() {
  passed_.push_back({at_, value_, tag_, static_cast<uint32_t>(passed_keys_.size()),
                     static_cast<uint32_t>(key_.size()), begins_key_});
  passed_keys_.append(key_);
}

}  // namespace varve
