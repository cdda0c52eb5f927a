// bits.h: bits of strings as Redis numbers them: bit 0 is the highest one of the first byte. Numbers of some
// bits' width (BITFIELD) stand in big-endian order wherever they begin.
#pragma once

#include <cstdint>
#include <string_view>

namespace varve {

inline constexpr uint64_t kNoBit = UINT64_MAX;

// How many bits are set.
uint64_t count_bits(std::string_view bytes);
// The first bit that is set, or that is not; kNoBit when there is none.
uint64_t find_bit(std::string_view bytes, bool set);

// A number in a string: i8, u63.
struct BitfieldType {
  bool is_signed = false;
  unsigned bits = 0;  // 1 to 64; unsigned ones to 63
};
// A field touches no more bytes than this, the first of which holds its first bit.
inline constexpr uint64_t kFieldBytesMax = 9;

// The number whose first bit is bit `first` of bytes[0] (0 to 7). Bytes that are lacking count as zeros.
int64_t read_field(std::string_view bytes, unsigned first, BitfieldType type);
// Puts the low bits of `value` there; bytes must hold the whole field.
void write_field(char* bytes, unsigned first, BitfieldType type, int64_t value);

// What happens to a result that its field cannot hold.
enum class Overflow : uint8_t { kWrap, kSaturate, kFail };
// value + by, as the field can hold it: *result. True when that is not the sum (with kFail: no result).
bool add_in_field(BitfieldType type, int64_t value, int64_t by, Overflow overflow, int64_t* result);

}  // namespace varve
