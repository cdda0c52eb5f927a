// engine_report.cc: engine_bench's results for people and as JSON. Figures are medians over the rounds; a
// ratio is taken within each round, and its spread is that of the rounds.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <optional>
#include <utility>

#include "bench/bench_store.h"
#include "bench/engine_bench.h"

namespace varve::bench {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::vector<double> each(const std::vector<Figures>& rounds, double Figures::*what) {
  std::vector<double> out;
  for (const Figures& f : rounds) out.push_back(f.*what);
  return out;
}

struct Ratio {
  double middle = 0, least = 0, most = 0;
};

// RocksDB's figure by varve's: above 1 varve is better. None where one has nothing to show.
std::optional<Ratio> ratio(const std::map<std::string, std::vector<Figures>>& engines,
                           double Figures::*what) {
  auto ours = engines.find("varve"), theirs = engines.find("rocksdb");
  if (ours == engines.end() || theirs == engines.end()) return std::nullopt;
  std::vector<double> rounds;
  for (size_t i = 0; i < ours->second.size(); ++i) {
    double a = ours->second[i].*what, b = theirs->second[i].*what;
    if (a <= 0 || b <= 0) return std::nullopt;
    rounds.push_back(b / a);
  }
  return Ratio{median(rounds), *std::min_element(rounds.begin(), rounds.end()),
               *std::max_element(rounds.begin(), rounds.end())};
}

std::string in_words(const std::optional<Ratio>& r) {
  return r ? fmt::format("{:.2f} ({:.2f}-{:.2f})", r->middle, r->least, r->most) : "-";
}

std::string time_text(double ns) {
  if (ns >= 1e6) return fmt::format("{:.1f} ms", ns / 1e6);
  return ns >= 1e5 ? fmt::format("{:.0f} us", ns / 1e3) : fmt::format("{:.0f} ns", ns);
}

const char* verdict(const Workload& workload, const std::map<std::string, std::vector<Figures>>& engines) {
  auto speed = ratio(engines, &Figures::wall_ns);
  if (!speed) return "-";
  bool reached = speed->middle >= workload.target;
  if (workload.writes_no_more) {
    auto written = ratio(engines, &Figures::written);
    reached = reached && written && written->middle >= 0.995;  // as printed
  }
  if (workload.disk_reads > 0) {
    reached = reached && median(each(engines.at("varve"), &Figures::blocks_read)) <= workload.disk_reads;
  }
  return reached ? "reached" : "missed";
}

void append_json(std::string* out, const Workload& workload,
                 const std::map<std::string, std::vector<Figures>>& engines) {
  *out += fmt::format("    \"{}\": {{\"target\": {}, \"verdict\": \"{}\"", workload.name, workload.target,
                      verdict(workload, engines));
  auto add_ratio = [&](const char* name, double Figures::*what) {
    if (auto r = ratio(engines, what)) {
      *out += fmt::format(", \"{}\": {{\"median\": {:.4f}, \"min\": {:.4f}, \"max\": {:.4f}}}", name,
                          r->middle, r->least, r->most);
    }
  };
  add_ratio("ratio", &Figures::wall_ns);
  add_ratio("cpu_ratio", &Figures::cpu_ns);
  add_ratio("written_ratio", &Figures::written);
  for (const auto& [engine, rounds] : engines) {
    *out += fmt::format(",\n      \"{}\": [", engine);
    for (size_t i = 0; i < rounds.size(); ++i) {
      const Figures& f = rounds[i];
      *out += fmt::format(
          "{}{{\"wall_ns\": {:.1f}, \"cpu_ns\": {:.1f}, \"written_bytes\": {:.1f}, \"blocks_read\": {:.4f}, "
          "\"disk_bytes\": {:.1f}}}",
          i == 0 ? "" : ", ", f.wall_ns, f.cpu_ns, f.written, f.blocks_read, f.disk_bytes);
    }
    *out += "]";
  }
  *out += "}";
}

}  // namespace

void print_setups(const Settings& settings, const Setups& setups) {
  fmt::print(
      "one thread, keys of 16 bytes, {} MB of keys and values, the same memory, compression ({}) and "
      "filters; cold: a cache of a {}th of the data\n",
      settings.data_bytes >> 20, settings.compress ? "LZ4" : "none", kColdShare);
  for (const auto& [engine, setup] : setups) fmt::print("{}: {}\n", engine, setup);
}

void print_table(const Settings& settings, size_t value_size, const Results& results) {
  fmt::print("\nvalues of {} bytes: each operation (a scan is a seek and {} entries), medians of {} rounds\n",
             value_size, kScanLength, settings.rounds);
  fmt::print("{:<18} {:>11} {:>11} {:>7} {:>18} {:>18} {:>10} {:>10} {:>13} {:>13}  {}\n", "", "varve",
             "RocksDB", "target", "faster", "less CPU", "written B", "RocksDB", "blocks/disk B", "RocksDB",
             "");
  for (const Workload& workload : kWorkloads) {
    auto found = results.find(workload.name);
    if (found == results.end()) continue;
    std::string time[2], written[2], read[2];
    for (int i = 0; i < 2; ++i) {
      auto rounds = found->second.find(i == 0 ? "varve" : "rocksdb");
      if (rounds == found->second.end()) continue;
      time[i] = time_text(median(each(rounds->second, &Figures::wall_ns)));
      written[i] = fmt::format("{:.0f}", median(each(rounds->second, &Figures::written)));
      read[i] = fmt::format("{:.2f}/{:.0f}", median(each(rounds->second, &Figures::blocks_read)),
                            median(each(rounds->second, &Figures::disk_bytes)));
    }
    fmt::print("{:<18} {:>11} {:>11} {:>7} {:>18} {:>18} {:>10} {:>10} {:>13} {:>13}  {}\n", workload.name,
               time[0], time[1], workload.target, in_words(ratio(found->second, &Figures::wall_ns)),
               in_words(ratio(found->second, &Figures::cpu_ns)), written[0], written[1], read[0], read[1],
               verdict(workload, found->second));
  }
  fflush(stdout);
}

void write_json(const Settings& settings, const Setups& setups, const std::map<size_t, Results>& results) {
  if (settings.json.empty()) return;
  auto quoted = [](const std::string& text) {
    std::string out = "\"";
    for (char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out + "\"";
  };
  std::string out = fmt::format("{{\n  \"data_bytes\": {}, \"rounds\": {}, \"in_flight\": {}",
                                settings.data_bytes, settings.rounds, settings.in_flight);
  for (const auto& [engine, setup] : setups) {
    out += fmt::format(",\n  {}: {}", quoted(engine), quoted(setup));
  }
  out += ",\n  \"values\": {";
  for (const auto& [value_size, tables] : results) {
    out += fmt::format("{}\n   \"{}\": {{\n", value_size == results.begin()->first ? "" : ",", value_size);
    bool first = true;
    for (const Workload& workload : kWorkloads) {
      auto found = tables.find(workload.name);
      if (found == tables.end()) continue;
      if (!std::exchange(first, false)) out += ",\n";
      append_json(&out, workload, found->second);
    }
    out += "}";
  }
  out += "}\n}\n";
  std::ofstream file(settings.json);
  file << out;
  file.close();
  if (!file) give_up("cannot write " + settings.json);
}

}  // namespace varve::bench
