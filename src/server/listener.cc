#include "server/listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "base/log.h"

namespace varve {
namespace {

constexpr int kAcceptsPerTurn = 64;

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

// Does somebody answer behind this socket file?
bool alive(const std::string& path) {
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  bool connected =
      ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
  ::close(fd);
  return connected;
}

Status failed(const std::string& name, int error) {
  return Status(error == UV_EADDRINUSE ? StatusCode::kBusy : StatusCode::kIoError,
                fmt::format("{}: {}", name, uv_strerror(error)));
}

}  // namespace

Listener::Listener(uv_loop_t* loop, std::string name, OnAccept on_accept)
    : socket_(new UvSocket), loop_(loop), name_(std::move(name)), on_accept_(std::move(on_accept)) {}

Listener::~Listener() {
  close_socket(socket_);
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<std::unique_ptr<Listener>> Listener::tcp(uv_loop_t* loop, const std::string& address, uint16_t port,
                                                int backlog, OnAccept on_accept) {
  auto where = resolve(loop, address, port);
  if (!where) return where.status();
  std::unique_ptr<Listener> listener(new Listener(loop, endpoint(address, port), std::move(on_accept)));
  uv_tcp_init(loop, &listener->socket_->tcp);
  unsigned flags = where->ss_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0;
  int error = uv_tcp_bind(&listener->socket_->tcp, reinterpret_cast<const sockaddr*>(&*where), flags);
  if (error != 0) return failed(listener->name_, error);
  VARVE_TRY(listener->listen(backlog));
  sockaddr_storage bound{};
  int size = sizeof bound;
  bool ignored = false;
  if (uv_tcp_getsockname(&listener->socket_->tcp, reinterpret_cast<sockaddr*>(&bound), &size) == 0) {
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
    if (alive(path)) return failed(path, UV_EADDRINUSE);
    ::unlink(path.c_str());
  }
  std::unique_ptr<Listener> listener(new Listener(loop, path, std::move(on_accept)));
  uv_pipe_init(loop, &listener->socket_->pipe, 0);
  // The file never has more rights than asked for, not even for a moment.
  mode_t before = 0;
  if (mode != 0) before = ::umask(static_cast<mode_t>(~mode & 0777));
  int error = uv_pipe_bind(&listener->socket_->pipe, path.c_str());
  if (mode != 0) ::umask(before);
  if (error != 0) return failed(path, error);
  listener->path_ = path;
  if (mode != 0 && ::chmod(path.c_str(), static_cast<mode_t>(mode)) != 0)
    return failed(path, uv_translate_sys_error(errno));
  VARVE_TRY(listener->listen(backlog));
  return listener;
}

Status Listener::listen(int backlog) {
  socket_->handle.data = this;
  int error = uv_listen(&socket_->stream, backlog, on_connection);
  return error == 0 ? Status() : failed(name_, error);
}

void Listener::on_connection(uv_stream_t* stream, int status) {
  auto* listener = static_cast<Listener*>(stream->data);
  if (status < 0) {
    uint64_t now = uv_now(listener->loop_);
    if (now - listener->complained_ms_ >= 1000) {
      log_warning("{}: a connection could not be accepted: {}", listener->name_, uv_strerror(status));
      listener->complained_ms_ = now;
    }
    return;
  }
  // libuv stops listening until uv_accept() is called.
  if (listener->accepted_ >= kAcceptsPerTurn) {
    listener->waiting_ = true;
    return;
  }
  listener->accept_one();
}

void Listener::begin_turn() {
  accepted_ = 0;
  if (!waiting_) return;
  waiting_ = false;
  accept_one();
}

void Listener::accept_one() {
  ++accepted_;
  auto* socket = new UvSocket;
  Peer peer;
  bool unix_socket = !path_.empty();
  if (unix_socket)
    uv_pipe_init(loop_, &socket->pipe, 0);
  else
    uv_tcp_init(loop_, &socket->tcp);
  if (uv_accept(&socket_->stream, &socket->stream) != 0) return close_socket(socket);
  int fd = -1;
  if (uv_fileno(&socket->handle, &fd) == 0) peer.fd = fd;
  if (unix_socket) {
    peer.unix_socket = true;
    peer.address = peer.local_address = path_ + ":0";
  } else {
    uv_tcp_nodelay(&socket->tcp, 1);
    sockaddr_storage address{};
    int size = sizeof address;
    uint16_t port = 0;
    bool ignored = false;
    // A peer that is gone already has no name; its first read will tell.
    if (uv_tcp_getpeername(&socket->tcp, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      return close_socket(socket);
    peer.address = describe(address, &port, &peer.loopback);
    size = sizeof address;
    if (uv_tcp_getsockname(&socket->tcp, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
      peer.local_address = describe(address, &port, &ignored);
    }
  }
  on_accept_(socket, std::move(peer));
}

}  // namespace varve
