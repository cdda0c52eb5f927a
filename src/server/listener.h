// listener.h: one listening socket, TCP or unix. It accepts a bounded number of connections in a turn, so
// that a storm of them does not keep the others from being served. Loop thread.
//
// Out of descriptors: maxclients is kept below the process's limit (main.cc), so that this is rare; when it
// happens libuv accepts the connection on a reserve descriptor and closes it, and the log says so once a
// second.
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
  // A new turn: accepts what had to wait.
  void begin_turn();
  bool waiting() const { return waiting_; }

 private:
  Listener(uv_loop_t* loop, std::string name, OnAccept on_accept);
  Status listen(int backlog);
  static void on_connection(uv_stream_t* stream, int status);
  void accept_one();

  UvSocket* socket_;
  uv_loop_t* loop_;
  std::string name_;
  std::string path_;  // of a unix socket
  uint16_t port_ = 0;
  OnAccept on_accept_;
  int accepted_ = 0;  // in this turn
  bool waiting_ = false;
  uint64_t complained_ms_ = 0;
};

}  // namespace varve
