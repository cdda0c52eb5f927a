// bytes_fs.h: files as plain strings that a test may look into and damage. No directories, no durability
// (CrashFs is for that), one thread.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "os/file_system.h"

namespace varve::test {

class BytesFs final : public FileSystem {
 public:
  using Bytes = std::shared_ptr<std::string>;

  // The bytes of a file, to be changed at will (also while it is open); makes the file.
  std::string& bytes(const std::string& path) {
    Bytes& b = files_[path];
    if (b == nullptr) b = std::make_shared<std::string>();
    return *b;
  }

  Result<std::unique_ptr<ReadFile>> open_read(const std::string& path) override {
    auto it = files_.find(path);
    if (it == files_.end()) return Status::not_found("{}: no such file", path);
    return std::unique_ptr<ReadFile>(new Reader(path, it->second));
  }
  Result<std::unique_ptr<WriteFile>> create(const std::string& path) override {
    if (files_.contains(path)) return Status::invalid_argument("{}: exists", path);
    bytes(path);
    return open_write(path);
  }
  Result<std::unique_ptr<WriteFile>> open_write(const std::string& path) override {
    return std::unique_ptr<WriteFile>(new Writer(path, files_.at(path)));
  }
  Status create_dir(const std::string&) override { return Status(); }
  Status remove_dir(const std::string&) override { return Status(); }
  Result<std::vector<std::string>> list(const std::string&) override {
    std::vector<std::string> names;
    for (const auto& [name, content] : files_) names.push_back(name);
    return names;
  }
  Status remove(const std::string& path) override {
    return files_.erase(path) == 1 ? Status() : Status::not_found("{}: no such file", path);
  }
  Status rename(const std::string& from, const std::string& to) override {
    files_[to] = files_.at(from);
    return remove(from);
  }
  Status link(const std::string& from, const std::string& to) override {
    files_[to] = files_.at(from);
    return Status();
  }
  Status truncate(const std::string& path, uint64_t size) override {
    bytes(path).resize(size);
    return Status();
  }
  Status sync_dir(const std::string&) override { return Status(); }
  Result<uint64_t> file_size(const std::string& path) override { return uint64_t{bytes(path).size()}; }
  bool exists(const std::string& path) override { return files_.contains(path); }
  Result<uint64_t> free_space(const std::string&) override { return uint64_t{1} << 40; }
  Result<std::unique_ptr<FileLock>> lock(const std::string&) override { return std::make_unique<FileLock>(); }

 private:
  class Reader final : public ReadFile {
   public:
    Reader(std::string path, Bytes bytes) : path_(std::move(path)), bytes_(std::move(bytes)) {}
    Status read_at(uint64_t offset, size_t n, Buffer* out) const override {
      if (offset > bytes_->size() || n > bytes_->size() - offset) {
        return Status::corruption("{}: unexpected end of file", path_);
      }
      out->resize(n);
      std::memcpy(out->data(), bytes_->data() + offset, n);
      return Status();
    }
    bool read_at_nowait(uint64_t, size_t, Buffer*) const override { return false; }
    void will_need(uint64_t, size_t) const override {}
    uint64_t size() const override { return bytes_->size(); }
    const std::string& path() const override { return path_; }

   private:
    std::string path_;
    Bytes bytes_;
  };

  class Writer final : public WriteFile {
   public:
    Writer(std::string path, Bytes bytes) : path_(std::move(path)), bytes_(std::move(bytes)) {}
    Status write_at(uint64_t offset, std::string_view b) override {
      if (bytes_->size() < offset + b.size()) bytes_->resize(offset + b.size());
      bytes_->replace(offset, b.size(), b);
      return Status();
    }
    Status sync() override { return Status(); }
    void start_write_back(uint64_t, uint64_t) override {}
    Status close() override { return Status(); }
    const std::string& path() const override { return path_; }

   private:
    std::string path_;
    Bytes bytes_;
  };

  std::map<std::string, Bytes> files_;
};

}  // namespace varve::test
