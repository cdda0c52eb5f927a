#include "command/hyperloglog.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <limits>

#include "base/coding.h"

namespace varve {
namespace {

constexpr std::string_view kMagic = "HYLL";
constexpr size_t kEncodingAt = 4;
constexpr size_t kCardinalityAt = 8;
constexpr size_t kUnknownAt = 15;
constexpr size_t kHeaderSize = HyperLogLog::kHeaderSize;
constexpr char kDense = 0;
constexpr char kSparse = 1;
constexpr unsigned kIndexBits = 14;
constexpr unsigned kHashBits = 64 - kIndexBits;
constexpr unsigned kRegisterBits = 6;
constexpr uint8_t kRegisterMax = 63;
constexpr size_t kDenseSize = kHeaderSize + HyperLogLog::kRegisters * kRegisterBits / 8;
constexpr size_t kZerosMax = 64;
constexpr size_t kValueRunMax = 4;
constexpr uint8_t kSparseValueMax = 32;
constexpr size_t kNone = SIZE_MAX;

// MurmurHash64A with the seed that all HyperLogLogs of Redis are made with. Words are little-endian.
uint64_t hash_element(std::string_view bytes) {
  constexpr uint64_t kSeed = 0xadc83b19;
  constexpr uint64_t kFactor = 0xc6a4a7935bd1e995;
  constexpr unsigned kShift = 47;
  uint64_t hash = kSeed ^ (bytes.size() * kFactor);
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    uint64_t word = decode_fixed64(bytes.data()) * kFactor;
    word ^= word >> kShift;
    hash = (hash ^ word * kFactor) * kFactor;
  }
  if (!bytes.empty()) {
    uint64_t word = 0;
    for (size_t i = bytes.size(); i > 0; --i) word = word << 8 | static_cast<unsigned char>(bytes[i - 1]);
    hash = (hash ^ word) * kFactor;
  }
  hash = (hash ^ hash >> kShift) * kFactor;
  return hash ^ hash >> kShift;
}

// How many registers have each value.
using Histogram = std::array<uint64_t, kRegisterMax + 1>;

// The two series of Ertl's estimator ("New cardinality estimation algorithms for HyperLogLog sketches").
double sigma(double x) {
  if (x == 1.0) return std::numeric_limits<double>::infinity();
  double factor = 1;
  double sum = x;
  double before = 0;
  do {
    x *= x;
    before = sum;
    sum += x * factor;
    factor += factor;
  } while (before != sum);
  return sum;
}

double tau(double x) {
  if (x == 0.0 || x == 1.0) return 0.0;
  double factor = 1.0;
  double sum = 1 - x;
  double before = 0;
  do {
    x = std::sqrt(x);
    before = sum;
    factor *= 0.5;
    sum -= std::pow(1 - x, 2) * factor;
  } while (before != sum);
  return sum / 3;
}

uint64_t estimate_from(const Histogram& histogram) {
  constexpr double kAlpha = 0.721347520444481703680;  // 1 / (2 ln 2)
  constexpr double kAll = HyperLogLog::kRegisters;
  double sum = kAll * tau((kAll - static_cast<double>(histogram[kHashBits + 1])) / kAll);
  for (size_t value = kHashBits; value >= 1; --value) {
    sum += static_cast<double>(histogram[value]);
    sum *= 0.5;
  }
  sum += kAll * sigma(static_cast<double>(histogram[0]) / kAll);
  return static_cast<uint64_t>(std::llround(kAlpha * kAll * kAll / sum));
}

void put_zeros(size_t count, std::string* runs) {
  if (count > kZerosMax) {
    runs->push_back(static_cast<char>(0x40 | ((count - 1) >> 8)));
    runs->push_back(static_cast<char>((count - 1) & 0xff));
  } else if (count > 0) {
    runs->push_back(static_cast<char>(count - 1));
  }
}

char value_run(uint8_t value, size_t count) {
  return static_cast<char>(0x80u | static_cast<unsigned>(value - 1) << 2 | static_cast<unsigned>(count - 1));
}

void put_values(uint8_t value, size_t count, std::string* runs) {
  if (count > 0) runs->push_back(value_run(value, count));
}

}  // namespace

// Some registers of one value in a sparse one.
struct HyperLogLog::Run {
  size_t size;   // in bytes
  size_t count;  // of registers
  uint8_t value;
  bool wide;
};

// A run, the register it begins with, and the run before it.
struct HyperLogLog::Place {
  size_t at = kHeaderSize;
  size_t first = 0;
  size_t previous = kNone;
};

// What an element's hash shows: to which register it falls, and the run of zeros above the bits that say so,
// with the bit that ends it; a bit behind the last ends it at least.
struct HyperLogLog::Seen {
  Seen(size_t at, uint8_t run) : index(at), count(run) {}
  explicit Seen(std::string_view element) {
    uint64_t hash = hash_element(element);
    index = hash % kRegisters;
    count = static_cast<uint8_t>(std::countr_zero(hash >> kIndexBits | uint64_t{1} << kHashBits) + 1);
  }
  size_t index;
  uint8_t count;
};

bool HyperLogLog::is_one(std::string_view value) {
  if (value.size() < kHeaderSize || !value.starts_with(kMagic)) return false;
  if (value[kEncodingAt] == kDense) return value.size() == kDenseSize;
  return value[kEncodingAt] == kSparse;
}

std::string HyperLogLog::empty_value() {
  std::string value(kMagic);
  value.push_back(kSparse);
  value.resize(kHeaderSize, '\0');
  put_zeros(kRegisters, &value);
  return value;
}

// A run of two bytes that is cut off has a zero behind it, as strings of Redis do.
HyperLogLog::Run HyperLogLog::run_at(size_t at) const {
  auto byte = static_cast<unsigned char>(value_[at]);
  if ((byte & 0x80u) != 0) {
    return {1, (byte & 3u) + 1u, static_cast<uint8_t>((byte >> 2 & 0x1fu) + 1), false};
  }
  if ((byte & 0x40u) == 0) return {1, byte + 1u, 0, false};
  unsigned low = at + 1 < value_.size() ? static_cast<unsigned char>(value_[at + 1]) : 0;
  return {2, ((byte & 0x3fu) << 8 | low) + 1u, 0, true};
}

// Calls visit(first register, run); false when the runs do not come to the number of registers there are.
template <class Visit>
bool HyperLogLog::each_run(Visit visit) const {
  size_t first = 0;
  for (size_t at = kHeaderSize; at < value_.size();) {
    Run run = run_at(at);
    if (run.count > kRegisters - first) return false;
    visit(first, run);
    first += run.count;
    at += run.size;
  }
  return first == kRegisters;
}

HyperLogLog::Spot HyperLogLog::spot_of(const Seen& seen) {
  size_t bit = seen.index * kRegisterBits;
  unsigned shift = bit % 8;
  return {kHeaderSize + bit / 8, shift > 8 - kRegisterBits ? 2u : 1u, shift, seen.count};
}

HyperLogLog::Spot HyperLogLog::dense_spot(std::string_view element) {
  return spot_of(Seen(element));
}

bool HyperLogLog::Spot::raise(char* bytes) const {
  unsigned low = static_cast<unsigned char>(bytes[0]);
  unsigned high = size > 1 ? static_cast<unsigned char>(bytes[1]) : 0;
  unsigned both = high << 8 | low;
  if ((both >> shift & kRegisterMax) >= count) return false;
  both = (both & ~(unsigned{kRegisterMax} << shift)) | unsigned{count} << shift;
  bytes[0] = static_cast<char>(both & 0xffu);
  if (size > 1) bytes[1] = static_cast<char>(both >> 8);
  return true;
}

bool HyperLogLog::is_dense_and_uncounted(std::string_view header, uint64_t length) {
  return length == kDenseSize && header.size() == kHeaderSize && header.starts_with(kMagic) &&
         header[kEncodingAt] == kDense && (static_cast<unsigned char>(header[kUnknownAt]) & 0x80u) != 0;
}

uint8_t HyperLogLog::dense_register(size_t index) const {
  size_t bit = index * kRegisterBits;
  size_t at = kHeaderSize + bit / 8;
  unsigned low = static_cast<unsigned char>(value_[at]);
  unsigned high = at + 1 < value_.size() ? static_cast<unsigned char>(value_[at + 1]) : 0;
  return static_cast<uint8_t>((high << 8 | low) >> (bit % 8) & kRegisterMax);
}

bool HyperLogLog::raise_dense(size_t index, uint8_t count) {
  Spot spot = spot_of(Seen(index, count));
  return spot.raise(value_.data() + spot.at);
}

bool HyperLogLog::make_dense() {
  if (dense()) return true;
  HyperLogLog other(value_.substr(0, kHeaderSize), sparse_max_);
  other.value_.resize(kDenseSize, '\0');
  other.value_[kEncodingAt] = kDense;
  bool whole = each_run([&](size_t first, const Run& run) {
    for (size_t i = first; run.value > 0 && i < first + run.count; ++i) other.raise_dense(i, run.value);
  });
  if (whole) value_ = std::move(other.value_);
  return whole;
}

HyperLogLog::Added HyperLogLog::add(std::string_view element) {
  Seen seen(element);
  if (dense()) return raise_dense(seen.index, seen.count) ? Added::kYes : Added::kNo;
  Place from;
  return raise_sparse(seen.index, seen.count, &from);
}

bool HyperLogLog::surely_knows(std::string_view element) const {
  if (!dense()) return false;
  Seen seen(element);
  return dense_register(seen.index) >= seen.count;
}

// `from`: a place at or before the register, from where it is looked for; left where later registers can be
// looked for.
HyperLogLog::Added HyperLogLog::raise_sparse(size_t index, uint8_t count, Place* from) {
  if (count > kSparseValueMax) {
    return make_dense() && raise_dense(index, count) ? Added::kYes : Added::kDamaged;
  }
  Place here = *from;
  while (here.at < value_.size()) {
    Run run = run_at(here.at);
    if (index < here.first + run.count) break;
    *from = here;  // still begins there, whatever becomes of the run behind it
    here = {here.at + run.size, here.first + run.count, here.at};
  }
  if (here.at >= value_.size()) return Added::kDamaged;
  Run run = run_at(here.at);
  if (run.value >= count) return Added::kNo;
  std::string split;
  size_t before = index - here.first;
  size_t behind = run.count - before - 1;
  run.value == 0 ? put_zeros(before, &split) : put_values(run.value, before, &split);
  put_values(count, 1, &split);
  run.value == 0 ? put_zeros(behind, &split) : put_values(run.value, behind, &split);
  if (split.size() > run.size && value_.size() - run.size + split.size() > sparse_max_) {
    return make_dense() && raise_dense(index, count) ? Added::kYes : Added::kDamaged;
  }
  value_.replace(here.at, run.size, split);
  join_runs(here.previous == kNone ? kHeaderSize : here.previous);
  if (here.at == from->at) *from = Place();  // the run may have become part of the one before it
  return Added::kYes;
}

// Neighbours of one value become one run where that can be, among the five runs from here on.
void HyperLogLog::join_runs(size_t at) {
  for (int looked = 0; looked < 5 && at < value_.size(); ++looked) {
    Run run = run_at(at);
    if (run.value > 0 && at + 1 < value_.size()) {
      Run next = run_at(at + 1);
      if (next.value == run.value && run.count + next.count <= kValueRunMax) {
        value_[at] = value_run(run.value, run.count + next.count);
        value_.erase(at + 1, 1);
        continue;
      }
    }
    at += run.size;
  }
}

void HyperLogLog::raise(const Registers& registers) {
  Place from;
  for (size_t index = 0; index < kRegisters; ++index) {
    if (registers[index] == 0) continue;
    if (dense()) {
      raise_dense(index, registers[index]);
    } else {
      raise_sparse(index, registers[index], &from);
    }
  }
}

bool HyperLogLog::merge_into(Registers* registers) const {
  auto merge = [&](size_t index, uint8_t value) {
    if ((*registers)[index] < value) (*registers)[index] = value;
  };
  if (!dense()) {
    return each_run([&](size_t first, const Run& run) {
      for (size_t i = first; run.value > 0 && i < first + run.count; ++i) merge(i, run.value);
    });
  }
  for (size_t i = 0; i < kRegisters; ++i) merge(i, dense_register(i));
  return true;
}

bool HyperLogLog::known_cardinality(uint64_t* cardinality) const {
  *cardinality = decode_fixed64(value_.data() + kCardinalityAt);
  return (static_cast<unsigned char>(value_[kUnknownAt]) & 0x80u) == 0;
}

void HyperLogLog::forget_cardinality() {
  value_[kUnknownAt] = static_cast<char>(static_cast<unsigned char>(value_[kUnknownAt]) | 0x80u);
}

void HyperLogLog::set_cardinality(uint64_t cardinality) {
  encode_fixed64(value_.data() + kCardinalityAt, cardinality);
}

bool HyperLogLog::estimate(uint64_t* cardinality) const {
  Histogram histogram = {};
  bool whole = true;
  if (dense()) {
    for (size_t i = 0; i < kRegisters; ++i) ++histogram[dense_register(i)];
  } else {
    whole = each_run([&](size_t, const Run& run) { histogram[run.value] += run.count; });
  }
  *cardinality = whole ? estimate_from(histogram) : 0;
  return whole;
}

uint64_t HyperLogLog::estimate(const Registers& registers) {
  Histogram histogram = {};
  for (uint8_t value : registers) ++histogram[value];
  return estimate_from(histogram);
}

std::string HyperLogLog::describe_runs() const {
  std::string text;
  for (size_t at = kHeaderSize; at < value_.size();) {
    Run run = run_at(at);
    if (!text.empty()) text.push_back(' ');
    if (run.value > 0) {
      text += fmt::format("v:{},{}", run.value, run.count);
    } else {
      text += fmt::format("{}:{}", run.wide ? 'Z' : 'z', run.count);
    }
    at += run.size;
  }
  return text;
}

}  // namespace varve
