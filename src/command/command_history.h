// command_history.h: what changed in which version of Redis, for COMMAND DOCS: clients choose by it what they
// may ask of an older server.
#pragma once

#include <string_view>
#include <vector>

namespace varve {

struct CommandChange {
  const char* since;
  const char* text;
};

// Oldest first; empty for a command that is as it was. By full name, in lower case.
std::vector<CommandChange> command_history(std::string_view full_name);

}  // namespace varve
