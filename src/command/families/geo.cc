// geo.cc: places as members of sorted sets, with their geohashes as scores (command/geohash.h). Searches
// stand in a file of their own.

#include "command/families/geo_args.h"
#include "command/families/helpers.h"
#include "command/families/rows.h"
#include "command/families/sorted_set_args.h"
#include "command/numbers.h"

namespace varve {
namespace {

void run_geoadd(CommandContext& context) {
  const auto& args = context.args;
  AddOptions options;
  size_t first = 2;
  for (; first < args.size(); ++first) {
    if (equals_ignoring_case(args[first], "nx")) {
      options.only_new = true;
    } else if (equals_ignoring_case(args[first], "xx")) {
      options.only_old = true;
    } else if (equals_ignoring_case(args[first], "ch")) {
      options.changed = true;
    } else {
      break;
    }
  }
  size_t words = args.size() - first;
  if (words == 0 || words % 3 != 0 || (options.only_new && options.only_old)) {
    return context.reply.error(errors::kSyntax);
  }
  std::vector<double> scores;
  std::vector<std::string_view> members;
  for (size_t i = first; i < args.size(); i += 3) {
    GeoPoint point;
    if (!point_argument(context, i, &point)) return;
    scores.push_back(geo_score(point));
    members.push_back(args[i + 2]);
  }
  add_scored_members(context, options, scores, members);
}

void run_geodist(CommandContext& context) {
  const auto& args = context.args;
  double unit = 1;
  if (args.size() == 5 && !unit_argument(context, args[4], &unit)) return;
  if (args.size() > 5) return context.reply.error(errors::kSyntax);
  Entry entry;
  if (!find_typed_for_reading(context, args[1], ValueType::kSortedSet, &entry)) return;
  SortedSet set = open_sorted_set(context, args[1], entry);
  double scores[2] = {};
  for (size_t i = 0; i < 2; ++i) {
    if (!set.find_score(args[i + 2], &scores[i])) return context.reply.null();
  }
  reply_distance(context, geo_distance(geo_point(scores[0]), geo_point(scores[1])) / unit);
}

// Of each member asked for its text or its place.
void reply_places(CommandContext& context, bool as_text) {
  Entry entry;
  if (!find_typed_for_reading(context, context.args[1], ValueType::kSortedSet, &entry)) return;
  SortedSet set = open_sorted_set(context, context.args[1], entry);
  context.reply.array(context.args.size() - 2);
  for (size_t i = 2; i < context.args.size(); ++i) {
    double score = 0;
    if (!set.find_score(context.args[i], &score)) {
      as_text ? context.reply.null() : context.reply.null_array();
    } else if (as_text) {
      context.reply.bulk(geo_text(score));
    } else {
      reply_point(context, geo_point(score));
    }
  }
}
void run_geohash(CommandContext& context) {
  reply_places(context, true);
}
void run_geopos(CommandContext& context) {
  reply_places(context, false);
}

}  // namespace

void add_geo_commands(CommandTable& table) {
  constexpr uint32_t kRead = kAclRead | kAclGeo;
  const std::vector<KeySpec> access = {{1, 1, 1, kKeyRO | kKeyAccess}};
  // clang-format off
  const CommandRow rows[] = {
      {"geoadd", -5, kCmdWrite | kCmdDenyOom, kAclWrite | kAclGeo, {{1, 1, 1, kKeyRW | kKeyUpdate}}, run_geoadd,
       "3.2.0", "geo", "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
       "Add one or more geospatial items in the geospatial index represented using a sorted set", {},
       static_cast<uint32_t>(kInlineCollectionMax)},
      {"geodist", -4, kCmdReadOnly, kRead, access, run_geodist, "3.2.0", "geo", "O(log(N))",
       "Returns the distance between two members of a geospatial index"},
      {"geohash", -2, kCmdReadOnly, kRead, access, run_geohash, "3.2.0", "geo",
       "O(log(N)) for each member requested, where N is the number of elements in the sorted set.",
       "Returns members of a geospatial index as standard geohash strings"},
      {"geopos", -2, kCmdReadOnly, kRead, access, run_geopos, "3.2.0", "geo",
       "O(N) where N is the number of members requested.",
       "Returns longitude and latitude of members of a geospatial index"},
  };
  // clang-format on
  for (const CommandRow& row : rows) table.add(make_command(row));
  add_geo_search_commands(table);
}

}  // namespace varve
