#include "fuzz/target.h"

#include <algorithm>

#include "base/coding.h"

namespace varve::fuzz {

std::vector<Target>& targets() {
  static std::vector<Target> list;
  return list;
}

uint64_t edge_number(Random* random, int bits) {
  uint64_t n = uint64_t{1} << random->below(static_cast<uint64_t>(bits));
  switch (random->below(4)) {
    case 0:
      n -= 1 + random->below(2);
      break;
    case 1:
      n += random->below(3);
      break;
    case 2:
      n = random->below(20);
      break;
    default:
      n = random->next();
      break;
  }
  return bits == 64 ? n : n & ((uint64_t{1} << bits) - 1);
}

void mutate_bytes(std::string* input, Random* random) {
  std::string& s = *input;
  if (s.empty()) s.push_back(static_cast<char>(random->next()));
  size_t at = random->below(s.size());
  size_t n = 1 + random->below(std::min<size_t>(s.size() - at, random->one_in(4) ? 200 : 8));
  switch (random->below(9)) {
    case 0:
      s[at] = static_cast<char>(s[at] ^ (1 << random->below(8)));
      break;
    case 1:
      s[at] = static_cast<char>(random->next());
      break;
    case 2:
      s.erase(at, n);
      break;
    case 3:
      s.insert(at, std::string(n, static_cast<char>(random->one_in(2) ? 0 : random->next())));
      break;
    case 4:
      s.insert(random->below(s.size()), s.substr(at, n));
      break;
    case 5: {
      size_t to = random->below(s.size());
      s.replace(to, std::min(n, s.size() - to), s.substr(at, n));
      break;
    }
    case 6:
      if (s.size() - at >= 4) encode_fixed32(s.data() + at, static_cast<uint32_t>(edge_number(random, 32)));
      break;
    case 7:
      if (s.size() - at >= 8) encode_fixed64(s.data() + at, edge_number(random, 64));
      break;
    default:
      s.resize(random->one_in(8) ? at : s.size());
      break;
  }
}

}  // namespace varve::fuzz
