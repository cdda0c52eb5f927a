#include "lsm/recovery.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <unordered_set>

#include "base/check.h"
#include "base/log.h"
#include "base/plant.h"
#include "lsm/merge_job.h"

namespace varve {
namespace {

constexpr size_t kReadySegments = 2;
// Bytes of edits behind which a start writes a new manifest, unless its snapshot is larger: all are read.
constexpr uint64_t kEditsToGoOnMax = 256 << 10;

std::string parent_of(const std::string& path) {
  size_t end = path.find_last_not_of('/');
  size_t slash = end == std::string::npos ? std::string::npos : path.find_last_of('/', end);
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

class Recovery {
 public:
  explicit Recovery(const EngineOptions& options)
      : options_(options), fs_(*options.fs), random_(options.random_seed) {}

  Result<Recovered> run() {
    Status status = recover_all();
    if (!status.ok()) {
      // What this attempt wrote is named by nothing yet; left behind, a restart loop on a full disk would
      // fill it further.
      for (const std::string& path : created_) {
        if (Status removed = fs_.remove(path); !removed.ok())
          log_verbose("recovery: {}", removed.to_string());
      }
      return advise(status);
    }
    find_orphans();
    return std::move(out_);
  }

 private:
  // What a person can do about it.
  Status advise(const Status& status) const {
    if (status.code() == StatusCode::kBusy) {
      return Status::busy("{}: another server runs on this directory; stop it first", status.message());
    }
    if (!status.is_corruption()) return status;
    return Status::corruption(
        "{}. Copy {} first; varve-tool check tells what is damaged. Then restore a backup, or let varve-tool "
        "salvage copy what is intact{}",
        status.message(), options_.dir,
        loss_may_be_accepted_ ? ", or start once with accept-loss yes: with what stands before the damage"
                              : "");
  }

  Status recover_all() {
    VARVE_TRY(prepare_directory());
    VARVE_TRY(find_tables());
    VARVE_TRY(replay());
    return write_manifest();
  }

  Status prepare_directory() {
    if (!fs_.exists(options_.dir) && !options_.create_if_missing) {
      return Status::not_found("{}: no such data directory", options_.dir);
    }
    VARVE_TRY(create_directory());
    auto lock = fs_.lock(join_path(options_.dir, "LOCK"));
    if (!lock) return lock.status();
    out_.lock = lock.take();
    Status status = read_manifest(fs_, options_.dir, options_.accept_loss, &out_.state, &info_);
    loss_may_be_accepted_ = info_.snapshot && !options_.accept_loss;
    if (status.is_not_found()) {
      if (!options_.create_if_missing) return status;
      out_.created = true;
      // An empty directory that was there may have been made by a start that was killed before its name was
      // durable.
      VARVE_TRY(fs_.sync_dir(parent_of(options_.dir)));
      info_.directory = random_.identity();
      info_.application = options_.application;
      return skip_existing_numbers();
    }
    VARVE_TRY(status);
    loss_may_be_accepted_ = false;
    if (info_.application != options_.application) {
      return Status::unsupported(
          "{}: holds \"{}\", this program expects \"{}\"; start it on another directory, or use the "
          "program that wrote this one",
          options_.dir, info_.application, options_.application);
    }
    if (planted(Plant::reuse_file_number)) {
      next_file_ = info_.number + 1;
      return Status();
    }
    next_file_ = std::max(out_.state.next_file_number, info_.number + 1);
    return skip_existing_numbers();
  }

  // A directory whose own name is not durable would take everything in it along. A failed sync cannot be
  // repeated (what it should have written may be gone, and the next one says ok), so the name goes with it.
  Status create_directory() {
    const bool existed = fs_.exists(options_.dir);
    VARVE_TRY(fs_.create_dir(options_.dir));
    if (existed) return Status();
    Status status = fs_.sync_dir(parent_of(options_.dir));
    if (status) return status;
    if (Status removed = fs_.remove_dir(options_.dir); !removed)
      log_verbose("recovery: {}", removed.to_string());
    return status;
  }

  // A recovery that was cut short left files behind. They stay until the new manifest stands (removing what
  // the manifest does not name is only safe once the log has confirmed that the manifest is whole), so their
  // numbers are not for us.
  Status skip_existing_numbers() {
    auto names = fs_.list(options_.dir);
    if (!names) return names.status();
    for (const std::string& name : *names) {
      size_t digits = name.find_first_of("0123456789");
      if (digits == std::string::npos || !(digits == 0 || name.starts_with("MANIFEST-"))) continue;
      next_file_ = std::max<uint64_t>(next_file_, std::strtoull(name.c_str() + digits, nullptr, 10) + 1);
    }
    return Status();
  }

  // What else may be to blame when a file is not as the manifest says: the manifest, if it was cut short.
  std::string torn_manifest() const {
    if (!info_.torn_tail) return {};
    return fmt::format("; or {} is damaged, which ends in an unfinished edit at {}",
                       manifest_file_name(info_.number), info_.size);
  }

  // Every table is there and has its size; what it holds is checked when it is first read (TableCache), so
  // that the start takes no longer with many tables.
  Status find_tables() {
    for (const auto& [number, added] : out_.state.tables) {
      std::string name = table_file_name(number);
      auto size = fs_.file_size(join_path(options_.dir, name));
      if (!size && size.status().is_not_found()) {
        return Status::corruption("{}: 0: {} names this table, but there is no such file{}", name,
                                  manifest_file_name(info_.number), torn_manifest());
      }
      if (!size) return size.status();
      if (*size != added.meta.file_size) {
        return Status::corruption("{}: has {} bytes, expected {}", name, *size, added.meta.file_size);
      }
      out_.tables[number] = std::make_shared<const Table>(Table{added.meta});
    }
    return refuse_newer_tables();
  }

  // A newer build's tables have the highest numbers there are: the last one tells whether there are any. If
  // it is damaged nothing tells.
  Status refuse_newer_tables() {
    if (out_.tables.empty()) return Status();
    auto last = open_table(fs_, options_.dir, out_.tables.rbegin()->second->meta);
    // A disk that fails for a moment is no reason to keep all the other data away.
    return last.status().is_io_error() ? Status() : last.status();
  }

  Status replay() {
    memtable_ = std::make_shared<MemTable>();
    loss_may_be_accepted_ = !options_.accept_loss;
    auto replayed = replay_log(
        fs_, options_.dir, out_.state.log, out_.state.flushed_sequence, out_.state.durable_sequence,
        options_.accept_loss, [this](Sequence first, std::string_view ops) { return apply(first, ops); },
        info_.closed);
    if (!replayed) {
      const Status& status = replayed.status();
      return status.is_corruption() ? Status::corruption("{}{}", status.message(), torn_manifest()) : status;
    }
    if (replayed->manifest_edit > info_.last_edit && !options_.accept_loss) {
      return Status::corruption("{}: {}: edits {} to {} are missing, which the log knows were durable",
                                options_.dir, manifest_file_name(info_.number), info_.last_edit + 1,
                                replayed->manifest_edit);
    }
    loss_may_be_accepted_ = false;
    VARVE_TRY(flush_memtable());
    out_.last_sequence = std::max(replayed->last_sequence, out_.state.flushed_sequence);
    edit_.flushed_sequence = edit_.durable_sequence = out_.last_sequence;
    // Accepted loss.
    out_.state.durable_sequence = std::min(out_.state.durable_sequence, out_.last_sequence);
    out_.batches = replayed->batches;
    out_.log_bytes = replayed->bytes;
    out_.torn_tail = replayed->torn_tail;
    out_.torn_place = replayed->torn_place;
    if (!replayed->torn_tail) unused_segments_ = replayed->unused_segments;
    return Status();
  }

  Status apply(Sequence first, std::string_view ops) {
    BatchReader reader(ops);
    BatchReader::Op op;
    Sequence sequence = first;
    while (reader.next(&op)) {
      if (planted(Plant::apply_half_batch) && reader.rest().empty() && sequence > first) break;
      if (op.is_counter) {
        memtable_->add_count(op.counter_id, op.counter_delta);
      } else if (op.kind == Kind::kRangeDelete) {
        memtable_->add_range_delete(sequence++, op.key, op.value);
      } else {
        memtable_->add(sequence++, op.kind, op.blind, op.key, op.value, 0);
      }
    }
    if (reader.corrupt()) return Status::corruption("log: batch at sequence {} cannot be read", first);
    flushed_up_to_ = sequence - 1;
    if (memtable_->memory_used() >= options_.memtable_size) return flush_memtable();
    return Status();
  }

  // Each full memtable becomes a level-0 run; nothing refers to it before the manifest is written.
  Status flush_memtable() {
    if (memtable_->empty()) return Status();
    memtable_->freeze();
    MergeInput input;
    input.fs = &fs_;
    input.dir = options_.dir;
    input.memtables = {memtable_};
    for (const auto& [number, table] : out_.tables) input.deeper.push_back({bounds(table->meta)});
    input.first_file_number = next_file_;
    input.file_number_count = kJobFileNumbers;
    input.random_seed = random_.next();
    input.target_file_size = options_.table_size;
    input.table = table_options(options_, 0, false);
    MergeOutput output = run_merge(input);
    VARVE_TRY(output.status);
    for (const TableRef& table : output.outputs) {
      VersionEdit::AddedTable added{{0, flushed_up_to_}, table->meta};
      edit_.added.push_back(std::move(added));
      out_.tables[table->meta.number] = table;
      created_.push_back(join_path(options_.dir, table_file_name(table->meta.number)));
      next_file_ = std::max(next_file_, table->meta.number + 1);
    }
    for (const auto& [id, delta] : memtable_->counters()) edit_.counter_deltas[id] += delta;
    for (const auto& [id, delta] : output.count_corrections) edit_.counter_deltas[id] += delta;
    std::move(output.garbage.begin(), output.garbage.end(), std::back_inserter(edit_.garbage_added));
    memtable_ = std::make_shared<MemTable>();
    return Status();
  }

  // Preparing a segment writes the whole of it, so those that the log had ready and never used are taken over
  // as they are: no frame in them can be taken for one of the new life, as there is none. If that is fewer
  // than there should be, the engine soon prepares more; reads need not wait for it.
  Status ready_segments() {
    const std::vector<LogSegment>& old = out_.state.log;
    const size_t used = old.size() - unused_segments_;
    size_t kept = 0;
    for (; kept < std::min(unused_segments_, kReadySegments); ++kept) {
      if (old[used + kept].size != options_.log_segment_size) break;
      VARVE_TRY(use_segment(old[used + kept]));
    }
    for (size_t i = 0; i < old.size(); ++i) {
      if (i >= used && i < used + kept) continue;
      edit_.log_removed.push_back(old[i].number);
      if (old[i].size == options_.log_segment_size) out_.free_segments.push_back(old[i]);
    }
    if (kept > 0) return Status();
    while (edit_.log_added.size() < kReadySegments) {
      LogSegment segment{next_file_++, random_.identity(), options_.log_segment_size};
      created_.push_back(join_path(options_.dir, log_file_name(segment.number)));
      VARVE_TRY(prepare_segment(fs_, options_.dir, segment, false));
      VARVE_TRY(use_segment(segment));
      edit_.log_added.push_back(segment);
    }
    return Status();
  }

  Status use_segment(const LogSegment& segment) {
    auto file = fs_.open_write_direct(join_path(options_.dir, log_file_name(segment.number)));
    if (!file) return file.status();
    out_.segment_files.push_back(file.take());
    return Status();
  }

  // Only behind a clean close: otherwise the last edit may be one whose sync failed, which is in memory
  // alone.
  bool may_go_on() const {
    const uint64_t edits = info_.size - info_.snapshot_size;
    const bool room = info_.size <= ManifestLimits().snapshot;  // the file's limit is far behind
    return info_.closed && !out_.torn_tail && room && edits <= std::max(info_.snapshot_size, kEditsToGoOnMax);
  }

  Status write_manifest() {
    VARVE_TRY(ready_segments());
    const uint64_t number = may_go_on() ? info_.number : next_file_++;
    out_.state.next_file_number = next_file_ + kFileNumberHeadroom;
    edit_.next_file_number = out_.state.next_file_number;
    VARVE_TRY(out_.state.apply(edit_));
    out_.manifest_edit = info_.last_edit + 1;
    out_.directory = info_.directory;
    // From here on the manifest may name what was made.
    created_.clear();
    auto manifest =
        may_go_on() ? ManifestWriter::go_on(fs_, options_.dir, info_, out_.manifest_edit, edit_)
                    : ManifestWriter::create(fs_, options_.dir, number, info_.directory, random_.identity(),
                                             options_.application, out_.manifest_edit, out_.state);
    if (!manifest) return manifest.status();
    out_.manifest = manifest.take();
    return Status();
  }

  // What no manifest names: outputs of jobs that never finished, old manifests and segments. Only names of
  // ours.
  void find_orphans() {
    auto names = fs_.list(options_.dir);
    if (!names) return;
    std::unordered_set<std::string> live = {manifest_file_name(out_.manifest->number())};
    for (const auto& [number, table] : out_.tables) live.insert(table_file_name(number));
    for (const LogSegment& segment : out_.state.log) live.insert(log_file_name(segment.number));
    for (const LogSegment& segment : out_.free_segments) live.insert(log_file_name(segment.number));
    for (const std::string& name : *names) {
      bool ours = name.ends_with(".sst") || name.ends_with(".log") || name.starts_with("MANIFEST-");
      if (ours && !live.contains(name)) out_.orphans.push_back(name);
    }
  }

  const EngineOptions& options_;
  FileSystem& fs_;
  Random random_;
  Recovered out_;
  ManifestInfo info_;
  VersionEdit edit_;  // what this start changes
  uint64_t next_file_ = 1;
  std::vector<std::string> created_;
  std::shared_ptr<MemTable> memtable_;
  Sequence flushed_up_to_ = 0;
  size_t unused_segments_ = 0;         // at the end of the old log
  bool loss_may_be_accepted_ = false;  // what can fail now is damage that accept_loss would go on from
};

}  // namespace

TableOptions table_options(const EngineOptions& options, int output_level, bool last_level) {
  TableOptions table;
  table.block_size = options.block_size;
  table.inspector = options.inspector;
  // Upper levels hold a tenth of the keys and are asked first: more filter bits there cost little.
  table.filter_bits_per_key =
      options.filter_bits_per_key <= 0 ? 0 : options.filter_bits_per_key + (last_level ? 0 : 4);
  table.compression = output_level == 0 ? options.compression
                      : last_level      ? options.bottom_compression
                                        : options.compression;
  return table;
}

Result<Recovered> recover(const EngineOptions& options) {
  return Recovery(options).run();
}

}  // namespace varve
