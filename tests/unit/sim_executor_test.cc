// The simulated executor: repeatable, and within (but as wild as) what the real pool may do.
#include "support/sim_executor.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

namespace varve::test {
namespace {

constexpr uint64_t kSeeds = 300;

SimExecutor::Options with_history() {
  SimExecutor::Options options;
  options.keep_history = true;
  return options;
}

// Some work for every lane, the owner looking in now and then; jobs submit more when they finish.
std::string run_of(uint64_t seed) {
  SimExecutor executor(seed, with_history());
  for (int i = 0; i < 30; ++i) {
    executor.submit(
        static_cast<Lane>(i % kLaneCount), [i] { return i; },
        [&executor](int v) {
          if (v % 4 == 0)
            executor.submit(
                Lane::kRead, [] { return -1; }, [](int) {});
        });
    if (i % 5 == 0) executor.run_completions();
  }
  while (executor.pending() > 0) executor.wait_completions();
  return executor.history();
}

// Runs `n` jobs of one lane and tells in which order they ran and finished: "0 1 2 | 0 1 2".
std::string orders(uint64_t seed, Lane lane, int n) {
  SimExecutor executor(seed);
  std::string ran, finished;
  for (int i = 0; i < n; ++i) {
    executor.submit(
        lane,
        [i, &ran] {
          ran += std::to_string(i) + " ";
          return i;
        },
        [&finished](int v) { finished += " " + std::to_string(v); });
  }
  while (executor.pending() > 0) executor.wait_completions();
  return ran + "|" + finished;
}

}  // namespace

TEST_CASE("the same seed is the same run, another seed another") {
  CHECK(run_of(1) == run_of(1));
  CHECK(run_of(1) != run_of(2));
}

TEST_CASE("a lane of one thread keeps its order under every seed") {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    CHECK(orders(seed, Lane::kLog, 5) == "0 1 2 3 4 | 0 1 2 3 4");
  }
}

TEST_CASE("a lane of four threads overtakes, but only as far as four threads can") {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    std::string order = orders(seed, Lane::kRead, 6);
    seen.insert(order);
    // Job 4 needs a thread: one of 0..3 has finished running by then. So it is never first.
    CHECK(order[0] < '4');
    CHECK(order.size() == std::string("0 1 2 3 4 5 | 0 1 2 3 4 5").size());
  }
  CHECK(seen.size() > 50);
}

TEST_CASE("lanes overtake each other both ways") {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimExecutor executor(seed);
    std::string finished;
    executor.submit(
        Lane::kLog, [] { return 0; }, [&](int) { finished += "log "; });
    executor.submit(
        Lane::kFlush, [] { return 0; }, [&](int) { finished += "flush "; });
    while (executor.pending() > 0) executor.wait_completions();
    seen.insert(finished);
  }
  CHECK(seen == std::set<std::string>{"log flush ", "flush log "});
}

TEST_CASE("a job may have run long before its owner hears of it") {
  int gaps = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimExecutor executor(seed);
    bool ran = false, finished = false;
    executor.submit(
        Lane::kLog, [&] { return ran = true; }, [&](bool) { finished = true; });
    for (int i = 0; i < 3 && !finished; ++i) {
      executor.run_completions();
      if (ran && !finished) ++gaps;
    }
  }
  CHECK(gaps > 10);
}

TEST_CASE("run_completions may do nothing, wait_completions always gets on") {
  int idle = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimExecutor executor(seed);
    CHECK(executor.wait_completions() == 0);
    executor.submit(
        Lane::kCompact, [] { return 0; }, [](int) {});
    if (executor.run_completions() == 0) {
      ++idle;
      CHECK(executor.wait_completions() == 1);
    }
    CHECK(executor.pending() == 0);
  }
  CHECK(idle > 10);
}

TEST_CASE("a limit holds, and the rest comes later in order") {
  SimExecutor executor(3);
  std::vector<int> finished;
  for (int i = 0; i < 4; ++i)
    executor.submit(
        Lane::kLog, [i] { return i; }, [&](int v) { finished.push_back(v); });
  while (executor.step()) {
  }
  CHECK(finished.empty());
  CHECK(executor.run_completions(3) == 3);
  CHECK(finished == std::vector<int>{0, 1, 2});
  CHECK(executor.run_completions() == 1);
}

TEST_CASE("a kill drops jobs unfinished but destroyed; the end of the executor drains") {
  struct Probe final : Job {
    explicit Probe(std::vector<std::string>* l) : log(l) {}
    ~Probe() override { log->push_back("gone"); }
    void run() override { log->push_back("run"); }
    void finish() override { log->push_back("finish"); }
    std::vector<std::string>* log;
  };
  std::vector<std::string> log;
  {
    SimExecutor executor(1);
    executor.submit_job(Lane::kLog, std::make_unique<Probe>(&log));
    executor.step();  // run
    executor.submit_job(Lane::kLog, std::make_unique<Probe>(&log));
    executor.drop_all();
    CHECK(executor.pending() == 0);
    CHECK(log == std::vector<std::string>{"run", "gone", "gone"});
    log.clear();
    executor.submit_job(Lane::kUtility, std::make_unique<Probe>(&log));
  }
  CHECK(log == std::vector<std::string>{"run", "finish", "gone"});
}

}  // namespace varve::test
