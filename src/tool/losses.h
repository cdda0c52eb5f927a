// losses.h: what a salvage could not save: a line for people, and where it can be told, the keys among which
// something is missing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lsm/table_meta.h"
#include "tool/directory.h"

namespace varve::tool {

class Losses {
 public:
  explicit Losses(Print print) : print_(std::move(print)) {}

  // Something is gone; no key can be named.
  void add(std::string_view text);
  // Records among these keys (their newest versions, or deletes) are gone.
  void add(std::string_view text, const KeyRange& keys);
  // A whole key that is left out. Only the first ones are printed.
  void add_key(std::string_view text);
  // Nothing is lost, but people should know.
  void note(std::string_view text) { print_("note: " + std::string(text)); }

  bool touches(const KeyRange& keys) const;
  bool empty() const { return count_ == 0; }
  uint64_t count() const { return count_; }

 private:
  Print print_;
  std::vector<KeyRange> ranges_;
  uint64_t count_ = 0;
  uint64_t keys_ = 0;
};

}  // namespace varve::tool
