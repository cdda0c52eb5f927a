// engine_bench: the engine beside RocksDB, through one driver (bench_store.h), in one interleaved run.
// `scripts/dev bench engine` runs it and draws the results.
#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/bench_store.h"
#include "bench/engine_bench.h"

namespace varve::bench {

void give_up(const std::string& message) {
  fmt::print(stderr, "engine_bench: {}\n", message);
  exit(1);
}

namespace {

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

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

const char kUsage[] =
    "usage: engine_bench [--tiny] [--rounds N] [--data-mb N] [--values BYTES,...] [--memtable-mb N]\n"
    "                    [--table-mb N] [--level-mb N] [--in-flight N] [--workloads NAME,...]\n"
    "                    [--engines varve,rocksdb] [--no-compression] [--dir PARENT] [--json FILE] [--seed "
    "N]\n";

// Known names in the right order; what reads, reads what was filled before.
std::vector<std::string> workloads_of(const std::vector<std::string>& wanted) {
  std::vector<std::string> out;
  for (const std::string& name : wanted) {
    bool known = std::any_of(std::begin(kWorkloads), std::end(kWorkloads),
                             [&](const Workload& workload) { return name == workload.name; });
    if (!known) give_up("no workload is called " + name);
  }
  for (const Workload& workload : kWorkloads) {
    if (wanted.empty() || contains(wanted, workload.name)) out.emplace_back(workload.name);
  }
  bool fills =
      out[0] == "fillseq" || out[0] == "fillrandom" || out[0] == "fillrandom-synced" || out[0] == "recovery";
  if (!fills) out.insert(out.begin(), "fillrandom");
  return out;
}

void make_tiny(Settings* settings) {
  settings->value_sizes = {100};
  settings->data_bytes = 2 << 20;
  settings->memtable_bytes = settings->table_bytes = 256 << 10;
  settings->level_bytes = 1 << 20;
  settings->rounds = 1;
}

Settings parse(int argc, char** argv) {
  Settings settings;
  settings.parent = std::filesystem::temp_directory_path();
  std::vector<std::string> wanted;
  for (int i = 1; i < argc; ++i) {
    std::string name = argv[i];
    if (name == "--tiny") {
      make_tiny(&settings);
      continue;
    }
    if (name == "--no-compression") {
      settings.compress = false;
      continue;
    }
    if (i + 1 == argc) give_up(kUsage);
    std::string value = argv[++i];
    uint64_t number = strtoull(value.c_str(), nullptr, 10);
    if (name == "--rounds") {
      settings.rounds = std::max(1, static_cast<int>(number));
    } else if (name == "--data-mb") {
      settings.data_bytes = number << 20;
    } else if (name == "--memtable-mb") {
      settings.memtable_bytes = number << 20;
    } else if (name == "--table-mb") {
      settings.table_bytes = number << 20;
    } else if (name == "--level-mb") {
      settings.level_bytes = number << 20;
    } else if (name == "--in-flight") {
      settings.in_flight = std::max(1, static_cast<int>(number));
    } else if (name == "--values") {
      settings.value_sizes.clear();
      for (const std::string& word : split(value))
        settings.value_sizes.push_back(strtoull(word.c_str(), nullptr, 10));
    } else if (name == "--workloads") {
      wanted = split(value);
    } else if (name == "--engines") {
      settings.engines = split(value);
    } else if (name == "--dir") {
      settings.parent = value;
    } else if (name == "--json") {
      settings.json = value;
    } else if (name == "--seed") {
      settings.seed = number;
    } else {
      give_up(kUsage);
    }
  }
  settings.workloads = workloads_of(wanted);
  return settings;
}

void run_all(Settings settings) {
  std::string base = (std::filesystem::path(settings.parent) / "varve-bench-XXXXXX").string();
  if (mkdtemp(base.data()) == nullptr) give_up("cannot make a directory in " + settings.parent);
  StoreOptions probe;
  probe.dir = base + "/probe";
  std::string unused;
  if (contains(settings.engines, "rocksdb") && open_rocksdb(probe, &unused) == nullptr) {
    fmt::print("built without RocksDB (package librocksdb-dev): varve alone\n");
    settings.engines = {"varve"};
  }
  Setups setups;
  std::map<size_t, Results> results;
  for (size_t value_size : settings.value_sizes) {
    results[value_size] = run_rounds(settings, value_size, base, &setups);
    if (results.size() == 1) print_setups(settings, setups);
    print_table(settings, value_size, results[value_size]);
  }
  fmt::print(
      "faster, less CPU: RocksDB's figure by varve's within each round (least-most). Writes: until the "
      "background has nothing left to do.\n");
  write_json(settings, setups, results);
  std::filesystem::remove_all(base);
}

}  // namespace
}  // namespace varve::bench

int main(int argc, char** argv) {
  varve::bench::run_all(varve::bench::parse(argc, argv));
  return 0;
}
