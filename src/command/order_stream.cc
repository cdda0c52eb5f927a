#include "command/order_stream.h"

#include "base/log.h"
#include "command/families/sorted_set_args.h"
#include "resp/reply.h"

namespace varve {
namespace {

constexpr int kMembersPerStep = 2000;

}  // namespace

OrderStream::OrderStream(Engine& engine, OrderSelection selection, int protocol, Sequence gate)
    : engine_(engine),
      snapshot_(engine.snapshot()),
      selection_(std::move(selection)),
      protocol_(protocol),
      gate_(gate),
      at_(selection_.start) {
  if (selection_.reverse) at_.push_back('\0');
}

// A step keeps what it has done: after a missing block the next one goes on from there.
RunResult OrderStream::step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) {
  read.begin_run();
  uint64_t start = out.end();
  std::unique_ptr<LiveIterator> it =
      engine_.new_iterator(read, selection_.range.begin, selection_.range.end, snapshot_.get());
  selection_.reverse ? it->seek_before(at_) : it->seek(at_);
  Reply reply(out, protocol_);
  int members = 0;
  for (; it->valid() && members < kMembersPerStep && out.end() - start < budget && selection_.count > 0;
       ++members, selection_.reverse ? it->prev() : it->next()) {
    std::string_view member;
    double score = 0;
    if (!parse_order_element(it->key(), it->value(), &member, &score)) {
      read.error = Status::corruption("keyspace: a member of a sorted set cannot be understood");
      break;
    }
    reply_scored(reply, member, score, selection_.with_scores);
    --selection_.count;
    at_.assign(it->key());
    if (!selection_.reverse) at_.push_back('\0');
  }
  IterState state = it->state();
  it.reset();
  if (read.error.ok() && selection_.count > 0 && state == IterState::kMiss) {
    if (members > 0) {  // what was passed is not looked at again: the next miss is a new one
      read.restarts = 0;
      read.install_hold.reset();
      read.pins.clear();
    }
    return RunResult::kFault;
  }
  if (read.error.ok()) read.begin_command();
  if (read.error.ok() && selection_.count == 0) return RunResult::kDone;
  if (read.error.ok() && state == IterState::kValid) return RunResult::kStream;
  if (read.error.ok()) {
    read.error = Status::corruption("keyspace: a sorted set has fewer members than its record says");
  }
  log_warning("a streamed sorted set broke off: {}", read.error.to_string());
  *broken = true;
  return RunResult::kDone;
}

}  // namespace varve
