// secrets.h: what passwords need: their hash, and a comparison that tells nothing by its time.
#pragma once

#include <string>
#include <string_view>

namespace varve {

// SHA-256, as 64 lower-case digits: what Redis keeps of a password.
std::string sha256_hex(std::string_view bytes);

// In time that depends on the lengths only.
bool same_secret(std::string_view a, std::string_view b);

}  // namespace varve
