#include "keyspace/types/set_algebra.h"

#include <algorithm>

#include "base/coding.h"
#include "keyspace/entry_format.h"
#include "keyspace/keyspace.h"
#include "keyspace/types/packed.h"

namespace varve {

SetSource::SetSource(std::string_view packed) {
  Packed members(packed);
  std::string_view member;
  for (size_t at = 0; members.read(&at, &member);) members_.emplace_back(member_hash(member), member);
  std::sort(members_.begin(), members_.end());
}

void SetSource::seek(uint32_t hash, std::string_view member) {
  if (elements_ == nullptr) {
    auto found = std::lower_bound(
        members_.begin(), members_.end(), member,
        [&](const auto& a, const auto& b) { return a.first != hash ? a.first < hash : a.second < b; });
    at_ = static_cast<size_t>(found - members_.begin());
  } else {
    elements_->seek(hash, member);
  }
  load();
}

void SetSource::next() {
  if (elements_ == nullptr) {
    ++at_;
  } else {
    elements_->next();
  }
  load();
}

void SetSource::load() {
  if (elements_ == nullptr) {
    valid_ = at_ < members_.size();
    if (!valid_) return;
    hash_ = members_[at_].first;
    member_ = members_[at_].second;
    return;
  }
  valid_ = elements_->valid();
  if (!valid_) return;
  damaged_ = !parse_member_key(elements_->key(), &hash_, &member_);
  valid_ = !damaged_;
}

void SetAlgebra::seek(uint32_t hash, std::string_view member) {
  hash_ = hash;
  member_.assign(member);
  found_ = false;
  for (SetSource& source : sources_) source.seek(hash, member);
}

bool SetAlgebra::damaged() const {
  return std::any_of(sources_.begin(), sources_.end(), [](const SetSource& s) { return s.damaged(); });
}

SetAlgebra::Result SetAlgebra::next(uint64_t* steps) {
  if (found_) member_.push_back('\0');
  found_ = false;
  Result result = operation_ == SetOperation::kUnion          ? next_of_union(steps)
                  : operation_ == SetOperation::kIntersection ? next_of_intersection(steps)
                                                              : next_of_difference(steps);
  found_ = result == Result::kFound;
  return result;
}

void SetAlgebra::move_to(const SetSource& source) {
  hash_ = source.hash();
  member_.assign(source.member());
}

void SetAlgebra::bring(SetSource& source, uint64_t* steps) const {
  constexpr int kNear = 4;  // so far by steps, farther by a seek
  for (int i = 0; source.valid() && source.compare(hash_, member_) < 0; ++i) {
    i < kNear ? source.next() : source.seek(hash_, member_);
    if (*steps > 0) --*steps;
  }
}

// The first of all that stand first.
SetAlgebra::Result SetAlgebra::next_of_union(uint64_t* steps) {
  if (*steps == 0) return Result::kPaused;
  const SetSource* first = nullptr;
  for (SetSource& source : sources_) {
    bring(source, steps);
    if (!source.valid()) continue;
    if (first == nullptr || source.compare(first->hash(), first->member()) < 0) first = &source;
  }
  if (first == nullptr) return Result::kEnd;
  move_to(*first);
  return Result::kFound;
}

// The place goes to whatever source stands farthest, until all stand there.
SetAlgebra::Result SetAlgebra::next_of_intersection(uint64_t* steps) {
  for (size_t agreed = 0, i = 0; agreed < sources_.size(); i = (i + 1) % sources_.size()) {
    if (*steps == 0) return Result::kPaused;
    SetSource& source = sources_[i];
    bring(source, steps);
    if (!source.valid()) return Result::kEnd;
    if (source.compare(hash_, member_) == 0) {
      ++agreed;
    } else {
      move_to(source);
      agreed = 1;
    }
  }
  return Result::kFound;
}

SetAlgebra::Result SetAlgebra::next_of_difference(uint64_t* steps) {
  SetSource& first = sources_.front();
  for (bring(first, steps); first.valid(); first.next()) {
    move_to(first);
    if (*steps == 0) return Result::kPaused;
    --*steps;
    bool elsewhere = false;
    for (size_t i = 1; i < sources_.size() && !elsewhere; ++i) {
      bring(sources_[i], steps);
      elsewhere = sources_[i].valid() && sources_[i].compare(hash_, member_) == 0;
    }
    if (!elsewhere) return Result::kFound;
  }
  return Result::kEnd;
}

}  // namespace varve
