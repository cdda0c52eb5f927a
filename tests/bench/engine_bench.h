// engine_bench.h: what the parts of engine_bench share: its settings, what is measured, and the table of what
// is expected.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace varve::bench {

struct Settings {
  std::vector<size_t> value_sizes = {100, 1024};
  uint64_t data_bytes = 200 << 20;  // of keys and values in one store
  int rounds = 5;
  size_t memtable_bytes = 16 << 20;
  size_t table_bytes = 16 << 20;
  size_t level_bytes = 64 << 20;
  int in_flight = 64;  // synced writes
  bool compress = true;
  std::string parent;
  std::string json;  // a file for the results; none if empty
  std::vector<std::string> engines = {"varve", "rocksdb"};
  std::vector<std::string> workloads;  // in the order of kWorkloads
  uint64_t seed = 1;
};

constexpr int kScanLength = 50;
constexpr uint64_t kColdShare = 10;  // data against cache where most reads shall come from the disk

// What one run of a workload cost, for each operation.
struct Figures {
  double wall_ns = 0;
  double cpu_ns = 0;       // of all threads
  double written = 0;      // bytes
  double blocks_read = 0;  // of tables, by the engine
  double disk_bytes = 0;   // that the system fetched from the disk
};

struct Workload {
  const char* name;
  double target;          // how many times as fast as RocksDB varve is to be
  bool writes_no_more;    // and whether it is to write no more bytes
  double disk_reads = 0;  // most blocks read for each operation; 0: no matter
};

// In this order: the later ones find the store that fillrandom made.
inline constexpr Workload kWorkloads[] = {{"fillseq", 3, false},
                                          {"fillrandom", 2, true},
                                          {"overwrite", 2, true},
                                          {"readrandom", 2, false},
                                          {"readmissing", 2, false},
                                          {"scan", 1.5, false},
                                          {"scan-backward", 1.5, false},
                                          {"open", 2, false},
                                          {"readrandom-cold", 1.2, false, 1.05},
                                          {"fillrandom-synced", 1.5, false},
                                          {"recovery", 2, false}};

// By workload and engine: each round's figures.
using Results = std::map<std::string, std::map<std::string, std::vector<Figures>>>;
using Setups = std::map<std::string, std::string>;  // how each engine was set up

// engine_workloads.cc: all rounds for values of one size, in directories below `base`.
Results run_rounds(const Settings& settings, size_t value_size, const std::string& base, Setups* setups);

// engine_report.cc
void print_setups(const Settings& settings, const Setups& setups);
void print_table(const Settings& settings, size_t value_size, const Results& results);
void write_json(const Settings& settings, const Setups& setups, const std::map<size_t, Results>& results);

}  // namespace varve::bench
