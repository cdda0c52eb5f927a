// slow_log.h: the commands that took long, newest first, for SLOWLOG. An entry keeps at most 32 arguments of
// 128 bytes and says how much more there was, so that the log's memory is bounded by slowlog-max-len.
// Loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace varve {

class SlowLog {
 public:
  struct Entry {
    uint64_t id = 0;
    int64_t time_s = 0;  // since 1970
    int64_t usec = 0;
    std::vector<std::string> args;
    std::string address, name;  // of the client
  };

  void add(const std::vector<std::string_view>& args, int64_t usec, int64_t time_s, std::string_view address,
           std::string_view name, uint64_t entries_max);
  // Ids go on.
  void clear();
  const std::deque<Entry>& entries() const { return entries_; }
  size_t memory_used() const { return bytes_; }

 private:
  static size_t bytes_of(const Entry& entry);
  void shrink(uint64_t entries_max);

  std::deque<Entry> entries_;  // newest first
  uint64_t next_id_ = 0;
  size_t bytes_ = 0;
};

}  // namespace varve
