// member_replies.h: what hashes, sets and sorted sets answer alike: all of them, a scan's page, random
// members. Small ones at once, large ones as a stream.
#pragma once

#include "command/command_context.h"
#include "command/families/scan_options.h"
#include "command/member_stream.h"
#include "keyspace/types/members.h"

namespace varve {

// Fields and members are at most kMaxKeySize long. False: an error was replied.
bool member_fits(CommandContext& context, std::string_view member);

// The elements of the whole collection, behind the header that the caller has replied. False: an error was
// replied instead.
bool reply_members(CommandContext& context, Members& members, MemberPart part);
// `count` random members with header, as HRANDFIELD and SRANDMEMBER answer: distinct ones, at most all; below
// 0 as many as that, with repetitions.
void reply_random_members(CommandContext& context, Members& members, int64_t count, MemberPart part);
// HSCAN, SSCAN and ZSCAN: cursor and page. The cursor is the hash of the next member.
void reply_member_scan(CommandContext& context, Members& members, uint64_t cursor, const ScanOptions& options,
                       MemberPart part);

}  // namespace varve
