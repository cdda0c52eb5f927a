#include "server/checkpoints.h"

#include <algorithm>
#include <vector>

#include "base/log.h"

namespace varve {
namespace {

constexpr char kPrefix[] = "checkpoint-";

// Worker. Only what looks like one of ours, and is no deeper than a checkpoint is, goes.
Status remove_old(FileSystem& fs, const std::string& parent, int keep) {
  auto names = fs.list(parent);
  if (!names) return names.status();
  std::vector<std::string> ours;
  for (const std::string& name : *names) {
    if (name.rfind(kPrefix, 0) == 0) ours.push_back(name);
  }
  for (size_t i = 0; i + static_cast<size_t>(keep) < ours.size(); ++i) {
    std::string dir = join_path(parent, ours[i]);
    auto files = fs.list(dir);
    if (!files) return files.status();
    for (const std::string& file : *files) VARVE_TRY(fs.remove(join_path(dir, file)));
    VARVE_TRY(fs.remove_dir(dir));
  }
  return Status();
}

}  // namespace

Checkpoints::Checkpoints(FileSystem& fs, Executor& executor, Clock& clock)
    : fs_(fs), executor_(executor), clock_(clock), last_s_(clock.now_us() / 1'000'000) {}

int64_t Checkpoints::running_s() const {
  return running_ ? (clock_.monotonic_us() - started_us_) / 1'000'000 : -1;
}

void Checkpoints::start(Engine& engine, const std::string& parent, int keep,
                        std::function<void(Status)> done) {
  if (running_) return done(Status::busy("a checkpoint is being made already"));
  running_ = true;
  started_us_ = clock_.monotonic_us();
  std::string dir = join_path(parent, fmt::format("{}{:015}", kPrefix, clock_.now_ms()));
  executor_.submit(
      Lane::kUtility, [fs = &fs_, parent] { return fs->create_dir(parent); },
      [this, &engine, parent, dir, keep, done = std::move(done)](Status made) {
        if (!made.ok()) return finish(made, done);
        Sequence sequence = engine.last_sequence();
        engine.checkpoint(dir, [this, parent, dir, keep, done, sequence](Status status) {
          if (status.ok()) last_sequence_ = sequence;
          finish(status, done);
          if (!status.ok()) return;
          log_notice("checkpoint {} made", dir);
          if (keep == 0) return;
          executor_.submit(
              Lane::kUtility, [fs = &fs_, parent, keep] { return remove_old(*fs, parent, keep); },
              [](const Status& removed) {
                if (!removed.ok())
                  log_warning("an old checkpoint could not be removed: {}", removed.to_string());
              });
        });
      });
}

void Checkpoints::finish(const Status& status, const std::function<void(Status)>& done) {
  running_ = false;
  last_ok_ = status.ok();
  last_duration_s_ = (clock_.monotonic_us() - started_us_) / 1'000'000;
  if (status.ok()) {
    last_s_ = clock_.now_us() / 1'000'000;
    ++count_;
  } else {
    log_warning("checkpoint failed: {}", status.to_string());
  }
  done(status);
}

}  // namespace varve
