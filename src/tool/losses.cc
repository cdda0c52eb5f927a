#include "tool/losses.h"

#include <fmt/format.h>

#include <algorithm>

#include "lsm/table_dump.h"

namespace varve::tool {

void Losses::add(std::string_view text) {
  ++count_;
  print_("lost: " + std::string(text));
}

void Losses::add(std::string_view text, const KeyRange& keys) {
  add(fmt::format("{}: keys from {} to {}", text, printable(keys.begin), printable(keys.end)));
  ranges_.push_back(keys);
}

void Losses::add_key(std::string_view text) {
  constexpr uint64_t kMostPrinted = 1000;
  if (++keys_ <= kMostPrinted) return add(text);
  ++count_;
  if (keys_ == kMostPrinted + 1) print_("lost: more keys, not named any more");
}

bool Losses::touches(const KeyRange& keys) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const KeyRange& r) { return r.overlaps(keys); });
}

}  // namespace varve::tool
