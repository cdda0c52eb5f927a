#include "os/file_system.h"

#include <algorithm>

#include "base/plant.h"

namespace varve {

std::pair<std::string, std::string> split_path(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {path.substr(0, std::max<size_t>(slash, 1)), path.substr(slash + 1)};
}

std::string join_path(std::string_view dir, std::string_view name) {
  std::string path(dir);
  if (!path.empty() && path.back() != '/') path += '/';
  path += name;
  return path;
}

Status WriteFile::write_durable(uint64_t offset, std::span<const std::string_view> parts) {
  for (std::string_view part : parts) {
    VARVE_TRY(write_at(offset, part));
    offset += part.size();
  }
  return sync();
}

Result<std::string> FileSystem::read_whole(const std::string& path) {
  auto file = open_read(path);
  if (!file) return file.status();
  Buffer bytes;
  if (Status s = (*file)->read_at(0, (*file)->size(), &bytes); !s) return s;
  return std::string(bytes.view());
}

Status FileSystem::replace_whole(const std::string& dir, const std::string& name, std::string_view bytes) {
  const std::string path = join_path(dir, name);
  const std::string temporary = path + ".tmp";
  // One may be left from a crash; nothing ever reads it.
  if (Status s = remove(temporary); !s && !s.is_not_found()) return s;
  Status written = [&] {
    auto file = create(temporary);
    if (!file) return file.status();
    if (Status s = (*file)->write_at(0, bytes); !s) return s;
    // Synced before the rename: else a crash could leave the new name on missing bytes.
    if (Status s = (*file)->sync(); !s) return s;
    if (Status s = (*file)->close(); !s) return s;
    return rename(temporary, path);
  }();
  if (written) return planted(Plant::replace_without_dir_sync) ? Status() : sync_dir(dir);
  // Best effort: what the next call removes anyway. The first failure is the one to tell.
  static_cast<void>(remove(temporary));
  return written;
}

}  // namespace varve
