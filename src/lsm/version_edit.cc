#include "lsm/version_edit.h"

#include <algorithm>

#include "base/coding.h"

namespace varve {
namespace {

// Tags of an edit's fields. On disk.
enum FieldTag : uint64_t {
  kAddedTable = 1,    // level:varint run:varint meta
  kRemovedTable = 2,  // level:varint run:varint number:varint
  kQuarantined = 3,   // number:varint
  kLogAdded = 4,      // number:varint high:u64 low:u64 size:varint
  kLogRemoved = 5,    // number:varint
  kCounterDelta = 6,  // id:varint delta:zigzag varint
  kGarbageAdded = 7,  // inclusive:u8 begin and end, length-prefixed
  kGarbageRemoved = 8,
  kFlushedSequence = 9,  // varint, and so the next
  kDurableSequence = 10,
  kNextFileNumber = 11,
  kHealed = 12,  // number:varint
  kLastTag = kHealed,
};

// Far more than any policy uses; bounds what a level can make its readers allocate.
constexpr uint64_t kMaxLevel = 63;

void put_tag(std::string* out, FieldTag tag) {
  put_varint(out, tag);
}

void put_place(std::string* out, const TablePlace& place) {
  put_varint(out, static_cast<uint64_t>(place.level));
  put_varint(out, place.run);
}

bool get_place(std::string_view* in, TablePlace* place) {
  uint64_t level = 0;
  if (!get_varint(in, &level) || level > kMaxLevel || !get_varint(in, &place->run)) return false;
  place->level = static_cast<int>(level);
  return true;
}

void put_segment(std::string* out, const LogSegment& segment) {
  put_varint(out, segment.number);
  put_fixed64(out, segment.identity.high);
  put_fixed64(out, segment.identity.low);
  put_varint(out, segment.size);
}

bool get_segment(std::string_view* in, LogSegment* segment) {
  return get_varint(in, &segment->number) && get_fixed64(in, &segment->identity.high) &&
         get_fixed64(in, &segment->identity.low) && get_varint(in, &segment->size) &&
         segment->size >= 2 * kLogBlockSize && segment->size % kLogBlockSize == 0;
}

void put_range(std::string* out, const KeyRange& range) {
  out->push_back(range.end_inclusive ? 1 : 0);
  put_length_prefixed(out, range.begin);
  put_length_prefixed(out, range.end);
}

bool get_range(std::string_view* in, KeyRange* range) {
  uint8_t inclusive = 0;
  std::string_view begin, end;
  if (!get_u8(in, &inclusive) || inclusive > 1 || !get_length_prefixed(in, &begin) ||
      !get_length_prefixed(in, &end)) {
    return false;
  }
  *range = {std::string(begin), std::string(end), inclusive == 1};
  return true;
}

bool get_optional(std::string_view* in, std::optional<uint64_t>* out) {
  uint64_t value = 0;
  if (out->has_value() || !get_varint(in, &value)) return false;
  *out = value;
  return true;
}

// Appends an element and lets `read` fill it.
template <class T, class Read>
bool append(std::vector<T>* list, Read read) {
  list->emplace_back();
  return read(&list->back());
}

bool decode_field(uint64_t tag, std::string_view* in, VersionEdit* edit) {
  switch (tag) {
    case kAddedTable:
      return append(&edit->added, [&](auto* t) { return get_place(in, &t->place) && t->meta.decode(in); });
    case kRemovedTable:
      return append(&edit->removed,
                    [&](auto* t) { return get_place(in, &t->place) && get_varint(in, &t->number); });
    case kQuarantined:
      return append(&edit->quarantined, [&](auto* number) { return get_varint(in, number); });
    case kHealed:
      return append(&edit->healed, [&](auto* number) { return get_varint(in, number); });
    case kLogAdded:
      return append(&edit->log_added, [&](auto* segment) { return get_segment(in, segment); });
    case kLogRemoved:
      return append(&edit->log_removed, [&](auto* number) { return get_varint(in, number); });
    case kCounterDelta: {
      uint64_t id = 0, delta = 0;
      if (!get_varint(in, &id) || id > UINT32_MAX || !get_varint(in, &delta)) return false;
      return edit->counter_deltas.emplace(static_cast<uint32_t>(id), unzigzag(delta)).second;
    }
    case kGarbageAdded:
      return append(&edit->garbage_added, [&](auto* range) { return get_range(in, range); });
    case kGarbageRemoved:
      return append(&edit->garbage_removed, [&](auto* range) { return get_range(in, range); });
    case kFlushedSequence:
      return get_optional(in, &edit->flushed_sequence);
    case kDurableSequence:
      return get_optional(in, &edit->durable_sequence);
    default:
      return get_optional(in, &edit->next_file_number);
  }
}

// Keys are bytes: what is not printable is shown as \xNN.
std::string printable(std::string_view bytes) {
  std::string out;
  for (char c : bytes) {
    if (c > ' ' && c <= '~' && c != '\\')
      out += c;
    else
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string describe(const TablePlace& place, const TableMeta& meta) {
  return fmt::format("L{}.{} {:08}.sst [{}..{}{} sequences {}..{}, {} records, {} bytes", place.level,
                     place.run, meta.number, printable(meta.smallest), printable(meta.largest),
                     meta.largest_exclusive ? ")" : "]", meta.smallest_sequence, meta.largest_sequence,
                     meta.records, meta.file_size);
}

std::string describe(const LogSegment& segment) {
  return fmt::format("{} ({} bytes, identity {})", log_file_name(segment.number), segment.size,
                     segment.identity.to_string());
}

std::string describe(const KeyRange& range) {
  return fmt::format("[{}..{}{}", printable(range.begin), printable(range.end),
                     range.end_inclusive ? "]" : ")");
}

Status cannot_be(const std::string& what) {
  return Status::corruption("edit cannot be applied: {}", what);
}

Status apply_tables(const VersionEdit& edit, ManifestState* state) {
  for (const auto& removed : edit.removed) {
    auto it = state->tables.find(removed.number);
    if (it == state->tables.end() || it->second.place != removed.place) {
      return cannot_be(fmt::format("removes table {}, which is not in level {} run {}", removed.number,
                                   removed.place.level, removed.place.run));
    }
    state->tables.erase(it);
  }
  for (const auto& added : edit.added) {
    if (added.meta.number >= state->next_file_number) {
      return cannot_be(fmt::format("adds table {}, but file numbers are given out only below {}",
                                   added.meta.number, state->next_file_number));
    }
    if (!state->tables.emplace(added.meta.number, added).second) {
      return cannot_be(fmt::format("adds table {}, which is there already", added.meta.number));
    }
  }
  // Not before here: a table that only moved keeps its mark.
  std::erase_if(state->quarantined, [&](uint64_t number) { return state->tables.count(number) == 0; });
  for (uint64_t number : edit.healed) {
    if (std::erase(state->quarantined, number) == 0) {
      return cannot_be(fmt::format("heals table {}, which is not in quarantine", number));
    }
  }
  for (uint64_t number : edit.quarantined) {
    if (state->tables.count(number) == 0) {
      return cannot_be(fmt::format("quarantines table {}, which is not there", number));
    }
    auto& list = state->quarantined;
    if (std::find(list.begin(), list.end(), number) == list.end()) list.push_back(number);
  }
  return {};
}

Status apply_log(const VersionEdit& edit, ManifestState* state) {
  auto find = [&](uint64_t number) {
    return std::find_if(state->log.begin(), state->log.end(),
                        [&](const auto& s) { return s.number == number; });
  };
  for (uint64_t number : edit.log_removed) {
    auto it = find(number);
    if (it == state->log.end())
      return cannot_be(fmt::format("removes log segment {}, which is not there", number));
    state->log.erase(it);
  }
  for (const LogSegment& segment : edit.log_added) {
    if (find(segment.number) != state->log.end()) {
      return cannot_be(fmt::format("adds log segment {}, which is there already", segment.number));
    }
    if (segment.number >= state->next_file_number) {
      return cannot_be(fmt::format("adds log segment {}, but file numbers are given out only below {}",
                                   segment.number, state->next_file_number));
    }
    state->log.push_back(segment);
  }
  return {};
}

Status apply_garbage_and_counters(const VersionEdit& edit, ManifestState* state) {
  for (const KeyRange& range : edit.garbage_removed) {
    auto it = state->garbage.find(range);
    if (it == state->garbage.end())
      return cannot_be("removes garbage " + describe(range) + ", which is not there");
    state->garbage.erase(it);
  }
  state->garbage.insert(edit.garbage_added.begin(), edit.garbage_added.end());
  for (const auto& [id, delta] : edit.counter_deltas) {
    int64_t& counter = state->counters[id];
    if (__builtin_add_overflow(counter, delta, &counter)) {
      return cannot_be(fmt::format("counter {} overflows", id));
    }
    if (counter == 0) state->counters.erase(id);
  }
  return {};
}

// Moves one of the numbers that only rise.
Status raise(const std::optional<uint64_t>& to, const char* what, uint64_t* value) {
  if (!to) return {};
  if (*to < *value) return cannot_be(fmt::format("{} falls from {} to {}", what, *value, *to));
  *value = *to;
  return {};
}

}  // namespace

void VersionEdit::encode(std::string* out) const {
  for (const auto& table : added) {
    put_tag(out, kAddedTable);
    put_place(out, table.place);
    table.meta.encode(out);
  }
  for (const auto& table : removed) {
    put_tag(out, kRemovedTable);
    put_place(out, table.place);
    put_varint(out, table.number);
  }
  auto put_numbers = [&](FieldTag tag, const std::vector<uint64_t>& numbers) {
    for (uint64_t number : numbers) {
      put_tag(out, tag);
      put_varint(out, number);
    }
  };
  put_numbers(kQuarantined, quarantined);
  put_numbers(kHealed, healed);
  for (const LogSegment& segment : log_added) {
    put_tag(out, kLogAdded);
    put_segment(out, segment);
  }
  put_numbers(kLogRemoved, log_removed);
  for (const auto& [id, delta] : counter_deltas) {
    put_tag(out, kCounterDelta);
    put_varint(out, id);
    put_varint(out, zigzag(delta));
  }
  auto put_ranges = [&](FieldTag tag, const std::vector<KeyRange>& ranges) {
    for (const KeyRange& range : ranges) {
      put_tag(out, tag);
      put_range(out, range);
    }
  };
  put_ranges(kGarbageAdded, garbage_added);
  put_ranges(kGarbageRemoved, garbage_removed);
  auto put_optional = [&](FieldTag tag, const std::optional<uint64_t>& value) {
    if (!value) return;
    put_tag(out, tag);
    put_varint(out, *value);
  };
  put_optional(kFlushedSequence, flushed_sequence);
  put_optional(kDurableSequence, durable_sequence);
  put_optional(kNextFileNumber, next_file_number);
}

Status VersionEdit::decode(std::string_view bytes) {
  *this = VersionEdit();
  std::string_view in = bytes;
  while (!in.empty()) {
    size_t at = bytes.size() - in.size();
    uint64_t tag = 0;
    if (!get_varint(&in, &tag)) return Status::corruption("edit: byte {}: bad tag", at);
    if (tag < kAddedTable || tag > kLastTag) {
      return Status::unsupported("edit: byte {}: unknown tag {} (this version knows up to {})", at, tag,
                                 static_cast<uint64_t>(kLastTag));
    }
    if (!decode_field(tag, &in, this))
      return Status::corruption("edit: byte {}: bad field with tag {}", at, tag);
  }
  return {};
}

std::string VersionEdit::debug_string() const {
  std::string out;
  for (const auto& t : removed)
    out += fmt::format("- L{}.{} {:08}.sst\n", t.place.level, t.place.run, t.number);
  for (const auto& t : added) out += "+ " + describe(t.place, t.meta) + "\n";
  for (uint64_t number : quarantined) out += fmt::format("quarantined {:08}.sst\n", number);
  for (uint64_t number : healed) out += fmt::format("healed {:08}.sst\n", number);
  for (uint64_t number : log_removed) out += "- " + log_file_name(number) + "\n";
  for (const LogSegment& segment : log_added) out += "+ " + describe(segment) + "\n";
  for (const auto& [id, delta] : counter_deltas) out += fmt::format("counter {} {:+}\n", id, delta);
  for (const KeyRange& range : garbage_removed) out += "- garbage " + describe(range) + "\n";
  for (const KeyRange& range : garbage_added) out += "+ garbage " + describe(range) + "\n";
  if (flushed_sequence) out += fmt::format("flushed {}\n", *flushed_sequence);
  if (durable_sequence) out += fmt::format("durable {}\n", *durable_sequence);
  if (next_file_number) out += fmt::format("next file {}\n", *next_file_number);
  return out;
}

// Tries it on as much of the state as the edit looks at.
Status ManifestState::would_apply(const VersionEdit& edit) const {
  ManifestState part;
  part.next_file_number = next_file_number;
  part.flushed_sequence = flushed_sequence;
  part.durable_sequence = durable_sequence;
  part.log = log;
  part.quarantined = quarantined;
  part.counters = counters;
  auto take = [&](uint64_t number) {
    if (auto it = tables.find(number); it != tables.end()) part.tables.insert(*it);
  };
  for (const auto& removed : edit.removed) take(removed.number);
  for (const auto& added : edit.added) take(added.meta.number);
  for (uint64_t number : edit.healed) take(number);
  for (uint64_t number : edit.quarantined) take(number);
  for (const KeyRange& range : edit.garbage_removed) {
    if (garbage.contains(range)) part.garbage.insert(range);
  }
  return part.apply(edit);
}

Status ManifestState::apply(const VersionEdit& edit) {
  Status status = raise(edit.next_file_number, "the next file number", &next_file_number);
  if (status) status = raise(edit.flushed_sequence, "the flushed sequence", &flushed_sequence);
  if (status) status = raise(edit.durable_sequence, "the durable sequence", &durable_sequence);
  if (status) status = apply_tables(edit, this);
  if (status) status = apply_log(edit, this);
  if (status) status = apply_garbage_and_counters(edit, this);
  return status;
}

VersionEdit ManifestState::snapshot() const {
  VersionEdit edit;
  for (const auto& [number, table] : tables) edit.added.push_back(table);
  edit.quarantined = quarantined;
  edit.log_added = log;
  edit.counter_deltas = counters;
  edit.garbage_added.assign(garbage.begin(), garbage.end());
  edit.flushed_sequence = flushed_sequence;
  edit.durable_sequence = durable_sequence;
  edit.next_file_number = next_file_number;
  return edit;
}

std::string ManifestState::debug_string() const {
  return snapshot().debug_string();
}

}  // namespace varve
