#include "support/script.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace varve::test {
namespace {

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool has_blank_line(const std::string& text) {
  for (const std::string& line : split_lines(text)) {
    if (line.empty()) return true;
  }
  return false;
}

std::string with_newline(std::string text) {
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

}  // namespace

bool Step::has(const std::string& word) const {
  for (const std::string& w : words) {
    if (w == word) return true;
  }
  return false;
}

std::string Step::text(const std::string& key, const std::string& otherwise) const {
  auto it = options.find(key);
  return it == options.end() ? otherwise : it->second;
}

int64_t Step::number(const std::string& key, int64_t otherwise) const {
  auto it = options.find(key);
  return it == options.end() ? otherwise : std::stoll(it->second);
}

std::vector<std::string> Step::input_lines() const {
  return split_lines(input);
}

void run_script(const std::string& path, const std::function<std::string(const Step&)>& run) {
  std::string full = tests_dir() + "/" + path;
  std::ifstream file(full);
  REQUIRE_MESSAGE(file.good(), "cannot read " << full);
  std::stringstream whole;
  whole << file.rdbuf();
  std::vector<std::string> lines = split_lines(whole.str());

  const char* rewrite_flag = std::getenv("VARVE_REWRITE");
  bool rewrite = rewrite_flag != nullptr && std::string(rewrite_flag) == "1";
  std::string rewritten;
  int steps = 0;
  for (size_t i = 0; i < lines.size();) {
    if (lines[i].empty() || lines[i][0] == '#') {
      rewritten += lines[i++] + "\n";
      continue;
    }
    Step step;
    step.line = static_cast<int>(i) + 1;
    std::istringstream words(lines[i]);
    words >> step.name;
    for (std::string word; words >> word;) {
      size_t eq = word.find('=');
      if (eq == std::string::npos)
        step.words.push_back(word);
      else
        step.options[word.substr(0, eq)] = word.substr(eq + 1);
    }
    rewritten += lines[i++] + "\n";
    while (i < lines.size() && lines[i] != "----") {
      step.input += lines[i] + "\n";
      rewritten += lines[i++] + "\n";
    }
    REQUIRE_MESSAGE(i < lines.size(), full << ":" << step.line << ": step without ----");
    ++i;
    std::string expected;
    if (i < lines.size() && lines[i] == "----") {
      for (++i; i < lines.size() && !(lines[i] == "----" && i + 1 < lines.size() && lines[i + 1] == "----");
           ++i) {
        expected += lines[i] + "\n";
      }
      i += 2;
    } else {
      while (i < lines.size() && !lines[i].empty()) expected += lines[i++] + "\n";
    }
    std::string got = with_newline(run(step));
    ++steps;
    if (rewrite) {
      rewritten += has_blank_line(got) ? "----\n----\n" + got + "----\n----\n" : "----\n" + got;
    } else {
      CHECK_MESSAGE(got == expected, full << ":" << step.line << ": " << step.name << "\n--- expected\n"
                                          << expected << "--- got\n"
                                          << got);
    }
  }
  CHECK_MESSAGE(steps > 0, full << " has no step");
  if (rewrite) std::ofstream(full) << rewritten;
}

std::string tests_dir() {
  const char* dir = std::getenv("VARVE_TESTS_DIR");
  return dir != nullptr ? dir : VARVE_TESTS_DIR;
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "varve-test-XXXXXX").string();
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

uint64_t test_seed(uint64_t otherwise) {
  const char* seed = std::getenv("VARVE_SEED");
  return seed != nullptr ? std::strtoull(seed, nullptr, 0) : otherwise;
}

}  // namespace varve::test
