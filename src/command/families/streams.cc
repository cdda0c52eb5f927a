// streams.cc: commands that change streams, and the rows of all commands on them. Reading: stream_reads.cc.

#include "command/families/streams.h"

#include <algorithm>

#include "command/families/rows.h"
#include "command/families/stream_args.h"
#include "command/numbers.h"

namespace varve {
namespace {

// Redis's limit for the strings of one entry.
constexpr uint64_t kEntryMax = 1 << 30;
// A record and a node written again.
constexpr uint32_t kStateBytes = 256;

Stream open_stream(CommandContext& context, const Entry& entry) {
  return Stream(context.tx, context.db(), context.args[1], entry);
}

// --- XADD ---

// The id of a new entry. False: an error was replied.
bool choose_id(CommandContext& context, const StreamOptions& options, StreamId last, StreamId* id) {
  if (last == kLastStreamId) {
    context.reply.error(errors::kStreamExhausted);
    return false;
  }
  if (!options.id) {
    auto now = static_cast<uint64_t>(context.now_ms());
    *id = now > last.ms ? StreamId{now, 0} : last;
    return now > last.ms || increase(id);
  }
  *id = *options.id;
  if (options.any_sequence && id->ms == last.ms) {
    *id = last;
    if (last.seq == UINT64_MAX) {  // in Redis's words
      context.reply.error(errors::kEntryTooLarge);
      return false;
    }
    increase(id);
  }
  if (*id > last) return true;
  context.reply.error(errors::kSmallStreamId);
  return false;
}

void run_xadd(CommandContext& context) {
  const auto& args = context.args;
  StreamOptions options;
  if (!parse_stream_options(context, true, &options)) return;
  if (args.size() < options.fields + 2 || (args.size() - options.fields) % 2 != 0) {
    return context.reply.error("ERR wrong number of arguments for 'xadd' command");
  }
  if (options.id && !options.any_sequence && *options.id == StreamId()) {
    return context.reply.error(errors::kZeroStreamId);
  }
  Entry entry;
  if (!find_stream(context, args[1], &entry)) return;
  if (!entry.exists && !options.make) return context.reply.null();
  Stream stream = open_stream(context, entry);
  StreamId id;
  if (!choose_id(context, options, stream.last_id(), &id)) return;
  uint64_t bytes = 0;
  for (size_t i = options.fields; i < args.size(); ++i) bytes += args[i].size();
  if (bytes > kEntryMax) return context.reply.error(errors::kEntryTooLarge);
  stream.append(id, &args[options.fields], args.size() - options.fields);
  uint64_t trimmed = stream.trim(options.trim);
  stream.save();
  context.notify(kEventStream, "xadd", args[1]);
  if (trimmed > 0) context.notify(kEventStream, "xtrim", args[1]);
  context.reply.bulk(format_stream_id(id));
}

// --- the others ---

void run_xtrim(CommandContext& context) {
  StreamOptions options;
  if (!parse_stream_options(context, false, &options)) return;
  Entry entry;
  if (!find_stream(context, context.args[1], &entry)) return;
  if (!entry.exists) return context.reply.integer(0);
  Stream stream = open_stream(context, entry);
  uint64_t trimmed = stream.trim(options.trim);
  stream.save();
  if (trimmed > 0) context.notify(kEventStream, "xtrim", context.args[1]);
  context.reply.integer(static_cast<int64_t>(trimmed));
}

void run_xdel(CommandContext& context) {
  const auto& args = context.args;
  Entry entry;
  if (!find_stream(context, args[1], &entry)) return;
  if (!entry.exists) return context.reply.integer(0);
  std::vector<StreamId> ids(args.size() - 2);
  for (size_t i = 2; i < args.size(); ++i) {
    if (!id_argument(context, args[i], 0, &ids[i - 2])) return;
  }
  Stream stream = open_stream(context, entry);
  int64_t removed = 0;
  for (StreamId id : ids) removed += stream.remove(id) ? 1 : 0;
  stream.settle_first();
  stream.save();
  if (removed > 0) context.notify(kEventStream, "xdel", args[1]);
  context.reply.integer(removed);
}

// ENTRIESADDED and MAXDELETEDID of XSETID; added < 0: not given. False: an error was replied.
bool parse_set_options(CommandContext& context, StreamId id, int64_t* added, StreamId* max_deleted) {
  const auto& args = context.args;
  auto fail = [&](const char* error) {
    context.reply.error(error);
    return false;
  };
  for (size_t i = 3; i < args.size(); i += 2) {
    bool more = i + 1 < args.size();
    if (more && equals_ignoring_case(args[i], "entriesadded")) {
      if (!integer_argument(context, args[i + 1], added)) return false;
      if (*added < 0) return fail(errors::kNegativeEntriesAdded);
    } else if (more && equals_ignoring_case(args[i], "maxdeletedid")) {
      if (!id_argument(context, args[i + 1], 0, max_deleted)) return false;
      if (id < *max_deleted) return fail(errors::kSetIdBelowGiven);
    } else {
      return fail(errors::kSyntax);
    }
  }
  return true;
}

void run_xsetid(CommandContext& context) {
  const auto& args = context.args;
  StreamId id;
  StreamId max_deleted;
  int64_t added = -1;
  if (!id_argument(context, args[2], 0, &id) || !parse_set_options(context, id, &added, &max_deleted)) return;
  Entry entry;
  if (!find_stream(context, args[1], &entry)) return;
  if (!entry.exists) return context.reply.error(errors::kNoSuchKey);
  Stream stream = open_stream(context, entry);
  StreamId top;
  if (!stream.empty() && stream.last_entry(&top)) {
    if (id < top) return context.reply.error(errors::kSetIdBelowTop);
    if (added >= 0 && stream.size() > static_cast<uint64_t>(added)) {
      return context.reply.error(errors::kEntriesAddedBelowLength);
    }
  }
  stream.set_last_id(id);
  if (added >= 0) stream.set_entries_added(static_cast<uint64_t>(added));
  if (max_deleted != StreamId()) stream.set_max_deleted_id(max_deleted);
  stream.save();
  context.notify(kEventStream, "xsetid", args[1]);
  context.reply.ok();
}

// --- the rows ---

void add_xinfo(CommandTable& table) {
  const std::vector<KeySpec> key = {{2, 2, 1, kKeyRO | kKeyAccess}};
  constexpr uint32_t kRead = kAclRead | kAclStream;
  Command xinfo = make_command({"xinfo",
                                -2,
                                0,
                                0,
                                {},
                                nullptr,
                                "5.0.0",
                                "stream",
                                "Depends on subcommand.",
                                "A container for stream introspection commands"});
  // clang-format off
  for (const CommandRow& row : {
           CommandRow{"consumers", 4, kCmdReadOnly, kRead, key, run_xinfo_consumers, "5.0.0", "stream", "O(1)",
                      "List the consumers in a consumer group", {"nondeterministic_output"}},
           CommandRow{"groups", 3, kCmdReadOnly, kRead, key, run_xinfo_groups, "5.0.0", "stream", "O(1)",
                      "List the consumer groups of a stream"},
           CommandRow{"help", 2, kCmdLoading | kCmdStale, kAclStream, {}, run_xinfo_help, "5.0.0", "stream", "O(1)",
                      "Show helpful text about the different subcommands"},
           CommandRow{"stream", -3, kCmdReadOnly, kRead, key, run_xinfo_stream, "5.0.0", "stream", "O(1)",
                      "Get information about a stream"},
       }) {
    xinfo.subcommands.push_back(make_command(row));
  }
  // clang-format on
  table.add(std::move(xinfo));
}

}  // namespace

void add_stream_commands(CommandTable& table) {
  constexpr uint32_t kRead = kAclRead | kAclStream;
  constexpr uint32_t kWrite = kAclWrite | kAclStream;
  const std::vector<KeySpec> access = {{1, 1, 1, kKeyRO | kKeyAccess}};
  const std::vector<KeySpec> update = {{1, 1, 1, kKeyRW | kKeyUpdate}};
  const std::vector<KeySpec> remove = {{1, 1, 1, kKeyRW | kKeyDelete}};
  KeySpec behind_streams;
  behind_streams.last = -1;
  behind_streams.step = 1;
  behind_streams.flags = kKeyRO | kKeyAccess;
  behind_streams.keyword = "STREAMS";
  behind_streams.start_from = 1;
  behind_streams.limit = 2;
  const std::vector<const char*> random_tip = {"nondeterministic_output"};
  const char* per_range =
      "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the "
      "first 10 elements with COUNT), you can consider it O(1).";
  // clang-format off
  const CommandRow rows[] = {
      {"xadd", -5, kCmdWrite | kCmdDenyOom | kCmdFast, kWrite, update, run_xadd, "5.0.0", "stream",
       "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
       "Appends a new entry to a stream", random_tip, kStateBytes},
      {"xdel", -3, kCmdWrite | kCmdFast | kCmdMayFree, kWrite, remove, run_xdel, "5.0.0", "stream",
       "O(1) for each single item to delete in the stream, regardless of the stream size.",
       "Removes the specified entries from the stream. Returns the number of items actually deleted, that may be "
       "different from the number of IDs passed in case certain IDs do not exist.", {}, kStateBytes},
      {"xlen", 2, kCmdReadOnly | kCmdFast, kRead, {{1, 1, 1, kKeyRO}}, run_xlen, "5.0.0", "stream", "O(1)",
       "Return the number of entries in a stream"},
      {"xrange", -4, kCmdReadOnly, kRead, access, run_xrange, "5.0.0", "stream", per_range,
       "Return a range of elements in a stream, with IDs matching the specified IDs interval"},
      {"xread", -4, kCmdReadOnly | kCmdBlocking | kCmdMovableKeys, kRead | kAclBlocking, {behind_streams},
       run_xread, "5.0.0", "stream",
       "For each stream mentioned: O(N) with N being the number of elements being returned, it means that "
       "XREAD-ing with a fixed COUNT is O(1). Note that when the BLOCK option is used, XADD will pay O(M) time in "
       "order to serve the M clients blocked on the stream getting new data.",
       "Return never seen elements in multiple streams, with IDs greater than the ones reported by the caller for "
       "each stream. Can block."},
      {"xrevrange", -4, kCmdReadOnly, kRead, access, run_xrevrange, "5.0.0", "stream",
       "O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the first 10 "
       "elements with COUNT), you can consider it O(1).",
       "Return a range of elements in a stream, with IDs matching the specified IDs interval, in reverse order "
       "(from greater to smaller IDs) compared to XRANGE"},
      {"xsetid", -3, kCmdWrite | kCmdDenyOom | kCmdFast, kWrite, update, run_xsetid, "5.0.0", "stream", "O(1)",
       "An internal command for replicating stream values", {}, kStateBytes},
      {"xtrim", -4, kCmdWrite | kCmdMayFree, kWrite, remove, run_xtrim, "5.0.0", "stream",
       "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are "
       "organized in macro nodes containing multiple entries that can be released with a single deallocation.",
       "Trims the stream to (approximately if '~' is passed) a certain size", random_tip, kStateBytes},
  };
  // clang-format on
  for (const CommandRow& row : rows) table.add(make_command(row));
  add_xinfo(table);
}

}  // namespace varve
