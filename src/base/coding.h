// coding.h: integers as bytes. Fixed-width integers on disk are little-endian; integers inside keys are
// big-endian so that memcmp orders them. Varints are LEB128 (7 bits a byte, low bits first), at most 10
// bytes.
//
// Readers take a std::string_view by reference and advance it; they return false, leaving it in an
// unspecified place, when the bytes do not suffice. No length read here is trusted: get_length_prefixed
// checks it against what is there.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace varve {

static_assert(std::endian::native == std::endian::little, "varve supports little-endian machines only");

inline void encode_fixed16(char* dst, uint16_t v) {
  std::memcpy(dst, &v, sizeof v);
}
inline void encode_fixed32(char* dst, uint32_t v) {
  std::memcpy(dst, &v, sizeof v);
}
inline void encode_fixed64(char* dst, uint64_t v) {
  std::memcpy(dst, &v, sizeof v);
}
inline uint16_t decode_fixed16(const char* src) {
  uint16_t v;
  std::memcpy(&v, src, sizeof v);
  return v;
}
inline uint32_t decode_fixed32(const char* src) {
  uint32_t v;
  std::memcpy(&v, src, sizeof v);
  return v;
}
inline uint64_t decode_fixed64(const char* src) {
  uint64_t v;
  std::memcpy(&v, src, sizeof v);
  return v;
}

inline void encode_big32(char* dst, uint32_t v) {
  v = __builtin_bswap32(v);
  std::memcpy(dst, &v, sizeof v);
}
inline void encode_big64(char* dst, uint64_t v) {
  v = __builtin_bswap64(v);
  std::memcpy(dst, &v, sizeof v);
}
inline uint32_t decode_big32(const char* src) {
  return __builtin_bswap32(decode_fixed32(src));
}
inline uint64_t decode_big64(const char* src) {
  return __builtin_bswap64(decode_fixed64(src));
}

inline constexpr int kMaxVarintSize = 10;

// Writes `v` at dst (room for kMaxVarintSize bytes) and returns the byte after it.
inline char* encode_varint(char* dst, uint64_t v) {
  while (v >= 0x80) {
    *dst++ = static_cast<char>(v | 0x80);
    v >>= 7;
  }
  *dst++ = static_cast<char>(v);
  return dst;
}

// Reads a varint in [p, end); returns the byte after it, or nullptr when it is cut short or over-long.
inline const char* decode_varint(const char* p, const char* end, uint64_t* v) {
  if (p < end && static_cast<unsigned char>(*p) < 0x80) {
    *v = static_cast<unsigned char>(*p);
    return p + 1;
  }
  uint64_t result = 0;
  for (int shift = 0; shift <= 63 && p < end; shift += 7) {
    uint64_t byte = static_cast<unsigned char>(*p++);
    if (shift == 63 && byte > 1) return nullptr;
    result |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      *v = result;
      return p;
    }
  }
  return nullptr;
}

inline int varint_size(uint64_t v) {
  return v == 0 ? 1 : (std::bit_width(v) + 6) / 7;
}

inline void put_fixed16(std::string* dst, uint16_t v) {
  char b[2];
  encode_fixed16(b, v);
  dst->append(b, 2);
}
inline void put_fixed32(std::string* dst, uint32_t v) {
  char b[4];
  encode_fixed32(b, v);
  dst->append(b, 4);
}
inline void put_fixed64(std::string* dst, uint64_t v) {
  char b[8];
  encode_fixed64(b, v);
  dst->append(b, 8);
}
inline void put_big32(std::string* dst, uint32_t v) {
  char b[4];
  encode_big32(b, v);
  dst->append(b, 4);
}
inline void put_big64(std::string* dst, uint64_t v) {
  char b[8];
  encode_big64(b, v);
  dst->append(b, 8);
}
inline void put_varint(std::string* dst, uint64_t v) {
  char b[kMaxVarintSize];
  dst->append(b, static_cast<size_t>(encode_varint(b, v) - b));
}
inline void put_length_prefixed(std::string* dst, std::string_view v) {
  put_varint(dst, v.size());
  dst->append(v);
}
// Small negative numbers stay small.
inline uint64_t zigzag(int64_t v) {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
inline int64_t unzigzag(uint64_t v) {
  return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
}

inline bool get_bytes(std::string_view* in, size_t n, std::string_view* out) {
  if (in->size() < n) return false;
  *out = in->substr(0, n);
  in->remove_prefix(n);
  return true;
}
inline bool get_u8(std::string_view* in, uint8_t* v) {
  if (in->empty()) return false;
  *v = static_cast<uint8_t>(in->front());
  in->remove_prefix(1);
  return true;
}
inline bool get_fixed16(std::string_view* in, uint16_t* v) {
  std::string_view b;
  if (!get_bytes(in, 2, &b)) return false;
  *v = decode_fixed16(b.data());
  return true;
}
inline bool get_fixed32(std::string_view* in, uint32_t* v) {
  std::string_view b;
  if (!get_bytes(in, 4, &b)) return false;
  *v = decode_fixed32(b.data());
  return true;
}
inline bool get_fixed64(std::string_view* in, uint64_t* v) {
  std::string_view b;
  if (!get_bytes(in, 8, &b)) return false;
  *v = decode_fixed64(b.data());
  return true;
}
inline bool get_big32(std::string_view* in, uint32_t* v) {
  std::string_view b;
  if (!get_bytes(in, 4, &b)) return false;
  *v = decode_big32(b.data());
  return true;
}
inline bool get_big64(std::string_view* in, uint64_t* v) {
  std::string_view b;
  if (!get_bytes(in, 8, &b)) return false;
  *v = decode_big64(b.data());
  return true;
}
inline bool get_varint(std::string_view* in, uint64_t* v) {
  const char* p = decode_varint(in->data(), in->data() + in->size(), v);
  if (p == nullptr) return false;
  in->remove_prefix(static_cast<size_t>(p - in->data()));
  return true;
}
inline bool get_length_prefixed(std::string_view* in, std::string_view* out) {
  uint64_t n = 0;
  return get_varint(in, &n) && n <= in->size() && get_bytes(in, static_cast<size_t>(n), out);
}

}  // namespace varve
