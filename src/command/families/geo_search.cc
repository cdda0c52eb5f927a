// geo_search.cc: GEOSEARCH, GEOSEARCHSTORE and their elder kin GEORADIUS...: the members of a sorted set that
// lie in a circle or a box.

#include <fmt/format.h>

#include <algorithm>

#include "command/families/geo_args.h"
#include "command/families/helpers.h"
#include "command/families/rows.h"
#include "command/families/sorted_set_args.h"
#include "command/numbers.h"
#include "command/partial_sort.h"

namespace varve {
namespace {

// The commands' differences.
struct SearchForm {
  enum class Kind : uint8_t { kAroundPoint, kAroundMember, kSearch, kSearchStore };
  Kind kind;
  bool may_store = false;  // of the elder ones

  bool is_search() const { return kind == Kind::kSearch || kind == Kind::kSearchStore; }
  size_t source() const { return kind == Kind::kSearchStore ? 2 : 1; }
};

enum class Order : uint8_t { kNone, kNearest, kFarthest };

struct SearchRequest {
  GeoShape shape;
  bool with_distance = false, with_hash = false, with_point = false;
  bool from_member = false, from_point = false, by_radius = false, by_box = false;
  bool any = false;    // of those found first
  uint64_t count = 0;  // 0: all
  Order order = Order::kNone;
  bool stores = false;
  bool stores_distance = false;
  std::string_view target;
};

class SearchParser {
 public:
  // `set`: what is searched; null when there is none, which is told when all arguments were looked at.
  SearchParser(CommandContext& context, SearchForm form, SortedSet* set, SearchRequest* request)
      : context_(context), args_(context.args), form_(form), set_(set), request_(*request) {}

  // False: an error was replied.
  bool parse() {
    if (!parse_fixed()) return false;
    while (at_ < args_.size()) {
      if (!parse_option()) return false;
    }
    return check();
  }

 private:
  using Kind = SearchForm::Kind;

  bool fail(std::string_view error) {
    context_.reply.error(error);
    return false;
  }

  // What has its place before the options.
  bool parse_fixed() {
    switch (form_.kind) {
      case Kind::kAroundPoint:
        at_ = 6;
        return point_argument(context_, 2, &request_.shape.center) && parse_radius(4);
      case Kind::kAroundMember:
        at_ = 5;
        return set_ == nullptr || (parse_member(2) && parse_radius(3));
      case Kind::kSearch:
      case Kind::kSearchStore:
        at_ = form_.source() + 1;
        request_.stores = form_.kind == Kind::kSearchStore;
        if (request_.stores) request_.target = args_[1];
        return true;
    }
    return false;
  }

  bool parse_member(size_t at) {
    double score = 0;
    if (!set_->find_score(args_[at], &score)) return fail(errors::kGeoMember);
    request_.shape.center = geo_point(score);
    return true;
  }

  bool parse_radius(size_t at) {
    GeoShape& shape = request_.shape;
    shape.is_box = false;
    if (!parse_double(args_[at], &shape.radius)) return fail(errors::kGeoRadius);
    if (shape.radius < 0) return fail(errors::kGeoNegativeRadius);
    return unit_argument(context_, args_[at + 1], &shape.unit);
  }

  bool parse_box(size_t at) {
    GeoShape& shape = request_.shape;
    shape.is_box = true;
    if (!parse_double(args_[at], &shape.width)) return fail(errors::kGeoWidth);
    if (!parse_double(args_[at + 1], &shape.height)) return fail(errors::kGeoHeight);
    if (shape.width < 0 || shape.height < 0) return fail(errors::kGeoNegativeBox);
    return unit_argument(context_, args_[at + 2], &shape.unit);
  }

  bool parse_count(size_t at) {
    int64_t count = 0;
    if (!integer_argument(context_, args_[at], &count)) return false;
    if (count <= 0) return fail(errors::kGeoCount);
    request_.count = static_cast<uint64_t>(count);
    return true;
  }

  bool parse_target(size_t at, bool distances) {
    request_.stores = true;
    request_.stores_distance = distances;
    request_.target = args_[at];
    return true;
  }

  // One option with what belongs to it.
  bool parse_option() {
    std::string_view word = args_[at_];
    size_t value = at_ + 1;
    size_t behind = args_.size() - value;
    auto is = [&](const char* name, size_t values) {
      bool same = behind >= values && equals_ignoring_case(word, name);
      if (same) at_ += 1 + values;
      return same;
    };
    bool search = form_.is_search();
    auto flag = [](bool& option) { return option = true; };
    if (is("withdist", 0)) return flag(request_.with_distance);
    if (is("withhash", 0)) return flag(request_.with_hash);
    if (is("withcoord", 0)) return flag(request_.with_point);
    if (is("any", 0)) return flag(request_.any);
    if (is("asc", 0)) return request_.order = Order::kNearest, true;
    if (is("desc", 0)) return request_.order = Order::kFarthest, true;
    if (is("count", 1)) return parse_count(value);
    if (!search && form_.may_store && is("store", 1)) return parse_target(value, false);
    if (!search && form_.may_store && is("storedist", 1)) return parse_target(value, true);
    if (search && !request_.from_point && is("frommember", 1)) {
      request_.from_member = true;
      return set_ == nullptr || parse_member(value);
    }
    if (search && !request_.from_member && is("fromlonlat", 2)) {
      request_.from_point = true;
      return point_argument(context_, value, &request_.shape.center);
    }
    if (search && !request_.by_box && is("byradius", 2))
      return flag(request_.by_radius) && parse_radius(value);
    if (search && !request_.by_radius && is("bybox", 3)) return flag(request_.by_box) && parse_box(value);
    if (form_.kind == Kind::kSearchStore && is("storedist", 0)) return flag(request_.stores_distance);
    return fail(errors::kSyntax);
  }

  bool check() {
    if (request_.stores && (request_.with_distance || request_.with_hash || request_.with_point)) {
      return fail(fmt::format("ERR {} is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
                              form_.is_search() ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS"));
    }
    if (form_.is_search() && !request_.from_member && !request_.from_point) {
      return fail(
          fmt::format("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {}", args_[0]));
    }
    if (form_.is_search() && !request_.by_radius && !request_.by_box) {
      return fail(fmt::format("ERR exactly one of BYRADIUS and BYBOX can be specified for {}", args_[0]));
    }
    if (request_.any && request_.count == 0) return fail(errors::kGeoAny);
    // Of some only, the nearest are meant.
    if (request_.count != 0 && request_.order == Order::kNone && !request_.any) {
      request_.order = Order::kNearest;
    }
    return true;
  }

  CommandContext& context_;
  const std::vector<std::string_view>& args_;
  SearchForm form_;
  SortedSet* set_;
  SearchRequest& request_;
  size_t at_ = 0;
};

struct Found {
  std::string member;
  double score;
  double distance;  // in metres
  GeoPoint point;
};

// False: they are too many to be held.
bool search(SortedSet& set, const SearchRequest& request, std::vector<Found>* found) {
  uint64_t bytes = 0;
  uint64_t most = request.any ? request.count : UINT64_MAX;
  std::string place;
  SortedSet::OrderWalk walk(set);
  for (const ScoreRange& cell : cells_around(request.shape)) {
    if (found->size() >= most) break;
    make_place(cell.min, "", &place);
    for (walk.seek_place(place); walk.valid() && walk.score() < cell.max && found->size() < most;
         walk.next()) {
      GeoPoint point = geo_point(walk.score());
      double distance = 0;
      if (!request.shape.contains(point, &distance)) continue;
      found->push_back({std::string(walk.member()), walk.score(), distance, point});
      bytes += walk.member().size() + sizeof(Found);
      if (bytes > kCopyMax) return false;
    }
  }
  return true;
}

void sort_found(const SearchRequest& request, std::vector<Found>* found) {
  bool cut = request.count != 0 && found->size() > request.count;
  if (request.order != Order::kNone) {
    int sign = request.order == Order::kNearest ? 1 : -1;
    auto compare = [sign](const Found& a, const Found& b) {
      return sign * ((a.distance > b.distance ? 1 : 0) - (a.distance < b.distance ? 1 : 0));
    };
    if (cut) {
      PartialSort(*found, request.count, compare);
    } else {
      std::stable_sort(found->begin(), found->end(),
                       [&](const Found& a, const Found& b) { return compare(a, b) < 0; });
    }
  }
  if (cut) found->erase(found->begin() + static_cast<ptrdiff_t>(request.count), found->end());
}

void reply_found(CommandContext& context, const SearchRequest& request, const std::vector<Found>& found) {
  uint64_t bytes = 0;
  for (const Found& one : found) bytes += one.member.size() + 128;
  if (bytes > context.host().max_reply()) return reply_too_long(context);
  uint64_t more =
      (request.with_distance ? 1 : 0) + (request.with_hash ? 1 : 0) + (request.with_point ? 1 : 0);
  context.reply.array(found.size());
  for (const Found& one : found) {
    if (more > 0) context.reply.array(more + 1);
    context.reply.bulk(one.member);
    if (request.with_distance) reply_distance(context, one.distance / request.shape.unit);
    if (request.with_hash) context.reply.integer(geo_integer(one.score));
    if (request.with_point) reply_point(context, one.point);
  }
}

void store_found(CommandContext& context, const SearchRequest& request, const SearchForm& form,
                 std::vector<Found>& found) {
  std::vector<ScoredMember> members;
  members.reserve(found.size());
  for (Found& one : found) {
    double score = request.stores_distance ? one.distance / request.shape.unit : one.score;
    members.push_back({std::move(one.member), score});
  }
  std::sort(members.begin(), members.end(), [](const ScoredMember& a, const ScoredMember& b) {
    return a.score != b.score ? a.score < b.score : a.member < b.member;
  });
  // With very large shapes a member may have been met twice.
  auto same = [](const ScoredMember& a, const ScoredMember& b) { return a.member == b.member; };
  members.erase(std::unique(members.begin(), members.end(), same), members.end());
  store_sorted_set(context, request.target, members, form.is_search() ? "geosearchstore" : "georadiusstore");
}

void run_search(CommandContext& context, const SearchForm& form) {
  std::string_view source = context.args[form.source()];
  Entry entry;
  if (!find_typed_for_reading(context, source, ValueType::kSortedSet, &entry)) return;
  SortedSet set = open_sorted_set(context, source, entry);
  SearchRequest request;
  if (!SearchParser(context, form, entry.exists ? &set : nullptr, &request).parse()) return;
  std::vector<Found> found;
  if (entry.exists && !search(set, request, &found)) return context.reply.error(errors::kCopyTooLong);
  sort_found(request, &found);
  request.stores ? store_found(context, request, form, found) : reply_found(context, request, found);
}

using Kind = SearchForm::Kind;

void run_georadius(CommandContext& context) {
  run_search(context, {Kind::kAroundPoint, true});
}
void run_georadius_ro(CommandContext& context) {
  run_search(context, {Kind::kAroundPoint, false});
}
void run_georadiusbymember(CommandContext& context) {
  run_search(context, {Kind::kAroundMember, true});
}
void run_georadiusbymember_ro(CommandContext& context) {
  run_search(context, {Kind::kAroundMember, false});
}
void run_geosearch(CommandContext& context) {
  run_search(context, {Kind::kSearch});
}
void run_geosearchstore(CommandContext& context) {
  run_search(context, {Kind::kSearchStore});
}

// Each STORE and STOREDIST: the last one counts, but nobody should hide one from ACL behind another.
void find_stores(const std::vector<std::string_view>& args, size_t options_from,
                 std::vector<FoundKey>* keys) {
  keys->push_back({1, kKeyRO | kKeyAccess});
  for (size_t i = options_from; i + 1 < args.size(); ++i) {
    if (!equals_ignoring_case(args[i], "store") && !equals_ignoring_case(args[i], "storedist")) continue;
    keys->push_back({static_cast<int>(++i), kKeyOW | kKeyUpdate});
  }
}

void georadius_keys(const std::vector<std::string_view>& args, std::vector<FoundKey>* keys) {
  find_stores(args, 6, keys);
}
void georadiusbymember_keys(const std::vector<std::string_view>& args, std::vector<FoundKey>* keys) {
  find_stores(args, 5, keys);
}

std::vector<KeySpec> source_and_stores(int options_from) {
  return {{1, 1, 1, kKeyRO | kKeyAccess},
          {0, 0, 1, kKeyOW | kKeyUpdate, false, "STORE", options_from},
          {0, 0, 1, kKeyOW | kKeyUpdate, false, "STOREDIST", options_from}};
}

}  // namespace

void add_geo_search_commands(CommandTable& table) {
  constexpr uint32_t kRead = kAclRead | kAclGeo;
  constexpr uint32_t kWrite = kAclWrite | kAclGeo;
  constexpr uint32_t kStores = kCmdWrite | kCmdDenyOom;
  const std::vector<KeySpec> access = {{1, 1, 1, kKeyRO | kKeyAccess}};
  const char* by_radius =
      "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited "
      "by "
      "center and radius and M is the number of items inside the index.";
  const char* by_shape =
      "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape "
      "provided as the filter and M is the number of items inside the shape";
  // clang-format off
  const CommandRow rows[] = {
      {"georadius", -6, kStores | kCmdMovableKeys, kWrite, source_and_stores(6), run_georadius, "3.2.0", "geo",
       by_radius,
       "Query a sorted set representing a geospatial index to fetch members matching a given maximum distance from "
       "a point", {}, 0, georadius_keys},
      {"georadius_ro", -6, kCmdReadOnly, kRead, access, run_georadius_ro, "3.2.10", "geo", by_radius,
       "A read-only variant for GEORADIUS"},
      {"georadiusbymember", -5, kStores | kCmdMovableKeys, kWrite, source_and_stores(5), run_georadiusbymember,
       "3.2.0", "geo", by_radius,
       "Query a sorted set representing a geospatial index to fetch members matching a given maximum distance from "
       "a member", {}, 0, georadiusbymember_keys},
      {"georadiusbymember_ro", -5, kCmdReadOnly, kRead, access, run_georadiusbymember_ro, "3.2.10", "geo", by_radius,
       "A read-only variant for GEORADIUSBYMEMBER"},
      {"geosearch", -7, kCmdReadOnly, kRead, access, run_geosearch, "6.2.0", "geo", by_shape,
       "Query a sorted set representing a geospatial index to fetch members inside an area of a box or a circle."},
      {"geosearchstore", -8, kStores, kWrite,
       {{1, 1, 1, kKeyOW | kKeyUpdate}, {2, 2, 1, kKeyRO | kKeyAccess}}, run_geosearchstore, "6.2.0", "geo",
       by_shape,
       "Query a sorted set representing a geospatial index to fetch members inside an area of a box or a circle, and "
       "store the result in another key."},
  };
  // clang-format on
  for (const CommandRow& row : rows) table.add(make_command(row));
}

}  // namespace varve
