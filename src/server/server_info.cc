// Gathers what INFO tells.
#include <unistd.h>

#include <algorithm>

#include "server/machine.h"
#include "server/server.h"

#ifndef VARVE_VERSION
#define VARVE_VERSION "0.1.0"
#endif

namespace varve {

void Server::reset_stats() {
  dispatcher_->reset_stats();
  clients_.reset_stats();
  if (engine_ && stage_ < Stage::kClosing) engine_->reset_stats();
}

std::string Server::info(const std::vector<std::string>& sections) {
  return info_text(gather_info(), sections);
}

InfoData Server::gather_info() {
  InfoData data;
  data.varve_version = VARVE_VERSION;
  data.os = operating_system();
  data.compiler = __VERSION__;
  data.run_id = run_id_;
  data.executable = executable_path();
  data.config_file = configuration_.file();
  data.process_id = ::getpid();
  data.tcp_port = config().port;
  data.now_us = clock_.now_us();
  data.uptime_s = uptime_s();

  data.connected_clients = clients_.count();
  data.maxclients = clients_.limits().maxclients;
  for (const ClientState* client : clients_.states()) {
    data.max_input_buffer = std::max(data.max_input_buffer, client->query_buffer + client->query_buffer_free);
    data.max_output_buffer = std::max(data.max_output_buffer, client->output_memory);
  }
  data.blocked_clients = clients_.parked();

  data.plan = plan_;
  data.used_memory = allocated_memory();
  data.last_checkpoint_sequence = checkpoints_->last_sequence();
  data.used_memory_peak = peak_memory_ = std::max(peak_memory_, data.used_memory);
  data.resident = resident_memory();
  data.system_memory = machine_memory();
  data.clients_memory = clients_.memory_used();
  data.commands_memory = dispatcher_->memory_used();
  data.allocator = allocator_name();

  data.loading = stage_ == Stage::kLoading;
  data.loading_start_s = opening_since_s_;
  data.sync = config().appendfsync;
  data.checkpoint_running = checkpoints_->running();
  data.last_checkpoint_s = checkpoints_->last_s();
  data.last_checkpoint_ok = checkpoints_->last_ok();
  data.last_checkpoint_duration_s = checkpoints_->last_duration_s();
  data.checkpoint_running_s = checkpoints_->running_s();
  data.checkpoints = checkpoints_->count();

  const ClientsStats& stats = clients_.stats();
  data.connections_received = stats.accepted;
  data.commands_processed = dispatcher_->commands_processed();
  data.rejected_connections = stats.rejected;
  data.net_input_bytes = stats.net_in;
  data.net_output_bytes = stats.net_out;
  data.ops_per_second = ops_rate_.per_second();
  data.input_kbps = input_rate_.per_second() / 1024;
  data.output_kbps = output_rate_.per_second() / 1024;
  data.expired_keys = dispatcher_->expired_keys();
  data.keyspace_hits = dispatcher_->keyspace_hits();
  data.keyspace_misses = dispatcher_->keyspace_misses();
  data.error_replies = dispatcher_->error_replies() + stats.protocol_errors;
  data.reads_processed = stats.reads;
  data.writes_processed = stats.writes;
  data.faulted_runs = stats.faults;
  data.evicted_clients = stats.evicted + stats.output_limit_closes;

  CpuTimes cpu = cpu_times();
  data.cpu_sys = cpu.sys;
  data.cpu_user = cpu.user;
  data.cpu_sys_main_thread = cpu.sys_main_thread;
  data.cpu_user_main_thread = cpu.user_main_thread;

  data.commandstats = dispatcher_->commandstats_text();
  data.errorstats = dispatcher_->errorstats_text();
  data.keyspace = dispatcher_->keyspace_text();
  if (engine_ && stage_ < Stage::kClosing) data.engine = engine_->stats();
  return data;
}

}  // namespace varve
