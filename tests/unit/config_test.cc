// The settings: what a file, the command line and CONFIG SET make of them.
#include "server/config.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "server/config_settings.h"
#include "server/config_text.h"
#include "support/script.h"

namespace varve {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream in(path);
  REQUIRE(in.good());
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string conf_text() {
  return read_file(test::tests_dir() + "/../conf/varve.conf");
}

// Goal: file, CONFIG GET, CONFIG SET and CONFIG REWRITE as a user sees them. Method: one configuration goes
// through the script.
class ConfigScript {
 public:
  std::string run(const test::Step& step) {
    if (step.name == "reset") {
      configuration_ = Configuration();
      return "";
    }
    if (step.name == "load")
      return load(step.input,
                  step.has("command-line") ? kCommandLineOrigin : step.text("origin", "test.conf"));
    if (step.name == "get") return get(step);
    if (step.name == "set") return set(step);
    if (step.name == "check") return message(Configuration::check(configuration_.values()));
    if (step.name == "rewrite") return configuration_.rewritten(step.input);
    if (step.name == "words") return words(step);
    if (step.name == "memory") return memory(step);
    if (step.name == "arguments") return arguments(step);
    if (step.name == "plan") return plan(step);
    return "unknown step\n";
  }

 private:
  static std::string message(const Status& status) { return (status.ok() ? "ok" : status.message()) + "\n"; }

  std::string load(const std::string& text, const std::string& origin) {
    return message(configuration_.load_text(text, origin));
  }

  std::string get(const test::Step& step) {
    std::string out;
    for (const std::string& pattern : step.words) {
      for (const auto& [name, value] : configuration_.get(pattern))
        out += name + " = " + quote_word(value) + "\n";
    }
    return out.empty() ? "none\n" : out;
  }

  // Each input line is a name and its value; "refuse" makes the server say no.
  std::string set(const test::Step& step) {
    std::vector<std::pair<std::string, std::string>> settings;
    for (const std::string& line : step.input_lines()) {
      auto words = split_words(line);
      settings.emplace_back(words->at(0), words->at(1));
    }
    return message(configuration_.set(settings, [&](const Config&, const Config&) {
      return step.has("refuse") ? Status::invalid_argument("the server says no") : Status();
    }));
  }

  static std::string words(const test::Step& step) {
    std::string out;
    for (const std::string& line : step.input_lines()) {
      auto words = split_words(line);
      if (!words) {
        out += "unbalanced\n";
        continue;
      }
      out += std::to_string(words->size()) + ":";
      for (const std::string& word : *words) out += " " + quote_word(word);
      out += "\n";
      std::string again;
      for (const std::string& word : *words) again += quote_word(word) + " ";
      CHECK(split_words(again) == words);
    }
    return out;
  }

  static std::string memory(const test::Step& step) {
    std::string out;
    for (const std::string& line : step.input_lines()) {
      auto bytes = parse_memory(line);
      out += bytes ? std::to_string(*bytes) + " " + format_memory(*bytes) + "\n" : "no memory value\n";
    }
    return out;
  }

  static std::string arguments(const test::Step& step) {
    auto line = parse_command_line(step.words);
    if (!line) return message(line.status());
    std::string out = "file=" + quote_word(line->file) + (line->from_stdin ? " stdin" : "");
    if (line->action == CommandLine::Action::kVersion) out = "version";
    if (line->action == CommandLine::Action::kHelp) out = "help";
    return out + "\n" + line->settings;
  }

  std::string plan(const test::Step& step) {
    auto plan = configuration_.plan(parse_memory(step.text("machine")).value());
    if (!plan) return message(plan.status());
    auto mb = [](uint64_t bytes) { return std::to_string(bytes >> 20); };
    return "maxmemory " + mb(plan->maxmemory) + " memtable " + mb(plan->memtable) + " cache " +
           mb(plan->block_cache) + " clients " + mb(plan->clients) + " jobs " + mb(plan->jobs) + "\n";
  }

  Configuration configuration_;
};

TEST_CASE("configuration script") {
  ConfigScript script;
  test::run_script("script/config.txt", [&](const test::Step& step) { return script.run(step); });
}

// Goal: the documented file says the truth. Method: it loads, equals the defaults, and names every setting
// below a comment.
TEST_CASE("conf/varve.conf holds every setting with its default and a reason") {
  std::string text = conf_text();
  Configuration configuration;
  Status status = configuration.load_text(text, "varve.conf");
  REQUIRE_MESSAGE(status.ok(), status.message());
  CHECK(Configuration::check(configuration.values()).ok());
  for (const Setting& setting : all_settings()) {
    CAPTURE(setting.name);
    CHECK(setting.get(configuration.values()) == setting.get(Config()));
  }
  CHECK(configuration.values() == Config());
  CHECK(configuration.rewritten(text) == text);

  std::map<std::string, bool> documented;  // name -> its comment begins with [live]
  std::string comment;
  bool in_comment = false;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.empty()) {
      comment.clear();
    } else if (line[0] == '#') {
      if (!in_comment) comment = line;
    } else {
      CHECK_MESSAGE(!comment.empty(), line);
      documented[line.substr(0, line.find(' '))] = comment.rfind("# [live]", 0) == 0;
    }
    in_comment = !line.empty() && line[0] == '#';
  }
  // Two that CONFIG SET takes with their only value carry no [live].
  const std::set<std::string> constant = {"appendonly", "save"};
  for (const Setting& setting : all_settings()) {
    CAPTURE(setting.name);
    REQUIRE(documented.count(setting.name) == 1);
    if (constant.count(setting.name) == 0) CHECK(documented[setting.name] == setting.changeable);
  }
}

// Goal: what a setting prints, it reads back as the same value.
TEST_CASE("every setting reads what it writes") {
  for (const Setting& setting : all_settings()) {
    CAPTURE(setting.name);
    Config config;
    auto words = split_words(setting.file_line(config));
    REQUIRE(words);
    CHECK(words->front() == setting.name);
    words->erase(words->begin());
    CHECK(setting.parse(config, *words).ok());
    CHECK(config == Config());
    CHECK(!setting.allowed.empty());
    CHECK(find_setting(setting.name) == &setting);
  }
}

TEST_CASE("a line of blanks is no setting, whatever the blanks") {
  Configuration configuration;
  CHECK(configuration.load_text(std::string("\0\n \v\f\0\r\nport 7000\n", 17), "file").ok());
  CHECK(configuration.values().port == 7000);
}

// Goal: all or nothing, also when the server refuses.
TEST_CASE("a refused CONFIG SET changes nothing") {
  Configuration configuration;
  Status status = configuration.set({{"timeout", "5"}, {"maxclients", "0"}}, nullptr);
  CHECK(!status.ok());
  status = configuration.set({{"timeout", "5"}}, [](const Config& now, const Config& next) {
    CHECK(now.timeout_s == 0);
    CHECK(next.timeout_s == 5);
    return Status::no_space("no");
  });
  CHECK(status.message() == "CONFIG SET failed (possibly related to argument 'timeout') - no");
  CHECK(configuration.values() == Config());
}

TEST_CASE("the engine's options come from the settings") {
  Configuration configuration;
  REQUIRE(
      configuration
          .load_text("appendfsync everysec\nblock-size 4kb\nbottom-compression none\nlevel0-stop 20\n", "t")
          .ok());
  auto plan = plan_memory(configuration.values(), 8ull << 30);
  REQUIRE(plan.ok());
  EngineOptions options = engine_options(configuration.values(), *plan);
  CHECK(options.sync == SyncMode::kEverySecond);
  CHECK(options.block_size == 4096);
  CHECK(options.bottom_compression == Compression::kNone);
  CHECK(options.level0_stop == 20);
  CHECK(options.memtable_size == plan->memtable);
  CHECK(options.block_cache_size == plan->block_cache);
  // The settings' defaults are the engine's own.
  EngineOptions defaults = engine_options(Config(), *plan_memory(Config(), 8ull << 30));
  CHECK(defaults.log_max_bytes == EngineOptions().log_max_bytes);
  CHECK(defaults.table_size == EngineOptions().table_size);
  CHECK(defaults.level_multiplier == EngineOptions().level_multiplier);
  CHECK(checkpoint_path(Config()) == "./data/checkpoints");
}

}  // namespace
}  // namespace varve
