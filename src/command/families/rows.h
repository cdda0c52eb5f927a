// rows.h: how a family writes its rows of the command table.
#pragma once

#include <vector>

#include "command/command_table.h"

namespace varve {

// @fast or @slow follows from the flags.
struct CommandRow {
  const char* name;
  int arity;
  uint32_t flags;
  uint32_t categories;
  std::vector<KeySpec> keys;
  CommandFunction run;
  const char* since;
  const char* group;
  const char* complexity;
  const char* summary;
  std::vector<const char*> tips = {};
  uint32_t extra_write_bytes = 0;
  KeysFunction find_keys = nullptr;
};

inline Command make_command(const CommandRow& row) {
  Command command;
  command.name = row.name;
  command.arity = row.arity;
  command.flags = row.flags;
  command.categories = row.categories | ((row.flags & kCmdFast) != 0 ? kAclFast : kAclSlow);
  command.keys = row.keys;
  command.find_keys = row.find_keys;
  command.run = row.run;
  command.since = row.since;
  command.group = row.group;
  command.summary = row.summary;
  command.complexity = row.complexity;
  command.tips = row.tips;
  command.extra_write_bytes = row.extra_write_bytes;
  return command;
}

}  // namespace varve
