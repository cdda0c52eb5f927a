// worker_pool.cc: threads in lanes. The owner takes no lock here: it pushes jobs onto lock-free lists and
// takes finished ones off another, so that a low-priority worker preempted in the middle of something can
// never hold the loop up. The only mutex is one per lane, among that lane's workers.
//
//   owner --push--> lane inbox (a stack, newest first) --a worker turns it round--> lane queue --> run()
//   owner <--takes all, turns round-- completions (a stack; the push that finds it empty notifies) <--'

#include "os/worker_pool.h"

#include <fmt/format.h>
#include <linux/ioprio.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"

namespace varve {
namespace {

constexpr std::array<const char*, kLaneCount> kLaneNames = {"log",   "manifest", "read",
                                                            "flush", "compact",  "utility"};

// What the lanes that must not disturb the others add to the process's nice, and their best-effort I/O level
// (0 high
// .. 7 low, 4 normal).
struct Background {
  Lane lane;
  int nice;
  int io_level;
};
constexpr Background kBackground[] = {{Lane::kCompact, 10, 7}, {Lane::kUtility, 5, 6}};

// A job and its link; the same node serves the inbox and the completions.
struct Node {
  std::unique_ptr<Job> job;
  Node* next = nullptr;
};

// Many threads push, one at a time takes everything.
class NodeStack {
 public:
  // True when it was empty.
  bool push(Node* node) {
    Node* head = head_.load(std::memory_order_relaxed);
    do {
      node->next = head;
    } while (!head_.compare_exchange_weak(head, node, std::memory_order_seq_cst, std::memory_order_relaxed));
    return head == nullptr;  // node itself may be gone already
  }
  bool empty() const { return head_.load(std::memory_order_seq_cst) == nullptr; }
  // Appends everything, oldest first.
  void take_all(std::deque<std::unique_ptr<Node>>* out) {
    Node* node = head_.exchange(nullptr, std::memory_order_acquire);
    Node* oldest = nullptr;
    while (node != nullptr) {
      Node* next = node->next;
      node->next = oldest;
      oldest = node;
      node = next;
    }
    while (oldest != nullptr) out->emplace_back(std::exchange(oldest, oldest->next));
  }

 private:
  std::atomic<Node*> head_{nullptr};
};

// A counting semaphore whose owner never blocks in post().
class Semaphore {
 public:
  Semaphore() { VARVE_CHECK(::sem_init(&sem_, 0, 0) == 0); }
  ~Semaphore() { ::sem_destroy(&sem_); }
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;
  void post() { VARVE_CHECK(::sem_post(&sem_) == 0); }
  void wait() {
    while (::sem_wait(&sem_) < 0) VARVE_CHECK(errno == EINTR);
  }

 private:
  sem_t sem_;
};

// Signals belong to the owner's thread, except those that a thread raises by its own fault or a profiler's
// clock.
sigset_t worker_signal_mask() {
  sigset_t mask;
  sigfillset(&mask);
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF})
    sigdelset(&mask, signal);
  return mask;
}

// For the calling thread; a system that refuses costs smoothness only.
void lower_priority(const Background& background) {
  const id_t thread = static_cast<id_t>(::syscall(SYS_gettid));
  const int nice = std::min(::getpriority(PRIO_PROCESS, thread) + background.nice, 19);
  static_cast<void>(::setpriority(PRIO_PROCESS, thread, nice));
  static_cast<void>(::syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
                              IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, background.io_level)));
}

}  // namespace

struct ThreadExecutor::Shared {
  struct LaneState {
    NodeStack inbox;
    Semaphore jobs;  // one for each job in inbox and queue, and one for each worker when stopping
    std::mutex mutex;
    std::deque<std::unique_ptr<Node>> queue;  // under mutex
    std::vector<std::thread> threads;
  };

  explicit Shared(std::function<void()> n) : notify(std::move(n)) {}

  void work(Lane lane, int number);
  std::unique_ptr<Node> next_job(LaneState* lane);
  void complete(std::unique_ptr<Node> node);
  void wait_for_completion();

  const std::function<void()> notify;
  std::array<LaneState, kLaneCount> lanes;
  NodeStack completions;
  std::deque<std::unique_ptr<Node>> taken;  // owner's: off the completions, not yet finished
  std::atomic<bool> owner_waits{false};
  Semaphore wake_owner;
};

void ThreadExecutor::Shared::work(Lane lane, int number) {
  const auto index = static_cast<size_t>(lane);
  std::string name = fmt::format("varve-{}-{}", kLaneNames[index], number);
  name.resize(std::min<size_t>(name.size(), 15));  // the kernel's limit
  pthread_setname_np(pthread_self(), name.c_str());
  for (const Background& background : kBackground) {
    if (background.lane == lane) lower_priority(background);
  }
  while (std::unique_ptr<Node> node = next_job(&lanes[index])) {
    node->job->run();
    complete(std::move(node));
  }
}

// Waits for a job; null when the pool stops.
std::unique_ptr<Node> ThreadExecutor::Shared::next_job(LaneState* lane) {
  lane->jobs.wait();
  std::lock_guard<std::mutex> hold(lane->mutex);
  if (lane->queue.empty()) lane->inbox.take_all(&lane->queue);
  if (lane->queue.empty()) return nullptr;
  std::unique_ptr<Node> node = std::move(lane->queue.front());
  lane->queue.pop_front();
  return node;
}

void ThreadExecutor::Shared::complete(std::unique_ptr<Node> node) {
  if (!completions.push(node.release())) return;
  // The owner announces that it waits before it looks again, we push before we look: one of us sees the
  // other.
  if (owner_waits.exchange(false)) wake_owner.post();
  if (notify) notify();
}

void ThreadExecutor::Shared::wait_for_completion() {
  owner_waits.store(true);
  // Not empty: a completion has come. Whoever clears the flag first decides whether a post is on its way.
  if (!completions.empty() && owner_waits.exchange(false)) return;
  wake_owner.wait();
}

ThreadExecutor::ThreadExecutor(WorkerPoolOptions options)
    : shared_(std::make_unique<Shared>(std::move(options.notify))) {
  const sigset_t mask = worker_signal_mask();
  sigset_t before;
  VARVE_CHECK(pthread_sigmask(SIG_BLOCK, &mask, &before) == 0);  // threads inherit it
  for (int i = 0; i < kLaneCount; ++i) {
    const Lane lane = static_cast<Lane>(i);
    const int threads = options.threads[static_cast<size_t>(i)];
    VARVE_CHECK(threads >= 1);
    VARVE_CHECK(threads == 1 || (lane != Lane::kLog && lane != Lane::kManifest));
    for (int n = 0; n < threads; ++n) {
      shared_->lanes[static_cast<size_t>(i)].threads.emplace_back(
          [shared = shared_.get(), lane, n] { shared->work(lane, n); });
    }
  }
  VARVE_CHECK(pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
}

ThreadExecutor::~ThreadExecutor() {
  while (pending_ > 0) wait_completions();
  for (Shared::LaneState& lane : shared_->lanes) {
    for (size_t i = 0; i < lane.threads.size(); ++i) lane.jobs.post();
    for (std::thread& thread : lane.threads) thread.join();
  }
}

void ThreadExecutor::submit_job(Lane lane, std::unique_ptr<Job> job) {
  Shared::LaneState& state = shared_->lanes[static_cast<size_t>(lane)];
  auto node = std::make_unique<Node>();
  node->job = std::move(job);
  ++pending_;
  state.inbox.push(node.release());
  state.jobs.post();
}

size_t ThreadExecutor::run_completions(size_t limit) {
  // Only what is there now: finish() may submit jobs whose completions would keep the owner here for ever.
  shared_->completions.take_all(&shared_->taken);
  size_t count = std::min(limit, shared_->taken.size());
  size_t finished = 0;
  while (finished < count && !shared_->taken.empty()) {  // finish() may run completions itself
    std::unique_ptr<Node> node = std::move(shared_->taken.front());
    shared_->taken.pop_front();
    --pending_;
    node->job->finish();
    ++finished;
  }
  // No worker will tell of the ones left behind.
  if (!shared_->taken.empty() && shared_->notify) shared_->notify();
  return finished;
}

size_t ThreadExecutor::wait_completions() {
  if (pending_ == 0) return 0;
  // A loop: the wake-up may come late, for a completion that run_completions has taken since.
  while (shared_->taken.empty() && shared_->completions.empty()) shared_->wait_for_completion();
  return run_completions();
}

}  // namespace varve
