// table_ahead.h: what point lookups of several keys will touch in the cached blocks of tables, loaded for all
// of them at once.
//
// A lookup of a key that is in tables only walks a chain of a dozen places in memory, each of which is known
// when the one before it has come, and nearly all of its time is waiting for them. Here the chains of several
// keys are walked side by side, a step of all of them before the next step of any, so that the waits overlap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lsm/block_cache.h"
#include "lsm/version.h"

namespace varve {

inline constexpr size_t kTablesAhead = 16;

// A hint only, for up to kTablesAhead keys with hash_key() of each: what is not in the cache stays where it
// is, nothing is counted, and no block is used by it.
void load_ahead_in_tables(const Version& version, const BlockCache& cache, const std::string_view* keys,
                          const uint64_t* key_hashes, size_t count);

}  // namespace varve
