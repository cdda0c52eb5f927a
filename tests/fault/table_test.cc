// Goal: damage is reported, never served. Method: a table is damaged in every way a disk knows; then every
// question gets the right answer or kCorruption naming the file, never a wrong answer.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/checksum.h"
#include "base/random.h"
#include "lsm/block_compression.h"
#include "lsm/block_reader.h"
#include "lsm/table.h"
#include "lsm/table_builder.h"
#include "lsm/table_dump.h"
#include "lsm/table_format.h"
#include "support/bytes_fs.h"
#include "support/script.h"

namespace varve {
namespace {

const std::string kPath = "/00000001.sst";

struct Sample {
  std::vector<std::pair<std::string, std::string>> records;
  TableMeta meta;
  std::string bytes;
};

std::string text_of(int i, uint64_t salt) {
  return fmt::format("value {} of {} {:x}", i, salt, hash_key(std::to_string(i)));
}

// Several sections of several blocks, and range deletes.
Sample make_sample(int records, Compression compression, uint64_t number, Identity identity) {
  TableOptions options;
  options.block_size = 128;
  options.partition_size = 100;
  options.restart_interval = 3;
  options.compression = compression;
  test::BytesFs fs;
  TableBuilder builder(options, fs.create(kPath).take(), number, identity);
  Sample sample;
  for (int i = 0; i < records; ++i) {
    sample.records.emplace_back(fmt::format("key{:05}", i * 2), text_of(i, identity.low));
    builder.add(sample.records.back().first, Tag::make(5, Kind::kPut), sample.records.back().second);
  }
  builder.add_range_tombstone("key00003", "key00007", {9, 4});
  auto meta = builder.finish();
  REQUIRE(meta.ok());
  sample.meta = *meta;
  sample.bytes = fs.bytes(kPath);
  return sample;
}

bool is_honest(const Status& status) {
  return status.is_corruption() && status.message().find("00000001.sst") != std::string::npos;
}

// Asks everything of the table whose bytes are `damaged`. How many questions were refused; -1 if a wrong
// answer came.
int refusals(test::BytesFs& fs, const Sample& sample, const std::string& damaged, int every) {
  fs.bytes(kPath) = damaged;
  auto table = open_table(fs, "/", sample.meta);
  if (!table) return is_honest(table.status()) ? 1 : -1;
  auto source = new_direct_source(fs, "/");
  int refused = 0;
  for (size_t i = 0; i < sample.records.size(); i += static_cast<size_t>(every)) {
    const auto& [key, value] = sample.records[i];
    TableHit hit;
    IterState state = table_get(*source, *table, key, hash_key(key), kMaxSequence, &hit);
    if (state == IterState::kError)
      refused += is_honest(source->status()) ? 1 : -1000000;
    else if (state != IterState::kValid || !hit.found || hit.value != value)
      return -1;
    std::string absent = key + "x";
    state = table_get(*source, *table, absent, hash_key(absent), kMaxSequence, &hit);
    if (state == IterState::kValid && hit.found) return -1;
  }
  Sequence covering = 0;
  IterState state = table_covering(*source, *table, "key00004", 8, &covering);
  if (state == IterState::kError)
    refused += is_honest(source->status()) ? 1 : -1000000;
  else if (covering != 4)
    return -1;
  for (bool forward : {true, false}) {
    auto it = new_table_iterator(source.get(), *table);
    size_t count = 0;
    for (forward ? it->seek_to_first() : it->seek_to_last(); it->valid(); forward ? it->next() : it->prev()) {
      const auto& [key, value] = sample.records[forward ? count : sample.records.size() - 1 - count];
      if (it->key() != key || it->value() != value) return -1;
      ++count;
    }
    if (it->state() == IterState::kError)
      refused += is_honest(it->status()) ? 1 : -1000000;
    else if (it->state() != IterState::kEnd || count != sample.records.size())
      return -1;
  }
  return refused < 0 ? -1 : refused;
}

std::vector<BlockHandle> all_blocks(const Sample& sample) {
  test::BytesFs fs;
  fs.bytes(kPath) = sample.bytes;
  std::vector<BlockHandle> blocks;
  (void)dump_table(fs, kPath, false, [&](std::string_view line) {
    size_t at = line.find(" at "), stored = line.find(" stored ");
    if (at == std::string_view::npos || stored == std::string_view::npos) return;
    blocks.push_back(
        {std::stoull(std::string(line.substr(at + 4))), std::stoull(std::string(line.substr(stored + 8)))});
  });
  return blocks;
}

int problems(test::BytesFs& fs, const Sample& sample) {
  int count = 0;
  CHECK(check_table(fs, kPath, &sample.meta, [&](const std::string&) { ++count; }).ok());
  return count;
}

}  // namespace

TEST_CASE("every bit of a small table") {
  Sample sample = make_sample(12, Compression::kNone, 1, {7, 8});
  test::BytesFs fs;
  REQUIRE(refusals(fs, sample, sample.bytes, 1) == 0);
  REQUIRE(problems(fs, sample) == 0);
  for (size_t i = 0; i < sample.bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = sample.bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ 1 << bit);
      INFO("byte " << i << " bit " << bit);
      REQUIRE(refusals(fs, sample, damaged, 1) > 0);
      if (bit == 0) REQUIRE(problems(fs, sample) > 0);
    }
  }
}

TEST_CASE("bytes here and there in larger, compressed tables") {
  uint64_t seed = test::test_seed(99);
  INFO("run again with VARVE_SEED=" << seed);
  Random random(seed);
  for (Compression compression : {Compression::kLz4, Compression::kZstd}) {
    Sample sample = make_sample(400, compression, 1, {7, 8});
    test::BytesFs fs;
    REQUIRE(refusals(fs, sample, sample.bytes, 1) == 0);
    for (int round = 0; round < 100; ++round) {
      std::string damaged = sample.bytes;
      size_t at = random.below(damaged.size());
      auto length = static_cast<size_t>(random.one_in(2) ? 1 : 1 + random.below(600));
      for (size_t i = at; i < std::min(at + length, damaged.size()); ++i) {
        damaged[i] = random.one_in(2) ? '\0' : static_cast<char>(random.next());
      }
      if (damaged == sample.bytes) continue;
      INFO("damaged at " << at << ", " << length << " bytes");
      REQUIRE(refusals(fs, sample, damaged, 5) > 0);
    }
  }
}

TEST_CASE("cut at every length, or with more behind it") {
  Sample sample = make_sample(40, Compression::kLz4, 1, {7, 8});
  test::BytesFs fs;
  for (size_t n = 0; n < sample.bytes.size(); ++n) {
    INFO("cut to " << n);
    REQUIRE(refusals(fs, sample, sample.bytes.substr(0, n), 1) > 0);
    fs.bytes(kPath).resize(n);
    REQUIRE(problems(fs, sample) > 0);
  }
  REQUIRE(refusals(fs, sample, sample.bytes + std::string(1, '\0'), 1) > 0);
  REQUIRE(refusals(fs, sample, sample.bytes + sample.bytes, 1) > 0);
}

// A misdirected write or read: the bytes are whole, the place is wrong.
TEST_CASE("blocks in other places") {
  Sample sample = make_sample(60, Compression::kNone, 1, {7, 8});
  std::vector<BlockHandle> blocks = all_blocks(sample);
  REQUIRE(blocks.size() > 20);
  test::BytesFs fs;
  int swapped = 0;
  for (size_t a = 0; a < blocks.size(); ++a) {
    for (size_t b = a + 1; b < blocks.size(); ++b) {
      if (blocks[a].size != blocks[b].size) continue;
      size_t n = stored_block_size(blocks[a]);
      std::string damaged = sample.bytes;
      damaged.replace(blocks[a].offset, n, sample.bytes, blocks[b].offset, n);
      damaged.replace(blocks[b].offset, n, sample.bytes, blocks[a].offset, n);
      REQUIRE(damaged != sample.bytes);
      INFO("blocks at " << blocks[a].offset << " and " << blocks[b].offset);
      REQUIRE(refusals(fs, sample, damaged, 1) > 0);
      ++swapped;
    }
  }
  CHECK(swapped > 20);
}

TEST_CASE("blocks and bytes of another table") {
  Sample sample = make_sample(60, Compression::kNone, 1, {7, 8});
  Sample other = make_sample(60, Compression::kNone, 1, {7, 9});  // same number, same keys, another life
  REQUIRE(sample.bytes.size() == other.bytes.size());
  test::BytesFs fs;
  for (const BlockHandle& block : all_blocks(sample)) {
    size_t n = stored_block_size(block);
    std::string damaged = sample.bytes;
    damaged.replace(block.offset, n, other.bytes, block.offset, n);
    INFO("block at " << block.offset);
    REQUIRE(refusals(fs, sample, damaged, 1) > 0);
  }
  REQUIRE(refusals(fs, sample, other.bytes, 1) > 0);
}

// A block with a good checksum and nonsense inside: only a builder with a bug writes it, but it must not be
// believed.
TEST_CASE("nonsense under a good checksum") {
  Sample sample = make_sample(12, Compression::kNone, 1, {7, 8});
  uint64_t seed = test::test_seed(4242);
  INFO("run again with VARVE_SEED=" << seed);
  Random random(seed);
  test::BytesFs fs;
  fs.bytes(kPath) = sample.bytes;
  auto table = open_table(fs, "/", sample.meta);
  REQUIRE(table.ok());
  for (int round = 0; round < 20000; ++round) {
    std::string stored(random.below(80), '\0');
    for (char& c : stored) c = static_cast<char>(random.one_in(3) ? random.next() : random.below(6));
    auto kind = static_cast<BlockKind>(1 + random.below(7));
    BlockHandle handle{random.below(1000), stored.size()};
    stored.push_back(static_cast<char>(random.below(4)));
    put_fixed64(&stored, checksum(stored, place_seed(sample.meta.identity, handle.offset,
                                                     static_cast<uint8_t>(kind))));
    auto block = decode_block(**table, handle, kind, stored);
    if (!block) REQUIRE(is_honest(block.status()));
  }
}

// Each block is well-formed, but the top index promises more than the last partition of the index holds.
TEST_CASE("an index that lies under good checksums is damage, not a failed check") {
  Sample sample = make_sample(40, Compression::kNone, 1, {7, 8});
  BlockHandle top = sample.meta.top_index;
  std::string_view raw = std::string_view(sample.bytes).substr(top.offset, top.size);
  BlockIterator last(raw);
  last.seek_to_last();
  REQUIRE(last.valid());
  const std::string between = std::string(last.key()) + "x";
  // A key's bytes stand in front of its value.
  sample.bytes[static_cast<size_t>(last.value().data() - sample.bytes.data()) - 1] = '~';
  std::string_view covered = std::string_view(sample.bytes).substr(top.offset, top.size + 1);
  encode_fixed64(sample.bytes.data() + top.offset + top.size + 1,
                 checksum(covered, place_seed(sample.meta.identity, top.offset,
                                              static_cast<uint8_t>(BlockKind::kTopIndex))));
  test::BytesFs fs;
  fs.bytes(kPath) = sample.bytes;
  auto table = open_table(fs, "/", sample.meta);
  REQUIRE(table.ok());
  auto source = new_direct_source(fs, "/");
  auto it = new_table_iterator(source.get(), *table);
  it->seek(between);
  CHECK(it->state() == IterState::kError);
  CHECK(is_honest(it->status()));
  CHECK(problems(fs, sample) > 0);
}

TEST_CASE("a hash index that knows none of its block's keys is found by the check") {
  TableOptions options;
  options.hash_index = true;
  options.restart_interval = 2;
  options.compression = Compression::kNone;
  test::BytesFs fs;
  const Identity identity{7, 8};
  TableBuilder builder(options, fs.create(kPath).take(), 1, identity);
  for (int i = 0; i < 20; ++i) builder.add(fmt::format("key{:05}", i), Tag::make(5, Kind::kPut), "value");
  auto meta = builder.finish();
  REQUIRE(meta.ok());
  Sample sample;
  sample.meta = *meta;
  REQUIRE(problems(fs, sample) == 0);
  std::string& bytes = fs.bytes(kPath);
  BlockHandle block = all_blocks({{}, *meta, bytes}).back();
  REQUIRE(block.offset == 0);
  char* footer = bytes.data() + block.size - kBlockFooterSize;
  size_t buckets = static_cast<uint8_t>(footer[0]) + 256u * static_cast<uint8_t>(footer[1]);
  REQUIRE(buckets > 0);
  std::fill(footer - buckets, footer, static_cast<char>(kBucketEmpty));
  encode_fixed64(bytes.data() + block.size + 1,
                 checksum(std::string_view(bytes).substr(0, block.size + 1),
                          place_seed(identity, 0, static_cast<uint8_t>(BlockKind::kData))));
  CHECK(problems(fs, sample) == 20);
}

TEST_CASE("a compressed block that promises more than its bytes can hold is refused before memory is taken") {
  constexpr uint64_t kSize = 200 << 20;
  // A Zstandard frame of one segment that says how large its content is, with one empty block.
  std::string frame("\x28\xb5\x2f\xfd\xa0", 5);
  put_fixed32(&frame, kSize);
  frame.append("\x01\x00\x00", 3);
  for (Compression compression : {Compression::kLz4, Compression::kZstd}) {
    std::string stored;
    put_varint(&stored, kSize);
    stored += frame;
    Buffer raw;
    CHECK_FALSE(decompress_block(stored, static_cast<uint8_t>(compression), &raw));
    CHECK(raw.capacity() == 0);
  }
}

TEST_CASE("handles that point outside are refused before anything is read") {
  Sample sample = make_sample(12, Compression::kNone, 1, {7, 8});
  test::BytesFs fs;
  fs.bytes(kPath) = sample.bytes;
  auto table = open_table(fs, "/", sample.meta);
  REQUIRE(table.ok());
  uint64_t size = sample.bytes.size();
  for (BlockHandle handle : {BlockHandle{size, 10}, BlockHandle{0, size}, BlockHandle{UINT64_MAX, 10},
                             BlockHandle{10, UINT64_MAX - 5}, BlockHandle{0, 0}}) {
    auto block = read_block(**table, handle, BlockKind::kData);
    REQUIRE_FALSE(block.ok());
    CHECK(is_honest(block.status()));
  }
}

}  // namespace varve
