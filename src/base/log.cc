#include "base/log.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

#include "base/clock.h"

namespace varve {
namespace {
std::atomic<int> g_level{static_cast<int>(LogLevel::kNothing)};
std::atomic<int> g_fd{STDOUT_FILENO};
}  // namespace

bool set_log(LogLevel level, const std::string& path) {
  if (!path.empty()) {
    int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) return false;
    int old = g_fd.exchange(fd);
    if (old > STDERR_FILENO) ::close(old);
  }
  set_log_level(level);
  return true;
}

void set_log_level(LogLevel level) {
  g_level.store(static_cast<int>(level), std::memory_order_relaxed);
}
LogLevel log_level() {
  return static_cast<LogLevel>(g_level.load(std::memory_order_relaxed));
}

void write_log(LogLevel level, std::string_view text) {
  static const char* const names[] = {"debug", "verbose", "notice", "warning", ""};
  int64_t us = system_clock().now_us();
  time_t seconds = us / 1'000'000;
  tm local{};
  localtime_r(&seconds, &local);
  char when[32];
  strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local);
  std::string line =
      fmt::format("{}.{:03} {:<7} {}\n", when, us / 1000 % 1000, names[static_cast<int>(level)], text);
  // A log that cannot be written must not stop the server.
  if (::write(g_fd.load(), line.data(), line.size()) < 0) return;
}

}  // namespace varve
