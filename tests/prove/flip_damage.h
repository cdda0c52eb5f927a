// flip_damage.h: one damage to the files of an image: what bad disks, bad cables, lost and misdirected writes
// and careless people do.
#pragma once

#include <string>
#include <vector>

#include "base/random.h"
#include "prove/flip_images.h"

namespace varve::prove {

struct Damage {
  std::string kind;                // a counter's name: "flip", "truncate", ...
  std::string type;                // of the first file (file_type)
  std::vector<std::string> names;  // files that are not what they were
  std::string what;                // for people
  Files files;                     // the directory with it
};

// One of every kind, chosen by `random`; kinds that the image has nothing for are drawn again.
Damage draw_damage(const Image& image, Random* random);

// Exhaustive: all bits and all lengths of all files of an image, numbered from 0.
uint64_t simple_damages(const Image& image);
Damage simple_damage(const Image& image, uint64_t index);

}  // namespace varve::prove
