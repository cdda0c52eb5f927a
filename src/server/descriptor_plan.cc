#include "server/descriptor_plan.h"

#include <algorithm>

#include "lsm/compaction_policy.h"

namespace varve {
namespace {

// Standard streams, the log for people, what libuv needs, LOCK, a connection that is being refused, the
// settings while they are written, and some in hand.
constexpr uint64_t kProcessFiles = 48;
// A compaction: one file for each run it merges, an output, the directory. A flush: an output, the directory.
// A checkpoint: a manifest, two directories. The manifest and the one that takes its place. A log segment or
// two that are being prepared.
constexpr uint64_t kJobFiles = kJobRunsMax + 1 + 2 + 2 + 3 + 3 + 2;
// More open tables than this spare next to nothing: what is read often is in the block cache.
constexpr uint64_t kTablesMax = 10'000;
// An open table is charged to the block cache with less than a KiB; all together must not fill it.
constexpr uint64_t kCachePart = 16 * 1024;

uint64_t reserved_files(const Config& config) {
  return kProcessFiles + kJobFiles + config.log_max_size / config.log_segment_size + config.bind.size() + 1;
}

uint64_t tables_wanted(const Config& config, const MemoryPlan& memory) {
  if (config.table_cache_files > 0) return config.table_cache_files;
  return std::clamp<uint64_t>(memory.block_cache / kCachePart, 1, kTablesMax);
}

}  // namespace

uint64_t descriptors_wanted(const Config& config, const MemoryPlan& memory) {
  return reserved_files(config) + config.maxclients + tables_wanted(config, memory);
}

DescriptorPlan plan_descriptors(const Config& config, const MemoryPlan& memory, uint64_t open_files) {
  DescriptorPlan plan;
  plan.reserved = reserved_files(config);
  uint64_t left = open_files > plan.reserved ? open_files - plan.reserved : 0;
  uint64_t tables = tables_wanted(config, memory);
  // Half of it for a number that somebody asked for, a quarter otherwise.
  uint64_t tables_least = std::min(tables, config.table_cache_files > 0 ? left / 2 : left / 4);
  plan.maxclients = std::max<uint64_t>(1, std::min(config.maxclients, left - tables_least));
  uint64_t rest = left > plan.maxclients ? left - plan.maxclients : 0;
  plan.tables = std::max<uint64_t>(1, std::min(tables, rest));
  return plan;
}

Status check_descriptors(const Config& now, const MemoryPlan& memory_now, const Config& next,
                         const MemoryPlan& memory_next, uint64_t open_files) {
  uint64_t before = plan_descriptors(now, memory_now, open_files).maxclients;
  uint64_t possible = plan_descriptors(next, memory_next, open_files).maxclients;
  if (possible >= next.maxclients) return Status();
  if (next.maxclients > now.maxclients) {
    return Status::invalid_argument(
        "The operating system is not able to handle the specified number of clients, try with {}", possible);
  }
  if (possible >= before) return Status();
  return Status::invalid_argument(
      "this would leave open files (ulimit -n) for {} clients instead of {}: lower maxclients first, "
      "or ask for fewer table-cache-files",
      possible, before);
}

}  // namespace varve
