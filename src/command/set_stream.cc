#include "command/set_stream.h"

#include <fmt/format.h>

#include "base/log.h"
#include "command/errors.h"
#include "resp/reply.h"

namespace varve {
namespace {

constexpr uint64_t kMembersPerStep = 4000;  // looked at

}  // namespace

SetStream::SetStream(Engine& engine, SetOperation operation, std::vector<SetOperand> operands, Answer answer,
                     uint64_t limit, int protocol, Sequence gate)
    : engine_(engine),
      snapshot_(engine.snapshot()),
      operation_(operation),
      operands_(std::move(operands)),
      answer_(answer),
      limit_(limit),
      protocol_(protocol),
      gate_(gate) {}

std::vector<SetSource> SetStream::sources(ReadContext& read) {
  std::vector<SetSource> all;
  for (const SetOperand& operand : operands_) {
    if (operand.layout.collection == 0) {
      all.emplace_back(operand.packed);
      continue;
    }
    all.emplace_back(
        MemberElements(operand.layout, [this, &read](std::string_view begin, std::string_view end) {
          return std::make_unique<ElementIterator>(
              nothing_, engine_.new_iterator(read, begin, end, snapshot_.get()), begin, end);
        }));
  }
  return all;
}

// A slice keeps what it has done: after a missing block the next one goes on from there.
RunResult SetStream::step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) {
  read.begin_run();
  uint64_t start = out.end();
  uint64_t steps = kMembersPerStep;
  SetAlgebra::Result result = SetAlgebra::Result::kPaused;
  bool moved = false;
  {
    SetAlgebra algebra(operation_, sources(read));
    algebra.seek(hash_, member_);
    while (steps > 0 && out.end() - start < budget && count_ < limit_) {
      result = algebra.next(&steps);
      if (algebra.damaged()) {
        read.error = Status::corruption("keyspace: an element of a set cannot be understood");
      }
      // A union that misses a block does not know whose turn it is.
      if (read.faulted() && operation_ == SetOperation::kUnion) break;
      moved |= hash_ != algebra.hash() || member_ != algebra.member();
      hash_ = algebra.hash();
      member_.assign(algebra.member());
      if (read.faulted() || result == SetAlgebra::Result::kEnd) break;
      if (result == SetAlgebra::Result::kPaused) continue;
      if (!counting_) Reply(out, protocol_).bulk(member_);
      ++count_;
      member_.push_back('\0');
    }
  }
  if (!read.error.ok()) {
    log_warning("a reply of several sets broke off: {}", read.error.to_string());
    if (counting_) {
      Reply(out, protocol_).error(fmt::format("{} {}", errors::kReadFailed, read.error.to_string()));
    } else {
      *broken = true;
    }
    return RunResult::kDone;
  }
  if (read.faulted()) {
    if (moved) {  // what was passed is not looked at again: the next miss is a new one
      read.restarts = 0;
      read.install_hold.reset();
      read.pins.clear();
    }
    return RunResult::kFault;
  }
  read.begin_command();
  if (result != SetAlgebra::Result::kEnd && count_ < limit_) return RunResult::kStream;
  return end_pass(out);
}

RunResult SetStream::end_pass(OutputBuffer& out) {
  if (!counting_) return RunResult::kDone;
  Reply reply(out, protocol_);
  if (answer_ == Answer::kCount) {
    reply.integer(static_cast<int64_t>(count_));
    return RunResult::kDone;
  }
  reply.set(count_);
  if (count_ == 0) return RunResult::kDone;
  counting_ = false;
  limit_ = count_;
  count_ = 0;
  hash_ = 0;
  member_.clear();
  return RunResult::kStream;
}

}  // namespace varve
