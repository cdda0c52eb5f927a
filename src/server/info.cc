#include "server/info.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <iterator>

#include "server/config_text.h"

namespace varve {
namespace {

// Lines "name:value" with CRLF.
class Lines {
 public:
  template <class Value>
  void add(std::string_view name, const Value& value) {
    fmt::format_to(std::back_inserter(text_), "{}:{}\r\n", name, value);
  }
  void flag(std::string_view name, bool value) { add(name, value ? 1 : 0); }
  void fixed(std::string_view name, double value, int digits) {
    add(name, fmt::format("{:.{}f}", value, digits));
  }
  void bytes(const std::string& name, uint64_t value) {
    add(name, value);
    add(name + "_human", human_bytes(value));
  }
  // What Redis counts, tools expect, and never happens here.
  void zeros(std::initializer_list<const char*> names) {
    for (const char* name : names) add(name, 0);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

double ratio(double a, double b) {
  return b > 0 ? a / b : 0;
}

std::string server_section(const InfoData& data) {
  Lines lines;
  lines.add("redis_version", kRedisVersion);
  lines.add("varve_version", data.varve_version);
  lines.add("redis_git_sha1", "00000000");
  lines.add("redis_git_dirty", 0);
  lines.add("redis_build_id", data.build_id);
  lines.add("redis_mode", "standalone");
  lines.add("os", data.os);
  lines.add("arch_bits", sizeof(void*) * 8);
  lines.add("monotonic_clock", "POSIX clock_gettime");
  lines.add("multiplexing_api", "libuv");
  lines.add("atomicvar_api", "c++-builtin");
  lines.add("gcc_version", data.compiler);
  lines.add("process_id", data.process_id);
  lines.add("process_supervised", "no");
  lines.add("run_id", data.run_id);
  lines.add("tcp_port", data.tcp_port);
  lines.add("server_time_usec", data.now_us);
  lines.add("hz", 10);
  lines.add("configured_hz", 10);
  lines.add("lru_clock", data.now_us / 1'000'000 & 0xffffff);  // seconds, in 24 bits
  lines.add("io_threads_active", 0);
  lines.add("uptime_in_seconds", data.uptime_s);
  lines.add("uptime_in_days", data.uptime_s / 86400);
  lines.add("executable", data.executable);
  lines.add("config_file", data.config_file);
  return lines.take();
}

std::string clients_section(const InfoData& data) {
  Lines lines;
  lines.add("connected_clients", data.connected_clients);
  lines.add("cluster_connections", 0);
  lines.add("maxclients", data.maxclients);
  lines.add("client_recent_max_input_buffer", data.max_input_buffer);
  lines.add("client_recent_max_output_buffer", data.max_output_buffer);
  lines.add("blocked_clients", data.blocked_clients);
  lines.add("tracking_clients", 0);
  lines.add("clients_in_timeout_table", 0);
  return lines.take();
}

void add_allocator(const InfoData& data, Lines* lines) {
  auto difference = [](uint64_t a, uint64_t b) { return static_cast<int64_t>(a) - static_cast<int64_t>(b); };
  auto part = [](uint64_t a, uint64_t b) { return ratio(static_cast<double>(a), static_cast<double>(b)); };
  lines->add("allocator_allocated", data.used_memory);
  lines->add("allocator_active", data.active_pages);
  lines->add("allocator_resident", data.mapped_pages);
  lines->fixed("allocator_frag_ratio", part(data.active_pages, data.used_memory), 2);
  lines->add("allocator_frag_bytes", difference(data.active_pages, data.used_memory));
  lines->fixed("allocator_rss_ratio", part(data.mapped_pages, data.active_pages), 2);
  lines->add("allocator_rss_bytes", difference(data.mapped_pages, data.active_pages));
  lines->fixed("rss_overhead_ratio", part(data.resident, data.mapped_pages), 2);
  lines->add("rss_overhead_bytes", difference(data.resident, data.mapped_pages));
}

std::string memory_section(const InfoData& data) {
  Lines lines;
  lines.bytes("used_memory", data.used_memory);
  lines.bytes("used_memory_rss", data.resident);
  uint64_t peak = std::max(data.used_memory_peak, data.used_memory);
  lines.bytes("used_memory_peak", peak);
  double used = static_cast<double>(data.used_memory);
  lines.add("used_memory_peak_perc", fmt::format("{:.2f}%", ratio(used * 100, static_cast<double>(peak))));
  // What the data takes in memory: new writes and cached blocks. The data itself is on disk.
  uint64_t dataset = std::min(data.engine.memtable_bytes + data.engine.cache_bytes, data.used_memory);
  lines.add("used_memory_overhead", data.used_memory - dataset);
  lines.add("used_memory_startup", data.startup_memory);
  lines.add("used_memory_dataset", dataset);
  lines.add("used_memory_dataset_perc",
            fmt::format("{:.2f}%", ratio(static_cast<double>(dataset) * 100, used)));
  add_allocator(data, &lines);
  lines.bytes("total_system_memory", data.system_memory);
  lines.bytes("maxmemory", data.plan.maxmemory);
  lines.add("maxmemory_policy", "noeviction");
  lines.fixed("mem_fragmentation_ratio", ratio(static_cast<double>(data.resident), used), 2);
  lines.add("mem_fragmentation_bytes",
            static_cast<int64_t>(data.resident) - static_cast<int64_t>(data.used_memory));
  lines.zeros({"mem_not_counted_for_evict", "mem_replication_backlog", "mem_total_replication_buffers",
               "mem_clients_slaves"});
  lines.add("mem_clients_normal", data.clients_memory);
  lines.add("mem_memtables", data.engine.memtable_bytes);
  lines.add("mem_block_cache", data.engine.cache_bytes);
  lines.add("mem_commands", data.commands_memory);
  lines.add("mem_plan_memtable", data.plan.memtable);
  lines.add("mem_plan_block_cache", data.plan.block_cache);
  lines.add("mem_plan_clients", data.plan.clients);
  lines.add("mem_plan_jobs", data.plan.jobs);
  lines.add("mem_allocator", data.allocator);
  lines.add("mem_aof_buffer", data.engine.log_buffer_bytes);
  lines.zeros(
      {"mem_cluster_links", "active_defrag_running", "lazyfree_pending_objects", "lazyfreed_objects"});
  // There are no scripts, and nothing that would run them.
  lines.zeros({"used_memory_lua", "used_memory_vm_eval", "used_memory_scripts_eval",
               "number_of_cached_scripts", "number_of_functions", "number_of_libraries",
               "used_memory_vm_functions", "used_memory_vm_total", "used_memory_functions",
               "used_memory_scripts"});
  for (const char* name :
       {"used_memory_lua_human", "used_memory_vm_total_human", "used_memory_scripts_human"})
    lines.add(name, human_bytes(0));
  return lines.take();
}

const char* sync_name(SyncMode mode) {
  switch (mode) {
    case SyncMode::kAlways:
      return "always";
    case SyncMode::kEverySecond:
      return "everysec";
    case SyncMode::kNo:
      return "no";
  }
  return "";
}

std::string persistence_section(const InfoData& data) {
  Lines lines;
  const EngineStats& engine = data.engine;
  lines.flag("loading", data.loading);
  if (data.loading) lines.add("loading_start_time", data.loading_start_s);
  lines.flag("async_loading", false);
  lines.zeros({"current_cow_peak", "current_cow_size", "current_cow_size_age"});
  lines.fixed("current_fork_perc", 0, 2);
  lines.zeros({"current_save_keys_processed", "current_save_keys_total"});
  lines.add("rdb_changes_since_last_save",
            engine.last_sequence - std::min(data.last_checkpoint_sequence, engine.last_sequence));
  lines.flag("rdb_bgsave_in_progress", data.checkpoint_running);
  lines.add("rdb_last_save_time", data.last_checkpoint_s);
  lines.add("rdb_last_bgsave_status", data.last_checkpoint_ok ? "ok" : "err");
  lines.add("rdb_last_bgsave_time_sec", data.last_checkpoint_duration_s);
  lines.add("rdb_current_bgsave_time_sec", data.checkpoint_running_s);
  lines.add("rdb_saves", data.checkpoints);
  lines.zeros({"rdb_last_cow_size", "rdb_last_load_keys_expired", "rdb_last_load_keys_loaded"});
  lines.flag("aof_enabled", true);
  lines.flag("aof_rewrite_in_progress", engine.compactions_running > 0);
  lines.flag("aof_rewrite_scheduled", false);
  lines.add("aof_rewrites", engine.compactions);
  lines.add("aof_rewrites_consecutive_failures", engine.background_error.ok() ? 0 : 1);
  lines.add("aof_last_rewrite_time_sec", -1);
  lines.add("aof_current_rewrite_time_sec", -1);
  lines.add("aof_last_bgrewrite_status", engine.background_error.ok() ? "ok" : "err");
  lines.add("aof_last_write_status", engine.fenced ? "err" : "ok");
  lines.zeros({"aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size"});
  lines.add("aof_current_size", data.log_bytes);
  lines.add("aof_buffer_length", engine.log_buffer_bytes);
  lines.zeros({"aof_base_size", "aof_pending_rewrite", "aof_pending_bio_fsync", "aof_delayed_fsync"});
  lines.add("appendfsync", sync_name(data.sync));
  return lines.take();
}

std::string stats_section(const InfoData& data) {
  Lines lines;
  lines.add("total_connections_received", data.connections_received);
  lines.add("total_commands_processed", data.commands_processed);
  lines.fixed("instantaneous_ops_per_sec", data.ops_per_second, 0);
  lines.add("total_net_input_bytes", data.net_input_bytes);
  lines.add("total_net_output_bytes", data.net_output_bytes);
  lines.fixed("instantaneous_input_kbps", data.input_kbps, 2);
  lines.fixed("instantaneous_output_kbps", data.output_kbps, 2);
  lines.zeros({"total_net_repl_input_bytes", "total_net_repl_output_bytes"});
  lines.fixed("instantaneous_input_repl_kbps", 0, 2);
  lines.fixed("instantaneous_output_repl_kbps", 0, 2);
  lines.add("rejected_connections", data.rejected_connections);
  lines.add("sync_full", 0);
  lines.add("sync_partial_ok", 0);
  lines.add("sync_partial_err", 0);
  lines.add("expired_keys", data.expired_keys);
  lines.fixed("expired_stale_perc", 0, 2);
  lines.add("expired_time_cap_reached_count", 0);
  lines.add("expire_cycle_cpu_milliseconds", data.expire_cycle_ms);
  lines.add("evicted_keys", 0);
  lines.add("evicted_clients", data.evicted_clients);
  lines.zeros({"total_eviction_exceeded_time", "current_eviction_exceeded_time"});
  lines.add("keyspace_hits", data.keyspace_hits);
  lines.add("keyspace_misses", data.keyspace_misses);
  lines.add("pubsub_channels", data.pubsub.channels);
  lines.add("pubsub_patterns", data.pubsub.patterns);
  lines.add("pubsubshard_channels", data.pubsub.shard_channels);
  lines.add("latest_fork_usec", 0);
  lines.add("total_forks", 0);
  lines.zeros({"migrate_cached_sockets", "slave_expires_tracked_keys", "active_defrag_hits",
               "active_defrag_misses", "active_defrag_key_hits", "active_defrag_key_misses",
               "tracking_total_keys", "tracking_total_items", "tracking_total_prefixes",
               "unexpected_error_replies", "total_active_defrag_time", "current_active_defrag_time",
               "dump_payload_sanitizations", "reply_buffer_shrinks", "reply_buffer_expands"});
  lines.add("total_error_replies", data.error_replies);
  lines.add("total_reads_processed", data.reads_processed);
  lines.add("total_writes_processed", data.writes_processed);
  lines.zeros({"io_threaded_reads_processed", "io_threaded_writes_processed"});
  lines.add("faulted_runs", data.faulted_runs);
  return lines.take();
}

std::string replication_section(const InfoData& data) {
  Lines lines;
  lines.add("role", "master");
  lines.add("connected_slaves", 0);
  lines.add("master_failover_state", "no-failover");
  lines.add("master_replid", data.run_id);
  lines.add("master_replid2", std::string(40, '0'));
  lines.add("master_repl_offset", 0);
  lines.add("second_repl_offset", -1);
  lines.add("repl_backlog_active", 0);
  lines.add("repl_backlog_size", 0);
  lines.add("repl_backlog_first_byte_offset", 0);
  lines.add("repl_backlog_histlen", 0);
  return lines.take();
}

std::string cpu_section(const InfoData& data) {
  Lines lines;
  lines.fixed("used_cpu_sys", data.cpu_sys, 6);
  lines.fixed("used_cpu_user", data.cpu_user, 6);
  lines.fixed("used_cpu_sys_children", 0, 6);
  lines.fixed("used_cpu_user_children", 0, 6);
  lines.fixed("used_cpu_sys_main_thread", data.cpu_sys_main_thread, 6);
  lines.fixed("used_cpu_user_main_thread", data.cpu_user_main_thread, 6);
  return lines.take();
}

void add_tree(const EngineStats& engine, Lines* lines) {
  lines->add("levels", engine.levels.size());
  for (const LevelStats& level : engine.levels) {
    lines->add(fmt::format("level{}", level.level),
               fmt::format("tables={},runs={},bytes={},score={:.2f}", level.tables, level.runs, level.bytes,
                           level.score));
  }
  lines->add("tables", engine.tables);
  lines->bytes("table_bytes", engine.table_bytes);
  lines->add("quarantined_tables", engine.quarantined_tables);
  lines->add("quarantine_checks", engine.quarantine_checks);
  lines->add("quarantine_healed", engine.quarantine_healed);
  lines->add("quarantine_next_check_sec", engine.quarantine_next_check_s);
  lines->add("startup_tables_checked", engine.startup_tables_checked);
  lines->add("table_records", engine.records_in_tables);
  lines->add("blind_records", engine.blind_records);  // DBSIZE may be too high by so many
  lines->add("range_deletes", engine.range_deletes);
  lines->add("memtable_bytes", engine.memtable_bytes);
  lines->add("memtable_entries", engine.memtable_entries);
  lines->add("frozen_memtables", engine.frozen_memtables);
  lines->add("snapshots", engine.snapshots);
}

void add_reads(const EngineStats& engine, Lines* lines) {
  double lookups = static_cast<double>(engine.cache_hits + engine.cache_misses);
  lines->add("cache_bytes", engine.cache_bytes);
  lines->add("cache_capacity", engine.cache_capacity);
  lines->add("cache_hits", engine.cache_hits);
  lines->add("cache_misses", engine.cache_misses);
  lines->fixed("cache_hit_rate", ratio(static_cast<double>(engine.cache_hits), lookups), 4);
  lines->add("row_cache_rows", engine.rows);
  lines->add("row_cache_bytes", engine.row_bytes);
  lines->add("row_cache_hits", engine.row_hits);
  lines->add("row_cache_misses", engine.row_misses);
  lines->add("open_tables", engine.open_tables);
  lines->add("open_tables_max", engine.open_tables_max);
  lines->add("open_tables_bytes", engine.open_tables_bytes);
  lines->add("table_opens", engine.table_opens);
  lines->add("table_open_errors", engine.table_open_errors);
  lines->add("block_reads", engine.block_reads);
  lines->add("block_reads_nowait", engine.nowait_reads);
  lines->add("block_read_bytes", engine.block_read_bytes);
  lines->add("gets", engine.gets);
  lines->fixed("tables_per_get",
               ratio(static_cast<double>(engine.get_tables_touched), static_cast<double>(engine.gets)), 2);
  lines->fixed("blocks_per_get",
               ratio(static_cast<double>(engine.get_blocks_touched), static_cast<double>(engine.gets)), 2);
  lines->add("filter_useful", engine.filter_useful);
  lines->add("install_holds", engine.install_holds);
  lines->add("installs_held", engine.installs_held);
}

void add_writes(const EngineStats& engine, Lines* lines) {
  lines->add("user_bytes_written", engine.user_bytes_written);
  lines->add("log_bytes_written", engine.log_bytes_written);
  lines->add("flush_bytes_written", engine.flush_bytes_written);
  lines->add("compaction_bytes_written", engine.compaction_bytes_written);
  lines->add("compaction_bytes_read", engine.compaction_bytes_read);
  lines->fixed("write_amplification", engine.write_amplification, 2);
  lines->fixed("read_amplification", engine.read_amplification, 2);
  lines->fixed("space_amplification", engine.space_amplification, 2);
  lines->add("flushes", engine.flushes);
  lines->add("compactions", engine.compactions);
  lines->add("compactions_in_parts", engine.compactions_in_parts);
  lines->add("trivial_moves", engine.trivial_moves);
  lines->flag("flush_running", engine.flush_running);
  lines->add("compactions_running", engine.compactions_running);
  lines->add("pending_compaction_bytes", engine.pending_compaction_bytes);
  lines->add("write_delays", engine.write_delays);
  lines->add("write_delay_usec", engine.write_delay_us);
}

void add_log(const EngineStats& engine, Lines* lines) {
  lines->add("last_sequence", engine.last_sequence);
  lines->add("durable_sequence", engine.durable_sequence);
  lines->add("flushed_sequence", engine.flushed_sequence);
  lines->add("log_segments", engine.log_segments);
  lines->add("log_segments_free", engine.log_segments_free);
  lines->add("log_groups", engine.log_groups);
  lines->add("log_batches", engine.log_batches);
  lines->add("values_amended", engine.values_amended);
  double groups = static_cast<double>(engine.log_groups), syncs = static_cast<double>(engine.log_syncs);
  lines->fixed("log_group_size", ratio(static_cast<double>(engine.log_batches), groups), 2);
  lines->add("log_fsyncs", engine.log_syncs);
  lines->fixed("log_fsync_usec_mean", ratio(static_cast<double>(engine.log_sync_us_total), syncs), 0);
  lines->add("log_fsync_usec_last", engine.log_sync_us_last);
  lines->add("log_fsync_usec_max", engine.log_sync_us_max);
  lines->add("recovery_usec", engine.recovery_us);
  lines->add("recovered_batches", engine.recovered_batches);
}

// An error's text on one line.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  return text;
}

std::string lsm_section(const InfoData& data) {
  Lines lines;
  const EngineStats& engine = data.engine;
  add_tree(engine, &lines);
  add_reads(engine, &lines);
  add_writes(engine, &lines);
  add_log(engine, &lines);
  lines.add("background_errors", engine.background_errors);
  lines.add("background_error", one_line(engine.background_error.to_string()));
  lines.flag("fenced", engine.fenced);
  return lines.take();
}

struct Section {
  const char* name;   // as INFO's argument
  const char* title;  // as the header
  bool by_default;
  std::string (*text)(const InfoData&);
};

const Section kSections[] = {
    {"server", "Server", true, server_section},
    {"clients", "Clients", true, clients_section},
    {"memory", "Memory", true, memory_section},
    {"persistence", "Persistence", true, persistence_section},
    {"stats", "Stats", true, stats_section},
    {"replication", "Replication", true, replication_section},
    {"cpu", "CPU", true, cpu_section},
    {"modules", "Modules", true, [](const InfoData&) { return std::string(); }},
    {"commandstats", "Commandstats", false, [](const InfoData& data) { return data.commandstats; }},
    {"errorstats", "Errorstats", true, [](const InfoData& data) { return data.errorstats; }},
    {"latencystats", "Latencystats", false, [](const InfoData& data) { return data.latencystats; }},
    {"cluster", "Cluster", true, [](const InfoData&) { return std::string("cluster_enabled:0\r\n"); }},
    {"lsm", "Lsm", true, lsm_section},
    {"keyspace", "Keyspace", true, [](const InfoData& data) { return data.keyspace; }},
};

bool wanted(const Section& section, const std::vector<std::string>& sections) {
  if (sections.empty()) return section.by_default;
  for (const std::string& given : sections) {
    std::string name = lower_case(given);
    if (name == section.name || name == "all" || name == "everything") return true;
    if (name == "default" && section.by_default) return true;
  }
  return false;
}

}  // namespace

std::string info_text(const InfoData& data, const std::vector<std::string>& sections) {
  std::string text;
  for (const Section& section : kSections) {
    if (!wanted(section, sections)) continue;
    if (!text.empty()) text += "\r\n";
    text += fmt::format("# {}\r\n", section.title);
    text += section.text(data);
  }
  return text;
}

std::string human_bytes(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{}B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  for (char unit : {'K', 'M', 'G', 'T'}) {
    if (value < 1024) return fmt::format("{:.2f}{}", value, unit);
    value /= 1024;
  }
  return fmt::format("{:.2f}P", value);
}

void RateMeter::sample(int64_t now_us, uint64_t reading) {
  // A counter that was reset starts anew.
  if (started_ && now_us > last_us_ && reading >= last_reading_) {
    double seconds = static_cast<double>(now_us - last_us_) / 1e6;
    rates_[next_] = static_cast<double>(reading - last_reading_) / seconds;
    next_ = (next_ + 1) % rates_.size();
  }
  started_ = true;
  last_us_ = now_us;
  last_reading_ = reading;
}

double RateMeter::per_second() const {
  double sum = 0;
  for (double rate : rates_) sum += rate;
  return sum / static_cast<double>(rates_.size());
}

}  // namespace varve
