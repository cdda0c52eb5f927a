// scan.cc: walking the key space: SCAN, KEYS, RANDOMKEY. Keys lie in order, so a pattern's literal beginning
// is a seek and a cursor is a key.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/coding.h"
#include "command/cursors.h"
#include "command/families/helpers.h"
#include "command/families/scan_options.h"
#include "command/keys_stream.h"
#include "command/numbers.h"

namespace varve {

bool parse_cursor(CommandContext& context, std::string_view text, uint64_t* cursor) {
  *cursor = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *cursor);
  if (text.empty() || (error == std::errc() && end == text.data() + text.size())) return true;
  context.reply.error(errors::kInvalidCursor);
  return false;
}

bool parse_scan_options(CommandContext& context, size_t first, bool of_keys, ScanOptions* options) {
  const auto& args = context.args;
  for (size_t i = first; i < args.size(); i += 2) {
    bool pair = i + 1 < args.size();
    if (pair && equals_ignoring_case(args[i], "count")) {
      if (!integer_argument(context, args[i + 1], &options->count)) return false;
      if (options->count < 1) {
        context.reply.error(errors::kSyntax);
        return false;
      }
    } else if (pair && equals_ignoring_case(args[i], "match")) {
      options->pattern = args[i + 1];
    } else if (pair && of_keys && equals_ignoring_case(args[i], "type")) {
      options->type = args[i + 1];
      options->by_type = true;
    } else {
      context.reply.error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

namespace {

// What one SCAN looks at, at most, whatever its COUNT (and no more than makes its walk tired): the loop stays
// free for others.
constexpr int64_t kScanKeysMax = 10'000;
// KEYS answers in one run up to here, and streams beyond.
constexpr int kPlainKeysMax = 1000;
constexpr size_t kPlainBytesMax = 64 * 1024;  // of keys
// Inside EXEC nothing is streamed: what is looked at in one run, at most.
constexpr int kWholeKeysMax = 100'000;
constexpr int kWholeRandomKeySteps = 10'000;
// Expired keys RANDOMKEY steps over in one run.
constexpr int kRandomKeySteps = 100;

// The engine key a scan goes on from. False: an error was replied.
bool find_position(CommandContext& context, const KeyWalk& walk, std::string* at) {
  uint64_t cursor = 0;
  if (!parse_cursor(context, context.args[1], &cursor)) return false;
  *at = walk.begin;
  if (cursor == 0) return true;
  const std::string* position = context.services.cursors.find(cursor);
  if (position == nullptr) {
    context.reply.error(errors::kUnknownCursor);
    return false;
  }
  EngineKey key;
  make_metadata_key(walk.database, *position, &key);
  std::string behind(key.view());
  behind.push_back('\0');
  *at = std::max(*at, behind);
  return true;
}

void run_scan(CommandContext& context) {
  ScanOptions options;
  KeyWalk walk(context.db(), "*", context.now_ms());
  std::string at;
  if (!find_position(context, walk, &at)) return;
  if (!parse_scan_options(context, 2, true, &options)) return;
  walk = KeyWalk(walk.database, options.pattern, context.now_ms());
  at = std::max(at, walk.begin);

  ReadContext& read = context.tx.read();
  std::vector<std::string> keys;
  std::string last;
  int64_t looked = 0;
  std::unique_ptr<ElementIterator> it = context.tx.iterate(at, walk.end);
  it->seek_to_first();
  for (; it->valid() && looked < std::min(options.count, kScanKeysMax) && !walk.tired(); it->next()) {
    std::string_view key;
    Record record;
    ++looked;
    bool accepted = walk.accept(it->key(), it->value(), read, &key, &record);
    if (!read.error.ok()) return;
    last.assign(key);
    if (accepted && (!options.by_type || equals_ignoring_case(options.type, value_type_name(record.type)))) {
      keys.emplace_back(key);
    }
  }
  IterState state = it->state();
  it.reset();
  // Not inside EXEC: the misses are those of its other commands too.
  if (state == IterState::kMiss && looked > 0 && read.restarts >= kPatientRestarts && read.error.ok() &&
      !context.in_exec) {
    read.misses.clear();  // the next call begins there
  }
  if (read.faulted()) return;

  uint64_t cursor = 0;
  if (state != IterState::kEnd) {
    cursor = context.services.cursors.add(context.client.id, last);
    context.client.cursor_bytes = CursorTable::charge(last.size());
  }
  context.reply.array(2);
  context.reply.bulk(std::to_string(cursor));
  context.reply.array(keys.size());
  for (const std::string& key : keys) context.reply.bulk(key);
  context.invocation.gate = context.engine()->last_sequence();
}

void run_keys(CommandContext& context) {
  KeyWalk walk(context.db(), context.args[1], context.now_ms());
  ReadContext& read = context.tx.read();
  std::vector<std::string> keys;
  int looked = 0;
  size_t bytes = 0;
  std::unique_ptr<ElementIterator> it = context.tx.iterate(walk.begin, walk.end);
  it->seek_to_first();
  // A reply that cannot be streamed is gathered at once.
  auto enough = [&] { return looked >= kPlainKeysMax || bytes >= kPlainBytesMax || walk.tired(); };
  for (; it->valid() && !(context.may_stream() && enough()); it->next(), ++looked) {
    std::string_view key;
    Record record;
    if (walk.accept(it->key(), it->value(), read, &key, &record)) {
      keys.emplace_back(key);
      bytes += key.size();
    }
    if (!read.error.ok()) return;
    if (bytes > context.host().max_reply()) return reply_too_long(context);
    if (looked >= kWholeKeysMax) return context.reply.error(errors::kKeysInMulti);
  }
  IterState state = it->state();
  it.reset();
  context.invocation.gate = context.engine()->last_sequence();
  if (context.may_stream() && read.error.ok() &&
      (state == IterState::kValid || (state == IterState::kMiss && read.restarts >= kPatientRestarts))) {
    read.misses.clear();
    return context.stream(std::make_unique<KeysStream>(*context.engine(), std::move(walk)));
  }
  context.reply.array(keys.size());
  for (const std::string& key : keys) context.reply.bulk(key);
}

// Eight bytes of a key as a number, zeros behind its end.
uint64_t number_at(std::string_view key, size_t at) {
  char bytes[8] = {};
  if (at < key.size()) key.copy(bytes, sizeof bytes, at);
  return decode_big64(bytes);
}

// An engine key somewhere between two others.
std::string random_key_between(std::string_view first, std::string_view last, Random& random) {
  size_t common = 0;
  while (common < first.size() && common < last.size() && first[common] == last[common]) ++common;
  uint64_t low = number_at(first, common);
  uint64_t high = number_at(last, common);
  uint64_t span = high - low;
  std::string key(first.substr(0, common));
  put_big64(&key, low + (span == UINT64_MAX ? random.next() : random.below(span + 1)));
  return key;
}

// Uniform over the key space, not over the keys: a key behind a wide gap comes up more often. It costs three
// seeks.
void run_randomkey(CommandContext& context) {
  KeyWalk walk(context.db(), "*", context.now_ms());
  ReadContext& read = context.tx.read();
  context.invocation.gate = context.engine()->last_sequence();
  std::unique_ptr<ElementIterator> it = context.tx.iterate(walk.begin, walk.end);
  it->seek_to_last();
  if (!it->valid()) return context.reply.null();
  std::string last(it->key());
  it->seek_to_first();
  if (!it->valid()) return context.reply.null();
  Random random(context.invocation.seed);
  it->seek(random_key_between(it->key(), last, random));
  bool wrapped = false;
  for (int steps = 0; steps < (context.may_stream() ? kRandomKeySteps : kWholeRandomKeySteps); ++steps) {
    if (!it->valid()) {
      if (wrapped || it->state() != IterState::kEnd) break;
      wrapped = true;
      it->seek_to_first();
      continue;
    }
    std::string_view key;
    Record record;
    if (walk.accept(it->key(), it->value(), read, &key, &record)) return context.reply.bulk(key);
    if (!read.error.ok()) return;
    it->next();
  }
  if (!it->valid() && (wrapped || it->state() != IterState::kEnd)) return context.reply.null();
  if (!context.may_stream()) return context.reply.null();
  std::string at = it->valid() ? std::string(it->key()) : walk.begin;
  it.reset();
  context.stream(
      std::make_unique<RandomKeyStream>(*context.engine(), std::move(walk), at, context.client.protocol));
}

}  // namespace

void add_scan_commands(CommandTable& table) {
  Command scan;
  scan.name = "scan";
  scan.arity = -2;
  scan.flags = kCmdReadOnly;
  scan.categories = kAclKeyspace | kAclRead | kAclSlow;
  scan.run = run_scan;
  scan.since = "2.8.0";
  scan.summary = "Incrementally iterate the keys space";
  scan.complexity =
      "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to "
      "return back to "
      "0. N is the number of elements inside the collection.";
  scan.tips = {"nondeterministic_output", "request_policy:special"};
  table.add(std::move(scan));

  Command keys;
  keys.name = "keys";
  keys.arity = 2;
  keys.flags = kCmdReadOnly;
  keys.categories = kAclKeyspace | kAclRead | kAclSlow | kAclDangerous;
  keys.run = run_keys;
  keys.since = "1.0.0";
  keys.summary = "Find all keys matching the given pattern";
  keys.complexity =
      "O(N) with N being the number of keys in the database, under the assumption that the key names in the "
      "database and the "
      "given pattern have limited length.";
  keys.tips = {"request_policy:all_shards", "nondeterministic_output_order"};
  table.add(std::move(keys));

  Command random_key;
  random_key.name = "randomkey";
  random_key.arity = 1;
  random_key.flags = kCmdReadOnly;
  random_key.categories = kAclKeyspace | kAclRead | kAclSlow;
  random_key.run = run_randomkey;
  random_key.since = "1.0.0";
  random_key.summary = "Return a random key from the keyspace";
  random_key.complexity = "O(1)";
  random_key.tips = {"request_policy:all_shards", "nondeterministic_output"};
  table.add(std::move(random_key));
}

}  // namespace varve
