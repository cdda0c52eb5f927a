// bench_store.h: what engine_bench asks of an engine, so that one driver runs the same operations on several.
//
// Used by one thread. Any failure ends the program with a message: a benchmark of errors measures nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace varve::bench {

// The same for every engine.
struct StoreOptions {
  std::string dir;  // made by the store if it does not exist
  size_t cache_bytes = 64 << 20;
  size_t memtable_bytes = 16 << 20;
  size_t block_bytes = 8 << 10;
  size_t table_bytes = 16 << 20;
  size_t level_bytes = 64 << 20;
  int filter_bits = 10;
  bool compress = true;  // LZ4
  // Reads shall come from the disk: past the system's page cache if the engine has such a setting (the driver
  // empties that cache for those that have none).
  bool direct_reads = false;
};

// The i-th key and value to write. Called by any thread; `key` may be used as room.
using Operation = std::function<std::string_view(uint64_t i, std::string* key)>;

class BenchStore {
 public:
  virtual ~BenchStore() = default;  // closes cleanly
  // Logged, not waited for: the fsync of single writes is the disk's speed, not the engine's.
  virtual void put(std::string_view key, std::string_view value) = 0;
  // `count` writes, each durable before it is done, with `in_flight` of them under way at any time.
  virtual void put_synced(uint64_t count, int in_flight, const Operation& operation) = 0;
  // False if the key is not there.
  virtual bool get(std::string_view key, std::string* value) = 0;
  // Seeks to `key` and walks `count` entries onward (or backward); returns the bytes of keys and values met.
  virtual size_t scan(std::string_view key, int count, bool backward) = 0;
  // Everything put so far would survive a power cut.
  virtual void sync() = 0;
  // Everything written stands in tables and no background work is left.
  virtual void settle() = 0;
  // One sorted run: readers of different engines then meet trees of the same shape.
  virtual void compact() = 0;
  // Blocks of tables read from files so far.
  virtual uint64_t blocks_read() const = 0;
};

// How it is set up is `*setup`, for people.
std::unique_ptr<BenchStore> open_varve(const StoreOptions& options, std::string* setup);
// nullptr when the program was built without librocksdb.
std::unique_ptr<BenchStore> open_rocksdb(const StoreOptions& options, std::string* setup);

[[noreturn]] void give_up(const std::string& message);

}  // namespace varve::bench
