// image_fs.h: a data directory as a value: names and shared, immutable bytes; and a FileSystem over a copy of
// it that is made in microseconds, written to, and thrown away. Whoever damages files tens of thousands of
// times cannot build each directory anew.
//
// No durability (CrashFs is for that). One thread.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "os/file_system.h"

namespace varve::prove {

using Bytes = std::shared_ptr<const std::string>;
// By name inside the one directory.
using Files = std::map<std::string, Bytes>;

Bytes bytes_of(std::string text);

class ImageFs final : public FileSystem {
 public:
  // `files` stand in `dir`. `nowait`: read_at_nowait finds its bytes, as in the page cache.
  ImageFs(std::string dir, const Files& files, bool nowait);

  Files files() const;  // as they are now
  // Calls of read_at so far, whether or not they succeeded.
  uint64_t reads() const { return reads_; }

  Result<std::unique_ptr<ReadFile>> open_read(const std::string& path) override;
  Result<std::unique_ptr<WriteFile>> create(const std::string& path) override;
  Result<std::unique_ptr<WriteFile>> open_write(const std::string& path) override;
  Status create_dir(const std::string& path) override;
  Status remove_dir(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& dir) override;
  Status remove(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status link(const std::string& from, const std::string& to) override;
  Status truncate(const std::string& path, uint64_t size) override;
  Status sync_dir(const std::string&) override { return Status(); }
  Result<uint64_t> file_size(const std::string& path) override;
  bool exists(const std::string& path) override;
  Result<uint64_t> free_space(const std::string&) override { return uint64_t{1} << 40; }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;

 private:
  struct Node {
    Bytes bytes;
  };
  using NodePtr = std::shared_ptr<Node>;
  class Reader;
  class Writer;
  class Held;

  // The bytes to write to: a copy of its own while they are shared with the image.
  static std::string& own(Node* node);

  const std::string dir_;
  const bool nowait_;
  std::map<std::string, NodePtr> nodes_;  // by path
  std::set<std::string> dirs_, locks_;
  uint64_t reads_ = 0;
};

}  // namespace varve::prove
