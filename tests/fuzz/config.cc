// The configuration file: whatever it says, reading ends with settings or with a message; settings that were
// read are written back so that they read the same; words quoted are words again.
#include <algorithm>

#include "base/check.h"
#include "fuzz/target.h"
#include "server/config.h"
#include "server/config_text.h"

namespace varve::fuzz {
namespace {

void run(std::string_view input) {
  const std::string text(input);
  if (auto words = split_words(input.substr(0, input.find('\n')))) {
    std::string line;
    for (const std::string& word : *words) line += (line.empty() ? "" : " ") + quote_word(word);
    VARVE_CHECK(split_words(line) == words);
    auto command_line = parse_command_line(*words);
    VARVE_CHECK(command_line.ok() || !command_line.status().message().empty());
  }
  if (auto bytes = parse_memory(input)) VARVE_CHECK(parse_memory(format_memory(*bytes)) == bytes);

  Configuration configuration;
  Status status = configuration.load_text(text, "fuzz.conf");
  if (!status) {
    VARVE_CHECK(!status.message().empty());
    VARVE_CHECK(configuration.get("*") == Configuration().get("*"));
    return;
  }
  status = Configuration::check(configuration.values());
  VARVE_CHECK(status.ok() || !status.message().empty());
  Configuration again;
  std::string rewritten = configuration.rewritten(text);
  VARVE_CHECK(again.load_text(rewritten, "fuzz.conf").ok());
  VARVE_CHECK(again.get("*") == configuration.get("*"));
}

// Lines of the settings there are, some with other values.
std::string make(Random* random) {
  const auto settings = Configuration().get("*");
  std::string out;
  for (uint64_t n = random->below(8); n > 0; --n) {
    const auto& [name, value] = settings[random->below(settings.size())];
    out += random->one_in(6) ? "# " : "";
    out += name + " " + quote_word(random->one_in(3) ? std::to_string(edge_number(random, 32)) : value);
    out += random->one_in(9) ? "\r\n" : "\n";
  }
  return out;
}

void mutate(std::string* input, Random* random) {
  static const char* const kPieces[] = {"\"", "'",  "\\x4", "\\", "\n", "\r", " ",          "#",       "yes",
                                        "no", "mb", "gb",   "-1", "0",  "\t", "save 900 1", "\"\\n\"", "\0x"};
  if (random->one_in(4)) return mutate_bytes(input, random);
  std::string piece = kPieces[random->below(std::size(kPieces))];
  if (random->one_in(3)) piece = make(random);
  if (random->one_in(5)) piece = std::to_string(edge_number(random, 64));
  input->insert(random->below(input->size() + 1), piece);
}

uint64_t allocation_max(size_t input_size) {
  return 64 * 1024 + 64 * input_size;
}

const Registration registration({"config", "configuration files: read, checked, rewritten", 4096, run, make,
                                 mutate, allocation_max});

}  // namespace
}  // namespace varve::fuzz
