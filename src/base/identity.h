// identity.h: the random 128-bit name that every file and data directory carries (DESIGN.md, law 9).
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace varve {

struct Identity {
  uint64_t high = 0;
  uint64_t low = 0;

  bool operator==(const Identity&) const = default;
  bool is_zero() const { return high == 0 && low == 0; }
  // 32 hexadecimal digits.
  std::string to_string() const;
};

}  // namespace varve
