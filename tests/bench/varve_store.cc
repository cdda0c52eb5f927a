// varve's engine behind the benchmark's interface, by the API that embedders use.
#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <fstream>

#include "bench/bench_store.h"
#include "varve/database.h"

namespace varve::bench {
namespace {

void require(const Status& status) {
  if (!status.ok()) give_up("varve: " + status.to_string());
}

// CPU time and bytes written so far, of this process: what still grows when background work is left.
struct Work {
  int64_t cpu_us = 0;
  int64_t written = 0;
};

Work work_so_far() {
  timespec cpu;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  Work work{cpu.tv_sec * 1000000 + cpu.tv_nsec / 1000, 0};
  std::ifstream io("/proc/self/io");
  for (std::string name; io >> name;) {
    int64_t value = 0;
    io >> value;
    if (name == "wchar:") work.written = value;
  }
  return work;
}

class VarveStore : public BenchStore {
 public:
  explicit VarveStore(const StoreOptions& options) {
    DatabaseOptions database_options;
    database_options.memtable_size = options.memtable_bytes;
    database_options.block_cache_size = options.cache_bytes;
    database_options.block_size = options.block_bytes;
    database_options.table_size = options.table_bytes;
    database_options.base_level_size = options.level_bytes;
    database_options.filter_bits_per_key = options.filter_bits;
    database_options.compress = options.compress;
    auto database = Database::open(options.dir, database_options);
    require(database.status());
    database_ = database.take();
  }

  void put(std::string_view key, std::string_view value) override {
    require(database_->put(key, value, Durability::kBuffered));
  }

  bool get(std::string_view key, std::string* value) override {
    auto found = database_->get(key);
    require(found.status());
    if (!found->has_value()) return false;
    *value = std::move(**found);
    return true;
  }

  size_t scan(std::string_view key, int count, bool backward) override {
    std::unique_ptr<Iterator> it = backward ? database_->scan({}) : database_->scan({key, {}});
    if (backward) {
      // The last key <= `key`, as RocksDB's SeekForPrev: `key` followed by a zero byte is the first key
      // behind it.
      std::string behind(key);
      behind.push_back('\0');
      it->seek_before(behind);
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

  // The engine goes on compacting as long as its owner calls it. It is done when the process has been idle
  // for a while.
  void settle() override {
    require(database_->flush());
    constexpr int kIdleWindows = 4;
    for (int idle = 0; idle < kIdleWindows;) {
      Work before = work_so_far();
      for (int i = 0; i < 10; ++i) {
        usleep(5000);
        require(database_->get("").status());
      }
      Work after = work_so_far();
      bool quiet = after.cpu_us - before.cpu_us < 5000 && after.written - before.written < 4096;
      idle = quiet ? idle + 1 : 0;
    }
  }

  void compact() override {
    require(database_->compact_range());
    settle();
  }

 private:
  std::unique_ptr<Database> database_;
};

}  // namespace

std::unique_ptr<BenchStore> open_varve(const StoreOptions& options) {
  return std::make_unique<VarveStore>(options);
}

}  // namespace varve::bench
