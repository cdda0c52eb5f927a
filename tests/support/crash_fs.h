// crash_fs.h: a FileSystem in memory for fault tests: it counts calls, fails those it is told to, runs out of
// space, and can lose power at any call (DESIGN.md, promises 1 and 5).
//
//   CrashFs files;
//   files.add_fault({.kind = Fault::Kind::kCrash, .changes_only = true, .nth = 17});
//   ... run until files.crashed() or the work is done ...
//   files.crash(CrashPolicy{}, seed);   // the machine restarts; open handles are dead, locks are free
//   ... open again and check ...
//
// What it promises about a crash: bytes of blocks that were synced and not written since are there; so are
// names synced with their directory. A block written since may hold anything the policy allows, synced bytes
// in it included; close() syncs nothing, and syncing a file does not make its name durable. A rename within
// one directory is atomic; between two directories each half is on its own.
//
// Threads: any. One mutex inside.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "os/file_system.h"
#include "support/mem_fs.h"

namespace varve::test {

enum class Call : uint8_t {
  kOpenRead,
  kCreate,
  kOpenWrite,
  kRead,
  kReadNowait,
  kWillNeed,
  kWrite,
  kSync,
  kWriteBack,
  kClose,
  kCreateDir,
  kRemoveDir,
  kList,
  kRemove,
  kRename,
  kLink,
  kTruncate,
  kSyncDir,
  kFileSize,
  kExists,
  kFreeSpace,
  kLock,
};
inline constexpr int kCallCount = 22;
const char* call_name(Call call);
// True for the calls that change something or make it durable: only these are worth crashing at.
bool is_change(Call call);

struct Fault {
  enum class Kind {
    kIoError,     // EIO; a failed sync loses what it should have written (mem_fs.h)
    kNoSpace,     // ENOSPC; the call has no effect, a sync is lost like above
    kShortWrite,  // half of a write, then ENOSPC; other calls as kNoSpace
    kCrash,       // this call and all later ones fail, until crash(); this one may or may not take effect
  };
  Kind kind = Kind::kIoError;
  std::optional<Call> call = {};  // empty: any
  bool changes_only = false;      // count only is_change() calls
  std::string path = {};  // shell pattern for the whole path ("*.log"); empty: any. rename: either path
  uint64_t nth = 1;       // the first matching call to fail, counted from now, from 1
  bool once = true;       // else every matching call from then on
};

class CrashFs final : public FileSystem {
 public:
  struct Options {
    size_t block_size = 512;   // what the disk writes as a whole
    int nowait_percent = 100;  // how many nowait reads find their bytes in the page cache
    uint64_t nowait_seed = 1;
  };
  CrashFs() : CrashFs(Options()) {}
  explicit CrashFs(Options options);

  // Power cut and restart. Clears a crash fault that fired; other faults, counts and the space limit stay.
  void crash(const CrashPolicy& policy, uint64_t seed);
  // kill -9: the process is gone, the machine is not. Open handles are dead and locks are free, but what was
  // written and not synced is in the page cache still, for a later power cut to take. Clears a crash fault
  // that fired, like crash().
  void kill_process();
  // The file system such a crash would leave, as another object; this one goes on.
  std::unique_ptr<CrashFs> crashed_copy(const CrashPolicy& policy, uint64_t seed) const;
  // A crash fault has fired and crash() was not called yet.
  bool crashed() const;

  void add_fault(Fault fault);
  void clear_faults();  // not a crash that has fired
  uint64_t faults_fired() const;
  // By what failed and how; calls that met the end of the space (set_space) count as kNoSpace.
  std::map<std::pair<Fault::Kind, Call>, uint64_t> fired() const;
  // Calls so far; with no kind, all of them.
  uint64_t calls(std::optional<Call> call = {}) const;
  uint64_t changes() const;  // calls that are is_change()

  // Files open for reading now, and the most there were at once since the last forget_open().
  uint64_t open_readers() const { return open_readers_->now; }
  uint64_t most_open_readers() const { return open_readers_->most; }
  void forget_open() { open_readers_->most = open_readers_->now.load(); }

  // All files together may hold this many bytes; UINT64_MAX: no limit. May be below what they hold already.
  void set_space(uint64_t bytes);
  uint64_t used_space() const;

  // At rest: not counted, never failing by plan, durable at once. The file must exist (checked).
  std::string contents(const std::string& path) const;
  void put(const std::string& path, std::string bytes);  // makes the file and its directories if need be
  void flip_bit(const std::string& path, uint64_t bit);
  void cut(const std::string& path, uint64_t size);
  void overwrite(const std::string& path, uint64_t offset, std::string_view bytes);
  // Exchanges n bytes at a with n bytes at b; they must not overlap.
  void swap_bytes(const std::string& path, uint64_t a, uint64_t b, uint64_t n);
  // Every file below `dir`, sorted, as full paths.
  std::vector<std::string> all_files(const std::string& dir = "/") const;
  // Between here and the machine's directories, subdirectories included. Durable on this side.
  Status copy_in(const std::string& real_dir, const std::string& dir);
  Status copy_out(const std::string& dir, const std::string& real_dir) const;
  // One line a file or directory: size, unsynced blocks, unsynced names.
  std::string debug_string() const;

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
  Status sync_dir(const std::string& path) override;
  Result<uint64_t> file_size(const std::string& path) override;
  bool exists(const std::string& path) override;
  Result<uint64_t> free_space(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;

 private:
  struct Reader;
  struct Writer;
  struct Lock;
  struct Armed {
    Fault fault;
    uint64_t seen = 0;
  };
  // Where a path leads: its directory, its last name, and what is there (null if nothing).
  struct Place {
    MemDir* dir = nullptr;
    std::string name;
    MemNodePtr node;
  };
  // What the plan has for a call.
  struct Verdict {
    std::optional<Fault::Kind> kind;
    bool dead = false;  // the crash came earlier, or the handle is from an earlier life
    bool fails() const { return kind.has_value(); }
    // The very call a crash comes at still goes through, unsynced: whether it counts is drawn by crash().
    bool takes_effect() const { return !fails() || (kind == Fault::Kind::kCrash && !dead); }
    Status outcome(Call call, const std::string& path) const;
  };

  // All of these with mutex_ held.
  void new_life();
  Status out_of_space(Call call, const std::string& path, uint64_t at = 0);
  Verdict enter(Call call, const std::string& path, const std::string& other = {});
  Verdict enter_handle(Call call, const std::string& path, uint64_t life);
  static std::vector<std::string> split_path(const std::string& path);
  Result<Place> walk(const std::string& path, Call call) const;
  Result<std::shared_ptr<MemFile>> find_file(const std::string& path, Call call) const;
  MemFile* file_at_rest(const std::string& path) const;
  Status add_node(Call call, const std::string& path, const Verdict& verdict, MemNodePtr node);
  Status remove_node(Call call, const std::string& path);
  Status write(MemFile* file, const std::string& path, uint64_t life, uint64_t offset,
               std::string_view bytes);
  uint64_t space_left() const { return *used_ >= space_ ? 0 : space_ - *used_; }

  mutable std::mutex mutex_;
  const Options options_;
  std::shared_ptr<uint64_t> used_ = std::make_shared<uint64_t>(0);
  std::shared_ptr<MemDir> root_ = std::make_shared<MemDir>();
  uint64_t life_ = 0;  // counts crashes; a handle of an earlier life is dead
  bool crashed_ = false;
  std::vector<Armed> faults_;
  uint64_t faults_fired_ = 0;
  struct OpenReaders {
    std::atomic<uint64_t> now = 0;
    std::atomic<uint64_t> most = 0;
  };
  std::shared_ptr<OpenReaders> open_readers_ = std::make_shared<OpenReaders>();
  std::map<std::pair<Fault::Kind, Call>, uint64_t> fired_;
  std::array<uint64_t, kCallCount> calls_ = {};
  uint64_t space_ = UINT64_MAX;
  std::map<std::string, uint64_t> locks_;  // held path -> the holder's number
  uint64_t last_lock_ = 0;
  Random nowait_random_;
};

}  // namespace varve::test
