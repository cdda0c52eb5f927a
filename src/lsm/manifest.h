// manifest.h: the log of version edits, and CURRENT, which names it.
//
//   MANIFEST-NNNNNNNN := header record*
//   header := magic:u64 "varveman"  format:u32  directory identity:128  file identity:128  number:u64
//             application:length-prefixed  zeros  checksum:u64   (4 KiB in all)
//   record := checksum:u64  header_check:u32  kind:u32  edit_number:u64  size:u64  payload  zeros to 4 KiB
//             kind 1 edit, 2 snapshot, 3 watermark, 4 closing (payload: last sequence:u64)
//
// Every record starts on its own 4 KiB boundary, so that writing one never touches a block that holds durable
// bytes. The checksum covers everything behind itself up to the end of the payload; header_check the rest of
// the header (so that looking for records behind a bad one is cheap). Both are seeded with the file identity
// and the record's offset (checksum.h). Edits are numbered from 1 over the life of the directory; the first
// record of a manifest is a snapshot that carries the number of the last edit in it. Each edit is synced
// before the next is written; then a watermark record (payload empty, edit_number = the edit now durable)
// follows and is synced as well before anything that depends on the edit is destroyed. So a bad record is a
// torn tail only if it is the last thing in the file, nothing valid follows, and neither a watermark nor the
// log's frames (`manifest_edit`) show that the edit had been durable; otherwise it is damage.
//
// A clean close ends the file with a closing record (edit_number = the last edit): the log was whole and
// durable up to that sequence, and nothing was written behind it. So the next start searches no log for more.
// It counts only as the very last thing in the file, and nothing is lost without it: the log is then searched
// as after a kill. The next start goes on in the same file: its own edit is written over the closing record,
// and is durable before anything else is written, so no later life can be taken for one that was closed. (So
// that it is also no matter whether the closing record ever was durable.) This first edit of a life has no
// watermark: should it be damaged, then the life's frames in the log tell of it (`manifest_edit`); a segment
// that it gave up and that was used again tells by its identity.
//
//   CURRENT := "varve\n" format:decimal "\n" directory identity hex "\n" manifest name "\n" checksum hex "\n"
//
// A manifest that has grown past its limit is rewritten as a snapshot in a new file; CURRENT switches by
// rename; the old file is removed. The writer refuses what would make a file larger than readers accept.
// `application` is the text the engine's user gave (what the keys mean); opening with another one is refused.
// CURRENT's checksum covers the text before it; later formats keep its first line and that its last line is
// this checksum, as they keep the manifest header's block, so that a newer format is told from damage.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/random.h"
#include "lsm/version_edit.h"
#include "os/file_system.h"

namespace varve {

struct ManifestInfo {
  uint64_t number = 0;
  Identity directory;
  Identity file;
  std::string application;
  uint64_t last_edit = 0;
  uint64_t size = 0;               // bytes of valid records but for a closing one; what follows is torn
  uint64_t snapshot_size = 0;      // of them, those up to the end of the snapshot
  std::optional<Sequence> closed;  // a clean close left the log ending there
  bool torn_tail = false;
  bool snapshot = false;  // it has a whole one, so accept_loss may cut behind it
};

// In bytes of file. A file at its limit takes no more edits and must be rewritten; between the two limits
// there is room for one edit of any sensible size, and up to what readers accept (1 GiB) some more.
struct ManifestLimits {
  uint64_t snapshot = uint64_t{512} << 20;
  uint64_t file = uint64_t{768} << 20;
};

// Appends edits to one manifest file. Used by the manifest lane, one call at a time; the owner holds it
// meanwhile only as a handle to pass on.
class ManifestWriter {
 public:
  // Writes a new manifest file with `state` as its snapshot, syncs, switches CURRENT to it, syncs the
  // directory. Removing the old manifest is the caller's. A file of that name which CURRENT does not name was
  // left by a creation that did not come to its end, and is replaced. kInvalidArgument, and nothing is
  // written, when the snapshot is larger than its limit.
  static Result<std::unique_ptr<ManifestWriter>> create(FileSystem& fs, const std::string& dir,
                                                        uint64_t number, Identity directory, Identity file,
                                                        const std::string& application, uint64_t last_edit,
                                                        const ManifestState& state,
                                                        const ManifestLimits& limits = {});
  // After a clean close (info.closed): goes on with the manifest that read_manifest told about. The edit
  // takes the closing record's place and is durable on return. When it fails, a later start may find it or
  // not.
  static Result<std::unique_ptr<ManifestWriter>> go_on(FileSystem& fs, const std::string& dir,
                                                       const ManifestInfo& info, uint64_t edit_number,
                                                       const VersionEdit& edit,
                                                       const ManifestLimits& limits = {});
  ~ManifestWriter();
  // Appends and syncs the edit, then the watermark, and syncs again. kInvalidArgument, and nothing is
  // written, when the file would grow past its limit: it must be rewritten. After a failure every later call
  // fails the same way (a failed sync is never retried).
  Status append(uint64_t edit_number, const VersionEdit& edit);
  // Appends and syncs the closing record: the last call. The log must be durable up to `last`, and nothing be
  // written to it any more.
  Status close(uint64_t last_edit, Sequence last);
  uint64_t size() const { return offset_; }
  // Of the part that a rewrite would write anew.
  uint64_t snapshot_size() const { return snapshot_size_; }
  uint64_t number() const { return number_; }

 private:
  ManifestWriter() = default;
  Status append_edit(uint64_t edit_number, const VersionEdit& edit);
  Status append_record(uint32_t kind, uint64_t edit_number, std::string_view payload);
  std::unique_ptr<WriteFile> file_;
  Identity identity_;
  uint64_t number_ = 0;
  uint64_t offset_ = 0;
  uint64_t snapshot_size_ = 0;
  ManifestLimits limits_;
  Status failed_;
};

std::string manifest_file_name(uint64_t number);  // "MANIFEST-00000003"

// Reads CURRENT and the manifest it names. kNotFound: the directory has no CURRENT and no file with data of
// ours: a new directory (or one whose creation was interrupted); kInvalidArgument: no CURRENT but tables, a
// log that was written to or a manifest with edits; or another program's CURRENT; kUnsupported: newer format;
// kCorruption: damage, with file and offset. `accept_loss`: records from the first bad one on are given up
// (CURRENT, header and snapshot cannot be). The caller compares info->last_edit with what the log says
// (LogReplay::manifest_edit).
Status read_manifest(FileSystem& fs, const std::string& dir, bool accept_loss, ManifestState* state,
                     ManifestInfo* info);

// For people: header and every record with its edit's debug_string.
Status dump_manifest(FileSystem& fs, const std::string& path,
                     const std::function<void(std::string_view line)>& out);

}  // namespace varve
