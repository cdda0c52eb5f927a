// Goal: records and keys come back as they were written, sort as they must, and damage is seen. The bytes
// themselves are pinned down: they are a disk format.
#include "keyspace/entry_format.h"

#include <doctest/doctest.h>

#include <fmt/format.h>
#include <cmath>
#include <limits>

#include <string>

#include "base/random.h"
#include "keyspace/types/member_layout.h"
#include "support/script.h"

namespace varve {
namespace {

std::string hex(std::string_view bytes) {
  std::string out;
  for (char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::string encoded(const Record& record) {
  std::string bytes;
  encode_record(record, &bytes);
  return bytes;
}

TEST_CASE("entry format: the bytes of records") {
  CHECK(hex(encoded({.payload = "hi"})) == "00006869");
  CHECK(hex(encoded({.form = StringForm::kRaw, .expire_ms = 300, .payload = "hi"})) == "0011ac026869");
  CHECK(hex(encoded({.form = StringForm::kNotInteger, .payload = "3"})) == "000833");
  Record segmented{.encoding = Encoding::kElements, .collection = 5, .count = 5000};
  CHECK(hex(encoded(segmented)) == "1006058827");
  Record hash{
      .type = ValueType::kHash, .encoding = Encoding::kElements, .expire_ms = 1, .collection = 7, .count = 2};
  CHECK(hex(encoded(hash)) == "1407010702");
  Record small_set{.type = ValueType::kSet, .grown = true, .count = 1, .payload = "\1a"};
  CHECK(hex(encoded(small_set)) == "020c010161");
}

TEST_CASE("entry format: the bytes of keys") {
  EngineKey key;
  make_metadata_key(1, "ab", &key);
  CHECK(hex(key) == "02000000016162");
  make_segment_key(258, 3, &key);
  CHECK(hex(key) == "03000000000000010200000003");
  make_element_key(258, Part::kOrder, "ab", &key);
  CHECK(hex(key) == "030000000000000102016162");
  make_position_key(258, uint64_t{1} << 63, &key);
  CHECK(hex(key) == "030000000000000102008000000000000000");
  make_member_key(258, "ab", &key);  // the low half of XXH3("ab"), then the member
  CHECK(hex(key) == "03000000000000010200" + fmt::format("{:08x}", member_hash("ab")) + "6162");
  CHECK(member_hash("ab") == 0x24d5735c);
  make_piece_key(std::string(key.view()), 2, &key);
  CHECK(hex(key) == "0300000000000001020324d5735c616200000002");
  make_hint_key(256, 2, "k", &key);
  CHECK(hex(key) == "01650000000000000100000000026b");
  make_database_key(7, &key);
  CHECK(hex(key) == "016400000007");
  CHECK(hex(identity_key()) == "0169");
  CHECK(hex(next_database_key()) == "016e");
  make_metadata_key(9, std::string(1000, 'x'), &key);
  CHECK(key.view().size() == 1005);
}

TEST_CASE("entry format: random records come back") {
  uint64_t seed = test::test_seed(20);
  CAPTURE(seed);
  Random random(seed);
  for (int i = 0; i < 2000; ++i) {
    std::string payload(random.below(20), 'p');
    Record record;
    record.type = static_cast<ValueType>(random.below(kMaxValueType + 1));
    if (record.type == ValueType::kString) {
      record.form = static_cast<StringForm>(random.below(3));
    } else {
      record.grown = random.one_in(2);
      record.count = 1 + random.below(1000);
    }
    if (random.one_in(2))
      record.expire_ms = static_cast<int64_t>(random.next() >> (1 + random.below(62)) | 1);
    if (random.one_in(2)) {
      record.encoding = Encoding::kElements;
      record.collection = random.next() >> random.below(60) | 1;
      record.count = random.next() >> random.below(64) | 1;
    }
    record.payload = payload;
    std::string bytes = encoded(record);
    Record back;
    REQUIRE(decode_record(bytes, &back));
    CHECK(back == record);
    // Cut short: refused, or what is left is a shorter payload.
    for (size_t n = 0; n + payload.size() < bytes.size(); ++n) {
      CHECK_FALSE(decode_record(std::string_view(bytes).substr(0, n), &back));
    }
  }
}

TEST_CASE("entry format: what cannot be understood is refused") {
  Record record;
  for (std::string_view bad : {std::string_view("\x06\x00", 2),          // an unknown type
                               std::string_view("\x30\x00", 2),          // an unknown encoding
                               std::string_view("\x00\x20", 2),          // an unknown flag
                               std::string_view("\x00\x01\x00", 3),      // expires at 0
                               std::string_view("\x10\x04\x05", 3),      // elements without a collection
                               std::string_view("\x10\x06\x00\x05", 4),  // collection 0
                               std::string_view("\x04\x00", 2),          // a hash without a count
                               std::string_view("\x04\x04\x00", 3),      // an empty one
                               std::string_view("\x04\x14\x01", 3),      // a raw one
                               std::string_view("\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12)}) {
    CAPTURE(hex(bad));
    CHECK_FALSE(decode_record(bad, &record));
  }
}

TEST_CASE("entry format: keys are parsed back and stay in their ranges") {
  EngineKey key;
  DatabaseId database = 0;
  std::string_view user_key;
  make_metadata_key(0xfffffffe, "k\xff", &key);
  REQUIRE(parse_metadata_key(key, &database, &user_key));
  CHECK(database == 0xfffffffe);
  CHECK(user_key == "k\xff");
  CHECK(metadata_range(0xfffffffe).contains(key));
  CHECK_FALSE(metadata_range(0xfffffffd).contains(key));

  int64_t expire_ms = 0;
  make_hint_key(1'700'000'000'123, 3, "", &key);
  REQUIRE(parse_hint_key(key, &expire_ms, &database, &user_key));
  CHECK(expire_ms == 1'700'000'000'123);
  CHECK(database == 3);
  CHECK(user_key.empty());
  CHECK(hint_range().contains(key));
  CHECK_FALSE(parse_metadata_key(key, &database, &user_key));

  make_segment_key(41, 7, &key);
  CHECK(collection_range(41).contains(key));
  CHECK_FALSE(collection_range(40).contains(key));
  CHECK_FALSE(collection_range(42).contains(key));

  // Time orders hints before anything else does.
  EngineKey later;
  make_hint_key(255, 9, "z", &key);
  make_hint_key(256, 1, "a", &later);
  CHECK(key.view() < later.view());
}

TEST_CASE("entry format: elements stay in their parts") {
  EngineKey key;
  uint32_t hash = 0;
  std::string_view member;
  make_member_key(41, "m\xff", &key);
  REQUIRE(parse_member_key(key, &hash, &member));
  CHECK(hash == member_hash("m\xff"));
  CHECK(member == "m\xff");
  CHECK(part_range(41, Part::kMain).contains(key));
  CHECK(collection_range(41).contains(key));
  CHECK_FALSE(part_range(41, Part::kOrder).contains(key));
  CHECK_FALSE(part_range(42, Part::kMain).contains(key));
  EngineKey piece;
  make_piece_key(key, 0, &piece);
  CHECK(part_range(41, Part::kLong).contains(piece));
  CHECK_FALSE(parse_member_key(piece, &hash, &member));
  make_member_key(41, main_part(1), 7, "m", &key);
  CHECK(part_range(41, main_part(1)).contains(key));
  CHECK_FALSE(part_range(41, Part::kLong).contains(key));
  REQUIRE(parse_member_key(key, &hash, &member));
  CHECK(hash == 7);
  CHECK(member == "m");
}

TEST_CASE("entry format: places are in the order of scores, then of names") {
  const double infinity = std::numeric_limits<double>::infinity();
  const double scores[] = {-infinity, -1e300, -2, -1, -1e-300, 0, 1e-300, 0.5, 1, 2, 1e300, infinity};
  std::string last;
  for (double score : scores) {
    for (const char* member : {"", "a", "ab", "b"}) {
      std::string place;
      make_place(score, member, &place);
      CHECK(last < place);
      last = place;
      EngineKey key;
      make_element_key(7, Part::kOrder, place, &key);
      std::string_view found;
      double found_score = 1;
      REQUIRE(parse_order_element(key, "", &found, &found_score));
      CHECK(found == member);
      CHECK(found_score == score);
    }
  }
  char bytes[kScoreSize];
  encode_score(bytes, -0.0);
  CHECK(std::signbit(decode_score(bytes)));
  std::string place, same;
  make_place(-0.0, "a", &place);
  make_place(0.0, "a", &same);
  CHECK(place == same);
  EngineKey key;
  make_element_key(7, Part::kOrder, place, &key);
  std::string_view member;
  double score = 0;
  REQUIRE(parse_order_element(key, "\1", &member, &score));
  CHECK(std::signbit(score));
  CHECK_FALSE(parse_order_element(key, "\2", &member, &score));
  make_place(std::numeric_limits<double>::quiet_NaN(), "a", &place);
  make_element_key(7, Part::kOrder, place, &key);
  CHECK_FALSE(parse_order_element(key, "", &member, &score));
  make_member_key(7, "abcdefghijkl", &key);
  CHECK_FALSE(parse_order_element(key, "", &member, &score));
}

TEST_CASE("entry format: the end of a prefix") {
  CHECK(prefix_end("ab") == "ac");
  CHECK(prefix_end(std::string("a\xff\xff")) == "b");
  CHECK(prefix_end(std::string("\xff\xff")).empty());
}

TEST_CASE("entry format: what flush and compaction may know") {
  KeyspaceInspector inspector;
  EngineKey key;
  make_metadata_key(4, "k", &key);
  std::string plain = encoded({.expire_ms = 9, .payload = "v"});
  CHECK_FALSE(inspector.traits(key, plain).owns_collection);
  CHECK(inspector.traits(key, plain).expire_ms == 9);
  RecordInspector::Death death = inspector.death(key, plain);
  CHECK(death.counted);
  CHECK(death.counter_id == 4);
  CHECK_FALSE(death.garbage.has_value());

  std::string owner = encoded({.encoding = Encoding::kElements, .collection = 11, .count = 1});
  CHECK(inspector.traits(key, owner).owns_collection);
  death = inspector.death(key, owner);
  REQUIRE(death.garbage.has_value());
  CHECK(*death.garbage == collection_range(11));

  // So a blind SET over a collection reports its elements as garbage; an inline one has none.
  std::string list = encoded({.type = ValueType::kList,
                              .encoding = Encoding::kElements,
                              .collection = 12,
                              .count = 3,
                              .payload = "st"});
  CHECK(inspector.traits(key, list).owns_collection);
  CHECK(*inspector.death(key, list).garbage == collection_range(12));
  std::string small = encoded({.type = ValueType::kHash, .expire_ms = 7, .count = 1, .payload = "\1a\1b"});
  CHECK_FALSE(inspector.traits(key, small).owns_collection);
  CHECK(inspector.traits(key, small).expire_ms == 7);
  CHECK(inspector.death(key, small).counted);
  CHECK_FALSE(inspector.death(key, small).garbage.has_value());

  make_segment_key(11, 0, &key);
  CHECK_FALSE(inspector.death(key, "bytes").counted);
  CHECK_FALSE(inspector.traits(key, owner).owns_collection);
}

TEST_CASE("entry format: the state of hashes and sets, and where their members stand") {
  Record record;
  record.type = ValueType::kSet;
  record.encoding = Encoding::kElements;
  record.collection = 7;
  char buffer[MemberLayout::kSizeMax];
  auto goes_round = [&](const MemberLayout& layout, std::string_view bytes) {
    record.payload = layout.encode(buffer);
    MemberLayout again;
    return record.payload == bytes && again.read(record) && again.removed == layout.removed &&
           again.generation == layout.generation && again.moving == layout.moving &&
           again.border == layout.border && again.collection == 7;
  };
  MemberLayout layout;
  layout.collection = 7;
  CHECK(goes_round(layout, ""));
  layout.removed = 5;
  CHECK(goes_round(layout, "\5"));
  layout.generation = kLastGeneration;
  CHECK(goes_round(layout, "\5\xfc"));
  layout.moving = true;
  layout.border = 0x01020304;
  CHECK(goes_round(layout, "\5\xfc\1\2\3\4"));
  for (std::string_view damaged : {"\5\xfd", "\5\2\1\2\3", "\5\2\1\2\3\4\5", "\x85"}) {
    record.payload = damaged;
    CHECK_FALSE(MemberLayout().read(record));
  }
  // Behind the last generation follows the first; those below the border stand there.
  EngineKey key;
  REQUIRE(layout.ranges() == 2);
  layout.make_key(0x01020303, "m", &key);
  CHECK(layout.range(0).contains(key));
  CHECK(part_range(7, Part::kMain).contains(key));
  layout.make_key(0x01020304, "m", &key);
  CHECK(layout.range(1).contains(key));
  CHECK(part_range(7, main_part(kLastGeneration)).contains(key));
}

}  // namespace
}  // namespace varve
