// bit_args.h: what commands on bits share.
#pragma once

#include <cstdint>
#include <string_view>

#include "command/command_context.h"

namespace varve {

// An offset in bits, within the longest string; "#2" counts fields of `bits` bits, where that is allowed.
// False: an error was replied.
bool bit_offset_argument(CommandContext& context, std::string_view text, bool may_count_fields, unsigned bits,
                         uint64_t* offset);

// Redis calls a string raw once its bits were written, whatever they are: true when that has to be noted.
bool must_become_raw(const Entry& entry);

}  // namespace varve
