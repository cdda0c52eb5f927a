// check.h: checks of our own invariants. VARVE_CHECK stays in every build (a database that goes on after a
// broken invariant damages data); VARVE_DCHECK is for checks too costly for release builds.
#pragma once

namespace varve {
// Prints the place and the condition to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition);
}  // namespace varve

#define VARVE_CHECK(condition)                       \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? void(0)                                     \
       : ::varve::check_failed(__FILE__, __LINE__, #condition))

#ifdef NDEBUG
#define VARVE_DCHECK(condition) void(sizeof(static_cast<bool>(condition)))
#else
#define VARVE_DCHECK(condition) VARVE_CHECK(condition)
#endif
