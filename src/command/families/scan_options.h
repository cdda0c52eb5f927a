// scan_options.h: what SCAN, HSCAN, SSCAN and ZSCAN share: cursors as text, options.
#pragma once

#include <cstdint>
#include <string_view>

#include "command/command_context.h"

namespace varve {

// After so many missing blocks a walk is content with what it has found so far.
inline constexpr int kPatientRestarts = 8;

struct ScanOptions {
  int64_t count = 10;
  std::string_view pattern = "*";
  std::string_view type;
  bool by_type = false;
};

// False: an error was replied. Redis reads an empty cursor as 0.
bool parse_cursor(CommandContext& context, std::string_view text, uint64_t* cursor);
// Reads args from `first` on; TYPE is for keys only. False: an error was replied.
bool parse_scan_options(CommandContext& context, size_t first, bool of_keys, ScanOptions* options);

}  // namespace varve
