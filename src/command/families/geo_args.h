// geo_args.h: what geo commands share: places and lengths as arguments, and as replies.
#pragma once

#include <string_view>

#include "command/command_context.h"
#include "command/geohash.h"

namespace varve {

// args[at], args[at + 1]: longitude and latitude that can be placed. False: an error was replied.
bool point_argument(CommandContext& context, size_t at, GeoPoint* point);
// M, KM, FT or MI, in metres. False: an error was replied.
bool unit_argument(CommandContext& context, std::string_view text, double* metres);

void reply_distance(CommandContext& context, double distance);
// An array of longitude and latitude.
void reply_point(CommandContext& context, const GeoPoint& point);

}  // namespace varve
