// config.h: every setting of the server, as typed values, and where they come from: defaults, a file in
// Redis's syntax, the command line, CONFIG SET. One registry (config_settings.cc) drives parsing, CONFIG GET,
// CONFIG SET and CONFIG REWRITE; conf/varve.conf documents each setting with its reason, and a test holds the
// two together.
//
// Loop thread. Nothing here opens a file but through the FileSystem it is given.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "command/observation.h"
#include "keyspace/types/limits.h"
#include "lsm/engine.h"
#include "os/file_system.h"

namespace varve {

enum class ClientClass : uint8_t { kNormal, kReplica, kPubSub };
inline constexpr int kClientClasses = 3;

// client-output-buffer-limit: the connection closes at `hard` bytes at once, or after soft_seconds above
// `soft`. 0: no limit.
struct OutputLimit {
  uint64_t hard = 0;
  uint64_t soft = 0;
  int64_t soft_seconds = 0;

  bool operator==(const OutputLimit&) const = default;
};

// maxmemory-clients: bytes, or a percentage of maxmemory, for all connections together. 0: varve's own share.
struct ClientsMemory {
  uint64_t bytes = 0;
  int percent = 0;

  bool operator==(const ClientsMemory&) const = default;
};

enum class DebugCommand : uint8_t { kNo, kYes, kLocal };

// Times are in the unit their name says; sizes in bytes.
struct Config {
  // --- network ---
  std::vector<std::string> bind = {"127.0.0.1",
                                   "-::1"};  // a leading '-': may be missing on this machine; "*": all
  uint16_t port = 6379;                      // 0: no TCP
  std::string unixsocket;                    // empty: none
  uint32_t unixsocketperm = 0;               // mode bits; 0: as the umask says
  int tcp_backlog = 511;
  int timeout_s = 0;             // idle clients are closed after this; 0: never
  int handshake_timeout_s = 60;  // to authenticate, or to finish the first request; 0: never
  int request_timeout_s = 3600;  // a half-sent request that does not come on for so long; 0: never
  int tcp_keepalive_s = 300;
  bool protected_mode = true;
  std::string requirepass;

  // --- users ---
  std::string aclfile;                          // empty: users stand in the configuration file
  std::vector<std::vector<std::string>> users;  // the words behind "user", a line each
  bool acl_pubsub_default = false;              // new users may hear all channels
  int64_t acllog_max_len = 128;

  // --- process ---
  std::string dir = "./data";
  std::string logfile;  // empty: standard output
  LogLevel loglevel = LogLevel::kNotice;
  uint32_t databases = 16;
  DebugCommand enable_debug_command = DebugCommand::kLocal;

  // --- limits ---
  uint64_t maxclients = 10000;
  uint64_t maxmemory = 0;  // of the whole process; 0: a quarter of the machine's (or cgroup's)
  ClientsMemory maxmemory_clients;
  uint64_t proto_max_bulk_len = 512ull << 20;
  uint64_t client_query_buffer_limit = 1ull << 30;
  std::array<OutputLimit, kClientClasses> client_output_buffer_limit = {
      OutputLimit{0, 0, 0}, OutputLimit{256ull << 20, 64ull << 20, 60},
      OutputLimit{32ull << 20, 8ull << 20, 60}};
  uint32_t notify_keyspace_events = 0;   // KeyEventClass
  uint64_t output_soft_limit = 1 << 20;  // a client with more unsent output is not read from
  int stream_timeout_s = 60;  // a streamed reply whose reader takes nothing for so long is cut; 0: never

  // --- observation ---
  ObservationLimits observation;

  // --- collections ---
  CollectionLimits collections;  // what OBJECT ENCODING calls small

  // --- durability and checkpoints ---
  SyncMode appendfsync = SyncMode::kAlways;
  std::string checkpoint_dir = "checkpoints";  // relative to dir
  int checkpoint_keep = 2;                     // 0: all
  bool accept_loss = false;

  // --- engine (EngineOptions has the meanings) ---
  uint64_t memtable_size = 0;      // 0: from maxmemory
  uint64_t block_cache_size = 0;   // 0: what maxmemory leaves
  uint64_t table_cache_files = 0;  // 0: what clients leave (descriptor_plan.h)
  int max_frozen_memtables = 2;
  uint64_t log_segment_size = 32 << 20;
  uint64_t log_max_size = 1ull << 30;
  uint64_t table_size = 32 << 20;
  uint64_t block_size = 8 * 1024;
  Compression compression = Compression::kLz4;
  Compression bottom_compression = Compression::kZstd;
  double filter_bits_per_key = 10;
  int level0_trigger = 4;
  int level0_slow = 8;
  int level0_stop = 16;
  uint64_t base_level_size = 128 << 20;
  int level_multiplier = 10;
  uint32_t debug_random_miss = 0;

  bool operator==(const Config&) const = default;
};

// How maxmemory is divided.
struct MemoryPlan {
  uint64_t maxmemory = 0;  // never 0
  uint64_t memtable = 0;   // one memtable; as many as max_frozen_memtables + 1 may live
  uint64_t block_cache = 0;
  uint64_t clients = 0;  // all connections together
  uint64_t jobs = 0;     // flush, compaction, log buffers and what does not shrink
};

// `machine_memory`: what the machine or its cgroup has. kInvalidArgument, naming the minimum, if maxmemory
// cannot work.
Result<MemoryPlan> plan_memory(const Config& config, uint64_t machine_memory);

// The engine's part of the settings. The caller fills in fs, executor, clock, random_seed, application and
// inspector.
EngineOptions engine_options(const Config& config, const MemoryPlan& plan);

// checkpoint-dir, below dir unless it is absolute.
std::string checkpoint_path(const Config& config);

// The origin of settings that stand in no line of a file.
inline const std::string kCommandLineOrigin = "command line";

// The settings of a running server with their origin.
class Configuration {
 public:
  Configuration() = default;
  explicit Configuration(Config values) : values_(std::move(values)) {}

  const Config& values() const { return values_; }
  // Path as given; empty: none.
  const std::string& file() const { return file_; }
  // The users that are to stand in the file, instead of those that were loaded.
  void set_users(std::vector<std::vector<std::string>> users) { values_.users = std::move(users); }
  // For a changed working directory: the path from now on (main makes it absolute).
  void set_file(std::string path) { file_ = std::move(path); }

  // Reads settings over those there are. A failure names `origin` and line, the line itself, and what is
  // allowed, for every wrong line; then nothing was changed.
  Status load_text(std::string_view text, const std::string& origin);
  Status load_file(FileSystem& fs, const std::string& path);
  // Conditions between settings (level0-slow < level0-stop, ...). set() asks too.
  static Status check(const Config& config);
  // Once everything is loaded: check() and plan_memory(). A failure names the lines of the settings it is
  // about.
  Result<MemoryPlan> plan(uint64_t machine_memory) const;

  // CONFIG GET: names and values that match the glob pattern, sorted by name. A pattern without glob
  // characters comes back as the client wrote it, as in Redis.
  std::vector<std::pair<std::string, std::string>> get(std::string_view pattern) const;

  // CONFIG SET: all or nothing. `apply` makes the new values true for the running server before they are
  // kept; if it refuses, it must have changed nothing. A failure's message is Redis's text without "-ERR ".
  using Apply = std::function<Status(const Config& now, const Config& next)>;
  Status set(const std::vector<std::pair<std::string, std::string>>& settings, const Apply& apply);

  // CONFIG REWRITE: the file with today's values; comments, order and untouched lines stay. Same messages.
  Status rewrite(FileSystem& fs) const;
  // Its pure part: `text` with today's values.
  std::string rewritten(std::string_view text) const;

 private:
  Status located(const std::vector<std::string>& settings, const Status& status) const;

  Config values_;
  std::string file_;
  // Where each setting that was loaded was set last: port -> "a.conf:3: 'port 1'".
  std::map<std::string, std::string> lines_;
};

// What the command line asks for.
struct CommandLine {
  enum class Action : uint8_t { kServe, kVersion, kHelp };
  Action action = Action::kServe;
  std::string file;         // empty: none
  bool from_stdin = false;  // "-": settings from standard input, after the file
  std::string settings;     // "--name value ..." as lines of a configuration file
};

// `varve-server [FILE] [-] [--name value ...]`, or one of -v --version -h --help. `args` without the
// program's name.
Result<CommandLine> parse_command_line(const std::vector<std::string>& args);
// What --help prints.
std::string command_line_help();

}  // namespace varve
