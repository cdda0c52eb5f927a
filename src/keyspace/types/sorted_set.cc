#include "keyspace/types/sorted_set.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/plant.h"

namespace varve {
namespace {

// So many point deletes are dearer to later walks than a range delete.
constexpr uint64_t kPointDeletesMax = 64;
// Nearer to an end than this nothing is asked of the index.
constexpr uint64_t kStepsMax = 32;
constexpr char kMinusZero[] = {1};

std::string_view text_of(double score, char* buffer) {
  encode_score(buffer, score);
  return {buffer, kScoreSize};
}

bool is_minus_zero(double score) {
  return score == 0 && std::signbit(score);
}

}  // namespace

SortedSet::SortedSet(Transaction& tx, DatabaseId database, std::string_view key, const Entry& entry,
                     const CollectionLimits& limits)
    : Members(tx, database, key, entry, ValueType::kSortedSet), limits_(limits) {
  if (is_inline()) return;
  index_.set_collection(record_.collection);
  if (state_.decode(record_.payload)) return;
  tx_.fail(
      Status::corruption("keyspace: the state of collection {} cannot be understood", record_.collection));
  state_ = RankState();
}

bool SortedSet::find_score(std::string_view member, double* score) {
  ElementValue value;
  if (!find(member, &value)) return false;
  if (value.bytes.size() == kScoreSize) *score = decode_score(value.bytes.data());
  if (value.bytes.size() == kScoreSize && !std::isnan(*score)) return true;
  tx_.fail(Status::corruption("keyspace: a member of a sorted set has no score"));
  return false;
}

// --- changes ---

void SortedSet::count_in(std::string_view member) {
  ++record_.count;
  if (!record_.grown) {
    record_.grown = member.size() > limits_.zset_value || record_.count > limits_.zset_entries;
  }
  changed_ = true;
}

void SortedSet::add(std::string_view member, double score) {
  count_in(member);
  if (!grown() && score == 0) score = 0;  // Redis's listpacks know no -0
  if (is_inline() && add_inline(member, score)) return;
  bool counted = index_.counted();
  if (counted) index_.add(set_place(member, score));  // looks at what is there: sooner in front of the writes
  put_elements(member, score);
  if (!counted && record_.count > RankIndex::kCountedFrom) index_.build();
}

void SortedSet::fill(std::vector<ScoredMember>& members) {
  VARVE_CHECK(empty());
  if (members.empty()) return;
  size_t longest = 0;
  size_t packed = 0;
  for (const ScoredMember& one : members) {
    longest = std::max(longest, one.member.size());
    packed += Packed::cost(one.member) + kScoreSize + 1;
  }
  record_.grown = members.size() > limits_.zset_entries || longest > limits_.zset_value;
  if (!grown()) {
    for (ScoredMember& one : members) one.score += 0.0;  // Redis's listpacks know no -0
  }
  record_.count = members.size();
  changed_ = true;
  if (packed <= kInlineCollectionMax) return pack(members);
  leave_inline();
  put_all(members);
}

void SortedSet::pack(const std::vector<ScoredMember>& members) {
  char text[kScoreSize];
  for (const ScoredMember& one : members) {
    packed_.append(one.member);
    packed_.append(text_of(one.score, text));
  }
}

void SortedSet::put_all(const std::vector<ScoredMember>& members) {
  index_.set_collection(record_.collection);
  for (const ScoredMember& one : members) put_elements(one.member, one.score);
  if (members.size() <= RankIndex::kCountedFrom) return;
  size_t at = 0;
  index_.build([&](std::string_view* place) {
    if (at == members.size()) return false;
    *place = set_place(members[at].member, members[at].score);
    ++at;
    return true;
  });
}

void SortedSet::change(std::string_view member, double old_score, double score) {
  changed_ = true;
  if (!grown() && score == 0) score = 0;
  if (is_inline()) {
    size_t at = 0;
    size_t end = 0;
    std::string_view old;
    if (!locate(member, &at, &end) || !packed_.read(&end, &old)) return;
    packed_.erase(at, end);
    char text[kScoreSize];
    at = inline_place(member, score);
    packed_.insert(packed_.insert(at, member), text_of(score, text));
    return;
  }
  if (!planted(Plant::old_score_stays)) remove_place(member, old_score);
  if (index_.counted()) index_.add(set_place(member, score));
  put_elements(member, score);
}

size_t SortedSet::inline_place(std::string_view member, double score) const {
  size_t at = 0;
  size_t next = 0;
  std::string_view other;
  std::string_view bytes;
  for (; packed_.read(&next, &other) && packed_.read(&next, &bytes) && bytes.size() == kScoreSize;
       at = next) {
    double other_score = decode_score(bytes.data());
    if (other_score > score || (other_score == score && other > member)) break;
  }
  return at;
}

// False when it does not fit: then all members are elements.
bool SortedSet::add_inline(std::string_view member, double score) {
  char text[kScoreSize];
  std::string_view bytes = text_of(score, text);
  if (packed_.size() + Packed::cost(member) + Packed::cost(bytes) > kInlineCollectionMax) {
    spread();
    return false;
  }
  packed_.insert(packed_.insert(inline_place(member, score), member), bytes);
  return true;
}

void SortedSet::spread() {
  leave_inline();
  index_.set_collection(record_.collection);
  size_t at = 0;
  std::string_view member;
  std::string_view bytes;
  while (packed_.read(&at, &member) && packed_.read(&at, &bytes) && bytes.size() == kScoreSize) {
    put_elements(member, decode_score(bytes.data()));
  }
  packed_.reset({});
}

std::string_view SortedSet::set_place(std::string_view member, double score) {
  make_order_key(record_.collection, member, score, &order_key_);
  return order_key_.view().substr(kPartPrefixSize);
}

void SortedSet::put_elements(std::string_view member, double score) {
  char text[kScoreSize];
  make_member_key(record_.collection, member, &element_key_);
  tx_.put_value(element_key_, text_of(score, text), ElementValue());
  std::string_view place = set_place(member, score);
  tx_.put_element(order_key_, {kMinusZero, is_minus_zero(score) ? 1u : 0u});
  if (state_.make_room(place)) index_.forget_walk();
}

void SortedSet::remove_elements(std::string_view member, double score) {
  remove_place(member, score);
  make_member_key(record_.collection, member, &element_key_);
  tx_.remove_element(element_key_);
}

void SortedSet::remove_place(std::string_view member, double score) {
  std::string_view place = set_place(member, score);
  ++state_.removed;
  RankIndex::Stretch stretch;
  if (index_.counted() && !planted(Plant::rank_uncounted)) stretch = index_.remove(place);
  tx_.remove_element(order_key_);
  if (!stretch.first && !stretch.last) return;
  // Was it the first, or the last? Looked for between the mark and its place: behind it may be a wide gap.
  ElementIterator& others = index_.members();
  stretch.first ? others.seek_before(order_key_) : others.seek(order_key_);
  if (others.state() != IterState::kEnd) return;
  stretch.first ? state_.set_low(std::string(place) + '\0') : state_.set_high(place);
}

bool SortedSet::remove(std::string_view member) {
  double score = 0;
  if (is_inline()) return Members::remove(member);
  if (!find_score(member, &score) || record_.count == 0) return false;
  remove_elements(member, score);
  --record_.count;
  changed_ = true;
  return true;
}

void SortedSet::remove_range(uint64_t rank, uint64_t count, std::vector<ScoredMember>* removed) {
  VARVE_CHECK(rank <= size() && count <= size() - rank);
  if (count == 0) return;
  std::vector<ScoredMember> here;
  if (removed == nullptr) removed = &here;
  size_t from = removed->size();
  OrderWalk walk(*this);
  for (walk.seek_rank(rank); walk.valid(); walk.next()) {
    removed->push_back({std::string(walk.member()), walk.score()});
    if (removed->size() - from == count) break;  // behind the last may be a wide gap
  }
  if (removed->size() - from < count) {
    return tx_.fail(Status::corruption("keyspace: collection {} lacks members that its record speaks of",
                                       record_.collection));
  }
  if (count == size()) return clear();
  changed_ = true;
  if (is_inline()) {
    packed_.erase(packed_.place(rank * 2), packed_.place((rank + count) * 2));
    record_.count -= count;
    return;
  }
  std::string begin(set_place(removed->at(from).member, removed->at(from).score));
  std::string end(set_place(removed->back().member, removed->back().score));
  end.push_back('\0');
  bool few = count <= kPointDeletesMax;
  for (size_t i = from; i < removed->size() && few && index_.counted(); ++i) {
    std::string_view place = set_place(removed->at(i).member, removed->at(i).score);
    rank == 0 ? index_.remove_first(place) : void(index_.remove(place));
  }
  if (!few && index_.counted()) index_.remove_ranks(rank, count);
  for (size_t i = from; i < removed->size(); ++i) {
    const ScoredMember& one = removed->at(i);
    make_member_key(record_.collection, one.member, &element_key_);
    tx_.remove_element(element_key_);
    if (!few) continue;
    set_place(one.member, one.score);
    tx_.remove_element(order_key_);
  }
  if (!few) {
    make_element_key(record_.collection, Part::kOrder, begin, &element_key_);
    make_element_key(record_.collection, Part::kOrder, end, &order_key_);
    tx_.remove_elements(element_key_, order_key_);
  }
  if (rank == 0) state_.set_low(end);
  if (rank + count == size()) state_.set_high(begin);
  state_.removed += count;
  record_.count -= count;
}

void SortedSet::clear() {
  record_.count = 0;
  changed_ = true;
}

void SortedSet::save() {
  if (changed_ && !is_inline() && record_.count > 0) {
    if (worth_moving(state_.removed)) renew_id();
    if (!is_inline()) {
      index_.save();
      state_bytes_.clear();
      state_.encode(&state_bytes_);
      record_.payload = state_bytes_;
    }
  }
  Collection::save();
}

void SortedSet::renew_id() {
  std::vector<ScoredMember> members;
  size_t packed = 0;
  size_t bytes = 0;
  {
    OrderWalk walk(*this);
    for (walk.seek_rank(0); walk.valid(); walk.next()) {
      bytes += walk.member().size();
      if (bytes > kMovedBytesMax) return;
      packed += Packed::cost(walk.member()) + kScoreSize + 1;
      members.push_back({std::string(walk.member()), walk.score()});
    }
  }
  if (members.size() != record_.count) return;
  state_ = RankState();
  if (packed <= kInlineCollectionMax / 2) {  // half, so that it does not go to and fro
    record_.encoding = Encoding::kInline;
    record_.collection = 0;
    return pack(members);
  }
  record_.collection = tx_.fresh_collection();
  put_all(members);
}

// --- order ---

uint64_t SortedSet::count_before(std::string_view place) {
  uint64_t count = 0;
  if (is_inline()) {
    OrderWalk walk(*this);
    for (walk.seek_rank(0); walk.valid() && walk.place() < place; walk.next()) ++count;
    return count;
  }
  RankIndex::Position from = index_.find_place(place);
  EngineKey key;
  make_element_key(record_.collection, Part::kOrder, from.place, &key);
  ElementIterator& it = index_.members();
  for (it.seek(key); it.valid() && it.key().substr(kPartPrefixSize) < place; it.next()) ++count;
  return from.before + count;
}

void SortedSet::find_ranks(const PlaceRange& range, uint64_t* first, uint64_t* last) {
  *first = range.begin.empty() ? 0 : count_before(range.begin);
  *last = range.to_end ? size() : count_before(range.end);
  *first = std::min(*first, size());
  *last = std::clamp(*last, *first, size());
}

KeyRange SortedSet::order_range() const {
  KeyRange range = part_range(record_.collection, Part::kOrder);
  range.begin += state_.low;
  if (!state_.high.empty()) {
    EngineKey end;
    make_element_key(record_.collection, Part::kOrder, state_.high, &end);
    range.end.assign(end.view());
  }
  return range;
}

SortedSet::OrderWalk::OrderWalk(SortedSet& set) : set_(set) {
  if (!set.is_inline()) {
    elements_ = &set.index_.members();
    return;
  }
  size_t at = 0;
  std::string_view member;
  std::string_view bytes;
  while (set.packed_.read(&at, &member) && set.packed_.read(&at, &bytes)) {
    if (bytes.size() != kScoreSize) {
      set.tx_.fail(Status::corruption("keyspace: a member of a sorted set has no score"));
      return;
    }
    members_.push_back(member);
    scores_.push_back(decode_score(bytes.data()));
  }
}

void SortedSet::OrderWalk::seek_rank(uint64_t rank) {
  valid_ = false;
  if (rank >= set_.size()) return;
  at_ = static_cast<size_t>(rank);
  if (elements_ == nullptr) return load();
  if (rank + kStepsMax >= set_.size()) {
    elements_->seek_to_last();
    for (uint64_t back = set_.size() - 1 - rank; back > 0 && elements_->valid(); --back) elements_->prev();
    return load();
  }
  RankIndex::Position from;
  if (rank > kStepsMax) from = set_.index_.find_rank(rank);
  if (from.place.empty()) {
    elements_->seek_to_first();
  } else {
    EngineKey key;
    make_element_key(set_.record_.collection, Part::kOrder, from.place, &key);
    elements_->seek(key);
  }
  for (uint64_t steps = rank - from.before; steps > 0 && elements_->valid(); --steps) elements_->next();
  load();
}

void SortedSet::OrderWalk::seek_place(std::string_view place) {
  if (elements_ == nullptr) {
    for (at_ = 0, load(); valid_ && this->place() < place;) next();
    return;
  }
  EngineKey key;
  make_element_key(set_.record_.collection, Part::kOrder, place, &key);
  elements_->seek(key);
  load();
}

void SortedSet::OrderWalk::seek_before(std::string_view place) {
  if (elements_ == nullptr) {
    seek_place(place);
    return prev();
  }
  EngineKey key;
  make_element_key(set_.record_.collection, Part::kOrder, place, &key);
  elements_->seek_before(key);
  load();
}

void SortedSet::OrderWalk::seek_to_last() {
  valid_ = false;
  if (set_.size() > 0) seek_rank(set_.size() - 1);
}

void SortedSet::OrderWalk::next() {
  ++at_;
  if (elements_ != nullptr) elements_->next();
  load();
}

void SortedSet::OrderWalk::prev() {
  --at_;  // in front of the first: beyond all
  if (elements_ != nullptr) elements_->prev();
  load();
}

void SortedSet::OrderWalk::load() {
  if (elements_ == nullptr) {
    valid_ = at_ < members_.size();
    if (!valid_) return;
    member_ = members_[at_];
    score_ = scores_[at_];
    return;
  }
  valid_ = elements_->valid();
  if (!valid_) return;
  if (!parse_order_element(elements_->key(), elements_->value(), &member_, &score_)) {
    valid_ = false;
    set_.tx_.fail(Status::corruption("keyspace: an element of collection {} cannot be understood",
                                     set_.record_.collection));
  }
}

std::string SortedSet::OrderWalk::place() const {
  std::string place;
  make_place(score_, member_, &place);
  return place;
}

std::string SortedSet::check() {
  if (is_inline()) return {};
  if (index_.counted() != (state_.levels > 0)) return "not counted";
  if (index_.counted()) {
    std::string wrong = index_.check(size());
    if (!wrong.empty()) return wrong;
  }
  std::vector<ScoredMember> members;
  OrderWalk walk(*this);
  for (walk.seek_rank(0); walk.valid(); walk.next())
    members.push_back({std::string(walk.member()), walk.score()});
  if (members.size() != size()) return "members in order: " + std::to_string(members.size());
  for (const ScoredMember& one : members) {
    double score = 0;
    if (!find_score(one.member, &score) || score != one.score) return "the score of " + one.member;
  }
  Walk by_name(*this);
  uint64_t count = 0;
  for (by_name.seek_to_first(); by_name.valid(); by_name.next()) ++count;
  return count == size() ? std::string() : "members by name: " + std::to_string(count);
}

}  // namespace varve
