// records.h: records as tests draw them, and an iterator over a list of them.
//
//   a#9 put x      b#7 blind put x      c#5 delete      c#4 blind delete      [c,f)#8 (a range delete)
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lsm/iterator.h"
#include "lsm/key_format.h"

namespace varve::test {

struct Record {
  std::string key;
  Tag tag;
  std::string value;  // of a range delete: the end
};

Record parse_record(const std::string& line);
std::string describe_record(std::string_view key, Tag tag, std::string_view value);
// Into the order of iterator.h.
void sort_records(std::vector<Record>* records);

// Walks a sorted list. A record whose value is "miss" or "error" puts the iterator into that state.
class RecordListIterator final : public RecordIterator {
 public:
  explicit RecordListIterator(std::vector<Record> records) : records_(std::move(records)) {}

  Status status() const override;
  void seek_to_first() override;
  void seek_to_last() override;
  void seek(std::string_view key) override;
  void seek_before(std::string_view key) override;
  void next() override;
  void prev() override;

  int moves() const { return moves_; }

 private:
  size_t lower_bound(std::string_view key) const;
  // at == records_.size() is the end; so is wrapping below 0.
  void stand(size_t at);

  std::vector<Record> records_;
  size_t at_ = 0;
  int moves_ = 0;
};

}  // namespace varve::test
