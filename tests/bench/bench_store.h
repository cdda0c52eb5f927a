// bench_store.h: what engine_bench asks of an engine, so that one driver runs the same operations on several.
//
// Used by one thread. Any failure ends the program with a message: a benchmark of errors measures nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace varve::bench {

// The same for every engine.
struct StoreOptions {
  std::string dir;  // does not exist yet; the store makes it
  size_t cache_bytes = 64 << 20;
  size_t memtable_bytes = 32 << 20;
  size_t block_bytes = 8 << 10;
  size_t table_bytes = 32 << 20;
  size_t level_bytes = 128 << 20;
  int filter_bits = 10;
  // LZ4 above and Zstandard in the last level; none if false.
  bool compress = true;
};

class BenchStore {
 public:
  virtual ~BenchStore() = default;
  // Logged, not waited for: the fsync of single writes is the disk's speed, not the engine's.
  virtual void put(std::string_view key, std::string_view value) = 0;
  // False if the key is not there.
  virtual bool get(std::string_view key, std::string* value) = 0;
  // Seeks to `key` and walks `count` entries onward (or backward); returns the bytes of keys and values met.
  virtual size_t scan(std::string_view key, int count, bool backward) = 0;
  // Everything written stands in tables and no background work is left.
  virtual void settle() = 0;
  // One sorted run: readers of different engines then meet trees of the same shape.
  virtual void compact() = 0;
};

std::unique_ptr<BenchStore> open_varve(const StoreOptions& options);
// nullptr when the program was built without librocksdb.
std::unique_ptr<BenchStore> open_rocksdb(const StoreOptions& options);

[[noreturn]] void give_up(const std::string& message);

}  // namespace varve::bench
