// The real pool: what its callers build on. Threads meet at latches, nothing sleeps.
#include "os/worker_pool.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <latch>
#include <string>
#include <thread>
#include <vector>

namespace varve {
namespace {

void finish_all(ThreadExecutor* pool) {
  while (pool->pending() > 0) pool->wait_completions();
}

}  // namespace

TEST_CASE("a lane of one thread starts and finishes jobs in order, on the right threads") {
  ThreadExecutor pool({});
  const std::thread::id owner = std::this_thread::get_id();
  std::vector<int> started, finished;  // started: only the lane's single thread touches it
  for (int i = 0; i < 200; ++i) {
    pool.submit(
        Lane::kLog,
        [i, owner, &started] {
          started.push_back(i);
          return std::this_thread::get_id() != owner;
        },
        [i, owner, &finished](bool on_worker) {
          CHECK(on_worker);
          CHECK(std::this_thread::get_id() == owner);
          finished.push_back(i);
        });
  }
  CHECK(pool.pending() == 200);
  finish_all(&pool);
  REQUIRE(started.size() == 200);
  CHECK(started == finished);
  for (int i = 0; i < 200; ++i) CHECK(finished[static_cast<size_t>(i)] == i);
}

TEST_CASE("lanes do not queue behind each other") {
  ThreadExecutor pool({});
  std::latch release(1);
  bool compacted = false;
  pool.submit(
      Lane::kCompact,
      [&] {
        release.wait();
        return 0;
      },
      [&](int) { compacted = true; });
  std::vector<Lane> others = {Lane::kLog, Lane::kManifest, Lane::kRead, Lane::kFlush, Lane::kUtility};
  size_t done = 0;
  for (Lane lane : others)
    pool.submit(
        lane, [] { return 0; }, [&](int) { ++done; });
  while (done < others.size()) pool.wait_completions();
  CHECK(!compacted);
  CHECK(pool.pending() == 1);
  release.count_down();
  finish_all(&pool);
  CHECK(compacted);
}

TEST_CASE("the threads of the read lane work at the same time") {
  WorkerPoolOptions options;
  options.threads[static_cast<size_t>(Lane::kRead)] = 3;
  ThreadExecutor pool(options);
  std::latch together(3);  // passed only if all three jobs run at once
  size_t done = 0;
  for (int i = 0; i < 3; ++i) {
    pool.submit(
        Lane::kRead,
        [&] {
          together.arrive_and_wait();
          return 0;
        },
        [&](int) { ++done; });
  }
  finish_all(&pool);
  CHECK(done == 3);
}

TEST_CASE("destruction runs and finishes everything, also what finish() submits") {
  int finished = 0;
  {
    ThreadExecutor pool({});
    for (int i = 0; i < 50; ++i) {
      pool.submit(
          static_cast<Lane>(i % kLaneCount), [i] { return i; },
          [&](int first) {
            ++finished;
            if (first % 5 != 0) return;
            pool.submit(
                Lane::kUtility, [] { return 0; },
                [&](int) {
                  ++finished;
                  pool.submit(
                      Lane::kFlush, [] { return 0; }, [&](int) { ++finished; });
                });
          });
    }
  }
  CHECK(finished == 50 + 10 + 10);
}

TEST_CASE("jobs are destroyed on the owner's thread after finish()") {
  struct Probe final : Job {
    explicit Probe(std::thread::id* t) : destroyed_on(t) {}
    ~Probe() override { *destroyed_on = std::this_thread::get_id(); }
    void run() override {}
    void finish() override {}
    std::thread::id* destroyed_on;
  };
  std::thread::id destroyed_on;
  ThreadExecutor pool({});
  pool.submit_job(Lane::kRead, std::make_unique<Probe>(&destroyed_on));
  finish_all(&pool);
  CHECK(destroyed_on == std::this_thread::get_id());
}

TEST_CASE("notify comes once for many completions, and again after they were taken") {
  std::atomic<int> notified{0};
  WorkerPoolOptions options;
  options.notify = [&] { notified.fetch_add(1); };
  std::vector<int> finished;  // outlives the pool, which drains into it
  ThreadExecutor pool(options);
  auto submit_and_run = [&](int from, int to) {
    for (int i = from; i < to; ++i) {
      pool.submit(
          Lane::kLog, [i] { return i; }, [&](int v) { finished.push_back(v); });
    }
    // The last job of the lane runs when all before it are in the completion queue.
    std::latch last(1);
    pool.submit(
        Lane::kLog,
        [&] {
          last.count_down();
          return -1;
        },
        [&](int v) { finished.push_back(v); });
    last.wait();
  };
  submit_and_run(0, 20);
  CHECK(notified.load() == 1);
  CHECK(finished.empty());

  SUBCASE("all taken") {
    finish_all(&pool);
    CHECK(finished.size() == 21);
    int before = -1;  // read on the lane's thread: behind every earlier notify
    pool.submit(
        Lane::kLog, [&] { return before = notified.load(); }, [](int) {});
    submit_and_run(20, 30);
    CHECK(notified.load() == before + 1);
    finish_all(&pool);  // `before` ends here
  }
  SUBCASE("a limit leaves some behind: the owner is told again") {
    CHECK(pool.run_completions(5) == 5);
    CHECK(finished == std::vector<int>{0, 1, 2, 3, 4});
    CHECK(notified.load() >= 2);
    finish_all(&pool);
    CHECK(finished.size() == 21);
  }
}

TEST_CASE("run_completions does not wait, wait_completions returns when nothing is left") {
  ThreadExecutor pool({});
  CHECK(pool.wait_completions() == 0);
  std::latch release(1);
  pool.submit(
      Lane::kUtility,
      [&] {
        release.wait();
        return 0;
      },
      [](int) {});
  CHECK(pool.run_completions() == 0);
  release.count_down();
  CHECK(pool.wait_completions() == 1);
  CHECK(pool.pending() == 0);
}

TEST_CASE("finish() may run completions itself") {
  ThreadExecutor pool({});
  std::vector<int> finished;
  for (int i = 0; i < 3; ++i) {
    pool.submit(
        Lane::kLog, [i] { return i; },
        [&](int v) {
          while (v == 0 && pool.pending() > 0) pool.wait_completions();
          finished.push_back(v);
        });
  }
  finish_all(&pool);
  CHECK(finished == std::vector<int>{1, 2, 0});
}

TEST_CASE("owner and workers hand over many jobs without losing one") {
  ThreadExecutor pool({});
  uint64_t sum = 0;
  constexpr uint64_t kJobs = 20000;
  for (uint64_t i = 1; i <= kJobs; ++i) {
    pool.submit(
        static_cast<Lane>(i % kLaneCount), [i] { return i; }, [&](uint64_t v) { sum += v; });
    if (i % 64 == 0) pool.wait_completions();
    if (i % 7 == 0) pool.run_completions(3);
  }
  finish_all(&pool);
  CHECK(sum == kJobs * (kJobs + 1) / 2);
}

TEST_CASE("workers leave signals to the owner, and the background lanes step back") {
  struct Seen {
    bool blocks_term;
    bool blocks_segv;
    int nice;
    std::string name;
  };
  auto look = [] {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    char name[16] = {};
    pthread_getname_np(pthread_self(), name, sizeof name);
    int nice = getpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)));
    return Seen{sigismember(&mask, SIGTERM) == 1, sigismember(&mask, SIGSEGV) == 1, nice, name};
  };
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  ThreadExecutor pool({});
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  CHECK(sigismember(&before, SIGTERM) == sigismember(&after, SIGTERM));

  Seen log{}, compact{};
  pool.submit(Lane::kLog, look, [&](Seen s) { log = std::move(s); });
  pool.submit(Lane::kCompact, look, [&](Seen s) { compact = std::move(s); });
  finish_all(&pool);
  CHECK(log.blocks_term);
  CHECK(!log.blocks_segv);
  CHECK(log.name == "varve-log-0");
  CHECK(compact.name == "varve-compact-0");
  CHECK((compact.nice > log.nice || log.nice == 19));
}

}  // namespace varve
