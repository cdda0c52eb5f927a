#include "resp/peek.h"

#include <algorithm>
#include <cstddef>

namespace varve {
namespace {

constexpr ptrdiff_t kDigits = 9;
constexpr size_t kArguments = 64;

// "<mark><number>\r\n" at p. Returns the byte behind, or nullptr when it is not that or not all there.
inline const char* read_number(const char* p, const char* end, char mark, size_t* number) {
  if (end - p < 4 || *p != mark) return nullptr;
  size_t digit = static_cast<size_t>(static_cast<unsigned char>(*++p)) - '0';
  if (digit > 9) return nullptr;
  size_t n = digit;
  const char* last = p + std::min<ptrdiff_t>(kDigits, end - p - 2);
  while (++p < last && (digit = static_cast<size_t>(static_cast<unsigned char>(*p)) - '0') <= 9)
    n = n * 10 + digit;
  if (*p != '\r') return nullptr;
  *number = n;
  return p + 2;
}

}  // namespace

bool peek_request(std::string_view* input, PeekedRequest* request) {
  const char* end = input->data() + input->size();
  size_t arguments = 0;
  const char* p = read_number(input->data(), end, '*', &arguments);
  if (p == nullptr || arguments > kArguments) return false;
  std::string_view first[3];
  for (size_t i = 0; i < arguments; ++i) {
    size_t size = 0;
    p = read_number(p, end, '$', &size);
    if (p == nullptr || static_cast<size_t>(end - p) < size + 2) return false;
    if (i < 3) first[i] = {p, size};
    p += size + 2;
  }
  *request = {first[0], first[1], first[2]};
  input->remove_prefix(static_cast<size_t>(p - input->data()));
  return true;
}

}  // namespace varve
