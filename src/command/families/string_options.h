// string_options.h: the options SET and GETEX share, read and refused as Redis does.
#pragma once

#include <cstdint>
#include <string_view>

#include "command/command_context.h"

namespace varve {

struct StringOptions {
  bool nx = false;
  bool xx = false;
  bool get = false;
  bool keep_ttl = false;
  bool persist = false;
  // The expiry as given: empty when there is none.
  std::string_view expire;
  bool expire_seconds = false;
  bool expire_absolute = false;
};

// Reads args from `first` on. False: a syntax error was replied.
bool parse_set_options(CommandContext& context, size_t first, StringOptions* options);
bool parse_getex_options(CommandContext& context, size_t first, StringOptions* options);

// The time of expiry in milliseconds since 1970. False: an error was replied.
bool parse_expire_time(CommandContext& context, std::string_view text, bool seconds, bool absolute,
                       int64_t* expire_ms);

}  // namespace varve
