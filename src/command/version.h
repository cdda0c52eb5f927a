// version.h: the Redis whose commands and replies we have, as INFO, HELLO and LOLWUT tell it. Some software
// refuses to start below 7.0.
#pragma once

namespace varve {

inline constexpr const char* kRedisVersion = "7.2.0";

}  // namespace varve
