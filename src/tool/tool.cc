#include "tool/tool.h"

#include <fmt/format.h>

#include <optional>

#include "tool/check.h"
#include "tool/dump.h"
#include "tool/salvage.h"

#ifndef VARVE_VERSION
#define VARVE_VERSION "0.1.0"
#endif

namespace varve::tool {
namespace {

constexpr std::string_view kUsage =
    R"(varve-tool looks into varve's files. It never changes a data directory.

usage: varve-tool dump wal FILE [--ops]          a log segment (NNNNNNNN.log): frames and batches
       varve-tool dump table FILE [--records]    a sorted table (NNNNNNNN.sst): properties and blocks
       varve-tool dump manifest FILE             a manifest (MANIFEST-NNNNNNNN): every edit
       varve-tool check DIR                      verify every checksum and invariant of a data directory
       varve-tool salvage DIR OUT [--application TEXT]
                                                 copy what is intact out of DIR into OUT, a new directory that
                                                 opens, and list what is lost. The text says what the keys mean
                                                 when no manifest tells it any more (varve-redis: the server's)
       varve-tool --help | --version

exit code: 0 intact (salvage: nothing lost), 1 damage, 2 wrong usage, or a directory or file that cannot be judged
)";

// Words in order, and options by name.
struct Line {
  std::vector<std::string> words;
  bool details = false;
  std::optional<std::string> application;
  std::string wrong;  // an option nobody knows
};

Line parse(const std::vector<std::string>& args) {
  Line line;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "--ops" || arg == "--records") {
      line.details = true;
    } else if (arg == "--application" && i + 1 < args.size()) {
      line.application = args[++i];
    } else if (arg.size() > 1 && arg[0] == '-') {
      line.wrong = arg;
    } else {
      line.words.push_back(arg);
    }
  }
  return line;
}

int fail(const Status& status, const Print& error) {
  error(fmt::format("varve-tool: {}", status.message()));
  return status.is_corruption() || status.is_io_error() ? kExitDamage : kExitUsage;
}

int run_salvage(FileSystem& fs, const Line& line, const Print& out, const Print& error) {
  SalvageOptions options;
  options.dir = line.words[1];
  options.out = line.words[2];
  options.application = line.application.value_or("");
  auto report = salvage(fs, options, out);
  if (!report) {
    error(fmt::format("varve-tool: {}", report.status().message()));
    return kExitUsage;
  }
  out(fmt::format("{}: {} keys from {} tables and {} batches of the log; {} losses", options.out,
                  report->records, report->tables, report->batches, report->losses));
  return report->losses == 0 ? kExitIntact : kExitDamage;
}

}  // namespace

int run_tool(FileSystem& fs, const std::vector<std::string>& args, const Print& out, const Print& error) {
  if (args.size() == 1 && (args[0] == "--help" || args[0] == "-h" || args[0] == "help")) {
    out(kUsage.substr(0, kUsage.size() - 1));
    return kExitIntact;
  }
  if (args.size() == 1 && (args[0] == "--version" || args[0] == "-v")) {
    out("varve-tool v=" VARVE_VERSION);
    return kExitIntact;
  }
  Line line = parse(args);
  const std::vector<std::string>& words = line.words;
  auto is = [&](const char* command, size_t count) {
    return !words.empty() && words[0] == command && words.size() == count;
  };
  if (line.wrong.empty() && is("dump", 3)) {
    Status status = dump_file(fs, words[1], words[2], line.details, out);
    return status.ok() ? kExitIntact : fail(status, error);
  }
  if (line.wrong.empty() && is("check", 2)) {
    auto damages = check_directory(fs, words[1], out);
    if (!damages) return fail(damages.status(), error);
    return *damages == 0 ? kExitIntact : kExitDamage;
  }
  if (line.wrong.empty() && is("salvage", 3)) return run_salvage(fs, line, out, error);
  if (!line.wrong.empty()) error(fmt::format("varve-tool: {}: no such option", line.wrong));
  error(kUsage.substr(0, kUsage.size() - 1));
  return kExitUsage;
}

}  // namespace varve::tool
