// What it costs to open a directory of many tables, and what its first reads cost: time, descriptors, memory.
//
//   build/tests/open_bench [--tiny] [--tables N] [--reads N] [--dir PARENT]
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "base/status.h"
#include "varve/database.h"

namespace varve {
namespace {

constexpr uint64_t kTableSize = 16 * 1024;

struct Settings {
  int tables = 5000;
  int reads = 20'000;
  std::string parent = "/tmp";
};

class OpenBench {
 public:
  explicit OpenBench(const Settings& settings) : s_(settings) {
    std::string pattern = s_.parent + "/varve-open-bench-XXXXXX";
    if (::mkdtemp(pattern.data()) != nullptr) dir_ = pattern;
    options_.table_size = kTableSize;
    options_.base_level_size = 64 << 20;
    options_.memtable_size = 4 << 20;
    options_.log_segment_size = 4 << 20;
    options_.compress = false;
  }
  ~OpenBench() {
    std::error_code ignored;
    if (!dir_.empty()) std::filesystem::remove_all(dir_, ignored);
  }

  Status run() {
    if (dir_.empty()) return Status::io_error("{}: no directory can be made", s_.parent);
    VARVE_TRY(fill());
    for (int round = 0; round < 3; ++round) VARVE_TRY(open_and_read());
    return Status();
  }

 private:
  static std::string key_of(int i) { return fmt::format("key:{:010}", i); }

  Status fill() {
    auto database = Database::open(dir_ + "/db", options_);
    if (!database) return database.status();
    while (count_tables() < s_.tables) {
      for (int i = 0; i < 1000; ++i) {
        VARVE_TRY((*database)->put(key_of(keys_++), std::string(900, 'v'), Durability::kBuffered));
      }
    }
    VARVE_TRY((*database)->flush());
    return (*database)->close();
  }

  Status open_and_read() {
    size_t files = open_files();
    int64_t start = system_clock().monotonic_us();
    auto database = Database::open(dir_ + "/db", options_);
    if (!database) return database.status();
    int64_t opened = system_clock().monotonic_us();
    size_t opened_files = open_files() - files;
    Random random(1);
    for (int i = 0; i < s_.reads; ++i) {
      auto value = (*database)->get(key_of(static_cast<int>(random.below(static_cast<uint64_t>(keys_)))));
      if (!value) return value.status();
      if (!*value) return Status::corruption("a key is missing");
    }
    int64_t read = system_clock().monotonic_us();
    fmt::print("{} tables: opened in {:.1f} ms with {} descriptors; {} reads in {:.1f} ms, then {}\n",
               count_tables(), static_cast<double>(opened - start) / 1e3, opened_files, s_.reads,
               static_cast<double>(read - opened) / 1e3, open_files() - files);
    return (*database)->close();
  }

  int count_tables() const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(dir_ + "/db")) {
      count += entry.path().extension() == ".sst";
    }
    return count;
  }
  static size_t open_files() {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
      count += entry.exists() ? 1 : 0;
    return count;
  }

  Settings s_;
  std::string dir_;
  DatabaseOptions options_;
  int keys_ = 0;
};

int bench_main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    std::string flag = argv[i];
    auto number = [&] { return i + 1 < argc ? std::atoi(argv[++i]) : 0; };
    if (flag == "--tiny") {
      settings.tables = 30;
      settings.reads = 200;
    } else if (flag == "--tables") {
      settings.tables = number();
    } else if (flag == "--reads") {
      settings.reads = number();
    } else if (flag == "--dir" && i + 1 < argc) {
      settings.parent = argv[++i];
    } else {
      fmt::print("usage: open_bench [--tiny] [--tables N] [--reads N] [--dir PARENT]\n");
      return 1;
    }
  }
  Status status = OpenBench(settings).run();
  if (!status.ok()) fmt::print("{}\n", status.to_string());
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  return varve::bench_main(argc, argv);
}
