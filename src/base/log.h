// log.h: the server's log for people: one line an event, with time, level and text. Loop thread and workers
// may both call it (a line is one write).
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace varve {

// Redis's levels, in its order.
enum class LogLevel : int { kDebug = 0, kVerbose = 1, kNotice = 2, kWarning = 3, kNothing = 4 };

// Lines below `level` are dropped. `path` empty: standard output. False when the file cannot be opened.
bool set_log(LogLevel level, const std::string& path);
void set_log_level(LogLevel level);
LogLevel log_level();
void write_log(LogLevel level, std::string_view text);

template <class... Args>
void log_line(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (level < log_level()) return;
  write_log(level, fmt::format(format, std::forward<Args>(args)...));
}
#define VARVE_LOG_FUNCTION(name, level)                             \
  template <class... Args>                                          \
  void name(fmt::format_string<Args...> format, Args&&... args) {   \
    log_line(LogLevel::level, format, std::forward<Args>(args)...); \
  }
VARVE_LOG_FUNCTION(log_debug, kDebug)
VARVE_LOG_FUNCTION(log_verbose, kVerbose)
VARVE_LOG_FUNCTION(log_notice, kNotice)
VARVE_LOG_FUNCTION(log_warning, kWarning)
#undef VARVE_LOG_FUNCTION

}  // namespace varve
