// manifest_dump.cc: a manifest as text, for people.
#include "lsm/manifest.h"
#include "lsm/manifest_record.h"

namespace varve {
namespace {

const char* kind_name(uint32_t kind) {
  if (kind == kEditRecord) return "edit";
  if (kind == kClosingRecord) return "closed after edit";
  return kind == kSnapshotRecord ? "snapshot at edit" : "watermark of edit";
}

}  // namespace

Status dump_manifest(FileSystem& fs, const std::string& path,
                     const std::function<void(std::string_view line)>& out) {
  auto size = fs.file_size(path);
  if (!size) return size.status();
  if (*size > kMaxManifestSize) return Status::corruption("{}: {} bytes are no manifest", path, *size);
  auto bytes = fs.read_whole(path);
  if (!bytes) return bytes.status();
  ManifestHeader header;
  Status status = decode_manifest_header(*bytes, path, &header);
  if (!status) return status;
  out(fmt::format("manifest {}, directory {}, identity {}, application \"{}\"", header.number,
                  header.directory.to_string(), header.file.to_string(), header.application));
  uint64_t offset = kManifestHeaderSize;
  ManifestRecord record;
  while (read_record(*bytes, offset, header.file, &record) && record.valid) {
    out(fmt::format("{}: {} {}", offset, kind_name(record.kind), record.edit_number));
    VersionEdit edit;
    Sequence last = 0;
    if (record.kind != kClosingRecord) {
      status = edit.decode(record.payload);
    } else if (decode_closing(record.payload, &last)) {
      out(fmt::format("  the log ends at sequence {}", last));
    }
    if (!status) out("  " + status.to_string());
    std::string text = edit.debug_string();
    for (size_t at = 0; at < text.size();) {
      size_t end = text.find('\n', at);
      out("  " + text.substr(at, end - at));
      at = end + 1;
    }
    offset = record.end;
  }
  out(offset == bytes->size()
          ? fmt::format("{}: end", offset)
          : fmt::format("{}: end: no valid record, {} bytes remain", offset, bytes->size() - offset));
  return {};
}

}  // namespace varve
