// buffer.h: an owned, growable run of bytes whose start is aligned to 4 KiB, for what goes to or comes from a
// file. Growing never zero-fills (unlike std::string), so filling it costs one copy.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>

namespace varve {

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t size) { resize(size); }
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  ~Buffer();

  char* data() { return data_; }
  const char* data() const { return data_; }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }

  void clear() { size_ = 0; }
  // New bytes are uninitialised.
  void resize(size_t size) {
    if (size > capacity_) grow(size);
    size_ = size;
  }
  void reserve(size_t capacity) {
    if (capacity > capacity_) grow(capacity);
  }
  void append(const char* bytes, size_t n) {
    if (n == 0) return;
    size_t at = size_;
    resize(at + n);
    std::memcpy(data_ + at, bytes, n);
  }
  void append(std::string_view bytes) { append(bytes.data(), bytes.size()); }

 private:
  void grow(size_t at_least);

  char* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace varve
