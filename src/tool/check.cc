#include "tool/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "lsm/table.h"
#include "lsm/table_dump.h"
#include "lsm/version.h"
#include "lsm/wal_segment.h"
#include "tool/keyspace_records.h"

namespace varve::tool {
namespace {

class Checker {
 public:
  Checker(FileSystem& fs, const std::string& dir, const Print& print) : fs_(fs), dir_(dir), print_(print) {}

  Result<uint64_t> run() {
    if (!fs_.exists(dir_)) return Status::not_found("{}: no such directory", dir_);
    auto lock = hold_directory(fs_, dir_);
    if (!lock) return lock.status();
    auto files = list_directory(fs_, dir_);
    if (!files) return files.status();
    files_ = files.take();
    Status status = read_manifest(fs_, dir_, false, &state_, &info_);
    if (!status && !is_damage(status)) return status;
    if (status) {
      VARVE_TRY(check_all());
    } else {
      damage(status.message());
      VARVE_TRY(check_files_alone());
    }
    if (damages_ == 0) {
      print_(fmt::format(
          "intact: {} tables, {} log segments, {} batches in the log, manifest edit {}, application \"{}\"",
          state_.tables.size(), state_.log.size(), batches_, info_.last_edit, info_.application));
    } else {
      print_(fmt::format("{} damages found; varve-tool salvage copies what is intact", damages_));
    }
    return damages_;
  }

 private:
  void damage(std::string_view text) {
    ++damages_;
    print_("damage: " + std::string(text));
  }
  void note(std::string_view text) { print_("note: " + std::string(text)); }

  // A missing CURRENT beside our files is damage; another program's CURRENT is none of our business.
  bool is_damage(const Status& status) const {
    if (status.is_corruption() || status.is_io_error()) return true;
    return status.code() == StatusCode::kInvalidArgument && !files_.current;
  }

  Status check_all() {
    if (info_.torn_tail) {
      note(fmt::format("{}: {}: an edit that was not finished; the next start drops it",
                       manifest_file_name(info_.number), info_.size));
    }
    for (const auto& [number, added] : state_.tables) VARVE_TRY(check_named_table(number, added));
    check_places();
    bool tables_whole = damages_ == 0;
    VARVE_TRY(check_log());
    if (tables_whole) VARVE_TRY(check_order());
    name_orphans();
    return Status();
  }

  Status check_named_table(uint64_t number, const VersionEdit::AddedTable& added) {
    const std::string name = table_file_name(number);
    Status status = check_one_table(name, &added.meta);
    if (status.is_not_found()) {
      damage(fmt::format("{}: 0: {} names this table, but there is no such file", name,
                         manifest_file_name(info_.number)));
      return Status();
    }
    if (added.meta.largest_sequence > state_.flushed_sequence) {
      damage(fmt::format("{}: holds sequence {}, the manifest says flushed up to {}", name,
                         added.meta.largest_sequence, state_.flushed_sequence));
    }
    if (number >= state_.next_file_number) damage(fmt::format("{}: its number was not given out yet", name));
    bool quarantined = std::count(state_.quarantined.begin(), state_.quarantined.end(), number) > 0;
    if (quarantined) note(fmt::format("{}: is in quarantine: the server found it damaged", name));
    return status;
  }

  // Damage is told; what remains is a newer format or a missing file.
  Status check_one_table(const std::string& name, const TableMeta* expected) {
    Status status =
        check_table(fs_, join_path(dir_, name), expected, [this](const std::string& text) { damage(text); });
    if (!status.is_io_error()) return status;
    damage(status.message());
    return Status();
  }

  // Tables of a run must not overlap; below level 0 there is one run.
  void check_places() {
    std::map<std::pair<int, uint64_t>, std::vector<const TableMeta*>> runs;
    for (const auto& [number, added] : state_.tables) {
      runs[{added.place.level, added.place.run}].push_back(&added.meta);
    }
    int last_level = 0;
    for (auto& [place, tables] : runs) {
      if (place.first < 0 || place.first >= kLevelCount)
        damage(fmt::format("the manifest names level {}", place.first));
      if (place.first > 0 && place.first == last_level)
        damage(fmt::format("level {} has two runs", place.first));
      last_level = place.first;
      std::sort(tables.begin(), tables.end(),
                [](const TableMeta* a, const TableMeta* b) { return a->smallest < b->smallest; });
      for (size_t i = 1; i < tables.size(); ++i) {
        if (!bounds(*tables[i - 1]).overlaps(bounds(*tables[i]))) continue;
        damage(fmt::format("{} and {} overlap in level {}", table_file_name(tables[i - 1]->number),
                           table_file_name(tables[i]->number), place.first));
      }
    }
  }

  Status check_log() {
    auto replay = replay_log(fs_, dir_, state_.log, state_.flushed_sequence, state_.durable_sequence, false,
                             [](Sequence, std::string_view) { return Status(); });
    if (!replay && replay.status().code() == StatusCode::kUnsupported) return replay.status();
    if (!replay) {
      damage(replay.status().message());
      return Status();
    }
    batches_ = replay->batches;
    if (replay->torn_tail)
      note(fmt::format("{}: an unacknowledged tail; the next start drops it", replay->torn_place));
    if (replay->manifest_edit > info_.last_edit) {
      damage(fmt::format("{}: {}: edits {} to {} are missing, which the log knows were durable",
                         manifest_file_name(info_.number), info_.size, info_.last_edit + 1,
                         replay->manifest_edit));
    }
    return Status();
  }

  struct RunReader {
    std::string name;
    std::vector<TableRef> tables;
    std::unique_ptr<RecordIterator> it;
    Sequence oldest = 0, newest = 0;  // of the key in hand; 0: it has none
  };

  // For one key, what stands above is newer than what stands below. Walks all runs together.
  Status check_order() {
    auto source = new_direct_source(fs_, dir_);
    RangeTombstones ranges;
    std::vector<RunReader> runs;
    VARVE_TRY(open_runs(source.get(), &runs, &ranges));
    std::map<uint32_t, int64_t> live;
    std::string key;
    while (smallest_key(runs, &key)) {
      const RunReader* above = nullptr;
      for (RunReader& run : runs) {
        if (!run.it->valid() || run.it->key() != key) continue;
        if (above == nullptr && run.it->tag().kind() == Kind::kPut &&
            ranges.covering(key, kMaxSequence) < run.it->tag().sequence()) {
          if (auto counter = counter_of(key)) ++live[*counter];
        }
        run.newest = run.it->tag().sequence();
        for (; run.it->valid() && run.it->key() == key; run.it->next()) run.oldest = run.it->tag().sequence();
        if (above != nullptr && above->oldest <= run.newest) {
          damage(fmt::format("key {}: {} holds sequence {}, {} below it {}", printable(key), above->name,
                             above->oldest, run.name, run.newest));
        }
        above = &run;
      }
    }
    for (const RunReader& run : runs) VARVE_TRY(run.it->status());
    if (info_.application == kEntryFormatName) compare_counters(live);
    return Status();
  }

  // Newest runs first.
  Status open_runs(BlockSource* source, std::vector<RunReader>* runs, RangeTombstones* ranges) {
    std::map<std::pair<int, uint64_t>, std::vector<TableRef>> placed;
    for (const auto& [number, added] : state_.tables) {
      auto table = open_table(fs_, dir_, added.meta);
      if (!table) return table.status();
      if (table_range_tombstones(*source, *table, ranges) != IterState::kValid) return source->status();
      // Closed again: there may be more than may be open.
      placed[{added.place.level, UINT64_MAX - added.place.run}].push_back(
          std::make_shared<const Table>(Table{added.meta}));
    }
    for (auto& [place, tables] : placed) {
      std::sort(tables.begin(), tables.end(),
                [](const TableRef& a, const TableRef& b) { return a->meta.smallest < b->meta.smallest; });
      runs->push_back(
          {fmt::format("level {} run {}", place.first, UINT64_MAX - place.second), tables, nullptr});
    }
    for (RunReader& run : *runs) {
      run.it = new_run_iterator(source, &run.tables);
      run.it->seek_to_first();
    }
    return Status();
  }

  static bool smallest_key(const std::vector<RunReader>& runs, std::string* key) {
    const RunReader* smallest = nullptr;
    for (const RunReader& run : runs) {
      if (run.it->valid() && (smallest == nullptr || run.it->key() < smallest->it->key())) smallest = &run;
    }
    if (smallest != nullptr) *key = smallest->it->key();
    return smallest != nullptr;
  }

  // Counters may be ahead by blind overwrites that no compaction has met, never behind.
  void compare_counters(const std::map<uint32_t, int64_t>& live) {
    for (const auto& [id, keys] : live) {
      auto counter = state_.counters.find(id);
      int64_t said = counter == state_.counters.end() ? 0 : counter->second;
      if (said >= keys) continue;
      note(fmt::format("database {}: the {} counter says {}, the tables hold {}", id & ~kHintCounter,
                       (id & kHintCounter) != 0 ? "expiry" : "key", said, keys));
    }
  }

  void name_orphans() {
    auto orphan = [this](const std::string& name, const char* what) {
      note(fmt::format("{}: {}", name, what));
    };
    for (const std::string& name : files_.tables) {
      if (!state_.tables.contains(number_in(name)))
        orphan(name, "no manifest names it; the next start removes it");
    }
    for (const std::string& name : files_.logs) {
      auto same = [&](const LogSegment& segment) { return log_file_name(segment.number) == name; };
      bool named = std::any_of(state_.log.begin(), state_.log.end(), same);
      if (!named) orphan(name, "a spare log segment; the next start removes it");
    }
    for (const std::string& name : files_.manifests) {
      if (number_in(name) != info_.number)
        orphan(name, "CURRENT does not name it; the next start removes it");
    }
    for (const std::string& name : files_.temporary) orphan(name, "left by an unfinished write");
    for (const std::string& name : files_.foreign) orphan(name, "not one of ours");
  }

  // Without a manifest nothing tells which files count: each is checked for itself.
  Status check_files_alone() {
    note("without the manifest, every file is checked for itself");
    for (const std::string& name : files_.tables) {
      Status status = check_one_table(name, nullptr);
      if (status.code() == StatusCode::kUnsupported) return status;
    }
    for (const std::string& name : files_.logs) {
      auto segment = SegmentReader::open_any(fs_, join_path(dir_, name));
      if (!segment && segment.status().code() == StatusCode::kUnsupported) return segment.status();
      if (!segment) damage(segment.status().message());
    }
    return Status();
  }

  FileSystem& fs_;
  const std::string& dir_;
  const Print& print_;
  DirectoryFiles files_;
  ManifestState state_;
  ManifestInfo info_;
  uint64_t damages_ = 0;
  uint64_t batches_ = 0;
};

}  // namespace

Result<uint64_t> check_directory(FileSystem& fs, const std::string& dir, const Print& print) {
  return Checker(fs, dir, print).run();
}

}  // namespace varve::tool
