#include "lsm/table_ahead.h"

#include <algorithm>

#include "base/check.h"
#include "base/touch.h"
#include "lsm/block_reader.h"
#include "lsm/filter.h"
#include "lsm/table_format.h"

namespace varve {
namespace {

constexpr size_t kIntervalMax = 1024;  // bytes of a restart interval: a walk ends halfway, on average

// One key on its way.
struct Lookup {
  std::string_view key;
  uint64_t hash = 0;
  uint64_t file = 0;
  PartitionHandles partition;
  BlockHandle wanted;  // the block it has come to
  const Block* block = nullptr;
  bool passes = false;  // its filter
  BlockView view;
  std::string_view interval;
};

class TablesAhead {
 public:
  explicit TablesAhead(const BlockCache& cache) : cache_(cache) {}

  void add(std::string_view key, uint64_t hash) {
    open_[open_count_].key = key;
    open_[open_count_++].hash = hash;
  }
  bool any_open() const { return open_count_ > 0; }
  // Those of the open keys that the run's filters let through are done with.
  void ask_run(const Run& run);

 private:
  size_t enter_run(const Run& run);
  size_t pass_filters(size_t count);
  size_t load_blocks(size_t count);
  void load_intervals(size_t count);
  template <class Goes>
  size_t keep_if(size_t count, Goes goes);

  const BlockCache& cache_;
  Lookup open_[kTablesAhead];
  size_t open_count_ = 0;
};

// Of the first `count`, has those that go on stand in front. Returns how many do.
template <class Goes>
size_t TablesAhead::keep_if(size_t count, Goes goes) {
  return static_cast<size_t>(std::partition(open_, open_ + count, goes) - open_);
}

// The top indexes are few, and at hand by themselves.
size_t TablesAhead::enter_run(const Run& run) {
  return keep_if(open_count_, [&](Lookup& l) {
    const TableRef* table = run.find(l.key);
    if (table == nullptr || (*table)->meta.top_index.size == 0) return false;
    l.file = (*table)->meta.number;
    const Block* top = cache_.peek(l.file, (*table)->meta.top_index.offset);
    if (top == nullptr || !find_partition(*top, l.key, &l.partition)) return false;
    l.wanted = l.partition.filter;
    return true;
  });
}

// Finds the wanted blocks.
size_t TablesAhead::load_blocks(size_t count) {
  for (size_t i = 0; i < count; ++i) cache_.touch_slot(open_[i].file, open_[i].wanted.offset);
  for (size_t i = 0; i < count; ++i) cache_.touch_entry(open_[i].file, open_[i].wanted.offset);
  count = keep_if(count, [&](Lookup& l) {
    l.block = cache_.peek(l.file, l.wanted.offset);
    if (l.block != nullptr) touch(l.block);
    return l.block != nullptr;
  });
  for (size_t i = 0; i < count; ++i) touch(&open_[i].block->bytes().back());
  return count;
}

// Those without a filter pass, those whose filter is not in the cache do not.
size_t TablesAhead::pass_filters(size_t count) {
  size_t filtered = keep_if(count, [](const Lookup& l) { return l.partition.filter.size > 0; });
  size_t loaded = load_blocks(filtered);
  for (size_t i = 0; i < loaded; ++i) touch_filter(open_[i].block->bytes(), open_[i].hash);
  for (size_t i = 0; i < count; ++i) {
    Lookup& l = open_[i];
    l.passes = i >= filtered || (i < loaded && filter_may_contain(l.block->bytes(), l.hash));
  }
  return keep_if(count, [](const Lookup& l) { return l.passes; });
}

// Of the blocks found, what a search for the key walks.
void TablesAhead::load_intervals(size_t count) {
  for (size_t i = 0; i < count; ++i) {
    Lookup& l = open_[i];
    VARVE_CHECK(l.view.parse(l.block->bytes()));
    touch_hash_index(l.view, l.hash);
  }
  for (size_t i = 0; i < count; ++i) touch_restart_keys(open_[i].view, open_[i].hash);
  for (size_t i = 0; i < count; ++i) {
    Lookup& l = open_[i];
    l.interval = likely_interval(l.view, l.key, l.hash);
    if (!l.interval.empty()) touch(l.interval.data());
  }
  for (size_t i = 0; i < count; ++i) {
    size_t lines = (std::min(open_[i].interval.size(), kIntervalMax) + 63) / 64;
    prefetch_lines(open_[i].interval.data(), 1, static_cast<int>(lines));
  }
}

void TablesAhead::ask_run(const Run& run) {
  size_t passed = pass_filters(enter_run(run));
  for (size_t i = 0; i < passed; ++i) open_[i].wanted = open_[i].partition.index;
  size_t count = load_blocks(passed);
  load_intervals(count);
  count = keep_if(count, [](Lookup& l) {
    bool may_go_on = false;
    return find_data_block(*l.block, l.key, &l.wanted, &may_go_on);
  });
  count = load_blocks(count);
  load_intervals(count);
  std::move(open_ + passed, open_ + open_count_, open_);
  open_count_ -= passed;
}

}  // namespace

void load_ahead_in_tables(const Version& version, const BlockCache& cache, const std::string_view* keys,
                          const uint64_t* key_hashes, size_t count) {
  VARVE_DCHECK(count <= kTablesAhead);
  TablesAhead ahead(cache);
  for (size_t i = 0; i < count; ++i) ahead.add(keys[i], key_hashes[i]);
  for (const std::vector<RunRef>& runs : version.levels) {
    for (const RunRef& run : runs) {
      if (ahead.any_open()) ahead.ask_run(*run);
    }
  }
}

}  // namespace varve
