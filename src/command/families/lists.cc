// lists.cc: commands that work on elements of lists by index and by value. The ends: list_ends.cc.

#include <algorithm>

#include "command/families/list_helpers.h"
#include "command/families/rows.h"
#include "command/families/scan_options.h"
#include "command/list_search.h"
#include "command/member_stream.h"
#include "command/numbers.h"

namespace varve {
namespace {

// Ranges of more elements or bytes than this are streamed.
constexpr uint64_t kPlainElementsMax = 1000;
constexpr uint64_t kPlainBytesMax = 256 * 1024;
// LPOS looks at so many elements before it goes on in slices.
constexpr uint64_t kPlainLooks = 4000;

bool find_list_for_reading(CommandContext& context, Entry* entry) {
  return find_typed_for_reading(context, context.args[1], ValueType::kList, entry);
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
  save_list(context, args[1], list, "lset");
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
    MemberSelection selection;
    selection.collection = list.record().collection;
    selection.size = selection.wanted = whole;
    selection.part = MemberPart::kValues;
    selection.from = list.element_key(first);
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
  list.ask_ahead(walk, count);
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
  save_list(context, context.args[1], list, "ltrim");
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
  save_list(context, args[1], list, "linsert");
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
  if (!found.empty()) save_list(context, args[1], list, "lrem");
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
  if (!complete) list.ask_ahead(walk, left);
  if (!search.counted) {
    return found.empty() ? context.reply.null() : context.reply.integer(static_cast<int64_t>(found[0]));
  }
  context.reply.array(found.size());
  for (uint64_t index : found) context.reply.integer(static_cast<int64_t>(index));
}

}  // namespace

bool reply_element(CommandContext& context, std::string_view element) {
  if (context.reply.out().end() - context.reply_start + element.size() > context.host().max_reply()) {
    reply_too_long(context);
    return false;
  }
  context.reply.bulk(element);
  return true;
}

bool reply_index(CommandContext& context, List& list, uint64_t index) {
  ElementValue value;
  std::string scratch;
  if (!list.find(index, &value)) return true;
  if (value.length <= context.host().max_reply())
    return reply_element(context, list.read(index, value, &scratch));
  reply_too_long(context);
  return false;
}

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
  // clang-format off
  const CommandRow rows[] = {
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
      {"lpos", -3, kCmdReadOnly, kRead, access, run_lpos, "6.0.6", "list",
       "O(N) where N is the number of elements in the list, for the average case. When searching for elements near "
       "the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant "
       "time.",
       "Return the index of matching elements on a list"},
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
  };
  // clang-format on
  for (const CommandRow& row : rows) table.add(make_command(row));
}

}  // namespace varve
