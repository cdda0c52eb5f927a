#include "keyspace/types/hash.h"

namespace varve {

bool Hash::set(std::string_view field, std::string_view value) {
  bool added = false;
  if (!is_inline() || !set_inline(field, value, &added)) {
    if (is_inline()) to_elements();
    make_key(field);
    ElementValue old;
    added = !tx_.find_value(element_key_, &old);
    tx_.put_value(element_key_, value, old);
  }
  if (added) ++record_.count;
  if (!record_.grown) {
    record_.grown = field.size() > limits_.hash_value || value.size() > limits_.hash_value ||
                    record_.count > limits_.hash_entries;
  }
  changed_ = true;
  return added;
}

// False when it does not fit; then nothing was changed.
bool Hash::set_inline(std::string_view field, std::string_view value, bool* added) {
  size_t at = 0;
  size_t value_at = 0;
  *added = !locate(field, &at, &value_at);
  if (*added) {
    if (packed_.size() + Packed::cost(field) + Packed::cost(value) > kInlineCollectionMax) return false;
    packed_.append(field);
    packed_.append(value);
    return true;
  }
  size_t end = value_at;
  std::string_view old;
  if (!packed_.read(&end, &old)) return false;
  if (packed_.size() - Packed::cost(old) + Packed::cost(value) > kInlineCollectionMax) return false;
  packed_.replace(value_at, value);
  return true;
}

}  // namespace varve
