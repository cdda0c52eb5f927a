// stream_reads.cc: commands that read streams: ranges of entries, waiting for new ones, and what is known of
// a stream.

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/coding.h"
#include "command/blocked_clients.h"
#include "command/entry_stream.h"
#include "command/families/help.h"
#include "command/families/scan_options.h"
#include "command/families/stream_args.h"
#include "command/families/streams.h"
#include "command/numbers.h"

namespace varve {
namespace {

// Ranges of more entries or bytes than this are streamed.
constexpr uint64_t kPlainEntriesMax = 1000;
constexpr uint64_t kPlainBytesMax = 256 * 1024;

bool find_stream_for_reading(CommandContext& context, std::string_view key, Entry* entry) {
  return find_typed_for_reading(context, key, ValueType::kStream, entry);
}

std::unique_ptr<Stream> open_stream(CommandContext& context, std::string_view key, const Entry& entry) {
  return std::make_unique<Stream>(context.tx, context.db(), key, entry);
}

// --- entries as a reply ---

// A range of a stream, as it is to be answered.
struct Range {
  std::unique_ptr<Stream> stream;
  StreamId first;
  StreamId last = kLastStreamId;
  bool reverse = false;
  uint64_t most = UINT64_MAX;
  std::string before = {};  // the reply's bytes in front of the array of entries
};

void append_entry(CommandContext& context, Reply& reply, StreamId id, std::string_view entry) {
  EntryWords words;
  if (!words.open(entry)) {
    return context.tx.fail(Status::corruption("keyspace: an entry of a stream cannot be understood"));
  }
  reply.array(2);
  reply.bulk(format_stream_id(id));
  reply.array(words.count());
  std::string_view word;
  while (words.next(&word)) reply.bulk(word);
}

enum class Plain : uint8_t { kDone, kTooLong, kToStream };

// One range at once, in *body. `entries` and `bytes` count over all ranges of a reply.
Plain reply_plain(CommandContext& context, const Range& range, bool streams, uint64_t* entries,
                  uint64_t* bytes, OutputBuffer& body, uint64_t* count) {
  Reply reply(body, context.reply.protocol());
  std::string scratch;
  *count = 0;
  for (Stream::Walk walk(*range.stream, range.first, range.last, !range.reverse);
       walk.valid() && *count < range.most; walk.next()) {
    *bytes += walk.size();
    if (streams && (++*entries > kPlainEntriesMax || *bytes > kPlainBytesMax)) return Plain::kToStream;
    if (*bytes + body.end() > context.host().max_reply()) return Plain::kTooLong;
    append_entry(context, reply, walk.id(), walk.read(&scratch));
    ++*count;
  }
  return Plain::kDone;
}

void stream_ranges(CommandContext& context, const std::vector<Range>& ranges, std::string behind) {
  std::vector<EntrySelection> selections;
  for (const Range& range : ranges) {
    const Stream& stream = *range.stream;
    EntrySelection selection;
    selection.before = range.before;
    selection.collection = stream.record().collection;
    selection.first = std::max(range.first, stream.first_id());
    selection.last = std::min(range.last, stream.greatest());
    selection.reverse = range.reverse;
    selection.most = range.most;
    if (selection.first == stream.first_id() && selection.last == stream.greatest()) {
      selection.counted = true;
      selection.most = std::min(range.most, stream.size());
    }
    selections.push_back(std::move(selection));
  }
  context.stream(std::make_unique<EntryStream>(*context.engine(), std::move(selections), std::move(behind),
                                               context.reply.protocol(), context.tx.read().seen));
}

// The ranges one behind the other, then `behind`; a header of the whole is the caller's. None of them is
// empty of what it may be asked for: a range without entries is an empty array.
void reply_ranges(CommandContext& context, const std::vector<Range>& ranges, std::string behind = "") {
  uint64_t start = context.reply.out().end();
  bool streams = context.may_stream();
  uint64_t entries = 0;
  uint64_t bytes = 0;
  ReadContext& read = context.tx.read();
  for (const Range& range : ranges) {
    OutputBuffer body;
    uint64_t count = 0;
    Plain result = reply_plain(context, range, streams, &entries, &bytes, body, &count);
    if (result == Plain::kTooLong) return reply_too_long(context);
    bool patient = !streams || read.misses.empty() || read.restarts < kPatientRestarts;
    if (result == Plain::kToStream || (!patient && read.error.ok())) {
      read.misses.clear();  // a stream keeps what it has read
      context.reply.out().truncate(start);
      return stream_ranges(context, ranges, std::move(behind));
    }
    context.reply.out().append(range.before);
    context.reply.array(count);
    context.reply.out().append(body.unsent(body.end()));
    bytes = context.reply.out().end() - start;
  }
  context.reply.out().append(behind);
}

// --- XRANGE ---

void reply_range(CommandContext& context, bool reverse) {
  const auto& args = context.args;
  Range range;
  range.reverse = reverse;
  bool exclusive = false;
  if (!bound_argument(context, args[reverse ? 3 : 2], 0, &range.first, &exclusive)) return;
  if (exclusive && !increase(&range.first)) return context.reply.error(errors::kInvalidRangeStart);
  if (!bound_argument(context, args[reverse ? 2 : 3], UINT64_MAX, &range.last, &exclusive)) return;
  if (exclusive && !decrease(&range.last)) return context.reply.error(errors::kInvalidRangeEnd);
  for (size_t i = 4; i < args.size(); i += 2) {
    if (i + 1 == args.size() || !equals_ignoring_case(args[i], "count"))
      return context.reply.error(errors::kSyntax);
    int64_t count = 0;
    if (!integer_argument(context, args[i + 1], &count)) return;
    range.most = static_cast<uint64_t>(std::max<int64_t>(0, count));
  }
  Entry entry;
  if (!find_stream_for_reading(context, args[1], &entry)) return;
  if (!entry.exists) return context.reply.array(0);
  if (range.most == 0) return context.reply.null_array();
  range.stream = open_stream(context, args[1], entry);
  std::vector<Range> ranges;
  ranges.push_back(std::move(range));
  reply_ranges(context, ranges);
}

// --- XREAD ---

struct ReadOptions {
  bool blocks = false;
  int64_t timeout_ms = 0;
  uint64_t most = UINT64_MAX;
  size_t first_key = 0;
  size_t keys = 0;
};

// False: an error was replied.
bool parse_read(CommandContext& context, ReadOptions* options) {
  const auto& args = context.args;
  auto fail = [&](const char* error) {
    context.reply.error(error);
    return false;
  };
  for (size_t i = 1; i < args.size(); ++i) {
    bool more = i + 1 < args.size();
    if (more && equals_ignoring_case(args[i], "block")) {
      options->blocks = true;
      if (!timeout_argument(context, args[++i], false, &options->timeout_ms)) return false;
    } else if (more && equals_ignoring_case(args[i], "count")) {
      int64_t count = 0;
      if (!integer_argument(context, args[++i], &count)) return false;
      options->most = count > 0 ? static_cast<uint64_t>(count) : UINT64_MAX;
    } else if (more && equals_ignoring_case(args[i], "streams")) {
      options->first_key = i + 1;
      options->keys = (args.size() - i - 1) / 2;
      return (args.size() - i - 1) % 2 == 0 || fail(errors::kReadUnbalanced);
    } else if (i + 2 < args.size() && equals_ignoring_case(args[i], "group")) {
      return fail(errors::kReadGroup);
    } else if (equals_ignoring_case(args[i], "noack")) {
      return fail(errors::kReadNoAck);
    } else {
      return fail(errors::kSyntax);
    }
  }
  return fail(errors::kSyntax);
}

// Behind which entry each stream is read. False: an error was replied.
bool read_from(CommandContext& context, const ReadOptions& options, std::vector<StreamId>* behind) {
  const auto& args = context.args;
  for (size_t i = options.first_key; i < options.first_key + options.keys; ++i) {
    Entry entry;
    if (!find_stream_for_reading(context, args[i], &entry)) return false;
    StreamId id;
    std::string_view text = args[i + options.keys];
    if (text == "$") {
      if (entry.exists) id = open_stream(context, args[i], entry)->last_id();
    } else if (text == ">") {
      context.reply.error(errors::kReadNew);
      return false;
    } else if (!id_argument(context, text, 0, &id)) {
      return false;
    }
    behind->push_back(id);
  }
  return true;
}

void add_read(CommandContext& context, std::string_view key, std::unique_ptr<Stream> stream, StreamId first,
              uint64_t most, std::vector<Range>* ranges) {
  OutputBuffer before;
  Reply reply(before, context.reply.protocol());
  if (context.reply.protocol() < 3) reply.array(2);
  reply.bulk(key);
  Range range;
  range.stream = std::move(stream);
  range.first = first;
  range.most = most;
  range.before = before.unsent(before.end());
  ranges->push_back(std::move(range));
}

void reply_reads(CommandContext& context, const std::vector<Range>& ranges) {
  context.reply.protocol() < 3 ? context.reply.array(ranges.size()) : context.reply.map(ranges.size());
  reply_ranges(context, ranges);
}

// What a waiting client keeps of a stream: `behind`, which entries it reads; collection and entries added
// tell whether there was an XADD since.
struct Waited {
  StreamId behind;
  uint64_t collection = 0;
  uint64_t added = 0;
};
constexpr size_t kWaitedSize = 32;

void keep_waited(const Waited& waited, std::string* out) {
  put_fixed64(out, waited.behind.ms);
  put_fixed64(out, waited.behind.seq);
  put_fixed64(out, waited.collection);
  put_fixed64(out, waited.added);
}
Waited kept_waited(std::string_view kept, size_t index) {
  const char* at = kept.data() + index * kWaitedSize;
  return {{decode_fixed64(at), decode_fixed64(at + 8)}, decode_fixed64(at + 16), decode_fixed64(at + 24)};
}

std::vector<std::string> waited_keys(const CommandContext& context, const ReadOptions& options) {
  auto first = context.args.begin() + static_cast<ptrdiff_t>(options.first_key);
  return {first, first + static_cast<ptrdiff_t>(options.keys)};
}

// A client that waits gets what is new in the one stream that woke it, as Redis has it: also nothing, when
// what was added is gone again.
bool serve_waiting(CommandContext& context, const ReadOptions& options) {
  for (size_t i = 0; i < options.keys; ++i) {
    std::string_view key = context.args[options.first_key + i];
    if (!context.services.blocked.serves(context.client.db, key, context.client.id)) continue;
    Entry entry;
    if (!context.tx.find(context.db(), key, &entry) || entry.record.type != ValueType::kStream) return false;
    auto stream = open_stream(context, key, entry);
    Waited waited = kept_waited(context.invocation.kept, i);
    StreamId first = waited.behind;
    bool fresh = stream->record().collection != waited.collection || stream->entries_added() != waited.added;
    if (!fresh || stream->last_id() <= first || !increase(&first)) return false;
    std::vector<Range> ranges;
    add_read(context, key, std::move(stream), first, options.most, &ranges);
    reply_reads(context, ranges);
    return true;
  }
  return false;
}

// --- XINFO STREAM ---

// FULL [COUNT count]. False: an error was replied.
bool parse_info(CommandContext& context, bool* full, uint64_t* most) {
  const auto& args = context.args;
  *full = args.size() > 3;
  if (!*full) return true;
  bool fits = (args.size() == 4 || args.size() == 6) && equals_ignoring_case(args[3], "full") &&
              (args.size() == 4 || equals_ignoring_case(args[4], "count"));
  if (!fits) {
    reply_subcommand_error(context);
    return false;
  }
  int64_t count = 10;
  if (args.size() == 6 && !integer_argument(context, args[5], &count)) return false;
  if (count < 0) count = 10;
  *most = count == 0 ? UINT64_MAX : static_cast<uint64_t>(count);
  return true;
}

void reply_edge(CommandContext& context, Stream& stream, const char* name, bool first) {
  context.reply.bulk(name);
  Stream::Walk walk(stream, {}, kLastStreamId, first);
  if (!walk.valid()) return context.reply.null();
  std::string scratch;
  append_entry(context, context.reply, walk.id(), walk.read(&scratch));
}

// Finds the key of XINFO. False: an error was replied.
bool find_info(CommandContext& context, Entry* entry) {
  if (!find_stream_for_reading(context, context.args[2], entry)) return false;
  if (!entry->exists) context.reply.error(errors::kNoSuchKey);
  return entry->exists;
}

}  // namespace

void run_xlen(CommandContext& context) {
  Entry entry;
  if (!find_stream_for_reading(context, context.args[1], &entry)) return;
  context.reply.integer(entry.exists ? static_cast<int64_t>(entry.record.count) : 0);
}

void run_xrange(CommandContext& context) {
  reply_range(context, false);
}
void run_xrevrange(CommandContext& context) {
  reply_range(context, true);
}

void run_xread(CommandContext& context) {
  ReadOptions options;
  if (!parse_read(context, &options)) return;
  auto wait = [&] {
    context.block_on(waited_keys(context, options), ValueType::kStream, options.timeout_ms);
  };
  if (context.services.blocked.arrival(context.client.id) != 0) {
    if (!serve_waiting(context, options)) wait();
    return;
  }
  std::vector<StreamId> behind;
  if (!read_from(context, options, &behind)) return;
  std::vector<Range> ranges;
  std::string kept;
  for (size_t i = 0; i < options.keys; ++i) {
    std::string_view key = context.args[options.first_key + i];
    Waited waited = {behind[i]};
    Entry entry;
    // Another type was replied already, unless a block was missing there.
    if (find_for_reading(context, key, &entry) && entry.record.type == ValueType::kStream) {
      auto stream = open_stream(context, key, entry);
      waited.collection = entry.record.collection;
      waited.added = stream->entries_added();
      StreamId first = behind[i];
      if (increase(&first) && Stream::Walk(*stream, first, kLastStreamId).valid()) {
        add_read(context, key, std::move(stream), first, options.most, &ranges);
      }
    }
    keep_waited(waited, &kept);
  }
  if (context.tx.read().faulted()) return;  // which streams have something is not known
  if (!ranges.empty()) return reply_reads(context, ranges);
  if (!options.blocks || !context.may_block()) return context.reply.null_array();
  context.invocation.kept = std::move(kept);
  wait();
}

void run_xinfo_stream(CommandContext& context) {
  bool full = false;
  uint64_t most = 0;
  Entry entry;
  if (!find_info(context, &entry) || !parse_info(context, &full, &most)) return;
  auto stream = open_stream(context, context.args[2], entry);
  Reply& reply = context.reply;
  reply.map(full ? 9 : 10);
  auto number = [&](const char* name, uint64_t value) {
    reply.bulk(name);
    reply.integer(static_cast<int64_t>(value));
  };
  auto id = [&](const char* name, StreamId value) {
    reply.bulk(name);
    reply.bulk(format_stream_id(value));
  };
  number("length", stream->size());
  number("radix-tree-keys", stream->nodes());
  number("radix-tree-nodes", stream->radix_nodes());
  id("last-generated-id", stream->last_id());
  id("max-deleted-entry-id", stream->max_deleted_id());
  number("entries-added", stream->entries_added());
  id("recorded-first-entry-id", stream->first_id());
  if (!full) {
    number("groups", 0);
    reply_edge(context, *stream, "first-entry", true);
    return reply_edge(context, *stream, "last-entry", false);
  }
  if (context.tx.read().faulted()) return;  // what a stream of entries would not look at again
  reply.bulk("entries");
  OutputBuffer behind;
  Reply groups(behind, reply.protocol());
  groups.bulk("groups");
  groups.array(0);
  std::vector<Range> ranges(1);
  ranges[0].stream = std::move(stream);
  ranges[0].most = most;
  reply_ranges(context, ranges, std::string(behind.unsent(behind.end())));
}

void run_xinfo_groups(CommandContext& context) {
  Entry entry;
  if (find_info(context, &entry)) context.reply.array(0);
}

void run_xinfo_consumers(CommandContext& context) {
  Entry entry;
  if (!find_info(context, &entry)) return;
  context.reply.error(fmt::format("NOGROUP No such consumer group '{}' for key name '{}'",
                                  context.args[3].substr(0, context.args[3].find('\0')),
                                  context.args[2].substr(0, context.args[2].find('\0'))));
}

void run_xinfo_help(CommandContext& context) {
  reply_help(context.reply, "XINFO",
             {"CONSUMERS <key> <groupname>", "    Show consumers of <groupname>.", "GROUPS <key>",
              "    Show the stream consumer groups.", "STREAM <key> [FULL [COUNT <count>]",
              "    Show information about the stream."});
}

}  // namespace varve
