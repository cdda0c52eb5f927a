// flip_images.h: the data directories that flip damages, each with what was acknowledged in it, kept outside
// of the files: every commit's last sequence and what it changed.
#pragma once

#include <string>
#include <vector>

#include "prove/image_fs.h"
#include "prove/past.h"
#include "prove/store.h"

namespace varve::prove {

// A frame of the log, or a record of the manifest, as the intact files hold it.
struct Witness {
  std::string file;
  uint64_t begin = 0, end = 0;  // its header: the bytes that tell what it knows
  Sequence durable = 0;
};

struct Image {
  std::string name;
  Files files;
  // Earlier states of the same directory, oldest first: what a lost write leaves in a block's place.
  std::vector<Files> older;
  // Another directory's files of the same kinds.
  Files foreign;
  EngineOptions options;
  bool keyspace = false;
  // The server had been idle when it ended: a frame behind the last group says that it was durable.
  bool rested = false;
  bool large = false;  // megabytes: sampled seldom, and not exhaustively

  History history;                  // all of it acknowledged
  std::vector<std::string> absent;  // some keys that were never there, or were deleted
  std::vector<Witness> witnesses;
  Sequence manifest_durable = 0;  // what the manifest says was durable
  Sequence flushed = 0;
  // The names CURRENT and the manifest name: damage to these is damage to data. Others are leftovers.
  std::vector<std::string> live;

  const Contents& contents() const { return history.contents(); }
  bool is_live(const std::string& file) const;
};

// All shapes. Checked: each opens and reads as it should.
std::vector<Image> build_images(uint64_t seed);

// "log", "table", "manifest", "current", "lock" or "foreign".
std::string file_type(const std::string& name);

}  // namespace varve::prove
