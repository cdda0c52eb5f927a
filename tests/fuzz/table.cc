// Sorted tables: whatever a file says, opening, looking up, walking, dumping and checking it must not read
// outside of it, must end, and must hold no more memory than it justifies. A table in which check_table finds
// nothing wrong must give the same records in both directions, and to lookups. Mutations make the checksums
// of the footer and of every block right again.
#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/checksum.h"
#include "fuzz/target.h"
#include "lsm/block_compression.h"
#include "lsm/block_reader.h"
#include "lsm/table.h"
#include "lsm/table_builder.h"
#include "lsm/table_dump.h"
#include "lsm/table_format.h"
#include "prove/image_fs.h"

namespace varve::fuzz {
namespace {

constexpr char kDir[] = "/db";
constexpr char kPath[] = "/db/00000001.sst";
constexpr size_t kWalkMax = 100'000;  // records; far more than an input holds

struct Place {
  BlockHandle handle;
  BlockKind kind;
};

// The blocks that a table's footer and indexes name, as far as they can be followed, right or wrong.
std::vector<Place> blocks_of(const std::string& bytes) {
  std::vector<Place> places;
  if (bytes.size() < kTableFooterSize) return places;
  std::string_view in = std::string_view(bytes).substr(bytes.size() - kTableFooterSize);
  constexpr BlockKind kKinds[] = {BlockKind::kTopIndex, BlockKind::kRange, BlockKind::kProperties};
  for (BlockKind kind : kKinds) {
    BlockHandle handle;
    (void)(get_fixed64(&in, &handle.offset) && get_fixed64(&in, &handle.size));
    if (handle_fits(handle, bytes.size())) places.push_back({handle, kind});
  }
  for (size_t i = 0; i < places.size() && places.size() < 1000; ++i) {
    Place place = places[i];
    if (place.kind != BlockKind::kTopIndex && place.kind != BlockKind::kIndex) continue;
    Buffer raw;
    std::string_view stored = std::string_view(bytes).substr(place.handle.offset, place.handle.size);
    if (!decompress_block(stored, static_cast<uint8_t>(bytes[place.handle.offset + place.handle.size]), &raw))
      continue;
    BlockIterator it(raw.view());
    size_t steps = 0;
    for (it.seek_to_first(); it.valid() && steps < 1000; it.next(), ++steps) {
      std::string_view value = it.value();
      PartitionHandles partition;
      BlockHandle data;
      if (place.kind == BlockKind::kTopIndex && partition.decode(value)) {
        if (handle_fits(partition.index, bytes.size()))
          places.push_back({partition.index, BlockKind::kIndex});
        if (handle_fits(partition.filter, bytes.size()))
          places.push_back({partition.filter, BlockKind::kFilter});
      } else if (place.kind == BlockKind::kIndex && get_handle(&value, &data) &&
                 handle_fits(data, bytes.size())) {
        places.push_back({data, BlockKind::kData});
      }
    }
  }
  return places;
}

void seal(std::string* bytes) {
  if (bytes->size() < kTableFooterSize) return;
  const uint64_t at = bytes->size() - kTableFooterSize;
  std::string_view in = std::string_view(*bytes).substr(at);
  TableFooter footer;
  for (BlockHandle* handle : {&footer.top_index, &footer.range_block, &footer.properties})
    (void)(get_fixed64(&in, &handle->offset) && get_fixed64(&in, &handle->size));
  (void)(get_fixed64(&in, &footer.number) && get_fixed64(&in, &footer.identity.high) &&
         get_fixed64(&in, &footer.identity.low));
  bytes->replace(at, kTableFooterSize, footer.encode(at));
  for (const Place& place : blocks_of(*bytes)) {
    std::string_view covered = std::string_view(*bytes).substr(place.handle.offset, place.handle.size + 1);
    uint64_t seed = place_seed(footer.identity, place.handle.offset, static_cast<uint8_t>(place.kind));
    encode_fixed64(bytes->data() + place.handle.offset + place.handle.size + 1, checksum(covered, seed));
  }
}

struct Walked {
  std::vector<std::string> keys;
  std::vector<uint64_t> tags;
  bool whole = false;
};

Walked walk(FileSystem& fs, const TableRef& table, bool backwards) {
  Walked out;
  auto source = new_direct_source(fs, kDir, 16 * 1024);
  auto it = new_table_iterator(source.get(), table);
  for (backwards ? it->seek_to_last() : it->seek_to_first(); it->valid() && out.keys.size() < kWalkMax;
       backwards ? it->prev() : it->next()) {
    out.keys.emplace_back(it->key());
    out.tags.push_back(it->tag().packed);
  }
  VARVE_CHECK(out.keys.size() < kWalkMax);
  out.whole = it->state() == IterState::kEnd;
  return out;
}

void look_up(FileSystem& fs, const TableRef& table, const Walked& records, bool sound) {
  auto source = new_direct_source(fs, kDir, 16 * 1024);
  size_t step = 1 + records.keys.size() / 20;
  for (size_t i = 0; i < records.keys.size(); i += step) {
    const std::string& key = records.keys[i];
    TableHit hit;
    IterState state = table_get(*source, table, key, hash_key(key), kMaxSequence, &hit);
    if (sound) VARVE_CHECK(state == IterState::kValid && hit.found);
    Sequence covering = 0;
    (void)table_covering(*source, table, key, kMaxSequence, &covering);
    TombstoneStretch stretch;
    (void)table_tombstone_stretch(*source, table, key, i % 2 == 0, kMaxSequence, &stretch);
    auto it = new_table_iterator(source.get(), table);
    it->seek(key);
    if (sound) VARVE_CHECK(it->valid() && it->key() == key);
    it->seek_before(key);
    if (sound && it->valid()) VARVE_CHECK(it->key() < std::string_view(key));
  }
}

void run(std::string_view input) {
  prove::ImageFs fs(kDir, {{"00000001.sst", prove::bytes_of(std::string(input))}}, true);
  size_t written = 0;
  Status status = dump_table(fs, kPath, true, [&](std::string_view line) { written += line.size(); });
  VARVE_CHECK(status.ok() || !status.message().empty());
  uint64_t problems = 0;
  status = check_table(fs, kPath, nullptr, [&](const std::string& text) {
    VARVE_CHECK(text.find("00000001.sst") != std::string::npos);
    ++problems;
  });
  const bool sound = status.ok() && problems == 0;
  auto table = open_table_file(fs, kPath);
  if (!table) {
    VARVE_CHECK(!sound);
    return;
  }
  Walked forwards = walk(fs, *table, false), backwards = walk(fs, *table, true);
  if (sound) {
    VARVE_CHECK(forwards.whole && backwards.whole);
    std::reverse(backwards.keys.begin(), backwards.keys.end());
    std::reverse(backwards.tags.begin(), backwards.tags.end());
    VARVE_CHECK(forwards.keys == backwards.keys && forwards.tags == backwards.tags);
    VARVE_CHECK(forwards.keys.size() == (*table)->meta.records);
  }
  look_up(fs, *table, forwards, sound);
  auto source = new_direct_source(fs, kDir, 16 * 1024);
  RangeTombstones ranges;
  (void)table_range_tombstones(*source, *table, &ranges);
}

std::string make(Random* random) {
  prove::ImageFs fs(kDir, {}, true);
  TableOptions options;
  options.block_size = 64 + random->below(400);
  options.partition_size = 128 + random->below(400);
  options.compression = static_cast<Compression>(random->below(3));
  options.filter_bits_per_key = random->one_in(3) ? 0 : 10;
  options.hash_index = random->one_in(2);
  options.restart_interval = static_cast<int>(1 + random->below(16));
  auto file = fs.create(kPath);
  VARVE_CHECK(file.ok());
  TableBuilder builder(options, file.take(), 1, {7, 8});
  Sequence sequence = 1000;
  for (uint64_t i = 0, n = random->below(60); i < n; ++i) {
    std::string key = fmt::format("key{:04}", i * 3);
    for (uint64_t versions = random->one_in(8) ? 3 : 1; versions > 0; --versions) {
      Kind kind = random->one_in(5) ? Kind::kDelete : Kind::kPut;
      std::string value = kind == Kind::kPut ? std::string(random->below(40), 'v') : std::string();
      builder.add(key, Tag::make(--sequence, kind, random->one_in(6)), value);
    }
  }
  if (random->one_in(2) || builder.empty()) {
    builder.add_range_tombstone("key0003", "key0009", {500, 400});
    builder.add_range_tombstone("key0020", "key0031x", {700});
  }
  VARVE_CHECK(builder.finish().ok());
  return *fs.files().at("00000001.sst");
}

void mutate(std::string* input, Random* random) {
  std::vector<Place> places = blocks_of(*input);
  if (places.empty() || random->one_in(20)) {
    *input = make(random);
    return;
  }
  const Place& place = places[random->below(places.size())];
  auto in_block = [&] { return place.handle.offset + random->below(place.handle.size + 1); };
  switch (random->below(6)) {
    case 0:
      (*input)[in_block()] = static_cast<char>(random->next());
      break;
    case 1:
      (*input)[in_block()] = static_cast<char>(edge_number(random, 8));
      break;
    case 2: {  // at its end: restarts, buckets, counts, the kind of compression
      uint64_t back = 1 + random->below(std::min<uint64_t>(place.handle.size + 1, 12));
      (*input)[place.handle.offset + place.handle.size + 1 - back] =
          static_cast<char>(edge_number(random, 8));
      break;
    }
    case 3:  // a number in the footer
      encode_fixed64(input->data() + input->size() - kTableFooterSize + 8 * random->below(9),
                     edge_number(random, random->one_in(3) ? 64 : 12));
      break;
    case 4: {  // a block's content in another's place
      const Place& other = places[random->below(places.size())];
      uint64_t n = std::min(place.handle.size, other.handle.size) + 1;
      input->replace(place.handle.offset, n, input->substr(other.handle.offset, n));
      break;
    }
    default:
      mutate_bytes(input, random);
      break;
  }
  if (!random->one_in(10)) seal(input);
}

// Zstandard's densest block is four bytes for 128 KiB; LZ4 knows 255 to one.
uint64_t allocation_max(size_t input_size) {
  return (1 << 20) + input_size / 4 * (128 << 10) + (256 << 10);
}

const Registration registration({"table", "sorted tables: opened, walked, looked up, dumped, checked",
                                 32 * 1024, run, make, mutate, allocation_max});

}  // namespace
}  // namespace varve::fuzz
