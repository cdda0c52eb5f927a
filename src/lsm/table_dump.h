// table_dump.h: looking into a table file, for varve-tool and salvage. Blocking; any thread.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "lsm/table_meta.h"
#include "os/file_system.h"

namespace varve {

// Writes footer, properties, sections, blocks and range deletes as text, with `records` every record; a line
// a call, newline included. Stops at the first block that cannot be read.
Status dump_table(FileSystem& fs, const std::string& path, bool records,
                  const std::function<void(std::string_view)>& out);

// Reads the whole file and compares what it says in one place with what it says in another: checksums, order,
// bounds, counts, filters, separators, no gaps between blocks. `expected`: the manifest's meta, or null. Each
// problem is a call of `problem` with a text that names file and place. Ok when the check could be carried
// out, whatever it found. Once `cancel` (may be null) is true, no more is read: kAborted.
Status check_table(FileSystem& fs, const std::string& path, const TableMeta* expected,
                   const std::function<void(const std::string&)>& problem,
                   const std::atomic<bool>* cancel = nullptr);

// Bytes as people read them: printable ASCII as it is, the rest as \xNN; cut after `most` characters.
std::string printable(std::string_view bytes, size_t most = 64);

}  // namespace varve
