// client_names.h: what a client may call itself (CLIENT SETNAME, HELLO SETNAME, CLIENT SETINFO): CLIENT LIST
// must stay a line of words.
#pragma once

#include <cstddef>
#include <string_view>

namespace varve {

inline constexpr const char* kBadClientName =
    "ERR Client names cannot contain spaces, newlines or special characters.";

// Names stay as long as their connection does, and CLIENT LIST repeats them.
inline constexpr size_t kClientNameMax = 1024;
inline constexpr const char* kLongClientName = "ERR Client names are at most 1024 bytes long in varve.";

inline bool valid_client_name(std::string_view name) {
  for (char c : name) {
    if (c < '!' || c > '~') return false;
  }
  return true;
}

}  // namespace varve
