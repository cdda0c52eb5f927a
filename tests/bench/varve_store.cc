// varve's engine behind the benchmark's interface, by the API that embedders use.
#include <fmt/format.h>

#include <deque>

#include "bench/bench_store.h"
#include "varve/database.h"

namespace varve::bench {
namespace {

void require(const Status& status) {
  if (!status.ok()) give_up("varve: " + status.to_string());
}

class VarveStore : public BenchStore {
 public:
  VarveStore(const StoreOptions& options, std::string* setup) {
    DatabaseOptions o;
    o.memtable_size = options.memtable_bytes;
    o.block_cache_size = options.cache_bytes;
    o.block_size = options.block_bytes;
    o.table_size = options.table_bytes;
    o.base_level_size = options.level_bytes;
    o.filter_bits_per_key = options.filter_bits;
    o.log_segment_size = options.memtable_bytes;  // as they are by default
    o.log_max_bytes = 16 * o.log_segment_size;
    o.compress = options.compress;
    o.compress_last_level_more = false;
    *setup = fmt::format(
        "varve's defaults, but: memtable_size={} block_cache_size={} block_size={} table_size={} "
        "base_level_size={} filter_bits_per_key={} log_segment_size={} log_max_bytes={} compress={} "
        "compress_last_level_more=false",
        o.memtable_size, o.block_cache_size, o.block_size, o.table_size, o.base_level_size,
        o.filter_bits_per_key, o.log_segment_size, o.log_max_bytes, o.compress);
    auto database = Database::open(options.dir, o);
    require(database.status());
    database_ = database.take();
  }

  ~VarveStore() override { require(database_->close()); }

  void put(std::string_view key, std::string_view value) override {
    require(database_->put(key, value, Durability::kBuffered));
  }

  void put_synced(uint64_t count, int in_flight, const Operation& operation) override {
    std::deque<Ticket> under_way;
    WriteBatch batch;
    std::string key;
    for (uint64_t i = 0; i < count; ++i) {
      if (under_way.size() == static_cast<size_t>(in_flight)) {
        require(database_->wait(under_way.front()));
        under_way.pop_front();
      }
      batch.clear();
      std::string_view value = operation(i, &key);
      batch.put(key, value);
      auto ticket = database_->submit(batch);
      require(ticket.status());
      under_way.push_back(*ticket);
    }
    if (!under_way.empty()) require(database_->wait(under_way.back()));
  }

  bool get(std::string_view key, std::string* value) override {
    auto found = database_->get(key);
    require(found.status());
    if (!found->has_value()) return false;
    *value = std::move(**found);
    return true;
  }

  size_t scan(std::string_view key, int count, bool backward) override {
    std::unique_ptr<Iterator> it = database_->scan();
    if (backward) {
      // The last key <= `key`, as RocksDB's SeekForPrev: `key` followed by a zero byte is the first key
      // behind it.
      std::string behind(key);
      behind.push_back('\0');
      it->seek_before(behind);
    } else {
      it->seek(key);
    }
    size_t bytes = 0;
    for (int i = 0; i < count && it->valid(); ++i) {
      bytes += it->key().size() + it->value().size();
      if (backward) {
        it->prev();
      } else {
        it->next();
      }
    }
    require(it->status());
    return bytes;
  }

  void sync() override { require(database_->write(WriteBatch())); }
  void settle() override { require(database_->settle()); }
  void compact() override {
    require(database_->compact_range());
    settle();
  }
  uint64_t blocks_read() const override { return database_->blocks_read(); }

 private:
  std::unique_ptr<Database> database_;
};

}  // namespace

std::unique_ptr<BenchStore> open_varve(const StoreOptions& options, std::string* setup) {
  return std::make_unique<VarveStore>(options, setup);
}

}  // namespace varve::bench
