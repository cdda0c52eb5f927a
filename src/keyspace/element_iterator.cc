#include "keyspace/element_iterator.h"

#include <algorithm>

#include "base/check.h"

namespace varve {

ElementIterator::ElementIterator(Overlay& overlay, std::unique_ptr<LiveIterator> records,
                                 std::string_view begin, std::string_view end)
    : overlay_(overlay), records_(std::move(records)), begin_(begin), end_(end) {
  VARVE_DCHECK(!begin.empty() && !end.empty());
}

void ElementIterator::seek(std::string_view key) {
  std::string from(std::max(key, std::string_view(begin_)));  // key may be this iterator's own
  merged_ = overlay_.touches(begin_, end_);
  own_ = false;
  records_->seek(from);
  if (merged_) settle_forward(from);
}

void ElementIterator::seek_before(std::string_view key) {
  std::string before(std::min(key, std::string_view(end_)));
  merged_ = overlay_.touches(begin_, end_);
  own_ = false;
  records_->seek_before(before);
  if (merged_) settle_backward(before);
}

void ElementIterator::next() {
  VARVE_DCHECK(valid());
  if (!merged_) return records_->next();
  std::string from(key());
  from.push_back('\0');
  if (!forward_) {
    records_->seek(from);
  } else if (!own_) {
    records_->next();
  }
  settle_forward(from);
}

void ElementIterator::prev() {
  VARVE_DCHECK(valid());
  if (!merged_) return records_->prev();
  std::string before(key());
  if (forward_) {
    records_->seek_before(before);
  } else if (!own_) {
    records_->prev();
  }
  settle_backward(before);
}

void ElementIterator::settle_forward(std::string_view from) {
  forward_ = true;
  skip_hidden(true);
  std::string_view key;
  own_ = overlay_.first_put(from, end_, &key, &own_value_);
  own_key_.assign(key);
  state_ = records_->state();
  if (state_ == IterState::kMiss || state_ == IterState::kError) {
    own_ = false;
    return;
  }
  if (own_ && state_ == IterState::kValid && records_->key() < own_key_) own_ = false;
  if (own_) state_ = IterState::kValid;
}

void ElementIterator::settle_backward(std::string_view before) {
  forward_ = false;
  skip_hidden(false);
  std::string_view key;
  own_ = overlay_.last_put(begin_, before, &key, &own_value_);
  own_key_.assign(key);
  state_ = records_->state();
  if (state_ == IterState::kMiss || state_ == IterState::kError) {
    own_ = false;
    return;
  }
  if (own_ && state_ == IterState::kValid && records_->key() > own_key_) own_ = false;
  if (own_) state_ = IterState::kValid;
}

void ElementIterator::skip_hidden(bool forward) {
  while (records_->valid()) {
    std::string_view begin, end, value;
    if (overlay_.deleted_around(records_->key(), &begin, &end)) {
      forward ? records_->seek(end) : records_->seek_before(begin);
    } else if (overlay_.find(records_->key(), &value) != Overlay::Answer::kUntouched) {
      forward ? records_->next() : records_->prev();
    } else {
      return;
    }
  }
}

}  // namespace varve
