#include "tool/dump.h"

#include "lsm/manifest.h"
#include "lsm/table_dump.h"
#include "lsm/wal_format.h"

namespace varve::tool {

Status dump_file(FileSystem& fs, std::string_view kind, const std::string& path, bool details,
                 const Print& print) {
  if (kind == "wal") return dump_log(fs, path, details, print);
  if (kind == "manifest") return dump_manifest(fs, path, print);
  if (kind != "table") return Status::invalid_argument("dump {}: is not one of wal, table, manifest", kind);
  return dump_table(fs, path, details, [&](std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    print(line);
  });
}

}  // namespace varve::tool
