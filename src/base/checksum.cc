#include "base/checksum.h"

#include <xxhash.h>

#include "base/coding.h"
#include "base/plant.h"

namespace varve {

uint64_t checksum(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

uint64_t place_seed(const Identity& file, uint64_t offset, uint8_t kind) {
  if (planted(Plant::checksum_without_place)) return 0;
  char place[32];
  encode_fixed64(place, file.high);
  encode_fixed64(place + 8, file.low);
  encode_fixed64(place + 16, offset);
  encode_fixed64(place + 24, kind);
  return XXH3_64bits(place, sizeof place);
}

uint64_t hash_key(std::string_view key) {
  return XXH3_64bits(key.data(), key.size());
}

}  // namespace varve
