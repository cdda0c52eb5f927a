// bits.cc: SETBIT and GETBIT, which touch one segment of a long string; BITCOUNT and BITPOS, which walk over
// long ones in slices. BITFIELD and BITOP stand in files of their own.

#include <algorithm>

#include "command/bit_scan.h"
#include "command/families/bit_args.h"
#include "command/families/helpers.h"
#include "command/families/rows.h"
#include "command/numbers.h"

namespace varve {

bool bit_offset_argument(CommandContext& context, std::string_view text, bool may_count_fields, unsigned bits,
                         uint64_t* offset) {
  bool counts_fields = may_count_fields && !text.empty() && text.front() == '#';
  int64_t value = 0;
  bool good = parse_integer(text.substr(counts_fields ? 1 : 0), &value);
  // A product beyond 64 bits wraps, as it does in Redis.
  if (good && counts_fields) value = static_cast<int64_t>(static_cast<uint64_t>(value) * bits);
  good = good && value >= 0 && static_cast<uint64_t>(value) / 8 < context.host().max_bulk();
  *offset = static_cast<uint64_t>(value);
  if (!good) context.reply.error(errors::kBitOffset);
  return good;
}

bool must_become_raw(const Entry& entry) {
  return entry.record.form != StringForm::kRaw && entry.record.encoding == Encoding::kInline &&
         entry.record.payload.size() <= kEmbeddedStringMax;
}

namespace {

unsigned char byte_at(CommandContext& context, const Entry& entry, uint64_t offset) {
  if (!entry.exists) return 0;
  std::string scratch;
  std::string_view bytes = context.tx.read_string(entry, offset, 1, &scratch);
  return bytes.empty() ? 0 : static_cast<unsigned char>(bytes.front());
}

void run_setbit(CommandContext& context) {
  std::string_view key = context.args[1];
  uint64_t offset = 0;
  int64_t on = 0;
  if (!bit_offset_argument(context, context.args[2], false, 0, &offset)) return;
  if (!parse_integer(context.args[3], &on) || (on != 0 && on != 1)) {
    return context.reply.error(errors::kBitValue);
  }
  Entry old;
  if (!find_typed(context, key, ValueType::kString, &old)) return;
  uint64_t at = offset / 8;
  unsigned shift = 7 - offset % 8;
  unsigned char byte = byte_at(context, old, at);
  unsigned was = byte >> shift & 1u;
  bool changes = !old.exists || at >= old.record.length() || was != static_cast<unsigned>(on);
  if (changes || must_become_raw(old)) {
    char changed = static_cast<char>((byte & ~(1u << shift)) | static_cast<unsigned>(on) << shift);
    context.tx.write_range(context.db(), key, old, at, {&changed, 1}, StringForm::kRaw);
  }
  if (changes) context.notify(kEventString, "setbit", key);
  context.reply.integer(was);
}

void run_getbit(CommandContext& context) {
  uint64_t offset = 0;
  if (!bit_offset_argument(context, context.args[2], false, 0, &offset)) return;
  Entry entry;
  if (!find_typed_for_reading(context, context.args[1], ValueType::kString, &entry)) return;
  context.reply.integer(byte_at(context, entry, offset / 8) >> (7 - offset % 8) & 1);
}

// The answer of a look at some bits of an existing string, now or in slices.
void reply_scan(CommandContext& context, const Entry& entry, BitScan scan) {
  const Record& record = entry.record;
  uint64_t size = scan.end_byte() - scan.first_byte();
  if (record.encoding == Encoding::kInline) {
    scan.look(scan.first_byte(), record.payload.substr(scan.first_byte(), size), size);
    return context.reply.integer(scan.answer());
  }
  if (size > kBitsAtOnceMax && context.may_stream()) {
    return context.stream(std::make_unique<BitScanStream>(*context.engine(), record.collection, scan,
                                                          context.reply.protocol(), context.tx.read().seen));
  }
  if (size > kCopyMax) return context.reply.error(errors::kBitsInMulti);
  std::string scratch;
  while (size > 0 && !scan.settled()) {
    uint64_t at = scan.end_byte() - size;
    uint64_t piece = std::min<uint64_t>(kSegmentSize - at % kSegmentSize, size);
    scan.look(at, context.tx.read_string(entry, at, piece, &scratch), piece);
    size -= piece;
  }
  context.reply.integer(scan.answer());
}

// What BITCOUNT and BITPOS are asked to look at, in bits: [first, last], nothing when first > last.
struct BitRange {
  int64_t start = 0, end = 0;
  bool in_bits = false;
  uint64_t first = 0, last = 0;

  // Counts negative numbers from the end and cuts the range at the ends of the string. False: it is empty.
  bool fit(uint64_t length) {
    auto total = static_cast<int64_t>(in_bits ? length * 8 : length);
    if (start < 0) start = std::max<int64_t>(0, start + total);
    if (end < 0) end = std::max<int64_t>(0, end + total);
    end = std::min(end, total - 1);
    if (start > end) return false;
    first = static_cast<uint64_t>(in_bits ? start : start * 8);
    last = static_cast<uint64_t>(in_bits ? end : end * 8 + 7);
    return true;
  }
};

// BYTE or BIT; false: an error was replied.
bool unit_argument(CommandContext& context, std::string_view text, bool* in_bits) {
  *in_bits = equals_ignoring_case(text, "bit");
  if (*in_bits || equals_ignoring_case(text, "byte")) return true;
  context.reply.error(errors::kSyntax);
  return false;
}

void run_bitcount(CommandContext& context) {
  const auto& args = context.args;
  Entry entry;
  if (!find_typed_for_reading(context, args[1], ValueType::kString, &entry)) return;
  if (!entry.exists) return context.reply.integer(0);  // whatever else was said
  BitRange range;
  range.end = -1;
  if (args.size() == 4 || args.size() == 5) {
    if (!integer_argument(context, args[2], &range.start) || !integer_argument(context, args[3], &range.end))
      return;
    if (range.start < 0 && range.end < 0 && range.start > range.end) return context.reply.integer(0);
    if (args.size() == 5 && !unit_argument(context, args[4], &range.in_bits)) return;
  } else if (args.size() != 2) {
    return context.reply.error(errors::kSyntax);
  }
  if (!range.fit(entry.record.length())) return context.reply.integer(0);
  reply_scan(context, entry, BitScan::counting(range.first, range.last));
}

void run_bitpos(CommandContext& context) {
  const auto& args = context.args;
  int64_t bit = 0;
  if (!integer_argument(context, args[2], &bit)) return;
  if (bit != 0 && bit != 1) return context.reply.error(errors::kBitArgument);
  Entry entry;
  find_for_reading(context, args[1], &entry);
  if (!entry.exists) return context.reply.integer(bit == 1 ? -1 : 0);
  if (!is_string_or_absent(context, entry)) return;
  BitRange range;
  range.end = -1;
  if (args.size() > 6) return context.reply.error(errors::kSyntax);
  if (args.size() > 3 && !integer_argument(context, args[3], &range.start)) return;
  if (args.size() == 6 && !unit_argument(context, args[5], &range.in_bits)) return;
  if (args.size() > 4 && !integer_argument(context, args[4], &range.end)) return;
  if (!range.fit(entry.record.length())) return context.reply.integer(-1);
  // Behind a string whose end was not named come zeros without end.
  bool found_behind = bit == 0 && args.size() < 5;
  int64_t otherwise = found_behind ? static_cast<int64_t>(range.last + 1) : -1;
  reply_scan(context, entry, BitScan::finding(bit == 1, range.first, range.last, otherwise));
}

}  // namespace

void add_bit_commands(CommandTable& table) {
  constexpr uint32_t kRead = kAclRead | kAclBitmap;
  constexpr uint32_t kWrite = kAclWrite | kAclBitmap;
  const std::vector<KeySpec> access = {{1, 1, 1, kKeyRO | kKeyAccess}};
  // clang-format off
  const CommandRow rows[] = {
      {"bitcount", -2, kCmdReadOnly, kRead, access, run_bitcount, "2.6.0", "bitmap", "O(N)",
       "Count set bits in a string"},
      {"bitpos", -3, kCmdReadOnly, kRead, access, run_bitpos, "2.8.7", "bitmap", "O(N)",
       "Find first bit set or clear in a string"},
      {"getbit", 3, kCmdReadOnly | kCmdFast, kRead, access, run_getbit, "2.2.0", "bitmap", "O(1)",
       "Returns the bit value at offset in the string value stored at key"},
      {"setbit", 4, kCmdWrite | kCmdDenyOom, kWrite, {{1, 1, 1, kKeyRW | kKeyAccess | kKeyUpdate}}, run_setbit,
       "2.2.0", "bitmap", "O(1)", "Sets or clears the bit at offset in the string value stored at key", {},
       kSegmentSize},
  };
  // clang-format on
  for (const CommandRow& row : rows) table.add(make_command(row));
  add_bitfield_commands(table);
  add_bitop_commands(table);
}

}  // namespace varve
