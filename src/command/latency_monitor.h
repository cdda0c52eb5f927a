// latency_monitor.h: when which kind of work took longer than latency-monitor-threshold, for LATENCY. Events:
//
//   command, fast-command   a command's own time
//   expire-cycle            a slice of the active expiry
//   log-fsync               a sync of the log (it holds back the replies that wait for it, and nobody else)
//   loop-turn               a turn of the loop, from its input to its last write
//
// A series keeps the last 160 seconds that had a sample, the longest of each second. Loop thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace varve {

struct LatencySample {
  int64_t time_s = 0;  // since 1970
  int64_t ms = 0;
};

class LatencySeries {
 public:
  static constexpr size_t kSamples = 160;

  void add(LatencySample sample);
  std::vector<LatencySample> samples() const;  // oldest first
  const LatencySample& latest() const { return ring_[(next_ + kSamples - 1) % kSamples]; }
  int64_t max_ms() const { return max_ms_; }

 private:
  std::array<LatencySample, kSamples> ring_{};
  size_t next_ = 0;
  size_t count_ = 0;
  int64_t max_ms_ = 0;  // since the series began
};

class LatencyMonitor {
 public:
  using Events = std::map<std::string, LatencySeries, std::less<>>;

  // `event`: one of a few constants.
  void add(std::string_view event, int64_t ms, int64_t now_s);
  // How many series there were: one, or all for an empty name.
  size_t reset(std::string_view event);
  const LatencySeries* find(std::string_view event) const;
  const Events& events() const { return events_; }

 private:
  Events events_;
};

// A graph of the samples, newest to the right, with their ages below; 80 columns or less.
std::string latency_graph(std::string_view event, const LatencySeries& series, int64_t now_s);

}  // namespace varve
