#include "command/longest_common.h"

#include <algorithm>
#include <bit>

namespace varve {

LongestCommon::LongestCommon(std::string_view a, std::string_view b, bool whole)
    : a_(a), b_(b), words_(b.size() / 64 + 1) {
  if (a.empty() || b.empty()) return;
  // Where each byte stands in b; of those that are in a.
  std::vector<int> place(256, -1);
  std::vector<uint64_t> matches;
  for (char c : a) {
    int& at = place[static_cast<unsigned char>(c)];
    if (at >= 0) continue;
    at = static_cast<int>(matches.size() / words_);
    matches.resize(matches.size() + words_);
  }
  for (size_t j = 0; j < b.size(); ++j) {
    int at = place[static_cast<unsigned char>(b[j])];
    if (at >= 0) matches[static_cast<size_t>(at) * words_ + j / 64] |= uint64_t{1} << (j % 64);
  }
  // A zero bit: the length grows in this column. A match moves the nearest growth behind it to its place:
  // the carry of the addition runs there.
  std::vector<uint64_t> row(words_, UINT64_MAX);
  if (whole) rows_.reserve(a.size() * words_);
  for (char c : a) {
    const uint64_t* match = &matches[static_cast<size_t>(place[static_cast<unsigned char>(c)]) * words_];
    uint64_t carry = 0;
    for (uint64_t word = 0; word < words_; ++word) {
      uint64_t moved = row[word] & match[word];
      uint64_t sum = row[word] + moved;
      uint64_t more = sum < moved ? 1 : 0;
      sum += carry;
      more |= sum < carry ? 1 : 0;
      row[word] = sum | (row[word] & ~match[word]);
      carry = more;
    }
    if (whole) rows_.insert(rows_.end(), row.begin(), row.end());
  }
  for (size_t j = 0; j < b.size(); ++j) length_ += (row[j / 64] >> (j % 64) & 1) == 0 ? 1 : 0;
}

std::vector<LongestCommon::Run> LongestCommon::runs() const {
  std::vector<Run> runs;
  uint64_t i = a_.size();
  uint64_t j = b_.size();
  bool open = false;
  while (!rows_.empty() && i > 0 && j > 0) {
    if (a_[i - 1] == b_[j - 1]) {
      if (!open) runs.push_back({i, j, 0});
      open = true;
      --i;
      --j;
      runs.back().a = i;
      runs.back().b = j;
      ++runs.back().size;
      continue;
    }
    open = false;
    // Without the last byte of b there is less in common: so without that of a there is not.
    grows_at(i - 1, j - 1) ? --i : --j;
  }
  return runs;
}

}  // namespace varve
