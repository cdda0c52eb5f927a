// crash_fs_at_rest.cc: the half of CrashFs that no call of a program goes through: damage at rest, fixtures
// in and out, and looking inside.

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/check.h"
#include "support/crash_fs.h"

namespace varve::test {
namespace {

void describe(const MemDir& dir, const std::string& indent, std::string* out) {
  for (const auto& [name, node] : dir.entries()) {
    if (MemFile* file = node->file()) {
      *out += fmt::format("{}{} {} bytes", indent, name, file->content().size());
      if (size_t n = file->dirty_blocks(); n > 0) *out += fmt::format(", {} blocks unsynced", n);
      *out += '\n';
      continue;
    }
    *out += fmt::format("{}{}/", indent, name);
    if (size_t n = node->dir()->unsynced_changes(); n > 0) *out += fmt::format(" {} changes unsynced", n);
    *out += '\n';
    describe(*node->dir(), indent + "  ", out);
  }
}

void collect(const MemDir& dir, const std::string& prefix, std::vector<std::string>* out) {
  for (const auto& [name, node] : dir.entries()) {
    if (node->file() != nullptr)
      out->push_back(join_path(prefix, name));
    else
      collect(*node->dir(), join_path(prefix, name), out);
  }
}

}  // namespace

MemFile* CrashFs::file_at_rest(const std::string& path) const {
  auto file = find_file(path, Call::kOpenRead);
  VARVE_CHECK(file.ok());
  return file->get();
}

std::string CrashFs::contents(const std::string& path) const {
  std::lock_guard<std::mutex> hold(mutex_);
  return file_at_rest(path)->content();
}

void CrashFs::put(const std::string& path, std::string bytes) {
  std::lock_guard<std::mutex> hold(mutex_);
  MemNodePtr node = root_;
  std::vector<std::string> parts = split_path(path);
  VARVE_CHECK(!parts.empty());
  for (size_t i = 0; i < parts.size(); ++i) {
    MemDir* dir = node->dir();
    VARVE_CHECK(dir != nullptr);
    MemNodePtr next = dir->find(parts[i]);
    if (!next) {
      if (i + 1 < parts.size())
        next = std::make_shared<MemDir>();
      else
        next = std::make_shared<MemFile>(options_.block_size, used_);
      dir->set_durable(parts[i], next);
    }
    node = next;
  }
  VARVE_CHECK(node->file() != nullptr);
  node->file()->set_durable(std::move(bytes));
}

void CrashFs::flip_bit(const std::string& path, uint64_t bit) {
  std::lock_guard<std::mutex> hold(mutex_);
  MemFile* file = file_at_rest(path);
  std::string bytes = file->content();
  VARVE_CHECK(bit / 8 < bytes.size());
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  file->set_durable(std::move(bytes));
}

void CrashFs::cut(const std::string& path, uint64_t size) {
  std::lock_guard<std::mutex> hold(mutex_);
  MemFile* file = file_at_rest(path);
  VARVE_CHECK(size <= file->content().size());
  file->set_durable(file->content().substr(0, size));
}

void CrashFs::overwrite(const std::string& path, uint64_t offset, std::string_view bytes) {
  std::lock_guard<std::mutex> hold(mutex_);
  MemFile* file = file_at_rest(path);
  std::string whole = file->content();
  VARVE_CHECK(offset + bytes.size() <= whole.size());
  whole.replace(offset, bytes.size(), bytes);
  file->set_durable(std::move(whole));
}

void CrashFs::swap_bytes(const std::string& path, uint64_t a, uint64_t b, uint64_t n) {
  std::lock_guard<std::mutex> hold(mutex_);
  MemFile* file = file_at_rest(path);
  std::string bytes = file->content();
  VARVE_CHECK(std::max(a, b) - std::min(a, b) >= n && std::max(a, b) + n <= bytes.size());
  auto at = [&](uint64_t offset) { return bytes.begin() + static_cast<ptrdiff_t>(offset); };
  std::swap_ranges(at(a), at(a + n), at(b));
  file->set_durable(std::move(bytes));
}

std::vector<std::string> CrashFs::all_files(const std::string& dir) const {
  std::lock_guard<std::mutex> hold(mutex_);
  auto place = walk(dir, Call::kList);
  std::vector<std::string> paths;
  if (place && place->node && place->node->dir() != nullptr) collect(*place->node->dir(), dir, &paths);
  return paths;
}

Status CrashFs::copy_in(const std::string& real_dir, const std::string& dir) {
  FileSystem& real = posix_file_system();
  auto names = real.list(real_dir);
  if (!names) return names.status();
  for (const std::string& name : *names) {
    const std::string from = join_path(real_dir, name);
    const std::string to = join_path(dir, name);
    if (std::filesystem::is_directory(from)) {
      if (Status s = copy_in(from, to); !s) return s;
      continue;
    }
    auto bytes = real.read_whole(from);
    if (!bytes) return bytes.status();
    put(to, bytes.take());
  }
  return Status();
}

Status CrashFs::copy_out(const std::string& dir, const std::string& real_dir) const {
  FileSystem& real = posix_file_system();
  for (const std::string& path : all_files(dir)) {
    const std::filesystem::path to = real_dir / std::filesystem::path(path).lexically_relative(dir);
    std::error_code error;
    std::filesystem::create_directories(to.parent_path(), error);
    if (error) return Status::io_error("{}: {}", to.parent_path().string(), error.message());
    if (Status s = real.replace_whole(to.parent_path().string(), to.filename().string(), contents(path));
        !s) {
      return s;
    }
  }
  return Status();
}

std::string CrashFs::debug_string() const {
  std::lock_guard<std::mutex> hold(mutex_);
  std::string text = "/";
  if (size_t n = root_->unsynced_changes(); n > 0) text += fmt::format(" {} changes unsynced", n);
  text += '\n';
  describe(*root_, "  ", &text);
  return text;
}

}  // namespace varve::test
