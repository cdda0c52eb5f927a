// engine_bench: the engine beside RocksDB, through one driver (bench_store.h), in one interleaved run.
//
// Machines are noisy: each round runs every workload on one engine and at once on the other, in an order that
// changes with the round; the table shows medians over the rounds and their ratios. Wall time is until the
// last operation has returned. CPU time (all threads) and bytes written are until the background work behind
// those operations is done, too.
#include <fmt/format.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "bench/bench_store.h"

namespace varve::bench {

void give_up(const std::string& message) {
  fmt::print(stderr, "engine_bench: {}\n", message);
  exit(1);
}

namespace {

struct Settings {
  std::vector<size_t> value_sizes = {100, 1024};
  uint64_t data_bytes = 200 << 20;  // of keys and values in one store
  int rounds = 3;
  size_t cache_bytes = 64 << 20;
  size_t memtable_bytes = 32 << 20;
  bool compress = true;
  std::string parent = std::filesystem::temp_directory_path();
  std::vector<std::string> engines = {"varve", "rocksdb"};
  std::vector<std::string> workloads;  // empty: all
  uint64_t seed = 1;
};

constexpr int kScanLength = 50;

// ------------------------------------------------------------------------------------------------- keys and
// values

// 16 bytes, in the order of the index. Odd numbers are never written, so that missing keys lie between
// present ones.
std::string key_of(uint64_t index, bool missing = false) {
  uint64_t number = index * 2 + (missing ? 1 : 0);
  std::string key(16, '0');
  for (size_t i = 16; number != 0; number >>= 4) key[--i] = "0123456789abcdef"[number & 15];
  return key;
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

 private:
  size_t size_;
  std::string text_;
};

// -------------------------------------------------------------------------------------------------------
// measuring

struct Figures {
  double wall_ns = 0;
  double cpu_ns = 0;
  double written = 0;  // bytes
};

double clock_ns(clockid_t id) {
  timespec now;
  clock_gettime(id, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// Bytes this process has handed to write calls.
double bytes_written() {
  std::ifstream io("/proc/self/io");
  for (std::string name; io >> name;) {
    double value = 0;
    io >> value;
    if (name == "wchar:") return value;
  }
  return 0;
}

Figures measure(uint64_t operations, const std::function<void()>& run, const std::function<void()>& settle) {
  double wall = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
         written = bytes_written();
  run();
  wall = clock_ns(CLOCK_MONOTONIC) - wall;
  settle();
  cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  written = bytes_written() - written;
  double n = static_cast<double>(operations);
  return {wall / n, cpu / n, written / n};
}

// -------------------------------------------------------------------------------------------------------
// workloads

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

  Figures run(const std::string& workload) {
    if (workload == "fillseq") return fill(false);
    if (workload == "fillrandom") return fill(true);
    if (workload == "overwrite") return overwrite();
    if (!compacted_) store_->compact();
    compacted_ = true;
    if (workload == "readrandom") return read(false);
    if (workload == "readmissing") return read(true);
    if (workload == "scan") return scan(false);
    return scan(true);
  }

 private:
  Figures fill(bool shuffled) {
    store_.reset();
    std::filesystem::remove_all(dir_);
    StoreOptions options;
    options.dir = dir_;
    options.cache_bytes = settings_.cache_bytes;
    options.memtable_bytes = settings_.memtable_bytes;
    options.compress = settings_.compress;
    store_ = engine_ == "varve" ? open_varve(options) : open_rocksdb(options);
    auto run = [&] {
      for (uint64_t i = 0; i < keys_; ++i) {
        uint64_t index = shuffled ? order_[i] : i;
        store_->put(key_of(index), values_.of(index, 0));
      }
    };
    return measure(keys_, run, [&] { store_->settle(); });
  }

  Figures overwrite() {
    auto run = [&] {
      for (uint64_t i = 0; i < keys_; ++i) store_->put(key_of(draw()), values_.of(i, 1));
    };
    return measure(keys_, run, [&] { store_->settle(); });
  }

  Figures read(bool missing) {
    uint64_t operations = std::max<uint64_t>(500, keys_ / 4);
    auto run = [&] {
      std::string value;
      for (uint64_t i = 0; i < operations; ++i) {
        std::string key = key_of(draw(), missing);
        if (store_->get(key, &value) == missing) give_up(engine_ + ": wrong answer for " + key);
      }
    };
    return measure(operations, run, [] {});
  }

  Figures scan(bool backward) {
    uint64_t operations = std::max<uint64_t>(50, keys_ / 100);
    auto run = [&] {
      for (uint64_t i = 0; i < operations; ++i) {
        uint64_t index = kScanLength + draw() % (keys_ - 2 * kScanLength);
        size_t expected = kScanLength * (16 + values_.of(0, 0).size());
        if (store_->scan(key_of(index), kScanLength, backward) != expected) give_up(engine_ + ": wrong scan");
      }
    };
    return measure(operations, run, [] {});
  }

  uint64_t draw() { return random_() % keys_; }

  const Settings& settings_;
  std::string engine_;
  Values values_;
  std::string dir_;
  uint64_t keys_ = 0;
  std::vector<uint64_t> order_;
  std::mt19937_64 random_{settings_.seed};
  std::unique_ptr<BenchStore> store_;
  bool compacted_ = false;
};

// In this order: the later ones find the store that fillrandom made.
const std::vector<std::string> kWorkloads = {"fillseq",     "fillrandom", "overwrite",    "readrandom",
                                             "readmissing", "scan",       "scan-backward"};

// ----------------------------------------------------------------------------------------------------------
// report

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Figures median(const std::vector<Figures>& rounds) {
  std::vector<double> wall, cpu, written;
  for (const Figures& f : rounds) {
    wall.push_back(f.wall_ns);
    cpu.push_back(f.cpu_ns);
    written.push_back(f.written);
  }
  return {median(wall), median(cpu), median(written)};
}

using Table = std::map<std::string, std::map<std::string, std::vector<Figures>>>;  // workload, engine, rounds

void print_table(const Settings& settings, size_t value_size, Table& table) {
  fmt::print("\nvalues of {} bytes: per operation (a scan is a seek and {} entries), medians of {} rounds\n",
             value_size, kScanLength, settings.rounds);
  fmt::print("{:<14} {:<8} {:>10} {:>10} {:>12}\n", "workload", "engine", "wall ns", "cpu ns", "written B");
  for (const std::string& workload : settings.workloads) {
    std::vector<Figures> medians;
    for (const std::string& engine : settings.engines) {
      Figures f = median(table[workload][engine]);
      medians.push_back(f);
      fmt::print("{:<14} {:<8} {:>10.0f} {:>10.0f} {:>12.0f}\n", workload, engine, f.wall_ns, f.cpu_ns,
                 f.written);
    }
    if (medians.size() == 2) {
      auto ratio = [](double ours, double theirs) {
        return ours > 0 ? fmt::format("{:.2f}x", theirs / ours) : std::string("-");
      };
      fmt::print("{:<14} {:<8} {:>10} {:>10} {:>12}\n", "", "ratio",
                 ratio(medians[0].wall_ns, medians[1].wall_ns), ratio(medians[0].cpu_ns, medians[1].cpu_ns),
                 ratio(medians[0].written, medians[1].written));
    }
  }
  fmt::print("ratio: above 1 varve is faster, takes less CPU time, writes less\n");
}

void run_all(Settings settings) {
  StoreOptions probe;
  std::string base = (std::filesystem::path(settings.parent) / "varve-bench-XXXXXX").string();
  if (mkdtemp(base.data()) == nullptr) give_up("cannot make a directory in " + settings.parent);
  probe.dir = base + "/probe";
  if (std::find(settings.engines.begin(), settings.engines.end(), "rocksdb") != settings.engines.end() &&
      open_rocksdb(probe) == nullptr) {
    fmt::print("built without RocksDB (package librocksdb-dev): varve alone\n");
    settings.engines = {"varve"};
  }
  if (settings.workloads.empty()) settings.workloads = kWorkloads;
  for (size_t value_size : settings.value_sizes) {
    Table table;
    for (int round = 0; round < settings.rounds; ++round) {
      std::vector<std::string> engines = settings.engines;
      if (round % 2 == 1) std::reverse(engines.begin(), engines.end());
      std::map<std::string, std::unique_ptr<Bench>> benches;
      for (const std::string& engine : engines) {
        benches[engine] = std::make_unique<Bench>(settings, engine, value_size, base + "/" + engine);
      }
      for (const std::string& workload : settings.workloads) {
        for (const std::string& engine : engines)
          table[workload][engine].push_back(benches[engine]->run(workload));
      }
    }
    print_table(settings, value_size, table);
  }
  std::filesystem::remove_all(base);
}

// -------------------------------------------------------------------------------------------------------
// arguments

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words(1);
  for (char c : text) {
    if (c == ',') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

const char kUsage[] =
    "usage: engine_bench [--tiny] [--rounds N] [--data-mb N] [--values BYTES,...] [--cache-mb N] "
    "[--memtable-mb N]\n"
    "                    [--workloads NAME,...] [--engines varve,rocksdb] [--no-compression] [--dir PARENT] "
    "[--seed N]\n";

Settings parse(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    std::string name = argv[i];
    if (name == "--tiny") {
      settings.value_sizes = {100};
      settings.data_bytes = 2 << 20;
      settings.memtable_bytes = 1 << 20;
      settings.rounds = 1;
      continue;
    }
    if (name == "--no-compression") {
      settings.compress = false;
      continue;
    }
    if (i + 1 == argc) give_up(kUsage);
    std::string value = argv[++i];
    auto number = [&] { return strtoull(value.c_str(), nullptr, 10); };
    if (name == "--rounds") {
      settings.rounds = std::max(1, static_cast<int>(number()));
    } else if (name == "--data-mb") {
      settings.data_bytes = number() << 20;
    } else if (name == "--cache-mb") {
      settings.cache_bytes = number() << 20;
    } else if (name == "--memtable-mb") {
      settings.memtable_bytes = number() << 20;
    } else if (name == "--values") {
      settings.value_sizes.clear();
      for (const std::string& word : split(value))
        settings.value_sizes.push_back(strtoull(word.c_str(), nullptr, 10));
    } else if (name == "--workloads") {
      for (const std::string& known : kWorkloads) {
        auto words = split(value);
        if (std::find(words.begin(), words.end(), known) != words.end()) settings.workloads.push_back(known);
      }
    } else if (name == "--engines") {
      settings.engines = split(value);
    } else if (name == "--dir") {
      settings.parent = value;
    } else if (name == "--seed") {
      settings.seed = number();
    } else {
      give_up(kUsage);
    }
  }
  bool fills = settings.workloads.empty() || settings.workloads[0].starts_with("fill");
  if (!fills) settings.workloads.insert(settings.workloads.begin(), "fillrandom");
  return settings;
}

}  // namespace
}  // namespace varve::bench

int main(int argc, char** argv) {
  varve::bench::run_all(varve::bench::parse(argc, argv));
  return 0;
}
