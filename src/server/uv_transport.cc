#include "server/uv_transport.h"

#include <algorithm>

#include "base/plant.h"
#include "server/connection.h"

namespace varve {
namespace {

constexpr size_t kChunk = 64 * 1024;

struct WriteRequest {
  uv_write_t request;
  UvSocket* socket;
  std::string bytes;
};

}  // namespace

void close_socket(UvSocket* socket) {
  socket->handle.data = socket;
  uv_close(&socket->handle, [](uv_handle_t* handle) { delete static_cast<UvSocket*>(handle->data); });
}

UvTransport::UvTransport(UvSocket* socket) : socket_(socket) {
  socket->owner = this;
  socket->handle.data = socket;
}

UvTransport::~UvTransport() {
  socket_->owner = nullptr;
  if (planted(Plant::leak_socket))
    set_reading(false);
  else
    close_socket(socket_);
}

int64_t UvTransport::write(std::string_view bytes) {
  if (pending_ > 0) return 0;
  uv_buf_t buffer = uv_buf_init(const_cast<char*>(bytes.data()),
                                static_cast<unsigned>(std::min<size_t>(bytes.size(), 1u << 30)));
  int written = uv_try_write(&socket_->stream, &buffer, 1);
  if (written == UV_EAGAIN) written = 0;
  if (written < 0) return -1;
  size_t taken = static_cast<size_t>(written);
  if (taken == bytes.size()) return written;
  auto* request = new WriteRequest;
  request->socket = socket_;
  request->request.data = request;
  request->bytes.assign(bytes.substr(taken, kChunk));
  uv_buf_t rest = uv_buf_init(request->bytes.data(), static_cast<unsigned>(request->bytes.size()));
  if (uv_write(&request->request, &socket_->stream, &rest, 1, on_written) != 0) {
    delete request;
    return -1;
  }
  pending_ = request->bytes.size();
  // Even when that is all: fewer would promise a call of writable(), more calls than promised do no harm.
  return static_cast<int64_t>(taken + pending_);
}

void UvTransport::on_written(uv_write_t* request, int status) {
  std::unique_ptr<WriteRequest> done(static_cast<WriteRequest*>(request->data));
  UvTransport* transport = done->socket->owner;
  if (transport == nullptr) return;
  transport->pending_ = 0;
  if (transport->connection_ == nullptr) return;
  if (status < 0)
    transport->connection_->lost(uv_strerror(status));
  else
    transport->connection_->writable();
}

void UvTransport::set_reading(bool on) {
  if (on)
    uv_read_start(&socket_->stream, on_alloc, on_read);
  else
    uv_read_stop(&socket_->stream);
}

void UvTransport::on_alloc(uv_handle_t* handle, size_t, uv_buf_t* out) {
  UvTransport* transport = static_cast<UvSocket*>(handle->data)->owner;
  if (transport == nullptr || transport->connection_ == nullptr) {
    *out = uv_buf_init(nullptr, 0);
    return;
  }
  Connection::Room room = transport->connection_->read_room();
  *out = uv_buf_init(room.data, static_cast<unsigned>(room.size));
}

// The connection may destroy the transport in any of these calls: nothing here may follow them.
void UvTransport::on_read(uv_stream_t* stream, ssize_t n, const uv_buf_t*) {
  UvTransport* transport = static_cast<UvSocket*>(stream->data)->owner;
  if (transport == nullptr || transport->connection_ == nullptr || n == 0) return;
  Connection* connection = transport->connection_;
  if (n > 0) return connection->received(static_cast<size_t>(n));
  if (n == UV_EOF) return connection->end_of_input();
  connection->lost(uv_strerror(static_cast<int>(n)));
}

}  // namespace varve
