// engine_fetch.cc: what was not in memory comes from the read lane: blocks, and before them the files of
// their tables (DESIGN.md, law 5).
//
//   miss -> the table is open: read the block
//           it is not: wait for a place among the open tables, then open it and read the block in one job;
//           further blocks of it that are asked for meanwhile are read once it is open
#include <optional>

#include "base/check.h"
#include "base/log.h"
#include "lsm/engine_impl.h"

namespace varve {
namespace {

std::pair<uint64_t, uint64_t> place_of(const BlockRequest& request) {
  return {request.table->meta.number, request.handle.offset};
}

}  // namespace

// What a job that opens a table brings back.
struct Engine::Impl::LateOpen {
  Result<OpenTableRef> table;
  std::optional<Result<BlockRef>> block;  // the first of those that were waited for
};

void Engine::Impl::fetch(ReadContext& context, std::function<void()> done) {
  ++context.restarts;
  if (context.restarts >= kRestartsBeforeHold && !context.install_hold) {
    ++*install_holds_;
    ++counts_.install_holds;
    context.install_hold =
        std::shared_ptr<void>(install_holds_.get(), [holds = install_holds_](void*) { --*holds; });
  }
  VARVE_CHECK(!context.misses.empty());
  auto remaining =
      std::make_shared<std::pair<size_t, std::function<void()>>>(context.misses.size(), std::move(done));
  std::vector<BlockRequest> misses = std::move(context.misses);
  context.misses.clear();
  for (BlockRequest& request : misses) {
    auto [it, fresh] = fetches_.try_emplace(place_of(request));
    it->second.waiters.push_back({&context, remaining});
    if (!fresh) continue;
    ++counts_.block_reads;
    counts_.block_read_bytes += request.handle.size;
    start_read(std::move(request));
  }
}

void Engine::Impl::finish_fetch(BlockPlace place, Result<BlockRef> block) {
  auto node = fetches_.extract(place);
  VARVE_CHECK(!node.empty());
  BlockRef cached;
  if (block) cached = cache_.insert(place.first, place.second, block.take());
  for (auto& [context, remaining] : node.mapped().waiters) {
    if (cached) {
      context->pins.push_back(cached);
    } else {
      context->failures.push_back({place.first, place.second, block.status()});
    }
    if (--remaining->first == 0) remaining->second();
  }
}

void Engine::Impl::start_read(BlockRequest request) {
  uint64_t number = request.table->meta.number;
  if (OpenTableRef open = open_tables_.pin(number))
    return start_open_read(std::move(open), std::move(request));
  auto [it, fresh] = opening_.try_emplace(number);
  if (fresh) {
    it->second.table = request.table;
    to_open_.push_back(number);
  }
  it->second.waiting.push_back(std::move(request));
  if (fresh) start_opens();
}

// `table` is pinned.
void Engine::Impl::start_open_read(OpenTableRef table, BlockRequest request) {
  BlockPlace place = place_of(request);
  submit(
      Lane::kRead,
      [table = std::move(table), request = std::move(request)]() mutable -> Result<BlockRef> {
        // Nothing of it is left here when the owner takes the pin away.
        OpenTableRef held = std::move(table);
        return read_block(*held, request.handle, request.kind);
      },
      [this, place](Result<BlockRef> block) {
        open_tables_.unpin(place.first);
        start_opens();
        finish_fetch(place, std::move(block));
      });
}

// For reads that would not fault: opens the table, if there is room without closing another one, so that the
// next such read finds it.
void Engine::Impl::open_soon(const TableRef& table) {
  if (closing_ || !to_open_.empty() || open_tables_.full()) return;
  auto [it, fresh] = opening_.try_emplace(table->meta.number);
  if (!fresh) return;
  it->second.table = table;
  to_open_.push_back(table->meta.number);
  start_opens();
}

// Called whenever a place may have become free, so by all that closes a table.
void Engine::Impl::start_opens() {
  while (!to_open_.empty() && open_tables_.take_place()) {
    uint64_t number = to_open_.front();
    to_open_.pop_front();
    Opening& opening = opening_.at(number);
    std::optional<BlockRequest> first;
    if (!opening.waiting.empty()) {
      first = std::move(opening.waiting.back());
      opening.waiting.pop_back();
    }
    submit(
        Lane::kRead,
        [fs = options_.fs, dir = options_.dir, table = opening.table, first]() -> LateOpen {
          LateOpen out{open_live_table(*fs, dir, table->meta), std::nullopt};
          if (!first) return out;
          if (out.table) {
            out.block = read_block(**out.table, first->handle, first->kind);
          } else {
            out.block = out.table.status();
          }
          return out;
        },
        [this, number, first](LateOpen opened) { finish_open(number, first, std::move(opened)); });
  }
  charge_cache();
}

void Engine::Impl::finish_open(uint64_t number, const std::optional<BlockRequest>& first, LateOpen opened) {
  auto node = opening_.extract(number);
  VARVE_CHECK(!node.empty());
  Opening& opening = node.mapped();
  if (opened.table) {
    keep_open(opened.table.take());
    for (BlockRequest& request : opening.waiting)
      start_open_read(open_tables_.pin(number), std::move(request));
    // Meanwhile it may have been compacted away.
    if (!tables_.contains(number)) open_tables_.erase(number);
  } else {
    open_tables_.give_back_place();
    open_failed(*opening.table, opened.table.status());
    for (const BlockRequest& request : opening.waiting)
      finish_fetch(place_of(request), opened.table.status());
  }
  start_opens();
  if (first) finish_fetch(place_of(*first), std::move(*opened.block));
}

// The embedded database waits right here.
Result<BlockRef> Engine::Impl::read_blocking(const TableRef& table, BlockHandle handle, BlockKind kind) {
  uint64_t number = table->meta.number;
  if (OpenTableRef open = open_tables_.find(number)) return read_block(*open, handle, kind);
  // Without a place (all are being read by workers) it is opened for this read alone.
  bool keep = tables_.contains(number) && open_tables_.take_place();
  auto opened = open_live_table(*options_.fs, options_.dir, table->meta);
  if (!opened) {
    if (keep) open_tables_.give_back_place();
    charge_cache();
    open_failed(*table, opened.status());
    return opened.status();
  }
  OpenTableRef open = opened.take();
  if (keep) keep_open(open);
  charge_cache();
  return read_block(*open, handle, kind);
}

// Into the place that was taken for it.
void Engine::Impl::keep_open(OpenTableRef table) {
  ++counts_.table_opens;
  open_tables_.insert(std::move(table));
}

// After every change of what is open, and of the rows.
void Engine::Impl::charge_cache() {
  cache_.set_other_bytes(open_tables_.memory_used() + rows_.memory_used());
}

// A table that is damaged, or gone, is left alone by compactions from now on, as if one had met the damage.
void Engine::Impl::open_failed(const Table& table, const Status& status) {
  ++counts_.table_open_errors;
  uint64_t number = table.meta.number;
  bool known = version_->is_quarantined(number) || busy_.contains(number) || !tables_.contains(number);
  if (!status.is_corruption() || known || closing_) return;
  log_warning("{}", status.message());
  VersionEdit edit;
  edit.quarantined.push_back(number);
  busy_.insert(number);
  submit_edit(std::move(edit), {}, [this, number] {
    busy_.erase(number);
    maybe_compact();
  });
}

void Engine::Impl::set_table_cache_files(size_t files) {
  options_.table_cache_files = files;
  open_tables_.set_files_max(files);
  start_opens();
}

}  // namespace varve
