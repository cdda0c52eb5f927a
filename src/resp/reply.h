// reply.h: writes RESP2 or RESP3 into an OutputBuffer. Specification:
// https://redis.io/docs/reference/protocol-spec. In RESP2 the newer types fall back as Redis 7 does: map ->
// flat array, set -> array, null -> $-1, double -> bulk, boolean -> :1/:0, verbatim -> bulk, push -> array,
// big number -> bulk.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "resp/output_buffer.h"

namespace varve {

class Reply {
 public:
  Reply(OutputBuffer& out, int protocol) : out_(out), protocol_(protocol) {}

  int protocol() const { return protocol_; }
  OutputBuffer& out() { return out_; }

  void ok() { out_.append("+OK\r\n"); }
  void simple(std::string_view text);  // +text
  // "-text": text begins with its code ("ERR ...", "WRONGTYPE ..."). CR and LF inside become spaces.
  void error(std::string_view text);
  void integer(int64_t value);
  void bulk(std::string_view bytes);
  void null();        // $-1 or _
  void null_array();  // *-1 or _
  void array(uint64_t count);
  void map(uint64_t pairs);
  void set(uint64_t count);
  void push(uint64_t count);
  void real(double value);  // , or bulk, as format_real() writes it
  void boolean(bool value);
  void big_number(std::string_view digits);
  void attribute(uint64_t pairs);                                 // of the reply behind them; RESP3 only
  void verbatim(std::string_view format, std::string_view text);  // format: 3 letters, "txt"
  void bulk_integer(int64_t value);                               // an integer as a bulk string

 private:
  void header(char type, uint64_t n);
  OutputBuffer& out_;
  int protocol_;
};

// Redis's text of a double: as "%.17g" prints it; "inf", "-inf", "nan".
std::string format_real(double value);

}  // namespace varve
