// RocksDB behind the benchmark's interface, set up as its wiki advises ("Setup Options and Basic Tuning"),
// with the sizes of StoreOptions. Where the wiki leaves a choice, what is faster here was taken:
// - the hash index in data blocks ("Data Block Hash Index"), which varve's blocks have, too;
// - cache_index_and_filter_blocks, as memory is to be one number, with those of level 0 pinned; partitions
//   only make sense for larger tables.
#include "bench/bench_store.h"

#ifdef VARVE_HAVE_ROCKSDB

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/perf_context.h>
#include <rocksdb/table.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

namespace varve::bench {
namespace {

void require(const rocksdb::Status& status) {
  if (!status.ok()) give_up("rocksdb: " + status.ToString());
}

rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}

rocksdb::BlockBasedTableOptions table_options(const StoreOptions& options) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(options.cache_bytes);
  table.block_size = options.block_bytes;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(options.filter_bits));
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  table.format_version = 5;
  table.checksum = rocksdb::kXXH3;
  return table;
}

rocksdb::Options db_options(const StoreOptions& options) {
  rocksdb::Options o;
  o.create_if_missing = true;
  o.write_buffer_size = options.memtable_bytes;
  o.max_write_buffer_number = 3;
  o.target_file_size_base = options.table_bytes;
  o.max_bytes_for_level_base = options.level_bytes;
  o.level_compaction_dynamic_level_bytes = true;
  o.compaction_pri = rocksdb::kMinOverlappingRatio;
  o.max_background_jobs = 2;
  o.bytes_per_sync = 1 << 20;
  o.compression = options.compress ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  o.use_direct_reads = options.direct_reads;
  o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_options(options)));
  return o;
}

class RocksStore : public BenchStore {
 public:
  RocksStore(const StoreOptions& options, std::string* setup) {
    *setup = fmt::format(
        "RocksDB {}.{}.{}, its defaults, but: write_buffer_size={} max_write_buffer_number=3 "
        "block_cache=LRU {} block_size={} target_file_size_base={} max_bytes_for_level_base={} "
        "level_compaction_dynamic_level_bytes=true compaction_pri=kMinOverlappingRatio max_background_jobs=2 "
        "bytes_per_sync=1048576 compression={} filter_policy=bloomfilter:{} "
        "cache_index_and_filter_blocks=true (high priority, level 0 pinned) "
        "data_block_index_type=kDataBlockBinaryAndHash format_version=5 checksum=kXXH3; cold reads with "
        "use_direct_reads=true",
        ROCKSDB_MAJOR, ROCKSDB_MINOR, ROCKSDB_PATCH, options.memtable_bytes, options.cache_bytes,
        options.block_bytes, options.table_bytes, options.level_bytes,
        options.compress ? "kLZ4Compression" : "kNoCompression", options.filter_bits);
    rocksdb::DB* db = nullptr;
    require(rocksdb::DB::Open(db_options(options), options.dir, &db));
    db_.reset(db);
  }

  ~RocksStore() override { require(db_->Close()); }

  void put(std::string_view key, std::string_view value) override {
    require(db_->Put(rocksdb::WriteOptions(), slice(key), slice(value)));
  }

  // A thread for each write under way: RocksDB's write call waits.
  void put_synced(uint64_t count, int in_flight, const Operation& operation) override {
    std::atomic<uint64_t> next{0};
    std::vector<std::thread> threads;
    rocksdb::WriteOptions synced;
    synced.sync = true;
    for (int t = 0; t < in_flight; ++t) {
      threads.emplace_back([&] {
        std::string key;
        for (uint64_t i = next++; i < count; i = next++) {
          std::string_view value = operation(i, &key);
          require(db_->Put(synced, slice(key), slice(value)));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  bool get(std::string_view key, std::string* value) override {
    rocksdb::PinnableSlice found;
    rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), slice(key), &found);
    if (status.IsNotFound()) return false;
    require(status);
    value->assign(found.data(), found.size());
    return true;
  }

  size_t scan(std::string_view key, int count, bool backward) override {
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions()));
    if (backward) {
      it->SeekForPrev(slice(key));
    } else {
      it->Seek(slice(key));
    }
    size_t bytes = 0;
    for (int i = 0; i < count && it->Valid(); ++i) {
      bytes += it->key().size() + it->value().size();
      if (backward) {
        it->Prev();
      } else {
        it->Next();
      }
    }
    require(it->status());
    return bytes;
  }

  void sync() override { require(db_->FlushWAL(true)); }

  void settle() override {
    require(db_->Flush(rocksdb::FlushOptions()));
    for (;;) {
      uint64_t running = 0, flushing = 0, pending = 0;
      db_->GetIntProperty("rocksdb.num-running-compactions", &running);
      db_->GetIntProperty("rocksdb.num-running-flushes", &flushing);
      db_->GetIntProperty("rocksdb.compaction-pending", &pending);
      if (running + flushing + pending == 0) return;
      usleep(2000);
    }
  }

  void compact() override {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    require(db_->CompactRange(options, nullptr, nullptr));
    settle();
  }

  // Of the calling thread, which is the one that reads.
  uint64_t blocks_read() const override { return rocksdb::get_perf_context()->block_read_count; }

 private:
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

std::unique_ptr<BenchStore> open_rocksdb(const StoreOptions& options, std::string* setup) {
  return std::make_unique<RocksStore>(options, setup);
}

}  // namespace varve::bench

#else

namespace varve::bench {
std::unique_ptr<BenchStore> open_rocksdb(const StoreOptions&, std::string*) {
  return nullptr;
}
}  // namespace varve::bench

#endif
