// driver.cc: varve_prove fuzz. Runs every target (or --target NAME) without libFuzzer: first the corpus kept
// in tests/fuzz/corpus/NAME, then inputs made and mutated from the seed. An input that fails takes the
// process down with a failed check or a sanitizer's report; it is left in ./fuzz-NAME.input, and can be given
// back as an argument.
//
//   --target NAME         only this one
//   --count N             inputs for each target (default 2000); --seconds N is shared among them
//   --from N              number of the first one; each is drawn from the seed and its number alone
//   --make-corpus DIR     writes a few sound and a few damaged inputs of each target below DIR, runs nothing
//   FILE...               with --target: runs these files
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "base/log.h"
#include "fuzz/target.h"
#include "os/file_system.h"
#include "prove/allocations.h"
#include "prove/proof.h"

namespace varve::fuzz {
namespace {

using prove::Counters;
using prove::Options;

constexpr uint64_t kDefaultCount = 2000;
constexpr uint64_t kMadeInputs = 200;  // sound inputs that mutations start from, besides the corpus
constexpr uint64_t kCorpusFiles = 6;

// The input that is being run, for whoever dies of it.
const Target* running = nullptr;
std::string_view running_input;

void keep_input(int signal) {
  std::signal(signal, SIG_DFL);
  if (running != nullptr) {
    std::string name = fmt::format("fuzz-{}.input", running->name);
    if (std::FILE* file = std::fopen(name.c_str(), "w")) {
      std::fwrite(running_input.data(), 1, running_input.size(), file);
      std::fclose(file);
      fmt::print(stderr, "the input is in {}; again: varve_prove fuzz --target {} {}\n", name, running->name,
                 name);
    }
  }
  std::raise(signal);
}

class Fuzz {
 public:
  Fuzz(const Options& options, Counters* counters) : options_(options), counters_(*counters) {}

  void run() {
    set_log_level(LogLevel::kNothing);
    for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, keep_input);
    std::string only = options_.text("target", "");
    std::vector<Target> chosen;
    for (const Target& target : targets()) {
      if (only.empty() || only == target.name) chosen.push_back(target);
    }
    std::sort(chosen.begin(), chosen.end(),
              [](const Target& a, const Target& b) { return std::strcmp(a.name, b.name) < 0; });
    if (chosen.empty()) return counters_.violation("no target of that name", "");
    for (size_t i = 0; i < chosen.size(); ++i) {
      const double share = static_cast<double>(i + 1) / static_cast<double>(chosen.size());
      fuzz(chosen[i], options_.seconds * share);
    }
    running = nullptr;
  }

 private:
  void fuzz(const Target& target, double until_s) {
    if (std::string dir = options_.text("make-corpus", ""); !dir.empty()) return make_corpus(target, dir);
    if (!options_.files.empty()) {
      for (const std::string& path : options_.files) run_file(target, path);
      return;
    }
    std::vector<std::string> seeds = read_corpus(target);
    for (const std::string& input : seeds) run_one(target, input, "");
    counters_.add(fmt::format("corpus:{}", target.name), seeds.size());
    uint64_t count = options_.count ? options_.count : options_.seconds > 0 ? UINT64_MAX : kDefaultCount;
    uint64_t from = options_.number("from", 0);
    for (uint64_t i = 0; i < count && (options_.seconds <= 0 || prove::processor_s() < until_s); ++i) {
      std::string again = fmt::format("varve_prove fuzz --target {} --seed {} --from {} --count 1",
                                      target.name, options_.seed, from + i);
      run_one(target, draw(target, seeds, from + i), again);
    }
  }

  // Depends on the seed, the number and the corpus only.
  std::string draw(const Target& target, const std::vector<std::string>& seeds, uint64_t number) const {
    Random random(options_.seed * 0x9e3779b97f4a7c15 + number);
    std::string input;
    if (!seeds.empty() && random.one_in(3)) {
      input = seeds[random.below(seeds.size())];
    } else {
      Random maker(options_.seed * 1000 + random.below(kMadeInputs));
      input = target.make(&maker);
    }
    for (uint64_t n = random.below(6); n > 0; --n) {
      if (random.one_in(4))
        mutate_bytes(&input, &random);
      else
        target.mutate(&input, &random);
    }
    if (input.size() > target.size_max) input.resize(target.size_max);
    return input;
  }

  void run_one(const Target& target, const std::string& input, const std::string& again) {
    running = &target;
    running_input = input;
    prove::reset_allocations();
    target.run(input);
    uint64_t largest = prove::allocations().largest;
    if (largest > target.allocation_max(input.size())) {
      counters_.violation(fmt::format("{}: an input of {} bytes makes it allocate {} at once", target.name,
                                      input.size(), largest),
                          again);
    }
    counters_.add("execs");
    counters_.add(fmt::format("execs:{}", target.name));
  }

  void run_file(const Target& target, const std::string& path) {
    auto bytes = posix_file_system().read_whole(path);
    if (!bytes) return counters_.violation(bytes.status().to_string(), "");
    run_one(target, *bytes, fmt::format("varve_prove fuzz --target {} {}", target.name, path));
  }

  static std::string corpus_dir(const Target& target) {
    return fmt::format("{}/fuzz/corpus/{}", VARVE_TESTS_DIR, target.name);
  }

  std::vector<std::string> read_corpus(const Target& target) {
    std::vector<std::string> inputs;
    const std::string dir = corpus_dir(target);
    auto names = posix_file_system().list(dir);
    if (!names) {
      counters_.violation(fmt::format("{}: no corpus: {}", target.name, names.status().to_string()), "");
      return inputs;
    }
    for (const std::string& name : *names) {
      auto bytes = posix_file_system().read_whole(join_path(dir, name));
      if (bytes)
        inputs.push_back(bytes.take());
      else
        counters_.violation(bytes.status().to_string(), "");
    }
    return inputs;
  }

  void make_corpus(const Target& target, const std::string& into) {
    FileSystem& fs = posix_file_system();
    const std::string dir = join_path(into, target.name);
    Status status = fs.create_dir(dir);
    for (uint64_t i = 0; i < kCorpusFiles && status; ++i) {
      Random random(1 + i);
      std::string input = target.make(&random);
      if (i % 3 == 2) target.mutate(&input, &random);
      status = fs.replace_whole(dir, fmt::format("{:02}", i), input);
    }
    if (!status) counters_.violation(status.to_string(), "");
  }

  const Options& options_;
  Counters& counters_;
};

void run(const Options& options, Counters* counters) {
  Fuzz(options, counters).run();
}

const prove::Registration registration({"fuzz", "feeds readers of outside bytes with made and mutated ones",
                                        run});

}  // namespace
}  // namespace varve::fuzz
