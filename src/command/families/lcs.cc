// lcs.cc: LCS, the longest common subsequence of two strings.

#include <algorithm>

#include "command/families/helpers.h"
#include "command/families/rows.h"
#include "command/longest_common.h"
#include "command/numbers.h"

namespace varve {
namespace {

// Both strings together: what they cost is below the time a command may take, with any lengths of the two.
constexpr uint64_t kLcsBytesMax = 1 << 20;
constexpr uint64_t kRedisCellSize = 4;

struct LcsOptions {
  bool length_only = false;
  bool indexes = false;
  bool with_lengths = false;
  int64_t shortest = 0;
};

// False: an error was replied.
bool parse_lcs_options(CommandContext& context, LcsOptions* options) {
  const auto& args = context.args;
  for (size_t i = 3; i < args.size(); ++i) {
    if (equals_ignoring_case(args[i], "idx")) {
      options->indexes = true;
    } else if (equals_ignoring_case(args[i], "len")) {
      options->length_only = true;
    } else if (equals_ignoring_case(args[i], "withmatchlen")) {
      options->with_lengths = true;
    } else if (equals_ignoring_case(args[i], "minmatchlen") && i + 1 < args.size()) {
      if (!integer_argument(context, args[++i], &options->shortest)) return false;
    } else {
      context.reply.error(errors::kSyntax);
      return false;
    }
  }
  if (!options->indexes || !options->length_only) return true;
  context.reply.error(errors::kLcsBoth);
  return false;
}

void reply_runs(CommandContext& context, const LcsOptions& options, const LongestCommon& common) {
  std::vector<LongestCommon::Run> runs = common.runs();
  std::erase_if(runs, [&](const LongestCommon::Run& run) {
    return options.shortest > 0 && run.size < static_cast<uint64_t>(options.shortest);
  });
  Reply& reply = context.reply;
  reply.map(2);
  reply.bulk("matches");
  reply.array(runs.size());
  for (const LongestCommon::Run& run : runs) {
    reply.array(options.with_lengths ? 3 : 2);
    for (uint64_t from : {run.a, run.b}) {
      reply.array(2);
      reply.integer(static_cast<int64_t>(from));
      reply.integer(static_cast<int64_t>(from + run.size - 1));
    }
    if (options.with_lengths) reply.integer(static_cast<int64_t>(run.size));
  }
  reply.bulk("len");
  reply.integer(static_cast<int64_t>(common.length()));
}

void run_lcs(CommandContext& context) {
  Entry entries[2];
  for (size_t i = 0; i < 2; ++i) find_for_reading(context, context.args[i + 1], &entries[i]);
  for (const Entry& entry : entries) {
    if (entry.exists && entry.record.type != ValueType::kString)
      return context.reply.error(errors::kLcsTypes);
  }
  LcsOptions options;
  if (!parse_lcs_options(context, &options)) return;
  uint64_t lengths[2] = {};
  for (size_t i = 0; i < 2; ++i) lengths[i] = entries[i].exists ? entries[i].record.length() : 0;
  // What Redis would need for its table.
  if ((lengths[0] + 1) > context.host().max_bulk() / kRedisCellSize / (lengths[1] + 1)) {
    return context.reply.error(errors::kLcsTooLong);
  }
  bool none = lengths[0] == 0 || lengths[1] == 0;
  if (!none && lengths[0] + lengths[1] > kLcsBytesMax) return context.reply.error(errors::kLcsLimit);
  std::string scratch[2];
  std::string_view texts[2];
  for (size_t i = 0; i < 2 && !none; ++i) texts[i] = context.tx.read_string(entries[i], &scratch[i]);
  LongestCommon common(texts[0], texts[1], !options.length_only);
  if (options.indexes) return reply_runs(context, options, common);
  if (options.length_only) return context.reply.integer(static_cast<int64_t>(common.length()));
  std::string text;
  for (const LongestCommon::Run& run : common.runs()) {
    text.append(texts[0].substr(run.a, run.size).rbegin(), texts[0].substr(run.a, run.size).rend());
  }
  std::reverse(text.begin(), text.end());
  context.reply.bulk(text);
}

}  // namespace

void add_lcs_commands(CommandTable& table) {
  table.add(make_command({"lcs",
                          -3,
                          kCmdReadOnly,
                          kAclRead | kAclString,
                          {{1, 2, 1, kKeyRO | kKeyAccess}},
                          run_lcs,
                          "7.0.0",
                          "string",
                          "O(N*M) where N and M are the lengths of s1 and s2, respectively",
                          "Find longest common substring"}));
}

}  // namespace varve
