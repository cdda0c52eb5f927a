#include "server/machine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <uv.h>

#include <algorithm>
#include <charconv>

// jemalloc's introspection, where the server is linked with it.
extern "C" __attribute__((weak)) int mallctl(const char* name, void* old, size_t* old_size, void* fresh,
                                             size_t fresh_size);
extern "C" __attribute__((weak)) void malloc_stats_print(void (*write)(void*, const char*), void* context,
                                                         const char* options);

namespace varve {
namespace {

constexpr char kCgroup2[] = "/sys/fs/cgroup";
constexpr char kCgroup1[] = "/sys/fs/cgroup/memory";

// A small file of the kernel's; empty if it is not there.
std::string read_system_file(const std::string& path) {
  uv_fs_t request;
  int fd = uv_fs_open(nullptr, &request, path.c_str(), O_RDONLY, 0, nullptr);
  uv_fs_req_cleanup(&request);
  if (fd < 0) return {};
  char bytes[4096];
  uv_buf_t buffer = uv_buf_init(bytes, sizeof bytes);
  int n = uv_fs_read(nullptr, &request, fd, &buffer, 1, 0, nullptr);
  uv_fs_req_cleanup(&request);
  uv_fs_close(nullptr, &request, fd, nullptr);
  uv_fs_req_cleanup(&request);
  return n > 0 ? std::string(bytes, static_cast<size_t>(n)) : std::string();
}

// This process's path below a hierarchy: lines "0::/path" (version 2) or "9:memory:/path".
std::string cgroup_of_self(const std::string& lines, const std::string& mark) {
  size_t at = lines.find(mark);
  if (at == std::string::npos) return {};
  at += mark.size();
  return lines.substr(at, lines.find('\n', at) - at);
}

// The smallest limit on the way from the process's own cgroup up to the root.
std::string smallest_limit(const std::string& root, std::string path, const std::string& file) {
  std::string smallest;
  uint64_t bytes = UINT64_MAX;
  while (true) {
    std::string text = read_system_file(root + (path == "/" ? "" : path) + "/" + file);
    uint64_t here = bounded_memory(UINT64_MAX, text, {});
    if (here < bytes) {
      bytes = here;
      smallest = text;
    }
    if (path.empty() || path == "/") return smallest;
    path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  }
}

uint64_t parse_limit(const std::string& text) {
  uint64_t bytes = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  return error == std::errc() && bytes > 0 ? bytes : UINT64_MAX;
}

double seconds(const uv_timeval_t& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}
double seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

}  // namespace

uint64_t bounded_memory(uint64_t machine, const std::string& v2_max, const std::string& v1_limit) {
  return std::min({machine, parse_limit(v2_max), parse_limit(v1_limit)});
}

uint64_t machine_memory() {
  std::string groups = read_system_file("/proc/self/cgroup");
  std::string v2 = smallest_limit(kCgroup2, cgroup_of_self(groups, "0::"), "memory.max");
  std::string v1 = smallest_limit(kCgroup1, cgroup_of_self(groups, ":memory:"), "memory.limit_in_bytes");
  return bounded_memory(uv_get_total_memory(), v2, v1);
}

uint64_t resident_memory() {
  size_t bytes = 0;
  return uv_resident_set_memory(&bytes) == 0 ? bytes : 0;
}

uint64_t allocated_memory() {
  if (mallctl == nullptr) return resident_memory();
  uint64_t epoch = 1;
  size_t size = sizeof epoch;
  mallctl("epoch", &epoch, &size, &epoch, size);
  size_t allocated = 0;
  size = sizeof allocated;
  return mallctl("stats.allocated", &allocated, &size, nullptr, 0) == 0 ? allocated : resident_memory();
}

AllocatorPages allocator_pages() {
  AllocatorPages pages;
  size_t value = 0, size = sizeof value;
  if (mallctl != nullptr && mallctl("stats.active", &value, &size, nullptr, 0) == 0) pages.active = value;
  if (mallctl != nullptr && mallctl("stats.resident", &value, &size, nullptr, 0) == 0) pages.mapped = value;
  if (pages.active == 0) pages.active = pages.mapped = resident_memory();
  return pages;
}

// 4096 stands for all arenas (MALLCTL_ARENAS_ALL).
void purge_allocator() {
  if (mallctl != nullptr) mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0);
}

std::string allocator_statistics() {
  if (malloc_stats_print == nullptr) return "Stats not supported for the current allocator";
  std::string report;
  malloc_stats_print([](void* to, const char* text) { *static_cast<std::string*>(to) += text; }, &report, "");
  return report;
}

const char* allocator_name() {
  return mallctl != nullptr ? "jemalloc" : "libc";
}

CpuTimes cpu_times() {
  CpuTimes times;
  uv_rusage_t all;
  if (uv_getrusage(&all) == 0) {
    times.user = seconds(all.ru_utime);
    times.sys = seconds(all.ru_stime);
  }
  rusage own;
  if (getrusage(RUSAGE_THREAD, &own) == 0) {
    times.user_main_thread = seconds(own.ru_utime);
    times.sys_main_thread = seconds(own.ru_stime);
  }
  return times;
}

uint64_t raise_file_limit(uint64_t wanted) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  // Above the hard limit only for the privileged, so the hard limit itself is the second try.
  for (rlim_t target : {std::max<rlim_t>(wanted, limit.rlim_max), limit.rlim_max}) {
    if (limit.rlim_cur >= target) break;
    rlimit raised = {target, target};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return limit.rlim_cur;
}

std::string operating_system() {
  uv_utsname_t name;
  if (uv_os_uname(&name) != 0) return "unknown";
  return fmt::format("{} {} {}", name.sysname, name.release, name.machine);
}

std::string executable_path() {
  char path[4096];
  size_t size = sizeof path;
  return uv_exepath(path, &size) == 0 ? std::string(path, size) : std::string();
}

}  // namespace varve
