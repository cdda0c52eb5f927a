// The table behind SCAN's cursors: what it keeps, for whom, and how much of it.
#include "command/cursors.h"

#include <doctest/doctest.h>

#include <vector>

namespace varve {
namespace {

TEST_CASE("cursors: a position is found by its number, again and again; others are unknown") {
  CursorTable table(1);
  uint64_t cursor = table.add(7, "key");
  CHECK(cursor != 0);
  for (int i = 0; i < 2; ++i) {
    REQUIRE(table.find(cursor) != nullptr);
    CHECK(*table.find(cursor) == "key");
  }
  CHECK(table.find(cursor + 1) == nullptr);
  CHECK(table.find(0) == nullptr);
  // Another process knows nothing of it, though it made as many.
  CursorTable other(2);
  other.add(7, "other");
  CHECK(other.find(cursor) == nullptr);
}

// Goal: whatever others do, the cursor a client was given last is there when it asks. Method: one client
// waits while another makes far more cursors than the table keeps.
TEST_CASE("cursors: a client's latest stays; of all others as many as fit, the newest") {
  constexpr size_t kRoom = 10'000;
  CursorTable table(1, kRoom);
  uint64_t first = table.add(1, "first");
  uint64_t latest = table.add(1, "waiting");
  std::vector<uint64_t> made;
  for (int i = 0; i < 1000; ++i) made.push_back(table.add(2, "some key"));
  REQUIRE(table.find(latest) != nullptr);
  CHECK(*table.find(latest) == "waiting");
  CHECK(table.find(made.back()) != nullptr);
  CHECK(table.find(first) == nullptr);
  CHECK(table.find(made[0]) == nullptr);
  size_t each = CursorTable::charge(8);
  size_t kept = kRoom / each;
  CHECK(table.find(made[999 - kept]) != nullptr);
  CHECK(table.find(made[998 - kept]) == nullptr);
  CHECK(table.size() == kept + 2);
  CHECK(table.memory_used() <= kRoom + each + CursorTable::charge(7));
}

TEST_CASE("cursors: who is gone holds nothing") {
  CursorTable table(1, 1000);
  std::vector<uint64_t> cursors;
  for (uint64_t client = 1; client <= 100; ++client) cursors.push_back(table.add(client, "key"));
  CHECK(table.size() == 100);  // each is somebody's latest
  for (uint64_t client = 1; client <= 100; ++client) table.forget_client(client);
  table.forget_client(1);
  CHECK(table.memory_used() <= 1000);
  CHECK(table.find(cursors[0]) == nullptr);
  CHECK(table.find(cursors[99]) != nullptr);  // while there is room, it may still come back by another way
}

}  // namespace
}  // namespace varve
