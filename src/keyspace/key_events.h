// key_events.h: what happened to keys, as keyspace notifications tell it. A run notes events in its
// transaction; they go out when its batch is committed, in the order in which they were noted, and are thrown
// away with a run that counts for nothing. Noting costs one comparison while nobody asked for the class.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace varve {

// The classes of notify-keyspace-events; the letters are Redis's.
enum KeyEventClass : uint32_t {
  kEventGeneric = 1u << 0,    // g: DEL, EXPIRE, RENAME ...
  kEventString = 1u << 1,     // $
  kEventList = 1u << 2,       // l
  kEventSet = 1u << 3,        // s
  kEventHash = 1u << 4,       // h
  kEventZset = 1u << 5,       // z
  kEventExpired = 1u << 6,    // x
  kEventEvicted = 1u << 7,    // e: never happens here
  kEventStream = 1u << 8,     // t
  kEventModule = 1u << 9,     // d: never happens here
  kEventNew = 1u << 10,       // n: a key came to be; not in A
  kEventMiss = 1u << 11,      // m: a key was looked for in vain; not in A
  kEventKeyspace = 1u << 12,  // K: tell on __keyspace@<db>__:<key>
  kEventKeyevent = 1u << 13,  // E: tell on __keyevent@<db>__:<event>
};
inline constexpr uint32_t kEventAll = kEventGeneric | kEventString | kEventList | kEventSet | kEventHash |
                                      kEventZset | kEventExpired | kEventEvicted | kEventStream |
                                      kEventModule;
inline constexpr uint32_t kEventChannels = kEventKeyspace | kEventKeyevent;

// Redis's letters to classes; nullopt when one is unknown.
std::optional<uint32_t> parse_event_classes(std::string_view letters);
// The canonical letters, as CONFIG GET gives them.
std::string format_event_classes(uint32_t classes);

struct KeyEvent {
  const char* name;   // "set": a constant
  uint32_t database;  // its number
  std::string key;
};

}  // namespace varve
