// Gathers what INFO tells.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/checksum.h"
#include "server/machine.h"
#include "server/server.h"

#ifndef VARVE_VERSION
#define VARVE_VERSION "0.1.0"
#endif

namespace varve {

void Server::reset_stats() {
  core_.dispatcher().reset_stats();
  core_.clients().reset_stats();
  if (Engine* engine = core_.engine()) engine->reset_stats();
}

MemoryFigures Server::memory() {
  MemoryFigures figures;
  figures.allocated = allocated_memory();
  figures.peak = peak_memory_ = std::max(peak_memory_, figures.allocated);
  figures.startup = startup_memory_;
  AllocatorPages pages = allocator_pages();
  figures.active = pages.active;
  figures.mapped = pages.mapped;
  figures.resident = resident_memory();
  figures.clients = core_.clients().memory_used();
  figures.commands = core_.dispatcher().memory_used();
  if (Engine* engine = core_.engine()) {
    EngineStats stats = engine->stats();
    figures.memtables = stats.memtable_bytes;
    figures.block_cache = stats.cache_bytes;
  }
  figures.limit = plan_.maxmemory;
  figures.clients_limit = plan_.clients;
  return figures;
}

std::string Server::info(const std::vector<std::string>& sections) {
  return info_text(gather_info(), sections);
}

InfoData Server::gather_info() {
  InfoData data;
  data.varve_version = VARVE_VERSION;
  data.os = operating_system();
  data.compiler = __VERSION__;
  data.build_id = fmt::format("{:016x}", checksum(VARVE_VERSION " " __VERSION__));
  data.run_id = run_id_;
  data.executable = executable_path();
  data.config_file = configuration_.file();
  data.process_id = ::getpid();
  data.tcp_port = config().port;
  data.now_us = clock_.now_us();
  data.uptime_s = uptime_s();

  data.connected_clients = core_.clients().count();
  data.maxclients = core_.clients().limits().maxclients;
  for (const ClientState* client : core_.clients().states()) {
    data.max_input_buffer = std::max(data.max_input_buffer, client->query_buffer + client->query_buffer_free);
    data.max_output_buffer = std::max(data.max_output_buffer, client->output_memory);
  }
  data.blocked_clients = core_.dispatcher().blocked_clients();
  data.pubsub = core_.dispatcher().pubsub_counts();

  data.plan = plan_;
  data.used_memory = allocated_memory();
  data.last_checkpoint_sequence = checkpoints_->last_sequence();
  data.used_memory_peak = peak_memory_ = std::max(peak_memory_, data.used_memory);
  data.resident = resident_memory();
  data.system_memory = machine_memory();
  data.clients_memory = core_.clients().memory_used();
  data.startup_memory = startup_memory_;
  AllocatorPages pages = allocator_pages();
  data.active_pages = pages.active;
  data.mapped_pages = pages.mapped;
  data.commands_memory = core_.dispatcher().memory_used();
  data.allocator = allocator_name();

  data.loading = core_.stage() == Core::Stage::kLoading;
  data.loading_start_s = opening_since_s_;
  data.sync = config().appendfsync;
  data.checkpoint_running = checkpoints_->running();
  data.last_checkpoint_s = checkpoints_->last_s();
  data.last_checkpoint_ok = checkpoints_->last_ok();
  data.last_checkpoint_duration_s = checkpoints_->last_duration_s();
  data.checkpoint_running_s = checkpoints_->running_s();
  data.checkpoints = checkpoints_->count();

  const ClientsStats& stats = core_.clients().stats();
  data.connections_received = stats.accepted;
  data.commands_processed = core_.dispatcher().commands_processed();
  data.rejected_connections = stats.rejected;
  data.net_input_bytes = stats.net_in;
  data.net_output_bytes = stats.net_out;
  data.ops_per_second = ops_rate_.per_second();
  data.input_kbps = input_rate_.per_second() / 1024;
  data.output_kbps = output_rate_.per_second() / 1024;
  data.expire_cycle_ms = static_cast<uint64_t>(core_.dispatcher().expire_cycle_us()) / 1000;
  data.expired_keys = core_.dispatcher().expired_keys();
  data.keyspace_hits = core_.dispatcher().keyspace_hits();
  data.keyspace_misses = core_.dispatcher().keyspace_misses();
  data.error_replies = core_.dispatcher().error_replies() + stats.protocol_errors;
  data.reads_processed = stats.reads;
  data.writes_processed = stats.writes;
  data.faulted_runs = stats.faults;
  data.evicted_clients = stats.evicted + stats.output_limit_closes;

  CpuTimes cpu = cpu_times();
  data.cpu_sys = cpu.sys;
  data.cpu_user = cpu.user;
  data.cpu_sys_main_thread = cpu.sys_main_thread;
  data.cpu_user_main_thread = cpu.user_main_thread;

  data.commandstats = core_.dispatcher().commandstats_text();
  data.latencystats = core_.dispatcher().latencystats_text();
  data.errorstats = core_.dispatcher().errorstats_text();
  data.keyspace = core_.dispatcher().keyspace_text();
  if (Engine* engine = core_.engine()) data.engine = engine->stats();
  data.log_bytes = data.engine.log_segments * config().log_segment_size;
  return data;
}

}  // namespace varve
