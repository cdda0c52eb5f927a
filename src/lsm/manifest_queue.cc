#include "lsm/manifest_queue.h"

#include "base/check.h"
#include "base/log.h"

namespace varve {
namespace {

// A manifest is rewritten when it has grown by this and is several times the state it describes.
constexpr uint64_t kRewriteGrowth = 4 << 20;
constexpr int64_t kRetryUs = 1'000'000;

}  // namespace

ManifestQueue::ManifestQueue(const EngineOptions& options, Recovered* recovered,
                             std::function<uint64_t()> take_file_number, std::function<void()> on_stalled)
    : options_(options),
      take_file_number_(std::move(take_file_number)),
      on_stalled_(std::move(on_stalled)),
      random_(options.random_seed ^ 0x6d616e6966657374),
      directory_(recovered->directory),
      writer_(std::move(recovered->manifest)),
      state_(std::move(recovered->state)),
      durable_edit_(recovered->manifest_edit),
      size_after_rewrite_(writer_->snapshot_size()) {}

void ManifestQueue::submit(VersionEdit edit, std::function<void()> done) {
  queue_.push_back({std::move(edit), std::move(done)});
  start();
}

void ManifestQueue::start() {
  if (running_ || queue_.empty()) return;
  if (broken_) {
    if (options_.clock->monotonic_us() >= retry_at_us_) start_rewrite();
    return;
  }
  bool grown =
      writer_->size() > size_after_rewrite_ * 4 && writer_->size() > size_after_rewrite_ + kRewriteGrowth;
  if (grown) {
    start_rewrite();
  } else {
    start_append();
  }
}

void ManifestQueue::start_append() {
  running_ = true;
  auto edit = std::make_shared<const VersionEdit>(queue_.front().edit);
  // An edit that cannot be applied is our own mistake, and once durable it would forbid every start.
  Status applies = state_.would_apply(*edit);
  if (!applies.ok()) log_warning("manifest: {}", applies.to_string());
  VARVE_CHECK(applies.ok());
  options_.executor->submit(
      Lane::kManifest,
      [writer = writer_, edit, number = durable_edit_ + 1]() -> Status {
        return writer->append(number, *edit);
      },
      [this](const Status& status) { finish_append(status); });
}

void ManifestQueue::finish_append(const Status& status) {
  running_ = false;
  if (!status.ok()) {
    log_warning("manifest: {}; it will be written anew", status.to_string());
    return stall(status);
  }
  Waiting front = std::move(queue_.front());
  queue_.pop_front();
  Status applied = state_.apply(front.edit);
  VARVE_CHECK(applied.ok());
  ++durable_edit_;
  front.done();
  start();
}

void ManifestQueue::start_rewrite() {
  running_ = true;
  struct Input {
    ManifestState state;
    uint64_t number;
    Identity file;
    uint64_t old_number;
  };
  auto input =
      std::make_shared<Input>(Input{state_, take_file_number_(), random_.identity(), writer_->number()});
  options_.executor->submit(
      Lane::kManifest,
      [input, fs = options_.fs, dir = options_.dir, directory = directory_,
       application = options_.application,
       last_edit = durable_edit_]() -> Result<std::shared_ptr<ManifestWriter>> {
        auto writer = ManifestWriter::create(*fs, dir, input->number, directory, input->file, application,
                                             last_edit, input->state);
        if (!writer) return writer.status();
        // Nothing names the old one any more; left behind, the next start removes it.
        if (Status removed = fs->remove(join_path(dir, manifest_file_name(input->old_number)));
            !removed.ok()) {
          log_verbose("old manifest: {}", removed.to_string());
        }
        return std::shared_ptr<ManifestWriter>(writer.take());
      },
      [this](Result<std::shared_ptr<ManifestWriter>> writer) { finish_rewrite(std::move(writer)); });
}

void ManifestQueue::finish_rewrite(Result<std::shared_ptr<ManifestWriter>> writer) {
  running_ = false;
  if (!writer) return stall(writer.status());
  writer_ = writer.take();
  size_after_rewrite_ = writer_->size();
  broken_ = false;
  error_ = Status();
  start();
}

void ManifestQueue::stall(const Status& status) {
  int64_t now = options_.clock->monotonic_us();
  if (error_.ok()) failing_since_us_ = now;
  error_ = status;
  broken_ = true;
  retry_at_us_ = now + kRetryUs;
  on_stalled_();
}

void ManifestQueue::finish(Sequence last, std::function<void()> done) {
  if (broken_ || !idle()) return done();
  running_ = true;
  options_.executor->submit(
      Lane::kManifest,
      [writer = writer_, last_edit = durable_edit_, last]() -> Status {
        return writer->close(last_edit, last);
      },
      [this, done = std::move(done)](const Status& status) {
        running_ = false;
        if (!status.ok()) log_verbose("manifest: {}; the next start will search the log", status.to_string());
        done();
      });
}

void ManifestQueue::tick() {
  start();
}

}  // namespace varve
