// list_ends.cc: commands that work on the ends of lists: pushing, popping, moving from one to another, and
// waiting for what there is to pop.

#include <fmt/format.h>

#include <algorithm>

#include "command/blocked_clients.h"
#include "command/families/list_helpers.h"
#include "command/families/rows.h"
#include "command/numbers.h"

namespace varve {
namespace {

// LEFT or RIGHT. False: an error was replied.
bool end_argument(CommandContext& context, std::string_view text, ListEnd* end) {
  bool left = equals_ignoring_case(text, "left");
  if (!left && !equals_ignoring_case(text, "right")) {
    context.reply.error(errors::kSyntax);
    return false;
  }
  *end = left ? ListEnd::kHead : ListEnd::kTail;
  return true;
}

// `count` elements from `index` on as bulks, forward or backward. False: they would make the reply too long,
// which was replied.
bool reply_elements(CommandContext& context, List& list, uint64_t index, uint64_t count, bool forward) {
  if (count == 1) return reply_index(context, list, index);
  std::string scratch;
  List::Walk walk(list, index, forward);
  while (walk.valid()) {
    if (walk.value().length > context.host().max_reply()) {
      reply_too_long(context);
      return false;
    }
    if (!reply_element(context, walk.read(&scratch))) return false;
    if (--count == 0) return true;
    walk.next();
  }
  list.ask_ahead(walk, count);
  return true;
}

const char* push_event(ListEnd end) {
  return end == ListEnd::kHead ? "lpush" : "rpush";
}
const char* pop_event(ListEnd end) {
  return end == ListEnd::kHead ? "lpop" : "rpop";
}

// --- pushing and popping ---

void push(CommandContext& context, ListEnd end, bool only_existing) {
  const auto& args = context.args;
  Entry entry;
  if (!find_list(context, args[1], &entry)) return;
  if (only_existing && !entry.exists) return context.reply.integer(0);
  List list = open_list(context, args[1], entry);
  for (size_t i = 2; i < args.size(); ++i) list.push(end, args[i]);
  save_list(context, args[1], list, push_event(end));
  context.reply.integer(static_cast<int64_t>(list.size()));
}
void run_lpush(CommandContext& context) {
  push(context, ListEnd::kHead, false);
}
void run_rpush(CommandContext& context) {
  push(context, ListEnd::kTail, false);
}
void run_lpushx(CommandContext& context) {
  push(context, ListEnd::kHead, true);
}
void run_rpushx(CommandContext& context) {
  push(context, ListEnd::kTail, true);
}

// The elements at an end as bulks, and the list without them.
void pop_elements(CommandContext& context, std::string_view key, List& list, ListEnd end, uint64_t count) {
  bool head = end == ListEnd::kHead;
  if (!reply_elements(context, list, head ? 0 : list.size() - 1, count, head)) return;
  list.keep(head ? count : 0, list.size() - count);
  save_list(context, key, list, pop_event(end));
}

void pop(CommandContext& context, ListEnd end) {
  const auto& args = context.args;
  int64_t count = 1;
  bool counted = args.size() == 3;
  if (args.size() > 3) {
    return context.reply.error(
        fmt::format("ERR wrong number of arguments for '{}' command", context.command.full_name));
  }
  if (counted && (!parse_integer(args[2], &count) || count < 0)) {
    return context.reply.error(errors::kOutOfRangePositive);
  }
  Entry entry;
  if (!find_list(context, args[1], &entry)) return;
  if (!entry.exists) return counted ? context.reply.null_array() : context.reply.null();
  if (count == 0) return context.reply.array(0);
  List list = open_list(context, args[1], entry);
  if (list.empty()) return;  // damaged
  uint64_t popped = std::min(static_cast<uint64_t>(count), list.size());
  if (counted) context.reply.array(popped);
  pop_elements(context, args[1], list, end, popped);
}
void run_lpop(CommandContext& context) {
  pop(context, ListEnd::kHead);
}
void run_rpop(CommandContext& context) {
  pop(context, ListEnd::kTail);
}

// The first of some lists gives elements of one end.
struct MultiPop {
  size_t first_key = 0;
  size_t keys = 0;
  ListEnd end = ListEnd::kHead;
  uint64_t count = 1;
  bool nested = true;  // the elements in an array of their own
};
// LMPOP's "numkeys key [key ...] LEFT|RIGHT [COUNT count]" from argument `at` on. False: an error was
// replied.
bool parse_multi_pop(CommandContext& context, size_t at, MultiPop* pop) {
  const auto& args = context.args;
  int64_t keys = 0;
  if (!parse_integer(args[at], &keys) || keys <= 0) {
    context.reply.error(errors::kNumkeys);
    return false;
  }
  pop->first_key = at + 1;
  if (static_cast<uint64_t>(keys) >= args.size() - pop->first_key) {
    context.reply.error(errors::kSyntax);
    return false;
  }
  pop->keys = static_cast<size_t>(keys);
  size_t next = pop->first_key + pop->keys;
  if (!end_argument(context, args[next], &pop->end)) return false;
  if (args.size() == next + 1) return true;
  if (args.size() < next + 3 || !equals_ignoring_case(args[next + 1], "count")) {
    context.reply.error(errors::kSyntax);
    return false;
  }
  int64_t count = 0;
  if (!parse_integer(args[next + 2], &count) || count <= 0) {
    context.reply.error(errors::kZeroCount);
    return false;
  }
  if (args.size() > next + 3) {
    context.reply.error(errors::kSyntax);
    return false;
  }
  pop->count = static_cast<uint64_t>(count);
  return true;
}

// A key that a blocking command may be served with. A client that waits already passes over keys that hold
// something else by now. False: WRONGTYPE was replied.
bool find_to_serve(CommandContext& context, std::string_view key, Entry* entry) {
  bool waits = context.services.blocked.arrival(context.client.id) != 0;
  if (!waits) return find_list(context, key, entry);
  if (context.tx.find(context.db(), key, entry) && entry->record.type != ValueType::kList) *entry = Entry();
  return true;
}

// Pops from the first of the keys that holds a list. False: none does, and nothing was replied.
bool pop_first(CommandContext& context, const MultiPop& pop) {
  for (size_t i = pop.first_key; i < pop.first_key + pop.keys; ++i) {
    std::string_view key = context.args[i];
    Entry entry;
    if (!find_to_serve(context, key, &entry)) return true;
    if (!entry.exists) continue;
    List list = open_list(context, key, entry);
    if (list.empty()) return true;  // damaged
    uint64_t count = std::min(pop.count, list.size());
    context.reply.array(2);
    context.reply.bulk(key);
    if (pop.nested) context.reply.array(count);
    pop_elements(context, key, list, pop.end, count);
    return true;
  }
  return false;
}

void pop_or_block(CommandContext& context, const MultiPop& pop, int64_t timeout_ms) {
  if (pop_first(context, pop)) return;
  if (!context.may_block()) return context.reply.null_array();
  auto first = context.args.begin() + static_cast<ptrdiff_t>(pop.first_key);
  context.block_on({first, first + static_cast<ptrdiff_t>(pop.keys)}, ValueType::kList, timeout_ms);
}

void run_lmpop(CommandContext& context) {
  MultiPop pop;
  if (!parse_multi_pop(context, 1, &pop)) return;
  if (!pop_first(context, pop)) context.reply.null_array();
}

void run_blmpop(CommandContext& context) {
  int64_t timeout_ms = 0;
  MultiPop pop;
  if (!parse_multi_pop(context, 2, &pop)) return;
  if (timeout_argument(context, context.args[1], true, &timeout_ms)) pop_or_block(context, pop, timeout_ms);
}

void blocking_pop(CommandContext& context, ListEnd end) {
  int64_t timeout_ms = 0;
  if (!timeout_argument(context, context.args.back(), true, &timeout_ms)) return;
  MultiPop pop;
  pop.first_key = 1;
  pop.keys = context.args.size() - 2;
  pop.end = end;
  pop.nested = false;
  pop_or_block(context, pop, timeout_ms);
}
void run_blpop(CommandContext& context) {
  blocking_pop(context, ListEnd::kHead);
}
void run_brpop(CommandContext& context) {
  blocking_pop(context, ListEnd::kTail);
}

// Moves an element from one list's end to another's. False: there is no source, and nothing was replied.
bool move_element(CommandContext& context, ListEnd from, ListEnd to) {
  std::string_view source_key = context.args[1];
  std::string_view target_key = context.args[2];
  Entry source_entry;
  Entry target_entry;
  if (!find_to_serve(context, source_key, &source_entry)) return true;
  if (!source_entry.exists) return false;
  if (!find_list(context, target_key, &target_entry)) return true;
  List source = open_list(context, source_key, source_entry);
  if (source.empty()) return true;  // damaged
  uint64_t index = from == ListEnd::kHead ? 0 : source.size() - 1;
  ElementValue found;
  source.find(index, &found);
  if (found.length > context.host().max_reply()) {
    reply_too_long(context);
    return true;
  }
  std::string scratch;
  std::string value(source.read(index, found, &scratch));
  // The push comes first: so a list that is both has always one element at least.
  if (source_key == target_key) {
    source.push(to, value);
    context.notify(kEventList, push_event(to), target_key);
  } else {
    List target = open_list(context, target_key, target_entry);
    target.push(to, value);
    save_list(context, target_key, target, push_event(to));
  }
  source.keep(from == ListEnd::kHead ? 1 : 0, source.size() - 1);
  save_list(context, source_key, source, pop_event(from));
  context.reply.bulk(value);
  return true;
}

void move_or_block(CommandContext& context, ListEnd from, ListEnd to) {
  int64_t timeout_ms = 0;
  if (!timeout_argument(context, context.args.back(), true, &timeout_ms)) return;
  if (move_element(context, from, to)) return;
  if (!context.may_block()) return context.reply.null();
  context.block_on({std::string(context.args[1])}, ValueType::kList, timeout_ms);
}

// LMOVE's two ends. False: an error was replied.
bool parse_ends(CommandContext& context, ListEnd* from, ListEnd* to) {
  return end_argument(context, context.args[3], from) && end_argument(context, context.args[4], to);
}

void run_lmove(CommandContext& context) {
  ListEnd from = ListEnd::kHead;
  ListEnd to = ListEnd::kHead;
  if (parse_ends(context, &from, &to) && !move_element(context, from, to)) context.reply.null();
}

void run_blmove(CommandContext& context) {
  ListEnd from = ListEnd::kHead;
  ListEnd to = ListEnd::kHead;
  if (parse_ends(context, &from, &to)) move_or_block(context, from, to);
}

void run_rpoplpush(CommandContext& context) {
  if (!move_element(context, ListEnd::kTail, ListEnd::kHead)) context.reply.null();
}

void run_brpoplpush(CommandContext& context) {
  move_or_block(context, ListEnd::kTail, ListEnd::kHead);
}

}  // namespace

void add_list_end_commands(CommandTable& table) {
  constexpr uint32_t kWrite = kAclWrite | kAclList;
  constexpr uint32_t kBlocks = kAclWrite | kAclList | kAclBlocking;
  constexpr uint32_t kAdds = kCmdWrite | kCmdDenyOom;
  constexpr uint32_t kRemoves = kCmdWrite | kCmdMayFree;
  constexpr uint32_t kRecord = static_cast<uint32_t>(kInlineCollectionMax);  // a record written again
  const std::vector<KeySpec> insert = {{1, 1, 1, kKeyRW | kKeyInsert}};
  const KeySpec pop = {1, 1, 1, kKeyRW | kKeyAccess | kKeyDelete};
  const KeySpec pops = {1, -2, 1, kKeyRW | kKeyAccess | kKeyDelete};
  const std::vector<KeySpec> move = {pop, {2, 2, 1, kKeyRW | kKeyInsert}};
  const char* each_added =
      "O(1) for each element added, so O(N) to add N elements when the command is called with multiple "
      "arguments.";
  // clang-format off
  const CommandRow rows[] = {
      {"blmove", 6, kAdds | kCmdNoScript | kCmdBlocking, kBlocks, move, run_blmove, "6.2.0", "list", "O(1)",
       "Pop an element from a list, push it to another list and return it; or block until one is available", {},
       2 * kRecord},
      {"blmpop", -5, kRemoves | kCmdBlocking | kCmdMovableKeys, kBlocks,
       {{2, 0, 1, kKeyRW | kKeyAccess | kKeyDelete, true}}, run_blmpop, "7.0.0", "list",
       "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
       "Pop elements from a list, or block until one is available", {}, kRecord},
      {"blpop", -3, kRemoves | kCmdNoScript | kCmdBlocking, kBlocks, {pops}, run_blpop, "2.0.0", "list",
       "O(N) where N is the number of provided keys.",
       "Remove and get the first element in a list, or block until one is available", {}, kRecord},
      {"brpop", -3, kRemoves | kCmdNoScript | kCmdBlocking, kBlocks, {pops}, run_brpop, "2.0.0", "list",
       "O(N) where N is the number of provided keys.",
       "Remove and get the last element in a list, or block until one is available", {}, kRecord},
      {"brpoplpush", 4, kAdds | kCmdNoScript | kCmdBlocking, kBlocks, move, run_brpoplpush, "2.2.0", "list", "O(1)",
       "Pop an element from a list, push it to another list and return it; or block until one is available", {},
       2 * kRecord},
      {"lmove", 5, kAdds, kWrite, move, run_lmove, "6.2.0", "list", "O(1)",
       "Pop an element from a list, push it to another list and return it", {}, 2 * kRecord},
      {"lmpop", -4, kRemoves | kCmdMovableKeys, kWrite, {{1, 0, 1, kKeyRW | kKeyAccess | kKeyDelete, true}},
       run_lmpop, "7.0.0", "list",
       "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
       "Pop elements from a list", {}, kRecord},
      {"lpop", -2, kRemoves | kCmdFast, kWrite, {pop}, run_lpop, "1.0.0", "list",
       "O(N) where N is the number of elements returned", "Remove and get the first elements in a list", {},
       kRecord},
      {"lpush", -3, kAdds | kCmdFast, kWrite, insert, run_lpush, "1.0.0", "list", each_added,
       "Prepend one or multiple elements to a list", {}, kRecord},
      {"lpushx", -3, kAdds | kCmdFast, kWrite, insert, run_lpushx, "2.2.0", "list", each_added,
       "Prepend an element to a list, only if the list exists", {}, kRecord},
      {"rpop", -2, kRemoves | kCmdFast, kWrite, {pop}, run_rpop, "1.0.0", "list",
       "O(N) where N is the number of elements returned", "Remove and get the last elements in a list", {},
       kRecord},
      {"rpoplpush", 3, kAdds, kWrite, move, run_rpoplpush, "1.2.0", "list", "O(1)",
       "Remove the last element in a list, prepend it to another list and return it", {}, 2 * kRecord},
      {"rpush", -3, kAdds | kCmdFast, kWrite, insert, run_rpush, "1.0.0", "list", each_added,
       "Append one or multiple elements to a list", {}, kRecord},
      {"rpushx", -3, kAdds | kCmdFast, kWrite, insert, run_rpushx, "2.2.0", "list", each_added,
       "Append an element to a list, only if the list exists", {}, kRecord},
  };
  // clang-format on
  for (const CommandRow& row : rows) table.add(make_command(row));
}

}  // namespace varve
