#include "server/config.h"

#include <algorithm>
#include <set>

#include "command/acl.h"
#include "command/glob.h"
#include "server/config_settings.h"
#include "server/config_text.h"

namespace varve {
namespace {

constexpr uint64_t kMb = 1 << 20;

std::string_view trimmed(std::string_view line) {
  const char* blanks = " \t\r\n";
  size_t begin = line.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(blanks) - begin + 1);
}

// Calls visit(line without its newline, line number) for each line.
template <class Visit>
void for_each_line(std::string_view text, Visit visit) {
  for (int number = 1; !text.empty(); number++) {
    size_t end = text.find('\n');
    visit(text.substr(0, end), number);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

// What a line of a file sets; nothing when it is empty or a comment.
struct Line {
  const Setting* setting = nullptr;
  bool user = false;               // "user NAME RULE ...": one of many
  std::vector<std::string> words;  // behind the name
};

// The commands that rules of users may name.
const CommandTable& known_commands() {
  static const std::unique_ptr<CommandTable> table = [] {
    auto commands = std::make_unique<CommandTable>();
    build_command_table(*commands);
    return commands;
  }();
  return *table;
}

std::string user_line(const std::vector<std::string>& words) {
  std::string line = "user";
  for (const std::string& word : words) {
    // A # begins a comment only at the start of a line.
    bool hash = word.size() > 1 && word[0] == '#';
    line += hash ? " #" + quote_word(word.substr(1)) : " " + quote_word(word);
  }
  return line;
}

Result<Line> read_line(std::string_view text) {
  Line line;
  text = trimmed(text);
  if (text.empty() || text[0] == '#') return line;
  auto words = split_words(text);
  if (!words) return Status::invalid_argument("Unbalanced quotes in configuration line");
  if (words->empty()) return line;  // other blanks than trimmed() knows
  line.user = lower_case((*words)[0]) == "user";
  line.setting = find_setting((*words)[0]);
  if (line.setting == nullptr && !line.user) {
    std::string similar = similar_setting((*words)[0]);
    return Status::invalid_argument("there is no setting of this name{}",
                                    similar.empty() ? "" : fmt::format("; did you mean '{}'?", similar));
  }
  line.words.assign(words->begin() + 1, words->end());
  return line;
}

Status add_user(std::vector<std::string> words, Config* config) {
  auto user = parse_acl_user({known_commands()}, words);
  if (!user) return user.status();
  for (const auto& other : config->users) {
    if (other[0] == words[0]) {
      return Status::invalid_argument(
          "Duplicate user found. A user can only be defined once in config files");
    }
  }
  if (config->users.size() >= kAclUsersMax) {
    return Status::invalid_argument("there are {} users already, as many as varve keeps", kAclUsersMax);
  }
  config->users.push_back(std::move(words));
  return Status();
}

// `name`: what it sets, if anything.
Status apply_line(std::string_view text, Config* config, std::string* name) {
  auto line = read_line(text);
  if (!line) return line.status();
  if (line->user) {
    *name = "user";
    return add_user(std::move(line->words), config);
  }
  if (line->setting == nullptr) return Status();
  *name = line->setting->name;
  Status status = line->setting->parse(*config, line->words);
  if (status.ok()) return status;
  return Status::invalid_argument("{} (allowed: {})", status.message(), line->setting->allowed);
}

Status set_failed(std::string_view name, const std::string& why) {
  return Status::invalid_argument("CONFIG SET failed (possibly related to argument '{}') - {}", name, why);
}

// Settings that are valid one by one and do not go together.
struct Conflict {
  std::vector<std::string> settings;
  Status status;
};

Conflict first_conflict(const Config& config) {
  auto conflict = [](std::vector<std::string> settings, std::string message) {
    return Conflict{std::move(settings), Status(StatusCode::kInvalidArgument, std::move(message))};
  };
  if (config.port == 0 && config.unixsocket.empty()) {
    return conflict({"port", "unixsocket"},
                    "port is 0 and unixsocket is empty: there is nothing to listen on");
  }
  if (config.port != 0 && config.bind.empty() && config.unixsocket.empty()) {
    return conflict({"bind", "unixsocket"}, "bind and unixsocket are empty: there is nothing to listen on");
  }
  if (!config.aclfile.empty() && !config.users.empty()) {
    return conflict(
        {"aclfile", "user"},
        "users stand in the file that aclfile names or in lines of the configuration file, not in "
        "both");
  }
  if (config.dir.empty()) return conflict({"dir"}, "dir is empty: the data needs a directory");
  if (config.level0_trigger > config.level0_slow || config.level0_slow >= config.level0_stop) {
    return conflict(
        {"level0-trigger", "level0-slow", "level0-stop"},
        fmt::format(
            "level0-trigger ({}) must not be above level0-slow ({}), which must be below level0-stop ({})",
            config.level0_trigger, config.level0_slow, config.level0_stop));
  }
  if (config.log_max_size < 4 * config.log_segment_size) {
    return conflict({"log-max-size", "log-segment-size"},
                    fmt::format("log-max-size ({}) must hold four segments of log-segment-size ({}) at least",
                                format_memory(config.log_max_size), format_memory(config.log_segment_size)));
  }
  if (config.memtable_size > config.log_max_size / 2) {
    return conflict({"memtable-size", "log-max-size"},
                    fmt::format("memtable-size ({}) must not be above half of log-max-size ({})",
                                format_memory(config.memtable_size), format_memory(config.log_max_size)));
  }
  if (config.base_level_size < config.table_size) {
    return conflict({"base-level-size", "table-size"},
                    fmt::format("base-level-size ({}) must not be below table-size ({})",
                                format_memory(config.base_level_size), format_memory(config.table_size)));
  }
  return {};
}

bool has_glob(std::string_view pattern) {
  return pattern.find_first_of("[*?\\") != std::string_view::npos;
}

}  // namespace

Status Configuration::check(const Config& config) {
  return first_conflict(config).status;
}

Result<MemoryPlan> Configuration::plan(uint64_t machine_memory) const {
  Conflict conflict = first_conflict(values_);
  if (!conflict.status.ok()) return located(conflict.settings, conflict.status);
  auto plan = plan_memory(values_, machine_memory);
  if (plan) return plan;
  return located(
      {"maxmemory", "maxmemory-clients", "memtable-size", "max-frozen-memtables", "block-cache-size"},
      plan.status());
}

// The message behind the lines that set what it is about; what has its default stands in no line.
Status Configuration::located(const std::vector<std::string>& settings, const Status& status) const {
  std::string lines;
  for (const std::string& name : settings) {
    auto line = lines_.find(name);
    if (line != lines_.end()) lines += (lines.empty() ? "" : ", ") + line->second;
  }
  return lines.empty() ? status : Status(status.code(), lines + ": " + status.message());
}

Status Configuration::load_text(std::string_view text, const std::string& origin) {
  Config next = values_;
  std::map<std::string, std::string> lines = lines_;
  std::string wrong;  // every wrong line at once: whoever mends a file should need one try
  for_each_line(text, [&](std::string_view line, int number) {
    std::string name;
    Status status = apply_line(line, &next, &name);
    std::string place = origin == kCommandLineOrigin ? origin : fmt::format("{}:{}", origin, number);
    place += fmt::format(": '{}'", trimmed(line));
    if (!status.ok())
      wrong += fmt::format("{}{}: {}", wrong.empty() ? "" : "\n", place, status.message());
    else if (!name.empty())
      lines[name] = place;
  });
  if (!wrong.empty()) return Status(StatusCode::kInvalidArgument, wrong);
  values_ = std::move(next);
  lines_ = std::move(lines);
  return Status();
}

Status Configuration::load_file(FileSystem& fs, const std::string& path) {
  auto text = fs.read_whole(path);
  if (!text) return text.status();
  VARVE_TRY(load_text(*text, path));
  file_ = path;
  return Status();
}

std::vector<std::pair<std::string, std::string>> Configuration::get(std::string_view pattern) const {
  std::vector<std::pair<std::string, std::string>> found;
  if (!has_glob(pattern)) {
    const Setting* setting = find_setting(pattern);
    if (setting != nullptr) found.emplace_back(pattern, setting->get(values_));
    return found;
  }
  for (const Setting& setting : all_settings()) {
    if (glob_matches(pattern, setting.name, true)) found.emplace_back(setting.name, setting.get(values_));
    if (!setting.alias.empty() && glob_matches(pattern, setting.alias, true)) {
      found.emplace_back(setting.alias, setting.get(values_));
    }
  }
  return found;
}

Status Configuration::set(const std::vector<std::pair<std::string, std::string>>& settings,
                          const Apply& apply) {
  std::set<std::string> seen;  // by name: Redis lets one stand beside its alias
  for (const auto& [name, value] : settings) {
    const Setting* setting = find_setting(name);
    if (setting == nullptr) {
      return Status::invalid_argument("Unknown option or number of arguments for CONFIG SET - '{}'", name);
    }
    if (!setting->changeable) return set_failed(name, "can't set immutable config");
    if (!seen.insert(lower_case(name)).second) return set_failed(name, "duplicate parameter");
  }
  Config next = values_;
  for (const auto& [name, value] : settings) {
    const Setting* setting = find_setting(name);
    std::vector<std::string> words = {value};
    if (setting->many_words) words = split_words(value).value_or(std::vector<std::string>());
    Status status = setting->parse(next, words);
    if (!status.ok()) return set_failed(name, status.message());
  }
  const std::string& blamed = find_setting(settings.front().first)->name;
  Status status = check(next);
  if (status.ok() && apply) status = apply(values_, next);
  if (!status.ok()) return set_failed(blamed, status.message());
  values_ = std::move(next);
  return Status();
}

std::string Configuration::rewritten(std::string_view text) const {
  // What the text's lines of each setting say together: where that is today's value already, they stay.
  Config said;
  std::set<const Setting*> present;
  for_each_line(text, [&](std::string_view line, int) {
    auto parsed = read_line(line);
    if (!parsed || parsed->setting == nullptr) return;
    // A line that is no longer valid counts as said differently, and is written anew.
    if (parsed->setting->parse(said, parsed->words).ok()) present.insert(parsed->setting);
  });

  std::string out;
  std::set<const Setting*> written;
  size_t user = 0;  // lines of users become those of today's, from the first on
  auto next_user = [&] { return user_line(values_.users[user++]) + '\n'; };
  for_each_line(text, [&](std::string_view line, int) {
    auto parsed = read_line(line);
    if (parsed && parsed->user) {
      if (user < values_.users.size()) out += next_user();
      return;
    }
    const Setting* setting = parsed ? parsed->setting : nullptr;
    bool stays =
        setting == nullptr || (present.count(setting) != 0 && setting->get(said) == setting->get(values_));
    if (stays) {
      out += line;
      out += '\n';
    } else if (written.insert(setting).second) {
      out += setting->file_line(values_) + '\n';
    }
  });

  const std::string signature = "# Generated by CONFIG REWRITE\n";
  bool signed_already = out.find(signature) != std::string::npos;
  const Config defaults;
  for (const Setting& setting : all_settings()) {
    if (present.count(&setting) != 0 || written.count(&setting) != 0 ||
        setting.get(values_) == setting.get(defaults))
      continue;
    if (!signed_already) out += signature;
    signed_already = true;
    out += setting.file_line(values_) + '\n';
  }
  if (user < values_.users.size() && !signed_already) out += signature;
  while (user < values_.users.size()) out += next_user();
  return out;
}

Status Configuration::rewrite(FileSystem& fs) const {
  if (file_.empty()) return Status::invalid_argument("The server is running without a config file");
  std::string old;
  if (fs.exists(file_)) {
    auto text = fs.read_whole(file_);
    if (!text) return Status::io_error("Rewriting config file: {}", text.status().message());
    old = std::move(*text);
  }
  auto [dir, name] = split_path(file_);
  Status status = fs.replace_whole(dir, name, rewritten(old));
  if (!status.ok()) return Status::io_error("Rewriting config file: {}", status.message());
  return Status();
}

// --- memory ---

namespace {

constexpr uint64_t kCacheMin = 8 * kMb;

// How `maxmemory` would be divided; a cache below kCacheMin: it does not fit.
MemoryPlan divide_memory(const Config& config, uint64_t maxmemory) {
  MemoryPlan plan;
  plan.maxmemory = maxmemory;
  plan.memtable = config.memtable_size;
  // Several memtables may live at once. What is in one is found by one hash probe, so with much memory a
  // large one pays; above 256 MiB recovery would take more than a few seconds.
  if (plan.memtable == 0) plan.memtable = std::clamp<uint64_t>(maxmemory / 16, 2 * kMb, 256 * kMb);
  plan.memtable = std::min(plan.memtable, config.log_max_size / 2);
  plan.clients = config.maxmemory_clients.bytes;
  if (config.maxmemory_clients.percent > 0) {
    plan.clients = maxmemory / 100 * static_cast<uint64_t>(config.maxmemory_clients.percent);
  }
  if (plan.clients == 0) plan.clients = std::max(maxmemory / 8, 4 * kMb);
  // The code itself, log buffers, inputs and outputs of jobs, and what the allocator holds without using it.
  plan.jobs = 16 * kMb + maxmemory / 10;
  uint64_t memtables = plan.memtable * (static_cast<uint64_t>(config.max_frozen_memtables) + 1);
  uint64_t taken = memtables + plan.clients + plan.jobs;
  uint64_t left = maxmemory > taken ? maxmemory - taken : 0;
  plan.block_cache = config.block_cache_size == 0 ? left : std::min(left, config.block_cache_size);
  return plan;
}

bool works(const Config& config, uint64_t maxmemory) {
  uint64_t wanted = config.block_cache_size == 0 ? kCacheMin : config.block_cache_size;
  return divide_memory(config, maxmemory).block_cache >= wanted;
}

}  // namespace

Result<MemoryPlan> plan_memory(const Config& config, uint64_t machine_memory) {
  uint64_t maxmemory = config.maxmemory == 0 ? machine_memory / 4 : config.maxmemory;
  if (works(config, maxmemory)) return divide_memory(config, maxmemory);
  uint64_t minimum = 1;  // MiB
  while (minimum < (1ull << 40) && !works(config, minimum * kMb)) minimum *= 2;
  for (uint64_t step = minimum / 2; step > 0; step /= 2) {
    if (minimum > step && works(config, (minimum - step) * kMb)) minimum -= step;
  }
  return Status::invalid_argument(
      "maxmemory is too small: {}{} do not hold memtables, clients and a block cache; with the other "
      "settings as they are at least {}mb are needed",
      format_memory(maxmemory), config.maxmemory == 0 ? ", a quarter of the machine's," : "", minimum);
}

EngineOptions engine_options(const Config& config, const MemoryPlan& plan) {
  EngineOptions options;
  options.dir = config.dir;
  options.accept_loss = config.accept_loss;
  options.sync = config.appendfsync;
  options.memtable_size = plan.memtable;
  options.max_frozen_memtables = config.max_frozen_memtables;
  options.keep_flushed_memtable = true;
  options.log_segment_size = config.log_segment_size;
  options.log_max_bytes = config.log_max_size;
  options.block_cache_size = plan.block_cache;
  options.compaction_memory = std::min<uint64_t>(plan.jobs / 2, 256 * kMb);
  options.table_size = config.table_size;
  options.base_level_size = config.base_level_size;
  options.level_multiplier = config.level_multiplier;
  options.level0_trigger = config.level0_trigger;
  options.level0_slow = config.level0_slow;
  options.level0_stop = config.level0_stop;
  options.block_size = config.block_size;
  options.filter_bits_per_key = config.filter_bits_per_key;
  options.compression = config.compression;
  options.bottom_compression = config.bottom_compression;
  options.random_miss_one_in = config.debug_random_miss;
  return options;
}

std::string checkpoint_path(const Config& config) {
  if (!config.checkpoint_dir.empty() && config.checkpoint_dir[0] == '/') return config.checkpoint_dir;
  return join_path(config.dir, config.checkpoint_dir);
}

// --- command line ---

Result<CommandLine> parse_command_line(const std::vector<std::string>& args) {
  CommandLine line;
  if (args.size() == 1 && (args[0] == "-v" || args[0] == "--version"))
    line.action = CommandLine::Action::kVersion;
  if (args.size() == 1 && (args[0] == "-h" || args[0] == "--help")) line.action = CommandLine::Action::kHelp;
  if (line.action != CommandLine::Action::kServe) return line;
  size_t at = 0;
  if (at < args.size() && !args[at].empty() && args[at][0] != '-') line.file = args[at++];
  if (at < args.size() && args[at] == "-") {
    line.from_stdin = true;
    at++;
  }
  for (; at < args.size(); at++) {
    if (args[at].size() > 2 && args[at].compare(0, 2, "--") == 0) {
      line.settings += (line.settings.empty() ? "" : "\n") + quote_word(args[at].substr(2));
    } else if (line.settings.empty()) {
      return Status::invalid_argument(
          "'{}' on the command line is neither the first argument (a file) nor behind a --name", args[at]);
    } else {
      line.settings += " " + quote_word(args[at]);
    }
  }
  if (!line.settings.empty()) line.settings += "\n";
  return line;
}

std::string command_line_help() {
  return "Usage: varve-server [FILE] [-] [--name value ...]\n"
         "       varve-server --version | --help\n"
         "\n"
         "FILE     settings in Redis's syntax; conf/varve.conf explains each one\n"
         "-        more settings from standard input\n"
         "--name   any setting of the file, for example: --port 7777 --maxmemory 2gb --dir /var/lib/varve\n"
         "\n"
         "What comes later wins: defaults, FILE, standard input, command line.\n";
}

}  // namespace varve
