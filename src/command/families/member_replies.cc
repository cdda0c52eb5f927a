#include "command/families/member_replies.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_set>
#include <vector>

#include "command/families/helpers.h"
#include "command/glob.h"

namespace varve {
namespace {

// Replies of more members or bytes than this are streamed.
constexpr uint64_t kPlainMembersMax = 1000;
constexpr uint64_t kPlainBytesMax = 256 * 1024;
// What one page of a scan holds, at most, whatever its COUNT.
constexpr int64_t kScanMembersMax = 10'000;
constexpr uint64_t kScanBytesMax = 1 << 20;
constexpr uint64_t kScanStepsMax = 200'000;  // of patterns

bool has_scores(const Members& members) {
  return members.record().type == ValueType::kSortedSet;
}

// The score in an element's value; 0 behind damage.
double score_of(CommandContext& context, const ElementValue& value) {
  if (value.bytes.size() == kScoreSize) return decode_score(value.bytes.data());
  context.tx.fail(Status::corruption("keyspace: a member of a sorted set has no score"));
  return 0;
}

// As ZSCAN shows it: listpacks give their integers as such, whatever their size.
std::string score_text(double score, bool grown) {
  constexpr double kIntegerMax = 0x1.0p62;
  if (!grown && std::abs(score) <= kIntegerMax && score == std::trunc(score)) {
    return std::to_string(static_cast<int64_t>(score));
  }
  return format_real(score);
}

// True when the reply has become too long, with the next piece of so many bytes, to be held in memory.
bool too_long(CommandContext& context, uint64_t more) {
  return context.reply.out().end() - context.reply_start + more > context.host().max_reply();
}

// False: an error was replied instead.
bool reply_member(CommandContext& context, const Members& members, Members::Walk& walk, MemberPart part,
                  bool nested, std::string* scratch) {
  if (too_long(context, walk.member().size() + walk.value().length)) {
    reply_too_long(context);
    return false;
  }
  if (nested) context.reply.array(2);
  if (part != MemberPart::kValues) context.reply.bulk(walk.member());
  if (part == MemberPart::kMembers) return true;
  if (has_scores(members)) {
    context.reply.real(score_of(context, walk.value()));
  } else {
    context.reply.bulk(walk.read(scratch));
  }
  return true;
}

void too_few(CommandContext& context) {
  context.tx.fail(Status::corruption("keyspace: the elements of key '{}' are fewer than its record says",
                                     context.args[1]));
}

bool nests(CommandContext& context, MemberPart part) {
  return part == MemberPart::kBoth && context.reply.protocol() >= 3;
}

// `wanted` of the members behind a header, in the order they stand; fewer than all: a random choice. False:
// an error was replied instead.
bool reply_some(CommandContext& context, Members& members, uint64_t wanted, MemberPart part, bool nested) {
  MemberSelection selection;
  if (!members.is_inline()) {
    MemberLayout layout = members.layout();
    KeyRange range = layout.range(0);
    selection.collection = layout.collection;
    selection.from = std::move(range.begin);
    selection.end = std::move(range.end);
    if (layout.ranges() == 2) selection.then = layout.range(1);
  }
  selection.size = members.size();
  selection.wanted = wanted;
  selection.part = part;
  selection.nested = nested;
  selection.seed = context.invocation.seed;
  selection.scores = has_scores(members);
  auto stream = [&] {
    context.stream(std::make_unique<MemberStream>(*context.engine(), selection, context.tx.read().seen));
    return true;
  };
  bool streams = context.may_stream() && !members.is_inline();
  if (streams && members.size() > kPlainMembersMax) return stream();
  uint64_t start = context.reply.out().end();
  std::string scratch;
  Random random(selection.seed);
  uint64_t left = members.size();
  Members::Walk walk(members);
  for (walk.seek_to_first(); walk.valid() && wanted > 0 && left > 0; walk.next(), --left) {
    if (wanted < left && random.below(left) >= wanted) continue;
    if (streams && context.reply.out().end() - start + walk.value().length > kPlainBytesMax) {
      context.reply.out().truncate(start);
      return stream();
    }
    if (!reply_member(context, members, walk, part, nested, &scratch)) return false;
    --wanted;
  }
  ReadContext& read = context.tx.read();
  if (streams && walk.missed() && read.restarts >= kPatientRestarts && read.error.ok()) {
    read.misses.clear();  // a stream keeps what it has read
    context.reply.out().truncate(start);
    return stream();
  }
  if (wanted > 0) too_few(context);
  return true;
}

// So many random members, each drawn by itself.
void reply_draws(CommandContext& context, Members& members, uint64_t count, MemberPart part, bool nested) {
  Random random(context.invocation.seed);
  std::string scratch;
  Members::Walk walk(members);
  for (uint64_t i = 0; i < count; ++i) {
    members.seek_random(walk, random);
    if (!walk.valid() || !reply_member(context, members, walk, part, nested, &scratch)) return;
  }
}

// A small part of a large collection: drawn; one that was drawn before gives way to the next that was not.
void reply_distinct_draws(CommandContext& context, Members& members, uint64_t count, MemberPart part,
                          bool nested) {
  Random random(context.invocation.seed);
  std::string scratch;
  std::unordered_set<std::string> drawn;
  Members::Walk walk(members);
  for (uint64_t i = 0; i < count; ++i) {
    members.seek_random(walk, random);
    for (uint64_t passed = 0; walk.valid() && !drawn.emplace(walk.member()).second; ++passed) {
      if (passed > drawn.size()) return too_few(context);
      walk.next();
      if (!walk.valid() && !walk.missed()) walk.seek_to_first();
    }
    if (!walk.valid() || !reply_member(context, members, walk, part, nested, &scratch)) return;
  }
}

}  // namespace

bool member_fits(CommandContext& context, std::string_view member) {
  if (member.size() <= kMaxKeySize) return true;
  context.reply.error(errors::kMemberTooLong);
  return false;
}

bool reply_members(CommandContext& context, Members& members, MemberPart part) {
  return reply_some(context, members, members.size(), part, false);
}

void reply_random_members(CommandContext& context, Members& members, int64_t count, MemberPart part) {
  bool nested = nests(context, part);
  uint64_t wanted = count < 0 ? 0 - static_cast<uint64_t>(count) : static_cast<uint64_t>(count);
  if (count > 0) wanted = std::min(wanted, members.size());
  context.reply.array(part == MemberPart::kBoth && !nested ? wanted * 2 : wanted);
  if (count < 0) return reply_draws(context, members, wanted, part, nested);
  if (members.is_inline() || wanted > members.size() / 4) {
    reply_some(context, members, wanted, part, nested);
    return;
  }
  reply_distinct_draws(context, members, wanted, part, nested);
}

void reply_member_scan(CommandContext& context, Members& members, uint64_t cursor, const ScanOptions& options,
                       MemberPart part) {
  struct Found {
    uint32_t hash;
    std::string member;
    std::string value;
  };
  std::vector<Found> page;
  bool all = options.pattern == "*";
  uint64_t steps = 0;
  uint64_t bytes = 0;
  int64_t looked = 0;
  int64_t most = members.is_inline() ? INT64_MAX : std::min(options.count, kScanMembersMax);
  uint64_t next_cursor = 0;
  uint32_t last_hash = 0;
  bool two_hashes = false;
  ReadContext& read = context.tx.read();
  std::string scratch;
  Members::Walk walk(members);
  if (members.is_inline()) {
    walk.seek_to_first();
  } else if (cursor <= UINT32_MAX) {
    walk.seek(static_cast<uint32_t>(cursor));
  }
  for (; walk.valid(); walk.next(), ++looked) {
    // Members of one hash are shown together: the cursor cannot stand between them.
    bool new_hash = looked > 0 && walk.hash() != last_hash;
    bool enough = looked >= most || bytes > kScanBytesMax || steps > kScanStepsMax;
    if (enough && new_hash) {
      next_cursor = walk.hash();
      break;
    }
    two_hashes |= new_hash;
    last_hash = walk.hash();
    if (!all && !glob_matches(options.pattern, walk.member(), false, &steps)) continue;
    if (bytes + walk.member().size() + walk.value().length > context.host().max_reply()) {
      return reply_too_long(context);
    }
    page.push_back({walk.hash(), std::string(walk.member()), {}});
    if (has_scores(members)) {
      page.back().value = score_text(score_of(context, walk.value()), members.grown());
    } else if (part == MemberPart::kBoth) {
      page.back().value = walk.read(&scratch);
    }
    bytes += walk.member().size() + walk.value().length;
    if (!read.misses.empty()) break;
  }
  // Not inside EXEC: the misses are those of its other commands too.
  if (!read.misses.empty() && read.error.ok() && two_hashes && read.restarts >= kPatientRestarts &&
      !context.in_exec) {
    // The next call begins at the hash whose members are not all here.
    read.misses.clear();
    while (!page.empty() && page.back().hash == last_hash) page.pop_back();
    next_cursor = last_hash;
  }
  if (read.faulted()) return;
  context.reply.array(2);
  context.reply.bulk(std::to_string(next_cursor));
  context.reply.array(part == MemberPart::kBoth ? page.size() * 2 : page.size());
  for (const Found& found : page) {
    context.reply.bulk(found.member);
    if (part == MemberPart::kBoth) context.reply.bulk(found.value);
  }
}

}  // namespace varve
