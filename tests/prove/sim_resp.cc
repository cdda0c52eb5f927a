#include "prove/sim_resp.h"

#include <fmt/format.h>

#include <cstdlib>

namespace varve::prove {
namespace {

// The number behind a type byte and where its line ends; false: not whole.
bool read_header(std::string_view bytes, size_t at, int64_t* n, size_t* end) {
  size_t line = bytes.find("\r\n", at);
  if (line == std::string_view::npos) return false;
  *n = std::strtoll(std::string(bytes.substr(at + 1, line - at - 1)).c_str(), nullptr, 10);
  *end = line + 2;
  return true;
}

bool read_bulk(std::string_view bytes, size_t* at, std::string* out) {
  int64_t n = 0;
  size_t begin = 0;
  if (*at >= bytes.size() || bytes[*at] != '$' || !read_header(bytes, *at, &n, &begin) || n < 0) return false;
  if (begin + static_cast<size_t>(n) + 2 > bytes.size()) return false;
  out->assign(bytes.substr(begin, static_cast<size_t>(n)));
  *at = begin + static_cast<size_t>(n) + 2;
  return true;
}

}  // namespace

void append_request(const std::vector<std::string>& args, std::string* out) {
  fmt::format_to(std::back_inserter(*out), "*{}\r\n", args.size());
  for (const std::string& arg : args) {
    fmt::format_to(std::back_inserter(*out), "${}\r\n", arg.size());
    out->append(arg);
    out->append("\r\n");
  }
}

bool append_line(const std::vector<std::string>& args, std::string* out) {
  std::string line;
  for (const std::string& arg : args) {
    bool plain = !arg.empty() && arg.size() < 1000;
    for (char c : arg)
      plain &= c > ' ' && c < 0x7f && c != '"' && c != '\'' && c != '\\' && c != '*' && c != '$';
    if (!plain) return false;
    line += line.empty() ? arg : " " + arg;
  }
  out->append(line + "\r\n");
  return true;
}

size_t reply_length(std::string_view bytes) {
  size_t at = 0;
  for (int64_t left = 1; left > 0; --left) {
    int64_t n = 0;
    size_t end = 0;
    if (at >= bytes.size() || !read_header(bytes, at, &n, &end)) return 0;
    char type = bytes[at];
    at = end;
    if ((type == '$' || type == '=') && n >= 0) at += static_cast<size_t>(n) + 2;
    if (type == '*' || type == '~' || type == '>') left += n > 0 ? n : 0;
    if (type == '%') left += 2 * n;
    if (at > bytes.size()) return 0;
  }
  return at;
}

bool parse_bulk(std::string_view reply, std::string* bytes) {
  size_t at = 0;
  return read_bulk(reply, &at, bytes) && at == reply.size();
}

bool parse_scan(std::string_view reply, std::string* cursor, std::vector<std::string>* keys) {
  if (!reply.starts_with("*2\r\n")) return false;
  size_t at = 4;
  int64_t n = 0;
  if (!read_bulk(reply, &at, cursor) || at >= reply.size() || reply[at] != '*') return false;
  if (!read_header(reply, at, &n, &at)) return false;
  for (; n > 0; --n) {
    if (!read_bulk(reply, &at, &keys->emplace_back())) return false;
  }
  return at == reply.size();
}

std::string printable(std::string_view bytes, size_t max) {
  std::string out;
  for (char c : bytes.substr(0, max)) {
    if (c == '\r') continue;
    if (c == '\n')
      out += ' ';
    else if (c < 0x20 || c >= 0x7f)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  if (bytes.size() > max) out += fmt::format("... ({} bytes)", bytes.size());
  return out;
}

}  // namespace varve::prove
