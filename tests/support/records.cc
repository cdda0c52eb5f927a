#include "support/records.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

namespace varve::test {

Record parse_record(const std::string& line) {
  Record record;
  size_t hash = line.rfind('#');
  REQUIRE_MESSAGE(hash != std::string::npos, "not a record: " << line);
  std::istringstream words(line.substr(hash + 1));
  Sequence sequence = 0;
  std::string kind;
  words >> sequence >> kind;
  std::string name = line.substr(0, hash);
  if (name.size() > 3 && name.front() == '[' && name.back() == ')') {
    size_t comma = name.find(',');
    record.key = name.substr(1, comma - 1);
    record.value = name.substr(comma + 1, name.size() - comma - 2);
    record.tag = Tag::make(sequence, Kind::kRangeDelete);
    return record;
  }
  bool blind = kind == "blind";
  if (blind) words >> kind;
  REQUIRE_MESSAGE((kind == "put" || kind == "delete"), "not a record: " << line);
  record.key = name;
  record.tag = Tag::make(sequence, kind == "put" ? Kind::kPut : Kind::kDelete, blind);
  if (kind == "put") words >> record.value;
  return record;
}

std::string describe_record(std::string_view key, Tag tag, std::string_view value) {
  if (tag.kind() == Kind::kRangeDelete) return fmt::format("[{},{})#{}", key, value, tag.sequence());
  std::string blind = tag.blind() ? "blind " : "";
  std::string what = tag.kind() == Kind::kPut ? fmt::format("put {}", value) : "delete";
  return fmt::format("{}#{} {}{}", key, tag.sequence(), blind, what);
}

void sort_records(std::vector<Record>* records) {
  std::stable_sort(records->begin(), records->end(), [](const Record& a, const Record& b) {
    return compare_records(a.key, a.tag.sequence(), b.key, b.tag.sequence()) < 0;
  });
}

Status RecordListIterator::status() const {
  return state_ == IterState::kError ? Status::io_error("the list says so") : Status();
}

void RecordListIterator::seek_to_first() {
  stand(0);
}
void RecordListIterator::seek_to_last() {
  stand(records_.size() - 1);
}
void RecordListIterator::seek(std::string_view key) {
  stand(lower_bound(key));
}
void RecordListIterator::seek_before(std::string_view key) {
  stand(lower_bound(key) - 1);
}

void RecordListIterator::next() {
  REQUIRE(valid());
  stand(at_ + 1);
}

void RecordListIterator::prev() {
  REQUIRE(valid());
  stand(at_ - 1);
}

size_t RecordListIterator::lower_bound(std::string_view key) const {
  auto it =
      std::partition_point(records_.begin(), records_.end(), [&](const Record& r) { return r.key < key; });
  return static_cast<size_t>(it - records_.begin());
}

void RecordListIterator::stand(size_t at) {
  ++moves_;
  at_ = at;
  key_ = value_ = {};
  if (at >= records_.size()) {
    state_ = IterState::kEnd;
    return;
  }
  const Record& record = records_[at];
  if (record.value == "miss" || record.value == "error") {
    state_ = record.value == "miss" ? IterState::kMiss : IterState::kError;
    return;
  }
  key_ = record.key;
  tag_ = record.tag;
  value_ = record.value;
  state_ = IterState::kValid;
}

}  // namespace varve::test
