// bitops.cc: BITOP. The result is worked out piece by piece, a segment each, and of a long one only pieces
// that are not all zeros are written.

#include <algorithm>

#include "base/coding.h"
#include "command/bits.h"
#include "command/families/helpers.h"
#include "command/families/rows.h"
#include "command/numbers.h"

namespace varve {
namespace {

enum class BitOperation : uint8_t { kAnd, kOr, kXor, kNot };

bool operation_argument(CommandContext& context, std::string_view text, BitOperation* operation) {
  static constexpr std::pair<const char*, BitOperation> kNames[] = {
      {"and", BitOperation::kAnd},
      {"or", BitOperation::kOr},
      {"xor", BitOperation::kXor},
      {"not", BitOperation::kNot},
  };
  for (const auto& [name, meant] : kNames) {
    if (!equals_ignoring_case(text, name)) continue;
    *operation = meant;
    return true;
  }
  context.reply.error(errors::kSyntax);
  return false;
}

// *into of as many bytes as `more`, or longer: what `more` lacks are zeros.
void combine(BitOperation operation, std::string_view more, std::string* into) {
  char* to = into->data();
  size_t common = std::min(more.size(), into->size());
  switch (operation) {
    case BitOperation::kAnd:
      for (size_t i = 0; i < common; ++i) to[i] = static_cast<char>(to[i] & more[i]);
      std::fill(into->begin() + static_cast<ptrdiff_t>(common), into->end(), '\0');
      break;
    case BitOperation::kOr:
      for (size_t i = 0; i < common; ++i) to[i] = static_cast<char>(to[i] | more[i]);
      break;
    case BitOperation::kXor:
      for (size_t i = 0; i < common; ++i) to[i] = static_cast<char>(to[i] ^ more[i]);
      break;
    case BitOperation::kNot:
      break;
  }
}

// One piece of the result: `size` bytes from `offset` on.
void compute_piece(CommandContext& context, BitOperation operation, const std::vector<Entry>& sources,
                   uint64_t offset, uint64_t size, std::string* piece) {
  std::string scratch;
  piece->clear();
  for (size_t i = 0; i < sources.size(); ++i) {
    std::string_view bytes;
    if (sources[i].exists) bytes = context.tx.read_string(sources[i], offset, size, &scratch);
    if (i == 0) {
      piece->assign(bytes);
      piece->resize(size, '\0');
    } else {
      combine(operation, bytes, piece);
    }
  }
  if (operation == BitOperation::kNot) {
    for (char& c : *piece) c = static_cast<char>(~c);
  }
}

// The result becomes the value of the key.
void store_result(CommandContext& context, BitOperation operation, const std::vector<Entry>& sources,
                  uint64_t length) {
  std::string_view key = context.args[2];
  Entry target;
  context.tx.find(context.db(), key, &target);
  Record record;
  record.form = StringForm::kRaw;
  std::string piece;
  if (length <= kInlineStringMax) {
    compute_piece(context, operation, sources, 0, length, &piece);
    return context.tx.put_string(context.db(), key, target, piece, record);
  }
  record.encoding = Encoding::kElements;
  record.collection = context.tx.fresh_collection();
  record.count = length;
  EngineKey segment_key;
  const ReadContext& read = context.tx.read();
  constexpr size_t kMissesMax = 64;  // are fetched together
  for (uint64_t at = 0; at < length && read.misses.size() < kMissesMax; at += kSegmentSize) {
    compute_piece(context, operation, sources, at, std::min<uint64_t>(kSegmentSize, length - at), &piece);
    // The first one is always there: the next operation behind fresh_collection() belongs to it.
    if (at > 0 && find_bit(piece, true) == kNoBit) continue;
    make_segment_key(record.collection, static_cast<uint32_t>(at / kSegmentSize), &segment_key);
    context.tx.put_element(segment_key, piece);
  }
  context.tx.put(context.db(), key, target, record);
}

void run_bitop(CommandContext& context) {
  const auto& args = context.args;
  BitOperation operation = BitOperation::kAnd;
  if (!operation_argument(context, args[1], &operation)) return;
  if (operation == BitOperation::kNot && args.size() != 4) return context.reply.error(errors::kBitopNot);
  std::vector<Entry> sources(args.size() - 3);
  uint64_t length = 0;
  for (size_t i = 0; i < sources.size(); ++i) {
    if (!find_typed_for_reading(context, args[i + 3], ValueType::kString, &sources[i])) return;
    if (sources[i].exists) length = std::max(length, sources[i].record.length());
  }
  if (length > kCopyMax) return context.reply.error(errors::kBitopTooLong);
  if (length > 0) {
    store_result(context, operation, sources, length);
    context.notify(kEventString, "set", args[2]);
  } else {
    Entry target;
    if (context.tx.find(context.db(), args[2], &target)) context.notify(kEventGeneric, "del", args[2]);
    context.tx.remove(context.db(), args[2], target);
  }
  context.reply.integer(static_cast<int64_t>(length));
}

}  // namespace

void add_bitop_commands(CommandTable& table) {
  table.add(make_command({"bitop",
                          -4,
                          kCmdWrite | kCmdDenyOom,
                          kAclWrite | kAclBitmap,
                          {{2, 2, 1, kKeyOW | kKeyUpdate}, {3, -1, 1, kKeyRO | kKeyAccess}},
                          run_bitop,
                          "2.6.0",
                          "bitmap",
                          "O(N)",
                          "Perform bitwise operations between strings",
                          {},
                          static_cast<uint32_t>(kInlineStringMax)}));
}

}  // namespace varve
