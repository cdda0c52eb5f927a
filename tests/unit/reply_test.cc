// Goal: the bytes of each kind of reply in RESP2 and RESP3.
#include "resp/reply.h"

#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <string>

namespace varve {
namespace {

std::string written(int protocol, const std::function<void(Reply&)>& write) {
  OutputBuffer out;
  Reply reply(out, protocol);
  write(reply);
  return std::string(out.unsent(out.end()));
}

void check(const std::function<void(Reply&)>& write, const std::string& resp2, const std::string& resp3) {
  CHECK(written(2, write) == resp2);
  CHECK(written(3, write) == resp3);
}

TEST_CASE("reply: kinds") {
  check([](Reply& r) { r.ok(); }, "+OK\r\n", "+OK\r\n");
  check([](Reply& r) { r.simple("PONG"); }, "+PONG\r\n", "+PONG\r\n");
  check([](Reply& r) { r.error("ERR a\r\nb"); }, "-ERR a  b\r\n", "-ERR a  b\r\n");
  check([](Reply& r) { r.integer(-12); }, ":-12\r\n", ":-12\r\n");
  check([](Reply& r) { r.integer(INT64_MIN); }, ":-9223372036854775808\r\n", ":-9223372036854775808\r\n");
  check([](Reply& r) { r.integer(INT64_MAX); }, ":9223372036854775807\r\n", ":9223372036854775807\r\n");
  check([](Reply& r) { r.bulk("abc"); }, "$3\r\nabc\r\n", "$3\r\nabc\r\n");
  check([](Reply& r) { r.bulk({}); }, "$0\r\n\r\n", "$0\r\n\r\n");
  check([](Reply& r) { r.null(); }, "$-1\r\n", "_\r\n");
  check([](Reply& r) { r.null_array(); }, "*-1\r\n", "_\r\n");
  check([](Reply& r) { r.array(2); }, "*2\r\n", "*2\r\n");
  check([](Reply& r) { r.map(2); }, "*4\r\n", "%2\r\n");
  check([](Reply& r) { r.set(2); }, "*2\r\n", "~2\r\n");
  check([](Reply& r) { r.push(2); }, "*2\r\n", ">2\r\n");
  check([](Reply& r) { r.real(0.5); }, "$3\r\n0.5\r\n", ",0.5\r\n");
  check([](Reply& r) { r.boolean(true); }, ":1\r\n", "#t\r\n");
  check([](Reply& r) { r.boolean(false); }, ":0\r\n", "#f\r\n");
  check([](Reply& r) { r.verbatim("txt", "hello"); }, "$5\r\nhello\r\n", "=9\r\ntxt:hello\r\n");
  check([](Reply& r) { r.bulk_integer(-42); }, "$3\r\n-42\r\n", "$3\r\n-42\r\n");
}

TEST_CASE("reply: reals as %.17g prints them") {
  CHECK(format_real(0) == "0");
  CHECK(format_real(-0.0) == "-0");
  CHECK(format_real(3) == "3");
  CHECK(format_real(-999999999999999) == "-999999999999999");
  CHECK(format_real(1e15) == "1000000000000000");
  CHECK(format_real(-17.5) == "-17.5");
  CHECK(format_real(0.1) == "0.10000000000000001");
  CHECK(format_real(1.0 / 3) == "0.33333333333333331");
  CHECK(format_real(12345678901234567.0) == "12345678901234568");
  CHECK(format_real(1e16) == "10000000000000000");
  CHECK(format_real(1e17) == "1e+17");
  CHECK(format_real(0.0001) == "0.0001");
  CHECK(format_real(0.00001) == "1.0000000000000001e-05");
  CHECK(format_real(1.5e300) == "1.5000000000000001e+300");
  CHECK(format_real(std::numeric_limits<double>::infinity()) == "inf");
  CHECK(format_real(-std::numeric_limits<double>::infinity()) == "-inf");
  CHECK(format_real(std::numeric_limits<double>::quiet_NaN()) == "nan");
}

TEST_CASE("output buffer: positions survive sending, truncating and releasing") {
  OutputBuffer out;
  out.append("hello world");
  out.consume(6);
  CHECK(out.begin() == 6);
  CHECK(out.end() == 11);
  CHECK(out.unsent(8) == "wo");
  out.truncate(8);
  CHECK(out.unsent(out.end()) == "wo");
  out.consume(2);
  out.release_memory();
  CHECK(out.memory_used() == 0);
  out.append("x");
  CHECK(out.begin() == 8);
  CHECK(out.end() == 9);
}

}  // namespace
}  // namespace varve
