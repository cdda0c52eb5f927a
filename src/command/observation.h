// observation.h: the settings of what the server notes about the commands it has run.
#pragma once

#include <cstdint>
#include <vector>

namespace varve {

struct ObservationLimits {
  int64_t slow_us = 10'000;     // slowlog-log-slower-than: from so long on; negative: nothing is logged
  uint64_t slow_entries = 128;  // slowlog-max-len
  int64_t latency_ms = 0;       // latency-monitor-threshold; 0: off
  bool latency_tracking = true;
  std::vector<double> percentiles = {50, 99, 99.9};  // latency-tracking-info-percentiles

  bool operator==(const ObservationLimits&) const = default;
};

}  // namespace varve
