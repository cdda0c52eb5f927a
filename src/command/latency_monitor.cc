#include "command/latency_monitor.h"

#include <fmt/format.h>

#include <algorithm>

namespace varve {
namespace {

constexpr size_t kGraphColumns = 80;
constexpr int kGraphRows = 4;
constexpr int kSteps = 3;  // in a row
constexpr char kLevel[kSteps] = {'_', 'o', '#'};

// How long ago, in the largest unit that makes it at least one.
std::string age(int64_t seconds) {
  seconds = std::max<int64_t>(0, seconds);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m", seconds / 60);
  if (seconds < 86400) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86400);
}

}  // namespace

void LatencySeries::add(LatencySample sample) {
  max_ms_ = std::max(max_ms_, sample.ms);
  LatencySample& last = ring_[(next_ + kSamples - 1) % kSamples];
  if (count_ > 0 && last.time_s == sample.time_s) {
    last.ms = std::max(last.ms, sample.ms);
    return;
  }
  ring_[next_] = sample;
  next_ = (next_ + 1) % kSamples;
  count_ = std::min(count_ + 1, kSamples);
}

std::vector<LatencySample> LatencySeries::samples() const {
  std::vector<LatencySample> all;
  for (size_t i = 0; i < count_; ++i) all.push_back(ring_[(next_ + kSamples - count_ + i) % kSamples]);
  return all;
}

void LatencyMonitor::add(std::string_view event, int64_t ms, int64_t now_s) {
  auto found = events_.find(event);
  if (found == events_.end()) found = events_.emplace(event, LatencySeries()).first;
  found->second.add({now_s, ms});
}

size_t LatencyMonitor::reset(std::string_view event) {
  size_t before = events_.size();
  if (event.empty()) {
    events_.clear();
  } else if (auto found = events_.find(event); found != events_.end()) {
    events_.erase(found);
  }
  return before - events_.size();
}

const LatencySeries* LatencyMonitor::find(std::string_view event) const {
  auto found = events_.find(event);
  return found == events_.end() ? nullptr : &found->second;
}

std::string latency_graph(std::string_view event, const LatencySeries& series, int64_t now_s) {
  std::vector<LatencySample> samples = series.samples();
  if (samples.empty()) return "";
  auto [low, high] =
      std::minmax_element(samples.begin(), samples.end(),
                          [](const LatencySample& a, const LatencySample& b) { return a.ms < b.ms; });
  int64_t low_ms = low->ms, high_ms = high->ms;
  std::string text = fmt::format("{} - high {} ms, low {} ms (all time high {} ms)\n", event, high_ms, low_ms,
                                 series.max_ms());
  text += std::string(kGraphColumns, '-') + "\n";
  double span = std::max<double>(1, static_cast<double>(high_ms - low_ms));
  for (size_t begin = 0; begin < samples.size(); begin += kGraphColumns) {
    size_t end = std::min(samples.size(), begin + kGraphColumns);
    std::vector<std::string> ages;
    size_t tallest = 0;
    for (size_t i = begin; i < end; ++i) {
      ages.push_back(age(now_s - samples[i].time_s));
      tallest = std::max(tallest, ages.back().size());
    }
    for (int row = kGraphRows - 1; row >= 0; --row) {
      for (size_t i = begin; i < end; ++i) {
        double part = static_cast<double>(samples[i].ms - low_ms) / span;
        int step = std::min(static_cast<int>(part * kSteps * kGraphRows), kSteps * kGraphRows - 1);
        int here = step - row * kSteps;
        text += here < 0 ? ' ' : here < kSteps ? kLevel[here] : '|';
      }
      text += '\n';
    }
    text += std::string(end - begin, ' ') + "\n";
    for (size_t line = 0; line < tallest; ++line) {
      for (const std::string& label : ages) text += line < label.size() ? label[line] : ' ';
      text += '\n';
    }
  }
  return text;
}

}  // namespace varve
