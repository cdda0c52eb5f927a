// RocksDB behind the benchmark's interface, set up as close to varve's defaults as its options go:
// partitioned index and filters that go through the cache, the same block, table and level sizes, compression
// and checksum.
#include "bench/bench_store.h"

#ifdef VARVE_HAVE_ROCKSDB

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <unistd.h>

namespace varve::bench {
namespace {

void require(const rocksdb::Status& status) {
  if (!status.ok()) give_up("rocksdb: " + status.ToString());
}

rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}

class RocksStore : public BenchStore {
 public:
  explicit RocksStore(const StoreOptions& options) {
    rocksdb::Options db_options;
    db_options.create_if_missing = true;
    db_options.write_buffer_size = options.memtable_bytes;
    db_options.max_write_buffer_number = 3;
    db_options.target_file_size_base = options.table_bytes;
    db_options.max_bytes_for_level_base = options.level_bytes;
    db_options.level_compaction_dynamic_level_bytes = true;
    db_options.max_background_jobs = 2;
    db_options.compression = options.compress ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
    db_options.bottommost_compression = options.compress ? rocksdb::kZSTD : rocksdb::kNoCompression;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(options.cache_bytes);
    table.block_size = options.block_bytes;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(options.filter_bits));
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.partition_filters = true;
    table.cache_index_and_filter_blocks = true;
    table.pin_top_level_index_and_filter = true;
    table.format_version = 5;
    table.checksum = rocksdb::kXXH3;
    db_options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* db = nullptr;
    require(rocksdb::DB::Open(db_options, options.dir, &db));
    db_.reset(db);
  }

  void put(std::string_view key, std::string_view value) override {
    require(db_->Put(rocksdb::WriteOptions(), slice(key), slice(value)));
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

 private:
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

std::unique_ptr<BenchStore> open_rocksdb(const StoreOptions& options) {
  return std::make_unique<RocksStore>(options);
}

}  // namespace varve::bench

#else

namespace varve::bench {
std::unique_ptr<BenchStore> open_rocksdb(const StoreOptions&) {
  return nullptr;
}
}  // namespace varve::bench

#endif
