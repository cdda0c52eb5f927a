// sort.cc: SORT and SORT_RO. All that is to be sorted is gathered in memory, with its weights and what is to
// be replied: at most 64 MiB, as COPY and the *STORE commands. Sorted by nothing (BY nosort), lists and
// sorted sets are read in their own order, and only the part that LIMIT asks for.

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "command/acl.h"
#include "command/families/helpers.h"
#include "command/families/rows.h"
#include "command/families/sorted_set_args.h"
#include "command/numbers.h"
#include "keyspace/types/hash.h"
#include "keyspace/types/list.h"
#include "keyspace/types/set.h"

namespace varve {
namespace {

constexpr uint64_t kGatheredMax = kCopyMax;
constexpr uint64_t kItemCost = 128;
// A run that misses so many blocks is over: they are fetched together. A command holds at most so many.
constexpr size_t kMissedMax = 64;
constexpr size_t kPinnedMax = 4096;
// Entries that were looked up are let go of in between.
constexpr int kForgetEvery = 256;

struct SortOptions {
  bool descending = false;
  bool alpha = false;
  bool sorts = true;
  int64_t skipped = 0;
  int64_t most = -1;
  std::optional<std::string_view> by;
  std::vector<std::string_view> gets;
  std::optional<std::string_view> store;
};

struct SortItem {
  std::string element;
  bool weighed = false;  // BY found something
  double score = 0;
  std::string weight;  // with ALPHA and BY
};

// What one SORT works on.
struct Sorting {
  SortOptions options;
  std::vector<SortItem> items;
  uint64_t first = 0;  // of what is replied, among the items
  uint64_t count = 0;
  uint64_t gathered = 0;
  bool too_long = false;
  bool not_a_number = false;
  int looked_up = 0;

  bool charge(uint64_t bytes) {
    gathered += bytes + kItemCost;
    too_long |= gathered > kGatheredMax;
    return !too_long;
  }
};

// What BY and GET name is found out from the elements.
bool may_look_up(CommandContext& context, const char* refusal) {
  Acl& acl = context.services.acl;
  if (acl.reads_any_key(acl.user_of(context.client), context.command, context.args)) return true;
  context.reply.error(refusal);
  return false;
}

bool parse_sort(CommandContext& context, bool may_store, SortOptions* options) {
  const auto& args = context.args;
  for (size_t i = 2; i < args.size(); ++i) {
    size_t left = args.size() - i - 1;
    if (equals_ignoring_case(args[i], "asc")) {
      options->descending = false;
    } else if (equals_ignoring_case(args[i], "desc")) {
      options->descending = true;
    } else if (equals_ignoring_case(args[i], "alpha")) {
      options->alpha = true;
    } else if (equals_ignoring_case(args[i], "limit") && left >= 2) {
      if (!integer_argument(context, args[i + 1], &options->skipped) ||
          !integer_argument(context, args[i + 2], &options->most)) {
        return false;
      }
      i += 2;
    } else if (may_store && equals_ignoring_case(args[i], "store") && left >= 1) {
      options->store = args[++i];
    } else if (equals_ignoring_case(args[i], "by") && left >= 1) {
      options->by = args[++i];
      if (args[i].substr(0, args[i].find('\0')).find('*') == std::string_view::npos)
        options->sorts = false;
      else if (!may_look_up(context, errors::kSortByDenied))
        return false;
    } else if (equals_ignoring_case(args[i], "get") && left >= 1) {
      if (!may_look_up(context, errors::kSortGetDenied)) return false;
      options->gets.push_back(args[++i]);
    } else {
      context.reply.error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

// --- gathering ---

// LIMIT over so many elements.
void apply_limit(const SortOptions& options, uint64_t size, uint64_t* first, uint64_t* count) {
  auto all = static_cast<int64_t>(size);
  int64_t skipped = std::clamp<int64_t>(options.skipped, 0, all);
  int64_t most = std::clamp<int64_t>(options.most, -1, all);
  *first = static_cast<uint64_t>(skipped);
  *count = static_cast<uint64_t>(most < 0 ? all - skipped : std::min(most, all - skipped));
}

void gather_list(CommandContext& context, const Entry& entry, Sorting* sorting) {
  List list(context.tx, context.db(), context.args[1], entry);
  apply_limit(sorting->options, list.size(), &sorting->first, &sorting->count);
  bool part = !sorting->options.sorts;
  bool forward = !(part && sorting->options.descending);
  uint64_t left = part ? sorting->count : list.size();
  if (left == 0) return;
  uint64_t skipped = part ? sorting->first : 0;
  if (part) sorting->first = 0;
  std::string scratch;
  List::Walk walk(list, forward ? skipped : list.size() - 1 - skipped, forward);
  for (; walk.valid(); walk.next()) {
    if (!sorting->charge(walk.value().length)) return;
    sorting->items.emplace_back().element.assign(walk.read(&scratch));
    if (--left == 0) return;
  }
  list.ask_ahead(walk, left);
}

void gather_set(CommandContext& context, const Entry& entry, Sorting* sorting) {
  Set set(context.tx, context.db(), context.args[1], entry, context.host().collection_limits());
  apply_limit(sorting->options, set.size(), &sorting->first, &sorting->count);
  Members::Walk walk(set);
  for (walk.seek_to_first(); walk.valid(); walk.next()) {
    if (!sorting->charge(walk.member().size())) return;
    sorting->items.emplace_back().element.assign(walk.member());
  }
}

void gather_sorted_set(CommandContext& context, const Entry& entry, Sorting* sorting) {
  SortedSet set = open_sorted_set(context, context.args[1], entry);
  apply_limit(sorting->options, set.size(), &sorting->first, &sorting->count);
  bool part = !sorting->options.sorts;
  bool forward = !(part && sorting->options.descending);
  uint64_t left = part ? sorting->count : set.size();
  if (left == 0) return;
  uint64_t skipped = part ? sorting->first : 0;
  if (part) sorting->first = 0;
  SortedSet::OrderWalk walk(set);
  for (walk.seek_rank(forward ? skipped : set.size() - 1 - skipped); walk.valid(); walk.move(forward)) {
    if (!sorting->charge(walk.member().size())) return;
    sorting->items.emplace_back().element.assign(walk.member());
    if (--left == 0) return;
  }
}

// --- other keys ---

// The key that a pattern names for an element, and the field of a hash, if it asks for one.
std::string substituted(std::string_view pattern, std::string_view element, std::string_view* field) {
  std::string_view text = pattern.substr(0, pattern.find('\0'));
  size_t star = text.find('*');
  size_t arrow = text.find("->", star + 1);
  bool of_hash = arrow != std::string_view::npos && arrow + 2 < text.size();
  *field = of_hash ? pattern.substr(arrow + 2) : std::string_view();
  std::string key(pattern.substr(0, star));
  key.append(element);
  key.append(pattern.substr(star + 1, of_hash ? arrow - star - 1 : std::string_view::npos));
  return key;
}

// What BY or GET finds for an element; false: nothing.
bool look_up(CommandContext& context, std::string_view pattern, std::string_view element, Sorting* sorting,
             std::string* value) {
  if (pattern == "#") {
    value->assign(element);
    return sorting->charge(value->size());
  }
  if (pattern.substr(0, pattern.find('\0')).find('*') == std::string_view::npos) return false;
  ReadContext& read = context.tx.read();
  if (read.misses.size() >= kMissedMax || !read.error.ok()) return false;  // the run counts for nothing
  sorting->too_long |= read.pins.size() > kPinnedMax;
  if (sorting->too_long) return false;
  if (++sorting->looked_up % kForgetEvery == 0) context.tx.forget_entries();
  std::string_view field;
  std::string key = substituted(pattern, element, &field);
  Entry entry;
  if (!find_for_reading(context, key, &entry)) return false;
  std::string scratch;
  if (field.empty()) {
    if (entry.record.type != ValueType::kString || !sorting->charge(entry.record.length())) return false;
    value->assign(context.tx.read_string(entry, &scratch));
    return true;
  }
  if (entry.record.type != ValueType::kHash) return false;
  Hash hash(context.tx, context.db(), key, entry, context.host().collection_limits());
  ElementValue found;
  if (!hash.find(field, &found) || !sorting->charge(found.length)) return false;
  value->assign(hash.read(field, found, &scratch));
  return true;
}

// --- sorting ---

bool parse_score(const std::string& text, double* score) {
  errno = 0;
  char* end = nullptr;
  *score = std::strtod(text.c_str(), &end);
  return *end == '\0' && errno != ERANGE && !std::isnan(*score);
}

void weigh(CommandContext& context, Sorting* sorting) {
  const SortOptions& options = sorting->options;
  for (SortItem& item : sorting->items) {
    std::string found;
    item.weighed = !options.by || look_up(context, *options.by, item.element, sorting, &found);
    if (sorting->too_long) return;
    if (!item.weighed) continue;
    if (!options.alpha) {
      sorting->not_a_number |= !parse_score(options.by ? found : item.element, &item.score);
    } else if (options.by) {
      item.weight = std::move(found);
    }
  }
}

// Redis asks strcoll, which stops at a zero; not for what is stored.
int compare_texts(const std::string& a, const std::string& b, bool whole) {
  return whole ? a.compare(b) : std::strcmp(a.c_str(), b.c_str());
}

int compare_items(const SortOptions& options, const SortItem& a, const SortItem& b) {
  if (!options.alpha) {
    if (a.score != b.score) return a.score < b.score ? -1 : 1;
    return a.element.compare(b.element);
  }
  bool whole = options.store.has_value();
  if (!options.by) return compare_texts(a.element, b.element, whole);
  if (!a.weighed || !b.weighed) return static_cast<int>(a.weighed) - static_cast<int>(b.weighed);
  return compare_texts(a.weight, b.weight, whole);
}

void sort_items(Sorting* sorting) {
  const SortOptions& options = sorting->options;
  std::stable_sort(sorting->items.begin(), sorting->items.end(), [&](const SortItem& a, const SortItem& b) {
    int compared = compare_items(options, a, b);
    return options.descending ? compared > 0 : compared < 0;
  });
}

// --- the result ---

// Calls `give` with each value of the result, null for what GET has not found.
template <class Give>
void each_result(CommandContext& context, Sorting* sorting, Give give) {
  for (uint64_t i = sorting->first; i < sorting->first + sorting->count; ++i) {
    if (i >= sorting->items.size()) return;  // a run that fails
    const std::string& element = sorting->items[i].element;
    if (sorting->options.gets.empty()) give(&element);
    for (std::string_view pattern : sorting->options.gets) {
      std::string value;
      bool found = look_up(context, pattern, element, sorting, &value);
      if (sorting->too_long) return;
      give(found ? &value : nullptr);
    }
  }
}

uint64_t result_size(const Sorting& sorting) {
  return sorting.count * std::max<uint64_t>(1, sorting.options.gets.size());
}

void reply_result(CommandContext& context, Sorting* sorting) {
  context.reply.array(result_size(*sorting));
  bool fits = true;
  each_result(context, sorting, [&](const std::string* value) {
    uint64_t bytes = context.reply.out().end() - context.reply_start + (value ? value->size() : 0);
    fits = fits && bytes <= context.host().max_reply();
    if (fits) value ? context.reply.bulk(*value) : context.reply.null();
  });
  if (!fits) reply_too_long(context);
}

void store_result(CommandContext& context, Sorting* sorting) {
  std::vector<std::string> values;
  each_result(context, sorting, [&](const std::string* value) { values.push_back(value ? *value : ""); });
  if (sorting->too_long || context.tx.read().faulted()) return;
  std::string_view key = *sorting->options.store;
  Entry old;
  bool there = context.tx.find(context.db(), key, &old);
  if (values.empty()) {
    context.tx.remove(context.db(), key, old);
    if (there) context.notify(kEventGeneric, "del", key);
    return context.reply.integer(0);
  }
  List list(context.tx, context.db(), key, Entry());
  list.replaces(old);
  for (const std::string& value : values) list.push(ListEnd::kTail, value);
  list.save();
  context.notify(kEventList, "sortstore", key);
  context.reply.integer(static_cast<int64_t>(values.size()));
}

void sort(CommandContext& context, bool may_store) {
  Sorting sorting;
  SortOptions& options = sorting.options;
  if (!parse_sort(context, may_store, &options)) return;
  Entry entry;
  find_for_reading(context, context.args[1], &entry);
  ValueType type = entry.exists ? entry.record.type : ValueType::kList;
  if (type != ValueType::kList && type != ValueType::kSet && type != ValueType::kSortedSet) {
    return context.reply.error(errors::kWrongType);
  }
  if (!options.sorts && type == ValueType::kSet && options.store) {  // what is stored has an order
    options.sorts = options.alpha = true;
    options.by.reset();
  }
  if (type == ValueType::kList) gather_list(context, entry, &sorting);
  if (type == ValueType::kSet) gather_set(context, entry, &sorting);
  if (type == ValueType::kSortedSet) gather_sorted_set(context, entry, &sorting);
  if (options.sorts && !sorting.too_long) {
    weigh(context, &sorting);
    if (!sorting.too_long && !sorting.not_a_number) sort_items(&sorting);
  }
  if (!sorting.too_long && sorting.not_a_number) return context.reply.error(errors::kSortNotNumbers);
  if (!sorting.too_long) options.store ? store_result(context, &sorting) : reply_result(context, &sorting);
  if (!sorting.too_long) return;
  context.reply.out().truncate(context.reply_start);
  context.reply.error(errors::kSortTooLong);
}

void run_sort(CommandContext& context) {
  sort(context, true);
}
void run_sort_ro(CommandContext& context) {
  sort(context, false);
}

// The key, and that of the last STORE.
void find_sort_keys(const std::vector<std::string_view>& args, std::vector<FoundKey>* keys) {
  keys->push_back({1, kKeyRO | kKeyAccess});
  int store = 0;
  for (size_t i = 2; i < args.size(); ++i) {
    if (equals_ignoring_case(args[i], "limit")) {
      i += 2;
    } else if (equals_ignoring_case(args[i], "get") || equals_ignoring_case(args[i], "by")) {
      ++i;
    } else if (equals_ignoring_case(args[i], "store") && i + 1 < args.size()) {
      store = static_cast<int>(i) + 1;
    }
  }
  if (store > 0) keys->push_back({store, kKeyOW | kKeyUpdate});
}

KeySpec unknown_keys(uint32_t flags, const char* note) {
  KeySpec spec;
  spec.flags = flags;
  spec.note = note;
  return spec;
}

}  // namespace

void add_sort_commands(CommandTable& table) {
  constexpr uint32_t kAcl = kAclSet | kAclSortedSet | kAclList | kAclDangerous;
  const char* complexity =
      "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of "
      "returned "
      "elements. When the elements are not sorted, complexity is O(N).";
  const KeySpec key = {1, 1, 1, kKeyRO | kKeyAccess};
  const KeySpec others =
      unknown_keys(kKeyRO | kKeyAccess,
                   "For the optional BY/GET keyword. It is marked 'unknown' because the key "
                   "names derive from the content of the key we sort");
  const KeySpec target = unknown_keys(kKeyOW | kKeyUpdate,
                                      "For the optional STORE keyword. It is marked 'unknown' because the "
                                      "keyword can appear anywhere in the argument array");
  Command sort = make_command({"sort",
                               -2,
                               kCmdWrite | kCmdDenyOom | kCmdMovableKeys,
                               kAclWrite | kAcl,
                               {key, others, target},
                               run_sort,
                               "1.0.0",
                               "generic",
                               complexity,
                               "Sort the elements in a list, set or sorted set"});
  sort.find_keys = find_sort_keys;
  table.add(std::move(sort));
  table.add(make_command({"sort_ro",
                          -2,
                          kCmdReadOnly | kCmdMovableKeys,
                          kAclRead | kAcl,
                          {key, others},
                          run_sort_ro,
                          "7.0.0",
                          "generic",
                          complexity,
                          "Sort the elements in a list, set or sorted set. Read-only variant of SORT."}));
}

}  // namespace varve
