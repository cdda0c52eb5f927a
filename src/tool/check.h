// check.h: is a data directory what varve wrote? Reads everything, changes nothing.
#pragma once

#include <string>

#include "os/file_system.h"
#include "tool/directory.h"

namespace varve::tool {

// Prints "damage: ..." and "note: ..." lines and a summary; returns how many damages there are. Fails when
// `dir` is no data directory, is in use, or has a newer format.
Result<uint64_t> check_directory(FileSystem& fs, const std::string& dir, const Print& print);

}  // namespace varve::tool
