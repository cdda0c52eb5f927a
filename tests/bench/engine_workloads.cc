// engine_workloads.cc: what engine_bench does to an engine, and what it costs.
//
// Each round runs every workload on one engine and at once on the other, in an order that changes with the
// round: machines are noisy, ratios of neighbours less so.
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <random>

#include "bench/bench_store.h"
#include "bench/engine_bench.h"

namespace varve::bench {
namespace {

namespace fs = std::filesystem;

// --- keys and values ---

// 16 bytes, in the order of the index. Odd numbers are never written, so that missing keys lie between
// present ones.
void make_key(uint64_t index, bool missing, std::string* key) {
  uint64_t number = index * 2 + (missing ? 1 : 0);
  key->assign(16, '0');
  for (size_t i = 16; number != 0; number >>= 4) (*key)[--i] = "0123456789abcdef"[number & 15];
}

// Values are windows into one text of which about half can be compressed away.
class Values {
 public:
  explicit Values(size_t size) : size_(size) {
    std::mt19937_64 random(7);
    while (text_.size() < (1 << 20) + size) {
      std::string piece(8, '\0');
      for (char& c : piece) c = static_cast<char>(random());
      text_ += piece + piece;
    }
  }
  std::string_view of(uint64_t index, uint64_t generation) const {
    return std::string_view(text_).substr((index * 7919 + generation * 104729) % (1 << 20), size_);
  }
  size_t size() const { return size_; }

 private:
  size_t size_;
  std::string text_;
};

// --- measuring ---

double clock_ns(clockid_t id) {
  timespec now;
  clock_gettime(id, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// From /proc/self/io: "wchar:" is bytes given to write calls, "read_bytes:" what the disk was asked for.
double process_io(const char* wanted) {
  std::ifstream io("/proc/self/io");
  double value = 0;
  for (std::string name; io >> name >> value;) {
    if (name == wanted) return value;
  }
  return 0;
}

// A stopwatch for everything: runs from start() to stop(), any number of times.
class Meter {
 public:
  // Looking at what the system counts takes time: not what is measured.
  void start(const BenchStore* store) {
    add_counts(store, -1);
    add_times(-1);
  }
  void stop(const BenchStore* store) {
    add_times(1);
    add_counts(store, 1);
  }
  Figures of_each(uint64_t operations) const {
    double n = static_cast<double>(operations);
    return {sum_.wall_ns / n, sum_.cpu_ns / n, sum_.written / n, sum_.blocks_read / n, sum_.disk_bytes / n};
  }

 private:
  void add_times(double sign) {
    sum_.wall_ns += sign * clock_ns(CLOCK_MONOTONIC);
    sum_.cpu_ns += sign * clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  }
  void add_counts(const BenchStore* store, double sign) {
    sum_.written += sign * process_io("wchar:");
    sum_.disk_bytes += sign * process_io("read_bytes:");
    if (store != nullptr) sum_.blocks_read += sign * static_cast<double>(store->blocks_read());
  }
  Figures sum_;
};

Figures measure(uint64_t operations, const BenchStore* store, const std::function<void()>& run) {
  Meter meter;
  meter.start(store);
  run();
  meter.stop(store);
  return meter.of_each(operations);
}

void for_each_file(const std::string& dir, const std::function<void(int fd)>& call) {
  for (const auto& entry : fs::directory_iterator(dir)) {
    int fd = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;  // it went meanwhile
    call(fd);
    ::close(fd);
  }
}

// Takes the files' pages out of the system's cache.
void forget_pages(const std::string& dir) {
  for_each_file(dir, [](int fd) { ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); });
}

// A copy that nobody waits for would be written while something else is measured.
void sync_files(const std::string& dir) {
  for_each_file(dir, [](int fd) {
    if (::fsync(fd) != 0) give_up("cannot sync the files in a directory");
  });
}

// --- workloads ---

// One engine's directories and stores during a round.
class Bench {
 public:
  Bench(const Settings& settings, std::string engine, size_t value_size, std::string dir)
      : settings_(settings), engine_(std::move(engine)), values_(value_size), dir_(std::move(dir)) {
    keys_ = std::max<uint64_t>(1000, settings.data_bytes / (16 + value_size));
    order_.resize(keys_);
    for (uint64_t i = 0; i < keys_; ++i) order_[i] = i;
    std::shuffle(order_.begin(), order_.end(), std::mt19937_64(settings.seed));
  }
  ~Bench() {
    store_.reset();
    remove_files();
  }

  Figures run(const std::string& workload) {
    if (workload == "fillseq") return fill(false);
    if (workload == "fillrandom") return fill(true);
    if (workload == "overwrite") return overwrite();
    if (workload == "fillrandom-synced") return fill_synced();
    if (workload == "recovery") return recover();
    one_run();
    if (workload == "open") return open_again();
    if (workload == "readrandom-cold") return read_cold();
    if (workload == "readrandom") return read(false);
    if (workload == "readmissing") return read(true);
    return scan(workload == "scan-backward");
  }
  const std::string& setup() const { return setup_; }

 private:
  enum class Cache : uint8_t { kHoldsAll, kCold };

  std::unique_ptr<BenchStore> open(const std::string& dir, Cache cache) {
    StoreOptions options;
    options.dir = dir;
    // Blocks in memory carry books of their own, and varve's rows take a part of the room.
    options.cache_bytes =
        cache == Cache::kCold ? settings_.data_bytes / kColdShare : 2 * settings_.data_bytes;
    options.memtable_bytes = settings_.memtable_bytes;
    options.table_bytes = settings_.table_bytes;
    options.level_bytes = settings_.level_bytes;
    options.compress = settings_.compress;
    options.direct_reads = cache == Cache::kCold;
    std::string setup;
    auto store = engine_ == "varve" ? open_varve(options, &setup) : open_rocksdb(options, &setup);
    if (setup_.empty()) setup_ = setup;
    return store;
  }

  void remove_files() {
    fs::remove_all(dir_);
    fs::remove_all(dir_ + "-crashed");
  }

  void fresh() {
    store_.reset();
    remove_files();
    store_ = open(dir_, Cache::kHoldsAll);
    compacted_ = false;
    cache_ = Cache::kHoldsAll;
    warm_ = false;
  }

  // The time of writes is until all the work they made is done: what is put off is not saved.
  Figures fill(bool shuffled) {
    fresh();
    return measure(keys_, store_.get(), [&] {
      std::string key;
      for (uint64_t i = 0; i < keys_; ++i) {
        uint64_t index = shuffled ? order_[i] : i;
        make_key(index, false, &key);
        store_->put(key, values_.of(index, 0));
      }
      store_->settle();
    });
  }

  Figures overwrite() {
    return measure(keys_, store_.get(), [&] {
      std::string key;
      for (uint64_t i = 0; i < keys_; ++i) {
        make_key(draw(), false, &key);
        store_->put(key, values_.of(i, 1));
      }
      store_->settle();
    });
  }

  Figures fill_synced() {
    fresh();
    uint64_t operations = std::max<uint64_t>(1000, keys_ / 20);
    return measure(operations, store_.get(), [&] {
      store_->put_synced(operations, settings_.in_flight, [&](uint64_t i, std::string* key) {
        make_key(order_[i], false, key);
        return values_.of(i, 0);
      });
    });
  }

  // The log holds nearly a memtable when the machine dies: its directory is copied as it stands then.
  Figures recover() {
    fresh();
    std::string key, value;
    uint64_t operations = settings_.memtable_bytes * 3 / 4 / (16 + values_.size() + 64);
    for (uint64_t i = 0; i < operations; ++i) {
      make_key(order_[i % keys_], false, &key);
      store_->put(key, values_.of(i, 0));
    }
    store_->sync();
    std::string crashed = dir_ + "-crashed";
    fs::copy(dir_, crashed);
    store_.reset();
    sync_files(crashed);
    return measure(1, nullptr, [&] {
      auto store = open(crashed, Cache::kHoldsAll);
      if (!store->get(key, &value)) give_up(engine_ + ": lost " + key);
      store_ = std::move(store);
    });
  }

  void one_run() {
    if (!compacted_) store_->compact();
    compacted_ = true;
  }

  void reopen(Cache cache) {
    store_.reset();
    forget_pages(dir_);
    store_ = open(dir_, cache);
    cache_ = cache;
    warm_ = false;
  }

  // After a clean close, until the first key was read.
  Figures open_again() {
    store_.reset();
    return measure(1, nullptr, [&] {
      store_ = open(dir_, Cache::kHoldsAll);
      get(draw(), false);
    });
  }

  void get(uint64_t index, bool missing) {
    make_key(index, missing, &key_);
    if (store_->get(key_, &value_) == missing) give_up(engine_ + ": wrong answer for " + key_);
  }

  // Everything was read before, in one way and the other.
  void warm_up() {
    if (cache_ != Cache::kHoldsAll) reopen(Cache::kHoldsAll);
    if (warm_) return;
    store_->scan("", static_cast<int>(keys_), false);
    for (uint64_t i = 0; i < keys_; ++i) get(draw(), false);
    warm_ = true;
  }

  Figures read(bool missing) {
    warm_up();
    uint64_t operations = std::max<uint64_t>(500, keys_ / 2);
    return measure(operations, store_.get(), [&] {
      for (uint64_t i = 0; i < operations; ++i) get(draw(), missing);
    });
  }

  Figures scan(bool backward) {
    warm_up();
    uint64_t operations = std::max<uint64_t>(50, keys_ / 40);
    size_t expected = kScanLength * (16 + values_.size());
    return measure(operations, store_.get(), [&] {
      for (uint64_t i = 0; i < operations; ++i) {
        make_key(kScanLength + draw() % (keys_ - 2 * kScanLength), false, &key_);
        if (store_->scan(key_, kScanLength, backward) != expected) give_up(engine_ + ": wrong scan");
      }
    });
  }

  // The caches hold what they hold after many reads; the system's cache is emptied again and again, outside
  // of what is measured, so that it serves next to nothing.
  Figures read_cold() {
    constexpr uint64_t kBetween = 200;
    reopen(Cache::kCold);
    uint64_t operations = std::max<uint64_t>(500, std::min<uint64_t>(keys_ / 20, 20'000));
    // Without forgetting, as it is not measured: from the system's cache.
    for (uint64_t i = 0; i < keys_ / 4; ++i) get(draw(), false);
    Meter meter;
    for (uint64_t done = 0; done < operations; done += kBetween) {
      forget_pages(dir_);
      meter.start(store_.get());
      for (uint64_t i = 0; i < std::min(kBetween, operations - done); ++i) get(draw(), false);
      meter.stop(store_.get());
    }
    return meter.of_each(operations);
  }

  uint64_t draw() { return random_() % keys_; }

  const Settings& settings_;
  std::string engine_;
  Values values_;
  std::string dir_;
  std::string setup_;
  uint64_t keys_ = 0;
  std::vector<uint64_t> order_;
  std::mt19937_64 random_{settings_.seed};
  std::unique_ptr<BenchStore> store_;
  bool compacted_ = false;
  Cache cache_ = Cache::kHoldsAll;
  bool warm_ = false;
  std::string key_, value_;
};

}  // namespace

Results run_rounds(const Settings& settings, size_t value_size, const std::string& base, Setups* setups) {
  Results results;
  for (int round = 0; round < settings.rounds; ++round) {
    std::vector<std::string> engines = settings.engines;
    if (round % 2 == 1) std::reverse(engines.begin(), engines.end());
    std::map<std::string, std::unique_ptr<Bench>> benches;
    for (const std::string& engine : engines) {
      benches[engine] = std::make_unique<Bench>(settings, engine, value_size, base + "/" + engine);
    }
    for (const std::string& workload : settings.workloads) {
      for (const std::string& engine : engines) {
        results[workload][engine].push_back(benches[engine]->run(workload));
        setups->try_emplace(engine, benches[engine]->setup());
      }
    }
  }
  return results;
}

}  // namespace varve::bench
