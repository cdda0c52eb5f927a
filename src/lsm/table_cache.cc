#include "lsm/table_cache.h"

#include "base/check.h"

namespace varve {
namespace {

// The table and its file as objects, their control block, the path, and the nodes of map and list: about.
constexpr size_t kOpenTableCharge = sizeof(OpenTable) + 320;

size_t charge_of(const OpenTable& table) {
  return kOpenTableCharge + table.meta.smallest.capacity() + table.meta.largest.capacity();
}

}  // namespace

TableCache::TableCache(size_t files_max) : files_max_(files_max) {
  VARVE_CHECK(files_max > 0);
}

OpenTableRef TableCache::find(uint64_t number) {
  auto it = entries_.find(number);
  if (it == entries_.end()) return nullptr;
  it->second.used = true;
  return it->second.table;
}

OpenTableRef TableCache::pin(uint64_t number) {
  OpenTableRef table = find(number);
  if (table) ++entries_.at(number).readers;
  return table;
}

void TableCache::unpin(uint64_t number) {
  auto it = entries_.find(number);
  VARVE_CHECK(it != entries_.end() && it->second.readers > 0);
  if (--it->second.readers > 0) return;
  if (it->second.doomed) return close(it);
  close_surplus();
}

bool TableCache::take_place() {
  if (entries_.size() + opening_ >= files_max_ && !close_one()) return false;
  ++opening_;
  return true;
}

void TableCache::give_back_place() {
  VARVE_CHECK(opening_ > 0);
  --opening_;
}

void TableCache::insert(OpenTableRef table) {
  give_back_place();
  uint64_t number = table->meta.number;
  auto [it, fresh] = entries_.try_emplace(number);
  if (!fresh) return;
  memory_ += charge_of(*table);
  it->second.table = std::move(table);
  it->second.turn = turns_.insert(turns_.end(), number);
}

void TableCache::erase(uint64_t number) {
  auto it = entries_.find(number);
  if (it == entries_.end()) return;
  if (it->second.readers == 0) return close(it);
  it->second.doomed = true;
}

void TableCache::set_files_max(size_t n) {
  VARVE_CHECK(n > 0);
  files_max_ = n;
  close_surplus();
}

void TableCache::close_surplus() {
  while (entries_.size() + opening_ > files_max_ && close_one()) {
  }
}

// Two rounds at most: the first takes away every mark of use.
bool TableCache::close_one() {
  for (size_t looks = 2 * turns_.size(); looks > 0; --looks) {
    auto it = entries_.find(turns_.front());
    if (it->second.readers == 0 && !it->second.used) {
      close(it);
      return true;
    }
    it->second.used = false;
    turns_.splice(turns_.end(), turns_, turns_.begin());
  }
  return false;
}

// Closing a file that was only read, and that still has its name, waits for nothing.
void TableCache::close(Entries::iterator entry) {
  memory_ -= charge_of(*entry->second.table);
  turns_.erase(entry->second.turn);
  entries_.erase(entry);
}

}  // namespace varve
