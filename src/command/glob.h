// glob.h: Redis's patterns: * ? [abc] [^a-z] and \ before a character that means itself. Two corners are
// Redis's own: an empty text matches only the empty pattern, and a class that nobody closed ends with the
// pattern.
//
// Iterative: only the last * is ever tried again, so a match costs at most pattern * text steps, and it gives
// up ("no match") after kGlobStepsMax.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace varve {

inline constexpr uint64_t kGlobStepsMax = 1'000'000;

// Adds the steps it took to *spent, for callers that match many texts and must come to an end.
bool glob_matches(std::string_view pattern, std::string_view text, bool ignore_case = false,
                  uint64_t* spent = nullptr);
// The bytes every match begins with. *whole: nothing but them can match.
std::string glob_literal_prefix(std::string_view pattern, bool* whole);

}  // namespace varve
