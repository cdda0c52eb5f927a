#include "lsm/block_compression.h"

#include <lz4.h>
#include <zstd.h>

#include "base/check.h"
#include "base/coding.h"
#include "base/plant.h"
#include "lsm/table_format.h"

namespace varve {

struct BlockCompressor::Context {
  ZSTD_CCtx* zstd = ZSTD_createCCtx();
  ~Context() { ZSTD_freeCCtx(zstd); }
};

BlockCompressor::BlockCompressor(Compression compression, int zstd_level)
    : compression_(compression), level_(zstd_level) {
  if (compression == Compression::kZstd) {
    context_ = std::make_unique<Context>();
    VARVE_CHECK(context_->zstd != nullptr);
  }
}

BlockCompressor::~BlockCompressor() = default;

std::string_view BlockCompressor::compress(std::string_view raw, Compression* used) {
  *used = Compression::kNone;
  constexpr size_t kWorthTrying = 64;
  if (compression_ == Compression::kNone || raw.size() < kWorthTrying) return raw;
  size_t limit = raw.size() - raw.size() / 8;
  out_.resize(kMaxVarintSize);
  char* size_end = encode_varint(out_.data(), raw.size());
  size_t head = static_cast<size_t>(size_end - out_.data());
  out_.resize(limit);
  size_t room = limit - head;  // a codec that needs more gives up: exactly what is wanted
  size_t written = 0;
  if (compression_ == Compression::kLz4) {
    int n = LZ4_compress_default(raw.data(), out_.data() + head, static_cast<int>(raw.size()),
                                 static_cast<int>(room));
    written = n > 0 ? static_cast<size_t>(n) : 0;
  } else {
    size_t n = ZSTD_compressCCtx(context_->zstd, out_.data() + head, room, raw.data(), raw.size(), level_);
    written = ZSTD_isError(n) ? 0 : n;
  }
  if (written == 0) return raw;
  *used = compression_;
  return std::string_view(out_).substr(0, head + written);
}

namespace {

// One per thread that decompresses: making one for each block costs more than a small block's decompression.
ZSTD_DCtx* zstd_context() {
  struct Holder {
    ZSTD_DCtx* context = ZSTD_createDCtx();
    ~Holder() { ZSTD_freeDCtx(context); }
  };
  thread_local Holder holder;
  return holder.context;
}

}  // namespace

bool decompress_block(std::string_view stored, uint8_t compression, Buffer* raw) {
  if (compression == static_cast<uint8_t>(Compression::kNone)) {
    raw->clear();
    raw->append(stored);
    return true;
  }
  if (compression != static_cast<uint8_t>(Compression::kLz4) &&
      compression != static_cast<uint8_t>(Compression::kZstd)) {
    return false;
  }
  uint64_t size = 0;
  if (!get_varint(&stored, &size) || size == 0 || size > kMaxBlockSize || stored.size() > kMaxBlockSize)
    return false;
  if (compression == static_cast<uint8_t>(Compression::kLz4)) {
    // LZ4 cannot expand more.
    if (size / 255 > stored.size() && !planted(Plant::trust_length)) return false;
    raw->resize(size);
    int n = LZ4_decompress_safe(stored.data(), raw->data(), static_cast<int>(stored.size()),
                                static_cast<int>(size));
    return n >= 0 && static_cast<uint64_t>(n) == size;
  }
  // No block of a frame is below four bytes or holds more than 128 KiB.
  if (size / (128 << 10) > stored.size() / 4) return false;
  // The frame says its size too: believe neither before they agree.
  if (ZSTD_getFrameContentSize(stored.data(), stored.size()) != size) return false;
  raw->resize(size);
  size_t n = ZSTD_decompressDCtx(zstd_context(), raw->data(), size, stored.data(), stored.size());
  return !ZSTD_isError(n) && n == size;
}

}  // namespace varve
