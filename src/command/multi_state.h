// multi_state.h: what a client has queued since MULTI. Owned by its connection, which charges the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace varve {

struct Command;

struct QueuedCommand {
  const Command* command;
  std::vector<std::string> args;
  int64_t usec = 0;  // of its runs so far, those that did not count included
  uint32_t db = 0;   // the client's database behind it
};

struct MultiState {
  std::vector<QueuedCommand> commands;
  bool failed = false;  // a command was refused: EXEC will be too
  uint32_t flags = 0;   // of all commands (CommandFlag)
  size_t bytes = 0;
};

}  // namespace varve
