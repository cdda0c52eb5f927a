// packed.h: a small collection in one string (format: entry_format.h), read in place and changed in a copy
// that is made at the first change. Entries are known by their place, an offset, which changes move: what
// stands behind a change shifts by the difference in size.
//
// The bytes come from disk: a length that does not fit ends the walk, and whole() tells.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace varve {

class Packed {
 public:
  Packed() = default;
  // The bytes must live until the first change.
  explicit Packed(std::string_view bytes) : bytes_(bytes) {}
  Packed(const Packed&) = delete;
  Packed& operator=(const Packed&) = delete;
  void reset(std::string_view bytes) {
    bytes_ = bytes;
    owned_ = false;
  }

  std::string_view bytes() const { return owned_ ? std::string_view(own_) : bytes_; }
  size_t size() const { return bytes().size(); }

  // The entry at *at, and *at behind it. False at the end, or on damage.
  bool read(size_t* at, std::string_view* entry) const;
  // Exactly `entries` entries stand here, no more and no less.
  bool whole(uint64_t entries) const;
  // The place of entry number `index`, counted from 0; size() when there are fewer.
  size_t place(uint64_t index) const;

  // In front of the entry at `at`; returns the place behind it.
  size_t insert(size_t at, std::string_view entry);
  void append(std::string_view entry) { insert(size(), entry); }
  // Instead of the entry at `at`.
  void replace(size_t at, std::string_view entry);
  void erase(size_t from, size_t to);
  // What an entry takes.
  static size_t cost(std::string_view entry);

 private:
  std::string& own();

  std::string_view bytes_;
  std::string own_;
  bool owned_ = false;
};

}  // namespace varve
