// tool.h: varve-tool's command line.
#pragma once

#include <string>
#include <vector>

#include "os/file_system.h"
#include "tool/directory.h"

namespace varve::tool {

// Runs one command; returns the exit code (directory.h). `error` takes what went wrong.
int run_tool(FileSystem& fs, const std::vector<std::string>& args, const Print& out, const Print& error);

}  // namespace varve::tool
