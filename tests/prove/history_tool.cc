// The tool `history FILE...`: checks each file (history.h), one history a file.
#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "prove/history.h"
#include "prove/proof.h"

namespace varve::prove {
namespace {

void check_file(const std::string& path, Counters* counters) {
  std::string again = "varve_prove history " + path;
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file) return counters->violation(path + ": cannot be read", again);
  Result<History> history = parse_history(text);
  if (!history) return counters->violation(path + ": " + history.status().to_string(), again);
  Verdict verdict = check_history(*history);
  counters->add("histories");
  counters->add("operations", history->operations.size());
  counters->add("crashes", history->crashes.size());
  counters->add("components", verdict.components);
  counters->add("given_up", verdict.given_up);
  for (const Operation& op : history->operations) counters->add("crossing_crash", op.unanswered);
  if (!verdict.violation.empty()) counters->violation(path + ": " + verdict.violation, again);
}

void run(const Options& options, Counters* counters) {
  for (const std::string& path : options.files) check_file(path, counters);
}

const Registration registration({"history", "are histories of concurrent clients linearizable? FILE...",
                                 run});

}  // namespace
}  // namespace varve::prove
