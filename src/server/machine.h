// machine.h: what the server asks the operating system about itself: memory, CPU time, limits. Loop thread.
#pragma once

#include <cstdint>
#include <string>

namespace varve {

// What the machine has, or less if a cgroup (version 1 or 2) allows this process less. Bytes.
uint64_t machine_memory();
// The same rule on given texts of cgroup files ("max", "123456\n", "" if there is none). For tests.
uint64_t bounded_memory(uint64_t machine, const std::string& v2_max, const std::string& v1_limit);
// Resident memory of this process, bytes.
uint64_t resident_memory();

// What malloc has given out, and its name; resident memory where the allocator does not tell.
uint64_t allocated_memory();
const char* allocator_name();
// Bytes of the allocator's pages: those with something in them, and all that are mapped.
struct AllocatorPages {
  uint64_t active = 0, mapped = 0;
};
AllocatorPages allocator_pages();
// Gives back what the allocator keeps for later.
void purge_allocator();
// Its own report, or that there is none.
std::string allocator_statistics();

struct CpuTimes {
  double user = 0, sys = 0, user_main_thread = 0, sys_main_thread = 0;  // seconds
};
// Called on the loop's thread, which is then the main one.
CpuTimes cpu_times();

// Raises the limit of open files to the hard one, or to `wanted` where that is more and the system lets this
// process; returns it.
uint64_t raise_file_limit(uint64_t wanted);

std::string operating_system();  // "Linux 6.1.0 x86_64"
std::string executable_path();

}  // namespace varve
