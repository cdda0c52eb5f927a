// manifest_record.h: the manifest's bytes: header, records, CURRENT (drawn in manifest.h). Pure functions,
// private to manifest*.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/identity.h"
#include "base/status.h"
#include "lsm/key_format.h"

namespace varve {

inline constexpr uint64_t kManifestMagic = 0x6e616d6576726176;  // "varveman"
inline constexpr uint32_t kManifestFormat = 1;
inline constexpr size_t kManifestHeaderSize = 4096;
// Records start on multiples of this.
inline constexpr size_t kManifestBlockSize = 4096;
inline constexpr size_t kRecordHeaderSize = 32;
inline constexpr size_t kMaxApplicationSize = 1024;
// Far above any rewrite limit: bounds what reading one allocates.
inline constexpr uint64_t kMaxManifestSize = uint64_t{1} << 30;

enum RecordKind : uint32_t { kEditRecord = 1, kSnapshotRecord = 2, kWatermarkRecord = 3, kClosingRecord = 4 };

struct ManifestHeader {
  Identity directory;
  Identity file;
  uint64_t number = 0;
  std::string application;
};

std::string encode_manifest_header(const ManifestHeader& header);  // kManifestHeaderSize bytes
// `name` is for the messages.
Status decode_manifest_header(std::string_view bytes, const std::string& name, ManifestHeader* out);

struct ManifestRecord {
  uint32_t kind = 0;
  uint64_t edit_number = 0;
  std::string_view payload;  // only if valid
  uint64_t end = 0;          // offset behind it
  bool valid = false;        // otherwise only the header is
};

void append_record(std::string* out, uint32_t kind, uint64_t edit_number, std::string_view payload,
                   const Identity& file, uint64_t offset);
// False when no header of a record of this file stands at `offset` of its bytes.
bool read_record(std::string_view manifest, uint64_t offset, const Identity& file, ManifestRecord* out);

// A closing record's payload: the last sequence of the log.
std::string encode_closing(Sequence last);
bool decode_closing(std::string_view payload, Sequence* last);

struct CurrentFile {
  Identity directory;
  std::string manifest;
};

std::string encode_current(const CurrentFile& current);
// kInvalidArgument: not ours; kUnsupported, kCorruption.
Status decode_current(std::string_view bytes, CurrentFile* out);

}  // namespace varve
