#include "tool/salvage.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <queue>

#include "base/clock.h"
#include "base/random.h"
#include "lsm/engine.h"
#include "lsm/manifest_record.h"
#include "os/worker_pool.h"
#include "tool/keyspace_records.h"
#include "tool/salvage_log.h"
#include "tool/salvage_table.h"

namespace varve::tool {
namespace {

constexpr size_t kBatchBytes = 512 * 1024;

// The new directory, written through the engine.
class Writer {
 public:
  Writer(FileSystem& fs, const SalvageOptions& options, const std::string& application)
      : random_(random_seed_from_os()) {
    engine_options_.fs = &fs;
    engine_options_.executor = &executor_;
    engine_options_.clock = &system_clock();
    engine_options_.random_seed = random_.next();
    engine_options_.dir = options.out;
    engine_options_.application = application;
    if (application == kEntryFormatName) engine_options_.inspector = &inspector_;
    engine_options_.create_if_missing = false;
    engine_options_.sync = SyncMode::kNo;  // everything is flushed at the end
    engine_options_.log_segment_size = options.log_segment_size;
    engine_options_.log_max_bytes = 8 * options.log_segment_size;
    engine_options_.memtable_size = options.memtable_size;
  }

  // An empty directory whose sequences go on behind `sequence`.
  Status open(Sequence sequence) {
    ManifestState state;
    state.flushed_sequence = state.durable_sequence = sequence;
    state.next_file_number = 2;
    auto manifest = ManifestWriter::create(*engine_options_.fs, engine_options_.dir, 1, random_.identity(),
                                           random_.identity(), engine_options_.application, 1, state);
    if (!manifest) return manifest.status();
    auto engine = Engine::open_blocking(engine_options_);
    if (!engine) return engine.status();
    engine_ = engine.take();
    return Status();
  }

  WriteBatch* batch() { return &batch_; }

  Status commit_if_full() { return batch_.byte_size() < kBatchBytes ? Status() : commit(); }

  Status finish() {
    VARVE_TRY(commit());
    VARVE_TRY(run_to_end([this](auto done) { engine_->flush(std::move(done)); }));
    VARVE_TRY(run_to_end([this](auto done) { engine_->close(std::move(done)); }));
    engine_.reset();
    return Status();
  }

 private:
  Status commit() {
    while (true) {
      Admission admission = engine_->admit(batch_.byte_size());
      if (admission.verdict == Admission::Verdict::kRefuse) return admission.reason;
      if (admission.verdict == Admission::Verdict::kGo) break;
      turn();
      executor_.wait_completions();
    }
    if (!batch_.valid()) return Status::corruption("a record is larger than the engine takes");
    engine_->commit(batch_);
    batch_.clear();
    turn();
    return Status();
  }

  void turn() {
    engine_->end_of_turn();
    engine_->tick();
    executor_.run_completions();
  }

  template <class Start>
  Status run_to_end(Start start) {
    auto result = std::make_shared<std::optional<Status>>();
    start([result](const Status& status) { *result = status; });
    while (!*result) {
      turn();
      executor_.wait_completions();
    }
    return **result;
  }

  Random random_;
  KeyspaceInspector inspector_;
  ThreadExecutor executor_{WorkerPoolOptions()};
  EngineOptions engine_options_;
  std::unique_ptr<Engine> engine_;
  WriteBatch batch_;
};

// A source of records in order: a surveyed table, or the log's memtable.
struct Source {
  std::unique_ptr<SurveyedRecords> table;
  std::unique_ptr<RecordIterator> log;
  bool started = false;

  bool next() {
    if (table) return table->next();
    if (started) {
      log->next();
    } else {
      log->seek_to_first();
    }
    started = true;
    return log->valid();
  }
  std::string_view key() const { return table ? table->key() : log->key(); }
  std::string_view value() const { return table ? table->value() : log->value(); }
  Tag tag() const { return table ? table->tag() : log->tag(); }
  Status status() const { return table ? table->status() : log->status(); }
};

class Salvage {
 public:
  Salvage(FileSystem& fs, const SalvageOptions& options, const Print& print)
      : fs_(fs), options_(options), losses_(print) {}

  Result<SalvageReport> run() {
    auto lock = hold_directory(fs_, options_.dir);
    if (!lock) return lock.status();
    auto files = list_directory(fs_, options_.dir);
    if (!files) return files.status();
    files_ = files.take();
    if (!files_.current && files_.tables.empty() && files_.logs.empty() && files_.manifests.empty()) {
      return Status::not_found("{}: not a varve data directory", options_.dir);
    }
    VARVE_TRY(prepare_out());
    VARVE_TRY(find_manifest());
    VARVE_TRY(survey_tables());
    VARVE_TRY(survey_log());
    VARVE_TRY(copy());
    report_.losses = losses_.count();
    return report_;
  }
  // From here on what lies in OUT was made by this run.
  bool began_to_write() const { return began_to_write_; }

 private:
  Status prepare_out() {
    if (fs_.exists(options_.out)) {
      auto names = fs_.list(options_.out);
      if (!names) return names.status();
      auto source = fs_.list(options_.dir);
      if (source && !names->empty() && *names == *source) {
        return Status::invalid_argument("{}: is {} itself, or a copy of it; OUT must be a new directory",
                                        options_.out, options_.dir);
      }
      if (!names->empty()) {
        return Status::invalid_argument("{}: is not empty; OUT must be a new directory", options_.out);
      }
    }
    auto before = fs_.list(options_.dir);
    VARVE_TRY(fs_.create_dir(options_.out));
    auto after = fs_.list(options_.dir);
    if (before && after && *before == *after) return Status();
    VARVE_TRY(fs_.remove_dir(options_.out));
    return Status::invalid_argument("{}: lies inside of the directory to be salvaged", options_.out);
  }

  // The manifest that CURRENT names; where that fails, the newest one that can be read.
  Status find_manifest() {
    std::vector<std::string> names(files_.manifests.rbegin(), files_.manifests.rend());
    CurrentFile current;
    auto text = fs_.read_whole(join_path(options_.dir, "CURRENT"));
    Status status = text ? decode_current(*text, &current) : text.status();
    if (status.code() == StatusCode::kUnsupported) return status;
    if (!status) losses_.note(fmt::format("{} (the newest manifest is taken)", status.message()));
    if (status) {
      std::erase(names, current.manifest);
      names.insert(names.begin(), current.manifest);
    }
    for (const std::string& name : names) {
      auto view = view_manifest(fs_, options_.dir, name);
      if (view) {
        manifest_ = view.take();
        if (!manifest_.damage.ok()) losses_.note(manifest_.damage.message());
        complete_ = manifest_.damage.ok() && name == names.front();
        application_ = manifest_.info.application;
        return Status();
      }
      if (view.status().code() == StatusCode::kUnsupported) return view.status();
      losses_.note(view.status().message());
    }
    application_ = options_.application.empty() ? kEntryFormatName : options_.application;
    losses_.note(
        fmt::format("no manifest can be read: every table is taken, the keys are taken for those of \"{}\"",
                    application_));
    return Status();
  }

  // Without a complete manifest, tables that it does not name may hold what it forgot.
  Status survey_tables() {
    VARVE_TRY(check_witness());
    if (!complete_) {
      losses_.note(
          "the manifest is not complete: tables and logs it does not name are taken too; what was deleted "
          "shortly before may come back");
    }
    std::map<std::string, const TableMeta*> wanted;
    for (const auto& [number, added] : manifest_.state.tables) {
      std::string name = table_file_name(number);
      if (!complete_ && !fs_.exists(join_path(options_.dir, name))) continue;  // perhaps merged since
      wanted[name] = &added.meta;
    }
    if (!complete_) {
      for (const std::string& name : files_.tables) wanted.try_emplace(name, nullptr);
    }
    for (const auto& [name, named] : wanted) {
      if (named != nullptr) sequence_ = std::max(sequence_, named->largest_sequence);
      auto table = survey_table(fs_, options_.dir, name, named, &ranges_, &losses_);
      if (!table) return table.status();
      if (table->table == nullptr) continue;
      ++report_.tables;
      sequence_ = std::max(sequence_, table->table->meta.largest_sequence);
      sources_.push_back({std::make_unique<SurveyedRecords>(table.take()), nullptr});
    }
    return Status();
  }

  std::vector<SegmentFile> segments() const {
    std::vector<SegmentFile> out;
    for (const LogSegment& segment : manifest_.state.log)
      out.push_back({log_file_name(segment.number), &segment});
    if (complete_) return out;
    for (const std::string& name : files_.logs) {
      auto same = [&](const SegmentFile& f) { return f.name == name; };
      if (std::none_of(out.begin(), out.end(), same)) out.push_back({name, nullptr});
    }
    // A segment reused since then has another identity than the one the manifest remembers.
    for (SegmentFile& file : out) file.named = nullptr;
    std::erase_if(out, [&](const SegmentFile& f) { return !fs_.exists(join_path(options_.dir, f.name)); });
    return out;
  }

  // Does the log know of edits that the manifest lacks?
  Status check_witness() {
    if (!complete_) return Status();
    Losses quiet([](std::string_view) {});
    const ManifestState& state = manifest_.state;
    auto log =
        salvage_log(fs_, options_.dir, segments(), state.flushed_sequence, state.durable_sequence, &quiet);
    if (!log) return log.status();
    if (log->manifest_edit > manifest_.info.last_edit) {
      losses_.note(fmt::format("the manifest ends at edit {}, the log knows of edit {}",
                               manifest_.info.last_edit, log->manifest_edit));
      complete_ = false;
    }
    return Status();
  }

  Status survey_log() {
    const ManifestState& state = manifest_.state;
    // All that came before a table's newest record stood in tables when that was written.
    Sequence flushed = complete_ ? state.flushed_sequence : std::max(state.flushed_sequence, sequence_);
    auto log = salvage_log(fs_, options_.dir, segments(), flushed, state.durable_sequence, &losses_);
    if (!log) return log.status();
    log_ = log.take();
    report_.batches = log_.batches;
    sequence_ = std::max({sequence_, flushed, state.durable_sequence, log_.last_sequence});
    for (const auto& [begin, fragment] : log_.records->range_tombstones().fragments()) {
      for (Sequence sequence : fragment.sequences) ranges_.add(begin, fragment.end, sequence);
    }
    log_.records->freeze();
    sources_.push_back({nullptr, log_.records->new_iterator()});
    return Status();
  }

  Status copy() {
    Writer writer(fs_, options_, application_);
    began_to_write_ = true;
    VARVE_TRY(writer.open(sequence_));
    bool keyspace = application_ == kEntryFormatName;
    KeyspaceMender mender(!complete_ || !losses_.empty(), &losses_);
    auto take = [&](std::string_view key, std::string_view value) {
      if (keyspace) return mender.take(key, value, writer.batch());
      ++report_.records;
      writer.batch()->put(key, value);
    };
    VARVE_TRY(merge(take, [&] { return writer.commit_if_full(); }));
    if (keyspace) {
      mender.finish(writer.batch());
      report_.records = mender.keys();
      if (mender.dropped_elements() > 0) {
        losses_.note(fmt::format("{} elements without a key were left out", mender.dropped_elements()));
      }
    } else {
      std::map<uint32_t, int64_t> counters = manifest_.state.counters;
      for (const auto& [id, delta] : log_.records->counters()) counters[id] += delta;
      for (const auto& [id, count] : counters) writer.batch()->add_count(id, count);
    }
    return writer.finish();
  }

  // Calls `take` with every live record in key order.
  template <class Take, class After>
  Status merge(Take take, After after) {
    auto later = [](Source* a, Source* b) {
      return compare_records(a->key(), a->tag().sequence(), b->key(), b->tag().sequence()) > 0;
    };
    std::priority_queue<Source*, std::vector<Source*>, decltype(later)> queue(later);
    auto advance = [&queue](Source* source) {
      if (source->next()) queue.push(source);
      return source->status();
    };
    for (Source& source : sources_) VARVE_TRY(advance(&source));
    std::string last;
    bool any = false;
    while (!queue.empty()) {
      Source* source = queue.top();
      queue.pop();
      bool newest = !any || source->key() != last;
      if (newest) {
        last = source->key();
        any = true;
        bool dead = source->tag().kind() != Kind::kPut ||
                    ranges_.covering(last, kMaxSequence) > source->tag().sequence();
        if (!dead) take(source->key(), source->value());
        VARVE_TRY(after());
      }
      VARVE_TRY(advance(source));
    }
    return Status();
  }

  FileSystem& fs_;
  const SalvageOptions& options_;
  Losses losses_;
  DirectoryFiles files_;
  ManifestView manifest_;
  bool complete_ = false;  // the manifest names all that counts
  std::string application_;
  std::vector<Source> sources_;
  RangeTombstones ranges_;
  SalvagedLog log_;
  Sequence sequence_ = 0;  // the highest of the source
  SalvageReport report_;
  bool began_to_write_ = false;
};

}  // namespace

Result<SalvageReport> salvage(FileSystem& fs, const SalvageOptions& options, const Print& print) {
  Salvage salvage(fs, options, print);
  auto report = salvage.run();
  if (report || !salvage.began_to_write()) return report;
  return Status(report.status().code(), fmt::format("{}; {} is not finished: remove what is in it",
                                                    report.status().message(), options.out));
}

}  // namespace varve::tool
