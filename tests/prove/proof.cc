#include "prove/proof.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace varve::prove {
namespace {

std::vector<Tool>& tools() {
  static std::vector<Tool> list;
  return list;
}

bool stop_at_violation = false;

std::chrono::steady_clock::time_point begin_time() {
  static const auto begin = std::chrono::steady_clock::now();
  return begin;
}

// A JSON string. Bytes that are not plain text (of a key, say) are shown as \xNN.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

[[noreturn]] void usage(const std::string& wrong) {
  if (!wrong.empty()) fmt::print(stderr, "varve_prove: {}\n", wrong);
  fmt::print(stderr,
             "usage: varve_prove TOOL [--seed N] [--count N] [--seconds N] [--json FILE] [--verbose] [--name "
             "value]\n");
  for (const Tool& tool : tools()) fmt::print(stderr, "  {:<10} {}\n", tool.name, tool.help);
  std::exit(2);
}

uint64_t parse_number(const std::string& name, const std::string& text) {
  char* end = nullptr;
  uint64_t value = std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || *end != 0) usage(fmt::format("--{} {}: not a number", name, text));
  return value;
}

}  // namespace

Registration::Registration(Tool tool) {
  tools().push_back(tool);
}

double elapsed_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_time()).count();
}

double processor_s() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

bool go_on(const Options& options, uint64_t rounds_done, uint64_t default_count) {
  uint64_t count = options.count ? options.count : (options.seconds > 0 ? UINT64_MAX : default_count);
  return rounds_done < count && (options.seconds <= 0 || processor_s() < options.seconds);
}

uint64_t Options::number(const std::string& name, uint64_t otherwise) const {
  auto found = more.find(name);
  return found == more.end() ? otherwise : parse_number(name, found->second);
}

std::string Options::text(const std::string& name, const std::string& otherwise) const {
  auto found = more.find(name);
  return found == more.end() ? otherwise : found->second;
}

uint64_t Counters::get(const std::string& name) const {
  auto found = counts_.find(name);
  return found == counts_.end() ? 0 : found->second;
}

void Counters::violation(const std::string& what, const std::string& again) {
  violations_.emplace_back(what, again);
  fmt::print(stderr, "VIOLATION {}\n  again: {}\n", what, again);
  std::fflush(stderr);
  if (stop_at_violation) std::_Exit(1);
}

void Counters::merge(const Counters& other) {
  for (const auto& [name, n] : other.counts_) counts_[name] += n;
  for (const auto& [what, why] : other.skips_) skips_[what] = why;
  violations_.insert(violations_.end(), other.violations_.begin(), other.violations_.end());
}

std::string Counters::table() const {
  std::string out;
  for (const auto& [name, n] : counts_) out += fmt::format("  {:<40} {:>14}\n", name, n);
  for (const auto& [what, why] : skips_) out += fmt::format("  {:<40} skipped: {}\n", what, why);
  return out + fmt::format("  {:<40} {:>14}\n", "violations", violations_.size());
}

std::string Counters::json(std::string_view tool, double seconds) const {
  std::string counts, skips, violations;
  for (const auto& [name, n] : counts_)
    counts += fmt::format("{}{}: {}", counts.empty() ? "" : ", ", quoted(name), n);
  for (const auto& [what, why] : skips_) {
    skips += fmt::format("{}{}: {}", skips.empty() ? "" : ", ", quoted(what), quoted(why));
  }
  for (const auto& [what, again] : violations_) {
    violations += fmt::format("{}{{\"what\": {}, \"again\": {}}}", violations.empty() ? "" : ", ",
                              quoted(what), quoted(again));
  }
  return fmt::format(
      "{{\"tool\": {}, \"seconds\": {:.3f}, \"counts\": {{{}}}, \"skips\": {{{}}}, \"violations\": [{}]}}\n",
      quoted(tool), seconds, counts, skips, violations);
}

namespace {

int run(int argc, char** argv) {
  begin_time();
  if (argc < 2) usage("");
  const Tool* tool = nullptr;
  for (const Tool& each : tools()) {
    if (std::strcmp(each.name, argv[1]) == 0) tool = &each;
  }
  if (!tool) usage(fmt::format("no such tool: {}", argv[1]));
  Options options;
  std::string json;
  for (int i = 2; i < argc; ++i) {
    std::string arg = argv[i];
    if (arg == "--verbose") {
      options.verbose = true;
    } else if (arg.starts_with("--")) {
      std::string name = arg.substr(2);
      if (++i == argc) usage(arg + " needs a value");
      if (name == "seed") {
        options.seed = parse_number(name, argv[i]);
      } else if (name == "count") {
        options.count = parse_number(name, argv[i]);
      } else if (name == "seconds") {
        options.seconds = static_cast<double>(parse_number(name, argv[i]));
      } else if (name == "stop-at-violation") {
        stop_at_violation = parse_number(name, argv[i]) != 0;
      } else if (name == "json") {
        json = argv[i];
      } else {
        options.more[name] = argv[i];
      }
    } else {
      options.files.push_back(arg);
    }
  }
  Counters counters;
  tool->run(options, &counters);
  fmt::print("{} ({:.1f} s)\n{}", tool->name, elapsed_s(), counters.table());
  if (!json.empty()) {
    std::FILE* file = std::fopen(json.c_str(), "w");
    if (!file) usage(json + ": cannot be written");
    std::string text = counters.json(tool->name, elapsed_s());
    bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    if (std::fclose(file) != 0 || !written) usage(json + ": cannot be written");
  }
  return counters.violations() ? 1 : 0;
}

}  // namespace
}  // namespace varve::prove

int main(int argc, char** argv) {
  return varve::prove::run(argc, argv);
}
