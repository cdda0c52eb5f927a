#include "resp/reply.h"

#include <charconv>
#include <cmath>
#include <cstring>

namespace varve {
namespace {

// Writes `v` in decimal at p (room for 20) and returns the byte after it.
char* put_number(char* p, uint64_t v) {
  if (v < 10) {
    *p = static_cast<char>('0' + v);
    return p + 1;
  }
  return std::to_chars(p, p + 20, v).ptr;
}

char* put_line_end(char* p) {
  p[0] = '\r';
  p[1] = '\n';
  return p + 2;
}

}  // namespace

void Reply::header(char type, uint64_t n) {
  char line[32];
  line[0] = type;
  char* end = put_line_end(put_number(line + 1, n));
  out_.append(line, static_cast<size_t>(end - line));
}

void Reply::simple(std::string_view text) {
  out_.append("+");
  out_.append(text);
  out_.append("\r\n");
}

void Reply::error(std::string_view text) {
  char* p = out_.extend(text.size() + 3);
  *p++ = '-';
  for (char c : text) *p++ = c == '\r' || c == '\n' ? ' ' : c;
  put_line_end(p);
}

void Reply::integer(int64_t value) {
  char line[32];
  line[0] = ':';
  char* p = line + 1;
  uint64_t magnitude = static_cast<uint64_t>(value);
  if (value < 0) {
    *p++ = '-';
    magnitude = 0 - magnitude;
  }
  p = put_line_end(put_number(p, magnitude));
  out_.append(line, static_cast<size_t>(p - line));
}

void Reply::bulk(std::string_view bytes) {
  char line[32];
  line[0] = '$';
  size_t n = static_cast<size_t>(put_line_end(put_number(line + 1, bytes.size())) - line);
  char* p = out_.extend(n + bytes.size() + 2);
  std::memcpy(p, line, n);
  if (!bytes.empty()) std::memcpy(p + n, bytes.data(), bytes.size());
  put_line_end(p + n + bytes.size());
}

void Reply::null() {
  out_.append(protocol_ >= 3 ? "_\r\n" : "$-1\r\n");
}
void Reply::null_array() {
  out_.append(protocol_ >= 3 ? "_\r\n" : "*-1\r\n");
}
void Reply::array(uint64_t count) {
  header('*', count);
}
void Reply::map(uint64_t pairs) {
  protocol_ >= 3 ? header('%', pairs) : header('*', pairs * 2);
}
void Reply::set(uint64_t count) {
  header(protocol_ >= 3 ? '~' : '*', count);
}
void Reply::push(uint64_t count) {
  header(protocol_ >= 3 ? '>' : '*', count);
}

void Reply::real(double value) {
  std::string text = format_real(value);
  if (protocol_ < 3) return bulk(text);
  out_.append(",");
  out_.append(text);
  out_.append("\r\n");
}

void Reply::boolean(bool value) {
  if (protocol_ < 3) return out_.append(value ? ":1\r\n" : ":0\r\n");
  out_.append(value ? "#t\r\n" : "#f\r\n");
}

void Reply::big_number(std::string_view digits) {
  if (protocol_ < 3) return bulk(digits);
  out_.append("(");
  out_.append(digits);
  out_.append("\r\n");
}

void Reply::attribute(uint64_t pairs) {
  header('|', pairs);
}

void Reply::verbatim(std::string_view format, std::string_view text) {
  if (protocol_ < 3) return bulk(text);
  VARVE_DCHECK(format.size() == 3);
  header('=', text.size() + 4);
  out_.append(format);
  out_.append(":");
  out_.append(text);
  out_.append("\r\n");
}

void Reply::bulk_integer(int64_t value) {
  char digits[24];
  char* end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  bulk({digits, static_cast<size_t>(end - digits)});
}

std::string format_real(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char text[40];
  constexpr double kWholeMax = 1e15;  // whole numbers below need no search for their digits
  if (std::fabs(value) < kWholeMax && value == std::trunc(value) && !(value == 0 && std::signbit(value))) {
    return std::string(text, std::to_chars(text, text + sizeof text, static_cast<int64_t>(value)).ptr);
  }
  return std::string(text,
                     std::to_chars(text, text + sizeof text, value, std::chars_format::general, 17).ptr);
}

}  // namespace varve
