#include "lsm/version.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace varve {
namespace {

// Sorts, sums and checks one run.
RunRef finish_run(uint64_t id, std::vector<TableRef> tables) {
  auto run = std::make_shared<Run>();
  run->id = id;
  std::sort(tables.begin(), tables.end(),
            [](const TableRef& a, const TableRef& b) { return a->meta.smallest < b->meta.smallest; });
  for (size_t i = 0; i < tables.size(); ++i) {
    run->bytes += tables[i]->meta.file_size;
    if (i > 0) VARVE_CHECK(!bounds(tables[i - 1]->meta).overlaps(bounds(tables[i]->meta)));
  }
  run->tables = std::move(tables);
  return run;
}

using Placed = std::map<std::pair<int, uint64_t>, std::vector<TableRef>>;

void put_runs(Version* version, Placed placed) {
  for (auto& [place, tables] : placed) {
    VARVE_CHECK(place.first >= 0 && place.first < kLevelCount);
    if (!tables.empty()) version->levels[place.first].push_back(finish_run(place.second, std::move(tables)));
  }
  for (std::vector<RunRef>& runs : version->levels) {
    std::sort(runs.begin(), runs.end(), [](const RunRef& a, const RunRef& b) { return a->id > b->id; });
  }
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

std::vector<TableRef> Run::overlapping(const KeyRange& range) const {
  std::vector<TableRef> out;
  for (const TableRef& table : tables) {
    if (bounds(table->meta).overlaps(range)) out.push_back(table);
  }
  return out;
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
  Placed placed;
  for (const auto& [number, added] : state.tables) {
    auto it = tables.find(number);
    VARVE_CHECK(it != tables.end());
    placed[{added.place.level, added.place.run}].push_back(it->second);
  }
  put_runs(version.get(), std::move(placed));
  version->quarantined = state.quarantined;
  std::sort(version->quarantined.begin(), version->quarantined.end());
  return version;
}

VersionRef apply_edit(const Version& base, const VersionEdit& edit,
                      const std::map<uint64_t, TableRef>& added) {
  auto version = std::make_shared<Version>();
  version->quarantined = base.quarantined;
  // Only runs the edit touches are rebuilt.
  Placed changed;
  std::map<uint64_t, TableRef> moved;
  for (const auto& r : edit.removed) changed[{r.place.level, r.place.run}];
  for (const auto& a : edit.added) changed[{a.place.level, a.place.run}];
  for (int level = 0; level < kLevelCount; ++level) {
    for (const RunRef& run : base.levels[level]) {
      auto it = changed.find({level, run->id});
      if (it == changed.end()) {
        version->levels[level].push_back(run);
      } else {
        it->second = run->tables;
      }
    }
  }
  for (const auto& r : edit.removed) {
    std::vector<TableRef>& tables = changed[{r.place.level, r.place.run}];
    auto it = std::find_if(tables.begin(), tables.end(),
                           [&](const TableRef& t) { return t->meta.number == r.number; });
    VARVE_CHECK(it != tables.end());
    moved[r.number] = *it;
    tables.erase(it);
    std::erase(version->quarantined, r.number);
  }
  for (const auto& a : edit.added) {
    auto it = added.find(a.meta.number);
    if (it == added.end()) {
      it = moved.find(a.meta.number);
      VARVE_CHECK(it != moved.end());
    }
    changed[{a.place.level, a.place.run}].push_back(it->second);
  }
  put_runs(version.get(), std::move(changed));
  for (uint64_t number : edit.quarantined) version->quarantined.push_back(number);
  std::sort(version->quarantined.begin(), version->quarantined.end());
  return version;
}

}  // namespace varve
