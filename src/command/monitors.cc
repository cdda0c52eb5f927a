#include "command/monitors.h"

#include <fmt/format.h>

#include <algorithm>

#include "command/push_message.h"

namespace varve {
namespace {

// In quotes, with everything that is not a printable ASCII character escaped.
void append_quoted(std::string_view text, std::string* out) {
  constexpr char kHex[] = "0123456789abcdef";
  constexpr std::string_view kSpecial = "\n\r\t\a\b";
  constexpr std::string_view kLetters = "nrtab";
  *out += '"';
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (size_t special = kSpecial.find(c); special != std::string_view::npos) {
      *out += '\\';
      *out += kLetters[special];
    } else if (c == '"' || c == '\\') {
      *out += '\\';
      *out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      *out += "\\x";
      *out += kHex[byte >> 4];
      *out += kHex[byte & 15];
    } else {
      *out += c;
    }
  }
  *out += '"';
}

// A unix socket is shown by its path.
std::string shown_address(const ClientState& client) {
  if (!client.unix_socket) return client.address;
  return "unix:" + client.address.substr(0, client.address.rfind(':'));
}

}  // namespace

void Monitors::add(ClientState& client) {
  client.monitor = true;
  clients_.push_back(client.id);
}

void Monitors::remove(uint64_t client) {
  clients_.erase(std::remove(clients_.begin(), clients_.end(), client), clients_.end());
}

void Monitors::show(Host& host, Sequence gate, int64_t now_us, const ClientState& client, uint32_t db,
                    const std::vector<std::string_view>& args) {
  PushMessage message = PushMessage::line(monitor_line(now_us, client, db, args));
  // Pushing may close the one that does not read.
  std::vector<uint64_t> clients = clients_;
  for (uint64_t id : clients) host.push(id, gate, message);
}

std::string monitor_line(int64_t now_us, const ClientState& client, uint32_t db,
                         const std::vector<std::string_view>& args) {
  std::string line =
      fmt::format("{}.{:06} [{} {}]", now_us / 1'000'000, now_us % 1'000'000, db, shown_address(client));
  for (std::string_view arg : args) {
    line += ' ';
    append_quoted(arg, &line);
  }
  return line;
}

}  // namespace varve
