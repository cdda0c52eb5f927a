#include "keyspace/types/set.h"

#include "base/integer_text.h"

namespace varve {

bool Set::add(std::string_view member) {
  bool integer = !grown() && is_stored_as_integer(member);
  if (is_inline()) {
    // All of an intset are integers, in their order: so the search also finds the place.
    size_t at = 0;
    size_t next = 0;
    std::string_view entry;
    for (; packed_.read(&next, &entry); at = next) {
      if (entry == member) return false;
      if (integer && compare_integer_texts(entry, member) > 0) break;
    }
    if (packed_.size() + Packed::cost(member) <= kInlineCollectionMax) {
      packed_.insert(at, member);
    } else {
      to_elements();
    }
  }
  if (!is_inline()) {
    make_member_key(record_.collection, member, &element_key_);
    ElementValue old;
    if (tx_.find_value(element_key_, &old)) return false;
    tx_.put_value(element_key_, {}, old);
  }
  ++record_.count;
  if (!grown()) record_.grown = !integer || record_.count > limits_.set_intset_entries;
  changed_ = true;
  return true;
}

}  // namespace varve
