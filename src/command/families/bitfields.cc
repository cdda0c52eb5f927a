// bitfields.cc: BITFIELD and BITFIELD_RO: numbers of any width anywhere in a string.

#include <algorithm>

#include "command/bits.h"
#include "command/families/bit_args.h"
#include "command/families/helpers.h"
#include "command/families/rows.h"
#include "command/numbers.h"

namespace varve {
namespace {

struct FieldOperation {
  enum class Kind : uint8_t { kGet, kSet, kIncrement };
  Kind kind = Kind::kGet;
  BitfieldType type;
  uint64_t offset = 0;  // of its first bit
  int64_t number = 0;
  Overflow overflow = Overflow::kWrap;
};

bool type_argument(CommandContext& context, std::string_view text, BitfieldType* type) {
  text = text.substr(0, text.find('\0'));
  char sign = text.empty() ? '\0' : text.front();
  int64_t bits = 0;
  type->is_signed = sign == 'i';
  bool good = (sign == 'i' || sign == 'u') && parse_integer(text.substr(1), &bits) && bits >= 1 &&
              bits <= (type->is_signed ? 64 : 63);
  type->bits = static_cast<unsigned>(bits);
  if (!good) context.reply.error(errors::kBitfieldType);
  return good;
}

bool overflow_argument(CommandContext& context, std::string_view text, Overflow* overflow) {
  if (equals_ignoring_case(text, "wrap")) {
    *overflow = Overflow::kWrap;
  } else if (equals_ignoring_case(text, "sat")) {
    *overflow = Overflow::kSaturate;
  } else if (equals_ignoring_case(text, "fail")) {
    *overflow = Overflow::kFail;
  } else {
    context.reply.error(errors::kBitfieldOverflow);
    return false;
  }
  return true;
}

// False: an error was replied.
bool parse_operations(CommandContext& context, std::vector<FieldOperation>* operations) {
  using Kind = FieldOperation::Kind;
  const auto& args = context.args;
  Overflow overflow = Overflow::kWrap;
  for (size_t i = 2; i < args.size();) {
    size_t behind = args.size() - i - 1;
    if (equals_ignoring_case(args[i], "overflow") && behind >= 1) {
      if (!overflow_argument(context, args[i + 1], &overflow)) return false;
      i += 2;
      continue;
    }
    FieldOperation& operation = operations->emplace_back();
    operation.overflow = overflow;
    if (equals_ignoring_case(args[i], "set")) operation.kind = Kind::kSet;
    if (equals_ignoring_case(args[i], "incrby")) operation.kind = Kind::kIncrement;
    bool writes = operation.kind != Kind::kGet;
    if ((!writes && !equals_ignoring_case(args[i], "get")) || behind < (writes ? 3 : 2)) {
      context.reply.error(errors::kSyntax);
      return false;
    }
    if (!type_argument(context, args[i + 1], &operation.type) ||
        !bit_offset_argument(context, args[i + 2], true, operation.type.bits, &operation.offset) ||
        (writes && !integer_argument(context, args[i + 3], &operation.number))) {
      return false;
    }
    i += writes ? 4 : 3;
  }
  return true;
}

// The bytes that the field stands in, as they are now; those behind the string's end are zeros.
std::string field_bytes(CommandContext& context, const Entry& entry, const FieldOperation& operation) {
  uint64_t size = (operation.offset % 8 + operation.type.bits + 7) / 8;
  std::string scratch;
  std::string bytes;
  if (entry.exists) bytes = context.tx.read_string(entry, operation.offset / 8, size, &scratch);
  bytes.resize(size, '\0');
  return bytes;
}

// Makes the string as long as the farthest field that is written, even if it is not written in the end. True
// when that changes it.
bool make_room(CommandContext& context, const Entry& entry, uint64_t last_bit) {
  uint64_t length = entry.exists ? entry.record.length() : 0;
  bool grows = !entry.exists || last_bit / 8 >= length;
  if (grows) {
    context.tx.write_range(context.db(), context.args[1], entry, last_bit / 8, std::string_view("\0", 1),
                           StringForm::kRaw);
  } else if (must_become_raw(entry)) {
    context.tx.write_range(context.db(), context.args[1], entry, length, {}, StringForm::kRaw);
  }
  return grows;
}

enum class Outcome : uint8_t { kNothing, kWritten, kChanged };

Outcome run_operation(CommandContext& context, const FieldOperation& operation) {
  Entry entry;
  context.tx.find(context.db(), context.args[1], &entry);
  std::string bytes = field_bytes(context, entry, operation);
  auto first = static_cast<unsigned>(operation.offset % 8);
  int64_t old = read_field(bytes, first, operation.type);
  if (operation.kind == FieldOperation::Kind::kGet) {
    context.reply.integer(old);
    return Outcome::kNothing;
  }
  bool sets = operation.kind == FieldOperation::Kind::kSet;
  int64_t result = 0;
  bool overflows = sets ? add_in_field(operation.type, operation.number, 0, operation.overflow, &result)
                        : add_in_field(operation.type, old, operation.number, operation.overflow, &result);
  if (overflows && operation.overflow == Overflow::kFail) {
    context.reply.null();
    return Outcome::kNothing;
  }
  context.reply.integer(sets ? old : result);
  if (result == old) return Outcome::kWritten;
  write_field(bytes.data(), first, operation.type, result);
  context.tx.write_range(context.db(), context.args[1], entry, operation.offset / 8, bytes, StringForm::kRaw);
  return Outcome::kChanged;
}

void run_bitfield_command(CommandContext& context, bool may_write) {
  using Kind = FieldOperation::Kind;
  std::vector<FieldOperation> operations;
  if (!parse_operations(context, &operations)) return;
  bool writes = false;
  uint64_t last_bit = 0;
  for (const FieldOperation& operation : operations) {
    if (operation.kind == Kind::kGet) continue;
    writes = true;
    last_bit = std::max(last_bit, operation.offset + operation.type.bits - 1);
  }
  if (writes && !may_write) return context.reply.error(errors::kBitfieldReadOnly);
  Entry entry;
  if (writes ? !find_typed(context, context.args[1], ValueType::kString, &entry)
             : !find_typed_for_reading(context, context.args[1], ValueType::kString, &entry)) {
    return;
  }
  bool grown = writes && make_room(context, entry, last_bit);
  bool changed = false;
  context.reply.array(operations.size());
  for (const FieldOperation& operation : operations) {
    Outcome outcome = run_operation(context, operation);
    // That the string grew is an event only with an operation that was not refused.
    changed |= outcome == Outcome::kChanged || (grown && outcome == Outcome::kWritten);
  }
  if (changed) context.notify(kEventString, "setbit", context.args[1]);
}

void run_bitfield(CommandContext& context) {
  run_bitfield_command(context, true);
}
void run_bitfield_ro(CommandContext& context) {
  run_bitfield_command(context, false);
}

// Whether it asks for nothing but GET, as far as it can be understood.
bool only_gets(const std::vector<std::string_view>& args) {
  for (size_t i = 2; i < args.size();) {
    size_t behind = args.size() - i - 1;
    if (equals_ignoring_case(args[i], "get") && behind >= 2) {
      i += 3;
    } else if (equals_ignoring_case(args[i], "overflow") && behind >= 1) {
      i += 2;
    } else {
      return false;
    }
  }
  return true;
}

void bitfield_keys(const std::vector<std::string_view>& args, std::vector<FoundKey>* keys) {
  keys->push_back({1, only_gets(args) ? kKeyRO | kKeyAccess : kKeyRW | kKeyAccess | kKeyUpdate});
}

}  // namespace

void add_bitfield_commands(CommandTable& table) {
  // clang-format off
  const CommandRow rows[] = {
      {"bitfield", -2, kCmdWrite | kCmdDenyOom, kAclWrite | kAclBitmap,
       {{1, 1, 1, kKeyRW | kKeyAccess | kKeyUpdate | kKeyVariable}}, run_bitfield, "3.2.0", "bitmap",
       "O(1) for each subcommand specified", "Perform arbitrary bitfield integer operations on strings", {},
       kSegmentSize, bitfield_keys},
      {"bitfield_ro", -2, kCmdReadOnly | kCmdFast, kAclRead | kAclBitmap, {{1, 1, 1, kKeyRO | kKeyAccess}},
       run_bitfield_ro, "6.0.0", "bitmap", "O(1) for each subcommand specified",
       "Perform arbitrary bitfield integer operations on strings. Read-only variant of BITFIELD"},
  };
  // clang-format on
  for (const CommandRow& row : rows) table.add(make_command(row));
}

}  // namespace varve
