// engine_quarantine.cc: what becomes of tables that compaction could not read. They are left alone, so that
// work goes on elsewhere; but a cable can be plugged in again. So each is read from end to end now and then,
// a minute after it failed, two minutes after that, up to once an hour; and at once when someone asks for a
// compaction. One that proves whole is compacted again, one that is really damaged stays where it is.
//
// The checks go to the compaction lane: they read as much as a small job, at its low priority, one at a time.
//
// A start opens no tables but one. So that a file that is gone or broken is known soon after it rather than
// when somebody asks for its keys, a walk opens each table's file once, a few with every tick.
#include <algorithm>

#include "base/log.h"
#include "lsm/engine_impl.h"
#include "lsm/table_dump.h"

namespace varve {
namespace {

constexpr int64_t kFirstCheckUs = 60'000'000;
constexpr int64_t kCheckEveryMaxUs = 60 * kFirstCheckUs;
constexpr size_t kWalkTablesPerTick = 8;

// Every block of the table, and whether they agree with each other and with the manifest. Opens the file
// anew: the handle at hand may be what is broken.
Status read_whole_table(FileSystem& fs, const std::string& path, const TableMeta& meta,
                        const std::atomic<bool>& cancel) {
  Status found;
  auto note = [&found](const std::string& problem) {
    if (found.ok()) found = Status::corruption("{}", problem);
  };
  Status status = check_table(fs, path, &meta, note, &cancel);
  return status.ok() ? found : status;
}

}  // namespace

void Engine::Impl::maybe_recheck() {
  if (closing_ || recheck_running_) return;
  if (version_->quarantined.empty()) return rechecks_.clear();
  const int64_t now = options_.clock->monotonic_us();
  std::erase_if(rechecks_, [this](const auto& entry) { return !version_->is_quarantined(entry.first); });
  for (uint64_t number : version_->quarantined) {
    rechecks_.try_emplace(number, Recheck{now + kFirstCheckUs, kFirstCheckUs});
  }
  auto due = std::min_element(rechecks_.begin(), rechecks_.end(),
                              [](const auto& a, const auto& b) { return a.second.at_us < b.second.at_us; });
  if (due->second.at_us > now) return;
  const uint64_t number = due->first;
  recheck_running_ = true;
  ++counts_.quarantine_checks;
  submit(
      Lane::kCompact,
      [fs = options_.fs, path = join_path(options_.dir, table_file_name(number)),
       meta = tables_.at(number)->meta,
       cancel = cancel_] { return read_whole_table(*fs, path, meta, *cancel); },
      [this, number](const Status& status) { finish_recheck(number, status); });
}

// On the compaction lane, too: between jobs, and never beside one that has as many files open as it may.
void Engine::Impl::maybe_walk() {
  if (closing_ || walk_running_ || walk_at_ >= walk_end_) return;
  std::vector<TableRef> tables;
  for (auto it = tables_.lower_bound(walk_at_); it != tables_.end() && it->first < walk_end_; ++it) {
    if (tables.size() == kWalkTablesPerTick) break;
    tables.push_back(it->second);
  }
  walk_at_ = tables.size() < kWalkTablesPerTick ? walk_end_ : tables.back()->meta.number + 1;
  if (tables.empty()) return;
  walk_running_ = true;
  using Found = std::vector<std::pair<TableRef, Status>>;
  submit(
      Lane::kCompact,
      [fs = options_.fs, dir = options_.dir, tables = std::move(tables), cancel = cancel_] {
        Found found;
        for (const TableRef& table : tables) {
          if (cancel->load()) break;
          found.push_back({table, open_live_table(*fs, dir, table->meta).status()});
        }
        return found;
      },
      [this](const Found& found) {
        walk_running_ = false;
        counts_.startup_tables_checked += found.size();
        for (const auto& [table, status] : found) {
          if (!status.ok()) open_failed(*table, status);
        }
      });
}

void Engine::Impl::finish_recheck(uint64_t table, const Status& status) {
  if (!status.ok() || !version_->is_quarantined(table) || busy_.contains(table)) {
    recheck_running_ = false;
    if (!status.ok()) log_verbose("still in quarantine: {}", status.to_string());
    Recheck& next = rechecks_[table];
    next.wait_us = std::clamp(2 * next.wait_us, kFirstCheckUs, kCheckEveryMaxUs);
    next.at_us = options_.clock->monotonic_us() + next.wait_us;
    return maybe_compact();
  }
  VersionEdit edit;
  edit.healed.push_back(table);
  submit_edit(std::move(edit), {}, [this, table] {
    recheck_running_ = false;
    log_notice("{}: can be read again; it is no longer in quarantine", table_file_name(table));
    ++counts_.quarantine_healed;
    rechecks_.erase(table);
    unreadable_.erase(table);
    maybe_compact();
  });
}

// All of them, one after the other; maybe_compact() runs behind the last.
void Engine::Impl::recheck_now() {
  for (uint64_t number : version_->quarantined) {
    Recheck& recheck = rechecks_.try_emplace(number, Recheck{0, kFirstCheckUs}).first->second;
    recheck.at_us = 0;
  }
  maybe_recheck();
}

// Is a check running, or is one due?
bool Engine::Impl::recheck_pending() const {
  int64_t now = options_.clock->monotonic_us();
  return recheck_running_ || std::any_of(rechecks_.begin(), rechecks_.end(),
                                         [now](const auto& entry) { return entry.second.at_us <= now; });
}

}  // namespace varve
