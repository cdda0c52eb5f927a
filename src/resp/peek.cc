#include "resp/peek.h"

#include <cstddef>

namespace varve {
namespace {

constexpr size_t kDigits = 9;
constexpr size_t kArguments = 64;

// "<mark><number>\r\n" at *at, which moves behind it.
bool read_number(std::string_view input, size_t* at, char mark, size_t* number) {
  size_t i = *at;
  if (i >= input.size() || input[i] != mark) return false;
  size_t first = ++i;
  size_t n = 0;
  for (; i < input.size() && i - first < kDigits && input[i] >= '0' && input[i] <= '9'; ++i)
    n = n * 10 + static_cast<size_t>(input[i] - '0');
  if (i == first || input.size() - i < 2 || input[i] != '\r') return false;
  *at = i + 2;
  *number = n;
  return true;
}

}  // namespace

bool peek_request(std::string_view* input, PeekedRequest* request) {
  size_t at = 0;
  size_t arguments = 0;
  if (!read_number(*input, &at, '*', &arguments) || arguments > kArguments) return false;
  std::string_view first[3];
  for (size_t i = 0; i < arguments; ++i) {
    size_t size = 0;
    if (!read_number(*input, &at, '$', &size) || input->size() - at < size + 2) return false;
    if (i < 3) first[i] = {input->data() + at, size};
    at += size + 2;
  }
  *request = {first[0], first[1], first[2]};
  input->remove_prefix(at);
  return true;
}

}  // namespace varve
