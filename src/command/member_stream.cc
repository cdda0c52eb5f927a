#include "command/member_stream.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "resp/reply.h"

namespace varve {
namespace {

constexpr int kMembersPerStep = 2000;

}  // namespace

MemberStream::MemberStream(Engine& engine, const MemberSelection& selection, Sequence gate)
    : engine_(engine),
      snapshot_(engine.snapshot()),
      selection_(selection),
      random_(selection.seed),
      gate_(gate) {
  KeyRange range = part_range(selection.collection, Part::kMain);
  at_ = selection.from.empty() ? std::move(range.begin) : selection.from;
  end_ = selection.end.empty() ? std::move(range.end) : selection.end;
}

// A step keeps what it has done: after a missing block the next one goes on from there.
RunResult MemberStream::step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) {
  read.begin_run();
  if (!long_key_.empty()) {
    if (append_piece(read, out)) {
      read.begin_command();
      return RunResult::kStream;
    }
    return read.error.ok() ? RunResult::kFault : break_off(read, broken);
  }
  uint64_t start = out.end();
  std::unique_ptr<LiveIterator> it = engine_.new_iterator(read, at_, end_, snapshot_.get());
  it->seek_to_first();
  int members = 0;
  for (; it->valid() && members < kMembersPerStep && out.end() - start < budget && long_key_.empty() &&
         selection_.wanted > 0;
       ++members, it->next()) {
    bool chosen = selection_.wanted == selection_.size || random_.below(selection_.size) < selection_.wanted;
    if (chosen && !append_member(it->key(), it->value(), out)) {
      read.error = Status::corruption("keyspace: an element of collection {} cannot be understood",
                                      selection_.collection);
      break;
    }
    --selection_.size;
    if (chosen) --selection_.wanted;
    at_.assign(it->key());
    at_.push_back('\0');
  }
  IterState state = it->state();
  it.reset();
  if (state == IterState::kEnd && !selection_.then.end.empty()) {
    at_ = std::move(selection_.then.begin);
    end_ = std::move(selection_.then.end);
    selection_.then.end.clear();
    state = IterState::kValid;
  }
  if (!read.error.ok()) return break_off(read, broken);
  bool complete = selection_.wanted == 0 && long_key_.empty();
  if (!complete && state == IterState::kMiss) {
    if (members > 0) {  // what was passed is not looked at again: the next miss is a new one
      read.restarts = 0;
      read.install_hold.reset();
      read.pins.clear();
    }
    return RunResult::kFault;
  }
  read.begin_command();
  if (complete) return RunResult::kDone;
  if (state == IterState::kValid || !long_key_.empty()) return RunResult::kStream;
  read.error = Status::corruption("keyspace: collection {} has fewer elements than its record says",
                                  selection_.collection);
  return break_off(read, broken);
}

bool MemberStream::append_member(std::string_view key, std::string_view record, OutputBuffer& out) {
  uint32_t hash = 0;
  std::string_view member;
  ElementValue value;
  if (!parse_member_key(key, &hash, &member) || !decode_element_value(record, &value)) return false;
  Reply reply(out, selection_.nested ? 3 : 2);
  if (selection_.nested) reply.array(2);
  if (selection_.part != MemberPart::kValues) reply.bulk(member);
  if (selection_.part == MemberPart::kMembers) return true;
  if (selection_.scores) {
    if (value.bytes.size() != kScoreSize) return false;
    reply.real(decode_score(value.bytes.data()));
    return true;
  }
  if (!value.in_pieces) {
    reply.bulk(value.bytes);
    return true;
  }
  out.append(fmt::format("${}\r\n", value.length));
  long_key_.assign(key);
  long_length_ = value.length;
  long_sent_ = 0;
  return true;
}

bool MemberStream::append_piece(ReadContext& read, OutputBuffer& out) {
  EngineKey key;
  make_piece_key(long_key_, static_cast<uint32_t>(long_sent_ / kLongPieceSize), &key);
  ReadValue found;
  uint64_t expected = std::min<uint64_t>(kLongPieceSize, long_length_ - long_sent_);
  ReadState state = engine_.get(read, key, &found, snapshot_.get());
  if (read.faulted()) return false;
  if (state != ReadState::kFound || found.value.size() != expected) {
    read.error = Status::corruption("keyspace: a piece of a long element of collection {} is missing",
                                    selection_.collection);
    return false;
  }
  out.append(found.value);
  long_sent_ += expected;
  if (long_sent_ < long_length_) return true;
  out.append("\r\n");
  long_key_.clear();
  return true;
}

RunResult MemberStream::break_off(ReadContext& read, bool* broken) const {
  log_warning("a streamed collection broke off: {}", read.error.to_string());
  *broken = true;
  return RunResult::kDone;
}

}  // namespace varve
