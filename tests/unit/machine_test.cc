// Goal: how much memory the server believes to have.
#include "server/machine.h"

#include <doctest/doctest.h>

namespace varve {
namespace {

TEST_CASE("machine: the smallest of machine and cgroup limits") {
  constexpr uint64_t kGb = 1ull << 30;
  CHECK(bounded_memory(8 * kGb, "", "") == 8 * kGb);
  CHECK(bounded_memory(8 * kGb, "max\n", "") == 8 * kGb);
  CHECK(bounded_memory(8 * kGb, "1073741824\n", "") == kGb);
  CHECK(bounded_memory(8 * kGb, "", "9223372036854771712\n") == 8 * kGb);
  CHECK(bounded_memory(8 * kGb, "", "2147483648\n") == 2 * kGb);
  CHECK(bounded_memory(8 * kGb, "0\n", "rubbish") == 8 * kGb);
}

TEST_CASE("machine: this one answers") {
  CHECK(machine_memory() > 0);
  CHECK(resident_memory() > 0);
  CHECK(allocated_memory() > 0);
  CHECK_FALSE(operating_system().empty());
  CHECK_FALSE(executable_path().empty());
}

}  // namespace
}  // namespace varve
