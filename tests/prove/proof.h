// proof.h: what every tool of the proof shares: its options and the counters it must show. A tool breaks
// varve on purpose, by seed; what it counts is what really happened (a fault that was planned but never fired
// is not counted), so that a run which did nothing cannot pass (scripts/prove.py holds the minimums).
//
//   build/tests/varve_prove TOOL [--seed N] [--count N] [--seconds N] [--json FILE] [--name value ...]
//
// --stop-at-violation 1 ends the program at the first one (for planted defects: what follows is of no
// interest). Without --seconds a tool does `count` rounds from `seed` on; with it, it starts no round after
// that time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace varve::prove {

// Counters by name, in sorted order. Names are "what" or "what:kind" ("fault:eio", "file:table").
class Counters {
 public:
  void add(const std::string& name, uint64_t n = 1) { counts_[name] += n; }
  uint64_t get(const std::string& name) const;
  // Something this machine or this run could not do. The permitted ones stand in tests/prove/permitted_skips.
  void skip(const std::string& what, const std::string& why) { skips_[what] = why; }
  // A violation: one line of what is wrong, and the command line that shows it again.
  void violation(const std::string& what, const std::string& again);
  uint64_t violations() const { return violations_.size(); }
  void merge(const Counters& other);

  std::string table() const;
  std::string json(std::string_view tool, double seconds) const;

 private:
  std::map<std::string, uint64_t> counts_;
  std::map<std::string, std::string> skips_;
  std::vector<std::pair<std::string, std::string>> violations_;
};

struct Options {
  uint64_t seed = 1;
  uint64_t count = 0;    // 0: the tool's own default
  double seconds = 0;    // of processor time, so that other load takes nothing away; 0: no limit
  bool verbose = false;  // say what is done
  std::map<std::string, std::string> more;  // the tool's own, by name without dashes
  std::vector<std::string> files;           // arguments without a name

  uint64_t number(const std::string& name, uint64_t otherwise) const;
  std::string text(const std::string& name, const std::string& otherwise) const;
};

// Time since the tool began; for rates only, never for a decision a seed should repeat.
double elapsed_s();
// Of processor time since the start: what Options::seconds limits.
double processor_s();
// True while another round may start: fewer than `count` rounds done, and time left.
bool go_on(const Options& options, uint64_t rounds_done, uint64_t default_count);

struct Tool {
  const char* name;
  const char* help;  // one line
  void (*run)(const Options& options, Counters* counters);
};
// Every tool defines one of these at namespace scope; main() finds it by name.
struct Registration {
  explicit Registration(Tool tool);
};

}  // namespace varve::prove
