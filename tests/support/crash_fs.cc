#include "support/crash_fs.h"

#include <fnmatch.h>

#include <algorithm>

#include "base/check.h"

namespace varve::test {
namespace {

constexpr std::array<const char*, kCallCount> kCallNames = {
    "open_read",  "create",   "open_write", "read",       "read_nowait", "will_need", "write",  "sync",
    "write_back", "close",    "create_dir", "remove_dir", "list",        "remove",    "rename", "link",
    "truncate",   "sync_dir", "file_size",  "exists",     "free_space",  "lock"};

Status not_there(const std::string& path, Call call) {
  return Status::not_found("{}: {}: No such file or directory", path, call_name(call));
}

}  // namespace

const char* call_name(Call call) {
  return kCallNames[static_cast<size_t>(call)];
}

bool is_change(Call call) {
  switch (call) {
    case Call::kCreate:
    case Call::kWrite:
    case Call::kSync:
    case Call::kCreateDir:
    case Call::kRemoveDir:
    case Call::kRemove:
    case Call::kRename:
    case Call::kLink:
    case Call::kTruncate:
    case Call::kSyncDir:
      return true;
    default:
      return false;
  }
}

Status CrashFs::Verdict::outcome(Call call, const std::string& path) const {
  if (!kind) return Status();
  switch (*kind) {
    case Fault::Kind::kNoSpace:
    case Fault::Kind::kShortWrite:
      return Status::no_space("{}: {}: simulated full disk", path, call_name(call));
    case Fault::Kind::kCrash:
      return Status::io_error("{}: {}: simulated power cut{}", path, call_name(call), dead ? " earlier" : "");
    case Fault::Kind::kIoError:
      break;
  }
  return Status::io_error("{}: {}: simulated I/O error", path, call_name(call));
}

// --- open files ---

struct CrashFs::Reader final : ReadFile {
  Reader(CrashFs* o, std::string p, std::shared_ptr<MemFile> f)
      : owner(o), name(std::move(p)), file(std::move(f)), life(o->life_), length(file->content().size()) {
    // With the owner's mutex held.
    counts->most = std::max<uint64_t>(counts->most, ++counts->now);
  }
  ~Reader() override { --counts->now; }

  Status read_at(uint64_t offset, size_t n, Buffer* out) const override {
    std::lock_guard<std::mutex> hold(owner->mutex_);
    out->clear();
    Verdict verdict = owner->enter_handle(Call::kRead, name, life);
    if (verdict.fails()) return verdict.outcome(Call::kRead, name);
    if (copy(offset, n, out)) return Status();
    return Status::corruption("{}: unexpected end of file: {} bytes at {} wanted, size is {}", name, n,
                              offset, std::min<uint64_t>(length, file->content().size()));
  }

  bool read_at_nowait(uint64_t offset, size_t n, Buffer* out) const override {
    std::lock_guard<std::mutex> hold(owner->mutex_);
    out->clear();
    if (owner->enter_handle(Call::kReadNowait, name, life).fails()) return false;
    const int percent = owner->options_.nowait_percent;
    if (percent < 100 && static_cast<int>(owner->nowait_random_.below(100)) >= percent) return false;
    return copy(offset, n, out);
  }

  void will_need(uint64_t, size_t) const override {
    std::lock_guard<std::mutex> hold(owner->mutex_);
    owner->enter_handle(Call::kWillNeed, name, life);
  }
  uint64_t size() const override { return length; }
  const std::string& path() const override { return name; }

  bool copy(uint64_t offset, size_t n, Buffer* out) const {
    const std::string& bytes = file->content();
    const uint64_t end = std::min<uint64_t>(length, bytes.size());
    if (offset > end || n > end - offset) return false;
    out->append(bytes.data() + offset, n);
    return true;
  }

  CrashFs* const owner;
  const std::shared_ptr<OpenReaders> counts = owner->open_readers_;
  const std::string name;
  const std::shared_ptr<MemFile> file;
  const uint64_t life;
  const uint64_t length;
};

struct CrashFs::Writer final : WriteFile {
  Writer(CrashFs* o, std::string p, std::shared_ptr<MemFile> f)
      : owner(o), name(std::move(p)), file(std::move(f)), life(o->life_) {}

  Status write_at(uint64_t offset, std::string_view bytes) override {
    std::lock_guard<std::mutex> hold(owner->mutex_);
    VARVE_CHECK(open);
    return owner->write(file.get(), name, life, offset, bytes);
  }

  Status sync() override {
    std::lock_guard<std::mutex> hold(owner->mutex_);
    VARVE_CHECK(open);
    Verdict verdict = owner->enter_handle(Call::kSync, name, life);
    if (!verdict.fails()) {
      file->sync();
      return Status();
    }
    // At a crash nothing is decided yet: the blocks stay dirty and crash() draws.
    if (verdict.kind != Fault::Kind::kCrash) file->fail_sync();
    return verdict.outcome(Call::kSync, name);
  }

  void start_write_back(uint64_t, uint64_t) override {
    std::lock_guard<std::mutex> hold(owner->mutex_);
    VARVE_CHECK(open);
    owner->enter_handle(Call::kWriteBack, name, life);
  }

  Status close() override {
    std::lock_guard<std::mutex> hold(owner->mutex_);
    if (!open) return Status();
    open = false;
    Verdict verdict = owner->enter_handle(Call::kClose, name, life);
    return verdict.outcome(Call::kClose, name);
  }
  const std::string& path() const override { return name; }

  CrashFs* const owner;
  const std::string name;
  const std::shared_ptr<MemFile> file;
  const uint64_t life;
  bool open = true;
};

struct CrashFs::Lock final : FileLock {
  Lock(CrashFs* o, std::string p, uint64_t n) : owner(o), name(std::move(p)), number(n) {}
  ~Lock() override {
    std::lock_guard<std::mutex> hold(owner->mutex_);
    auto at = owner->locks_.find(name);
    if (at != owner->locks_.end() && at->second == number) owner->locks_.erase(at);
  }

  CrashFs* const owner;
  const std::string name;
  const uint64_t number;
};

// --- crashes and the plan ---

CrashFs::CrashFs(Options options) : options_(options), nowait_random_(options.nowait_seed) {}

void CrashFs::crash(const CrashPolicy& policy, uint64_t seed) {
  std::lock_guard<std::mutex> hold(mutex_);
  used_ = std::make_shared<uint64_t>(0);  // dead handles go on counting in the old one
  root_ = tree_after_crash(*root_, policy, seed, options_.block_size, used_);
  new_life();
}

void CrashFs::kill_process() {
  std::lock_guard<std::mutex> hold(mutex_);
  new_life();
}

void CrashFs::new_life() {
  ++life_;
  crashed_ = false;
  std::erase_if(faults_, [](const Armed& armed) {
    return armed.fault.kind == Fault::Kind::kCrash && armed.seen >= armed.fault.nth;
  });
  locks_.clear();
}

std::unique_ptr<CrashFs> CrashFs::crashed_copy(const CrashPolicy& policy, uint64_t seed) const {
  std::lock_guard<std::mutex> hold(mutex_);
  auto copy = std::make_unique<CrashFs>(options_);
  copy->root_ = tree_after_crash(*root_, policy, seed, options_.block_size, copy->used_);
  copy->space_ = space_;
  return copy;
}

bool CrashFs::crashed() const {
  std::lock_guard<std::mutex> hold(mutex_);
  return crashed_;
}

void CrashFs::add_fault(Fault fault) {
  std::lock_guard<std::mutex> hold(mutex_);
  VARVE_CHECK(fault.nth > 0);
  faults_.push_back({std::move(fault)});
}

std::map<std::pair<Fault::Kind, Call>, uint64_t> CrashFs::fired() const {
  std::lock_guard<std::mutex> hold(mutex_);
  return fired_;
}

void CrashFs::clear_faults() {
  std::lock_guard<std::mutex> hold(mutex_);
  faults_.clear();
}

uint64_t CrashFs::faults_fired() const {
  std::lock_guard<std::mutex> hold(mutex_);
  return faults_fired_;
}

uint64_t CrashFs::calls(std::optional<Call> call) const {
  std::lock_guard<std::mutex> hold(mutex_);
  if (call) return calls_[static_cast<size_t>(*call)];
  uint64_t sum = 0;
  for (uint64_t n : calls_) sum += n;
  return sum;
}

uint64_t CrashFs::changes() const {
  std::lock_guard<std::mutex> hold(mutex_);
  uint64_t sum = 0;
  for (size_t i = 0; i < calls_.size(); ++i) {
    if (is_change(static_cast<Call>(i))) sum += calls_[i];
  }
  return sum;
}

// Counts the call and asks every fault of the plan; the first that fires decides.
CrashFs::Verdict CrashFs::enter(Call call, const std::string& path, const std::string& other) {
  ++calls_[static_cast<size_t>(call)];
  if (crashed_) return {Fault::Kind::kCrash, true};
  Verdict verdict;
  for (Armed& armed : faults_) {
    const Fault& fault = armed.fault;
    if (fault.call && *fault.call != call) continue;
    if (fault.changes_only && !is_change(call)) continue;
    auto matches = [&](const std::string& p) { return ::fnmatch(fault.path.c_str(), p.c_str(), 0) == 0; };
    if (!fault.path.empty() && !matches(path) && (other.empty() || !matches(other))) continue;
    ++armed.seen;
    if (armed.seen < fault.nth || (armed.seen > fault.nth && fault.once) || verdict.fails()) continue;
    ++faults_fired_;
    ++fired_[{fault.kind, call}];
    verdict.kind = fault.kind;
    if (fault.kind == Fault::Kind::kCrash) crashed_ = true;
  }
  return verdict;
}

// Calls on handles of an earlier life fail, uncounted: the process that held them is gone.
CrashFs::Verdict CrashFs::enter_handle(Call call, const std::string& path, uint64_t life) {
  if (life != life_) return {Fault::Kind::kCrash, true};
  return enter(call, path);
}

void CrashFs::set_space(uint64_t bytes) {
  std::lock_guard<std::mutex> hold(mutex_);
  space_ = bytes;
}

uint64_t CrashFs::used_space() const {
  std::lock_guard<std::mutex> hold(mutex_);
  return *used_;
}

// --- calls ---

std::vector<std::string> CrashFs::split_path(const std::string& path) {
  std::vector<std::string> parts;
  for (size_t at = 0; at < path.size();) {
    size_t end = std::min(path.find('/', at), path.size());
    if (end > at) parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

Result<CrashFs::Place> CrashFs::walk(const std::string& path, Call call) const {
  std::vector<std::string> parts = split_path(path);
  Place place;
  place.node = root_;
  for (std::string& part : parts) {
    if (!place.node) return not_there(path, call);
    place.dir = place.node->dir();
    if (place.dir == nullptr) return Status::io_error("{}: {}: Not a directory", path, call_name(call));
    place.node = place.dir->find(part);
    place.name = std::move(part);
  }
  return place;
}

Result<std::shared_ptr<MemFile>> CrashFs::find_file(const std::string& path, Call call) const {
  auto place = walk(path, call);
  if (!place) return place.status();
  if (!place->node) return not_there(path, call);
  if (place->node->file() == nullptr)
    return Status::io_error("{}: {}: Is a directory", path, call_name(call));
  return std::static_pointer_cast<MemFile>(place->node);
}

Result<std::unique_ptr<ReadFile>> CrashFs::open_read(const std::string& path) {
  std::lock_guard<std::mutex> hold(mutex_);
  Verdict verdict = enter(Call::kOpenRead, path);
  if (verdict.fails()) return verdict.outcome(Call::kOpenRead, path);
  auto file = find_file(path, Call::kOpenRead);
  if (!file) return file.status();
  return std::unique_ptr<ReadFile>(new Reader(this, path, *file));
}

Status CrashFs::out_of_space(Call call, const std::string& path, uint64_t at) {
  ++fired_[{Fault::Kind::kNoSpace, call}];
  return Status::no_space("{}: {} at {}: No space left on device", path, call_name(call), at);
}

// For create, create_dir, link.
Status CrashFs::add_node(Call call, const std::string& path, const Verdict& verdict, MemNodePtr node) {
  if (!verdict.takes_effect()) return verdict.outcome(call, path);
  auto place = walk(path, call);
  if (!place) return place.status();
  if (place->node) return Status::invalid_argument("{}: {}: File exists", path, call_name(call));
  if (space_left() == 0) return out_of_space(call, path);
  place->dir->change({}, place->name, std::move(node));
  return verdict.outcome(call, path);
}

Result<std::unique_ptr<WriteFile>> CrashFs::create(const std::string& path) {
  std::lock_guard<std::mutex> hold(mutex_);
  Verdict verdict = enter(Call::kCreate, path);
  auto file = std::make_shared<MemFile>(options_.block_size, used_);
  if (Status s = add_node(Call::kCreate, path, verdict, file); !s) return s;
  return std::unique_ptr<WriteFile>(new Writer(this, path, std::move(file)));
}

Result<std::unique_ptr<WriteFile>> CrashFs::open_write(const std::string& path) {
  std::lock_guard<std::mutex> hold(mutex_);
  Verdict verdict = enter(Call::kOpenWrite, path);
  if (verdict.fails()) return verdict.outcome(Call::kOpenWrite, path);
  auto file = find_file(path, Call::kOpenWrite);
  if (!file) return file.status();
  return std::unique_ptr<WriteFile>(new Writer(this, path, *file));
}

Status CrashFs::write(MemFile* file, const std::string& path, uint64_t life, uint64_t offset,
                      std::string_view bytes) {
  Verdict verdict = enter_handle(Call::kWrite, path, life);
  if (verdict.kind == Fault::Kind::kShortWrite) file->write(offset, bytes.substr(0, bytes.size() / 2));
  if (!verdict.takes_effect()) return verdict.outcome(Call::kWrite, path);
  // A full disk takes what fits.
  const uint64_t size = file->content().size();
  const uint64_t left = space_left();
  const uint64_t end = offset + bytes.size();
  bool full = end > size && end - size > left;
  if (full) bytes = bytes.substr(0, size + left > offset ? size + left - offset : 0);
  file->write(offset, bytes);
  if (verdict.fails()) return verdict.outcome(Call::kWrite, path);
  if (full) return out_of_space(Call::kWrite, path, offset + bytes.size());
  return Status();
}

Status CrashFs::create_dir(const std::string& path) {
  std::lock_guard<std::mutex> hold(mutex_);
  Verdict verdict = enter(Call::kCreateDir, path);
  if (verdict.takes_effect()) {
    auto place = walk(path, Call::kCreateDir);
    if (place && place->node && place->node->dir() != nullptr) {
      return verdict.outcome(Call::kCreateDir, path);
    }
  }
  return add_node(Call::kCreateDir, path, verdict, std::make_shared<MemDir>());
}

// For remove and remove_dir.
Status CrashFs::remove_node(Call call, const std::string& path) {
  Verdict verdict = enter(call, path);
  if (!verdict.takes_effect()) return verdict.outcome(call, path);
  auto place = walk(path, call);
  if (!place) return place.status();
  if (!place->node) return not_there(path, call);
  MemDir* dir = place->node->dir();
  const bool wants_dir = call == Call::kRemoveDir;
  if (wants_dir != (dir != nullptr)) {
    return Status::io_error("{}: {}: {} directory", path, call_name(call), wants_dir ? "Not a" : "Is a");
  }
  if (dir != nullptr && !dir->entries().empty()) {
    return Status::io_error("{}: {}: Directory not empty", path, call_name(call));
  }
  VARVE_CHECK(place->dir != nullptr);  // nobody removes the root
  place->dir->change(place->name, {}, nullptr);
  return verdict.outcome(call, path);
}

Status CrashFs::remove(const std::string& path) {
  std::lock_guard<std::mutex> hold(mutex_);
  return remove_node(Call::kRemove, path);
}

Status CrashFs::remove_dir(const std::string& path) {
  std::lock_guard<std::mutex> hold(mutex_);
  return remove_node(Call::kRemoveDir, path);
}

Result<std::vector<std::string>> CrashFs::list(const std::string& dir) {
  std::lock_guard<std::mutex> hold(mutex_);
  Verdict verdict = enter(Call::kList, dir);
  if (verdict.fails()) return verdict.outcome(Call::kList, dir);
  auto place = walk(dir, Call::kList);
  if (!place) return place.status();
  if (!place->node) return not_there(dir, Call::kList);
  if (place->node->dir() == nullptr) return Status::io_error("{}: list: Not a directory", dir);
  std::vector<std::string> names;
  for (const auto& [name, node] : place->node->dir()->entries()) names.push_back(name);
  return names;
}

Status CrashFs::rename(const std::string& from, const std::string& to) {
  std::lock_guard<std::mutex> hold(mutex_);
  Verdict verdict = enter(Call::kRename, from, to);
  const std::string both = from + " -> " + to;
  if (!verdict.takes_effect()) return verdict.outcome(Call::kRename, both);
  auto source = walk(from, Call::kRename);
  auto target = walk(to, Call::kRename);
  if (!source) return source.status();
  if (!target) return target.status();
  if (!source->node) return not_there(both, Call::kRename);
  if (source->dir == nullptr || target->dir == nullptr) return Status::io_error("{}: rename: root", both);
  if (source->node == target->node) return verdict.outcome(Call::kRename, both);  // nothing to do
  const bool is_dir = source->node->dir() != nullptr;
  if (target->node) {
    MemDir* replaced = target->node->dir();
    if (is_dir != (replaced != nullptr)) return Status::io_error("{}: rename: not of one kind", both);
    if (is_dir && !replaced->entries().empty()) return Status::io_error("{}: rename: not empty", both);
  }
  if (is_dir && to.starts_with(join_path(from, ""))) {
    return Status::io_error("{}: rename: into itself", both);
  }
  if (source->dir == target->dir) {
    source->dir->change(source->name, target->name, source->node);
  } else {
    target->dir->change({}, target->name, source->node);
    source->dir->change(source->name, {}, nullptr);
  }
  return verdict.outcome(Call::kRename, both);
}

Status CrashFs::link(const std::string& from, const std::string& to) {
  std::lock_guard<std::mutex> hold(mutex_);
  Verdict verdict = enter(Call::kLink, from, to);
  if (!verdict.takes_effect()) return verdict.outcome(Call::kLink, from + " -> " + to);
  auto source = walk(from, Call::kLink);
  if (!source) return source.status();
  if (!source->node) return not_there(from, Call::kLink);
  auto target = walk(to, Call::kLink);
  if (!target) return target.status();
  if (!target->node && source->node->file() == nullptr) {
    return Status::io_error("{}: link: Operation not permitted", from);  // of a directory
  }
  return add_node(Call::kLink, to, verdict, source->node);
}

Status CrashFs::truncate(const std::string& path, uint64_t size) {
  std::lock_guard<std::mutex> hold(mutex_);
  Verdict verdict = enter(Call::kTruncate, path);
  if (!verdict.takes_effect()) return verdict.outcome(Call::kTruncate, path);
  auto file = find_file(path, Call::kTruncate);
  if (!file) return file.status();
  const uint64_t before = (*file)->content().size();
  if (size > before && size - before > space_left()) {
    return out_of_space(Call::kTruncate, path, size);
  }
  (*file)->truncate(size);
  return verdict.outcome(Call::kTruncate, path);
}

Status CrashFs::sync_dir(const std::string& path) {
  std::lock_guard<std::mutex> hold(mutex_);
  Verdict verdict = enter(Call::kSyncDir, path);
  if (verdict.dead) return verdict.outcome(Call::kSyncDir, path);
  auto place = walk(path, Call::kSyncDir);
  if (!place) return place.status();
  if (!place->node) return not_there(path, Call::kSyncDir);
  MemDir* dir = place->node->dir();
  if (dir == nullptr) return Status::io_error("{}: sync_dir: Not a directory", path);
  if (!verdict.fails()) {
    dir->sync();
    return Status();
  }
  if (verdict.kind != Fault::Kind::kCrash) dir->fail_sync();
  return verdict.outcome(Call::kSyncDir, path);
}

Result<uint64_t> CrashFs::file_size(const std::string& path) {
  std::lock_guard<std::mutex> hold(mutex_);
  Verdict verdict = enter(Call::kFileSize, path);
  if (verdict.fails()) return verdict.outcome(Call::kFileSize, path);
  auto file = find_file(path, Call::kFileSize);
  if (!file) return file.status();
  return (*file)->content().size();
}

// True when it cannot tell, like the real one.
bool CrashFs::exists(const std::string& path) {
  std::lock_guard<std::mutex> hold(mutex_);
  if (enter(Call::kExists, path).fails()) return true;
  auto place = walk(path, Call::kExists);
  return place.ok() && place->node != nullptr;
}

Result<uint64_t> CrashFs::free_space(const std::string& path) {
  std::lock_guard<std::mutex> hold(mutex_);
  Verdict verdict = enter(Call::kFreeSpace, path);
  if (verdict.fails()) return verdict.outcome(Call::kFreeSpace, path);
  auto place = walk(path, Call::kFreeSpace);
  if (!place) return place.status();
  if (!place->node) return not_there(path, Call::kFreeSpace);
  return space_left();
}

Result<std::unique_ptr<FileLock>> CrashFs::lock(const std::string& path) {
  std::lock_guard<std::mutex> hold(mutex_);
  Verdict verdict = enter(Call::kLock, path);
  if (verdict.fails()) return verdict.outcome(Call::kLock, path);
  auto place = walk(path, Call::kLock);
  if (!place) return place.status();
  if (place->node && place->node->file() == nullptr)
    return Status::io_error("{}: lock: Is a directory", path);
  if (locks_.contains(path)) return Status::busy("{}: held by another process or owner", path);
  if (!place->node) {
    auto file = std::make_shared<MemFile>(options_.block_size, used_);
    if (Status s = add_node(Call::kLock, path, verdict, std::move(file)); !s) return s;
  }
  locks_[path] = ++last_lock_;
  return std::unique_ptr<FileLock>(new Lock(this, path, last_lock_));
}

}  // namespace varve::test
