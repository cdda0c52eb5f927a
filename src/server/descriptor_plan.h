// descriptor_plan.h: how the file descriptors of the process are divided between clients, tables and the
// rest. A pure function of the settings and of what the system allows (DESIGN.md, law 10).
#pragma once

#include <cstdint>

#include "server/config.h"

namespace varve {

struct DescriptorPlan {
  uint64_t reserved = 0;    // the log, jobs, listeners, the process itself: what they can need at most
  uint64_t maxclients = 0;  // the configured number, or what is left for it; at least 1
  uint64_t tables = 0;      // files of tables kept open for reads; at least 1
};

// `open_files`: what the process may open (raise_file_limit). Tables get what clients leave, but a part of it
// in any case.
DescriptorPlan plan_descriptors(const Config& config, const MemoryPlan& memory, uint64_t open_files);
// May the settings change so while clients are connected? Not if more is asked for than there is, nor if
// fewer clients could come than before though nobody asked for that.
Status check_descriptors(const Config& now, const MemoryPlan& memory_now, const Config& next,
                         const MemoryPlan& memory_next, uint64_t open_files);
// The least open_files with which nothing has to be lowered.
uint64_t descriptors_wanted(const Config& config, const MemoryPlan& memory);

}  // namespace varve
