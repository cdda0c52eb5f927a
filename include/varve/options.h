// options.h: settings of the embedded engine. Sizes are bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace varve {

// When a write's call returns, or a ticket is done.
enum class Durability : uint8_t {
  kSynced,    // its log record would survive a power cut (fdatasync)
  kBuffered,  // it is in memory and on its way to the log; a crash may lose it, but never a part of a batch
};

struct DatabaseOptions {
  bool create_if_missing = true;
  // Treat damage in the log or the manifest as its end instead of refusing to open: loses what lies behind
  // it.
  bool accept_loss = false;
  size_t memtable_size = 32 << 20;
  size_t block_cache_size = 64 << 20;
  size_t table_cache_files = 500;  // files of tables kept open; flush and compaction open some more
  size_t block_size = 8 * 1024;
  uint64_t table_size = 32 << 20;
  uint64_t base_level_size = 128 << 20;
  uint64_t log_segment_size = 32 << 20;
  uint64_t log_max_bytes = 512 << 20;  // bounds recovery
  double filter_bits_per_key = 10;
  bool compress = true;                  // LZ4
  bool compress_last_level_more = true;  // there Zstandard: smaller, dearer to read and to write
  int read_threads = 4;
};

}  // namespace varve
