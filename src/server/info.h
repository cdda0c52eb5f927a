// info.h: the text of INFO, as a pure function of plain values. The server gathers them; nothing here looks
// anything up. Fields that Redis has keep its names, since exporters and clients parse them; what has no
// meaning here is left out, unless tools expect to find it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "command/dispatcher.h"
#include "command/version.h"
#include "lsm/engine.h"
#include "server/config.h"

namespace varve {

struct InfoData {
  // --- server ---
  std::string varve_version;
  std::string os;  // "Linux 6.1.0 x86_64"
  std::string compiler;
  std::string build_id;  // of builds of the same version by the same compiler, the same
  std::string run_id;    // 40 hexadecimal digits, another one at each start
  std::string executable;
  std::string config_file;
  int64_t process_id = 0;
  uint16_t tcp_port = 0;
  int64_t now_us = 0;  // wall time
  int64_t uptime_s = 0;

  // --- clients ---
  uint64_t connected_clients = 0;
  uint64_t maxclients = 0;
  uint64_t max_input_buffer = 0, max_output_buffer = 0;  // the largest ones now
  uint64_t blocked_clients = 0;                          // waiting for keys or for the end of a pause
  PubSubCounts pubsub = {};

  // --- memory, bytes ---
  MemoryPlan plan;
  uint64_t used_memory = 0;  // what the allocator has given out
  uint64_t used_memory_peak = 0;
  uint64_t resident = 0;
  uint64_t system_memory = 0;
  uint64_t startup_memory = 0;  // of used_memory, what was there when the data had been opened
  uint64_t active_pages = 0, mapped_pages = 0;  // of the allocator: with something in them; all
  uint64_t clients_memory = 0;
  uint64_t commands_memory = 0;  // cursors, the slow log and other state of the dispatcher
  std::string allocator = "libc";

  // --- persistence ---
  bool loading = false;
  int64_t loading_start_s = 0;
  SyncMode sync = SyncMode::kAlways;
  bool checkpoint_running = false;
  int64_t last_checkpoint_s = 0;  // unix time
  bool last_checkpoint_ok = true;
  int64_t last_checkpoint_duration_s = -1;
  int64_t checkpoint_running_s = -1;
  uint64_t checkpoints = 0;
  uint64_t log_bytes = 0;  // of its segments
  Sequence last_checkpoint_sequence = 0;

  // --- stats ---
  uint64_t connections_received = 0, commands_processed = 0, rejected_connections = 0;
  uint64_t net_input_bytes = 0, net_output_bytes = 0;
  double ops_per_second = 0, input_kbps = 0, output_kbps = 0;
  uint64_t expire_cycle_ms = 0;  // spent on the active expiry
  uint64_t expired_keys = 0, keyspace_hits = 0, keyspace_misses = 0;
  uint64_t evicted_clients = 0;  // closed because of maxmemory-clients or an output limit
  uint64_t error_replies = 0, reads_processed = 0, writes_processed = 0;
  uint64_t faulted_runs = 0;  // runs that stopped at a block not in memory

  // --- cpu, seconds ---
  double cpu_sys = 0, cpu_user = 0, cpu_sys_main_thread = 0, cpu_user_main_thread = 0;

  // --- texts of the dispatcher, without headers; each line ends with CRLF ---
  std::string commandstats, errorstats, latencystats, keyspace;

  // --- engine ---
  EngineStats engine;
};

// `sections` in any case, as INFO's arguments; empty: the default ones. Unknown ones add nothing.
std::string info_text(const InfoData& data, const std::vector<std::string>& sections);

// "1.50M": as Redis shows bytes to people.
std::string human_bytes(uint64_t bytes);

// How fast a counter grows, over the last 16 samples (Redis's instantaneous metrics).
class RateMeter {
 public:
  // About every 100 ms. Times monotonic.
  void sample(int64_t now_us, uint64_t reading);
  double per_second() const;

 private:
  std::array<double, 16> rates_{};
  size_t next_ = 0;
  int64_t last_us_ = 0;
  uint64_t last_reading_ = 0;
  bool started_ = false;
};

}  // namespace varve
