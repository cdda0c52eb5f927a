// checksum.h: the one checksum of every format, XXH3 with 64 bits (https://xxhash.com, stable since 0.8.0).
//
// A checksum covers content and place: the seed mixes the file's identity, the offset inside the file and the
// kind of thing, so that a block from another file, another place or an older life of a reused file does not
// pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/identity.h"

namespace varve {

uint64_t checksum(std::string_view bytes, uint64_t seed = 0);

// Seed for something of `kind` at `offset` in the file named `file`.
uint64_t place_seed(const Identity& file, uint64_t offset, uint8_t kind);

// Well-mixed 64-bit hash of a key, for hash tables and filters. Stable: filters on disk use it.
uint64_t hash_key(std::string_view key);

}  // namespace varve
