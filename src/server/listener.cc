#include "server/listener.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"

namespace varve {
namespace {

constexpr int kAcceptsPerTurn = 64;
constexpr uint64_t kPauseMinMs = 100;
constexpr uint64_t kPauseMaxMs = 1000;
constexpr uint64_t kSpellMs = 10'000;  // without a shortage, until it counts as over

std::string endpoint(const std::string& ip, int port) {
  return ip.find(':') == std::string::npos ? fmt::format("{}:{}", ip, port)
                                           : fmt::format("[{}]:{}", ip, port);
}

// Numeric address and port of either end of a TCP socket.
std::string describe(const sockaddr_storage& address, uint16_t* port, bool* loopback) {
  char ip[64] = "?";
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    uv_ip6_name(&v6, ip, sizeof ip);
    *port = ntohs(v6.sin6_port);
    *loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) ||
                (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) && v6.sin6_addr.s6_addr[12] == 127);
  } else {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    uv_ip4_name(&v4, ip, sizeof ip);
    *port = ntohs(v4.sin_port);
    *loopback = (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  }
  return endpoint(ip, *port);
}

Result<sockaddr_storage> resolve(uv_loop_t* loop, const std::string& address, uint16_t port) {
  sockaddr_storage out{};
  std::string ip = address == "*" ? "0.0.0.0" : address == "::*" ? "::" : address;
  if (uv_ip4_addr(ip.c_str(), port, reinterpret_cast<sockaddr_in*>(&out)) == 0) return out;
  if (uv_ip6_addr(ip.c_str(), port, reinterpret_cast<sockaddr_in6*>(&out)) == 0) return out;
  // Only while starting: this one waits for the resolver.
  uv_getaddrinfo_t request;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  int error = uv_getaddrinfo(loop, &request, nullptr, ip.c_str(), std::to_string(port).c_str(), &hints);
  if (error != 0) return Status::invalid_argument("{}: {}", endpoint(address, port), uv_strerror(error));
  std::memcpy(&out, request.addrinfo->ai_addr, request.addrinfo->ai_addrlen);
  uv_freeaddrinfo(request.addrinfo);
  return out;
}

// `path` must fit.
sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

// Does somebody answer behind this socket file?
bool alive(const std::string& path) {
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  sockaddr_un address = unix_address(path);
  bool connected =
      ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
  ::close(fd);
  return connected;
}

Status failed(const std::string& name, int error) {
  return Status(error == EADDRINUSE ? StatusCode::kBusy : StatusCode::kIoError,
                fmt::format("{}: {}", name, uv_strerror(uv_translate_sys_error(error))));
}

// The connection was gone, or its network, before it was accepted; the next one may do (accept(2), Error
// handling).
bool peer_failed(int error) {
  for (int known : {EINTR, ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH,
                    EOPNOTSUPP, ENETUNREACH, EPERM}) {
    if (error == known) return true;
  }
  return false;
}

}  // namespace

Listener::Listener(uv_loop_t* loop, std::string name, OnAccept on_accept)
    : loop_(loop), name_(std::move(name)), on_accept_(std::move(on_accept)) {}

Listener::~Listener() {
  if (watch_ != nullptr) {
    uv_close(reinterpret_cast<uv_handle_t*>(&watch_->poll), [](uv_handle_t* handle) {
      auto* watch = reinterpret_cast<Watch*>(handle);
      ::close(watch->fd);
      delete watch;
    });
  } else if (fd_ >= 0) {
    ::close(fd_);
  }
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<std::unique_ptr<Listener>> Listener::tcp(uv_loop_t* loop, const std::string& address, uint16_t port,
                                                int backlog, OnAccept on_accept) {
  auto where = resolve(loop, address, port);
  if (!where) return where.status();
  std::unique_ptr<Listener> listener(new Listener(loop, endpoint(address, port), std::move(on_accept)));
  VARVE_TRY(listener->bind(reinterpret_cast<const sockaddr*>(&*where), sizeof *where));
  VARVE_TRY(listener->listen(backlog));
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  bool ignored = false;
  if (::getsockname(listener->fd_, reinterpret_cast<sockaddr*>(&bound), &size) == 0) {
    listener->name_ = describe(bound, &listener->port_, &ignored);
  }
  return listener;
}

Result<std::unique_ptr<Listener>> Listener::unix_socket(uv_loop_t* loop, const std::string& path,
                                                        uint32_t mode, int backlog, OnAccept on_accept) {
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return Status::invalid_argument("{}: a unix socket's path has at most {} bytes", path,
                                    sizeof(sockaddr_un::sun_path) - 1);
  }
  struct stat info;
  if (::lstat(path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode)) return Status::busy("{}: exists and is no socket", path);
    if (alive(path)) return failed(path, EADDRINUSE);
    ::unlink(path.c_str());
  }
  std::unique_ptr<Listener> listener(new Listener(loop, path, std::move(on_accept)));
  // The file never has more rights than asked for, not even for a moment.
  mode_t before = 0;
  if (mode != 0) before = ::umask(static_cast<mode_t>(~mode & 0777));
  sockaddr_un address = unix_address(path);
  Status bound = listener->bind(reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (mode != 0) ::umask(before);
  VARVE_TRY(bound);
  listener->path_ = path;
  if (mode != 0 && ::chmod(path.c_str(), static_cast<mode_t>(mode)) != 0) return failed(path, errno);
  VARVE_TRY(listener->listen(backlog));
  return listener;
}

Status Listener::bind(const sockaddr* address, socklen_t size) {
  fd_ = ::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return failed(name_, errno);
  int on = 1;
  if (address->sa_family != AF_UNIX) ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // "*" and "::*" are two sockets.
  if (address->sa_family == AF_INET6) ::setsockopt(fd_, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  return ::bind(fd_, address, size) == 0 ? Status() : failed(name_, errno);
}

Status Listener::listen(int backlog) {
  if (::listen(fd_, backlog) != 0) return failed(name_, errno);
  watch_ = new Watch{{}, fd_};
  int error = uv_poll_init(loop_, &watch_->poll, fd_);
  if (error != 0) {
    delete std::exchange(watch_, nullptr);
    return failed(name_, -error);
  }
  watch_->poll.data = this;
  watch();
  return Status();
}

void Listener::watch() {
  uv_poll_start(&watch_->poll, UV_READABLE, [](uv_poll_t* poll, int status, int) {
    auto* listener = static_cast<Listener*>(poll->data);
    if (status < 0)
      listener->pause(-status);
    else
      listener->accept_some();
  });
}

// What is left stays readable, for the next turn.
void Listener::accept_some() {
  for (int n = 0; n < kAcceptsPerTurn; ++n) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    int fd = ::accept4(fd_, reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      pause_ms_ = 0;
      accepted(fd, address);
      continue;
    }
    if (errno == EAGAIN) return;
    // Whatever else it is: asking again at once would only burn the processor.
    if (!peer_failed(errno)) return pause(errno);
  }
}

void Listener::pause(int error) {
  shortage_ms_ = uv_now(loop_);
  if (!short_) {
    log_warning("{}: no connection can be accepted: {}; new ones wait until others have left", name_,
                uv_strerror(uv_translate_sys_error(error)));
  }
  short_ = paused_ = true;
  pause_ms_ = std::clamp(2 * pause_ms_, kPauseMinMs, kPauseMaxMs);
  uv_poll_stop(&watch_->poll);
}

void Listener::tick() {
  uint64_t passed_ms = uv_now(loop_) - shortage_ms_;
  if (paused_ && passed_ms >= pause_ms_) {
    paused_ = false;
    watch();
  } else if (short_ && !paused_ && passed_ms >= kSpellMs) {
    short_ = false;
    log_notice("{}: connections are accepted again", name_);
  }
}

void Listener::accepted(int fd, const sockaddr_storage& address) {
  auto* socket = new UvSocket;
  Peer peer;
  peer.fd = fd;
  bool unix_socket = !path_.empty();
  int error = 0;
  if (unix_socket) {
    uv_pipe_init(loop_, &socket->pipe, 0);
    error = uv_pipe_open(&socket->pipe, fd);
    peer.unix_socket = true;
    peer.address = peer.local_address = path_ + ":0";
  } else {
    uv_tcp_init(loop_, &socket->tcp);
    error = uv_tcp_open(&socket->tcp, fd);
    uint16_t port = 0;
    bool ignored = false;
    peer.address = describe(address, &port, &peer.loopback);
    sockaddr_storage local{};
    socklen_t size = sizeof local;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) == 0) {
      peer.local_address = describe(local, &port, &ignored);
    }
  }
  if (error != 0) {
    ::close(fd);
    return close_socket(socket);
  }
  if (!unix_socket) uv_tcp_nodelay(&socket->tcp, 1);
  on_accept_(socket, std::move(peer));
}

}  // namespace varve
