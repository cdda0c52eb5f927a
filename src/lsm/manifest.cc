#include "lsm/manifest.h"

#include "base/check.h"
#include "base/coding.h"
#include "base/plant.h"
#include "lsm/manifest_record.h"
#include "lsm/wal_segment.h"

namespace varve {
namespace {

constexpr char kCurrentName[] = "CURRENT";
constexpr uint64_t kMaxCurrentSize = 4096;
static_assert(ManifestLimits().snapshot < ManifestLimits().file && ManifestLimits().file < kMaxManifestSize,
              "what is written can be read");

// A digit string and nothing else before `suffix`: tables and log segments, whatever their numbers' width.
bool is_numbered(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return false;
  name.remove_suffix(suffix.size());
  return !name.empty() && name.find_first_not_of("0123456789") == std::string_view::npos;
}

Result<std::string> read_manifest_bytes(FileSystem& fs, const std::string& path, const std::string& name) {
  auto size = fs.file_size(path);
  if (!size) return size.status();
  if (*size > kMaxManifestSize) return Status::corruption("{}: {} bytes are no manifest", name, *size);
  return fs.read_whole(path);
}

// Reads the records of one manifest's bytes into a state.
class ManifestReader {
 public:
  ManifestReader(std::string_view bytes, const std::string& name, const Identity& file)
      : bytes_(bytes), name_(name), file_(file) {}

  Status run(ManifestState* state) {
    state_ = state;
    while (offset_ < bytes_.size()) {
      ManifestRecord record;
      bool found = read_record(bytes_, offset_, file_, &record) && record.valid;
      // The snapshot was synced before CURRENT named the file: it cannot be a torn one.
      if (!found && last_edit_ == kNone) return bad("the snapshot that a manifest begins with is damaged");
      Status status = found ? take(record) : tail();
      if (!status || torn_ || closed_) return status;
      offset_ = record.end;
      if (snapshot_size_ == 0) snapshot_size_ = offset_;
    }
    return last_edit_ == kNone ? bad("the snapshot that a manifest begins with is missing") : Status();
  }

  bool has_snapshot() const { return last_edit_ != kNone; }
  uint64_t last_edit() const { return last_edit_; }
  uint64_t edits() const { return edits_; }
  uint64_t valid_size() const { return offset_; }
  uint64_t snapshot_size() const { return snapshot_size_; }
  std::optional<Sequence> closed() const { return closed_; }
  bool torn() const { return torn_; }

 private:
  static constexpr uint64_t kNone = UINT64_MAX;

  Status bad(std::string_view what) const { return Status::corruption("{}: {}: {}", name_, offset_, what); }

  Status take(const ManifestRecord& record) {
    bool first = last_edit_ == kNone;
    if (first != (record.kind == kSnapshotRecord)) return bad("a snapshot stands first and nowhere else");
    if (record.kind == kWatermarkRecord) {
      bool fits = record.edit_number == last_edit_ && record.payload.empty();
      return fits ? Status() : bad("this watermark does not belong to the edit before it");
    }
    if (record.kind == kClosingRecord) return take_closing(record);
    if (!first && record.edit_number != last_edit_ + 1) {
      return bad(fmt::format("edit {} where {} was expected", record.edit_number, last_edit_ + 1));
    }
    VersionEdit edit;
    Status status = edit.decode(record.payload);
    if (status) status = state_->apply(edit);
    if (!status) return Status(status.code(), fmt::format("{}: {}: {}", name_, offset_, status.message()));
    last_edit_ = record.edit_number;
    if (!first) ++edits_;
    return {};
  }

  // Anything behind it is the next life's first edit, which was not finished.
  Status take_closing(const ManifestRecord& record) {
    Sequence last = 0;
    if (record.edit_number != last_edit_ || !decode_closing(record.payload, &last)) {
      return bad("this closing record does not belong to the edit before it");
    }
    if (record.end != bytes_.size()) return tail();
    closed_ = last;
    return {};
  }

  // No valid record at offset_: torn if it is the last thing in the file. Anything behind it was written
  // after it had been synced.
  Status tail() {
    for (uint64_t at = offset_ + kManifestBlockSize; at < bytes_.size(); at += kManifestBlockSize) {
      ManifestRecord behind;
      if (!read_record(bytes_, at, file_, &behind)) continue;
      return bad(fmt::format("damaged: the record behind it (at {}) shows that it was durable", at));
    }
    torn_ = true;
    return {};
  }

  std::string_view bytes_;
  const std::string& name_;
  const Identity file_;
  uint64_t offset_ = kManifestHeaderSize;
  uint64_t last_edit_ = kNone;
  uint64_t edits_ = 0;
  uint64_t snapshot_size_ = 0;
  std::optional<Sequence> closed_;
  bool torn_ = false;
  ManifestState* state_ = nullptr;
};

// Does the log segment hold a frame? One whose header cannot be read counts only if there had been a header:
// it is written last, so a preparation that was cut short has none.
bool log_was_used(FileSystem& fs, const std::string& path) {
  auto segment = SegmentReader::open_any(fs, path);
  if (!segment && !segment.status().is_corruption()) return true;
  if (!segment) {
    auto file = fs.open_read(path);
    Buffer magic;
    return !file || ((*file)->size() >= sizeof kLogMagic && (!(*file)->read_at(0, sizeof kLogMagic, &magic) ||
                                                             decode_fixed64(magic.data()) == kLogMagic));
  }
  uint64_t offset = kLogBlockSize;
  auto frame = (*segment)->find(&offset);
  return !frame || frame->state != FrameProbe::State::kNone;
}

// Does this manifest, which CURRENT does not name, say more than that a directory was being created?
bool manifest_was_used(FileSystem& fs, const std::string& path, const std::string& name) {
  auto bytes = read_manifest_bytes(fs, path, name);
  if (!bytes) return true;
  ManifestHeader header;
  Status status = decode_manifest_header(*bytes, name, &header);
  if (!status) return status.code() == StatusCode::kUnsupported;
  ManifestState state;
  ManifestReader reader(*bytes, name, header.file);
  status = reader.run(&state);
  return reader.edits() > 0 || !state.tables.empty() || state.flushed_sequence > 0;
}

// A directory without CURRENT is new unless something in it holds data. What an interrupted creation leaves
// behind (unused log segments, a manifest that names nothing) is no data.
Status without_current(FileSystem& fs, const std::string& dir) {
  auto names = fs.list(dir);
  if (!names) return names.status();
  for (const std::string& name : *names) {
    const std::string path = join_path(dir, name);
    bool data = is_numbered(name, ".sst") || (is_numbered(name, ".log") && log_was_used(fs, path)) ||
                (name.starts_with("MANIFEST-") && manifest_was_used(fs, path, name));
    if (!data) continue;
    return Status::invalid_argument(
        "{}: there is no CURRENT, but {} holds data: not a new directory. Bring back CURRENT "
        "(or the whole directory) from a backup, or choose an empty directory",
        dir, name);
  }
  return Status::not_found("{}: no database here yet", dir);
}

// Makes the new manifest's file; clears away what an interrupted creation left under that name.
Result<std::unique_ptr<WriteFile>> create_file(FileSystem& fs, const std::string& dir,
                                               const std::string& name) {
  const std::string path = join_path(dir, name);
  if (fs.exists(path)) {
    auto text = fs.read_whole(join_path(dir, kCurrentName));
    CurrentFile current;
    if (!text && !text.status().is_not_found()) return text.status();
    if (text) {
      Status status = decode_current(*text, &current);
      if (!status) return status;
    }
    if (current.manifest == name) return Status::invalid_argument("{}: is the manifest in use", path);
    Status status = fs.remove(path);
    if (!status) return status;
  }
  return fs.create(path);
}

}  // namespace

std::string manifest_file_name(uint64_t number) {
  return fmt::format("MANIFEST-{:08}", number);
}

Result<std::unique_ptr<ManifestWriter>> ManifestWriter::create(FileSystem& fs, const std::string& dir,
                                                               uint64_t number, Identity directory,
                                                               Identity file, const std::string& application,
                                                               uint64_t last_edit, const ManifestState& state,
                                                               const ManifestLimits& limits) {
  if (application.size() > kMaxApplicationSize) {
    return Status::invalid_argument("the application's name is longer than {} bytes", kMaxApplicationSize);
  }
  const std::string name = manifest_file_name(number);
  std::string bytes = encode_manifest_header({directory, file, number, application});
  {
    std::string payload;
    state.snapshot().encode(&payload);
    varve::append_record(&bytes, kSnapshotRecord, last_edit, payload, file, bytes.size());
  }
  if (bytes.size() > limits.snapshot) {
    return Status::invalid_argument(
        "{}: the state takes {} bytes ({} tables, {} ranges of garbage), more than {}", name, bytes.size(),
        state.tables.size(), state.garbage.size(), limits.snapshot);
  }
  auto out = create_file(fs, dir, name);
  if (!out) return out.status();
  std::unique_ptr<ManifestWriter> writer(new ManifestWriter());
  writer->file_ = out.take();
  writer->identity_ = file;
  writer->number_ = number;
  writer->limits_ = limits;
  Status status = writer->file_->write_at(0, bytes);
  if (status) status = writer->file_->sync();
  // The file's name must be durable before CURRENT names it.
  if (status) status = fs.sync_dir(dir);
  if (status) status = fs.replace_whole(dir, kCurrentName, encode_current({directory, name}));
  if (!status) return status;
  writer->offset_ = writer->snapshot_size_ = bytes.size();
  return writer;
}

Result<std::unique_ptr<ManifestWriter>> ManifestWriter::go_on(FileSystem& fs, const std::string& dir,
                                                              const ManifestInfo& info, uint64_t edit_number,
                                                              const VersionEdit& edit,
                                                              const ManifestLimits& limits) {
  VARVE_CHECK(info.closed && !info.torn_tail);
  auto file = fs.open_write(join_path(dir, manifest_file_name(info.number)));
  if (!file) return file.status();
  std::unique_ptr<ManifestWriter> writer(new ManifestWriter());
  writer->file_ = file.take();
  writer->identity_ = info.file;
  writer->number_ = info.number;
  writer->offset_ = info.size;
  writer->snapshot_size_ = info.snapshot_size;
  writer->limits_ = limits;
  Status status = writer->append_edit(edit_number, edit);
  if (!status) return status;
  return writer;
}

ManifestWriter::~ManifestWriter() = default;

Status ManifestWriter::append_record(uint32_t kind, uint64_t edit_number, std::string_view payload) {
  std::string bytes;
  varve::append_record(&bytes, kind, edit_number, payload, identity_, offset_);
  Status status = file_->write_at(offset_, bytes);
  if (status && !planted(Plant::manifest_not_synced)) status = file_->sync();
  if (status) offset_ += bytes.size();
  return status;
}

Status ManifestWriter::append_edit(uint64_t edit_number, const VersionEdit& edit) {
  std::string payload;
  edit.encode(&payload);
  // Room for the watermark is a block.
  const uint64_t end = offset_ + kRecordHeaderSize + payload.size() + 2 * kManifestBlockSize;
  if (end > limits_.file) {
    return Status::invalid_argument("{}: full: {} bytes, and an edit of {}", manifest_file_name(number_),
                                    offset_, payload.size());
  }
  return append_record(kEditRecord, edit_number, payload);
}

Status ManifestWriter::append(uint64_t edit_number, const VersionEdit& edit) {
  if (failed_) failed_ = append_edit(edit_number, edit);
  if (failed_) failed_ = append_record(kWatermarkRecord, edit_number, {});
  return failed_;
}

Status ManifestWriter::close(uint64_t last_edit, Sequence last) {
  if (!failed_) return failed_;
  Status status = append_record(kClosingRecord, last_edit, encode_closing(last));
  failed_ = Status::aborted("{}: closed", manifest_file_name(number_));
  return status;
}

Status read_manifest(FileSystem& fs, const std::string& dir, bool accept_loss, ManifestState* state,
                     ManifestInfo* info) {
  *state = ManifestState();
  *info = ManifestInfo();
  const std::string current_path = join_path(dir, kCurrentName);
  auto current_size = fs.file_size(current_path);
  if (!current_size && current_size.status().is_not_found()) return without_current(fs, dir);
  if (!current_size) return current_size.status();
  if (*current_size > kMaxCurrentSize) {
    return Status::invalid_argument("{}: was not written by varve: this is another program's data directory",
                                    current_path);
  }
  auto text = fs.read_whole(current_path);
  if (!text) return text.status();
  CurrentFile current;
  Status status = decode_current(*text, &current);
  if (!status) return Status(status.code(), fmt::format("{}: {}", dir, status.message()));

  auto bytes = read_manifest_bytes(fs, join_path(dir, current.manifest), current.manifest);
  if (!bytes && bytes.status().is_not_found()) {
    return Status::corruption("{}: 0: CURRENT names this manifest, but there is no such file",
                              current.manifest);
  }
  if (!bytes) return bytes.status();
  ManifestHeader header;
  status = decode_manifest_header(*bytes, current.manifest, &header);
  if (!status) return status;
  if (manifest_file_name(header.number) != current.manifest || header.directory != current.directory) {
    return Status::corruption(
        "{}: 0: is another directory's or another number's manifest (number {}, directory {})",
        current.manifest, header.number, header.directory.to_string());
  }
  info->number = header.number;
  info->directory = header.directory;
  info->file = header.file;
  info->application = header.application;
  auto read = std::make_unique<ManifestReader>(*bytes, current.manifest, header.file);
  status = read->run(state);
  info->snapshot = read->has_snapshot();
  const bool cut = status.is_corruption() && accept_loss && info->snapshot;
  if (cut) {
    // Once more, up to the damage: the edit there may have been applied by half.
    *state = ManifestState();
    auto whole = std::string_view(*bytes).substr(0, static_cast<size_t>(read->valid_size()));
    read = std::make_unique<ManifestReader>(whole, current.manifest, header.file);
    status = read->run(state);
  }
  if (!status) return status;
  info->last_edit = read->last_edit();
  info->size = read->valid_size();
  info->snapshot_size = read->snapshot_size();
  info->closed = read->closed();
  info->torn_tail = cut || read->torn();
  return {};
}

}  // namespace varve
