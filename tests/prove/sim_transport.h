// sim_transport.h: a socket of the simulated world: a small buffer of the "system" between server and client,
// so that writes are taken in part, replies pile up when the client does not read, and either side may break
// off anywhere.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "server/transport.h"

namespace varve::prove {

// What both ends share. The server's end goes with its Connection.
struct Wire {
  size_t capacity = 4096;  // what the system takes before the client reads
  size_t ahead = 0;        // what the transport itself takes beyond that, like libuv's write requests
  std::string to_client;   // in the system
  std::string taken;       // by the transport, not yet by the system
  bool reading = false;    // the server wants input
  bool wants_writable = false;
  bool broken = false;  // the client is gone; the server has not noticed
  bool closed = false;  // by the server

  // Moves what the system has room for.
  void settle() {
    size_t room = capacity > to_client.size() ? capacity - to_client.size() : 0;
    size_t n = std::min(room, taken.size());
    to_client.append(taken, 0, n);
    taken.erase(0, n);
  }
};

class SimTransport final : public Transport {
 public:
  explicit SimTransport(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}
  ~SimTransport() override {
    wire_->closed = true;
    wire_->taken.clear();
  }

  int64_t write(std::string_view bytes) override {
    if (wire_->broken) return -1;
    if (!wire_->taken.empty()) return 0;
    size_t room = wire_->capacity > wire_->to_client.size() ? wire_->capacity - wire_->to_client.size() : 0;
    size_t n = std::min(bytes.size(), room);
    wire_->to_client.append(bytes.substr(0, n));
    if (n == bytes.size()) return static_cast<int64_t>(n);
    wire_->wants_writable = true;
    size_t more = std::min(bytes.size() - n, wire_->ahead);
    wire_->taken.assign(bytes.substr(n, more));
    return static_cast<int64_t>(n + more);
  }
  size_t pending() const override { return wire_->taken.size(); }
  void set_reading(bool on) override { wire_->reading = on; }

 private:
  std::shared_ptr<Wire> wire_;
};

}  // namespace varve::prove
