// mem_fs.h: files and directories in memory that know which of their bytes and names a power cut would spare.
// The data structure below CrashFs (crash_fs.h); no locks, no faults, no handles.
//
//   file       content: what reads see (the page cache)      synced: what the disk surely holds
//              each block is clean, or dirty (written since the last sync: anything may happen to it)
//   directory  entries: what lookups see                     synced: the names that are durable
//              journal: changes since the last sync of the directory, in order
//
// A failed sync is as mean as Linux's: the blocks become clean without having reached the disk. Reads go on
// showing the new content, no later sync writes it, and a crash takes it back.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace varve::test {

// What happens at a crash to each unsynced block, in proportion. Sizes of files and changes of directories
// are kept if `drop` is 0, dropped if `keep` is 0, and else drawn on their own.
struct CrashPolicy {
  int keep = 4;     // the newest bytes reached the disk
  int drop = 4;     // the synced bytes are still there (zeros where there were none)
  int earlier = 2;  // bytes written before the newest ones and overwritten since; `keep` if there are none
  int zero = 1;     // the whole block reads as zeros
  int garble = 1;   // the whole block is noise, whatever synced bytes it also held
  // Any subset of a directory's unsynced changes may survive; else only the oldest few (a journal's prefix).
  bool reorder_names = true;

  // kill -9: the process is gone, the machine is not.
  static CrashPolicy keep_all() { return {1, 0, 0, 0, 0, false}; }
  // Everything that was not synced is gone.
  static CrashPolicy drop_all() { return {0, 1, 0, 0, 0, false}; }
};

class MemFile;
class MemDir;

class MemNode {
 public:
  virtual ~MemNode() = default;
  virtual MemFile* file() { return nullptr; }
  virtual MemDir* dir() { return nullptr; }
};

using MemNodePtr = std::shared_ptr<MemNode>;

class MemFile final : public MemNode {
 public:
  // `used` counts the bytes of all files that have a name (in what lookups see, synced or not).
  MemFile(size_t block_size, std::shared_ptr<uint64_t> used)
      : block_size_(block_size), used_(std::move(used)) {}
  MemFile(const MemFile&) = delete;
  MemFile& operator=(const MemFile&) = delete;
  MemFile* file() override { return this; }

  const std::string& content() const { return content_; }
  void write(uint64_t offset, std::string_view bytes);
  void truncate(uint64_t size);
  void sync();
  void fail_sync();
  // Replaces everything, as if it had always been so.
  void set_durable(std::string bytes);

  void add_name();
  void drop_name();

  size_t dirty_blocks() const { return dirty_.size(); }
  // What a power cut now may leave.
  std::string after_crash(const CrashPolicy& policy, Random* random) const;

 private:
  static constexpr size_t kEarlierMax = 4;  // remembered bytes of one block between two syncs

  void resize(uint64_t size);
  void account(uint64_t old_size, uint64_t new_size);
  void make_dirty(uint64_t begin, uint64_t end);
  std::string block_of(const std::string& image, uint64_t index) const;
  uint64_t size_after_crash(const CrashPolicy& policy, Random* random) const;

  const size_t block_size_;
  const std::shared_ptr<uint64_t> used_;
  int names_ = 0;
  std::string content_;
  std::string synced_;
  bool size_is_dirty_ = false;
  uint64_t shortest_ = 0;  // since the last sync; meaningful while size_is_dirty_
  // The dirty blocks, with what they held while dirty, oldest first, without what they hold now.
  std::map<uint64_t, std::vector<std::string>> dirty_;
};

class MemDir final : public MemNode {
 public:
  MemDir* dir() override { return this; }
  const std::map<std::string, MemNodePtr>& entries() const { return entries_; }
  MemNodePtr find(const std::string& name) const;

  // One change each: the old name goes and the new one comes at once. Either may be empty.
  void change(const std::string& removed, const std::string& added, MemNodePtr node);
  void sync();
  void fail_sync() { journal_.clear(); }
  // A new name, as if it had always been there.
  void set_durable(const std::string& name, MemNodePtr node);

  size_t unsynced_changes() const { return journal_.size(); }
  std::map<std::string, MemNodePtr> after_crash(const CrashPolicy& policy, Random* random) const;

 private:
  struct Change {
    std::string removed;
    std::string added;
    MemNodePtr node;
  };
  static void apply(const Change& change, std::map<std::string, MemNodePtr>* entries);

  std::map<std::string, MemNodePtr> entries_;
  std::map<std::string, MemNodePtr> synced_;
  std::vector<Change> journal_;
};

// A tree as a restarted machine finds it: all of it durable, sharing nothing with `root`.
std::shared_ptr<MemDir> tree_after_crash(const MemDir& root, const CrashPolicy& policy, uint64_t seed,
                                         size_t block_size, const std::shared_ptr<uint64_t>& used);

}  // namespace varve::test
