// streams.h: the commands of stream_reads.cc, for their rows.
#pragma once

namespace varve {

struct CommandContext;

void run_xlen(CommandContext& context);
void run_xrange(CommandContext& context);
void run_xrevrange(CommandContext& context);
void run_xread(CommandContext& context);
void run_xinfo_stream(CommandContext& context);
void run_xinfo_groups(CommandContext& context);
void run_xinfo_consumers(CommandContext& context);
void run_xinfo_help(CommandContext& context);

}  // namespace varve
