// cached_source.h: blocks for reads on the owner's thread: from the cache; else by a read that cannot block
// (RWF_NOWAIT, a hit in the system's page cache); else noted as missing in the context, or read right here
// when the context allows blocking.
#pragma once

#include "lsm/engine_impl.h"

namespace varve {

class CachedSource final : public BlockSource {
 public:
  // Without a context: memory only, misses are not noted.
  CachedSource(Engine::Impl& engine, ReadContext* context) : engine_(engine), context_(context) {}
  IterState get(const TableRef& table, BlockHandle handle, BlockKind kind, BlockRef* out) override;
  Status status() const override { return status_; }

 private:
  // Why an earlier run's fetch of the block failed, or null.
  const Status* failed_before(const TableRef& table, BlockHandle handle) const;
  IterState read_nowait(const TableRef& table, BlockHandle handle, BlockKind kind, BlockRef* out);
  // Debug setting random_miss_one_in.
  bool pretend_miss();
  IterState fail(const Status& status);

  Engine::Impl& engine_;
  ReadContext* context_;
  Status status_;
};

}  // namespace varve
