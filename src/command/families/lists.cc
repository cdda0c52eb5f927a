// lists.cc: commands of lists.

#include <fmt/format.h>

#include <algorithm>

#include "command/blocked_clients.h"
#include "command/families/helpers.h"
#include "command/families/rows.h"
#include "command/families/scan_options.h"
#include "command/list_search.h"
#include "command/member_stream.h"
#include "command/numbers.h"
#include "keyspace/types/list.h"

namespace varve {
namespace {

// Ranges of more elements or bytes than this are streamed.
constexpr uint64_t kPlainElementsMax = 1000;
constexpr uint64_t kPlainBytesMax = 256 * 1024;
// LPOS looks at so many elements before it goes on in slices.
constexpr uint64_t kPlainLooks = 4000;

bool find_list(CommandContext& context, std::string_view key, Entry* entry) {
  return find_typed(context, key, ValueType::kList, entry);
}
bool find_list_for_reading(CommandContext& context, Entry* entry) {
  return find_typed_for_reading(context, context.args[1], ValueType::kList, entry);
}

List open_list(CommandContext& context, std::string_view key, const Entry& entry) {
  return List(context.tx, context.db(), key, entry);
}

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

// An index that counts from the end when it is negative; false when there is no such element.
bool resolve_index(int64_t index, uint64_t size, uint64_t* resolved) {
  if (index < 0) index += static_cast<int64_t>(size);
  *resolved = static_cast<uint64_t>(index);
  return index >= 0 && *resolved < size;
}

// Redis's range of two indexes, both included: [*first, *first + *count).
void resolve_range(int64_t start, int64_t stop, uint64_t size, uint64_t* first, uint64_t* count) {
  auto length = static_cast<int64_t>(size);
  if (start < 0) start = std::max<int64_t>(0, start + length);
  if (stop < 0) stop += length;
  *first = 0;
  *count = 0;
  if (start > stop || start >= length) return;
  *first = static_cast<uint64_t>(start);
  *count = static_cast<uint64_t>(std::min(stop, length - 1) - start + 1);
}

// One element as a bulk. False: it would make the reply too long, which was replied.
bool reply_element(CommandContext& context, std::string_view element) {
  if (context.reply.out().end() - context.reply_start + element.size() > context.host().max_reply()) {
    reply_too_long(context);
    return false;
  }
  context.reply.bulk(element);
  return true;
}

// The element at an index; false as above. One read, where a walk would look into every table.
bool reply_index(CommandContext& context, List& list, uint64_t index) {
  ElementValue value;
  std::string scratch;
  if (!list.find(index, &value)) return true;
  if (value.length <= context.host().max_reply())
    return reply_element(context, list.read(index, value, &scratch));
  reply_too_long(context);
  return false;
}

// `count` elements from `index` on, forward or backward; false as above.
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
  list.ask_ahead(walk);
  return true;
}

// Puts the list and tells what happened to it.
void save(CommandContext& context, std::string_view key, List& list, const char* event) {
  list.save();
  context.notify(kEventList, event, key);
  if (list.empty()) context.notify(kEventGeneric, "del", key);
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
  save(context, args[1], list, push_event(end));
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
  save(context, key, list, pop_event(end));
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
  if (args.size() != next + 3 || !equals_ignoring_case(args[next + 1], "count")) {
    context.reply.error(errors::kSyntax);
    return false;
  }
  int64_t count = 0;
  if (!parse_integer(args[next + 2], &count) || count <= 0) {
    context.reply.error(errors::kZeroCount);
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
    save(context, target_key, target, push_event(to));
  }
  source.keep(from == ListEnd::kHead ? 1 : 0, source.size() - 1);
  save(context, source_key, source, pop_event(from));
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

// --- by index ---

void run_llen(CommandContext& context) {
  Entry entry;
  if (!find_list_for_reading(context, &entry)) return;
  context.reply.integer(entry.exists ? static_cast<int64_t>(entry.record.count) : 0);
}

void run_lindex(CommandContext& context) {
  Entry entry;
  if (!find_list_for_reading(context, &entry)) return;
  if (!entry.exists) return context.reply.null();
  int64_t number = 0;
  if (!integer_argument(context, context.args[2], &number)) return;
  List list = open_list(context, context.args[1], entry);
  uint64_t index = 0;
  if (!resolve_index(number, list.size(), &index)) return context.reply.null();
  reply_index(context, list, index);
}

void run_lset(CommandContext& context) {
  const auto& args = context.args;
  Entry entry;
  if (!find_list(context, args[1], &entry)) return;
  if (!entry.exists) return context.reply.error(errors::kNoSuchKey);
  int64_t number = 0;
  if (!integer_argument(context, args[2], &number)) return;
  List list = open_list(context, args[1], entry);
  uint64_t index = 0;
  if (!resolve_index(number, list.size(), &index)) return context.reply.error(errors::kIndexRange);
  list.set(index, args[3]);
  save(context, args[1], list, "lset");
  context.reply.ok();
}

void run_lrange(CommandContext& context) {
  int64_t start = 0;
  int64_t stop = 0;
  if (!integer_argument(context, context.args[2], &start) ||
      !integer_argument(context, context.args[3], &stop)) {
    return;
  }
  Entry entry;
  if (!find_list_for_reading(context, &entry)) return;
  List list = open_list(context, context.args[1], entry);
  uint64_t first = 0;
  uint64_t count = 0;
  resolve_range(start, stop, list.size(), &first, &count);
  context.reply.array(count);
  if (count == 0) return;
  uint64_t body = context.reply.out().end();
  auto stream = [&, whole = count] {
    context.reply.out().truncate(body);
    MemberSelection selection{list.record().collection, whole, whole, MemberPart::kValues, false, 0,
                              list.element_key(first)};
    context.stream(std::make_unique<MemberStream>(*context.engine(), selection, context.tx.read().seen));
  };
  bool streams = context.may_stream() && !list.is_inline();
  if (streams && count > kPlainElementsMax) return stream();
  std::string scratch;
  List::Walk walk(list, first, true);
  while (walk.valid()) {
    uint64_t bytes = context.reply.out().end() - body + walk.value().length;
    if (streams && bytes > kPlainBytesMax) return stream();
    if (bytes > context.host().max_reply()) return reply_too_long(context);
    context.reply.bulk(walk.read(&scratch));
    if (--count == 0) return;
    walk.next();
  }
  ReadContext& read = context.tx.read();
  if (streams && read.restarts >= kPatientRestarts && read.error.ok()) {
    read.misses.clear();  // a stream keeps what it has read
    return stream();
  }
  list.ask_ahead(walk);
}

void run_ltrim(CommandContext& context) {
  int64_t start = 0;
  int64_t stop = 0;
  if (!integer_argument(context, context.args[2], &start) ||
      !integer_argument(context, context.args[3], &stop)) {
    return;
  }
  Entry entry;
  if (!find_list(context, context.args[1], &entry)) return;
  if (!entry.exists) return context.reply.ok();
  List list = open_list(context, context.args[1], entry);
  uint64_t first = 0;
  uint64_t count = 0;
  resolve_range(start, stop, list.size(), &first, &count);
  // For WATCH it is a change, even if nothing goes.
  if (count == list.size()) context.services.touched.emplace_back(context.client.db, context.args[1]);
  list.keep(first, count);
  save(context, context.args[1], list, "ltrim");
  context.reply.ok();
}

// --- by value ---

void run_linsert(CommandContext& context) {
  const auto& args = context.args;
  bool after = equals_ignoring_case(args[2], "after");
  if (!after && !equals_ignoring_case(args[2], "before")) return context.reply.error(errors::kSyntax);
  Entry entry;
  if (!find_list(context, args[1], &entry)) return;
  if (!entry.exists) return context.reply.integer(0);
  List list = open_list(context, args[1], entry);
  List::Walk walk(list, 0, true);
  while (walk.valid() && !walk.equals(args[3])) walk.next();
  if (!walk.valid()) {
    list.ask_ahead(walk);
    return context.reply.integer(-1);
  }
  if (!list.insert(walk.index() + (after ? 1 : 0), args[4])) return context.reply.error(errors::kMoveTooLong);
  save(context, args[1], list, "linsert");
  context.reply.integer(static_cast<int64_t>(list.size()));
}

void run_lrem(CommandContext& context) {
  const auto& args = context.args;
  int64_t wanted = 0;
  if (!integer_argument(context, args[2], &wanted)) return;
  Entry entry;
  if (!find_list(context, args[1], &entry)) return;
  if (!entry.exists) return context.reply.integer(0);
  List list = open_list(context, args[1], entry);
  bool forward = wanted >= 0;
  uint64_t most = forward ? static_cast<uint64_t>(wanted) : 0 - static_cast<uint64_t>(wanted);
  if (most == 0) most = UINT64_MAX;
  std::vector<uint64_t> found;
  if (!list.empty()) {
    List::Walk walk(list, forward ? 0 : list.size() - 1, forward);
    for (; walk.valid(); walk.next()) {
      if (walk.equals(args[3])) found.push_back(walk.index());
      if (found.size() == most) break;
    }
    if (!walk.valid()) list.ask_ahead(walk);
  }
  if (context.tx.read().faulted()) return;
  if (!forward) std::reverse(found.begin(), found.end());
  if (!list.remove(found)) return context.reply.error(errors::kMoveTooLong);
  if (!found.empty()) save(context, args[1], list, "lrem");
  context.reply.integer(static_cast<int64_t>(found.size()));
}

// LPOS's options. False: an error was replied.
bool parse_search(CommandContext& context, ListSearch* search) {
  const auto& args = context.args;
  auto fail = [&](const char* error) {
    context.reply.error(error);
    return false;
  };
  search->longest = UINT64_MAX;
  for (size_t i = 3; i < args.size(); i += 2) {
    if (i + 1 == args.size()) return fail(errors::kSyntax);
    int64_t number = 0;
    bool parsed = parse_integer(args[i + 1], &number);
    auto size = static_cast<uint64_t>(number);
    if (equals_ignoring_case(args[i], "rank")) {
      if (!parsed) return fail(errors::kNotInteger);
      if (number == 0) return fail(errors::kZeroRank);
      search->forward = number > 0;
      search->skipped = (number > 0 ? size : 0 - size) - 1;
    } else if (equals_ignoring_case(args[i], "count")) {
      if (!parsed || number < 0) return fail(errors::kNegativeCount);
      search->counted = true;
      search->most = number == 0 ? UINT64_MAX : size;
    } else if (equals_ignoring_case(args[i], "maxlen")) {
      if (!parsed || number < 0) return fail(errors::kNegativeMaxlen);
      search->longest = number == 0 ? UINT64_MAX : size;
    } else {
      return fail(errors::kSyntax);
    }
  }
  return true;
}

void run_lpos(CommandContext& context) {
  ListSearch search;
  if (!parse_search(context, &search)) return;
  Entry entry;
  if (!find_list_for_reading(context, &entry)) return;
  if (!entry.exists) return search.counted ? context.reply.array(0) : context.reply.null();
  List list = open_list(context, context.args[1], entry);
  if (list.empty()) return;  // damaged
  uint64_t left = std::min(search.longest, list.size());
  uint64_t skipped = search.skipped;
  bool streams = context.may_stream() && !list.is_inline();
  std::vector<uint64_t> found;
  List::Walk walk(list, search.forward ? 0 : list.size() - 1, search.forward);
  bool complete = false;
  for (uint64_t looked = 1; walk.valid() && (looked <= kPlainLooks || !streams); ++looked, walk.next()) {
    if (walk.equals(context.args[2])) skipped > 0 ? void(--skipped) : found.push_back(walk.index());
    complete = --left == 0 || found.size() == search.most;
    if (complete) break;
  }
  ReadContext& read = context.tx.read();
  if (!complete && streams && read.error.ok()) {
    read.misses.clear();  // a stream keeps what it has read
    search.element.assign(context.args[2]);
    return context.stream(std::make_unique<ListSearchStream>(*context.engine(), list.element_key(0),
                                                             list.size(), std::move(search),
                                                             context.reply.protocol(), read.seen));
  }
  if (!complete) list.ask_ahead(walk);
  if (!search.counted) {
    return found.empty() ? context.reply.null() : context.reply.integer(static_cast<int64_t>(found[0]));
  }
  context.reply.array(found.size());
  for (uint64_t index : found) context.reply.integer(static_cast<int64_t>(index));
}

}  // namespace

void add_list_commands(CommandTable& table) {
  constexpr uint32_t kRead = kAclRead | kAclList;
  constexpr uint32_t kWrite = kAclWrite | kAclList;
  constexpr uint32_t kAdds = kCmdWrite | kCmdDenyOom;
  constexpr uint32_t kRemoves = kCmdWrite | kCmdMayFree;
  constexpr uint32_t kRecord = static_cast<uint32_t>(kInlineCollectionMax);  // a record written again
  const std::vector<KeySpec> look = {{1, 1, 1, kKeyRO}};
  const std::vector<KeySpec> access = {{1, 1, 1, kKeyRO | kKeyAccess}};
  const std::vector<KeySpec> insert = {{1, 1, 1, kKeyRW | kKeyInsert}};
  const std::vector<KeySpec> remove = {{1, 1, 1, kKeyRW | kKeyDelete}};
  const KeySpec pop = {1, 1, 1, kKeyRW | kKeyAccess | kKeyDelete};
  const KeySpec pops = {1, -2, 1, kKeyRW | kKeyAccess | kKeyDelete};
  constexpr uint32_t kBlocks = kAclWrite | kAclList | kAclBlocking;
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
      {"lindex", 3, kCmdReadOnly, kRead, access, run_lindex, "1.0.0", "list",
       "O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for "
       "the first or the last element of the list O(1).",
       "Get an element from a list by its index"},
      {"linsert", 5, kAdds, kWrite, insert, run_linsert, "2.2.0", "list",
       "O(N) where N is the number of elements to traverse before seeing the value pivot. This means that "
       "inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on "
       "the right end (tail) is O(N).",
       "Insert an element before or after another element in a list", {}, kRecord},
      {"llen", 2, kCmdReadOnly | kCmdFast, kRead, look, run_llen, "1.0.0", "list", "O(1)",
       "Get the length of a list"},
      {"lmove", 5, kAdds, kWrite, move, run_lmove, "6.2.0", "list", "O(1)",
       "Pop an element from a list, push it to another list and return it", {}, 2 * kRecord},
      {"lmpop", -4, kRemoves | kCmdMovableKeys, kWrite, {{1, 0, 1, kKeyRW | kKeyAccess | kKeyDelete, true}},
       run_lmpop, "7.0.0", "list",
       "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
       "Pop elements from a list", {}, kRecord},
      {"lpop", -2, kRemoves | kCmdFast, kWrite, {pop}, run_lpop, "1.0.0", "list",
       "O(N) where N is the number of elements returned", "Remove and get the first elements in a list", {},
       kRecord},
      {"lpos", -3, kCmdReadOnly, kRead, access, run_lpos, "6.0.6", "list",
       "O(N) where N is the number of elements in the list, for the average case. When searching for elements near "
       "the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant "
       "time.",
       "Return the index of matching elements on a list"},
      {"lpush", -3, kAdds | kCmdFast, kWrite, insert, run_lpush, "1.0.0", "list", each_added,
       "Prepend one or multiple elements to a list", {}, kRecord},
      {"lpushx", -3, kAdds | kCmdFast, kWrite, insert, run_lpushx, "2.2.0", "list", each_added,
       "Prepend an element to a list, only if the list exists", {}, kRecord},
      {"lrange", 4, kCmdReadOnly, kRead, access, run_lrange, "1.0.0", "list",
       "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) "
       "for large lists; and N is the number of elements in the specified range.",
       "Get a range of elements from a list"},
      {"lrem", 4, kRemoves, kWrite, remove, run_lrem, "1.0.0", "list",
       "O(N+M) where N is the length of the list and M is the number of elements removed.",
       "Remove elements from a list", {}, kRecord},
      {"lset", 4, kAdds, kWrite, {{1, 1, 1, kKeyRW | kKeyUpdate}}, run_lset, "1.0.0", "list",
       "O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1).",
       "Set the value of an element in a list by its index", {}, kRecord},
      {"ltrim", 4, kRemoves, kWrite, remove, run_ltrim, "1.0.0", "list",
       "O(N) where N is the number of elements to be removed by the operation.",
       "Trim a list to the specified range", {}, kRecord},
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
