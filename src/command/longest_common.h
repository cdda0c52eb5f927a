// longest_common.h: the longest common subsequence of two strings (LCS).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace varve {

// A row of the usual table of lengths differs from column to column by 0 or 1, so a bit a cell tells all of
// it, and a row follows from the one before in a few operations on whole words.
class LongestCommon {
 public:
  // With `whole`, keeps every row: for walking back through them. Else only the length is known. Time and
  // memory: a.size() * (b.size() / 64 + 1) words.
  LongestCommon(std::string_view a, std::string_view b, bool whole);

  uint64_t length() const { return length_; }

  // The subsequence, from its end on: runs of bytes that stand together in both strings.
  struct Run {
    uint64_t a = 0, b = 0;  // where it begins
    uint64_t size = 0;
  };
  std::vector<Run> runs() const;

 private:
  // The first i + 1 bytes of a have one more in common with the first j + 1 of b than with the first j.
  bool grows_at(uint64_t i, uint64_t j) const { return (rows_[i * words_ + j / 64] >> (j % 64) & 1) == 0; }

  std::string_view a_, b_;
  uint64_t words_;  // of a row
  std::vector<uint64_t> rows_;
  uint64_t length_ = 0;
};

}  // namespace varve
