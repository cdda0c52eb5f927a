// strings.cc: string commands. Plain SETs are blind (they read memory only); the rest look first.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "command/families/helpers.h"
#include "command/families/string_options.h"
#include "command/numbers.h"
#include "command/string_stream.h"

namespace varve {

bool integer_argument(CommandContext& context, std::string_view text, int64_t* value) {
  if (parse_integer(text, value)) return true;
  context.reply.error(errors::kNotInteger);
  return false;
}

bool count_argument(CommandContext& context, std::string_view text, int64_t* value) {
  if (!integer_argument(context, text, value)) return false;
  if (*value != INT64_MIN) return true;
  context.reply.error(
      fmt::format("ERR value is out of range, value must between {} and {}", -INT64_MAX, INT64_MAX));
  return false;
}

bool timeout_argument(CommandContext& context, std::string_view text, bool seconds, int64_t* timeout_ms) {
  long double value = 0;
  if (seconds) {
    if (!parse_long_double(text, &value)) {
      context.reply.error("ERR timeout is not a float or out of range");
      return false;
    }
    value = std::ceil(value * 1000);
    // Redis converts what does not fit into a negative number.
    bool fits = value >= 0 && value < static_cast<long double>(INT64_MAX);
    *timeout_ms = fits ? static_cast<int64_t>(value) : -1;
  } else if (!parse_integer(text, timeout_ms)) {
    context.reply.error("ERR timeout is not an integer or out of range");
    return false;
  }
  if (*timeout_ms < 0) {
    context.reply.error("ERR timeout is negative");
    return false;
  }
  if (*timeout_ms > INT64_MAX - context.now_ms()) {
    context.reply.error("ERR timeout is out of range");
    return false;
  }
  return true;
}

void reply_too_long(CommandContext& context) {
  context.reply.out().truncate(context.reply_start);
  context.reply.error(fmt::format(errors::kReplyTooLong, context.host().max_reply()));
}

void reply_string(CommandContext& context, const Entry& entry) {
  if (entry.record.length() > context.host().max_reply()) return reply_too_long(context);
  std::string scratch;
  context.reply.bulk(context.tx.read_string(entry, &scratch));
}

namespace {

// What GET, GETSET, GETDEL and SET ... GET answer first. False: an error was replied.
bool reply_old_value(CommandContext& context, Entry* entry) {
  find_for_reading(context, context.args[1], entry);
  if (!is_string_or_absent(context, *entry)) return false;
  if (!entry->exists) {
    context.reply.null();
    return true;
  }
  reply_string(context, *entry);
  return entry->record.length() <= context.host().max_reply();
}

// A part of a string as a bulk: at once, or streamed when it is long.
void reply_range(CommandContext& context, const Entry& entry, uint64_t offset, uint64_t size) {
  bool streams = size > kStreamedStringMin && context.may_stream();
  if (!streams || entry.record.encoding == Encoding::kInline) {
    if (size > std::max(kStreamedStringMin, context.host().max_reply())) return reply_too_long(context);
    std::string scratch;
    return context.reply.bulk(context.tx.read_string(entry, offset, size, &scratch));
  }
  context.reply.out().append(fmt::format("${}\r\n", size));
  context.stream(std::make_unique<StringStream>(*context.engine(), entry.record.collection, offset, size,
                                                context.tx.read().seen));
}

void run_get(CommandContext& context) {
  Entry entry;
  find_for_reading(context, context.args[1], &entry);
  if (!is_string_or_absent(context, entry)) return;
  if (!entry.exists) return context.reply.null();
  reply_range(context, entry, 0, entry.record.length());
}

void notify_set(CommandContext& context, std::string_view key, bool expires = false) {
  context.notify(kEventString, "set", key);
  if (expires) context.notify(kEventGeneric, "expire", key);
}

void run_set(CommandContext& context) {
  StringOptions options;
  if (!parse_set_options(context, 3, &options)) return;
  std::string_view key = context.args[1];
  std::string_view value = context.args[2];
  Record record;
  if (options.expire.data() != nullptr && !parse_expire_time(context, options.expire, options.expire_seconds,
                                                             options.expire_absolute, &record.expire_ms)) {
    return;
  }
  if (!options.nx && !options.xx && !options.get && !options.keep_ttl) {
    context.tx.put_string_blind(context.db(), key, value, record);
    notify_set(context, key, options.expire.data() != nullptr);
    return context.reply.ok();
  }
  Entry old;
  if (options.get) {
    if (!reply_old_value(context, &old)) return;
  } else {
    context.tx.find(context.db(), key, &old);
  }
  if ((options.nx && old.exists) || (options.xx && !old.exists)) {
    if (!options.get) context.reply.null();
    return;
  }
  if (options.keep_ttl && old.exists) record.expire_ms = old.record.expire_ms;
  context.tx.put_string(context.db(), key, old, value, record);
  notify_set(context, key, options.expire.data() != nullptr);
  if (!options.get) context.reply.ok();
}

void run_setnx(CommandContext& context) {
  Entry old;
  if (context.tx.find(context.db(), context.args[1], &old)) return context.reply.integer(0);
  context.tx.put_string(context.db(), context.args[1], old, context.args[2], Record());
  notify_set(context, context.args[1]);
  context.reply.integer(1);
}

void set_with_time(CommandContext& context, bool seconds) {
  Record record;
  if (!parse_expire_time(context, context.args[2], seconds, false, &record.expire_ms)) return;
  context.tx.put_string_blind(context.db(), context.args[1], context.args[3], record);
  notify_set(context, context.args[1], true);
  context.reply.ok();
}
void run_setex(CommandContext& context) {
  set_with_time(context, true);
}
void run_psetex(CommandContext& context) {
  set_with_time(context, false);
}

void run_getset(CommandContext& context) {
  Entry old;
  if (!reply_old_value(context, &old)) return;
  context.tx.put_string(context.db(), context.args[1], old, context.args[2], Record());
  notify_set(context, context.args[1]);
}

void run_getdel(CommandContext& context) {
  Entry old;
  if (!reply_old_value(context, &old)) return;
  context.tx.remove(context.db(), context.args[1], old);
  if (old.exists) context.notify(kEventGeneric, "del", context.args[1]);
}

void run_getex(CommandContext& context) {
  StringOptions options;
  if (!parse_getex_options(context, 2, &options)) return;
  std::string_view key = context.args[1];
  Entry entry;
  find_for_reading(context, key, &entry);
  if (!entry.exists) return context.reply.null();
  if (!is_string_or_absent(context, entry)) return;
  int64_t expire_ms = 0;
  bool expires = options.expire.data() != nullptr;
  if (expires && !parse_expire_time(context, options.expire, options.expire_seconds, options.expire_absolute,
                                    &expire_ms)) {
    return;
  }
  reply_string(context, entry);
  if (entry.record.length() > context.host().max_reply()) return;
  if (!expires && !options.persist) return;
  if (expires && options.expire_absolute && expire_ms <= context.now_ms()) {
    context.tx.remove(context.db(), key, entry);
    return context.notify(kEventGeneric, "del", key);
  }
  if (entry.record.expire_ms != expire_ms) {
    Record record = entry.record;
    record.expire_ms = expire_ms;
    context.tx.put(context.db(), key, entry, record);
  } else if (!expires) {
    return;
  }
  context.notify(kEventGeneric, expires ? "expire" : "persist", key);
}

// What a bulk has around its bytes, about.
constexpr uint64_t kBulkOverhead = 16;

void run_mget(CommandContext& context) {
  context.reply.array(context.args.size() - 1);
  std::string scratch;
  uint64_t total = 0;
  for (size_t i = 1; i < context.args.size(); ++i) {
    Entry entry;
    find_for_reading(context, context.args[i], &entry);
    if (!entry.exists || entry.record.type != ValueType::kString) {
      context.reply.null();
      continue;
    }
    total += entry.record.length() + kBulkOverhead;
    if (total > context.host().max_reply()) return reply_too_long(context);
    context.reply.bulk(context.tx.read_string(entry, &scratch));
    context.tx.forget_entries();
  }
}

bool pairs_fit(CommandContext& context) {
  if (context.args.size() % 2 == 1) return true;
  context.reply.error(
      fmt::format("ERR wrong number of arguments for '{}' command", context.command.full_name));
  return false;
}

void run_mset(CommandContext& context) {
  if (!pairs_fit(context)) return;
  for (size_t i = 1; i < context.args.size(); i += 2) {
    context.tx.put_string_blind(context.db(), context.args[i], context.args[i + 1], Record());
    notify_set(context, context.args[i]);
  }
  context.reply.ok();
}

void run_msetnx(CommandContext& context) {
  if (!pairs_fit(context)) return;
  bool any = false;
  for (size_t i = 1; i < context.args.size(); i += 2) {
    Entry entry;
    any |= context.tx.find(context.db(), context.args[i], &entry);
  }
  if (any) return context.reply.integer(0);
  for (size_t i = 1; i < context.args.size(); i += 2) {
    Entry old;  // found again: an earlier pair may have set it
    context.tx.find(context.db(), context.args[i], &old);
    context.tx.put_string(context.db(), context.args[i], old, context.args[i + 1], Record());
    notify_set(context, context.args[i]);
  }
  context.reply.integer(1);
}

// The new value of a counter: keeps its expiry.
void put_number(CommandContext& context, const Entry& old, std::string_view text, StringForm form) {
  Record record;
  record.form = form;
  if (old.exists) record.expire_ms = old.record.expire_ms;
  context.tx.put_string(context.db(), context.args[1], old, text, record);
  context.notify(kEventString, form == StringForm::kNotInteger ? "incrbyfloat" : "incrby", context.args[1]);
}

void increment(CommandContext& context, int64_t by) {
  Entry old;
  context.tx.find(context.db(), context.args[1], &old);
  if (!is_string_or_absent(context, old)) return;
  int64_t value = 0;
  if (old.exists && (old.record.length() > 20 || !parse_integer(old.record.payload, &value))) {
    return context.reply.error(errors::kNotInteger);
  }
  if (__builtin_add_overflow(value, by, &value)) return context.reply.error(errors::kOverflow);
  IntegerText text;
  format_integer(value, &text);
  put_number(context, old, text.view, StringForm::kPlain);
  context.reply.integer(value);
}

void run_incr(CommandContext& context) {
  increment(context, 1);
}
void run_decr(CommandContext& context) {
  increment(context, -1);
}

void run_incrby(CommandContext& context) {
  int64_t by = 0;
  if (integer_argument(context, context.args[2], &by)) increment(context, by);
}

void run_decrby(CommandContext& context) {
  int64_t by = 0;
  if (!integer_argument(context, context.args[2], &by)) return;
  if (by == INT64_MIN) return context.reply.error(errors::kDecrementOverflow);
  increment(context, -by);
}

void run_incrbyfloat(CommandContext& context) {
  Entry old;
  context.tx.find(context.db(), context.args[1], &old);
  if (!is_string_or_absent(context, old)) return;
  long double value = 0;
  long double by = 0;
  std::string scratch;
  if (old.exists && (old.record.length() > kSegmentSize ||
                     !parse_long_double(context.tx.read_string(old, &scratch), &value))) {
    return context.reply.error(errors::kNotFloat);
  }
  if (!parse_long_double(context.args[2], &by)) return context.reply.error(errors::kNotFloat);
  value += by;
  if (std::isnan(value) || std::isinf(value)) return context.reply.error(errors::kNanOrInfinity);
  std::string text = format_long_double(value);
  put_number(context, old, text, StringForm::kNotInteger);
  context.reply.bulk(text);
}

// True when a string of `size` bytes may grow by `more`.
bool length_fits(CommandContext& context, uint64_t size, uint64_t more) {
  if (size <= context.host().max_bulk() && more <= context.host().max_bulk() - size) return true;
  context.reply.error(errors::kStringTooLong);
  return false;
}

void run_append(CommandContext& context) {
  std::string_view key = context.args[1];
  std::string_view more = context.args[2];
  Entry old;
  if (!context.tx.find(context.db(), key, &old)) {
    context.tx.put_string(context.db(), key, old, more, Record());
    context.notify(kEventString, "append", key);
    return context.reply.integer(static_cast<int64_t>(more.size()));
  }
  if (!is_string_or_absent(context, old)) return;
  uint64_t length = old.record.length();
  if (!length_fits(context, length, more.size())) return;
  context.tx.write_range(context.db(), key, old, length, more, StringForm::kRaw);
  context.notify(kEventString, "append", key);
  context.reply.integer(static_cast<int64_t>(length + more.size()));
}

void run_setrange(CommandContext& context) {
  int64_t offset = 0;
  if (!integer_argument(context, context.args[2], &offset)) return;
  if (offset < 0) return context.reply.error(errors::kOffsetRange);
  std::string_view key = context.args[1];
  std::string_view bytes = context.args[3];
  Entry old;
  context.tx.find(context.db(), key, &old);
  if (!is_string_or_absent(context, old)) return;
  uint64_t length = old.exists ? old.record.length() : 0;
  if (bytes.empty()) return context.reply.integer(static_cast<int64_t>(length));
  uint64_t from = static_cast<uint64_t>(offset);
  if (!length_fits(context, from, bytes.size())) return;
  context.tx.write_range(context.db(), key, old, from, bytes, StringForm::kRaw);
  context.notify(kEventString, "setrange", key);
  context.reply.integer(static_cast<int64_t>(std::max(length, from + bytes.size())));
}

void run_strlen(CommandContext& context) {
  Entry entry;
  find_for_reading(context, context.args[1], &entry);
  if (!is_string_or_absent(context, entry)) return;
  context.reply.integer(entry.exists ? static_cast<int64_t>(entry.record.length()) : 0);
}

void run_getrange(CommandContext& context) {
  int64_t start = 0;
  int64_t end = 0;
  if (!integer_argument(context, context.args[2], &start) ||
      !integer_argument(context, context.args[3], &end))
    return;
  Entry entry;
  find_for_reading(context, context.args[1], &entry);
  if (!is_string_or_absent(context, entry)) return;
  int64_t length = entry.exists ? static_cast<int64_t>(entry.record.length()) : 0;
  if (length == 0 || (start < 0 && end < 0 && start > end)) return context.reply.bulk("");
  if (start < 0) start = std::max<int64_t>(0, start < -length ? 0 : length + start);
  if (end < 0) end = std::max<int64_t>(0, end < -length ? 0 : length + end);
  end = std::min(end, length - 1);
  if (start > end) return context.reply.bulk("");
  reply_range(context, entry, static_cast<uint64_t>(start), static_cast<uint64_t>(end - start + 1));
}

// What SET does depends on whether it is to give the old value back.
void set_keys(const std::vector<std::string_view>& args, std::vector<FoundKey>* keys) {
  uint32_t flags = kKeyOW | kKeyUpdate;
  for (size_t i = 3; i < args.size(); ++i) {
    if (equals_ignoring_case(args[i], "get")) flags = kKeyRW | kKeyAccess | kKeyUpdate;
  }
  keys->push_back({1, flags});
}

}  // namespace

void add_string_commands(CommandTable& table) {
  constexpr uint32_t kRead = kAclRead | kAclString;
  constexpr uint32_t kWrite = kAclWrite | kAclString;
  constexpr uint32_t kTouched = 3 * kSegmentSize;  // segments rewritten at the ends of a range
  auto add = [&](const char* name, int arity, uint32_t flags, uint32_t categories, KeySpec keys,
                 CommandFunction run, const char* since, const char* complexity, const char* summary,
                 uint32_t extra = 0, KeysFunction find_keys = nullptr) {
    categories |= (flags & kCmdFast) != 0 ? kAclFast : kAclSlow;
    Command command;
    command.name = name;
    command.arity = arity;
    command.flags = flags;
    command.categories = categories;
    command.keys = {keys};
    command.run = run;
    command.since = since;
    command.group = "string";
    command.summary = summary;
    command.complexity = complexity;
    command.extra_write_bytes = extra;
    command.find_keys = find_keys;
    if (std::string_view(name) == "msetnx")
      command.tips = {"request_policy:multi_shard", "response_policy:agg_min"};
    if (std::string_view(name) == "mget") command.tips = {"request_policy:multi_shard"};
    if (std::string_view(name) == "mset")
      command.tips = {"request_policy:multi_shard", "response_policy:all_succeeded"};
    table.add(std::move(command));
  };
  add("append", 3, kCmdWrite | kCmdDenyOom | kCmdFast, kWrite, {1, 1, 1, kKeyRW | kKeyInsert}, run_append,
      "2.0.0",
      "O(1). The amortized time complexity is O(1) assuming the appended value is small and the already "
      "present value is of "
      "any size, since the dynamic string library used by Redis will double the free space available on "
      "every reallocation.",
      "Append a value to a key", kTouched);
  add("decr", 2, kCmdWrite | kCmdDenyOom | kCmdFast, kWrite, {1, 1, 1, kKeyRW | kKeyAccess | kKeyUpdate},
      run_decr, "1.0.0", "O(1)", "Decrement the integer value of a key by one");
  add("decrby", 3, kCmdWrite | kCmdDenyOom | kCmdFast, kWrite, {1, 1, 1, kKeyRW | kKeyAccess | kKeyUpdate},
      run_decrby, "1.0.0", "O(1)", "Decrement the integer value of a key by the given number");
  add("get", 2, kCmdReadOnly | kCmdFast, kRead, {1, 1, 1, kKeyRO | kKeyAccess}, run_get, "1.0.0", "O(1)",
      "Get the value of a key");
  add("getdel", 2, kCmdWrite | kCmdFast | kCmdFrees, kWrite, {1, 1, 1, kKeyRW | kKeyAccess | kKeyDelete},
      run_getdel, "6.2.0", "O(1)", "Get the value of a key and delete the key");
  add("getex", -2, kCmdWrite | kCmdFast | kCmdMayFree, kWrite, {1, 1, 1, kKeyRW | kKeyAccess | kKeyUpdate},
      run_getex, "6.2.0", "O(1)", "Get the value of a key and optionally set its expiration",
      static_cast<uint32_t>(kInlineStringMax));
  add("getrange", 4, kCmdReadOnly, kRead, {1, 1, 1, kKeyRO | kKeyAccess}, run_getrange, "2.4.0",
      "O(N) where N is the length of the returned string. The complexity is ultimately determined by the "
      "returned length, "
      "but because creating a substring from an existing string is very cheap, it can be considered O(1) for "
      "small strings.",
      "Get a substring of the string stored at a key");
  add("getset", 3, kCmdWrite | kCmdDenyOom | kCmdFast, kWrite, {1, 1, 1, kKeyRW | kKeyAccess | kKeyUpdate},
      run_getset, "1.0.0", "O(1)", "Set the string value of a key and return its old value");
  add("incr", 2, kCmdWrite | kCmdDenyOom | kCmdFast, kWrite, {1, 1, 1, kKeyRW | kKeyAccess | kKeyUpdate},
      run_incr, "1.0.0", "O(1)", "Increment the integer value of a key by one");
  add("incrby", 3, kCmdWrite | kCmdDenyOom | kCmdFast, kWrite, {1, 1, 1, kKeyRW | kKeyAccess | kKeyUpdate},
      run_incrby, "1.0.0", "O(1)", "Increment the integer value of a key by the given amount");
  add("incrbyfloat", 3, kCmdWrite | kCmdDenyOom | kCmdFast, kWrite,
      {1, 1, 1, kKeyRW | kKeyAccess | kKeyUpdate}, run_incrbyfloat, "2.6.0", "O(1)",
      "Increment the float value of a key by the given amount", static_cast<uint32_t>(kInlineStringMax));
  add("mget", -2, kCmdReadOnly | kCmdFast, kRead, {1, -1, 1, kKeyRO | kKeyAccess}, run_mget, "1.0.0",
      "O(N) where N is the number of keys to retrieve.", "Get the values of all the given keys");
  add("mset", -3, kCmdWrite | kCmdDenyOom | kCmdBlindWrite, kWrite, {1, -1, 2, kKeyOW | kKeyUpdate}, run_mset,
      "1.0.1", "O(N) where N is the number of keys to set.", "Set multiple keys to multiple values");
  add("msetnx", -3, kCmdWrite | kCmdDenyOom, kWrite, {1, -1, 2, kKeyOW | kKeyInsert}, run_msetnx, "1.0.1",
      "O(N) where N is the number of keys to set.",
      "Set multiple keys to multiple values, only if none of the keys exist");
  add("psetex", 4, kCmdWrite | kCmdDenyOom | kCmdBlindWrite, kWrite, {1, 1, 1, kKeyOW | kKeyUpdate},
      run_psetex, "2.6.0", "O(1)", "Set the value and expiration in milliseconds of a key");
  add("set", -3, kCmdWrite | kCmdDenyOom | kCmdBlindWrite, kWrite,
      {1, 1, 1, kKeyRW | kKeyAccess | kKeyUpdate | kKeyVariable}, run_set, "1.0.0", "O(1)",
      "Set the string value of a key", 0, set_keys);
  add("setex", 4, kCmdWrite | kCmdDenyOom | kCmdBlindWrite, kWrite, {1, 1, 1, kKeyOW | kKeyUpdate}, run_setex,
      "2.0.0", "O(1)", "Set the value and expiration of a key");
  add("setnx", 3, kCmdWrite | kCmdDenyOom | kCmdFast, kWrite, {1, 1, 1, kKeyOW | kKeyInsert}, run_setnx,
      "1.0.0", "O(1)", "Set the value of a key, only if the key does not exist");
  add("setrange", 4, kCmdWrite | kCmdDenyOom, kWrite, {1, 1, 1, kKeyRW | kKeyUpdate}, run_setrange, "2.2.0",
      "O(1), not counting the time taken to copy the new string in place. Usually, this string is very small "
      "so the amortized "
      "complexity is O(1). Otherwise, complexity is O(M) with M being the length of the value argument.",
      "Overwrite part of a string at key starting at the specified offset", kTouched);
  add("strlen", 2, kCmdReadOnly | kCmdFast, kRead, {1, 1, 1, kKeyRO}, run_strlen, "2.2.0", "O(1)",
      "Get the length of the value stored in a key");
  add("substr", 4, kCmdReadOnly, kRead, {1, 1, 1, kKeyRO | kKeyAccess}, run_getrange, "1.0.0",
      "O(N) where N is the length of the returned string. The complexity is ultimately determined by the "
      "returned length, "
      "but because creating a substring from an existing string is very cheap, it can be considered O(1) for "
      "small strings.",
      "Get a substring of the string stored at a key");
}

}  // namespace varve
