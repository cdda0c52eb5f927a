// keys.cc: commands about keys whatever they hold, and about whole databases.

#include <fmt/format.h>

#include <limits>

#include "command/families/helpers.h"
#include "command/families/rows.h"
#include "command/numbers.h"
#include "command/watches.h"

namespace varve {
namespace {

// --- there or not ---

void run_del(CommandContext& context) {
  int64_t removed = 0;
  for (size_t i = 1; i < context.args.size(); ++i) {
    Entry entry;
    bool found = context.tx.find(context.db(), context.args[i], &entry);
    context.tx.remove(context.db(), context.args[i], entry);
    if (!found) continue;
    context.notify(kEventGeneric, "del", context.args[i]);
    ++removed;
  }
  context.reply.integer(removed);
}

void run_exists(CommandContext& context) {
  int64_t found = 0;
  for (size_t i = 1; i < context.args.size(); ++i) {
    Entry entry;
    if (find_for_reading(context, context.args[i], &entry)) ++found;
  }
  context.reply.integer(found);
}

void run_type(CommandContext& context) {
  Entry entry;
  find_for_reading(context, context.args[1], &entry);
  context.reply.simple(entry.exists ? value_type_name(entry.record.type) : "none");
}

// --- expiry ---

struct ExpireConditions {
  bool nx = false, xx = false, gt = false, lt = false;
};

bool parse_expire_conditions(CommandContext& context, ExpireConditions* conditions) {
  for (size_t i = 3; i < context.args.size(); ++i) {
    std::string_view word = context.args[i];
    if (equals_ignoring_case(word, "nx")) {
      conditions->nx = true;
    } else if (equals_ignoring_case(word, "xx")) {
      conditions->xx = true;
    } else if (equals_ignoring_case(word, "gt")) {
      conditions->gt = true;
    } else if (equals_ignoring_case(word, "lt")) {
      conditions->lt = true;
    } else {
      context.reply.error(fmt::format("ERR Unsupported option {}", word.substr(0, word.find('\0'))));
      return false;
    }
  }
  if (conditions->nx && (conditions->xx || conditions->gt || conditions->lt)) {
    context.reply.error(errors::kExpireNxAndOthers);
    return false;
  }
  if (conditions->gt && conditions->lt) {
    context.reply.error(errors::kExpireGtLt);
    return false;
  }
  return true;
}

bool conditions_hold(const ExpireConditions& conditions, int64_t current_ms, int64_t when_ms) {
  bool expires = current_ms != 0;
  if (conditions.nx && expires) return false;
  if (conditions.xx && !expires) return false;
  if (conditions.gt && (!expires || when_ms <= current_ms)) return false;
  return !(conditions.lt && expires && when_ms >= current_ms);
}

void set_expiry(CommandContext& context, int64_t base_ms, bool seconds) {
  ExpireConditions conditions;
  if (!parse_expire_conditions(context, &conditions)) return;
  int64_t when = 0;
  if (!integer_argument(context, context.args[2], &when)) return;
  bool fits = !seconds || (when <= INT64_MAX / 1000 && when >= INT64_MIN / 1000);
  if (fits && seconds) when *= 1000;
  if (fits) fits = when <= INT64_MAX - base_ms;
  if (!fits) {
    return context.reply.error(
        fmt::format("ERR invalid expire time in '{}' command", context.command.full_name));
  }
  when += base_ms;
  Entry entry;
  std::string_view key = context.args[1];
  if (!context.tx.find(context.db(), key, &entry)) return context.reply.integer(0);
  if (!conditions_hold(conditions, entry.record.expire_ms, when)) return context.reply.integer(0);
  if (when <= context.now_ms()) {
    context.tx.remove(context.db(), key, entry);
    context.notify(kEventGeneric, "del", key);
    return context.reply.integer(1);
  }
  if (when != entry.record.expire_ms) {
    Record record = entry.record;
    record.expire_ms = when;
    context.tx.put(context.db(), key, entry, record);
  }
  context.notify(kEventGeneric, "expire", key);
  context.reply.integer(1);
}
void run_expire(CommandContext& context) {
  set_expiry(context, context.now_ms(), true);
}
void run_pexpire(CommandContext& context) {
  set_expiry(context, context.now_ms(), false);
}
void run_expireat(CommandContext& context) {
  set_expiry(context, 0, true);
}
void run_pexpireat(CommandContext& context) {
  set_expiry(context, 0, false);
}

// -2 without a key, -1 without expiry; else the time left, or the time itself, in milliseconds or rounded
// seconds.
void reply_expiry(CommandContext& context, bool left, bool seconds) {
  Entry entry;
  if (!find_for_reading(context, context.args[1], &entry)) return context.reply.integer(-2);
  if (entry.record.expire_ms == 0) return context.reply.integer(-1);
  int64_t ms = entry.record.expire_ms - (left ? context.now_ms() : 0);
  context.reply.integer(seconds ? ms / 1000 + (ms % 1000 >= 500 ? 1 : 0) : ms);
}
void run_ttl(CommandContext& context) {
  reply_expiry(context, true, true);
}
void run_pttl(CommandContext& context) {
  reply_expiry(context, true, false);
}
void run_expiretime(CommandContext& context) {
  reply_expiry(context, false, true);
}
void run_pexpiretime(CommandContext& context) {
  reply_expiry(context, false, false);
}

void run_persist(CommandContext& context) {
  Entry entry;
  std::string_view key = context.args[1];
  if (!context.tx.find(context.db(), key, &entry) || entry.record.expire_ms == 0)
    return context.reply.integer(0);
  Record record = entry.record;
  record.expire_ms = 0;
  context.tx.put(context.db(), key, entry, record);
  context.notify(kEventGeneric, "persist", key);
  context.reply.integer(1);
}

// --- other names, other databases ---

void rename_key(CommandContext& context, bool only_if_free) {
  std::string_view from = context.args[1];
  std::string_view to = context.args[2];
  DatabaseId db = context.db();
  Entry source;
  Entry target;
  if (!context.tx.find(db, from, &source)) return context.reply.error(errors::kNoSuchKey);
  bool taken = from == to || context.tx.find(db, to, &target);
  if (only_if_free && taken) return context.reply.integer(0);
  if (from != to) {
    context.tx.remove_keeping_collection(db, from, source);
    context.tx.put(db, to, target, source.record);
    if (target.exists) context.notify(kEventNew, "new", to);  // Redis deletes the old one first
    context.notify(kEventGeneric, "rename_from", from);
    context.notify(kEventGeneric, "rename_to", to);
  }
  if (only_if_free) return context.reply.integer(1);
  context.reply.ok();
}
void run_rename(CommandContext& context) {
  rename_key(context, false);
}
void run_renamenx(CommandContext& context) {
  rename_key(context, true);
}

// The argument as an int, as Redis's getIntFromObjectOrReply; `message` replaces its texts.
bool int_argument(CommandContext& context, std::string_view text, const char* message, int64_t* value) {
  if (!parse_integer(text, value)) {
    context.reply.error(message != nullptr ? message : errors::kNotInteger);
    return false;
  }
  constexpr int64_t kMin = std::numeric_limits<int32_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  if (*value >= kMin && *value <= kMax) return true;
  context.reply.error(
      message != nullptr
          ? std::string(message)
          : fmt::format("ERR value is out of range, value must between {} and {}", kMin, kMax));
  return false;
}

bool database_argument(CommandContext& context, std::string_view text, const char* message,
                       uint32_t* number) {
  int64_t value = 0;
  if (!int_argument(context, text, message, &value)) return false;
  if (value < 0 || value >= context.host().databases()) {
    context.reply.error(errors::kDbRange);
    return false;
  }
  *number = static_cast<uint32_t>(value);
  return true;
}

void run_copy(CommandContext& context) {
  std::string_view from = context.args[1];
  std::string_view to = context.args[2];
  uint32_t target_number = context.client.db;
  bool replace = false;
  for (size_t i = 3; i < context.args.size(); ++i) {
    if (equals_ignoring_case(context.args[i], "replace")) {
      replace = true;
    } else if (equals_ignoring_case(context.args[i], "db") && i + 1 < context.args.size()) {
      if (!database_argument(context, context.args[++i], nullptr, &target_number)) return;
    } else {
      return context.reply.error(errors::kSyntax);
    }
  }
  if (target_number == context.client.db && from == to) return context.reply.error(errors::kSameObject);
  DatabaseId target_db = context.tx.database(target_number);
  Entry source;
  Entry target;
  find_for_reading(context, from, &source);
  if (!source.exists) return context.reply.integer(0);
  if (context.tx.find(target_db, to, &target) && !replace) return context.reply.integer(0);
  if (!context.tx.copy(source, target_db, to, target, source.record.expire_ms, kCopyMax)) {
    return context.reply.error(errors::kCopyTooLong);
  }
  if (target.exists) context.tx.note_event(kEventNew, "new", target_number, to);
  context.tx.note_event(kEventGeneric, "copy_to", target_number, to);
  context.reply.integer(1);
}

void run_move(CommandContext& context) {
  uint32_t target_number = 0;
  if (!database_argument(context, context.args[2], nullptr, &target_number)) return;
  if (target_number == context.client.db) return context.reply.error(errors::kSameObject);
  std::string_view key = context.args[1];
  DatabaseId target_db = context.tx.database(target_number);
  Entry source;
  Entry target;
  if (!context.tx.find(context.db(), key, &source)) return context.reply.integer(0);
  if (context.tx.find(target_db, key, &target)) return context.reply.integer(0);
  context.tx.remove_keeping_collection(context.db(), key, source);
  context.tx.put(target_db, key, target, source.record);
  context.notify(kEventGeneric, "move_from", key);
  context.tx.note_event(kEventGeneric, "move_to", target_number, key);
  context.reply.integer(1);
}

// --- whole databases ---

void run_select(CommandContext& context) {
  uint32_t number = 0;
  if (!database_argument(context, context.args[1], nullptr, &number)) return;
  context.client.db = number;
  context.reply.ok();
}

void run_swapdb(CommandContext& context) {
  int64_t first = 0;
  int64_t second = 0;
  if (!int_argument(context, context.args[1], errors::kInvalidFirstDb, &first)) return;
  if (!int_argument(context, context.args[2], errors::kInvalidSecondDb, &second)) return;
  int64_t databases = context.host().databases();
  if (first < 0 || second < 0 || first >= databases || second >= databases) {
    return context.reply.error(errors::kDbRange);
  }
  if (first == second) return context.reply.ok();  // and no watched key is touched
  auto a = static_cast<uint32_t>(first);
  auto b = static_cast<uint32_t>(second);
  // Watched keys that come to be; those that were there are touched as the databases' own change.
  for (auto [from, to] : {std::pair(a, b), std::pair(b, a)}) {
    for (std::string& key : context.services.watches.keys_of(from)) {
      Entry entry;
      if (context.tx.find(context.tx.database(to), key, &entry)) {
        context.services.touched.emplace_back(from, std::move(key));
      }
    }
  }
  context.tx.swap_databases(a, b);
  context.reply.ok();
}

// SYNC and ASYNC come to the same here: a flush is one small record.
bool flush_arguments_fit(CommandContext& context) {
  if (context.args.size() == 1) return true;
  if (context.args.size() == 2 &&
      (equals_ignoring_case(context.args[1], "sync") || equals_ignoring_case(context.args[1], "async"))) {
    return true;
  }
  context.reply.error(errors::kSyntax);
  return false;
}

void run_flushdb(CommandContext& context) {
  if (!flush_arguments_fit(context)) return;
  context.tx.flush_database(context.client.db);
  context.reply.ok();
}

void run_flushall(CommandContext& context) {
  if (!flush_arguments_fit(context)) return;
  context.tx.flush_all(context.host().databases());
  context.reply.ok();
}

void run_dbsize(CommandContext& context) {
  context.invocation.gate = context.engine()->last_sequence();
  context.reply.integer(static_cast<int64_t>(context.tx.key_count(context.db())));
}

// --- OBJECT ---

const char* string_encoding(const Record& record) {
  if (record.form == StringForm::kRaw || record.encoding != Encoding::kInline) return "raw";
  if (record.form == StringForm::kPlain && is_stored_as_integer(record.payload)) return "int";
  return record.payload.size() <= kEmbeddedStringMax ? "embstr" : "raw";
}

const char* encoding_name(const Record& record) {
  switch (record.type) {
    case ValueType::kString:
      return string_encoding(record);
    case ValueType::kList:
      return "quicklist";
    case ValueType::kSet:
      return record.grown ? "hashtable" : "intset";
    case ValueType::kSortedSet:
      return record.grown ? "skiplist" : "listpack";
    case ValueType::kHash:
      return record.grown ? "hashtable" : "listpack";
    case ValueType::kStream:
      return "stream";
  }
  return "unknown";
}

void run_object_encoding(CommandContext& context) {
  Entry entry;
  if (!find_quietly(context, context.args[2], &entry)) return context.reply.null();
  context.reply.bulk(encoding_name(entry.record));
}

// Redis shares the objects of small integers among all keys and says so.
void run_object_refcount(CommandContext& context) {
  Entry entry;
  if (!find_quietly(context, context.args[2], &entry)) return context.reply.null();
  int64_t value = -1;
  bool integer = entry.record.type == ValueType::kString &&
                 string_encoding(entry.record) == std::string_view("int") &&
                 parse_integer(entry.record.payload, &value);
  context.reply.integer(integer && value >= 0 && value < 10000 ? std::numeric_limits<int32_t>::max() : 1);
}

// Nothing is evicted, so nobody keeps when a key was last used.
void run_object_idletime(CommandContext& context) {
  Entry entry;
  if (!find_quietly(context, context.args[2], &entry)) return context.reply.null();
  context.reply.integer(0);
}

void run_object_freq(CommandContext& context) {
  Entry entry;
  if (!find_quietly(context, context.args[2], &entry)) return context.reply.null();
  context.reply.error(errors::kNoLfu);
}

void run_object_help(CommandContext& context) {
  static constexpr const char* kLines[] = {
      "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
      "ENCODING <key>",
      "    Return the kind of internal representation used in order to store the value",
      "    associated with a <key>.",
      "FREQ <key>",
      "    Return the access frequency index of the <key>. The returned integer is",
      "    proportional to the logarithm of the recent access frequency of the key.",
      "IDLETIME <key>",
      "    Return the idle time of the <key>, that is the approximated number of",
      "    seconds elapsed since the last access to the key.",
      "REFCOUNT <key>",
      "    Return the number of references of the value associated with the specified",
      "    <key>.",
      "HELP",
      "    Prints this help.",
  };
  context.reply.array(std::size(kLines));
  for (const char* line : kLines) context.reply.simple(line);
}

// --- the rows ---

void add_object_command(CommandTable& table) {
  Command object = make_command({"object",
                                 -2,
                                 0,
                                 0,
                                 {},
                                 nullptr,
                                 "2.2.3",
                                 "generic",
                                 "Depends on subcommand.",
                                 "A container for object introspection commands"});
  const KeySpec key = {2, 2, 1, kKeyRO};
  constexpr uint32_t kFlags = kCmdReadOnly;
  constexpr uint32_t kAcl = kAclKeyspace | kAclRead;
  const std::vector<const char*> random_tip = {"nondeterministic_output"};
  for (const CommandRow& row : {
           CommandRow{"encoding",
                      3,
                      kFlags,
                      kAcl,
                      {key},
                      run_object_encoding,
                      "2.2.3",
                      "generic",
                      "O(1)",
                      "Inspect the internal encoding of a Redis object",
                      random_tip},
           CommandRow{"freq",
                      3,
                      kFlags,
                      kAcl,
                      {key},
                      run_object_freq,
                      "4.0.0",
                      "generic",
                      "O(1)",
                      "Get the logarithmic access frequency counter of a Redis object",
                      random_tip},
           CommandRow{"help",
                      2,
                      kCmdLoading | kCmdStale,
                      kAclKeyspace,
                      {},
                      run_object_help,
                      "6.2.0",
                      "generic",
                      "O(1)",
                      "Show helpful text about the different subcommands"},
           CommandRow{"idletime",
                      3,
                      kFlags,
                      kAcl,
                      {key},
                      run_object_idletime,
                      "2.2.3",
                      "generic",
                      "O(1)",
                      "Get the time since a Redis object was last accessed",
                      random_tip},
           CommandRow{"refcount",
                      3,
                      kFlags,
                      kAcl,
                      {key},
                      run_object_refcount,
                      "2.2.3",
                      "generic",
                      "O(1)",
                      "Get the number of references to the value of the key",
                      random_tip},
       }) {
    object.subcommands.push_back(make_command(row));
  }
  table.add(std::move(object));
}

}  // namespace

const char* object_encoding(const Record& record) {
  return encoding_name(record);
}

void add_key_commands(CommandTable& table) {
  constexpr uint32_t kRead = kAclKeyspace | kAclRead;
  constexpr uint32_t kWrite = kAclKeyspace | kAclWrite;
  constexpr uint32_t kFlush = kAclKeyspace | kAclWrite | kAclDangerous;
  constexpr uint32_t kRecord = static_cast<uint32_t>(kInlineStringMax);  // a record written again as it was
  const std::vector<KeySpec> read_one = {{1, 1, 1, kKeyRO}};
  const std::vector<KeySpec> read_access = {{1, 1, 1, kKeyRO | kKeyAccess}};
  const std::vector<KeySpec> update_one = {{1, 1, 1, kKeyRW | kKeyUpdate}};
  const std::vector<const char*> sum_tips = {"request_policy:multi_shard", "response_policy:agg_sum"};
  const std::vector<const char*> shard_tips = {"request_policy:all_shards", "response_policy:all_succeeded"};
  const CommandRow rows[] = {
      {"copy",
       -3,
       kCmdWrite | kCmdDenyOom,
       kWrite,
       {{1, 1, 1, kKeyRO | kKeyAccess}, {2, 2, 1, kKeyOW | kKeyUpdate}},
       run_copy,
       "6.2.0",
       "generic",
       "O(N) worst case for collections, where N is the number of nested items. O(1) for string values.",
       "Copy a key",
       {},
       kRecord},
      {"dbsize",
       1,
       kCmdReadOnly | kCmdFast,
       kRead,
       {},
       run_dbsize,
       "1.0.0",
       "server",
       "O(1)",
       "Return the number of keys in the selected database",
       {"request_policy:all_shards", "response_policy:agg_sum"}},
      {"del",
       -2,
       kCmdWrite | kCmdFrees,
       kWrite,
       {{1, -1, 1, kKeyRM | kKeyDelete}},
       run_del,
       "1.0.0",
       "generic",
       "O(N) where N is the number of keys that will be removed. When a key to remove holds a value other "
       "than a string, the "
       "individual complexity for this key is O(M) where M is the number of elements in the list, set, "
       "sorted set or hash. "
       "Removing a single key that holds a string value is O(1).",
       "Delete a key",
       sum_tips},
      {"exists",
       -2,
       kCmdReadOnly | kCmdFast,
       kRead,
       {{1, -1, 1, kKeyRO}},
       run_exists,
       "1.0.0",
       "generic",
       "O(N) where N is the number of keys to check.",
       "Determine if a key exists",
       sum_tips},
      {"expire",
       -3,
       kCmdWrite | kCmdFast | kCmdMayFree,
       kWrite,
       update_one,
       run_expire,
       "1.0.0",
       "generic",
       "O(1)",
       "Set a key's time to live in seconds",
       {},
       kRecord},
      {"expireat",
       -3,
       kCmdWrite | kCmdFast | kCmdMayFree,
       kWrite,
       update_one,
       run_expireat,
       "1.2.0",
       "generic",
       "O(1)",
       "Set the expiration for a key as a UNIX timestamp",
       {},
       kRecord},
      {"expiretime", 2, kCmdReadOnly | kCmdFast, kRead, read_access, run_expiretime, "7.0.0", "generic",
       "O(1)", "Get the expiration Unix timestamp for a key"},
      {"flushall",
       -1,
       kCmdWrite | kCmdFrees,
       kFlush,
       {},
       run_flushall,
       "1.0.0",
       "server",
       "O(N) where N is the total number of keys in all databases",
       "Remove all keys from all databases",
       shard_tips},
      {"flushdb",
       -1,
       kCmdWrite | kCmdFrees,
       kFlush,
       {},
       run_flushdb,
       "1.0.0",
       "server",
       "O(N) where N is the number of keys in the selected database",
       "Remove all keys from the current database",
       shard_tips},
      {"move",
       3,
       kCmdWrite | kCmdFast,
       kWrite,
       {{1, 1, 1, kKeyRW | kKeyAccess | kKeyUpdate}},
       run_move,
       "1.0.0",
       "generic",
       "O(1)",
       "Move a key to another database",
       {},
       kRecord},
      {"persist",
       2,
       kCmdWrite | kCmdFast,
       kWrite,
       update_one,
       run_persist,
       "2.2.0",
       "generic",
       "O(1)",
       "Remove the expiration from a key",
       {},
       kRecord},
      {"pexpire",
       -3,
       kCmdWrite | kCmdFast | kCmdMayFree,
       kWrite,
       update_one,
       run_pexpire,
       "2.6.0",
       "generic",
       "O(1)",
       "Set a key's time to live in milliseconds",
       {},
       kRecord},
      {"pexpireat",
       -3,
       kCmdWrite | kCmdFast | kCmdMayFree,
       kWrite,
       update_one,
       run_pexpireat,
       "2.6.0",
       "generic",
       "O(1)",
       "Set the expiration for a key as a UNIX timestamp specified in milliseconds",
       {},
       kRecord},
      {"pexpiretime", 2, kCmdReadOnly | kCmdFast, kRead, read_access, run_pexpiretime, "7.0.0", "generic",
       "O(1)", "Get the expiration Unix timestamp for a key in milliseconds"},
      {"pttl",
       2,
       kCmdReadOnly | kCmdFast,
       kRead,
       read_access,
       run_pttl,
       "2.6.0",
       "generic",
       "O(1)",
       "Get the time to live for a key in milliseconds",
       {"nondeterministic_output"}},
      {"rename",
       3,
       kCmdWrite,
       kWrite,
       {{1, 1, 1, kKeyRW | kKeyAccess | kKeyDelete}, {2, 2, 1, kKeyOW | kKeyUpdate}},
       run_rename,
       "1.0.0",
       "generic",
       "O(1)",
       "Rename a key",
       {},
       kRecord},
      {"renamenx",
       3,
       kCmdWrite | kCmdFast,
       kWrite,
       {{1, 1, 1, kKeyRW | kKeyAccess | kKeyDelete}, {2, 2, 1, kKeyOW | kKeyInsert}},
       run_renamenx,
       "1.0.0",
       "generic",
       "O(1)",
       "Rename a key, only if the new key does not exist",
       {},
       kRecord},
      {"select",
       2,
       kCmdLoading | kCmdStale | kCmdFast | kCmdRepeatable,
       kAclConnection,
       {},
       run_select,
       "1.0.0",
       "connection",
       "O(1)",
       "Change the selected database for the current connection"},
      {"swapdb",
       3,
       kCmdWrite | kCmdFast,
       kFlush,
       {},
       run_swapdb,
       "4.0.0",
       "server",
       "O(N) where N is the count of clients watching or blocking on keys from both databases.",
       "Swaps two Redis databases"},
      {"touch",
       -2,
       kCmdReadOnly | kCmdFast,
       kRead,
       {{1, -1, 1, kKeyRO}},
       run_exists,
       "3.2.1",
       "generic",
       "O(N) where N is the number of keys that will be touched.",
       "Alters the last access time of a key(s). Returns the number of existing keys specified.",
       sum_tips},
      {"ttl",
       2,
       kCmdReadOnly | kCmdFast,
       kRead,
       read_access,
       run_ttl,
       "1.0.0",
       "generic",
       "O(1)",
       "Get the time to live for a key in seconds",
       {"nondeterministic_output"}},
      {"type", 2, kCmdReadOnly | kCmdFast, kRead, read_one, run_type, "1.0.0", "generic", "O(1)",
       "Determine the type stored at key"},
      {"unlink",
       -2,
       kCmdWrite | kCmdFast | kCmdFrees,
       kWrite,
       {{1, -1, 1, kKeyRM | kKeyDelete}},
       run_del,
       "4.0.0",
       "generic",
       "O(1) for each key removed regardless of its size. Then the command does O(N) work in a different "
       "thread in order to "
       "reclaim memory, where N is the number of allocations the deleted objects where composed of.",
       "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking.",
       sum_tips},
  };
  for (const CommandRow& row : rows) table.add(make_command(row));
  add_object_command(table);
}

}  // namespace varve
