#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace varve {

void check_failed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "varve: check failed at %s:%d: %s\n", file, line, condition);
  std::abort();
}

}  // namespace varve
