// config_text.h: the texts of Redis's configuration syntax: words (base/words.h) and sizes with units. Pure
// functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/words.h"

namespace varve {

// "100", "1k" = 1000, "1kb" = 1024, likewise m, mb, g, gb; case does not matter. Nothing for anything else or
// what does not fit 63 bits.
std::optional<uint64_t> parse_memory(std::string_view text);
// In the largest unit that loses nothing: "64mb", "1500".
std::string format_memory(uint64_t bytes);

std::string lower_case(std::string_view text);

}  // namespace varve
