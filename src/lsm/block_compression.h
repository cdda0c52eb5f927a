// block_compression.h: raw block <-> stored bytes (table_format.h). Any thread; one object or call per
// thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/buffer.h"
#include "lsm/table_builder.h"

namespace varve {

class BlockCompressor {
 public:
  BlockCompressor(Compression compression, int zstd_level);
  ~BlockCompressor();

  // What to store for `raw`, and as what (*used). Falls back to the raw bytes where compressing does not save
  // 1/8. The view is into `raw` or into this object, until the next call.
  std::string_view compress(std::string_view raw, Compression* used);

 private:
  struct Context;
  Compression compression_;
  int level_;
  std::unique_ptr<Context> context_;
  std::string out_;
};

// Fills *raw from stored bytes. False when they are malformed, claim a size above kMaxBlockSize or another
// than what comes out. Allocates only after the claimed size has been checked.
bool decompress_block(std::string_view stored, uint8_t compression, Buffer* raw);

}  // namespace varve
