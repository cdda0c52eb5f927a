// uv_transport.h: a client's socket on libuv: TCP or unix. A write goes out at once as far as the socket
// takes it; of the rest one chunk is copied and handed to libuv, so that the connection's own buffer may
// move. Loop thread.
#pragma once

#include <uv.h>

#include <memory>
#include <string>

#include "server/transport.h"

namespace varve {

class Connection;

// A handle lives until libuv's close callback, longer than the transport that owns it.
struct UvSocket {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };
  class UvTransport* owner = nullptr;
};

class UvTransport final : public Transport {
 public:
  // Takes over an open socket.
  explicit UvTransport(UvSocket* socket);
  ~UvTransport() override;
  // Whom to call. Until then nothing is read.
  void set_connection(Connection* connection) { connection_ = connection; }

  int64_t write(std::string_view bytes) override;
  size_t pending() const override { return pending_; }
  void set_reading(bool on) override;

 private:
  static void on_alloc(uv_handle_t* handle, size_t suggested, uv_buf_t* out);
  static void on_read(uv_stream_t* stream, ssize_t n, const uv_buf_t* buffer);
  static void on_written(uv_write_t* request, int status);

  UvSocket* socket_;
  Connection* connection_ = nullptr;
  size_t pending_ = 0;
};

// Closes a handle that has no transport yet.
void close_socket(UvSocket* socket);

}  // namespace varve
