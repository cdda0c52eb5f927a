// output_buffer.h: bytes on their way to one client: appended at the back, consumed from the front. Positions
// count from the connection's first byte and never fall, so that the reply gate can speak of "up to position
// p".
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/buffer.h"
#include "base/check.h"

namespace varve {

class OutputBuffer {
 public:
  // Position of the next byte appended.
  uint64_t end() const { return consumed_ + bytes_.size() - head_; }
  // Position of the next byte to send.
  uint64_t begin() const { return consumed_; }
  size_t size() const { return bytes_.size() - head_; }
  bool empty() const { return size() == 0; }
  size_t memory_used() const { return bytes_.capacity(); }

  void append(std::string_view bytes) { bytes_.append(bytes); }
  void append(const char* bytes, size_t n) { bytes_.append(bytes, n); }
  // Room for n bytes at the back, to be filled by the caller.
  char* extend(size_t n) {
    size_t at = bytes_.size();
    bytes_.resize(at + n);
    return bytes_.data() + at;
  }
  // Forgets everything from `position` on (a run that faulted).
  void truncate(uint64_t position) {
    VARVE_DCHECK(position >= consumed_ && position <= end());
    bytes_.resize(head_ + static_cast<size_t>(position - consumed_));
  }
  // Unsent bytes up to position `limit`.
  std::string_view unsent(uint64_t limit) const {
    uint64_t n = limit - consumed_;
    return {bytes_.data() + head_, n < size() ? static_cast<size_t>(n) : size()};
  }
  // Gives back the memory of an empty buffer; positions stay.
  void release_memory() {
    VARVE_DCHECK(empty());
    bytes_ = Buffer();
    head_ = 0;
  }
  void consume(size_t n) {
    head_ += n;
    consumed_ += n;
    if (head_ == bytes_.size()) {
      if (bytes_.capacity() > kKeep) bytes_ = Buffer();
      bytes_.clear();
      head_ = 0;
    } else if (head_ > kKeep && head_ > bytes_.size() / 2) {
      size_t left = bytes_.size() - head_;
      std::memmove(bytes_.data(), bytes_.data() + head_, left);
      bytes_.resize(left);
      head_ = 0;
    }
  }

 private:
  static constexpr size_t kKeep = 64 * 1024;
  Buffer bytes_;
  size_t head_ = 0;
  uint64_t consumed_ = 0;
};

}  // namespace varve
