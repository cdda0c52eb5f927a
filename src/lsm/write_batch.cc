#include "varve/write_batch.h"

#include <limits>

#include "base/coding.h"

namespace varve {
namespace {

constexpr uint8_t kBlindBit = 1 << 2;
constexpr uint8_t kCounterCode = 0x10;

uint8_t op_code(Kind kind, bool blind) {
  return static_cast<uint8_t>(kind) | (blind ? kBlindBit : 0);
}

bool get_limited(std::string_view* in, size_t limit, std::string_view* out) {
  uint64_t size = 0;
  return get_varint(in, &size) && size <= limit && get_bytes(in, static_cast<size_t>(size), out);
}

}  // namespace

void WriteBatch::put(std::string_view key, std::string_view value, bool blind) {
  if (!admit(key.size(), kMaxEngineKeySize) || !admit(value.size(), kMaxEngineValueSize)) return;
  bytes_.push_back(static_cast<char>(op_code(Kind::kPut, blind)));
  put_length_prefixed(&bytes_, key);
  put_length_prefixed(&bytes_, value);
  ++count_;
}

void WriteBatch::remove(std::string_view key, bool blind) {
  if (!admit(key.size(), kMaxEngineKeySize)) return;
  bytes_.push_back(static_cast<char>(op_code(Kind::kDelete, blind)));
  put_length_prefixed(&bytes_, key);
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
  if (!get_limited(&rest_, kMaxEngineKeySize, &op->key)) return false;
  switch (op->kind) {
    case Kind::kPut:
      return get_limited(&rest_, kMaxEngineValueSize, &op->value);
    case Kind::kDelete:
      return true;
    case Kind::kRangeDelete:
      return !op->blind && get_limited(&rest_, kMaxEngineKeySize, &op->value) && op->key < op->value;
  }
  return false;  // a kind this version does not know
}

}  // namespace varve
