// varve-server: settings, log, limits; then the Server until it is told to stop.
#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "server/machine.h"
#include "server/server.h"

#ifndef VARVE_VERSION
#define VARVE_VERSION "0.1.0"
#endif

// jemalloc reads this at start: freed memory goes back to the system within seconds, by a thread of its own,
// so that the resident memory follows what is used (maxmemory bounds the process, not the allocator's books).
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0";
}

namespace varve {
namespace {

int fail(const Status& status) {
  std::fputs(fmt::format("varve-server: {}\n", status.message()).c_str(), stderr);
  return 1;
}

Result<Configuration> configure(const CommandLine& line) {
  Configuration configuration;
  if (!line.file.empty()) VARVE_TRY(configuration.load_file(posix_file_system(), line.file));
  if (line.from_stdin) {
    std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    VARVE_TRY(configuration.load_text(text, "standard input"));
  }
  VARVE_TRY(configuration.load_text(line.settings, "command line"));
  return configuration;
}

int serve(const CommandLine& line) {
  auto configuration = configure(line);
  if (!configuration) return fail(configuration.status());
  const Config& config = configuration->values();
  auto plan = configuration->plan(machine_memory());
  if (!plan) return fail(plan.status());
  if (!set_log(config.loglevel, config.logfile)) {
    return fail(Status::io_error("{}: the log file cannot be opened", config.logfile));
  }
  log_notice("varve {} starts, data in {}, maxmemory {} MB (block cache {} MB, memtables {} x {} MB)",
             VARVE_VERSION, config.dir, plan->maxmemory >> 20, plan->block_cache >> 20,
             config.max_frozen_memtables + 1, plan->memtable >> 20);
  uint64_t open_files = raise_file_limit(descriptors_wanted(config, *plan));
  Server server(configuration.take(), *plan, open_files, posix_file_system(), system_clock());
  if (Status started = server.start(); !started.ok()) {
    log_warning("cannot start: {}", started.message());
    return fail(started);
  }
  return server.run();
}

int run(const std::vector<std::string>& args) {
  auto line = parse_command_line(args);
  if (!line) return fail(line.status());
  switch (line->action) {
    case CommandLine::Action::kVersion:
      std::puts("varve server v=" VARVE_VERSION);
      return 0;
    case CommandLine::Action::kHelp:
      std::fputs(command_line_help().c_str(), stdout);
      return 0;
    case CommandLine::Action::kServe:
      return serve(*line);
  }
  return 1;
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  return varve::run({argv + 1, argv + argc});
}
