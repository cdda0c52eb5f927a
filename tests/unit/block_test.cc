// Goal: a block gives back what was put in, walks both ways, and never reads outside of itself whatever its
// bytes are.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <sstream>
#include <vector>

#include "base/checksum.h"
#include "base/random.h"
#include "lsm/block_builder.h"
#include "lsm/block_compression.h"
#include "lsm/block_reader.h"
#include "lsm/table_format.h"
#include "support/script.h"

namespace varve {
namespace {

std::string hex(std::string_view bytes) {
  std::string out;
  for (char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

// A copy whose end is the end of its allocation, so that a sanitizer sees a byte too many.
struct Exact {
  explicit Exact(std::string_view bytes) : data(bytes.begin(), bytes.end()) {}
  std::string_view view() const { return {data.data(), data.size()}; }
  std::vector<char> data;
};

std::string show(const BlockIterator& it) {
  if (it.state() == IterState::kEnd) return "end\n";
  if (it.state() == IterState::kError) return it.status().to_string() + "\n";
  return fmt::format("{} {} {}\n", it.key(), it.tag().sequence(), it.value());
}

}  // namespace

TEST_CASE("block script") {
  std::string bytes;
  test::run_script("script/block.txt", [&](const test::Step& step) -> std::string {
    std::string text;
    if (step.name == "build") {
      BlockBuilder builder(static_cast<int>(step.number("restart", 2)), step.has("hashed"));
      for (const std::string& line : step.input_lines()) {
        std::istringstream in(line);
        std::string key, value;
        Sequence sequence = 0;
        in >> key >> sequence >> value;
        CHECK(builder.size_with(key.size(), value.size()) >= builder.size());
        builder.add(key, Tag::make(sequence, Kind::kPut), value, hash_key(key));
      }
      size_t promised = builder.size();
      bytes = builder.finish();
      CHECK(bytes.size() == promised);
      CHECK(check_entries(bytes, BlockKind::kData, 0));
      return hex(bytes);
    }
    if (step.name == "set") {  // a damaged byte
      bytes.at(static_cast<size_t>(step.number("at"))) = static_cast<char>(step.number("to"));
      return check_entries(bytes, BlockKind::kData, 0) ? "ok" : "malformed";
    }
    Exact exact(bytes);
    if (step.name == "walk") {
      BlockIterator it(exact.view());
      for (const std::string& line : step.input_lines()) {
        std::istringstream in(line);
        std::string verb, key;
        in >> verb >> key;
        if (verb == "first") it.seek_to_first();
        if (verb == "last") it.seek_to_last();
        if (verb == "seek") it.seek(key);
        if (verb == "before") it.seek_before(key);
        if (verb == "next" && it.valid()) it.next();
        if (verb == "prev" && it.valid()) it.prev();
        text += show(it);
      }
      return text;
    }
    if (step.name == "find") {
      BlockView view;
      REQUIRE(view.parse(exact.view()));
      for (const std::string& line : step.input_lines()) {
        std::istringstream in(line);
        std::string key;
        Sequence at = kMaxSequence;
        in >> key >> at;
        BlockHit hit;
        BlockSearch result = find_in_block(view, key, hash_key(key), at, &hit);
        if (result == BlockSearch::kMalformed)
          text += "malformed\n";
        else if (hit.found)
          text += fmt::format("{} {}\n", hit.tag.sequence(), hit.value);
        else
          text += hit.exhausted ? "absent, the next block may know\n" : "absent\n";
      }
      return text;
    }
    return "unknown step\n";
  });
}

TEST_CASE("a block is walked to and fro, and what is said of the record before is so") {
  Random random(5);
  BlockBuilder builder(4, true);
  std::vector<std::pair<std::string, Sequence>> records;
  for (int i = 0; i < 100; ++i) {
    std::string key = fmt::format("key:{:04}", i * 3);
    for (Sequence sequence = 1 + random.below(3); sequence > 0; --sequence) {
      builder.add(key, Tag::make(sequence, Kind::kPut), fmt::format("{}={}", key, sequence), hash_key(key));
      records.emplace_back(key, sequence);
    }
  }
  Exact exact(builder.finish());
  BlockIterator it(exact.view());
  size_t told = 0, at = records.size() - 1;
  it.seek_to_last();
  for (int step = 0; step < 20'000; ++step) {
    REQUIRE(it.valid());
    REQUIRE(it.key() == records[at].first);
    REQUIRE(it.tag().sequence() == records[at].second);
    REQUIRE(it.value() == fmt::format("{}={}", records[at].first, records[at].second));
    if (it.begins_key()) {
      ++told;
      REQUIRE(records[at - 1].first != records[at].first);
    }
    if (random.one_in(50)) {
      size_t to = random.below(records.size());
      at = 0;
      while (records[at].first != records[to].first) ++at;
      it.seek(records[at].first);
    } else if (at > 0 && (at + 1 == records.size() || !random.one_in(5))) {
      it.prev();
      --at;
    } else {
      it.next();
      ++at;
    }
  }
  CHECK(told > 3'000);
}

TEST_CASE("damaged blocks never lead outside, and check_entries lets only readable ones pass") {
  uint64_t seed = test::test_seed(77);
  INFO("run again with VARVE_SEED=" << seed);
  Random random(seed);
  for (int round = 0; round < 3000; ++round) {
    BlockBuilder builder(1 + static_cast<int>(random.below(4)), random.one_in(2));
    std::string key;
    for (int i = 0; i < 12; ++i) {
      key += static_cast<char>(random.below(256));
      if (key.size() > 6) key = std::string(1, static_cast<char>(key[0] + 1));
      if (!builder.empty() && key <= builder.last_key()) break;
      builder.add(key, Tag::make(random.next() % kMaxSequence, Kind::kPut), std::string(random.below(9), 'v'),
                  hash_key(key));
    }
    std::string bytes(builder.finish());
    REQUIRE(check_entries(bytes, BlockKind::kData, 0));
    for (uint64_t n = 1 + random.below(3); n > 0; --n) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.one_in(2) ? 0xff : random.next());
    }
    if (random.one_in(4)) bytes.resize(random.below(bytes.size()));
    Exact exact(bytes);
    bool passed = check_entries(exact.view(), BlockKind::kData, 0);
    (void)check_entries(exact.view(), BlockKind::kIndex, 1000);
    (void)check_entries(exact.view(), BlockKind::kRange, 1000);
    BlockIterator it(exact.view());
    int forward = 0, backward = 0;
    for (it.seek_to_first(); it.valid() && forward < 100; it.next()) ++forward;
    if (passed) REQUIRE(it.state() == IterState::kEnd);
    for (it.seek_to_last(); it.valid() && backward < 100; it.prev()) ++backward;
    if (passed) {
      REQUIRE(it.state() == IterState::kEnd);
      REQUIRE(forward == backward);
    }
    it.seek(key);
    it.seek_before(key);
    BlockView view;
    BlockHit hit;
    if (view.parse(exact.view())) {
      BlockSearch result = find_in_block(view, key, hash_key(key), kMaxSequence, &hit);
      if (passed) REQUIRE(result != BlockSearch::kMalformed);
    }
  }
}

TEST_CASE("check_entries knows what each kind of block may hold") {
  auto block_of = [](Tag tag, std::string_view value) {
    BlockBuilder builder(4, false);
    builder.add("key", tag, value);
    return std::string(builder.finish());
  };
  Tag put = Tag::make(3, Kind::kPut), del = Tag::make(3, Kind::kDelete),
      range = Tag::make(3, Kind::kRangeDelete);
  CHECK(check_entries(block_of(put, "v"), BlockKind::kData, 100));
  CHECK(check_entries(block_of(del, ""), BlockKind::kData, 100));
  CHECK_FALSE(check_entries(block_of(del, "v"), BlockKind::kData, 100));
  CHECK_FALSE(check_entries(block_of(range, "v"), BlockKind::kData, 100));
  CHECK_FALSE(check_entries(block_of(Tag{7}, "v"), BlockKind::kData, 100));

  std::string handle;
  put_handle(&handle, {10, 20});
  CHECK(check_entries(block_of(Tag{}, handle), BlockKind::kIndex, 39));
  CHECK_FALSE(check_entries(block_of(Tag{}, handle), BlockKind::kIndex, 38));
  CHECK_FALSE(check_entries(block_of(put, handle), BlockKind::kIndex, 39));
  CHECK_FALSE(check_entries(block_of(Tag{}, handle + "x"), BlockKind::kIndex, 39));
  CHECK_FALSE(check_entries(block_of(Tag{}, handle), BlockKind::kTopIndex, 39));

  auto range_value = [](std::string_view end, uint64_t more, std::string_view drops) {
    std::string value;
    put_length_prefixed(&value, end);
    put_varint(&value, more);
    return value + std::string(drops);
  };
  CHECK(check_entries(block_of(range, range_value("kez", 2, "\x01\x02")), BlockKind::kRange, 0));
  CHECK_FALSE(
      check_entries(block_of(range, range_value("kez", 2, "\x01\x03")), BlockKind::kRange, 0));  // below zero
  CHECK_FALSE(check_entries(block_of(range, range_value("kez", 3, "\x01\x01")), BlockKind::kRange, 0));
  CHECK_FALSE(
      check_entries(block_of(range, range_value("key", 0, "")), BlockKind::kRange, 0));  // empty range
  CHECK_FALSE(check_entries(block_of(put, range_value("kez", 0, "")), BlockKind::kRange, 0));
}

TEST_CASE("decompression believes no size") {
  std::string raw(5000, 'a');
  for (Compression compression : {Compression::kLz4, Compression::kZstd}) {
    BlockCompressor compressor(compression, 1);
    Compression used;
    std::string stored(compressor.compress(raw, &used));
    REQUIRE(used == compression);
    auto code = static_cast<uint8_t>(used);
    Buffer out;
    CHECK(decompress_block(stored, code, &out));
    CHECK(out.view() == raw);
    std::string_view payload = stored;
    uint64_t size = 0;
    REQUIRE(get_varint(&payload, &size));
    for (uint64_t claimed : {uint64_t{0}, size - 1, size + 1, kMaxBlockSize + 1, uint64_t{1} << 60}) {
      std::string wrong;
      put_varint(&wrong, claimed);
      wrong += payload;
      Buffer unused;
      CHECK_FALSE(decompress_block(wrong, code, &unused));
      CHECK(unused.capacity() <= 16384);
    }
    CHECK_FALSE(decompress_block(std::string_view(stored).substr(0, stored.size() - 1), code, &out));
    CHECK_FALSE(decompress_block("", code, &out));
  }
  Buffer out;
  CHECK_FALSE(decompress_block(raw, 3, &out));
}

}  // namespace varve
