// memory.cc: MEMORY: what a key takes, and what the process does.
//
// USAGE tells what a key's records take before compression, wherever they stand: on disk, in the log's
// memtable or in the cache. It never walks a collection: of a large one it weighs the first few elements (in
// the order of their hashes, so by chance; of a list, those at its head) and multiplies.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "command/families/help.h"
#include "command/families/helpers.h"
#include "command/numbers.h"
#include "keyspace/types/member_layout.h"

namespace varve {
namespace {

// What a record costs beside key and value: sequence, kind, lengths, its part of index and filter.
constexpr uint64_t kRecordOverhead = 16;
constexpr int64_t kDefaultSamples = 5;
constexpr int64_t kSamplesMax = 1000;  // also of SAMPLES 0
constexpr uint64_t kKeyPrefix = 5;     // space and database
constexpr uint64_t kHintPrefix = 13;

// Bytes of an element's record, with a value that stands in pieces.
uint64_t element_bytes(std::string_view key, std::string_view record) {
  uint64_t bytes = key.size() + record.size() + kRecordOverhead;
  ElementValue value;
  if (decode_element_value(record, &value) && value.in_pieces) bytes += value.length;
  return bytes;
}

// The elements of a collection, from the mean of the first `samples` ones.
uint64_t elements_bytes(CommandContext& context, const Record& record, int64_t samples) {
  MemberLayout layout;
  if (!layout.read(record)) return 0;
  KeyRange range = layout.range(0);
  uint64_t bytes = 0, seen = 0;
  auto elements = context.tx.iterate(range.begin, range.end);
  for (elements->seek_to_first(); elements->valid() && seen < static_cast<uint64_t>(samples);
       elements->next()) {
    bytes += element_bytes(elements->key(), elements->value());
    ++seen;
  }
  if (seen == 0) return 0;
  auto all = static_cast<uint64_t>(static_cast<double>(bytes) / static_cast<double>(seen) *
                                   static_cast<double>(record.count));
  // The order by score holds every member once more.
  return record.type == ValueType::kSortedSet ? 2 * all : all;
}

uint64_t usage(CommandContext& context, std::string_view key, const Record& record, int64_t samples) {
  std::string encoded;
  encode_record(record, &encoded);
  uint64_t bytes = kKeyPrefix + key.size() + encoded.size() + kRecordOverhead;
  if (record.expire_ms != 0) bytes += kHintPrefix + key.size() + kRecordOverhead;
  if (record.encoding == Encoding::kInline) return bytes;
  if (record.type == ValueType::kString)
    return bytes + record.count + (record.count / kSegmentSize + 1) * (kPartPrefixSize + kRecordOverhead);
  return bytes + elements_bytes(context, record, samples);
}

void memory_usage(CommandContext& context) {
  const auto& args = context.args;
  int64_t samples = kDefaultSamples;
  for (size_t i = 3; i < args.size(); i += 2) {
    if (!equals_ignoring_case(args[i], "samples") || i + 1 == args.size())
      return context.reply.error(errors::kSyntax);
    if (!integer_argument(context, args[i + 1], &samples)) return;
    if (samples < 0) return context.reply.error(errors::kSyntax);
    if (samples == 0) samples = kSamplesMax;
  }
  Entry entry;
  if (!context.tx.find(context.db(), args[2], &entry)) return context.reply.null();
  uint64_t bytes = usage(context, args[2], entry.record, std::min(samples, kSamplesMax));
  context.reply.integer(static_cast<int64_t>(bytes));
}

double ratio(uint64_t a, uint64_t b) {
  return b > 0 ? static_cast<double>(a) / static_cast<double>(b) : 0;
}

uint64_t all_keys(CommandContext& context) {
  uint64_t keys = 0;
  Keyspace& keyspace = context.services.keyspace;
  if (!keyspace.attached()) return 0;
  for (uint32_t number = 0; number < context.host().databases(); ++number)
    keys += keyspace.key_count(keyspace.database(number));
  return keys;
}

// Redis's fields, those that speak of its tables in memory left out, and where varve's memory is.
void memory_stats(CommandContext& context) {
  MemoryFigures m = context.host().memory();
  uint64_t dataset = std::min(m.memtables + m.block_cache, m.allocated);
  uint64_t keys = all_keys(context);
  Reply& reply = context.reply;
  auto number = [&reply](const char* name, uint64_t value) {
    reply.bulk(name);
    reply.integer(static_cast<int64_t>(value));
  };
  auto real = [&reply](const char* name, double value) {
    reply.bulk(name);
    reply.real(value);
  };
  reply.map(28);
  number("peak.allocated", m.peak);
  number("total.allocated", m.allocated);
  number("startup.allocated", m.startup);
  number("replication.backlog", 0);
  number("clients.slaves", 0);
  number("clients.normal", m.clients);
  number("cluster.links", 0);
  number("aof.buffer", 0);
  number("lua.caches", 0);
  number("functions.caches", 0);
  number("commands", m.commands);
  number("memtables", m.memtables);
  number("block.cache", m.block_cache);
  number("overhead.total", m.allocated - dataset);
  number("keys.count", keys);
  number("keys.bytes-per-key", keys == 0 ? 0 : dataset / keys);
  number("dataset.bytes", dataset);
  real("dataset.percentage", 100 * ratio(dataset, m.allocated));
  real("peak.percentage", 100 * ratio(m.allocated, m.peak));
  number("allocator.allocated", m.allocated);
  number("allocator.active", m.active);
  number("allocator.resident", m.mapped);
  real("allocator-fragmentation.ratio", ratio(m.active, m.allocated));
  number("allocator-fragmentation.bytes", m.active - std::min(m.active, m.allocated));
  real("allocator-rss.ratio", ratio(m.mapped, m.active));
  number("allocator-rss.bytes", m.mapped - std::min(m.mapped, m.active));
  real("fragmentation", ratio(m.resident, m.allocated));
  number("fragmentation.bytes", m.resident - std::min(m.resident, m.allocated));
}

void memory_doctor(CommandContext& context) {
  MemoryFigures m = context.host().memory();
  std::string report;
  if (m.limit != 0 && m.resident > m.limit + m.limit / 4) {
    report += fmt::format(
        "The process takes {} bytes, more than maxmemory ({}) and a quarter: MEMORY PURGE gives back what "
        "the "
        "allocator keeps; if that does not help, lower block-cache-size.\n",
        m.resident, m.limit);
  }
  if (m.resident > m.allocated && m.resident - m.allocated > m.limit / 4) {
    report += fmt::format("{} bytes are held by the allocator and not used: MEMORY PURGE gives them back.\n",
                          m.resident - m.allocated);
  }
  if (m.clients > m.clients_limit / 2) {
    report += fmt::format(
        "Clients hold {} bytes of the {} they may: CLIENT LIST shows which ones (tot-mem), INFO clients "
        "the largest buffers.\n",
        m.clients, m.clients_limit);
  }
  if (report.empty()) report = "Nothing to complain of: the memory is where maxmemory wants it.\n";
  context.reply.verbatim("txt", report);
}

void memory_purge(CommandContext& context) {
  context.host().purge_memory();
  context.reply.ok();
}

void memory_malloc_stats(CommandContext& context) {
  context.reply.verbatim("txt", context.host().allocator_report());
}

void memory_help(CommandContext& context) {
  reply_help(context.reply, "MEMORY",
             {"DOCTOR", "    Return memory problems reports.", "MALLOC-STATS",
              "    Return internal statistics report from the memory allocator.", "PURGE",
              "    Attempt to purge dirty pages for reclamation by the allocator.", "STATS",
              "    Return information about the memory usage of the server.", "USAGE <key> [SAMPLES <count>]",
              "    Return memory in bytes used by <key> and its value. Nested values are",
              "    sampled up to <count> times (default: 5, 0 means sample all)."});
}

}  // namespace

void add_memory_commands(CommandTable& table) {
  auto row = [](const char* name, int arity, uint32_t flags, CommandFunction run, const char* summary,
                const char* complexity) {
    return Command{.name = name,
                   .arity = arity,
                   .flags = flags,
                   .categories = kAclSlow,
                   .run = run,
                   .since = "4.0.0",
                   .group = "server",
                   .summary = summary,
                   .complexity = complexity};
  };
  const char* allocator = "Depends on how much memory is allocated, could be slow";
  const std::vector<const char*> varies = {"nondeterministic_output", "request_policy:all_shards",
                                           "response_policy:special"};
  Command memory = row("memory", -2, 0, nullptr, "Commands about memory", "Depends on subcommand.");
  memory.subcommands = {
      row("doctor", 2, 0, memory_doctor, "Reports problems with memory", "O(1)"),
      row("malloc-stats", 2, 0, memory_malloc_stats, "Gives the allocator's statistics", allocator),
      row("stats", 2, 0, memory_stats, "Tells where the memory is", "O(1)"),
      row("purge", 2, 0, memory_purge, "Has the allocator give back what it keeps", allocator),
      row("help", 2, kCmdLoading | kCmdStale, memory_help, "Lists the subcommands", "O(1)"),
      row("usage", -3, kCmdReadOnly, memory_usage, "Estimates the bytes of a key",
          "O(N) where N is the number of samples."),
  };
  for (size_t i = 0; i < 3; ++i) memory.subcommands[i].tips = varies;
  memory.subcommands[3].tips = {"request_policy:all_shards", "response_policy:all_succeeded"};
  Command& usage_row = memory.subcommands.back();
  usage_row.categories |= kAclRead;
  usage_row.keys = {{.first = 2, .last = 2, .step = 1, .flags = kKeyRO}};
  table.add(std::move(memory));
}

}  // namespace varve
