#include "varve/write_batch.h"

#include <cstring>
#include <limits>

#include "base/coding.h"

namespace varve {
namespace {

constexpr uint8_t kBlindBit = 1 << 2;
constexpr uint8_t kCounterCode = 0x10;

uint8_t op_code(Kind kind, bool blind) {
  return static_cast<uint8_t>(kind) | (blind ? kBlindBit : 0);
}

// Bytes behind their length, from p on; returns the byte behind them, or nullptr when that is beyond `limit`
// or not all there.
inline const char* read_bytes(const char* p, const char* end, size_t limit, std::string_view* out) {
  uint64_t size = 0;
  p = decode_varint(p, end, &size);
  if (p == nullptr || size > limit || size > static_cast<size_t>(end - p)) return nullptr;
  *out = {p, static_cast<size_t>(size)};
  return p + size;
}

// A put or a delete up to its value. A short key goes with the bytes around it, in one piece.
void append_key(std::string* bytes, uint8_t code, std::string_view key, const size_t* value_size) {
  constexpr size_t kShortKey = 64;
  char head[1 + 2 * kMaxVarintSize + kShortKey];
  char* p = head;
  *p++ = static_cast<char>(code);
  p = encode_varint(p, key.size());
  if (key.size() <= kShortKey) {
    if (!key.empty()) std::memcpy(p, key.data(), key.size());
    p += key.size();
  } else {
    bytes->append(head, static_cast<size_t>(p - head)).append(key);
    p = head;
  }
  if (value_size != nullptr) p = encode_varint(p, *value_size);
  bytes->append(head, static_cast<size_t>(p - head));
}

}  // namespace

void WriteBatch::put(std::string_view key, std::string_view value, bool blind) {
  if (!admit(key.size(), kMaxEngineKeySize) || !admit(value.size(), kMaxEngineValueSize)) return;
  size_t size = value.size();
  append_key(&bytes_, op_code(Kind::kPut, blind), key, &size);
  bytes_.append(value);
  ++count_;
}

void WriteBatch::remove(std::string_view key, bool blind) {
  if (!admit(key.size(), kMaxEngineKeySize)) return;
  append_key(&bytes_, op_code(Kind::kDelete, blind), key, nullptr);
  ++count_;
}

void WriteBatch::remove_range(std::string_view begin, std::string_view end) {
  if (begin >= end) return;
  if (!admit(begin.size(), kMaxEngineKeySize) || !admit(end.size(), kMaxEngineKeySize)) return;
  bytes_.push_back(static_cast<char>(op_code(Kind::kRangeDelete, false)));
  put_length_prefixed(&bytes_, begin);
  put_length_prefixed(&bytes_, end);
  ++count_;
}

void WriteBatch::add_count(uint32_t id, int64_t delta) {
  if (delta == 0) return;
  bytes_.push_back(static_cast<char>(kCounterCode));
  put_varint(&bytes_, id);
  put_varint(&bytes_, zigzag(delta));
}

void WriteBatch::clear() {
  bytes_.clear();
  count_ = 0;
  valid_ = true;
}

bool WriteBatch::admit(size_t size, size_t limit) {
  if (size > limit) valid_ = false;
  return size <= limit;
}

bool BatchReader::next(Op* op) {
  if (rest_.empty() || corrupt_) return false;
  corrupt_ = !read_op(op);
  return !corrupt_;
}

bool BatchReader::read_op(Op* op) {
  uint8_t code = 0;
  if (!get_u8(&rest_, &code)) return false;
  *op = Op();
  if (code == kCounterCode) {
    uint64_t id = 0;
    uint64_t delta = 0;
    if (!get_varint(&rest_, &id) || id > std::numeric_limits<uint32_t>::max()) return false;
    if (!get_varint(&rest_, &delta)) return false;
    op->is_counter = true;
    op->counter_id = static_cast<uint32_t>(id);
    op->counter_delta = unzigzag(delta);
    return true;
  }
  op->kind = static_cast<Kind>(code & ~kBlindBit);
  op->blind = (code & kBlindBit) != 0;
  if (op->kind > Kind::kRangeDelete) return false;  // a kind this version does not know
  const char* end = rest_.data() + rest_.size();
  const char* p = read_bytes(rest_.data(), end, kMaxEngineKeySize, &op->key);
  if (p != nullptr && op->kind == Kind::kPut) {
    p = read_bytes(p, end, kMaxEngineValueSize, &op->value);
  } else if (p != nullptr && op->kind == Kind::kRangeDelete) {
    p = read_bytes(p, end, kMaxEngineKeySize, &op->value);
    if (op->blind || op->key >= op->value) return false;
  }
  if (p == nullptr) return false;
  rest_ = {p, static_cast<size_t>(end - p)};
  return true;
}

}  // namespace varve
