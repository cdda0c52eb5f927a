#include "server/config_text.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>

namespace varve {

std::optional<uint64_t> parse_memory(std::string_view text) {
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') digits++;
  uint64_t value = 0;
  if (digits == 0 || std::from_chars(text.data(), text.data() + digits, value).ec != std::errc())
    return std::nullopt;
  std::string unit = lower_case(text.substr(digits));
  uint64_t factor = 0;
  if (unit.empty() || unit == "b") factor = 1;
  if (unit == "k") factor = 1000;
  if (unit == "kb") factor = 1024;
  if (unit == "m") factor = 1000 * 1000;
  if (unit == "mb") factor = 1024 * 1024;
  if (unit == "g") factor = 1000ull * 1000 * 1000;
  if (unit == "gb") factor = 1024ull * 1024 * 1024;
  if (factor == 0 || value > INT64_MAX / factor) return std::nullopt;
  return value * factor;
}

std::string format_memory(uint64_t bytes) {
  if (bytes == 0) return "0";
  if (bytes % (1ull << 30) == 0) return fmt::format("{}gb", bytes >> 30);
  if (bytes % (1ull << 20) == 0) return fmt::format("{}mb", bytes >> 20);
  if (bytes % (1ull << 10) == 0) return fmt::format("{}kb", bytes >> 10);
  return fmt::format("{}", bytes);
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

}  // namespace varve
