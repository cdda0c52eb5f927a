// script.h: data-driven tests (STYLE.md, "Tests"). A script file is a list of steps:
//
//   # comment                    a step is a line of words, name first, then options `word` or `key=value`;
//   name key=value word          lines up to "----" are its input, lines up to the next blank line its
//   input lines                  expected output. An expected output that has blank lines itself is written
//   ----                         between two lines "----" "----" (as in CockroachDB's datadriven).
//   expected lines
//
// VARVE_REWRITE=1 writes what came out into the file instead of comparing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace varve::test {

struct Step {
  std::string name;
  std::vector<std::string> words;              // options without '='
  std::map<std::string, std::string> options;  // options with '='
  std::string input;                           // with a newline at the end of each line
  int line = 0;

  bool has(const std::string& word) const;
  std::string text(const std::string& key, const std::string& otherwise = "") const;
  int64_t number(const std::string& key, int64_t otherwise = 0) const;
  std::vector<std::string> input_lines() const;
};

// `path` is relative to the tests folder. Fails the current doctest case for each step whose output differs.
void run_script(const std::string& path, const std::function<std::string(const Step&)>& run);

// The tests folder and the build folder, as the build told.
std::string tests_dir();

// A fresh empty directory below the system's temporary one, removed with everything in it at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// VARVE_SEED if it is set, else a fixed default; print it in failures.
uint64_t test_seed(uint64_t otherwise);

}  // namespace varve::test
