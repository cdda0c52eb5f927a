// limits: what this machine could do at best, for scripts/bench_limits.py to hold varve against.
//
// machine_limits disk DIR [SECONDS [MB]]: the disk under DIR. Sequential writes, the fdatasync of a small
// write into a file that is there already, random reads of 8 KiB around the page cache at several depths.
//
// machine_limits log DIR DEPTH [SECONDS]: groups of one 4 KiB block, one write and one fdatasync each, DEPTH
// files at a time: the most log groups a second.
//
// machine_limits echo PORT SIZE: a libuv server that answers each request (counted by its '*') with SIZE
// bytes, until it is killed: what loop, kernel and client cost when a server does nothing.
//
// Prints "name value" lines.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

[[noreturn]] void give_up(const std::string& what) {
  fmt::print(stderr, "machine_limits: {}: {}\n", what, std::strerror(errno));
  std::exit(1);
}

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// A descriptor and a file that go away at the end.
struct File {
  File(std::string name, int flags) : path(std::move(name)), fd(::open(path.c_str(), flags, 0600)) {
    if (fd < 0) give_up(path);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    ::close(fd);
    ::unlink(path.c_str());
  }
  const std::string path;
  const int fd;
};

struct Aligned {
  explicit Aligned(size_t n) : bytes(static_cast<char*>(std::aligned_alloc(4096, n))) {
    if (bytes == nullptr) give_up("memory");
    std::memset(bytes, 'x', n);
  }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
  ~Aligned() { std::free(bytes); }
  char* const bytes;
};

void write_all(int fd, const char* bytes, size_t n, uint64_t offset) {
  if (::pwrite(fd, bytes, n, static_cast<off_t>(offset)) != static_cast<ssize_t>(n)) give_up("pwrite");
}

constexpr size_t kMiB = 1 << 20;
constexpr size_t kReadSize = 8192;

// Fills `file` and returns bytes a second, up to and with the sync.
double fill(const File& file, uint64_t size) {
  Aligned block(kMiB);
  double start = now_s();
  for (uint64_t at = 0; at < size; at += kMiB) write_all(file.fd, block.bytes, kMiB, at);
  if (::fdatasync(file.fd) != 0) give_up("fdatasync");
  return static_cast<double>(size) / (now_s() - start);
}

void print_percentiles(const char* name, std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  for (int percent : {50, 99}) {
    size_t at = seconds.size() * static_cast<size_t>(percent) / 100;
    fmt::print("{}_p{}_us {:.1f}\n", name, percent, seconds[std::min(at, seconds.size() - 1)] * 1e6);
  }
}

void measure_syncs(const File& file, double limit_s) {
  Aligned block(4096);
  std::vector<double> taken;
  double end = now_s() + limit_s;
  for (uint64_t at = 0; now_s() < end; at = (at + 4096) % (32 * kMiB)) {
    double start = now_s();
    write_all(file.fd, block.bytes, 4096, at);
    if (::fdatasync(file.fd) != 0) give_up("fdatasync");
    taken.push_back(now_s() - start);
  }
  print_percentiles("sync_4k", std::move(taken));
}

void measure_reads(const std::string& path, uint64_t size, int depth, double limit_s) {
  int fd = ::open(path.c_str(), O_RDONLY | O_DIRECT);
  if (fd < 0) {
    fmt::print("read_8k_depth_{}_per_s 0\n", depth);  // a file system without direct reads
    return;
  }
  std::atomic<uint64_t> reads = 0;
  double start = now_s();
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < depth; ++t) {
      threads.emplace_back([&, t] {
        Aligned buffer(kReadSize);
        std::mt19937_64 random(static_cast<uint64_t>(t) + 1);
        while (now_s() < start + limit_s) {
          uint64_t at = random() % (size / kReadSize) * kReadSize;
          if (::pread(fd, buffer.bytes, kReadSize, static_cast<off_t>(at)) !=
              static_cast<ssize_t>(kReadSize)) {
            give_up("pread");
          }
          ++reads;
        }
      });
    }
  }
  fmt::print("read_8k_depth_{}_per_s {:.0f}\n", depth, static_cast<double>(reads) / (now_s() - start));
  ::close(fd);
}

int run_disk(const std::string& dir, double limit_s, uint64_t size) {
  File file(dir + "/limits-disk", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC);
  fmt::print("write_new_mb_per_s {:.0f}\n", fill(file, size) / 1e6);
  fmt::print("write_again_mb_per_s {:.0f}\n", fill(file, size) / 1e6);
  measure_syncs(file, limit_s);
  for (int depth : {1, 4, 16}) measure_reads(file.path, size, depth, limit_s);
  return 0;
}

int run_log(const std::string& dir, int depth, double limit_s) {
  std::atomic<uint64_t> groups = 0;
  std::vector<std::unique_ptr<File>> files;
  for (int i = 0; i < depth; ++i) {
    files.push_back(std::make_unique<File>(fmt::format("{}/limits-log-{}", dir, i),
                                           O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC));
    fill(*files.back(), 32 * kMiB);
  }
  double start = now_s();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < depth; ++i) {
      threads.emplace_back([&, i] {
        Aligned block(4096);
        for (uint64_t at = 0; now_s() < start + limit_s; at = (at + 4096) % (32 * kMiB)) {
          write_all(files[static_cast<size_t>(i)]->fd, block.bytes, 4096, at);
          if (::fdatasync(files[static_cast<size_t>(i)]->fd) != 0) give_up("fdatasync");
          ++groups;
        }
      });
    }
  }
  fmt::print("log_groups_depth_{}_per_s {:.0f}\n", depth, static_cast<double>(groups) / (now_s() - start));
  return 0;
}

// --- echo ---

size_t reply_size = 0;
std::string replies;  // enough of them for one read

struct EchoClient {
  uv_tcp_t socket;
  char input[64 * 1024];
};

void echo_close(uv_handle_t* handle) {
  uv_close(handle, [](uv_handle_t* h) { delete static_cast<EchoClient*>(h->data); });
}

void echo_read(uv_stream_t* stream, ssize_t n, const uv_buf_t* buffer) {
  if (n < 0) return echo_close(reinterpret_cast<uv_handle_t*>(stream));
  size_t requests = static_cast<size_t>(std::count(buffer->base, buffer->base + n, '*'));
  size_t bytes = std::min(requests * reply_size, replies.size());
  uv_buf_t out = uv_buf_init(replies.data(), static_cast<unsigned>(bytes));
  int written = bytes == 0 ? 0 : uv_try_write(stream, &out, 1);
  if (written == static_cast<int>(bytes)) return;
  size_t sent = written > 0 ? static_cast<size_t>(written) : 0;
  uv_buf_t rest = uv_buf_init(replies.data() + sent, static_cast<unsigned>(bytes - sent));
  uv_write(new uv_write_t, stream, &rest, 1, [](uv_write_t* request, int) { delete request; });
}

int run_echo(int port, size_t size) {
  reply_size = size;
  // "$100\r\n....\r\n", as a GET would answer.
  std::string header = fmt::format("${}\r\n", size);
  reply_size = header.size() + size + 2;
  std::string one = header + std::string(size, 'x') + "\r\n";
  for (int i = 0; i < 4096; ++i) replies += one;
  uv_loop_t* loop = uv_default_loop();
  uv_tcp_t listener;
  sockaddr_in address;
  uv_tcp_init(loop, &listener);
  uv_ip4_addr("127.0.0.1", port, &address);
  uv_tcp_bind(&listener, reinterpret_cast<const sockaddr*>(&address), 0);
  int failed = uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 511, [](uv_stream_t* server, int status) {
    if (status < 0) return;
    auto* client = new EchoClient;
    uv_tcp_init(server->loop, &client->socket);
    client->socket.data = client;
    if (uv_accept(server, reinterpret_cast<uv_stream_t*>(&client->socket)) != 0) {
      return echo_close(reinterpret_cast<uv_handle_t*>(&client->socket));
    }
    uv_tcp_nodelay(&client->socket, 1);
    uv_read_start(
        reinterpret_cast<uv_stream_t*>(&client->socket),
        [](uv_handle_t* handle, size_t, uv_buf_t* buffer) {
          auto* owner = static_cast<EchoClient*>(handle->data);
          *buffer = uv_buf_init(owner->input, sizeof owner->input);
        },
        echo_read);
  });
  if (failed != 0) {
    fmt::print(stderr, "machine_limits: port {}: {}\n", port, uv_strerror(failed));
    return 1;
  }
  return uv_run(loop, UV_RUN_DEFAULT);
}

}  // namespace

int main(int argc, char** argv) {
  std::string what = argc > 1 ? argv[1] : "";
  auto number = [&](int i, int otherwise) { return argc > i ? std::atoi(argv[i]) : otherwise; };
  if (what == "disk" && argc > 2)
    return run_disk(argv[2], number(3, 2), static_cast<uint64_t>(number(4, 1024)) * kMiB);
  if (what == "log" && argc > 3) return run_log(argv[2], number(3, 1), number(4, 2));
  if (what == "echo" && argc > 3) return run_echo(number(2, 0), static_cast<size_t>(number(3, 0)));
  fmt::print(stderr,
             "usage: machine_limits disk DIR [SECONDS [MB]] | machine_limits log DIR DEPTH [SECONDS] | "
             "machine_limits echo PORT SIZE\n");
  return 2;
}
