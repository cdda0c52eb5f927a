// hashes.cc: commands of hashes.

#include <fmt/format.h>

#include <cmath>

#include "command/families/helpers.h"
#include "command/families/member_replies.h"
#include "command/families/rows.h"
#include "command/numbers.h"
#include "keyspace/types/hash.h"

namespace varve {
namespace {

// A hash to be changed. False: WRONGTYPE was replied.
bool find_hash(CommandContext& context, Entry* entry) {
  return find_typed(context, context.args[1], ValueType::kHash, entry);
}
bool find_hash_for_reading(CommandContext& context, Entry* entry) {
  return find_typed_for_reading(context, context.args[1], ValueType::kHash, entry);
}

Hash open_hash(CommandContext& context, const Entry& entry) {
  return Hash(context.tx, context.db(), context.args[1], entry, context.host().collection_limits());
}

// --- writing ---

// Saves what was changed, which is an event, as is that nothing is left.
void save_changed(CommandContext& context, Hash& hash, const char* event) {
  hash.save();
  context.notify(kEventHash, event, context.args[1]);
  if (hash.empty()) context.notify(kEventGeneric, "del", context.args[1]);
}

// HSET and HMSET. False: an error was replied.
bool set_fields(CommandContext& context, int64_t* added) {
  const auto& args = context.args;
  if (args.size() % 2 == 1) {
    context.reply.error(
        fmt::format("ERR wrong number of arguments for '{}' command", context.command.full_name));
    return false;
  }
  for (size_t i = 2; i < args.size(); i += 2) {
    if (!member_fits(context, args[i])) return false;
  }
  Entry entry;
  if (!find_hash(context, &entry)) return false;
  Hash hash = open_hash(context, entry);
  for (size_t i = 2; i < args.size(); i += 2) {
    if (hash.set(args[i], args[i + 1])) ++*added;
  }
  save_changed(context, hash, "hset");
  return true;
}

void run_hset(CommandContext& context) {
  int64_t added = 0;
  if (set_fields(context, &added)) context.reply.integer(added);
}

void run_hmset(CommandContext& context) {
  int64_t added = 0;
  if (set_fields(context, &added)) context.reply.ok();
}

void run_hsetnx(CommandContext& context) {
  std::string_view field = context.args[2];
  Entry entry;
  if (!member_fits(context, field) || !find_hash(context, &entry)) return;
  Hash hash = open_hash(context, entry);
  if (hash.has(field)) return context.reply.integer(0);
  hash.set(field, context.args[3]);
  save_changed(context, hash, "hset");
  context.reply.integer(1);
}

void run_hdel(CommandContext& context) {
  Entry entry;
  if (!find_hash(context, &entry)) return;
  Hash hash = open_hash(context, entry);
  int64_t removed = 0;
  for (size_t i = 2; i < context.args.size() && !hash.empty(); ++i) {
    if (hash.remove(context.args[i])) ++removed;
  }
  if (removed > 0) save_changed(context, hash, "hdel");
  context.reply.integer(removed);
}

// The text of a field that a number is added to; false when it is absent or too long to be one.
bool read_number(Hash& hash, std::string_view field, bool* exists, std::string* text) {
  constexpr uint64_t kNumberMax = 5 * 1024;  // Redis's longest text of a float
  ElementValue value;
  *exists = hash.find(field, &value);
  if (!*exists || value.length >= kNumberMax) return false;
  text->assign(value.bytes);
  return true;
}

void run_hincrby(CommandContext& context) {
  std::string_view field = context.args[2];
  int64_t by = 0;
  if (!integer_argument(context, context.args[3], &by)) return;
  Entry entry;
  if (!member_fits(context, field) || !find_hash(context, &entry)) return;
  Hash hash = open_hash(context, entry);
  int64_t value = 0;
  bool exists = false;
  std::string text;
  bool number = read_number(hash, field, &exists, &text) && parse_integer(text, &value);
  if (exists && !number) return context.reply.error(errors::kHashNotInteger);
  if (__builtin_add_overflow(value, by, &value)) return context.reply.error(errors::kOverflow);
  IntegerText sum;
  format_integer(value, &sum);
  hash.set(field, sum.view);
  save_changed(context, hash, "hincrby");
  context.reply.integer(value);
}

void run_hincrbyfloat(CommandContext& context) {
  std::string_view field = context.args[2];
  long double by = 0;
  if (!parse_long_double(context.args[3], &by)) return context.reply.error(errors::kNotFloat);
  if (std::isinf(by)) return context.reply.error(errors::kInfiniteIncrement);
  Entry entry;
  if (!member_fits(context, field) || !find_hash(context, &entry)) return;
  Hash hash = open_hash(context, entry);
  long double value = 0;
  bool exists = false;
  std::string text;
  bool number = read_number(hash, field, &exists, &text) && parse_long_double(text, &value);
  if (exists && !number) return context.reply.error(errors::kHashNotFloat);
  value += by;
  if (std::isnan(value) || std::isinf(value)) return context.reply.error(errors::kNanOrInfinity);
  text = format_long_double(value);
  hash.set(field, text);
  save_changed(context, hash, "hincrbyfloat");
  context.reply.bulk(text);
}

// --- reading ---

// One value as a bulk. False: it would make the reply too long, which was replied.
bool reply_field(CommandContext& context, Hash& hash, std::string_view field, std::string* scratch) {
  ElementValue value;
  if (!hash.find(field, &value)) {
    context.reply.null();
    return true;
  }
  if (context.reply.out().end() - context.reply_start + value.length > context.host().max_reply()) {
    reply_too_long(context);
    return false;
  }
  context.reply.bulk(hash.read(field, value, scratch));
  return true;
}

void run_hget(CommandContext& context) {
  Entry entry;
  if (!find_hash_for_reading(context, &entry)) return;
  if (!entry.exists) return context.reply.null();
  Hash hash = open_hash(context, entry);
  std::string scratch;
  reply_field(context, hash, context.args[2], &scratch);
}

void run_hmget(CommandContext& context) {
  Entry entry;
  if (!find_hash_for_reading(context, &entry)) return;
  Hash hash = open_hash(context, entry);
  std::string scratch;
  context.reply.array(context.args.size() - 2);
  for (size_t i = 2; i < context.args.size(); ++i) {
    if (!reply_field(context, hash, context.args[i], &scratch)) return;
  }
}

void run_hlen(CommandContext& context) {
  Entry entry;
  if (!find_hash_for_reading(context, &entry)) return;
  context.reply.integer(entry.exists ? static_cast<int64_t>(entry.record.count) : 0);
}

void run_hstrlen(CommandContext& context) {
  Entry entry;
  if (!find_hash_for_reading(context, &entry)) return;
  Hash hash = open_hash(context, entry);
  ElementValue value;
  hash.find(context.args[2], &value);
  context.reply.integer(static_cast<int64_t>(value.length));
}

void run_hexists(CommandContext& context) {
  Entry entry;
  if (!find_hash_for_reading(context, &entry)) return;
  context.reply.integer(open_hash(context, entry).has(context.args[2]) ? 1 : 0);
}

void reply_whole(CommandContext& context, MemberPart part) {
  Entry entry;
  if (!find_hash_for_reading(context, &entry)) return;
  Hash hash = open_hash(context, entry);
  part == MemberPart::kBoth ? context.reply.map(hash.size()) : context.reply.array(hash.size());
  reply_members(context, hash, part);
}
void run_hgetall(CommandContext& context) {
  reply_whole(context, MemberPart::kBoth);
}
void run_hkeys(CommandContext& context) {
  reply_whole(context, MemberPart::kMembers);
}
void run_hvals(CommandContext& context) {
  reply_whole(context, MemberPart::kValues);
}

void run_hscan(CommandContext& context) {
  uint64_t cursor = 0;
  if (!parse_cursor(context, context.args[2], &cursor)) return;
  Entry entry;
  if (!find_hash_for_reading(context, &entry)) return;
  ScanOptions options;
  if (entry.exists && !parse_scan_options(context, 3, false, &options)) return;
  Hash hash = open_hash(context, entry);
  reply_member_scan(context, hash, cursor, options, MemberPart::kBoth);
}

void run_hrandfield(CommandContext& context) {
  const auto& args = context.args;
  int64_t count = 0;
  MemberPart part = MemberPart::kMembers;
  if (args.size() > 2) {
    if (!count_argument(context, args[2], &count)) return;
    if (args.size() > 4 || (args.size() == 4 && !equals_ignoring_case(args[3], "withvalues"))) {
      return context.reply.error(errors::kSyntax);
    }
    if (args.size() == 4) part = MemberPart::kBoth;
    if (part == MemberPart::kBoth && (count < -INT64_MAX / 2 || count > INT64_MAX / 2)) {
      return context.reply.error(errors::kOutOfRange);
    }
  }
  Entry entry;
  if (!find_hash_for_reading(context, &entry)) return;
  if (!entry.exists) return args.size() > 2 ? context.reply.array(0) : context.reply.null();
  Hash hash = open_hash(context, entry);
  if (args.size() > 2) return reply_random_members(context, hash, count, part);
  Random random(context.invocation.seed);
  Members::Walk walk(hash);
  hash.seek_random(walk, random);
  if (walk.valid()) context.reply.bulk(walk.member());
}

}  // namespace

void add_hash_commands(CommandTable& table) {
  constexpr uint32_t kRead = kAclRead | kAclHash;
  constexpr uint32_t kWrite = kAclWrite | kAclHash;
  constexpr uint32_t kFastRead = kCmdReadOnly | kCmdFast;
  constexpr uint32_t kFastWrite = kCmdWrite | kCmdDenyOom | kCmdFast;
  constexpr uint32_t kRecord = static_cast<uint32_t>(kInlineCollectionMax);  // a record written again
  const std::vector<KeySpec> look = {{1, 1, 1, kKeyRO}};
  const std::vector<KeySpec> access = {{1, 1, 1, kKeyRO | kKeyAccess}};
  const std::vector<KeySpec> update = {{1, 1, 1, kKeyRW | kKeyUpdate}};
  const std::vector<KeySpec> insert = {{1, 1, 1, kKeyRW | kKeyInsert}};
  const std::vector<KeySpec> increment = {{1, 1, 1, kKeyRW | kKeyAccess | kKeyUpdate}};
  const std::vector<KeySpec> remove = {{1, 1, 1, kKeyRW | kKeyDelete}};
  const std::vector<const char*> unordered = {"nondeterministic_output_order"};
  const std::vector<const char*> chance = {"nondeterministic_output"};
  // clang-format off
  const CommandRow rows[] = {
      {"hdel", -3, kCmdWrite | kCmdFast | kCmdMayFree, kWrite, remove, run_hdel, "2.0.0", "hash",
       "O(N) where N is the number of fields to be removed.", "Delete one or more hash fields", {}, kRecord},
      {"hexists", 3, kFastRead, kRead, look, run_hexists, "2.0.0", "hash", "O(1)",
       "Determine if a hash field exists"},
      {"hget", 3, kFastRead, kRead, access, run_hget, "2.0.0", "hash", "O(1)", "Get the value of a hash field"},
      {"hgetall", 2, kCmdReadOnly, kRead, access, run_hgetall, "2.0.0", "hash",
       "O(N) where N is the size of the hash.", "Get all the fields and values in a hash", unordered},
      {"hincrby", 4, kFastWrite, kWrite, increment, run_hincrby, "2.0.0", "hash", "O(1)",
       "Increment the integer value of a hash field by the given number", {}, kRecord},
      {"hincrbyfloat", 4, kFastWrite, kWrite, increment, run_hincrbyfloat, "2.6.0", "hash", "O(1)",
       "Increment the float value of a hash field by the given amount", {}, kRecord},
      {"hkeys", 2, kCmdReadOnly, kRead, access, run_hkeys, "2.0.0", "hash",
       "O(N) where N is the size of the hash.", "Get all the fields in a hash", unordered},
      {"hlen", 2, kFastRead, kRead, look, run_hlen, "2.0.0", "hash", "O(1)",
       "Get the number of fields in a hash"},
      {"hmget", -3, kFastRead, kRead, access, run_hmget, "2.0.0", "hash",
       "O(N) where N is the number of fields being requested.", "Get the values of all the given hash fields"},
      {"hmset", -4, kFastWrite, kWrite, update, run_hmset, "2.0.0", "hash",
       "O(N) where N is the number of fields being set.", "Set multiple hash fields to multiple values", {},
       kRecord},
      {"hrandfield", -2, kCmdReadOnly, kRead, access, run_hrandfield, "6.2.0", "hash",
       "O(N) where N is the number of fields returned", "Get one or multiple random fields from a hash",
       chance},
      {"hscan", -3, kCmdReadOnly, kRead, access, run_hscan, "2.8.0", "hash",
       "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to "
       "return back to 0. N is the number of elements inside the collection..",
       "Incrementally iterate hash fields and associated values", chance},
      {"hset", -4, kFastWrite, kWrite, update, run_hset, "2.0.0", "hash",
       "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called "
       "with multiple field/value pairs.",
       "Set the string value of a hash field", {}, kRecord},
      {"hsetnx", 4, kFastWrite, kWrite, insert, run_hsetnx, "2.0.0", "hash", "O(1)",
       "Set the value of a hash field, only if the field does not exist", {}, kRecord},
      {"hstrlen", 3, kFastRead, kRead, look, run_hstrlen, "3.2.0", "hash", "O(1)",
       "Get the length of the value of a hash field"},
      {"hvals", 2, kCmdReadOnly, kRead, access, run_hvals, "2.0.0", "hash",
       "O(N) where N is the size of the hash.", "Get all the values in a hash", unordered},
  };
  // clang-format on
  for (const CommandRow& row : rows) table.add(make_command(row));
}

}  // namespace varve
