#include "command/geohash.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace varve {
namespace {

constexpr unsigned kFinestStep = 26;
constexpr double kRadiansPerDegree = std::numbers::pi / 180.0;
constexpr double kEarthRadius = 6372797.560856;
constexpr double kHalfEquator = 20037726.37;  // of the Mercator projection
constexpr uint64_t kEvenBits = 0x5555555555555555;
constexpr uint64_t kOddBits = ~kEvenBits;

double radians(double degrees) {
  return degrees * kRadiansPerDegree;
}
double degrees(double radians) {
  return radians / kRadiansPerDegree;
}

// The bits of a number, each with a zero behind it, and back.
uint64_t spread(uint32_t value) {
  uint64_t bits = value;
  bits = (bits | bits << 16) & 0x0000ffff0000ffff;
  bits = (bits | bits << 8) & 0x00ff00ff00ff00ff;
  bits = (bits | bits << 4) & 0x0f0f0f0f0f0f0f0f;
  bits = (bits | bits << 2) & 0x3333333333333333;
  return (bits | bits << 1) & kEvenBits;
}

uint32_t gather(uint64_t bits) {
  bits &= kEvenBits;
  bits = (bits | bits >> 1) & 0x3333333333333333;
  bits = (bits | bits >> 2) & 0x0f0f0f0f0f0f0f0f;
  bits = (bits | bits >> 4) & 0x00ff00ff00ff00ff;
  bits = (bits | bits >> 8) & 0x0000ffff0000ffff;
  return static_cast<uint32_t>(bits | bits >> 16);
}

// A cell of the map: 4^step of them cover it.
struct Cell {
  uint64_t bits = 0;
  unsigned step = 0;

  bool operator==(const Cell&) const = default;
  bool none() const { return bits == 0 && step == 0; }
};

struct Area {
  GeoPoint min, max;
};

Cell cell_of(const GeoPoint& point, unsigned step, double latitude_max = kLatitudeMax) {
  double latitude = (point.latitude + latitude_max) / (latitude_max * 2);
  double longitude = (point.longitude + kLongitudeMax) / (kLongitudeMax * 2);
  latitude *= static_cast<double>(uint64_t{1} << step);
  longitude *= static_cast<double>(uint64_t{1} << step);
  return {spread(static_cast<uint32_t>(latitude)) | spread(static_cast<uint32_t>(longitude)) << 1, step};
}

Area area_of(const Cell& cell) {
  auto side = static_cast<double>(uint64_t{1} << cell.step);
  double latitude = gather(cell.bits);
  double longitude = gather(cell.bits >> 1);
  auto place = [&](double max, double at) { return -max + (at / side) * (max * 2); };
  return {{place(kLongitudeMax, longitude), place(kLatitudeMax, latitude)},
          {place(kLongitudeMax, longitude + 1), place(kLatitudeMax, latitude + 1)}};
}

// The neighbour so many cells to the east and north (-1, 0, 1); around the world, in both directions.
Cell neighbour(Cell cell, int east, int north) {
  auto move = [&](uint64_t mine, uint64_t others, int by) {
    uint64_t bits = cell.bits & mine;
    uint64_t between = others >> (64 - cell.step * 2);  // all ones, so that a carry passes
    if (by > 0) bits += between + 1;
    if (by < 0) bits = (bits | between) - (between + 1);
    if (by != 0) bits &= mine >> (64 - cell.step * 2);
    cell.bits = bits | (cell.bits & others);
  };
  move(kOddBits, kEvenBits, east);
  move(kEvenBits, kOddBits, north);
  return cell;
}

// The step at which nine cells are surely larger than the radius.
unsigned step_for(double radius, double latitude) {
  if (radius == 0) return kFinestStep;
  int step = 1;
  for (; radius < kHalfEquator; radius *= 2) ++step;
  step -= 2;
  // Towards the poles cells are narrower.
  if (latitude > 66 || latitude < -66) --step;
  if (latitude > 80 || latitude < -80) --step;
  return static_cast<unsigned>(std::clamp(step, 1, static_cast<int>(kFinestStep)));
}

Area bounding_box(const GeoShape& shape) {
  const GeoPoint& center = shape.center;
  double height = shape.unit * (shape.is_box ? shape.height / 2 : shape.radius);
  double width = shape.unit * (shape.is_box ? shape.width / 2 : shape.radius);
  double latitude = degrees(height / kEarthRadius);
  // The side that is nearer to a pole spans more degrees.
  double widest = center.latitude < 0 ? center.latitude - latitude : center.latitude + latitude;
  double longitude = degrees(width / kEarthRadius / std::cos(radians(widest)));
  return {{center.longitude - longitude, center.latitude - latitude},
          {center.longitude + longitude, center.latitude + latitude}};
}

// A cell in the middle and those around it, in the order in which they are looked at.
struct Neighbourhood {
  static constexpr int kEast[9] = {0, 0, 0, 1, -1, 1, -1, 1, -1};
  static constexpr int kNorth[9] = {0, 1, -1, 0, 0, 1, 1, -1, -1};
  enum : size_t { kMiddle, kNorthern, kSouthern, kEastern, kWestern };

  explicit Neighbourhood(const Cell& middle) {
    for (size_t i = 0; i < 9; ++i) cells[i] = neighbour(middle, kEast[i], kNorth[i]);
  }
  // The cells do not reach as far as the box does.
  bool too_small(const Area& box) const {
    return area_of(cells[kNorthern]).max.latitude < box.max.latitude ||
           area_of(cells[kSouthern]).min.latitude > box.min.latitude ||
           area_of(cells[kEastern]).max.longitude < box.max.longitude ||
           area_of(cells[kWestern]).min.longitude > box.min.longitude;
  }
  // Those on this side are not looked at.
  void drop(int east, int north) {
    for (size_t i = 0; i < 9; ++i) {
      if ((east != 0 && kEast[i] == east) || (north != 0 && kNorth[i] == north)) cells[i] = Cell();
    }
  }

  Cell cells[9];
};

double latitude_distance(double a, double b) {
  return kEarthRadius * std::fabs(radians(a) - radians(b));
}

// The cell's first score at the finest step.
double first_score(uint64_t bits, unsigned step) {
  return static_cast<double>(bits << (2 * kFinestStep - 2 * step));
}

// As processors convert doubles that no 64 bits can hold; the scores of members need not be places.
uint64_t score_bits(double score) {
  constexpr double kHalf = 9223372036854775808.0;
  auto convert = [](double value) {
    return value >= -kHalf && value < kHalf ? static_cast<uint64_t>(static_cast<int64_t>(value))
                                            : uint64_t{1} << 63;
  };
  return score < kHalf ? convert(score) : convert(score - kHalf) ^ uint64_t { 1 } << 63;
}

}  // namespace

double geo_score(const GeoPoint& point) {
  return static_cast<double>(cell_of(point, kFinestStep).bits);
}

GeoPoint geo_point(double score) {
  Area area = area_of({score_bits(score), kFinestStep});
  double longitude = (area.min.longitude + area.max.longitude) / 2;
  double latitude = (area.min.latitude + area.max.latitude) / 2;
  return {std::clamp(longitude, -kLongitudeMax, kLongitudeMax),
          std::clamp(latitude, -kLatitudeMax, kLatitudeMax)};
}

int64_t geo_integer(double score) {
  constexpr double kHalf = 9223372036854775808.0;
  return score >= -kHalf && score < kHalf ? static_cast<int64_t>(score) : INT64_MIN;
}

std::string geo_text(double score) {
  constexpr const char* kLetters = "0123456789bcdefghjkmnpqrstuvwxyz";
  constexpr double kPole = 90;  // the usual texts go up to the poles
  uint64_t bits = cell_of(geo_point(score), kFinestStep, kPole).bits;
  std::string text;
  for (unsigned letter = 1; letter <= 10; ++letter)
    text.push_back(kLetters[bits >> (52 - letter * 5) & 0x1f]);
  text.push_back('0');  // 52 bits do not fill it
  return text;
}

double geo_distance(const GeoPoint& a, const GeoPoint& b) {
  double v = std::sin((radians(b.longitude) - radians(a.longitude)) / 2);
  if (v == 0.0) return latitude_distance(a.latitude, b.latitude);
  double from = radians(a.latitude);
  double to = radians(b.latitude);
  double u = std::sin((to - from) / 2);
  return 2.0 * kEarthRadius * std::asin(std::sqrt(u * u + std::cos(from) * std::cos(to) * v * v));
}

bool GeoShape::contains(const GeoPoint& point, double* distance) const {
  if (is_box) {
    if (latitude_distance(point.latitude, center.latitude) > height * unit / 2) return false;
    if (geo_distance(point, {center.longitude, point.latitude}) > width * unit / 2) return false;
  }
  *distance = geo_distance(center, point);
  return is_box || !(*distance > radius * unit);
}

std::vector<ScoreRange> cells_around(const GeoShape& shape) {
  Area box = bounding_box(shape);
  double reach =
      shape.is_box
          ? std::sqrt((shape.width / 2) * (shape.width / 2) + (shape.height / 2) * (shape.height / 2))
          : shape.radius;
  unsigned step = step_for(reach * shape.unit, shape.center.latitude);
  Cell middle = cell_of(shape.center, step);
  Neighbourhood around(middle);
  if (step > 1 && around.too_small(box)) {
    middle = cell_of(shape.center, --step);
    around = Neighbourhood(middle);
  }
  if (step >= 2) {
    Area area = area_of(middle);
    if (area.min.latitude < box.min.latitude) around.drop(0, -1);
    if (area.max.latitude > box.max.latitude) around.drop(0, 1);
    if (area.min.longitude < box.min.longitude) around.drop(-1, 0);
    if (area.max.longitude > box.max.longitude) around.drop(1, 0);
  }
  std::vector<ScoreRange> ranges;
  size_t last = 0;
  for (size_t i = 0; i < 9; ++i) {
    const Cell& cell = around.cells[i];
    if (cell.none() || (last > 0 && cell == around.cells[last])) continue;
    ranges.push_back({first_score(cell.bits, cell.step), first_score(cell.bits + 1, cell.step)});
    last = i;
  }
  return ranges;
}

}  // namespace varve
