// directory.h: a data directory as the tools look at it: perhaps damaged, and never changed.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "lsm/manifest.h"
#include "os/file_system.h"

namespace varve::tool {

// Takes a line without its end.
using Print = std::function<void(std::string_view line)>;

// What every command ends with.
inline constexpr int kExitIntact = 0;
inline constexpr int kExitDamage = 1;
inline constexpr int kExitUsage = 2;  // a wrong command line, or not a directory the tool can judge

// Keeps servers away while the tool reads: holds the directory's LOCK if it has one (a checkpoint never
// opened has none, and none is made). kBusy when a server holds it.
Result<std::unique_ptr<FileLock>> hold_directory(FileSystem& fs, const std::string& dir);

// Names of our files, in order of their numbers.
struct DirectoryFiles {
  std::vector<std::string> tables, logs, manifests, temporary, foreign;
  bool current = false;
};
Result<DirectoryFiles> list_directory(FileSystem& fs, const std::string& dir);
uint64_t number_in(std::string_view name);

// A manifest read as far as it is whole, whatever CURRENT says.
struct ManifestView {
  ManifestState state;
  ManifestInfo info;
  Status damage;  // ok: all of it was read, but for a torn tail
};
// Fails when not even the header and the first snapshot can be read, or when the format is newer
// (kUnsupported).
Result<ManifestView> view_manifest(FileSystem& fs, const std::string& dir, const std::string& name);

}  // namespace varve::tool
