// list_helpers.h: what the two files of commands on lists share.
#pragma once

#include <string>
#include <string_view>

#include "command/families/helpers.h"
#include "keyspace/types/list.h"

namespace varve {

// False: WRONGTYPE was replied.
inline bool find_list(CommandContext& context, std::string_view key, Entry* entry) {
  return find_typed(context, key, ValueType::kList, entry);
}

inline List open_list(CommandContext& context, std::string_view key, const Entry& entry) {
  return List(context.tx, context.db(), key, entry);
}

// Puts the list and tells what happened to it.
inline void save_list(CommandContext& context, std::string_view key, List& list, const char* event) {
  list.save();
  context.notify(kEventList, event, key);
  if (list.empty()) context.notify(kEventGeneric, "del", key);
}

// The element at an index as a bulk: one read, where a walk would look into every table. False: it would make
// the reply too long, which was replied.
bool reply_index(CommandContext& context, List& list, uint64_t index);

// What reply_index() does with an element that was read. False as there.
bool reply_element(CommandContext& context, std::string_view element);

}  // namespace varve
