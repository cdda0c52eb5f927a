#include "keyspace/types/packed.h"

#include "base/check.h"
#include "base/coding.h"

namespace varve {

bool Packed::read(size_t* at, std::string_view* entry) const {
  std::string_view all = bytes();
  if (*at >= all.size()) return false;
  const char* end = all.data() + all.size();
  uint64_t length = 0;
  const char* p = decode_varint(all.data() + *at, end, &length);
  if (p == nullptr || length > static_cast<size_t>(end - p)) return false;
  *entry = {p, static_cast<size_t>(length)};
  *at = static_cast<size_t>(p - all.data()) + static_cast<size_t>(length);
  return true;
}

bool Packed::whole(uint64_t entries) const {
  size_t at = 0;
  std::string_view entry;
  uint64_t found = 0;
  while (found <= entries && read(&at, &entry)) ++found;
  return found == entries && at == size();
}

size_t Packed::place(uint64_t index) const {
  size_t at = 0;
  std::string_view entry;
  for (uint64_t i = 0; i < index; ++i) {
    if (!read(&at, &entry)) return size();
  }
  return at;
}

size_t Packed::insert(size_t at, std::string_view entry) {
  VARVE_DCHECK(at <= size());
  char length[kMaxVarintSize];
  auto digits = static_cast<size_t>(encode_varint(length, entry.size()) - length);
  std::string& to = own();
  if (at == to.size()) {
    to.append(length, digits);
    to.append(entry);
  } else {
    to.insert(at, digits + entry.size(), '\0');
    std::memcpy(to.data() + at, length, digits);
    if (!entry.empty()) std::memcpy(to.data() + at + digits, entry.data(), entry.size());
  }
  return at + digits + entry.size();
}

void Packed::replace(size_t at, std::string_view entry) {
  size_t end = at;
  std::string_view old;
  VARVE_CHECK(read(&end, &old));
  if (old.size() == entry.size()) {
    size_t from = end - old.size();
    if (!entry.empty()) std::memcpy(own().data() + from, entry.data(), entry.size());
    return;
  }
  erase(at, end);
  insert(at, entry);
}

void Packed::erase(size_t from, size_t to) {
  VARVE_DCHECK(from <= to && to <= size());
  own().erase(from, to - from);
}

size_t Packed::cost(std::string_view entry) {
  return entry.size() + static_cast<size_t>(varint_size(entry.size()));
}

std::string& Packed::own() {
  if (!owned_) {
    own_.assign(bytes_);
    owned_ = true;
  }
  return own_;
}

}  // namespace varve
