// nth.cc: varve_prove nth. A scripted life of a store over CrashFs (open, writes, flush, compaction,
// checkpoint, reads, close, open again); the N-th file call fails, once or from then on, for every N until
// none is left to fail. What must hold:
//
//   - a read is right or says that it failed; nothing hangs: every wait is bounded in turns;
//   - while calls fail nothing is acknowledged that a power cut then takes back (a failed sync loses what it
//     should have written, mem_fs.h); once fenced, nothing more is acknowledged;
//   - when calls work again the store goes on by itself: it admits writes and they become durable, all of it
//     reads right, and it closes; unless it is fenced: then a restart has everything acknowledged;
//   - a full disk never fences;
//   - a checkpoint that was reported done opens with what it should hold.
//
// The kinds: "eio" any call; "nospace" any call that changes something; "short" half of a write, then ENOSPC;
// "emfile" any call that opens a file; "full" the disk holds N bytes more and no others until space returns.
//
// One thing is asked of the operator: a store that was never opened because its directory could not be made
// durable, by a disk on which the directory could not be removed either, is not started again before the
// machine was (CrashFs takes a failed sync's names for lost, though lookups show them; journals do worse,
// they stop).
//
// Allocations are not failed here. varve's policy is that running out of memory ends the process (no code of
// it catches std::bad_alloc, base/buffer.h checks), so to the files it is a kill between two calls, which the
// simulator does everywhere. What must not happen is that a file's content decides how much is asked for:
// that is flip's, which watches every allocation while damaged files are read, and the fuzzers'.
//
//   --count N        trials (default 600), each of a script, a kind and an N of its own
//   --from N         number of the first one
//   --exhaustive 1   every N of every kind for the script of each seed from --seed on
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/log.h"
#include "prove/nth_life.h"
#include "prove/proof.h"

namespace varve::prove {
namespace {

constexpr uint64_t kDefaultCount = 600;

class Nth {
 public:
  Nth(const Options& options, Counters* counters) : options_(options), counters_(*counters) {}

  void run() {
    set_log_level(LogLevel::kNothing);
    if (options_.number("exhaustive", 0) != 0) return run_exhaustive();
    uint64_t from = options_.number("from", 0);
    for (uint64_t i = 0; go_on(options_, i, kDefaultCount); ++i) {
      uint64_t trial = from + i;
      Random random(options_.seed * 0x9e3779b97f4a7c15 + trial);
      uint64_t script = options_.seed * 1000 + random.below(20);
      auto kind = static_cast<ErrorKind>(random.below(kKindNames.size()));
      bool once = kind != ErrorKind::kFullDisk && random.one_in(2);
      const Totals& all = totals(script);
      run_one(script, all.plan(kind, once, 1 + random.below(std::max<uint64_t>(all.of(kind), 1))),
              fmt::format("varve_prove nth --seed {} --from {} --count 1", options_.seed, trial));
    }
  }

 private:
  // What the script does when nothing fails; it must then go well.
  const Totals& totals(uint64_t script) {
    auto found = totals_.find(script);
    if (found != totals_.end()) return found->second;
    LifeReport life = live(script, Plan());
    for (const std::string& text : life.wrong)
      counters_.violation(fmt::format("script {} without a fault: {}", script, text),
                          again_exhaustive(script));
    return totals_[script] = life.totals;
  }

  std::string again_exhaustive(uint64_t script) const {
    return fmt::format("varve_prove nth --exhaustive 1 --seed {} --count 1", script);
  }

  void run_exhaustive() {
    uint64_t done = 0, from = options_.number("from", 0), number = 0;
    for (uint64_t script = options_.seed;; ++script) {
      for (size_t kind = 0; kind < kKindNames.size(); ++kind) {
        for (bool once : {true, false}) {
          if (once && static_cast<ErrorKind>(kind) == ErrorKind::kFullDisk) continue;
          // Of bytes, one place in each page is enough.
          uint64_t step = static_cast<ErrorKind>(kind) == ErrorKind::kFullDisk ? 4096 : 1;
          uint64_t all = totals(script).of(static_cast<ErrorKind>(kind));
          for (uint64_t nth = 1; nth <= all; nth += step, ++number) {
            if (script == options_.seed && number < from) continue;
            if (!go_on(options_, done++, UINT64_MAX)) return;
            run_one(script, totals(script).plan(static_cast<ErrorKind>(kind), once, nth),
                    fmt::format("{} --from {}", again_exhaustive(script), number));
          }
        }
      }
      number = 0;
      counters_.add("scripts");
      if (options_.count == 0 && options_.seconds <= 0) return;  // one whole script
    }
  }

  void run_one(uint64_t script, const Plan& plan, const std::string& again) {
    const char* kind = kKindNames[static_cast<size_t>(plan.kind)];
    const char* mode = plan.once ? "once" : "always";
    if (options_.verbose) fmt::print("script {}: {} {} at {}\n", script, kind, mode, plan.nth);
    LifeReport life = live(script, plan);
    counters_.add("trials");
    if (life.fired) {
      counters_.add("fired");
      counters_.add(fmt::format("nth:{}:{}", kind, mode));
    }
    if (life.fenced) counters_.add("fenced");
    for (const std::string& text : life.wrong)
      counters_.violation(fmt::format("script {}: {} {} at {}: {}", script, kind, mode, plan.nth, text),
                          again);
  }

  const Options& options_;
  Counters& counters_;
  std::map<uint64_t, Totals> totals_;
};

void run(const Options& options, Counters* counters) {
  Nth(options, counters).run();
}

const Registration registration({"nth", "fails the N-th file call with each error, once and from then on",
                                 run});

}  // namespace
}  // namespace varve::prove
