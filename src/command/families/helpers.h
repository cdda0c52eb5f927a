// helpers.h: small things that families share.
#pragma once

#include <string_view>

#include "command/command_context.h"

namespace varve {

// What COPY copies at once.
inline constexpr uint64_t kCopyMax = 64 << 20;

// Redis keeps strings up to this beside their key ("embstr"), and calls longer ones raw.
inline constexpr size_t kEmbeddedStringMax = 44;

// Finds a key for reading and counts the hit or the miss. True when it exists.
inline bool find_quietly(CommandContext& context, std::string_view key, Entry* entry) {
  bool found = context.tx.find(context.db(), key, entry);
  ++(found ? context.services.hits : context.services.misses);
  return found;
}

// The same, and the miss is an event.
inline bool find_for_reading(CommandContext& context, std::string_view key, Entry* entry) {
  bool found = find_quietly(context, key, entry);
  if (!found) context.notify(kEventMiss, "keymiss", key);
  return found;
}

// Finds a key that must hold this type or nothing. False: WRONGTYPE was replied.
inline bool find_typed(CommandContext& context, std::string_view key, ValueType type, Entry* entry) {
  if (!context.tx.find(context.db(), key, entry) || entry->record.type == type) return true;
  context.reply.error(errors::kWrongType);
  return false;
}
// The same for reading: counts the hit or the miss.
inline bool find_typed_for_reading(CommandContext& context, std::string_view key, ValueType type,
                                   Entry* entry) {
  if (!find_for_reading(context, key, entry) || entry->record.type == type) return true;
  context.reply.error(errors::kWrongType);
  return false;
}

// True when there is no key or it holds a string; else WRONGTYPE was replied.
inline bool is_string_or_absent(CommandContext& context, const Entry& entry) {
  if (!entry.exists || entry.record.type == ValueType::kString) return true;
  context.reply.error(errors::kWrongType);
  return false;
}

// The argument as an integer; false: "not an integer" was replied.
bool integer_argument(CommandContext& context, std::string_view text, int64_t* value);

// The argument as an integer above -2^63, as Redis reads counts; false: its error was replied.
bool count_argument(CommandContext& context, std::string_view text, int64_t* value);

// The timeout of a blocking command, 0 for ever: seconds with a fraction (BLPOP), or milliseconds (XREAD).
// False: Redis's error was replied.
bool timeout_argument(CommandContext& context, std::string_view text, bool seconds, int64_t* timeout_ms);

// What OBJECT ENCODING tells of an existing key.
const char* object_encoding(const Record& record);

// Instead of a reply that would exceed Host::max_reply(): drops what stands of it and says so.
void reply_too_long(CommandContext& context);

// The whole string of an existing entry as a bulk reply; too long to be read at once is an error.
void reply_string(CommandContext& context, const Entry& entry);

}  // namespace varve
