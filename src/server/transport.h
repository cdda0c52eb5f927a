// transport.h: the door to a client's socket (DESIGN.md, law 7). A Connection sees only this; uv_transport.h
// has libuv's, tests and the simulator bring their own. Loop thread only.
//
// The other direction is a Connection's own functions: read_room() and received() for bytes, end_of_input(),
// writable(), lost().
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace varve {

class Transport {
 public:
  // Closes, dropping what the system has not taken. No call of the Connection follows.
  virtual ~Transport() = default;
  // Takes bytes from the front and returns how many. Fewer than all: the peer does not keep up, and
  // Connection::writable() is called once everything taken has been handed to the system. -1: the connection
  // is broken.
  virtual int64_t write(std::string_view bytes) = 0;
  // Bytes taken and not yet handed to the system.
  virtual size_t pending() const = 0;
  virtual void set_reading(bool on) = 0;
};

}  // namespace varve
