// partial_sort.h: the sort that Redis uses where only some of the elements are wanted: Bentley and McIlroy's
// quicksort ("Engineering a sort function"), which leaves out the parts that hold none of them. It is not
// stable, so where elements are equal their order depends on each of its steps.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

namespace varve {

// Brings the first `wanted` elements (one at least) to their places. compare(a, b) is negative, 0 or
// positive.
template <class T, class Compare>
class PartialSort {
 public:
  PartialSort(std::vector<T>& all, size_t wanted, Compare compare)
      : all_(all), wanted_(wanted), compare_(compare) {
    sort(0, all.size());
  }

 private:
  int compare(size_t a, size_t b) const { return compare_(all_[a], all_[b]); }
  void swap(size_t a, size_t b) {
    if (a != b) std::swap(all_[a], all_[b]);
  }
  void swap_runs(size_t a, size_t b, size_t size) {
    for (size_t i = 0; i < size; ++i) swap(a + i, b + i);
  }

  size_t median(size_t a, size_t b, size_t c) const {
    if (compare(a, b) < 0) return compare(b, c) < 0 ? b : compare(a, c) < 0 ? c : a;
    return compare(b, c) > 0 ? b : compare(a, c) < 0 ? a : c;
  }

  size_t pivot(size_t begin, size_t size) const {
    size_t low = begin;
    size_t middle = begin + size / 2;
    size_t high = begin + size - 1;
    if (size == kFew) return middle;
    if (size > kMany) {
      size_t step = size / 8;
      low = median(low, low + step, low + 2 * step);
      middle = median(middle - step, middle, middle + step);
      high = median(high - 2 * step, high - step, high);
    }
    return median(low, middle, high);
  }

  void insert(size_t begin, size_t size) {
    for (size_t i = begin + 1; i < begin + size; ++i) {
      for (size_t at = i; at > begin && compare(at - 1, at) > 0; --at) swap(at, at - 1);
    }
  }

  void sort(size_t begin, size_t size) {
    while (size >= kFew) {
      swap(begin, pivot(begin, size));
      // Equal ones gather at both ends: [begin, equal_left) and [equal_right, end).
      size_t end = begin + size;
      size_t equal_left = begin + 1;
      size_t left = begin + 1;
      size_t right = end;
      size_t equal_right = end;
      bool swapped = false;
      while (true) {
        for (; left < right; ++left) {
          int side = compare(left, begin);
          if (side > 0) break;
          if (side < 0) continue;
          swapped = true;
          swap(equal_left++, left);
        }
        for (; left < right; --right) {
          int side = compare(right - 1, begin);
          if (side < 0) break;
          if (side > 0) continue;
          swapped = true;
          swap(right - 1, --equal_right);
        }
        if (left >= right) break;
        swap(left++, --right);
        swapped = true;
      }
      if (!swapped) break;
      size_t smaller = left - equal_left;
      size_t larger = equal_right - right;
      size_t moved = std::min(equal_left - begin, smaller);
      swap_runs(begin, left - moved, moved);
      moved = std::min(larger, end - equal_right);
      swap_runs(left, end - moved, moved);
      if (smaller > 1) sort(begin, smaller);  // begins in front of all that is wanted behind it
      if (larger <= 1 || end - larger >= wanted_) return;
      begin = end - larger;
      size = larger;
    }
    insert(begin, size);
  }

  static constexpr size_t kFew = 7;
  static constexpr size_t kMany = 40;
  std::vector<T>& all_;
  size_t wanted_;
  Compare compare_;
};

}  // namespace varve
