// Goal: after a power cut at any moment, the replay is a prefix of what was written that holds everything
// acknowledged. Method: random batches in random groups and frames, syncs now and then (as with appendfsync
// always, everysec and no), flushes that retire and reuse segments; then a crash that keeps any subset of the
// unsynced blocks, a replay, and a new log behind it, several lives long.
#include <doctest/doctest.h>

#include <deque>

#include "support/crash_fs.h"
#include "support/log_scribe.h"
#include "support/script.h"

namespace varve::test {
namespace {

constexpr char kDir[] = "/db";
constexpr uint64_t kSegmentSize = 12 * kLogBlockSize;

struct Batch {
  Sequence first;
  Sequence last;
  std::string ops;
};

class Lives {
 public:
  explicit Lives(uint64_t seed) : random_(seed) {
    REQUIRE(fs_.create_dir(kDir).ok());
    REQUIRE(fs_.sync_dir("/").ok());
  }

  void live() {
    scribe_ = std::make_unique<LogScribe>(fs_, kDir, kSegmentSize, random_.next());
    scribe_->start_at(flushed_);
    manifest_durable_ = flushed_;
    batches_.clear();
    free_.clear();
    first_frame_ = 0;
    const uint64_t sync_one_in = 1 + random_.below(3) * 4;
    for (uint64_t n = random_.below(60); n > 0; --n) {
      while (scribe_->unused_segments() + 1 < 4 || scribe_->segments().empty()) add_segment();
      write_group();
      if (random_.one_in(sync_one_in)) REQUIRE(scribe_->sync().ok());
      if (random_.one_in(6) && scribe_->durable() == scribe_->last())
        REQUIRE(scribe_->write_watermark().ok());
      if (random_.one_in(8)) flush();
      if (random_.one_in(8)) manifest_durable_ = scribe_->durable();
    }
  }

  void crash() {
    CrashPolicy policy;
    if (random_.one_in(4))
      policy = CrashPolicy::drop_all();
    else if (random_.one_in(4))
      policy = CrashPolicy::keep_all();
    fs_.crash(policy, random_.next());
    std::vector<Batch> replayed;
    auto result = replay_log(fs_, kDir, scribe_->segments(), flushed_, manifest_durable_, false,
                             [&](Sequence first, std::string_view ops) {
                               replayed.push_back({first, 0, std::string(ops)});
                               return Status();
                             });
    REQUIRE_MESSAGE(result.ok(), result.status().to_string());
    size_t i = 0;
    for (const Batch& batch : batches_) {
      if (batch.last <= flushed_) continue;
      if (i == replayed.size()) {
        REQUIRE_MESSAGE(batch.last > scribe_->durable(), "acknowledged up to ", scribe_->durable(), ", lost ",
                        batch.first);
        break;
      }
      REQUIRE(replayed[i].first == batch.first);
      REQUIRE(replayed[i].ops == batch.ops);
      REQUIRE(result->last_sequence >= batch.last);
      ++i;
    }
    REQUIRE(i == replayed.size());
    REQUIRE(result->durable_sequence <= scribe_->durable());
    flushed_ = result->last_sequence;  // recovery puts it into tables, and the next log begins behind it
  }

 private:
  void add_segment() {
    bool reuse = !free_.empty() && random_.one_in(2);
    uint64_t number = reuse ? free_.front() : ++last_number_;
    if (reuse) free_.pop_front();
    REQUIRE(scribe_->add_segment(number, reuse).ok());
  }

  void write_group() {
    std::vector<WriteBatch> group;
    Sequence next = scribe_->last() + 1;
    for (uint64_t n = 1 + random_.below(4); n > 0; --n) {
      WriteBatch batch;
      for (uint64_t ops = 1 + random_.below(5); ops > 0; --ops) {
        std::string value(random_.below(random_.one_in(4) ? 4000 : 60), static_cast<char>(random_.next()));
        batch.put(std::to_string(random_.next()), value);
      }
      if (random_.one_in(5)) batch.add_count(1, -1);
      batches_.push_back({next, next + batch.count() - 1, batch.bytes()});
      next += batch.count();
      group.push_back(std::move(batch));
    }
    REQUIRE(scribe_->write(group, 4200 + random_.below(8000)).ok());
  }

  // Puts a part of what is durable into tables and retires the segments that held nothing else.
  void flush() {
    for (const Batch& batch : batches_) {
      if (batch.last <= scribe_->durable() && !random_.one_in(40))
        flushed_ = std::max(flushed_, batch.last);
      else
        break;
    }
    manifest_durable_ = std::max(manifest_durable_, flushed_);
    const auto& frames = scribe_->frames();
    while (first_frame_ < frames.size() && frames[first_frame_].segment != frames.back().segment) {
      const LogSegment segment = frames[first_frame_].segment;
      size_t end = first_frame_;
      while (frames[end].segment == segment) ++end;
      if (frames[end - 1].header.last_sequence > flushed_) return;
      scribe_->drop_segment(segment.number);
      free_.push_back(segment.number);
      first_frame_ = end;
    }
  }

  CrashFs fs_;
  Random random_;
  std::unique_ptr<LogScribe> scribe_;
  std::vector<Batch> batches_;  // of this life
  std::deque<uint64_t> free_;
  size_t first_frame_ = 0;  // of the oldest segment still in the log
  uint64_t last_number_ = 0;
  Sequence flushed_ = 0;
  Sequence manifest_durable_ = 0;
};

}  // namespace

TEST_CASE("log: random lives and crashes") {
  const uint64_t base = test_seed(1000);
  for (uint64_t seed = base; seed < base + 60; ++seed) {
    CAPTURE(seed);
    Lives lives(seed);
    for (int life = 0; life < 6; ++life) {
      lives.live();
      lives.crash();
    }
  }
}

}  // namespace varve::test
