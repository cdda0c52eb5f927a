// geohash.h: places on earth as numbers, as Redis's geo commands have them: longitude and latitude are cut
// into 2^26 steps each, whose bits alternate in one number of 52 bits (latitude in the even ones), which is
// the score of the place's member in a sorted set. A cell of the map at a coarser step is a range of scores.
//
// Every operation on doubles stands in the order in which Redis makes it, for the sake of the last digit.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace varve {

struct GeoPoint {
  double longitude = 0;
  double latitude = 0;
};

// What can be placed: the poles cannot.
inline constexpr double kLongitudeMax = 180;
inline constexpr double kLatitudeMax = 85.05112878;

// The score of a place within these bounds, and the middle of the cell that a score stands for, whatever
// number it is.
double geo_score(const GeoPoint& point);
GeoPoint geo_point(double score);
// A score as the integer that WITHHASH tells.
int64_t geo_integer(double score);
// The usual text of 11 letters for a score.
std::string geo_text(double score);

// In metres.
double geo_distance(const GeoPoint& a, const GeoPoint& b);

// What GEOSEARCH searches around a point: a circle, or a box by the directions of the compass.
struct GeoShape {
  GeoPoint center;
  bool is_box = false;
  double radius = 0;
  double width = 0;
  double height = 0;
  double unit = 1;  // of these three, in metres

  // True when the point is inside: its distance from the centre, in metres.
  bool contains(const GeoPoint& point, double* distance) const;
};

// Scores [min, max) of a cell.
struct ScoreRange {
  double min = 0;
  double max = 0;
};
// The cells, nine at most, that together hold everything in the shape, in the order in which Redis looks at
// them. With very large shapes a cell may come twice.
std::vector<ScoreRange> cells_around(const GeoShape& shape);

}  // namespace varve
