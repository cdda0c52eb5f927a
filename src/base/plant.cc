#include "base/plant.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace varve {
namespace {

Plant chosen() {
  const char* wanted = std::getenv("VARVE_PLANT");
  if (wanted == nullptr || *wanted == 0) return Plant::none;
#define VARVE_PLANT_NAME(name) \
  if (std::strcmp(wanted, #name) == 0) return Plant::name;
  VARVE_PLANTS_LIST(VARVE_PLANT_NAME)
#undef VARVE_PLANT_NAME
  std::fprintf(stderr, "VARVE_PLANT: no such defect: %s\n", wanted);
  std::abort();
}

}  // namespace

bool planted(Plant defect) {
  static const Plant plant = chosen();
  return plant == defect;
}

}  // namespace varve
