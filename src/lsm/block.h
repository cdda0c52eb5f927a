// block.h: a block in memory (verified, decompressed) and counted references to it.
//
// References are not atomic: a block belongs to one thread at a time. A read worker makes it, hands it over
// with its completion, and from then on only the owner's thread touches the count.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "base/buffer.h"

namespace varve {

// Part of the block's checksum (checksum.h): a block found where another kind belongs does not pass.
enum class BlockKind : uint8_t {
  kData = 1,
  kIndex = 2,
  kFilter = 3,
  kTopIndex = 4,
  kRange = 5,
  kProperties = 6,
  kFooter = 7
};

class Block {
 public:
  Block(Buffer bytes, BlockKind kind) : bytes_(std::move(bytes)), kind_(kind) {}
  std::string_view bytes() const { return bytes_.view(); }
  BlockKind kind() const { return kind_; }
  // Bytes of memory it holds, itself included.
  size_t charge() const { return bytes_.capacity() + sizeof(Block); }
  uint32_t references() const { return references_; }

 private:
  friend class BlockRef;
  Buffer bytes_;
  BlockKind kind_;
  uint32_t references_ = 0;
};

class BlockRef {
 public:
  BlockRef() = default;
  explicit BlockRef(Block* block) : block_(block) {
    if (block_ != nullptr) ++block_->references_;
  }
  BlockRef(const BlockRef& other) : BlockRef(other.block_) {}
  BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  BlockRef& operator=(BlockRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockRef() {
    if (block_ != nullptr && --block_->references_ == 0) delete block_;
  }
  void reset() { *this = BlockRef(); }
  const Block* get() const { return block_; }
  const Block* operator->() const { return block_; }
  explicit operator bool() const { return block_ != nullptr; }

 private:
  Block* block_ = nullptr;
};

}  // namespace varve
