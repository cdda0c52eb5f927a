// dump.h: one file as text.
#pragma once

#include <string>
#include <string_view>

#include "os/file_system.h"
#include "tool/directory.h"

namespace varve::tool {

// `kind`: "wal", "table" or "manifest". `details`: every operation of a log, every record of a table.
Status dump_file(FileSystem& fs, std::string_view kind, const std::string& path, bool details,
                 const Print& print);

}  // namespace varve::tool
