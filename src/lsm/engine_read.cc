// engine_read.cc: point reads, and how missing blocks are noted (DESIGN.md, law 5).
#include <algorithm>

#include "base/check.h"
#include "base/checksum.h"
#include "base/plant.h"
#include "lsm/cached_source.h"
#include "lsm/engine_impl.h"
#include "lsm/table_ahead.h"

namespace varve {
namespace {

// Debug: how often a command's blocks may be reported missing, so that every command gets through; one
// command in so many is one that holds installs.
constexpr int kPretendedMisses = 4;
constexpr int kPretendedMissesWithHold = kRestartsBeforeHold;
constexpr uint64_t kHoldOneIn = 16;

}  // namespace

// --- CachedSource ---

IterState CachedSource::get(const TableRef& table, BlockHandle handle, BlockKind kind, BlockRef* out) {
  ++engine_.counts_.get_blocks_touched;
  BlockRef cached = engine_.cache_.lookup(table->meta.number, handle.offset);
  if (cached) {
    if (!pretend_miss()) {
      *out = std::move(cached);
      return IterState::kValid;
    }
  } else {
    if (const Status* failed = failed_before(table, handle)) return fail(*failed);
    IterState state = read_nowait(table, handle, kind, out);
    if (state != IterState::kMiss) return state;
  }
  if (context_ == nullptr) return IterState::kMiss;
  if (context_->blocking) {
    auto block = engine_.read_blocking(table, handle, kind);
    if (!block) return fail(block.status());
    ++engine_.counts_.block_reads;
    *out = engine_.cache_.insert(table->meta.number, handle.offset, block.take());
    return IterState::kValid;
  }
  for (const BlockRequest& request : context_->misses) {
    if (request.table == table && request.handle == handle) return IterState::kMiss;
  }
  context_->misses.push_back({table, handle, kind});
  return IterState::kMiss;
}

const Status* CachedSource::failed_before(const TableRef& table, BlockHandle handle) const {
  if (context_ == nullptr) return nullptr;
  for (const ReadContext::Failure& failure : context_->failures) {
    if (failure.file_number == table->meta.number && failure.offset == handle.offset) return &failure.status;
  }
  return nullptr;
}

// A read that cannot block: kMiss if it would. Reads of memory only (blind writes) try it only while the
// cache has room, so that a data set that fits is soon known, and a larger one costs a write nothing.
IterState CachedSource::read_nowait(const TableRef& table, BlockHandle handle, BlockKind kind,
                                    BlockRef* out) {
  if (engine_.options_.random_miss_one_in > 0) return IterState::kMiss;
  const BlockCache& cache = engine_.cache_;
  if (context_ == nullptr && cache.memory_used() > cache.capacity() / 4 * 3) return IterState::kMiss;
  OpenTableRef open = engine_.open_tables_.find(table->meta.number);
  if (!open) {
    // Whoever fetches the block opens its table; of reads of memory only, nothing else would come.
    if (context_ == nullptr) engine_.open_soon(table);
    return IterState::kMiss;
  }
  Buffer stored;
  if (!open->file->read_at_nowait(handle.offset, stored_block_size(handle), &stored)) return IterState::kMiss;
  ++engine_.counts_.nowait_reads;
  auto block = decode_block(*open, handle, kind, stored.view());
  if (!block) return fail(block.status());
  *out = engine_.cache_.insert(table->meta.number, handle.offset, block.take());
  return IterState::kValid;
}

bool CachedSource::pretend_miss() {
  uint32_t one_in = engine_.options_.random_miss_one_in;
  if (one_in == 0 || context_ == nullptr || context_->blocking) return false;
  int& most = context_->pretended_misses_max;
  if (most == 0) most = engine_.random_.one_in(kHoldOneIn) ? kPretendedMissesWithHold : kPretendedMisses;
  if (context_->restarts >= most) return false;
  return engine_.random_.one_in(most == kPretendedMisses ? one_in : std::min(one_in, 2u));
}

IterState CachedSource::fail(const Status& status) {
  if (planted(Plant::failed_read_is_absent)) return IterState::kEnd;
  if (context_ != nullptr && context_->error.ok()) context_->error = status;
  status_ = status;
  return IterState::kError;
}

// --- point reads ---

// The newest record of key in one table, its range tombstones applied. *settled: nothing older matters.
IterState Engine::Impl::read_table(BlockSource& source, const TableRef& table, std::string_view key,
                                   uint64_t hash, Sequence at, TableHit* hit, bool* settled) {
  ++counts_.get_tables_touched;
  Sequence cover = 0;
  IterState state = IterState::kValid;
  if (table->meta.range_deletes > 0) state = table_covering(source, table, key, at, &cover);
  // Even behind a miss the record is asked for, so that both are fetched together.
  IterState got = table_get(source, table, key, hash, at, hit);
  if (state != IterState::kValid) return state;
  if (got != IterState::kValid) return got;
  if (hit->found && hit->tag.sequence() < cover) hit->found = false;
  if (hit->found && hit->tag.kind() == Kind::kDelete) {
    *settled = true;
    hit->found = false;
    return IterState::kValid;
  }
  *settled = hit->found || cover > 0;
  return IterState::kValid;
}

// *filtered: no table was asked for more than its filter.
ReadState Engine::Impl::find_in_tables(BlockSource& source, std::string_view key, uint64_t hash, Sequence at,
                                       ReadValue* out, bool* filtered) {
  *filtered = true;
  for (const std::vector<RunRef>& runs : version_->levels) {
    for (const RunRef& run : runs) {
      const TableRef* table = run->find(key);
      if (table == nullptr) continue;
      TableHit hit;
      bool settled = false;
      if (read_table(source, *table, key, hash, at, &hit, &settled) != IterState::kValid)
        return ReadState::kFault;
      *filtered = *filtered && hit.filtered;
      if (hit.found) {
        out->value = hit.value;
        out->pin = std::move(hit.pin);
        return ReadState::kFound;
      }
      if (settled) return ReadState::kAbsent;
    }
  }
  return ReadState::kAbsent;
}

ReadState Engine::Impl::find(BlockSource& source, std::string_view key, Sequence at, Purpose purpose,
                             ReadValue* out, Sequence* seen) {
  ++counts_.gets;
  uint64_t hash = hash_key(key);
  // Memory first: only records and tombstones here can still be undurable.
  auto in_memtable = [&](const MemTable& memtable, ReadState* state) {
    Sequence cover = memtable.range_tombstones().empty() ? 0 : memtable.range_tombstones().covering(key, at);
    MemTable::Hit hit;
    bool found = memtable.find(key, hash, at, &hit);
    if (found) *seen = std::max(*seen, hit.tag.sequence());
    *seen = std::max(*seen, cover);
    if (!found && cover == 0) return false;
    if (found && hit.tag.sequence() > cover && hit.tag.kind() == Kind::kPut) {
      out->value = hit.value;
      *state = ReadState::kFound;
    } else {
      *state = ReadState::kAbsent;
    }
    return true;
  };
  ReadState state = ReadState::kAbsent;
  if (in_memtable(*active_, &state)) return state;
  for (auto it = frozen_.rbegin(); it != frozen_.rend(); ++it) {
    if (planted(Plant::frozen_unread)) break;
    if (in_memtable(**it, &state)) return state;
  }
  // What misses blocks at random must get to the blocks.
  bool pass = options_.random_miss_one_in > 0 && random_.one_in(2);
  if (flushed_memtable_ && !pass && in_memtable(*flushed_memtable_, &state)) return state;
  bool filtered = false;
  if (at != kMaxSequence) return find_in_tables(source, key, hash, at, out, &filtered);
  RowCache::Row row;
  if (!pass && rows_.lookup(key, hash, &row)) {
    out->value = row.value;
    return row.found ? ReadState::kFound : ReadState::kAbsent;
  }
  state = find_in_tables(source, key, hash, at, out, &filtered);
  // What is about to be written will be found in the memtable.
  if (purpose == Purpose::kWriting || state == ReadState::kFault) return state;
  if (state == ReadState::kFound) {
    rows_.insert(key, hash, {true, out->value});
  } else if (!filtered) {
    rows_.insert(key, hash, {false, {}});
  }
  charge_cache();
  return state;
}

ReadState Engine::Impl::get(ReadContext& context, std::string_view key, ReadValue* out,
                            const Snapshot* snapshot) {
  CachedSource source(*this, &context);
  Sequence at = snapshot != nullptr ? snapshot->sequence() : kMaxSequence;
  return find(source, key, at, Purpose::kReading, out, &context.seen);
}

// Goes where find() goes, as far as the keys are not known yet.
void Engine::Impl::prefetch(const std::string_view* keys, const uint64_t* key_hashes, size_t count) const {
  uint64_t unknown[kPrefetched];
  size_t rest = active_->prefetch(key_hashes, count, unknown);
  for (auto it = frozen_.rbegin(); it != frozen_.rend() && rest > 0; ++it) {
    rest = (*it)->prefetch(unknown, rest, unknown);
  }
  if (rest > 0 && flushed_memtable_) rest = flushed_memtable_->prefetch(unknown, rest, unknown);
  if (rest > 0) rest = rows_.prefetch(unknown, rest, unknown);
  if (rest == 0) return;
  // The hashes left stand in their order.
  std::string_view left[kPrefetched];
  for (size_t i = 0, n = 0; n < rest; ++i) {
    if (key_hashes[i] == unknown[n]) left[n++] = keys[i];
  }
  load_ahead_in_tables(*version_, cache_, left, unknown, rest);
}

ReadState Engine::Impl::get_in_memory(std::string_view key, ReadValue* out) {
  CachedSource source(*this, nullptr);
  Sequence seen = 0;
  return find(source, key, kMaxSequence, Purpose::kWriting, out, &seen);
}

}  // namespace varve
