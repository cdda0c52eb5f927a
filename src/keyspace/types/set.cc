#include "keyspace/types/set.h"

#include <algorithm>
#include <unordered_set>

#include "base/integer_text.h"

namespace varve {
namespace {

// Random members of a large set are taken from so many places at most, side by side in the order of their
// hashes, which is itself random.
constexpr uint64_t kPlacesMax = 64;

}  // namespace

bool Set::add(std::string_view member) {
  bool integer = !grown() && is_stored_as_integer(member);
  bool added = false;
  if (is_inline() && add_inline(member, integer, &added)) return added;
  make_key(member);
  ElementValue old;
  if (tx_.find_value(element_key_, &old)) return false;
  tx_.put_value(element_key_, {}, old);
  count_in(integer);
  return true;
}

void Set::add_new(std::string_view member) {
  if (is_inline()) {
    add(member);
    return;
  }
  make_key(member);
  tx_.put_value(element_key_, {}, ElementValue());
  count_in(!grown() && is_stored_as_integer(member));
}

// False when the set had to become elements: the member is not in it yet, but may be among them.
bool Set::add_inline(std::string_view member, bool integer, bool* added) {
  // All of an intset are integers, in their order: so the search also finds the place.
  size_t at = 0;
  size_t next = 0;
  std::string_view entry;
  for (; packed_.read(&next, &entry); at = next) {
    if (entry == member) return true;
    if (integer && compare_integer_texts(entry, member) > 0) break;
  }
  if (packed_.size() + Packed::cost(member) > kInlineCollectionMax) {
    to_elements();
    return false;
  }
  packed_.insert(at, member);
  count_in(integer);
  *added = true;
  return true;
}

void Set::count_in(bool integer) {
  ++record_.count;
  if (!grown()) record_.grown = !integer || record_.count > limits_.set_intset_entries;
  changed_ = true;
}

std::vector<std::string> Set::choose(uint64_t count, Random& random) {
  std::vector<std::string> chosen;
  count = std::min(count, size());
  Walk walk(*this);
  if (is_inline() || count > size() / 4) {
    uint64_t left = size();
    for (walk.seek_to_first(); walk.valid() && chosen.size() < count && left > 0; walk.next(), --left) {
      if (random.below(left) < count - chosen.size()) chosen.emplace_back(walk.member());
    }
    return chosen;
  }
  uint64_t at_each = (count + kPlacesMax - 1) / kPlacesMax;
  std::unordered_set<std::string> taken;
  while (taken.size() < count) {
    seek_random(walk, random);
    for (uint64_t i = 0; i < at_each && taken.size() < count; ++i) {
      for (uint64_t passed = 0; walk.valid() && taken.contains(std::string(walk.member())); ++passed) {
        if (passed > taken.size()) return {};  // there are fewer than the record says
        walk.next();
        if (!walk.valid() && !walk.missed()) walk.seek_to_first();
      }
      if (!walk.valid()) return {};  // behind a missing block
      taken.emplace(walk.member());
    }
  }
  for (auto it = taken.begin(); it != taken.end();) chosen.push_back(std::move(taken.extract(it++).value()));
  return chosen;
}

void Set::renew() {
  if (!grown() || size() > limits_.set_intset_entries) return;
  std::vector<std::string> members;
  Walk walk(*this);
  for (walk.seek_to_first(); walk.valid(); walk.next()) {
    if (!is_stored_as_integer(walk.member())) return;
    members.emplace_back(walk.member());
  }
  record_.grown = false;
  changed_ = true;
  if (!is_inline()) return;
  std::sort(members.begin(), members.end(),
            [](const std::string& a, const std::string& b) { return compare_integer_texts(a, b) < 0; });
  packed_.erase(0, packed_.size());
  for (const std::string& member : members) packed_.append(member);
}

void Set::clear() {
  record_.count = 0;
  changed_ = true;
}

}  // namespace varve
