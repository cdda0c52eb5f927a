// listener.h: one listening socket, TCP or unix. It accepts a bounded number of connections in a turn, so
// that a storm of them does not keep the others from being served. Loop thread.
//
// Out of descriptors or memory: maxclients is kept below the process's limit (main.cc), so that this is rare.
// When it happens accepting pauses, 100 ms at first, up to a second; new connections wait in the system's
// backlog meanwhile, and are served once others have left. Not by uv_listen(): that accepts and closes them
// on a reserve descriptor without a word, and once another thread has got that descriptor (a table was
// opened), or for want of memory, its loop around accept() never ends.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "server/clients.h"
#include "server/uv_transport.h"

namespace varve {

class Listener {
 public:
  using OnAccept = std::function<void(UvSocket*, Peer)>;

  // `address` is a numeric IPv4 or IPv6 address, a host name, or "*" ("::*" for IPv6). Failures name the
  // place: "127.0.0.1:6379: address already in use".
  static Result<std::unique_ptr<Listener>> tcp(uv_loop_t* loop, const std::string& address, uint16_t port,
                                               int backlog, OnAccept on_accept);
  // A socket file left by a dead server is replaced, that of a living one is not. `mode` 0: as the umask
  // says.
  static Result<std::unique_ptr<Listener>> unix_socket(uv_loop_t* loop, const std::string& path,
                                                       uint32_t mode, int backlog, OnAccept on_accept);
  ~Listener();
  Listener(const Listener&) = delete;

  const std::string& name() const { return name_; }
  uint16_t port() const { return port_; }  // the real one when 0 was asked for
  // About every 100 ms: ends a pause that is over.
  void tick();

 private:
  Listener(uv_loop_t* loop, std::string name, OnAccept on_accept);
  Status bind(const sockaddr* address, socklen_t size);
  Status listen(int backlog);
  void watch();
  void accept_some();
  void accepted(int fd, const sockaddr_storage& address);
  void pause(int error);

  // libuv's handle outlives the listener until its close callback.
  struct Watch {
    uv_poll_t poll;
    int fd;
  };

  int fd_ = -1;
  Watch* watch_ = nullptr;  // owns fd_ once it is there
  uv_loop_t* loop_;
  std::string name_;
  std::string path_;  // of a unix socket
  uint16_t port_ = 0;
  OnAccept on_accept_;
  // A spell of shortage lasts until there was none for a while; the log says when it begins and ends.
  bool short_ = false;
  uint64_t shortage_ms_ = 0;  // when accept() last failed, in the loop's time
  uint64_t pause_ms_ = 0;     // how long the pause is, or the last one was; 0: accepted since
  bool paused_ = false;
};

}  // namespace varve
