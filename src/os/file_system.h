// file_system.h: the door to files (DESIGN.md, law 7). posix_file_system() is the real one; tests put CrashFs
// (tests/support) behind the same interface. Paths are plain strings; a FileSystem has no current directory
// of its own.
//
// Threads: a FileSystem may be used from any thread; one file object from one thread at a time, except that
// ReadFile::read_at may run on several threads at once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/status.h"

namespace varve {

inline constexpr size_t kDirectAlignment = 4096;

// An immutable file opened for reading.
class ReadFile {
 public:
  virtual ~ReadFile() = default;
  // Exactly n bytes at offset, into out (resized). A short file is corruption ("unexpected end of file"); the
  // other failures are I/O errors. May block.
  virtual Status read_at(uint64_t offset, size_t n, Buffer* out) const = 0;
  // Like read_at but only if it cannot block (preadv2 with RWF_NOWAIT: a hit in the page cache). False when
  // it would block, came back short, failed, or the system has no such call: then use read_at on a worker.
  virtual bool read_at_nowait(uint64_t offset, size_t n, Buffer* out) const = 0;
  // Tells the system that [offset, offset + n) will be read soon. Never blocks for the data.
  virtual void will_need(uint64_t offset, size_t n) const = 0;
  virtual uint64_t size() const = 0;
  virtual const std::string& path() const = 0;
};

// A file written at chosen offsets: tables and the manifest append; log segments are pre-written, then
// overwritten in place. Nothing is durable before sync() returned ok; a failed sync() must never be retried.
class WriteFile {
 public:
  virtual ~WriteFile() = default;
  virtual Status write_at(uint64_t offset, std::string_view bytes) = 0;
  // fdatasync: the bytes and what is needed to read them back (the size included).
  virtual Status sync() = 0;
  // Writes the parts one behind the other from offset on, and returns when they are durable. What was written
  // before is so only after sync(). A failure counts as that of a sync.
  virtual Status write_durable(uint64_t offset, std::span<const std::string_view> parts);
  // Starts write-back of [offset, offset+n) without waiting (sync_file_range), to keep the final sync short.
  virtual void start_write_back(uint64_t offset, uint64_t n) = 0;
  virtual Status close() = 0;  // the destructor closes too, dropping errors; never syncs
  virtual const std::string& path() const = 0;
};

// Held while it lives; released by the system when the process dies (an OFD or flock lock, no pid file).
class FileLock {
 public:
  virtual ~FileLock() = default;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<ReadFile>> open_read(const std::string& path) = 0;
  // Makes a new, empty file; kInvalidArgument if it exists.
  virtual Result<std::unique_ptr<WriteFile>> create(const std::string& path) = 0;
  // Opens an existing file for overwriting in place.
  virtual Result<std::unique_ptr<WriteFile>> open_write(const std::string& path) = 0;
  // The same, past the system's cache where the file system can (O_DIRECT). Offset, size and memory (a
  // Buffer's start) of every write must be multiples of kDirectAlignment.
  virtual Result<std::unique_ptr<WriteFile>> open_write_direct(const std::string& path) {
    return open_write(path);
  }

  virtual Status create_dir(const std::string& path) = 0;                     // ok if it is there already
  virtual Status remove_dir(const std::string& path) = 0;                     // must be empty
  virtual Result<std::vector<std::string>> list(const std::string& dir) = 0;  // names, sorted, no . and ..
  virtual Status remove(const std::string& path) = 0;                         // not_found if it is not there
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status link(const std::string& from, const std::string& to) = 0;  // hard link
  virtual Status truncate(const std::string& path, uint64_t size) = 0;
  virtual Status sync_dir(const std::string& path) = 0;  // makes names in it durable
  virtual Result<uint64_t> file_size(const std::string& path) = 0;
  virtual bool exists(const std::string& path) = 0;  // also true when it cannot tell
  virtual Result<uint64_t> free_space(
      const std::string& path) = 0;  // bytes an unprivileged user may still write
  // kBusy, naming the path, when another process (or this one) holds it.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;

  // Whole small files.
  Result<std::string> read_whole(const std::string& path);
  // Writes `path` so that after a crash it holds the old bytes or the new ones: temporary file, sync, rename,
  // sync of the directory.
  Status replace_whole(const std::string& dir, const std::string& name, std::string_view bytes);
};

// The machine's files.
FileSystem& posix_file_system();

std::string join_path(std::string_view dir, std::string_view name);
// The directory ("." if none is named) and the name in it.
std::pair<std::string, std::string> split_path(const std::string& path);

}  // namespace varve
