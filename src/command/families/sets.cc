// sets.cc: commands of sets.

#include <fmt/format.h>

#include <algorithm>

#include "base/coding.h"
#include "command/families/helpers.h"
#include "command/families/member_replies.h"
#include "command/families/rows.h"
#include "command/numbers.h"
#include "command/set_stream.h"
#include "keyspace/types/set.h"
#include "keyspace/types/set_algebra.h"

namespace varve {
namespace {

// Redis gives the members of an intset in their order; up to so many we do too where they are not kept so.
constexpr uint64_t kSortedMax = 1024;
// What unions and their like look at, at most, and answer, before they are streamed.
constexpr uint64_t kPlainSteps = 4000;
constexpr uint64_t kPlainBytes = 256 * 1024;

bool find_set(CommandContext& context, std::string_view key, Entry* entry) {
  return find_typed(context, key, ValueType::kSet, entry);
}
bool find_set_for_reading(CommandContext& context, std::string_view key, Entry* entry) {
  return find_typed_for_reading(context, key, ValueType::kSet, entry);
}

Set open_set(CommandContext& context, std::string_view key, const Entry& entry) {
  return Set(context.tx, context.db(), key, entry, context.host().collection_limits());
}

// --- one set ---

// Saves what was changed, which is an event, as is that nothing is left.
void save_changed(CommandContext& context, std::string_view key, Set& set, const char* event) {
  set.save();
  context.notify(kEventSet, event, key);
  if (set.empty()) context.notify(kEventGeneric, "del", key);
}

void run_sadd(CommandContext& context) {
  const auto& args = context.args;
  for (size_t i = 2; i < args.size(); ++i) {
    if (!member_fits(context, args[i])) return;
  }
  Entry entry;
  if (!find_set(context, args[1], &entry)) return;
  Set set = open_set(context, args[1], entry);
  int64_t added = 0;
  for (size_t i = 2; i < args.size(); ++i) {
    if (set.add(args[i])) ++added;
  }
  if (added > 0) save_changed(context, args[1], set, "sadd");
  context.reply.integer(added);
}

void run_srem(CommandContext& context) {
  Entry entry;
  if (!find_set(context, context.args[1], &entry)) return;
  Set set = open_set(context, context.args[1], entry);
  int64_t removed = 0;
  for (size_t i = 2; i < context.args.size() && !set.empty(); ++i) {
    if (set.remove(context.args[i])) ++removed;
  }
  if (removed > 0) save_changed(context, context.args[1], set, "srem");
  context.reply.integer(removed);
}

void run_smove(CommandContext& context) {
  std::string_view from = context.args[1];
  std::string_view to = context.args[2];
  std::string_view member = context.args[3];
  Entry source_entry;
  Entry target_entry;
  context.tx.find(context.db(), from, &source_entry);
  context.tx.find(context.db(), to, &target_entry);
  if (!source_entry.exists) return context.reply.integer(0);
  if (source_entry.record.type != ValueType::kSet ||
      (target_entry.exists && target_entry.record.type != ValueType::kSet)) {
    return context.reply.error(errors::kWrongType);
  }
  Set source = open_set(context, from, source_entry);
  if (from == to) return context.reply.integer(source.has(member) ? 1 : 0);
  if (!source.remove(member)) return context.reply.integer(0);
  save_changed(context, from, source, "srem");
  Set target = open_set(context, to, target_entry);
  if (target.add(member)) save_changed(context, to, target, "sadd");
  context.reply.integer(1);
}

void run_sismember(CommandContext& context) {
  Entry entry;
  if (!find_set_for_reading(context, context.args[1], &entry)) return;
  context.reply.integer(open_set(context, context.args[1], entry).has(context.args[2]) ? 1 : 0);
}

void run_smismember(CommandContext& context) {
  Entry entry;
  if (!find_set_for_reading(context, context.args[1], &entry)) return;
  Set set = open_set(context, context.args[1], entry);
  context.reply.array(context.args.size() - 2);
  for (size_t i = 2; i < context.args.size(); ++i) context.reply.integer(set.has(context.args[i]) ? 1 : 0);
}

void run_scard(CommandContext& context) {
  Entry entry;
  if (!find_set_for_reading(context, context.args[1], &entry)) return;
  context.reply.integer(entry.exists ? static_cast<int64_t>(entry.record.count) : 0);
}

// If all are integers: in their order.
void sort_integers(std::vector<std::string>* members) {
  for (const std::string& member : *members) {
    if (!is_stored_as_integer(member)) return;
  }
  std::sort(members->begin(), members->end(),
            [](const std::string& a, const std::string& b) { return compare_integer_texts(a, b) < 0; });
}

// All members with their header. False: an error was replied instead.
bool reply_set(CommandContext& context, Set& set) {
  context.reply.set(set.size());
  if (set.is_inline() || set.grown() || set.size() > kSortedMax) {
    return reply_members(context, set, MemberPart::kMembers);
  }
  std::vector<std::string> members;
  Members::Walk walk(set);
  for (walk.seek_to_first(); walk.valid(); walk.next()) members.emplace_back(walk.member());
  if (members.size() != set.size()) {
    context.tx.fail(Status::corruption("keyspace: the set at '{}' has {} members, not {}", context.args[1],
                                       members.size(), set.size()));
  }
  sort_integers(&members);
  for (const std::string& member : members) context.reply.bulk(member);
  return true;
}

void run_smembers(CommandContext& context) {
  Entry entry;
  if (!find_set_for_reading(context, context.args[1], &entry)) return;
  Set set = open_set(context, context.args[1], entry);
  reply_set(context, set);
}

void run_sscan(CommandContext& context) {
  uint64_t cursor = 0;
  if (!parse_cursor(context, context.args[2], &cursor)) return;
  Entry entry;
  if (!find_set_for_reading(context, context.args[1], &entry)) return;
  ScanOptions options;
  if (entry.exists && !parse_scan_options(context, 3, false, &options)) return;
  Set set = open_set(context, context.args[1], entry);
  reply_member_scan(context, set, cursor, options, MemberPart::kMembers);
}

void run_srandmember(CommandContext& context) {
  const auto& args = context.args;
  int64_t count = 0;
  if (args.size() > 3) return context.reply.error(errors::kSyntax);
  if (args.size() == 3 && !count_argument(context, args[2], &count)) return;
  Entry entry;
  if (!find_set_for_reading(context, args[1], &entry)) return;
  if (!entry.exists) return args.size() == 3 ? context.reply.array(0) : context.reply.null();
  Set set = open_set(context, args[1], entry);
  if (args.size() == 3) return reply_random_members(context, set, count, MemberPart::kMembers);
  Random random(context.invocation.seed);
  Members::Walk walk(set);
  set.seek_random(walk, random);
  if (walk.valid()) context.reply.bulk(walk.member());
}

void pop_one(CommandContext& context, Set& set) {
  Random random(context.invocation.seed);
  Members::Walk walk(set);
  set.seek_random(walk, random);
  if (!walk.valid()) return;
  context.reply.bulk(walk.member());
  set.remove_at(walk);
  save_changed(context, context.args[1], set, "spop");
}

void pop_some(CommandContext& context, Set& set, uint64_t count) {
  if (count >= set.size()) {
    if (!reply_set(context, set)) return;
    set.clear();
    return save_changed(context, context.args[1], set, "spop");
  }
  Random random(context.invocation.seed);
  std::vector<std::string> members = set.choose(count, random);
  uint64_t bytes = 0;
  for (const std::string& member : members) bytes += member.size() + 16;
  if (bytes > context.host().max_reply()) return reply_too_long(context);
  context.reply.set(members.size());
  for (const std::string& member : members) {
    set.remove(member);
    context.reply.bulk(member);
  }
  constexpr uint64_t kRenewedAt = 5;  // Redis's SPOP_MOVE_STRATEGY_MUL
  if (set.size() <= count / kRenewedAt) set.renew();
  save_changed(context, context.args[1], set, "spop");
}

void run_spop(CommandContext& context) {
  const auto& args = context.args;
  if (args.size() > 3) return context.reply.error(errors::kSyntax);
  int64_t count = 0;
  if (args.size() == 3 && (!parse_integer(args[2], &count) || count < 0)) {
    return context.reply.error(errors::kOutOfRangePositive);
  }
  Entry entry;
  if (!find_set(context, args[1], &entry)) return;
  if (!entry.exists) return args.size() == 3 ? context.reply.set(0) : context.reply.null();
  Set set = open_set(context, args[1], entry);
  if (args.size() == 2) return pop_one(context, set);
  if (count == 0) return context.reply.set(0);
  pop_some(context, set, static_cast<uint64_t>(count));
}

// --- several sets ---

// The sets of an operation, those that exist; `nothing` when the result is empty whatever they hold.
struct Operands {
  std::vector<Entry> entries;
  bool nothing = false;
};

// Looks up args [first, last). False: WRONGTYPE was replied.
bool find_operands(CommandContext& context, SetOperation operation, size_t first, size_t last,
                   Operands* operands) {
  for (size_t i = first; i < last; ++i) {
    Entry entry;
    if (!find_set_for_reading(context, context.args[i], &entry)) return false;
    bool decides =
        operation == SetOperation::kIntersection || (operation == SetOperation::kDifference && i == first);
    if (entry.exists) {
      operands->entries.push_back(entry);
    } else if (decides) {
      operands->nothing = true;
    }
  }
  operands->nothing |= operands->entries.empty();
  if (operation == SetOperation::kIntersection) {
    std::sort(operands->entries.begin(), operands->entries.end(),
              [](const Entry& a, const Entry& b) { return a.record.count < b.record.count; });
  }
  return true;
}

MemberLayout large_layout(CommandContext& context, const Record& record) {
  MemberLayout layout;
  if (layout.read(record)) return layout;
  context.tx.fail(
      Status::corruption("keyspace: the state of collection {} cannot be understood", record.collection));
  return layout;
}

SetAlgebra make_algebra(CommandContext& context, SetOperation operation, const Operands& operands) {
  std::vector<SetSource> sources;
  for (const Entry& entry : operands.entries) {
    const Record& record = entry.record;
    if (record.encoding == Encoding::kInline) {
      sources.emplace_back(record.payload);
      continue;
    }
    sources.emplace_back(MemberElements(
        large_layout(context, record),
        [&context](std::string_view begin, std::string_view end) { return context.tx.iterate(begin, end); }));
  }
  return SetAlgebra(operation, std::move(sources));
}

// The result as packed members (null: only their count), while it is at most `bytes_max` long and took at
// most `steps`. False when it is more.
bool collect(CommandContext& context, SetOperation operation, const Operands& operands, uint64_t bytes_max,
             uint64_t steps, uint64_t count_max, Packed* members, uint64_t* count) {
  if (operands.nothing) return true;
  SetAlgebra algebra = make_algebra(context, operation, operands);
  algebra.seek(0, "");
  SetAlgebra::Result result = SetAlgebra::Result::kFound;
  while (*count < count_max && (result = algebra.next(&steps)) == SetAlgebra::Result::kFound) {
    ++*count;
    if (context.tx.read().faulted()) break;
    if (members == nullptr) continue;
    members->append(algebra.member());
    if (members->size() > bytes_max) break;
  }
  if (algebra.damaged()) {
    context.tx.fail(Status::corruption("keyspace: an element of a set cannot be understood"));
  }
  return *count == count_max || result == SetAlgebra::Result::kEnd || context.tx.read().faulted();
}

void stream_result(CommandContext& context, SetOperation operation, const Operands& operands,
                   SetStream::Answer answer, uint64_t limit) {
  std::vector<SetOperand> sets;
  for (const Entry& entry : operands.entries) {
    const Record& record = entry.record;
    bool small = record.encoding == Encoding::kInline;
    sets.push_back({small ? MemberLayout() : large_layout(context, record),
                    small ? std::string(record.payload) : std::string()});
  }
  context.stream(std::make_unique<SetStream>(*context.engine(), operation, std::move(sets), answer, limit,
                                             context.reply.protocol(), context.tx.read().seen));
}

void reply_result(CommandContext& context, SetOperation operation) {
  Operands operands;
  if (!find_operands(context, operation, 1, context.args.size(), &operands)) return;
  bool streams = context.may_stream();
  uint64_t bytes_max = streams ? kPlainBytes : context.host().max_reply();
  uint64_t steps_max = streams ? kPlainSteps : UINT64_MAX;
  Packed result;
  uint64_t count = 0;
  if (!collect(context, operation, operands, bytes_max, steps_max, UINT64_MAX, &result, &count)) {
    if (!streams) return reply_too_long(context);
    return stream_result(context, operation, operands, SetStream::Answer::kMembers, UINT64_MAX);
  }
  std::vector<std::string> members;
  std::string_view member;
  for (size_t at = 0; result.read(&at, &member);) members.emplace_back(member);
  if (members.size() <= kSortedMax) sort_integers(&members);
  context.reply.set(members.size());
  for (const std::string& one : members) context.reply.bulk(one);
}
void run_sinter(CommandContext& context) {
  reply_result(context, SetOperation::kIntersection);
}
void run_sunion(CommandContext& context) {
  reply_result(context, SetOperation::kUnion);
}
void run_sdiff(CommandContext& context) {
  reply_result(context, SetOperation::kDifference);
}

void store_result(CommandContext& context, SetOperation operation, const char* event) {
  Operands operands;
  if (!find_operands(context, operation, 2, context.args.size(), &operands)) return;
  std::string_view key = context.args[1];
  Entry target;
  context.tx.find(context.db(), key, &target);
  Packed result;
  uint64_t count = 0;
  if (!collect(context, operation, operands, kCopyMax, UINT64_MAX, UINT64_MAX, &result, &count)) {
    return context.reply.error(errors::kCopyTooLong);
  }
  if (count == 0) {
    context.tx.remove(context.db(), key, target);
    if (target.exists) context.notify(kEventGeneric, "del", key);
    return context.reply.integer(0);
  }
  Set set = open_set(context, key, Entry());
  set.replaces(target);
  std::string_view member;
  for (size_t at = 0; result.read(&at, &member);) set.add_new(member);
  save_changed(context, key, set, event);
  context.reply.integer(static_cast<int64_t>(count));
}
void run_sinterstore(CommandContext& context) {
  store_result(context, SetOperation::kIntersection, "sinterstore");
}
void run_sunionstore(CommandContext& context) {
  store_result(context, SetOperation::kUnion, "sunionstore");
}
void run_sdiffstore(CommandContext& context) {
  store_result(context, SetOperation::kDifference, "sdiffstore");
}

void run_sintercard(CommandContext& context) {
  const auto& args = context.args;
  int64_t keys = 0;
  if (!parse_integer(args[1], &keys) || keys < 1) return context.reply.error(errors::kNumkeys);
  if (static_cast<uint64_t>(keys) > args.size() - 2) return context.reply.error(errors::kTooManyKeys);
  size_t behind = 2 + static_cast<size_t>(keys);
  int64_t limit = 0;
  for (size_t i = behind; i < args.size(); i += 2) {
    if (!equals_ignoring_case(args[i], "limit") || i + 1 == args.size()) {
      return context.reply.error(errors::kSyntax);
    }
    if (!parse_integer(args[i + 1], &limit) || limit < 0) return context.reply.error(errors::kNegativeLimit);
  }
  Operands operands;
  if (!find_operands(context, SetOperation::kIntersection, 2, behind, &operands)) return;
  uint64_t count_max = limit == 0 ? UINT64_MAX : static_cast<uint64_t>(limit);
  bool streams = context.may_stream();
  uint64_t count = 0;
  if (!collect(context, SetOperation::kIntersection, operands, UINT64_MAX, streams ? kPlainSteps : UINT64_MAX,
               count_max, nullptr, &count)) {
    return stream_result(context, SetOperation::kIntersection, operands, SetStream::Answer::kCount,
                         count_max);
  }
  context.reply.integer(static_cast<int64_t>(count));
}

}  // namespace

void add_set_commands(CommandTable& table) {
  constexpr uint32_t kRead = kAclRead | kAclSet;
  constexpr uint32_t kWrite = kAclWrite | kAclSet;
  constexpr uint32_t kFastRead = kCmdReadOnly | kCmdFast;
  constexpr uint32_t kStore = kCmdWrite | kCmdDenyOom;
  constexpr uint32_t kRecord = static_cast<uint32_t>(kInlineCollectionMax);  // a record written again
  const std::vector<KeySpec> look = {{1, 1, 1, kKeyRO}};
  const std::vector<KeySpec> access = {{1, 1, 1, kKeyRO | kKeyAccess}};
  const std::vector<KeySpec> access_all = {{1, -1, 1, kKeyRO | kKeyAccess}};
  const std::vector<KeySpec> pop = {{1, 1, 1, kKeyRW | kKeyAccess | kKeyDelete}};
  const KeySpec sources = {2, -1, 1, kKeyRO | kKeyAccess};
  const KeySpec target = {1, 1, 1, kKeyOW | kKeyUpdate};
  const std::vector<const char*> unordered = {"nondeterministic_output_order"};
  const std::vector<const char*> chance = {"nondeterministic_output"};
  const char* all_members = "O(N) where N is the total number of elements in all given sets.";
  const char* smallest =
      "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.";
  // clang-format off
  const CommandRow rows[] = {
      {"sadd", -3, kCmdWrite | kCmdDenyOom | kCmdFast, kWrite, {{1, 1, 1, kKeyRW | kKeyInsert}}, run_sadd,
       "1.0.0", "set",
       "O(1) for each element added, so O(N) to add N elements when the command is called with multiple "
       "arguments.",
       "Add one or more members to a set", {}, kRecord},
      {"scard", 2, kFastRead, kRead, look, run_scard, "1.0.0", "set", "O(1)",
       "Get the number of members in a set"},
      {"sdiff", -2, kCmdReadOnly, kRead, access_all, run_sdiff, "1.0.0", "set", all_members,
       "Subtract multiple sets", unordered},
      {"sdiffstore", -3, kStore, kWrite, {target, sources}, run_sdiffstore, "1.0.0", "set", all_members,
       "Subtract multiple sets and store the resulting set in a key"},
      {"sinter", -2, kCmdReadOnly, kRead, access_all, run_sinter, "1.0.0", "set", smallest,
       "Intersect multiple sets", unordered},
      {"sintercard", -3, kCmdReadOnly | kCmdMovableKeys, kRead, {{1, 0, 1, kKeyRO | kKeyAccess, true}},
       run_sintercard, "7.0.0", "set", smallest,
       "Intersect multiple sets and return the cardinality of the result"},
      {"sinterstore", -3, kStore, kWrite, {{1, 1, 1, kKeyRW | kKeyUpdate}, sources}, run_sinterstore, "1.0.0",
       "set", smallest, "Intersect multiple sets and store the resulting set in a key"},
      {"sismember", 3, kFastRead, kRead, look, run_sismember, "1.0.0", "set", "O(1)",
       "Determine if a given value is a member of a set"},
      {"smembers", 2, kCmdReadOnly, kRead, access, run_smembers, "1.0.0", "set",
       "O(N) where N is the set cardinality.", "Get all the members in a set", unordered},
      {"smismember", -3, kFastRead, kRead, access, run_smismember, "6.2.0", "set",
       "O(N) where N is the number of elements being checked for membership",
       "Returns the membership associated with the given elements for a set"},
      {"smove", 4, kCmdWrite | kCmdFast, kWrite,
       {{1, 1, 1, kKeyRW | kKeyAccess | kKeyDelete}, {2, 2, 1, kKeyRW | kKeyInsert}}, run_smove, "1.0.0", "set",
       "O(1)", "Move a member from one set to another", {}, 2 * kRecord},
      {"spop", -2, kCmdWrite | kCmdFast | kCmdMayFree, kWrite, pop, run_spop, "1.0.0", "set",
       "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
       "Remove and return one or multiple random members from a set", chance, kRecord},
      {"srandmember", -2, kCmdReadOnly, kRead, access, run_srandmember, "1.0.0", "set",
       "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
       "Get one or multiple random members from a set", chance},
      {"srem", -3, kCmdWrite | kCmdFast | kCmdMayFree, kWrite, {{1, 1, 1, kKeyRW | kKeyDelete}}, run_srem,
       "1.0.0", "set", "O(N) where N is the number of members to be removed.",
       "Remove one or more members from a set", {}, kRecord},
      {"sscan", -3, kCmdReadOnly, kRead, access, run_sscan, "2.8.0", "set",
       "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to "
       "return back to 0. N is the number of elements inside the collection..",
       "Incrementally iterate Set elements", chance},
      {"sunion", -2, kCmdReadOnly, kRead, access_all, run_sunion, "1.0.0", "set", all_members,
       "Add multiple sets", unordered},
      {"sunionstore", -3, kStore, kWrite, {target, sources}, run_sunionstore, "1.0.0", "set", all_members,
       "Add multiple sets and store the resulting set in a key"},
  };
  // clang-format on
  for (const CommandRow& row : rows) table.add(make_command(row));
}

}  // namespace varve
