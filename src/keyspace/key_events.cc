#include "keyspace/key_events.h"

#include <utility>

namespace varve {
namespace {

// In the order in which CONFIG GET prints them.
constexpr std::pair<char, uint32_t> kLetters[] = {
    {'g', kEventGeneric},  {'$', kEventString}, {'l', kEventList},    {'s', kEventSet},
    {'h', kEventHash},     {'z', kEventZset},   {'x', kEventExpired}, {'e', kEventEvicted},
    {'t', kEventStream},   {'d', kEventModule}, {'n', kEventNew},     {'K', kEventKeyspace},
    {'E', kEventKeyevent}, {'m', kEventMiss},
};

}  // namespace

std::optional<uint32_t> parse_event_classes(std::string_view letters) {
  uint32_t classes = 0;
  for (char letter : letters) {
    uint32_t found = letter == 'A' ? kEventAll : 0;
    for (auto [known, bit] : kLetters) {
      if (known == letter) found = bit;
    }
    if (found == 0) return std::nullopt;
    classes |= found;
  }
  return classes;
}

std::string format_event_classes(uint32_t classes) {
  bool all = (classes & kEventAll) == kEventAll;
  std::string letters = all ? "A" : "";
  for (auto [letter, bit] : kLetters) {
    // As Redis has it: beside an A not even n is printed.
    if (all && (bit & (kEventAll | kEventNew)) != 0) continue;
    if ((classes & bit) != 0) letters += letter;
  }
  return letters;
}

}  // namespace varve
