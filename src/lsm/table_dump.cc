#include "lsm/table_dump.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/checksum.h"
#include "lsm/block_reader.h"
#include "lsm/filter.h"
#include "lsm/table.h"
#include "lsm/table_format.h"

namespace varve {

std::string printable(std::string_view bytes, size_t most) {
  std::string out;
  for (char c : bytes) {
    if (out.size() >= most) return out + fmt::format("...({})", bytes.size());
    bool plain = c >= 0x20 && c < 0x7f && c != '\\';
    if (plain)
      out += c;
    else
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return out;
}

namespace {

constexpr BlockHandle kNoBlock;

std::string describe(Tag tag) {
  const char* kind = tag.kind() == Kind::kPut      ? "put"
                     : tag.kind() == Kind::kDelete ? "delete"
                                                   : "range-delete";
  return fmt::format("{} {}{}", tag.sequence(), kind, tag.blind() ? " blind" : "");
}

struct RangeEntry {
  std::string_view end;
  std::vector<Sequence> sequences;
};

// The entry has passed check_entries().
RangeEntry decode_range(Tag tag, std::string_view value) {
  RangeEntry entry;
  uint64_t more = 0, drop = 0;
  (void)(get_length_prefixed(&value, &entry.end) && get_varint(&value, &more));
  entry.sequences.push_back(tag.sequence());
  while (get_varint(&value, &drop)) entry.sequences.push_back(entry.sequences.back() - drop);
  return entry;
}

class Dumper {
 public:
  Dumper(const OpenTable& table, bool records, const std::function<void(std::string_view)>& out)
      : table_(table), records_(records), out_(out) {}

  Status run() {
    meta();
    if (table_.meta.top_index != kNoBlock) VARVE_TRY(sections());
    if (table_.meta.range_block != kNoBlock) VARVE_TRY(ranges());
    return Status();
  }

 private:
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    out_(fmt::format(format, std::forward<Args>(args)...) + "\n");
  }

  void meta() {
    const TableMeta& m = table_.meta;
    line("table {} identity {} format {} size {}", m.number, m.identity.to_string(), kTableVersion,
         m.file_size);
    line("bounds [{}, {}{}", printable(m.smallest), printable(m.largest), m.largest_exclusive ? ")" : "]");
    line("sequences {} to {}", m.smallest_sequence, m.largest_sequence);
    line("records {} deletes {} blind {} collections {} range-deletes {}", m.records, m.deletes, m.blind,
         m.collections, m.range_deletes);
    line("raw keys {} values {} data-blocks {}", m.raw_key_bytes, m.raw_value_bytes, m.data_blocks);
    line("expiring bytes {} from {} to {}", m.expiring_bytes, m.min_expire_ms, m.max_expire_ms);
  }

  Result<BlockRef> open(const char* indent, std::string_view name, BlockHandle handle, BlockKind kind) {
    auto block = read_block(table_, handle, kind);
    if (!block) return block;
    line("{}{} at {} stored {} raw {}", indent, name, handle.offset, handle.size, (*block)->bytes().size());
    return block;
  }

  Status sections() {
    auto top = open("", "top-index", table_.meta.top_index, BlockKind::kTopIndex);
    if (!top) return top.status();
    BlockIterator it((*top)->bytes());
    for (it.seek_to_first(); it.valid(); it.next()) {
      PartitionHandles handles;
      if (!handles.decode(it.value())) return Status::corruption("malformed top index");
      line("section up to {}", printable(it.key()));
      if (handles.filter != kNoBlock) {
        auto filter = open("  ", "filter", handles.filter, BlockKind::kFilter);
        if (!filter) return filter.status();
      }
      auto index = open("  ", "index", handles.index, BlockKind::kIndex);
      if (!index) return index.status();
      VARVE_TRY(blocks((*index)->bytes()));
    }
    return it.status();
  }

  Status blocks(std::string_view index) {
    BlockIterator it(index);
    for (it.seek_to_first(); it.valid(); it.next()) {
      BlockHandle handle;
      std::string_view value = it.value();
      if (!get_handle(&value, &handle)) return Status::corruption("malformed index");
      auto data = open("  ", "data", handle, BlockKind::kData);
      if (!data) return data.status();
      line("    up to {}", printable(it.key()));
      if (records_) VARVE_TRY(records((*data)->bytes()));
    }
    return it.status();
  }

  Status records(std::string_view data) {
    BlockIterator it(data);
    for (it.seek_to_first(); it.valid(); it.next()) {
      bool put = it.tag().kind() == Kind::kPut;
      line("    {} {}{}{}", printable(it.key()), describe(it.tag()), put ? " = " : "", printable(it.value()));
    }
    return it.status();
  }

  Status ranges() {
    auto block = open("", "range-deletes", table_.meta.range_block, BlockKind::kRange);
    if (!block) return block.status();
    BlockIterator it((*block)->bytes());
    for (it.seek_to_first(); it.valid(); it.next()) {
      RangeEntry entry = decode_range(it.tag(), it.value());
      line("  [{}, {}) {}", printable(it.key()), printable(entry.end), fmt::join(entry.sequences, " "));
    }
    return it.status();
  }

  const OpenTable& table_;
  bool records_;
  const std::function<void(std::string_view)>& out_;
};

// Walks everything and counts it again.
class Checker {
 public:
  Checker(const OpenTable& table, std::string name, const std::function<void(const std::string&)>& problem,
          const std::atomic<bool>* cancel)
      : table_(table), name_(std::move(name)), problem_(problem), cancel_(cancel) {}

  Status run() {
    if (table_.meta.top_index != kNoBlock) check_sections();
    if (table_.meta.range_block != kNoBlock) check_ranges();
    if (complete_) {
      check_counts();
      check_gaps();
    }
    return cancelled_ ? Status::aborted("{}: the check was cancelled", name_) : Status();
  }

 private:
  template <class... Args>
  void report(fmt::format_string<Args...> format, Args&&... args) {
    problem_(name_ + ": " + fmt::format(format, std::forward<Args>(args)...));
  }

  // Null, and reported, when it is damaged: then counts and gaps cannot be judged. Null when cancelled, too.
  BlockRef read(BlockHandle handle, BlockKind kind) {
    if (cancelled_ || (cancel_ != nullptr && cancel_->load())) {
      cancelled_ = true;
      complete_ = false;
      return BlockRef();
    }
    places_.push_back(handle);
    auto block = read_block(table_, handle, kind);
    if (block) return block.take();
    complete_ = false;
    problem_(block.status().message());
    return BlockRef();
  }

  void check_sections() {
    BlockRef top = read(table_.meta.top_index, BlockKind::kTopIndex);
    if (!top) return;
    BlockIterator it(top->bytes());
    for (it.seek_to_first(); it.valid(); it.next()) {
      PartitionHandles handles;
      if (!handles.decode(it.value())) return report("malformed top index");
      BlockRef filter;
      if (handles.filter != kNoBlock) filter = read(handles.filter, BlockKind::kFilter);
      BlockRef index = read(handles.index, BlockKind::kIndex);
      if (index) check_partition(handles.index, index->bytes(), filter ? filter->bytes() : "", it.key());
    }
  }

  void check_partition(BlockHandle place, std::string_view index, std::string_view filter,
                       std::string_view bound) {
    BlockIterator it(index);
    std::string last;
    for (it.seek_to_first(); it.valid(); it.next()) {
      BlockHandle handle;
      std::string_view value = it.value();
      if (!get_handle(&value, &handle)) return report("block at {}: malformed index", place.offset);
      last = it.key();
      BlockRef data = read(handle, BlockKind::kData);
      ++found_.data_blocks;
      if (data) check_data(handle, data->bytes(), filter, last);
      separator_ = last;
    }
    if (last != bound) report("block at {}: ends at another key than the top index says", place.offset);
  }

  void check_data(BlockHandle place, std::string_view data, std::string_view filter,
                  std::string_view separator) {
    BlockIterator it(data);
    it.seek_to_first();
    if (!it.valid()) return report("block at {}: empty", place.offset);
    BlockView view;
    if (!view.parse(data)) return report("block at {}: malformed", place.offset);
    for (; it.valid(); it.next()) {
      if (found_.records > 0 &&
          compare_records(last_key_, last_sequence_, it.key(), it.tag().sequence()) >= 0) {
        report("block at {}: records out of order at {}", place.offset, printable(it.key()));
      }
      if (found_.data_blocks > 1 && it.key() < std::string_view(separator_)) {
        report("block at {}: key {} lies below the separator before it", place.offset, printable(it.key()));
      }
      if (it.key() > separator) {
        report("block at {}: key {} lies above its separator", place.offset, printable(it.key()));
      }
      if (!filter.empty() && !filter_may_contain(filter, hash_key(it.key()))) {
        report("block at {}: key {} is not in its filter", place.offset, printable(it.key()));
      }
      BlockHit hit;
      Sequence at = it.tag().sequence();
      if (find_in_block(view, it.key(), hash_key(it.key()), at, &hit) != BlockSearch::kFound || !hit.found ||
          hit.tag.sequence() != at) {
        report("block at {}: key {} is not found by its hash", place.offset, printable(it.key()));
      }
      count(it);
    }
    if (it.state() == IterState::kError) report("block at {}: malformed", place.offset);
  }

  void count(const RecordIterator& it) {
    if (!bounds(table_.meta).contains(it.key()))
      report("key {} lies outside of the bounds", printable(it.key()));
    ++found_.records;
    if (it.tag().kind() == Kind::kDelete) ++found_.deletes;
    if (it.tag().blind()) ++found_.blind;
    found_.raw_key_bytes += it.key().size();
    found_.raw_value_bytes += it.value().size();
    see(it.tag().sequence());
    last_key_ = it.key();
    last_sequence_ = it.tag().sequence();
  }

  void see(Sequence sequence) {
    found_.smallest_sequence = any_seen_ ? std::min(found_.smallest_sequence, sequence) : sequence;
    found_.largest_sequence = std::max(found_.largest_sequence, sequence);
    any_seen_ = true;
  }

  void check_ranges() {
    BlockRef block = read(table_.meta.range_block, BlockKind::kRange);
    if (!block) return;
    BlockIterator it(block->bytes());
    for (it.seek_to_first(); it.valid(); it.next()) {
      RangeEntry entry = decode_range(it.tag(), it.value());
      ++found_.range_deletes;
      for (Sequence sequence : entry.sequences) see(sequence);
      const TableMeta& m = table_.meta;
      if (it.key() < std::string_view(m.smallest) || entry.end > std::string_view(m.largest)) {
        report("range delete [{}, {}) lies outside of the bounds", printable(it.key()), printable(entry.end));
      }
    }
  }

  void check_counts() {
    const TableMeta& m = table_.meta;
    auto compare = [&](const char* what, uint64_t said, uint64_t found) {
      if (said != found) report("properties say {} {}, found {}", said, what, found);
    };
    compare("records", m.records, found_.records);
    compare("deletes", m.deletes, found_.deletes);
    compare("blind records", m.blind, found_.blind);
    compare("range deletes", m.range_deletes, found_.range_deletes);
    compare("bytes of keys", m.raw_key_bytes, found_.raw_key_bytes);
    compare("bytes of values", m.raw_value_bytes, found_.raw_value_bytes);
    compare("data blocks", m.data_blocks, found_.data_blocks);
    compare("as smallest sequence", m.smallest_sequence, found_.smallest_sequence);
    compare("as largest sequence", m.largest_sequence, found_.largest_sequence);
  }

  // Every byte before the footer belongs to exactly one block.
  void check_gaps() {
    uint64_t blocks_end = table_.meta.file_size - kTableFooterSize;
    Buffer bytes;
    TableFooter footer;
    Status status = table_.file->read_at(blocks_end, kTableFooterSize, &bytes);
    if (status.ok()) status = footer.decode(bytes.view(), table_.meta.file_size);
    if (!status.ok()) return report("{}", status.message());
    places_.push_back(footer.properties);
    std::sort(places_.begin(), places_.end(), [](auto a, auto b) { return a.offset < b.offset; });
    uint64_t end = 0;
    for (const BlockHandle& place : places_) {
      if (place.offset != end)
        report("blocks do not follow each other at {} (next at {})", end, place.offset);
      end = place.offset + stored_block_size(place);
    }
    if (end != blocks_end) report("blocks end at {}, the footer begins at {}", end, blocks_end);
  }

  const OpenTable& table_;
  std::string name_;
  const std::function<void(const std::string&)>& problem_;
  const std::atomic<bool>* cancel_;
  bool cancelled_ = false;
  bool complete_ = true;
  bool any_seen_ = false;
  TableMeta found_;
  std::vector<BlockHandle> places_;
  std::string separator_;  // of the data block before
  std::string last_key_;
  Sequence last_sequence_ = 0;
};

}  // namespace

Status dump_table(FileSystem& fs, const std::string& path, bool records,
                  const std::function<void(std::string_view)>& out) {
  auto table = open_table_file(fs, path);
  if (!table) return table.status();
  return Dumper(**table, records, out).run();
}

Status check_table(FileSystem& fs, const std::string& path, const TableMeta* expected,
                   const std::function<void(const std::string&)>& problem, const std::atomic<bool>* cancel) {
  auto table = open_table_file(fs, path);
  if (!table) {
    if (!table.status().is_corruption()) return table.status();
    problem(table.status().message());
    return Status();
  }
  std::string name = path.substr(path.rfind('/') + 1);
  if (expected != nullptr && (*table)->meta != *expected)
    problem(name + ": properties are not those in the manifest");
  return Checker(**table, name, problem, cancel).run();
}

}  // namespace varve
