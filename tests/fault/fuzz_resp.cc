// Fuzzes the parser: whatever the bytes, and however they are cut, it must not read outside them, must hold
// no more memory than they justify, and must give the same commands as for the bytes in one piece. With
// libFuzzer: clang++ -fsanitize=fuzzer,address -DVARVE_LIBFUZZER ... Without, main() runs made-up inputs from
// a seed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "resp/parser.h"

namespace varve {
namespace {

// Commands and error as one text. `piece` 0: all at once; else at most so many bytes a time, in buffers of
// exact size, so that a sanitizer sees every byte read beyond them.
std::string parse_all(std::string_view bytes, size_t piece, const ParserLimits& limits) {
  Parser parser;
  std::string out;
  std::vector<char> pending;
  size_t fed = 0;
  while (fed < bytes.size()) {
    size_t n = piece == 0 ? bytes.size() : std::min(piece, bytes.size() - fed);
    std::vector<char> next(pending.begin(), pending.end());
    next.insert(next.end(), bytes.begin() + static_cast<std::ptrdiff_t>(fed),
                bytes.begin() + static_cast<std::ptrdiff_t>(fed + n));
    next.shrink_to_fit();
    pending.swap(next);
    fed += n;
    while (true) {
      ParseResult result = parser.parse({pending.data(), pending.size()}, limits);
      // Spans and views of at most one argument in six bytes, doubled by the vectors' growth.
      VARVE_CHECK(parser.memory_used() <= 4096 + pending.size() * 16);
      if (result == ParseResult::kError) return out + "!" + parser.error();
      if (result == ParseResult::kCommand) {
        VARVE_CHECK(!parser.args().empty() && parser.consumed() > 0);
        for (std::string_view arg : parser.args()) out.append(std::to_string(arg.size()) + ":").append(arg);
        out += "\n";
      }
      VARVE_CHECK(parser.consumed() <= pending.size());
      pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(parser.consumed()));
      if (result == ParseResult::kNeedMore) break;
    }
  }
  return out;
}

}  // namespace
}  // namespace varve

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace varve;
  if (size < 2) return 0;
  ParserLimits limits;
  limits.max_bulk = 1 + data[0] * 4;
  limits.max_multibulk = 64;
  limits.max_inline = 256;
  limits.unauthenticated = (data[1] & 1) != 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  std::string whole = parse_all(bytes, 0, limits);
  VARVE_CHECK(parse_all(bytes, 1, limits) == whole);
  VARVE_CHECK(parse_all(bytes, 2 + data[1] % 30, limits) == whole);
  return 0;
}

#ifndef VARVE_LIBFUZZER
// fuzz_resp [INPUTS [SEED]]
int main(int argc, char** argv) {
  uint64_t inputs = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : 20000;
  uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 1;
  std::printf("fuzz_resp %llu %llu\n", static_cast<unsigned long long>(inputs),
              static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  varve::Random random(seed);
  static const char* const pieces[] = {"*",
                                       "$",
                                       "\r\n",
                                       "\n",
                                       "\r",
                                       "*1\r\n",
                                       "*2\r\n",
                                       "$4\r\nPING\r\n",
                                       "$0\r\n\r\n",
                                       "*3\r\n$3\r\nSET\r\n",
                                       "$1\r\na\r\n",
                                       "-1",
                                       "0",
                                       "9",
                                       "18446744073709551616",
                                       "\"",
                                       "'",
                                       "\\",
                                       "\\x4",
                                       " ",
                                       "GET a\r\n",
                                       "*0\r\n",
                                       "$-1\r\n",
                                       "*-5\r\n",
                                       "$300\r\n"};
  for (uint64_t i = 0; i < inputs; ++i) {
    std::string bytes;
    bytes += static_cast<char>(random.next());
    bytes += static_cast<char>(random.next());
    for (uint64_t n = random.below(24); n > 0; --n) {
      if (random.one_in(5))
        bytes += static_cast<char>(random.next());
      else
        bytes += pieces[random.below(std::size(pieces))];
    }
    if (random.one_in(50)) bytes.append(random.below(400), 'x');
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
  return 0;
}
#endif
