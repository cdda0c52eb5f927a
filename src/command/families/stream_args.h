// stream_args.h: ids and options as the commands on streams read them.
#pragma once

#include <optional>
#include <string_view>

#include "command/families/helpers.h"
#include "keyspace/types/stream.h"

namespace varve {

// "ms-seq" or "ms", which stands for the sequence `missing`. False: an error was replied.
bool id_argument(CommandContext& context, std::string_view text, uint64_t missing, StreamId* id);
// The same for ends of a range: also "-", "+" and, in front of an id, "(".
bool bound_argument(CommandContext& context, std::string_view text, uint64_t missing, StreamId* id,
                    bool* exclusive);

// What stands between the key and the fields of XADD, or behind the key of XTRIM.
struct StreamOptions {
  StreamTrim trim;
  bool make = true;            // without NOMKSTREAM
  std::optional<StreamId> id;  // of XADD; none: "*"
  bool any_sequence = false;   // "ms-*"
  size_t fields = 0;           // of XADD: where they begin
};
// False: an error was replied.
bool parse_stream_options(CommandContext& context, bool add, StreamOptions* options);

// False: WRONGTYPE was replied.
inline bool find_stream(CommandContext& context, std::string_view key, Entry* entry) {
  return find_typed(context, key, ValueType::kStream, entry);
}

}  // namespace varve
