#include "server/config_settings.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <utility>

#include "command/acl_user.h"
#include "command/numbers.h"
#include "keyspace/key_events.h"
#include "server/config_text.h"

namespace varve {
namespace {

using Words = std::vector<std::string>;

constexpr bool kChangeable = true;
constexpr bool kFixed = false;

Setting one_word(std::string name, bool changeable, std::string allowed,
                 std::function<Status(Config&, const std::string&)> parse,
                 std::function<std::string(const Config&)> get) {
  Setting setting;
  setting.name = std::move(name);
  setting.changeable = changeable;
  setting.allowed = std::move(allowed);
  setting.parse = [parse = std::move(parse)](Config& config, const Words& words) {
    if (words.size() != 1) return Status::invalid_argument("wrong number of arguments");
    return parse(config, words[0]);
  };
  setting.get = std::move(get);
  return setting;
}

template <class Int>
Setting integer(std::string name, bool changeable, Int Config::*field, int64_t min, int64_t max) {
  return one_word(
      std::move(name), changeable, fmt::format("an integer from {} to {}", min, max),
      [=](Config& config, const std::string& word) {
        int64_t value = 0;
        if (!parse_integer(word, &value)) {
          return Status::invalid_argument("argument couldn't be parsed into an integer");
        }
        if (value < min || value > max) {
          return Status::invalid_argument("argument must be between {} and {} inclusive", min, max);
        }
        config.*field = static_cast<Int>(value);
        return Status();
      },
      [=](const Config& config) { return std::to_string(config.*field); });
}

// `zero` says what 0 means where it is below min; empty where it is not allowed.
Setting memory(std::string name, bool changeable, uint64_t Config::*field, uint64_t min, uint64_t max,
               const std::string& zero = "") {
  std::string allowed =
      fmt::format("a size such as 64mb, from {} to {}", format_memory(min), format_memory(max));
  if (min == 0) {
    allowed = "a size such as 64mb";
  } else if (max == INT64_MAX) {
    allowed = fmt::format("a size such as 64mb, at least {}", format_memory(min));
  }
  if (!zero.empty()) allowed += ", or 0: " + zero;
  Setting setting = one_word(
      std::move(name), changeable, allowed,
      [=](Config& config, const std::string& word) {
        auto value = parse_memory(word);
        if (!value) return Status::invalid_argument("argument must be a memory value");
        if ((*value < min || *value > max) && (*value != 0 || zero.empty())) {
          return Status::invalid_argument("argument must be between {} and {} inclusive", min, max);
        }
        config.*field = *value;
        return Status();
      },
      [=](const Config& config) { return std::to_string(config.*field); });
  setting.line = [=](const Config& config) { return format_memory(config.*field); };
  return setting;
}

Setting yes_no(std::string name, bool changeable, bool Config::*field) {
  return one_word(
      std::move(name), changeable, "yes or no",
      [=](Config& config, const std::string& word) {
        std::string lower = lower_case(word);
        if (lower != "yes" && lower != "no")
          return Status::invalid_argument("argument must be 'yes' or 'no'");
        config.*field = lower == "yes";
        return Status();
      },
      [=](const Config& config) { return std::string(config.*field ? "yes" : "no"); });
}

Setting text(std::string name, bool changeable, std::string Config::*field, std::string allowed) {
  return one_word(
      std::move(name), changeable, std::move(allowed),
      [=](Config& config, const std::string& word) {
        if (word.find('\0') != std::string::npos)
          return Status::invalid_argument("argument must not hold a zero byte");
        config.*field = word;
        return Status();
      },
      [=](const Config& config) { return config.*field; });
}

template <class Enum>
Setting choice(std::string name, bool changeable, Enum Config::*field,
               std::vector<std::pair<std::string, Enum>> choices) {
  std::string names;
  for (const auto& [word, value] : choices) names += (names.empty() ? "" : ", ") + word;
  return one_word(
      std::move(name), changeable, "one of " + names,
      [=](Config& config, const std::string& word) {
        for (const auto& [known, value] : choices) {
          if (known != lower_case(word)) continue;
          config.*field = value;
          return Status();
        }
        return Status::invalid_argument("argument(s) must be one of the following: {}", names);
      },
      [=](const Config& config) {
        for (const auto& [known, value] : choices) {
          if (value == config.*field) return known;
        }
        return std::string();
      });
}

// A setting of Redis that can have one value only here; `why` is told to whoever asks for another.
Setting only(std::string name, bool changeable, std::string value, std::string why) {
  Setting setting;
  setting.name = std::move(name);
  setting.changeable = changeable;
  setting.allowed = fmt::format("only {}", quote_word(value));
  setting.parse = [=](Config&, const Words& words) {
    bool same = words.size() == 1 && lower_case(words[0]) == value;
    return same ? Status() : Status(StatusCode::kInvalidArgument, why);
  };
  setting.get = [=](const Config&) { return value; };
  return setting;
}

std::string join(const Words& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : " ") + quote_word(word);
  return all;
}

Setting bind_setting() {
  Setting setting;
  setting.name = "bind";
  setting.many_words = true;
  setting.allowed =
      "up to 16 addresses; '*' is all of IPv4, '::*' all of IPv6, a '-' in front: may be missing";
  setting.parse = [](Config& config, const Words& words) {
    if (words.size() > 16) return Status::invalid_argument("Too many bind addresses specified.");
    Words addresses = words;
    if (addresses.size() == 1 && addresses[0].empty()) addresses.clear();
    for (const std::string& address : addresses) {
      if (address.empty() || address == "-") return Status::invalid_argument("an address must not be empty");
    }
    config.bind = std::move(addresses);
    return Status();
  };
  setting.get = [](const Config& config) {
    std::string all;
    for (const std::string& address : config.bind) all += (all.empty() ? "" : " ") + address;
    return all;
  };
  setting.line = [](const Config& config) { return config.bind.empty() ? "\"\"" : join(config.bind); };
  return setting;
}

const char* const kClassNames[kClientClasses] = {"normal", "slave", "pubsub"};

int class_by_name(const std::string& name) {
  std::string lower = lower_case(name);
  if (lower == "normal") return 0;
  if (lower == "slave" || lower == "replica") return 1;
  return lower == "pubsub" ? 2 : -1;
}

Setting output_limit_setting() {
  Setting setting;
  setting.name = "client-output-buffer-limit";
  setting.changeable = true;
  setting.many_words = true;
  setting.allowed =
      "groups of: normal|replica|pubsub, hard limit, soft limit, seconds; for example normal 64mb 16mb 60";
  setting.parse = [](Config& config, const Words& words) {
    if (words.empty() || words.size() % 4 != 0) {
      return Status::invalid_argument("Wrong number of arguments in buffer limit configuration.");
    }
    auto limits = config.client_output_buffer_limit;
    for (size_t i = 0; i < words.size(); i += 4) {
      int which = class_by_name(words[i]);
      if (which < 0)
        return Status::invalid_argument("Invalid client class specified in buffer limit configuration.");
      auto hard = parse_memory(words[i + 1]);
      auto soft = parse_memory(words[i + 2]);
      int64_t seconds = 0;
      if (!hard || !soft || !parse_integer(words[i + 3], &seconds) || seconds < 0) {
        return Status::invalid_argument(
            "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
      }
      limits[static_cast<size_t>(which)] = {*hard, *soft, seconds};
    }
    config.client_output_buffer_limit = limits;
    return Status();
  };
  auto print = [](const Config& config, bool units) {
    std::string all;
    for (size_t i = 0; i < kClientClasses; i++) {
      const OutputLimit& limit = config.client_output_buffer_limit[i];
      auto size = [units](uint64_t n) { return units ? format_memory(n) : std::to_string(n); };
      all += fmt::format("{}{} {} {} {}", i == 0 ? "" : " ", kClassNames[i], size(limit.hard),
                         size(limit.soft), limit.soft_seconds);
    }
    return all;
  };
  setting.get = [=](const Config& config) { return print(config, false); };
  setting.line = [=](const Config& config) { return print(config, true); };
  return setting;
}

Setting clients_memory_setting() {
  Setting setting = one_word(
      "maxmemory-clients", kChangeable,
      "a size, a percentage of maxmemory such as 10%, or 0: an eighth of maxmemory",
      [](Config& config, const std::string& word) {
        if (word.size() > 1 && word.back() == '%') {
          int64_t percent = 0;
          if (!parse_integer(std::string_view(word).substr(0, word.size() - 1), &percent) || percent < 0) {
            return Status::invalid_argument("argument must be a memory or percent value");
          }
          if (percent > 100)
            return Status::invalid_argument("percentage argument must be less or equal to 100");
          config.maxmemory_clients = {0, static_cast<int>(percent)};
          return Status();
        }
        auto bytes = parse_memory(word);
        if (!bytes) return Status::invalid_argument("argument must be a memory or percent value");
        config.maxmemory_clients = {*bytes, 0};
        return Status();
      },
      [](const Config& config) {
        const ClientsMemory& limit = config.maxmemory_clients;
        return limit.percent > 0 ? fmt::format("{}%", limit.percent) : std::to_string(limit.bytes);
      });
  setting.line = [](const Config& config) {
    const ClientsMemory& limit = config.maxmemory_clients;
    return limit.percent > 0 ? fmt::format("{}%", limit.percent) : format_memory(limit.bytes);
  };
  return setting;
}

Setting socket_mode_setting() {
  return one_word(
      "unixsocketperm", kFixed, "an octal number from 0 to 777",
      [](Config& config, const std::string& word) {
        uint32_t mode = 0;
        auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), mode, 8);
        if (error != std::errc() || end != word.data() + word.size()) {
          return Status::invalid_argument("argument couldn't be parsed as an octal number");
        }
        if (mode > 0777) return Status::invalid_argument("argument must be between 0 and 777 inclusive");
        config.unixsocketperm = mode;
        return Status();
      },
      [](const Config& config) { return fmt::format("{:o}", config.unixsocketperm); });
}

Setting filter_bits_setting() {
  return one_word(
      "filter-bits-per-key", kFixed, "a number from 0 (no filter) to 32",
      [](Config& config, const std::string& word) {
        double value = -1;
        auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
        if (error != std::errc() || end != word.data() + word.size() || !(value >= 0 && value <= 32)) {
          return Status::invalid_argument("argument must be a number between 0 and 32");
        }
        config.filter_bits_per_key = value;
        return Status();
      },
      [](const Config& config) { return fmt::format("{}", config.filter_bits_per_key); });
}

// A limit of CollectionLimits: a number of elements, or a size.
Setting collection_limit(std::string name, std::string alias, uint64_t CollectionLimits::*field, bool size) {
  Setting setting = one_word(
      std::move(name), kChangeable, size ? "a size" : "an integer from 0 on",
      [=](Config& config, const std::string& word) {
        int64_t value = 0;
        if (size) {
          auto bytes = parse_memory(word);
          if (!bytes) return Status::invalid_argument("argument must be a memory value");
          value = static_cast<int64_t>(std::min<uint64_t>(*bytes, INT64_MAX));
        } else if (!parse_integer(word, &value)) {
          return Status::invalid_argument("argument couldn't be parsed into an integer");
        }
        if (value < 0) {
          return Status::invalid_argument("argument must be between {} and {} inclusive", 0, INT64_MAX);
        }
        config.collections.*field = static_cast<uint64_t>(value);
        return Status();
      },
      [=](const Config& config) { return std::to_string(config.collections.*field); });
  setting.alias = std::move(alias);
  return setting;
}

// A number of ObservationLimits.
template <class Int>
Setting observation_limit(std::string name, Int ObservationLimits::*field, int64_t min) {
  return one_word(
      std::move(name), kChangeable, fmt::format("an integer from {} on", min),
      [=](Config& config, const std::string& word) {
        int64_t value = 0;
        if (!parse_integer(word, &value)) {
          return Status::invalid_argument("argument couldn't be parsed into an integer");
        }
        if (value < min) {
          return Status::invalid_argument("argument must be between {} and {} inclusive", min, INT64_MAX);
        }
        config.observation.*field = static_cast<Int>(value);
        return Status();
      },
      [=](const Config& config) { return std::to_string(config.observation.*field); });
}

Setting percentiles_setting() {
  Setting setting;
  setting.name = "latency-tracking-info-percentiles";
  setting.changeable = true;
  setting.many_words = true;
  setting.allowed = "numbers from 0 to 100, or \"\" for none";
  setting.parse = [](Config& config, const Words& words) {
    std::vector<double> percentiles;
    for (const std::string& word : words) {
      if (word.empty() && words.size() == 1) break;
      double value = 0;
      auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
      if (error != std::errc() || end != word.data() + word.size())
        return Status::invalid_argument("Invalid latency-tracking-info-percentiles parameters");
      if (!(value >= 0 && value <= 100)) {
        return Status::invalid_argument(
            "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
      }
      percentiles.push_back(value);
    }
    config.observation.percentiles = std::move(percentiles);
    return Status();
  };
  setting.get = [](const Config& config) {
    std::string all;
    for (double value : config.observation.percentiles)
      all += fmt::format("{}{}", all.empty() ? "" : " ", value);
    return all;
  };
  setting.line = [get = setting.get](const Config& config) {
    return config.observation.percentiles.empty() ? "\"\"" : get(config);
  };
  return setting;
}

Setting latency_tracking_setting() {
  return one_word(
      "latency-tracking", kChangeable, "yes or no",
      [](Config& config, const std::string& word) {
        std::string lower = lower_case(word);
        if (lower != "yes" && lower != "no")
          return Status::invalid_argument("argument must be 'yes' or 'no'");
        config.observation.latency_tracking = lower == "yes";
        return Status();
      },
      [](const Config& config) { return std::string(config.observation.latency_tracking ? "yes" : "no"); });
}

void add_observation_settings(std::vector<Setting>& all) {
  using Limits = ObservationLimits;
  all.push_back(observation_limit("slowlog-log-slower-than", &Limits::slow_us, -1));
  all.push_back(observation_limit("slowlog-max-len", &Limits::slow_entries, 0));
  all.push_back(observation_limit("latency-monitor-threshold", &Limits::latency_ms, 0));
  all.push_back(latency_tracking_setting());
  all.push_back(percentiles_setting());
}

Setting events_setting() {
  return one_word(
      "notify-keyspace-events", kChangeable, "letters of Ag$lshzxeKEtmdn, or \"\" for no events",
      [](Config& config, const std::string& word) {
        auto classes = parse_event_classes(word);
        if (!classes) {
          return Status::invalid_argument("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
        }
        config.notify_keyspace_events = *classes;
        return Status();
      },
      [](const Config& config) { return format_event_classes(config.notify_keyspace_events); });
}

Setting password_setting() {
  return one_word(
      "requirepass", kChangeable, "a password of at most 16384 bytes, or \"\" for none",
      [](Config& config, const std::string& word) {
        if (word.find('\0') != std::string::npos)
          return Status::invalid_argument("argument must not hold a zero byte");
        // Who has not authenticated can send no longer one.
        if (word.size() > kPasswordSizeMax)
          return Status::invalid_argument("argument must not be longer than {} bytes", kPasswordSizeMax);
        config.requirepass = word;
        return Status();
      },
      [](const Config& config) { return config.requirepass; });
}

constexpr uint64_t kKb = 1024, kMb = 1024 * kKb, kGb = 1024 * kMb, kUnbounded = INT64_MAX;

void add_server_settings(std::vector<Setting>& all) {
  constexpr int64_t kIntMax = std::numeric_limits<int>::max();
  all.push_back(bind_setting());
  all.push_back(integer("port", kFixed, &Config::port, 0, 65535));
  all.push_back(text("unixsocket", kFixed, &Config::unixsocket, "a path, or \"\" for none"));
  all.push_back(socket_mode_setting());
  all.push_back(integer("tcp-backlog", kFixed, &Config::tcp_backlog, 1, kIntMax));
  all.push_back(integer("timeout", kChangeable, &Config::timeout_s, 0, kIntMax));
  all.push_back(integer("handshake-timeout", kChangeable, &Config::handshake_timeout_s, 0, kIntMax));
  all.push_back(integer("request-timeout", kChangeable, &Config::request_timeout_s, 0, kIntMax));
  all.push_back(integer("tcp-keepalive", kChangeable, &Config::tcp_keepalive_s, 0, kIntMax));
  all.push_back(yes_no("protected-mode", kChangeable, &Config::protected_mode));
  all.push_back(password_setting());
  all.push_back(text("aclfile", kFixed, &Config::aclfile, "a path, or \"\" for none"));
  all.push_back(choice<bool>("acl-pubsub-default", kChangeable, &Config::acl_pubsub_default,
                             {{"allchannels", true}, {"resetchannels", false}}));
  all.push_back(integer("acllog-max-len", kChangeable, &Config::acllog_max_len, 0,
                        std::numeric_limits<int64_t>::max()));

  all.push_back(text("dir", kFixed, &Config::dir, "a directory"));
  all.push_back(text("logfile", kFixed, &Config::logfile, "a path, or \"\" for standard output"));
  all.push_back(choice<LogLevel>("loglevel", kChangeable, &Config::loglevel,
                                 {{"debug", LogLevel::kDebug},
                                  {"verbose", LogLevel::kVerbose},
                                  {"notice", LogLevel::kNotice},
                                  {"warning", LogLevel::kWarning}}));
  all.push_back(integer("databases", kFixed, &Config::databases, 1, 65536));
  all.push_back(choice<DebugCommand>(
      "enable-debug-command", kFixed, &Config::enable_debug_command,
      {{"no", DebugCommand::kNo}, {"yes", DebugCommand::kYes}, {"local", DebugCommand::kLocal}}));
  all.push_back(
      only("daemonize", kFixed, "no",
           "varve stays in the foreground: a service manager (or the shell's &) puts it in the background"));

  all.push_back(
      integer("maxclients", kChangeable, &Config::maxclients, 1, std::numeric_limits<uint32_t>::max()));
  all.push_back(
      memory("maxmemory", kChangeable, &Config::maxmemory, 0, kUnbounded, "a quarter of the machine's"));
  all.push_back(only(
      "maxmemory-policy", kChangeable, "noeviction",
      "varve evicts nothing: what does not fit into memory is on disk, so only noeviction has a meaning"));
  all.push_back(clients_memory_setting());
  all.push_back(memory("proto-max-bulk-len", kChangeable, &Config::proto_max_bulk_len, kMb, kUnbounded));
  all.push_back(
      memory("client-query-buffer-limit", kChangeable, &Config::client_query_buffer_limit, kMb, kUnbounded));
  all.push_back(output_limit_setting());
  all.push_back(events_setting());
  all.push_back(memory("output-soft-limit", kChangeable, &Config::output_soft_limit, 16 * kKb, kGb));
  all.push_back(integer("stream-timeout", kChangeable, &Config::stream_timeout_s, 0, kIntMax));
}

void add_collection_settings(std::vector<Setting>& all) {
  using Limits = CollectionLimits;
  all.push_back(collection_limit("hash-max-listpack-entries", "hash-max-ziplist-entries",
                                 &Limits::hash_entries, false));
  all.push_back(
      collection_limit("hash-max-listpack-value", "hash-max-ziplist-value", &Limits::hash_value, true));
  all.push_back(collection_limit("hll-sparse-max-bytes", "", &Limits::hll_sparse, true));
  all.push_back(collection_limit("set-max-intset-entries", "", &Limits::set_intset_entries, false));
  all.push_back(collection_limit("zset-max-listpack-entries", "zset-max-ziplist-entries",
                                 &Limits::zset_entries, false));
  all.push_back(
      collection_limit("zset-max-listpack-value", "zset-max-ziplist-value", &Limits::zset_value, true));
}

void add_engine_settings(std::vector<Setting>& all) {
  const std::vector<std::pair<std::string, Compression>> compressions = {
      {"none", Compression::kNone}, {"lz4", Compression::kLz4}, {"zstd", Compression::kZstd}};

  all.push_back(choice<SyncMode>(
      "appendfsync", kChangeable, &Config::appendfsync,
      {{"everysec", SyncMode::kEverySecond}, {"always", SyncMode::kAlways}, {"no", SyncMode::kNo}}));
  all.push_back(only("appendonly", kChangeable, "yes",
                     "varve always keeps its log: it is the only home of new writes. How often it is synced "
                     "is appendfsync"));
  all.push_back(only(
      "save", kChangeable, "",
      "varve makes no snapshots by number of changes: every write is in its log. BGSAVE makes a checkpoint"));
  all.push_back(
      text("checkpoint-dir", kFixed, &Config::checkpoint_dir, "a directory, absolute or below dir"));
  all.push_back(integer("checkpoint-keep", kChangeable, &Config::checkpoint_keep, 0, 1000));
  all.push_back(yes_no("accept-loss", kFixed, &Config::accept_loss));

  all.push_back(memory("memtable-size", kChangeable, &Config::memtable_size, kMb, kGb, "from maxmemory"));
  all.push_back(memory("block-cache-size", kChangeable, &Config::block_cache_size, 4 * kMb, kUnbounded,
                       "what maxmemory leaves"));
  all.push_back(integer("table-cache-files", kChangeable, &Config::table_cache_files, 0,
                        std::numeric_limits<uint32_t>::max()));
  all.push_back(integer("max-frozen-memtables", kFixed, &Config::max_frozen_memtables, 1, 16));
  all.push_back(memory("log-segment-size", kFixed, &Config::log_segment_size, kMb, kGb));
  all.push_back(memory("log-max-size", kFixed, &Config::log_max_size, 4 * kMb, 64 * kGb));
  all.push_back(memory("table-size", kFixed, &Config::table_size, kMb, kGb));
  all.push_back(memory("block-size", kFixed, &Config::block_size, kKb, 256 * kKb));
  all.push_back(choice<Compression>("compression", kFixed, &Config::compression, compressions));
  all.push_back(choice<Compression>("bottom-compression", kFixed, &Config::bottom_compression, compressions));
  all.push_back(filter_bits_setting());
  all.push_back(integer("level0-trigger", kFixed, &Config::level0_trigger, 1, 1000));
  all.push_back(integer("level0-slow", kFixed, &Config::level0_slow, 1, 1000));
  all.push_back(integer("level0-stop", kFixed, &Config::level0_stop, 1, 1000));
  all.push_back(memory("base-level-size", kFixed, &Config::base_level_size, kMb, 1024 * kGb));
  all.push_back(integer("level-multiplier", kFixed, &Config::level_multiplier, 2, 100));
  all.push_back(only("compaction-policy", kFixed, "leveled", "the compaction policies there are: leveled"));
  all.push_back(integer("debug-random-miss", kFixed, &Config::debug_random_miss, 0, 1000000));
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); j++) row[j] = j;
  for (size_t i = 1; i <= a.size(); i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); j++) {
      size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string Setting::file_line(const Config& config) const {
  if (line) return name + " " + line(config);
  return name + " " + quote_word(get(config));
}

const std::vector<Setting>& all_settings() {
  static const std::vector<Setting> settings = [] {
    std::vector<Setting> all;
    add_server_settings(all);
    add_collection_settings(all);
    add_observation_settings(all);
    add_engine_settings(all);
    std::sort(all.begin(), all.end(), [](const Setting& a, const Setting& b) { return a.name < b.name; });
    return all;
  }();
  return settings;
}

const Setting* find_setting(std::string_view name) {
  static const std::map<std::string_view, const Setting*> names = [] {
    std::map<std::string_view, const Setting*> all;
    for (const Setting& setting : all_settings()) {
      all.emplace(setting.name, &setting);
      if (!setting.alias.empty()) all.emplace(setting.alias, &setting);
    }
    return all;
  }();
  auto found = names.find(lower_case(name));
  return found == names.end() ? nullptr : found->second;
}

std::string similar_setting(std::string_view name) {
  if (name.size() > 64) return "";
  std::string best, lower = lower_case(name);
  size_t nearest = std::min<size_t>(3, name.size() / 2 + 1);  // a distance from here on is no similarity
  for (const Setting& setting : all_settings()) {
    size_t distance = edit_distance(lower, setting.name);
    if (distance >= nearest) continue;
    nearest = distance;
    best = setting.name;
  }
  return best;
}

}  // namespace varve
