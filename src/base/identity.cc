#include "base/identity.h"

#include <fmt/format.h>

namespace varve {

std::string Identity::to_string() const {
  return fmt::format("{:016x}{:016x}", high, low);
}

}  // namespace varve
