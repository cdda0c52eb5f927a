#include "varve/write_batch.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <limits>
#include <string>

namespace varve {
namespace {

std::string describe(std::string_view bytes) {
  std::string out;
  BatchReader reader(bytes);
  BatchReader::Op op;
  while (reader.next(&op)) {
    std::string blind = op.blind ? "blind " : "";
    if (op.is_counter)
      out += fmt::format("count {} {}; ", op.counter_id, op.counter_delta);
    else if (op.kind == Kind::kPut)
      out += fmt::format("{}put {} {}; ", blind, op.key, op.value);
    else if (op.kind == Kind::kDelete)
      out += fmt::format("{}delete {}; ", blind, op.key);
    else
      out += fmt::format("delete [{},{}); ", op.key, op.value);
  }
  return out + (reader.corrupt() ? "corrupt" : "end");
}

TEST_CASE("what is written is read back") {
  WriteBatch batch;
  batch.put("a", "1");
  batch.put("b", "", true);
  batch.remove("c");
  batch.remove("d", true);
  batch.remove_range("e", "g");
  batch.add_count(7, -3);
  batch.add_count(std::numeric_limits<uint32_t>::max(), std::numeric_limits<int64_t>::min());
  CHECK(batch.count() == 5);
  CHECK(describe(batch.bytes()) ==
        "put a 1; blind put b ; delete c; blind delete d; delete [e,g); count 7 -3; "
        "count 4294967295 -9223372036854775808; end");
  batch.clear();
  CHECK(batch.empty());
  CHECK(batch.count() == 0);
}

TEST_CASE("an empty range and a count of nothing are no operations") {
  WriteBatch batch;
  batch.remove_range("b", "b");
  batch.remove_range("b", "a");
  batch.add_count(1, 0);
  CHECK(batch.empty());
}

TEST_CASE("the bytes are those of the log") {
  WriteBatch batch;
  batch.put("k", "vw", true);
  batch.remove_range("a", "b");
  batch.add_count(300, -1);
  CHECK(batch.bytes() == std::string("\x04\x01k\x02vw\x02\x01"
                                     "a\x01"
                                     "b\x10\xac\x02\x01",
                                     15));
}

TEST_CASE("operations beyond the limits are left out and spoil the batch") {
  std::string long_key(kMaxEngineKeySize + 1, 'k');
  WriteBatch batch;
  batch.put(std::string(kMaxEngineKeySize, 'k'), "fits");
  CHECK(batch.valid());
  batch.put(long_key, "");
  batch.remove(long_key);
  batch.remove_range("a", long_key);
  CHECK(batch.count() == 1);
  CHECK(!batch.valid());
  batch.clear();
  CHECK(batch.valid());
  batch.put("key", std::string(kMaxEngineValueSize + 1, 'v'));
  CHECK(!batch.valid());
}

TEST_CASE("damage is told from the end") {
  CHECK(describe("") == "end");
  CHECK(describe(std::string("\x00\x01k\x05v", 5)) == "corrupt");  // value cut short
  CHECK(describe(std::string("\x00\x7fk", 3)) == "corrupt");       // key cut short
  CHECK(describe("\x03\x01k") == "corrupt");                       // no such kind
  CHECK(describe("\x08\x01k") == "corrupt");                       // no such code
  CHECK(describe("\x06\x01"
                 "a\x01"
                 "b") == "corrupt");  // a blind range delete
  CHECK(describe("\x02\x01"
                 "b\x01"
                 "b") == "corrupt");  // an empty range
  CHECK(describe("\x01\x01k\x11") == "delete k; corrupt");
  CHECK(describe(std::string("\x10\x80\x80\x80\x80\x10\x02", 7)) == "corrupt");  // counter 2^32
  CHECK(describe(std::string("\x10\x01", 2)) == "corrupt");                      // counter without delta
}

TEST_CASE("sizes beyond the limits are refused even when the bytes are there") {
  std::string bytes("\x01\x81\x80\x08", 4);  // delete, key of 128 KiB + 1
  bytes += std::string(kMaxEngineKeySize + 1, 'k');
  CHECK(describe(bytes) == "corrupt");
}

// Every way to cut a batch short is either between two operations or damage; nothing is read beyond the
// bytes.
TEST_CASE("any prefix of a batch is read safely") {
  WriteBatch batch;
  batch.put("key", "value");
  batch.remove_range("a", "b");
  batch.add_count(1, 1000);
  for (size_t n = 0; n < batch.byte_size(); ++n) {
    std::string prefix = batch.bytes().substr(0, n);
    bool between = n == 0 || n == 11 || n == 16;
    CHECK((describe(prefix).find("corrupt") == std::string::npos) == between);
  }
}

}  // namespace
}  // namespace varve
