#include "lsm/version.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace varve {
namespace {

bool begins_before(const TableRef& a, const TableRef& b) {
  return a->meta.smallest < b->meta.smallest;
}

bool delete_dense(const TableMeta& m) {
  return m.deletes >= 64 && m.deletes * 2 >= m.records;
}

// How one run changes. Numbers and tables in any order.
struct RunChange {
  std::vector<uint64_t> removed;
  std::vector<TableRef> added;
};
using Changes = std::map<std::pair<int, uint64_t>, RunChange>;

void append(Run* run, const TableRef& table) {
  run->bytes_before.push_back(run->bytes);
  run->bytes += table->meta.file_size;
  if (table->meta.range_deletes > 0) run->deleting.push_back(table);
  if (delete_dense(table->meta)) run->delete_dense.push_back(table);
  run->tables.push_back(table);
}

// The run after a change, or null when nothing is left of it. Keys are compared only where tables come in: a
// level has thousands of tables, a job brings a few. `base` may be null.
RunRef change_run(uint64_t id, const Run* base, RunChange change) {
  static const std::vector<TableRef> none;
  const std::vector<TableRef>& old = base != nullptr ? base->tables : none;
  auto run = std::make_shared<Run>();
  run->id = id;
  run->tables.reserve(old.size() + change.added.size());
  run->bytes_before.reserve(old.size() + change.added.size());
  std::sort(change.removed.begin(), change.removed.end());
  std::sort(change.added.begin(), change.added.end(), begins_before);
  size_t removed = 0;
  std::vector<size_t> places;  // of the added tables
  auto copy_until = [&](auto from, auto to) {
    for (; from != to; ++from) {
      uint64_t number = (*from)->meta.number;
      if (std::binary_search(change.removed.begin(), change.removed.end(), number)) {
        ++removed;
      } else {
        append(run.get(), *from);
      }
    }
  };
  auto at = old.begin();
  for (const TableRef& table : change.added) {
    auto place = std::lower_bound(at, old.end(), table, begins_before);
    copy_until(at, place);
    at = place;
    places.push_back(run->tables.size());
    append(run.get(), table);
  }
  copy_until(at, old.end());
  VARVE_CHECK(removed == change.removed.size());
  for (size_t i : places) {
    const TableMeta& meta = run->tables[i]->meta;
    if (i > 0) VARVE_CHECK(ends_before(run->tables[i - 1]->meta, meta.smallest));
    if (i + 1 < run->tables.size()) VARVE_CHECK(ends_before(meta, run->tables[i + 1]->meta.smallest));
  }
  return run->tables.empty() ? nullptr : run;
}

void put_run(Version* version, int level, RunRef run) {
  if (!run) return;
  std::vector<RunRef>& runs = version->levels[level];
  auto place = std::find_if(runs.begin(), runs.end(), [&](const RunRef& r) { return r->id < run->id; });
  runs.insert(place, std::move(run));
}

}  // namespace

const TableRef* Run::find(std::string_view key) const {
  auto it = std::upper_bound(tables.begin(), tables.end(), key,
                             [](std::string_view k, const TableRef& t) { return k < t->meta.smallest; });
  if (it == tables.begin()) return nullptr;
  --it;
  const TableMeta& meta = (*it)->meta;
  int c = key.compare(meta.largest);
  return c < 0 || (c == 0 && !meta.largest_exclusive) ? &*it : nullptr;
}

std::span<const TableRef> Run::overlapping(const KeySpan& range) const {
  auto first = std::partition_point(tables.begin(), tables.end(),
                                    [&](const TableRef& t) { return ends_before(t->meta, range.begin); });
  auto last = std::partition_point(first, tables.end(),
                                   [&](const TableRef& t) { return !begins_after(t->meta, range); });
  return {first, last};
}

uint64_t Run::bytes_of(std::span<const TableRef> part) const {
  if (part.empty()) return 0;
  size_t end = static_cast<size_t>(part.data() + part.size() - tables.data());
  return (end == tables.size() ? bytes : bytes_before[end]) - bytes_before[end - part.size()];
}

uint64_t Version::level_bytes(int level) const {
  uint64_t sum = 0;
  for (const RunRef& run : levels[level]) sum += run->bytes;
  return sum;
}

uint64_t Version::level_tables(int level) const {
  uint64_t sum = 0;
  for (const RunRef& run : levels[level]) sum += run->tables.size();
  return sum;
}

bool Version::is_quarantined(uint64_t table) const {
  return std::binary_search(quarantined.begin(), quarantined.end(), table);
}

int Version::last_level() const {
  for (int level = kLevelCount - 1; level > 0; --level) {
    if (!levels[level].empty()) return level;
  }
  return 0;
}

std::string Version::debug_string() const {
  std::string out;
  for (int level = 0; level < kLevelCount; ++level) {
    if (levels[level].empty()) continue;
    out += fmt::format("L{}:", level);
    const char* separator = "";
    for (const RunRef& run : levels[level]) {
      out += separator;
      separator = " |";
      for (const TableRef& table : run->tables) {
        const TableMeta& m = table->meta;
        out += fmt::format(" {}[{}-{}{}", m.number, m.smallest, m.largest, m.largest_exclusive ? ")" : "]");
        if (is_quarantined(m.number)) out += "!";
      }
    }
    out += "\n";
  }
  return out;
}

VersionRef make_version(const ManifestState& state, const std::map<uint64_t, TableRef>& tables) {
  auto version = std::make_shared<Version>();
  Changes changes;
  for (const auto& [number, added] : state.tables) {
    auto it = tables.find(number);
    VARVE_CHECK(it != tables.end());
    VARVE_CHECK(added.place.level >= 0 && added.place.level < kLevelCount);
    changes[{added.place.level, added.place.run}].added.push_back(it->second);
  }
  for (auto& [place, change] : changes) {
    put_run(version.get(), place.first, change_run(place.second, nullptr, std::move(change)));
  }
  version->quarantined = state.quarantined;
  std::sort(version->quarantined.begin(), version->quarantined.end());
  return version;
}

VersionRef apply_edit(const Version& base, const VersionEdit& edit,
                      const std::map<uint64_t, TableRef>& added) {
  auto version = std::make_shared<Version>();
  version->quarantined = base.quarantined;
  Changes changes;
  for (const auto& r : edit.removed) {
    VARVE_CHECK(r.place.level >= 0 && r.place.level < kLevelCount);
    changes[{r.place.level, r.place.run}].removed.push_back(r.number);
  }
  // A table that moves is found where it was.
  auto find_moved = [&](uint64_t number) -> TableRef {
    for (const auto& r : edit.removed) {
      if (r.number != number) continue;
      for (const RunRef& run : base.levels[r.place.level]) {
        if (run->id != r.place.run) continue;
        for (const TableRef& table : run->tables) {
          if (table->meta.number == number) return table;
        }
      }
    }
    return nullptr;
  };
  for (const auto& a : edit.added) {
    VARVE_CHECK(a.place.level >= 0 && a.place.level < kLevelCount);
    auto it = added.find(a.meta.number);
    TableRef table = it != added.end() ? it->second : find_moved(a.meta.number);
    VARVE_CHECK(table != nullptr);
    changes[{a.place.level, a.place.run}].added.push_back(std::move(table));
  }
  // Not a table that only moved: it keeps its mark.
  std::erase_if(version->quarantined, [&](uint64_t number) {
    auto removes = [number](const VersionEdit::RemovedTable& r) { return r.number == number; };
    auto adds = [number](const VersionEdit::AddedTable& a) { return a.meta.number == number; };
    return std::any_of(edit.removed.begin(), edit.removed.end(), removes) &&
           std::none_of(edit.added.begin(), edit.added.end(), adds);
  });
  // Only runs the edit touches are rebuilt.
  for (int level = 0; level < kLevelCount; ++level) {
    for (const RunRef& run : base.levels[level]) {
      auto change = changes.extract({level, run->id});
      put_run(version.get(), level,
              change.empty() ? run : change_run(run->id, run.get(), std::move(change.mapped())));
    }
  }
  for (auto& [place, change] : changes) {
    put_run(version.get(), place.first, change_run(place.second, nullptr, std::move(change)));
  }
  for (uint64_t number : edit.healed) std::erase(version->quarantined, number);
  for (uint64_t number : edit.quarantined) version->quarantined.push_back(number);
  auto& quarantined = version->quarantined;
  std::sort(quarantined.begin(), quarantined.end());
  quarantined.erase(std::unique(quarantined.begin(), quarantined.end()), quarantined.end());
  return version;
}

}  // namespace varve
