#include "keyspace/types/rank_node.h"

#include <algorithm>

#include "base/check.h"
#include "base/coding.h"

namespace varve {
namespace {

constexpr uint8_t kLowest = 1;
constexpr uint8_t kWide = 2;

}  // namespace

bool RankNodeView::read(std::string_view bytes, bool lowest) {
  bytes_ = bytes;
  uint8_t kind = 0;
  uint8_t children = 0;
  if (!get_u8(&bytes, &kind) || !get_u8(&bytes, &children) || !get_length_prefixed(&bytes, &prefix_))
    return false;
  lowest_ = (kind & kLowest) != 0;
  wide_ = (kind & kWide) != 0;
  children_ = children;
  if (kind > (kLowest | kWide) || lowest_ != lowest || children_ == 0) return false;
  size_t ends = (children_ - 1) * (wide_ ? 4 : 2);
  size_t counts = children_ * (lowest_ ? 1 : 8);
  size_t nodes = lowest_ ? 0 : children_ * 4;
  if (bytes.size() < ends + counts + nodes) return false;
  ends_ = bytes.data();
  counts_ = ends_ + ends;
  nodes_ = counts_ + counts;
  texts_ = bytes.substr(ends + counts + nodes);
  return texts_.size() == (children_ == 1 ? 0 : end(children_ - 2));
}

size_t RankNodeView::end(size_t i) const {
  return wide_ ? decode_fixed32(ends_ + 4 * i) : decode_fixed16(ends_ + 2 * i);
}

// Of damaged ends something is made that stands within the bytes.
std::string_view RankNodeView::text(size_t child) const {
  size_t begin = child == 1 ? 0 : std::min(end(child - 2), texts_.size());
  size_t behind = end(child - 1);
  return texts_.substr(begin, behind > begin ? behind - begin : 0);
}

uint64_t RankNodeView::count(size_t child) const {
  return lowest_ ? static_cast<uint8_t>(counts_[child]) : decode_fixed64(counts_ + 8 * child);
}

uint64_t RankNodeView::count_before(size_t child) const {
  uint64_t sum = 0;
  if (lowest_) {
    for (size_t i = 0; i < child; ++i) sum += static_cast<uint8_t>(counts_[i]);
  } else {
    for (size_t i = 0; i < child; ++i) sum += decode_fixed64(counts_ + 8 * i);
  }
  return sum;
}

uint32_t RankNodeView::node(size_t child) const {
  return decode_fixed32(nodes_ + 4 * child);
}

size_t RankNodeView::find(std::string_view place) const {
  int order = place.substr(0, prefix_.size()).compare(prefix_);
  if (order < 0) return 0;
  if (order > 0) return children_ - 1;
  place.remove_prefix(prefix_.size());
  size_t begin = 1;
  size_t behind = children_;
  while (begin < behind) {
    size_t middle = (begin + behind) / 2;
    std::string_view from = text(middle);
    // One byte mostly decides.
    bool less =
        from.empty() || (!place.empty() && from.front() != place.front()
                             ? static_cast<uint8_t>(from.front()) < static_cast<uint8_t>(place.front())
                             : from <= place);
    if (less) {
      begin = middle + 1;
    } else {
      behind = middle;
    }
  }
  return begin - 1;
}

void RankNodeView::get_from(size_t child, std::string* from) const {
  from->assign(prefix_);
  from->append(text(child));
}

std::vector<RankChild> RankNodeView::take_apart() const {
  std::vector<RankChild> all(children_);
  for (size_t i = 0; i < children_; ++i) {
    if (i > 0) get_from(i, &all[i].from);
    all[i].count = count(i);
    all[i].node = lowest_ ? 0 : node(i);
  }
  return all;
}

size_t RankNodeView::count_offset(size_t child) const {
  return static_cast<size_t>(counts_ - bytes_.data()) + child * (lowest_ ? 1 : 8);
}

std::string make_rank_node(const std::vector<RankChild>& children, bool lowest) {
  VARVE_CHECK(!children.empty() && children.size() <= UINT8_MAX);
  std::string_view prefix;
  if (children.size() > 1) prefix = children[1].from;
  for (const RankChild& child : children) {
    if (&child == &children.front()) continue;
    auto differ = std::mismatch(prefix.begin(), prefix.end(), child.from.begin(), child.from.end());
    prefix = prefix.substr(0, static_cast<size_t>(differ.first - prefix.begin()));
  }
  size_t texts = 0;
  for (size_t i = 1; i < children.size(); ++i) texts += children[i].from.size() - prefix.size();
  bool wide = texts > UINT16_MAX;
  std::string out;
  out.reserve(prefix.size() + 16 * children.size() + texts + 16);
  out.push_back(static_cast<char>((lowest ? kLowest : 0) | (wide ? kWide : 0)));
  out.push_back(static_cast<char>(children.size()));
  put_length_prefixed(&out, prefix);
  size_t end = 0;
  for (size_t i = 1; i < children.size(); ++i) {
    end += children[i].from.size() - prefix.size();
    wide ? put_fixed32(&out, static_cast<uint32_t>(end)) : put_fixed16(&out, static_cast<uint16_t>(end));
  }
  for (const RankChild& child : children) {
    lowest ? out.push_back(static_cast<char>(child.count)) : put_fixed64(&out, child.count);
  }
  if (!lowest) {
    for (const RankChild& child : children) put_fixed32(&out, child.node);
  }
  for (size_t i = 1; i < children.size(); ++i)
    out += std::string_view(children[i].from).substr(prefix.size());
  return out;
}

}  // namespace varve
