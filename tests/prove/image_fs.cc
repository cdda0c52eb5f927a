#include "prove/image_fs.h"

#include <cstring>
#include <utility>

namespace varve::prove {
namespace {

Status missing(const std::string& path) {
  return Status::not_found("{}: No such file or directory", path);
}

}  // namespace

Bytes bytes_of(std::string text) {
  return std::make_shared<std::string>(std::move(text));
}

class ImageFs::Reader final : public ReadFile {
 public:
  Reader(ImageFs* fs, std::string path, NodePtr node)
      : fs_(fs), path_(std::move(path)), node_(std::move(node)) {}
  Status read_at(uint64_t offset, size_t n, Buffer* out) const override {
    ++fs_->reads_;
    const std::string& bytes = *node_->bytes;
    if (offset > bytes.size() || n > bytes.size() - offset)
      return Status::corruption("{}: unexpected end of file", path_);
    out->resize(n);
    if (n > 0) std::memcpy(out->data(), bytes.data() + offset, n);
    return Status();
  }
  bool read_at_nowait(uint64_t offset, size_t n, Buffer* out) const override {
    return fs_->nowait_ && read_at(offset, n, out).ok();
  }
  void will_need(uint64_t, size_t) const override {}
  uint64_t size() const override { return node_->bytes->size(); }
  const std::string& path() const override { return path_; }

 private:
  ImageFs* fs_;
  const std::string path_;
  const NodePtr node_;
};

class ImageFs::Writer final : public WriteFile {
 public:
  Writer(std::string path, NodePtr node) : path_(std::move(path)), node_(std::move(node)) {}
  Status write_at(uint64_t offset, std::string_view bytes) override {
    std::string& content = own(node_.get());
    if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
    if (!bytes.empty()) std::memcpy(content.data() + offset, bytes.data(), bytes.size());
    return Status();
  }
  Status sync() override { return Status(); }
  void start_write_back(uint64_t, uint64_t) override {}
  Status close() override { return Status(); }
  const std::string& path() const override { return path_; }

 private:
  const std::string path_;
  const NodePtr node_;
};

class ImageFs::Held final : public FileLock {
 public:
  Held(ImageFs* fs, std::string path) : fs_(fs), path_(std::move(path)) { fs_->locks_.insert(path_); }
  ~Held() override { fs_->locks_.erase(path_); }

 private:
  ImageFs* fs_;
  const std::string path_;
};

ImageFs::ImageFs(std::string dir, const Files& files, bool nowait) : dir_(std::move(dir)), nowait_(nowait) {
  dirs_.insert(dir_);
  for (const auto& [name, bytes] : files) nodes_[join_path(dir_, name)] = std::make_shared<Node>(Node{bytes});
}

Files ImageFs::files() const {
  Files out;
  const std::string prefix = dir_ + "/";
  for (const auto& [path, node] : nodes_) {
    if (path.starts_with(prefix)) out[path.substr(prefix.size())] = node->bytes;
  }
  return out;
}

std::string& ImageFs::own(Node* node) {
  if (node->bytes.use_count() > 1) node->bytes = bytes_of(*node->bytes);
  // Every string behind a Bytes was made by bytes_of(), not const.
  return const_cast<std::string&>(*node->bytes);
}

Result<std::unique_ptr<ReadFile>> ImageFs::open_read(const std::string& path) {
  auto found = nodes_.find(path);
  if (found == nodes_.end()) return missing(path);
  return std::unique_ptr<ReadFile>(new Reader(this, path, found->second));
}

Result<std::unique_ptr<WriteFile>> ImageFs::create(const std::string& path) {
  if (exists(path)) return Status::invalid_argument("{}: File exists", path);
  nodes_[path] = std::make_shared<Node>(Node{bytes_of("")});
  return open_write(path);
}

Result<std::unique_ptr<WriteFile>> ImageFs::open_write(const std::string& path) {
  auto found = nodes_.find(path);
  if (found == nodes_.end()) return missing(path);
  return std::unique_ptr<WriteFile>(new Writer(path, found->second));
}

Status ImageFs::create_dir(const std::string& path) {
  dirs_.insert(path);
  return Status();
}

Status ImageFs::remove_dir(const std::string& path) {
  return dirs_.erase(path) > 0 ? Status() : missing(path);
}

Result<std::vector<std::string>> ImageFs::list(const std::string& dir) {
  if (!dirs_.contains(dir)) return missing(dir);
  std::vector<std::string> names;
  const std::string prefix = dir + "/";
  for (auto it = nodes_.lower_bound(prefix); it != nodes_.end() && it->first.starts_with(prefix); ++it)
    names.push_back(it->first.substr(prefix.size()));
  return names;
}

Status ImageFs::remove(const std::string& path) {
  return nodes_.erase(path) > 0 ? Status() : missing(path);
}

Status ImageFs::rename(const std::string& from, const std::string& to) {
  auto found = nodes_.find(from);
  if (found == nodes_.end()) return missing(from);
  NodePtr node = found->second;
  nodes_.erase(found);
  nodes_[to] = std::move(node);
  return Status();
}

Status ImageFs::link(const std::string& from, const std::string& to) {
  auto found = nodes_.find(from);
  if (found == nodes_.end()) return missing(from);
  if (exists(to)) return Status::invalid_argument("{}: File exists", to);
  nodes_[to] = found->second;
  return Status();
}

Status ImageFs::truncate(const std::string& path, uint64_t size) {
  auto found = nodes_.find(path);
  if (found == nodes_.end()) return missing(path);
  own(found->second.get()).resize(size);
  return Status();
}

Result<uint64_t> ImageFs::file_size(const std::string& path) {
  auto found = nodes_.find(path);
  if (found == nodes_.end()) return missing(path);
  return uint64_t{found->second->bytes->size()};
}

bool ImageFs::exists(const std::string& path) {
  return nodes_.contains(path) || dirs_.contains(path);
}

Result<std::unique_ptr<FileLock>> ImageFs::lock(const std::string& path) {
  if (locks_.contains(path)) return Status::busy("{}: is locked", path);
  if (!nodes_.contains(path)) nodes_[path] = std::make_shared<Node>(Node{bytes_of("")});
  return std::unique_ptr<FileLock>(new Held(this, path));
}

}  // namespace varve::prove
