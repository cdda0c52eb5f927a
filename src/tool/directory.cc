#include "tool/directory.h"

#include <algorithm>
#include <charconv>

#include "lsm/manifest_record.h"

namespace varve::tool {
namespace {

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Valid records that lie behind `offset` show that what is bad there had been synced.
bool record_behind(std::string_view bytes, uint64_t offset, const Identity& file) {
  for (uint64_t at = offset + kManifestBlockSize; at < bytes.size(); at += kManifestBlockSize) {
    ManifestRecord record;
    if (read_record(bytes, at, file, &record)) return true;
  }
  return false;
}

}  // namespace

Result<std::unique_ptr<FileLock>> hold_directory(FileSystem& fs, const std::string& dir) {
  const std::string path = join_path(dir, "LOCK");
  if (!fs.exists(path)) return std::unique_ptr<FileLock>();
  auto lock = fs.lock(path);
  if (lock) return lock.take();
  if (lock.status().code() == StatusCode::kBusy) {
    return Status::busy("{}: is in use by a running server; stop it, or work on a checkpoint (BGSAVE)", dir);
  }
  // A directory that may only be read cannot be locked; nobody can write to it either.
  return std::unique_ptr<FileLock>();
}

uint64_t number_in(std::string_view name) {
  if (name.starts_with("MANIFEST-")) name.remove_prefix(9);
  uint64_t number = 0;
  std::from_chars(name.data(), name.data() + name.size(), number);
  return number;
}

Result<DirectoryFiles> list_directory(FileSystem& fs, const std::string& dir) {
  auto names = fs.list(dir);
  if (!names) return names.status();
  DirectoryFiles files;
  for (const std::string& name : *names) {
    std::string_view stem = std::string_view(name).substr(0, name.find('.'));
    if (name == "CURRENT") {
      files.current = true;
    } else if (name.ends_with(".tmp")) {
      files.temporary.push_back(name);
    } else if (name.starts_with("MANIFEST-") && is_number(std::string_view(name).substr(9))) {
      files.manifests.push_back(name);
    } else if (name.ends_with(".sst") && is_number(stem)) {
      files.tables.push_back(name);
    } else if (name.ends_with(".log") && is_number(stem)) {
      files.logs.push_back(name);
    } else if (name != "LOCK") {
      files.foreign.push_back(name);
    }
  }
  for (auto* list : {&files.tables, &files.logs, &files.manifests}) {
    std::sort(list->begin(), list->end(),
              [](const std::string& a, const std::string& b) { return number_in(a) < number_in(b); });
  }
  return files;
}

Result<ManifestView> view_manifest(FileSystem& fs, const std::string& dir, const std::string& name) {
  const std::string path = join_path(dir, name);
  auto size = fs.file_size(path);
  if (!size) return size.status();
  if (*size > kMaxManifestSize) return Status::corruption("{}: {} bytes are no manifest", name, *size);
  auto bytes = fs.read_whole(path);
  if (!bytes) return bytes.status();
  ManifestHeader header;
  VARVE_TRY(decode_manifest_header(*bytes, name, &header));
  ManifestView view;
  view.info.number = header.number;
  view.info.directory = header.directory;
  view.info.file = header.file;
  view.info.application = header.application;
  uint64_t offset = kManifestHeaderSize;
  bool any = false;
  while (offset < bytes->size() && view.damage.ok()) {
    ManifestRecord record;
    if (!read_record(*bytes, offset, header.file, &record) || !record.valid) {
      view.info.torn_tail = true;
      if (record_behind(*bytes, offset, header.file)) {
        view.damage = Status::corruption("{}: {}: damaged: later records follow", name, offset);
      }
      break;
    }
    ManifestState next = view.state;  // an edit that cannot be applied must leave nothing behind
    VersionEdit edit;
    Status status = edit.decode(record.payload);
    if (status) status = next.apply(edit);
    if (!status) {
      view.damage = Status::corruption("{}: {}: {}", name, offset, status.message());
      break;
    }
    view.state = std::move(next);
    view.info.last_edit = record.edit_number;
    any = true;
    offset = record.end;
    view.info.size = offset;
  }
  if (!any)
    return Status::corruption("{}: {}: the snapshot that a manifest begins with is damaged", name, offset);
  return view;
}

}  // namespace varve::tool
