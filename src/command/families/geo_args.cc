#include "command/families/geo_args.h"

#include <fmt/format.h>

#include "command/numbers.h"

namespace varve {

bool point_argument(CommandContext& context, size_t at, GeoPoint* point) {
  if (!parse_double(context.args[at], &point->longitude) ||
      !parse_double(context.args[at + 1], &point->latitude)) {
    context.reply.error(errors::kNotFloat);
    return false;
  }
  if (point->longitude >= -kLongitudeMax && point->longitude <= kLongitudeMax &&
      point->latitude >= -kLatitudeMax && point->latitude <= kLatitudeMax) {
    return true;
  }
  context.reply.error(
      fmt::format("ERR invalid longitude,latitude pair {:f},{:f}", point->longitude, point->latitude));
  return false;
}

bool unit_argument(CommandContext& context, std::string_view text, double* metres) {
  static constexpr std::pair<const char*, double> kUnits[] = {
      {"m", 1}, {"km", 1000}, {"ft", 0.3048}, {"mi", 1609.34}};
  for (const auto& [name, length] : kUnits) {
    if (!equals_ignoring_case(text, name)) continue;
    *metres = length;
    return true;
  }
  context.reply.error(errors::kGeoUnit);
  return false;
}

void reply_distance(CommandContext& context, double distance) {
  context.reply.bulk(fmt::format("{:.4f}", distance));
}

void reply_point(CommandContext& context, const GeoPoint& point) {
  context.reply.array(2);
  for (double coordinate : {point.longitude, point.latitude}) {
    std::string text = format_long_double(coordinate);
    if (context.reply.protocol() < 3) {
      context.reply.bulk(text);
    } else {
      context.reply.out().append(fmt::format(",{}\r\n", text));
    }
  }
}

}  // namespace varve
