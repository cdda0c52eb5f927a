#include "command/list_search.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/coding.h"
#include "base/log.h"
#include "command/errors.h"
#include "resp/reply.h"

namespace varve {
namespace {

constexpr uint64_t kElementsPerStep = 4000;

}  // namespace

ListSearchStream::ListSearchStream(Engine& engine, std::string first_key, uint64_t size, ListSearch search,
                                   int protocol, Sequence gate)
    : engine_(engine),
      snapshot_(engine.snapshot()),
      collection_(decode_big64(first_key.data() + 1)),
      first_(decode_big64(first_key.data() + kPartPrefixSize)),
      size_(size),
      search_(std::move(search)),
      protocol_(protocol),
      gate_(gate),
      counting_(search_.counted) {
  start_pass();
}

void ListSearchStream::start_pass() {
  index_ = search_.forward ? 0 : size_ - 1;
  left_ = std::min(search_.longest, size_);
  skipped_ = search_.skipped;
  found_ = 0;
}

// A slice keeps what it has done: after a missing block the next one goes on from there.
RunResult ListSearchStream::step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) {
  read.begin_run();
  bool moved = look(read, out, budget);
  if (!read.error.ok()) {
    log_warning("a search in a list broke off: {}", read.error.to_string());
    bool told = search_.counted && !counting_;
    if (!told) Reply(out, protocol_).error(fmt::format("{} {}", errors::kReadFailed, read.error.to_string()));
    *broken = told;
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
  return left_ > 0 && found_ < search_.most ? RunResult::kStream : end_pass(out);
}

bool ListSearchStream::look(ReadContext& read, OutputBuffer& out, size_t budget) {
  uint64_t start = out.end();
  uint64_t before = left_;
  EngineKey begin;
  EngineKey end;
  EngineKey key;
  make_position_key(collection_, search_.forward ? first_ + index_ : first_, &begin);
  make_position_key(collection_, search_.forward ? first_ + size_ : first_ + index_ + 1, &end);
  std::unique_ptr<LiveIterator> it = engine_.new_iterator(read, begin, end, snapshot_.get());
  search_.forward ? it->seek_to_first() : it->seek_to_last();
  while (left_ > 0 && found_ < search_.most && before - left_ < kElementsPerStep &&
         out.end() - start < budget) {
    if (it->state() == IterState::kMiss || it->state() == IterState::kError) break;
    make_position_key(collection_, first_ + index_, &key);
    if (!it->valid() || it->key() != key.view()) {
      read.error = damage();
      break;
    }
    Match matches = match(read, it->key(), it->value());
    if (matches == Match::kUnknown) break;
    if (matches == Match::kYes) note_match(out);
    --left_;
    if (left_ == 0) break;
    search_.forward ? ++index_ : --index_;
    search_.forward ? it->next() : it->prev();
  }
  return left_ < before;
}

ListSearchStream::Match ListSearchStream::match(ReadContext& read, std::string_view key,
                                                std::string_view record) {
  ElementValue value;
  if (!decode_element_value(record, &value)) {
    read.error = damage();
    return Match::kUnknown;
  }
  std::string_view element = search_.element;
  if (value.length != element.size()) return Match::kNo;
  if (!value.in_pieces) return value.bytes == element ? Match::kYes : Match::kNo;
  EngineKey piece_key;
  for (uint32_t piece = 0; piece * kLongPieceSize < element.size(); ++piece) {
    make_piece_key(key, piece, &piece_key);
    ReadValue found;
    ReadState state = engine_.get(read, piece_key, &found, snapshot_.get());
    if (read.faulted()) return Match::kUnknown;
    if (state != ReadState::kFound) {
      read.error = damage();
      return Match::kUnknown;
    }
    if (found.value != element.substr(piece * kLongPieceSize, kLongPieceSize)) return Match::kNo;
  }
  return Match::kYes;
}

void ListSearchStream::note_match(OutputBuffer& out) {
  if (skipped_ > 0) {
    --skipped_;
    return;
  }
  ++found_;
  if (!counting_) Reply(out, protocol_).integer(static_cast<int64_t>(index_));
}

RunResult ListSearchStream::end_pass(OutputBuffer& out) {
  Reply reply(out, protocol_);
  if (!search_.counted && found_ == 0) reply.null();
  if (!counting_) return RunResult::kDone;
  reply.array(found_);
  if (found_ == 0) return RunResult::kDone;
  counting_ = false;
  search_.most = found_;
  start_pass();
  return RunResult::kStream;
}

Status ListSearchStream::damage() const {
  return Status::corruption("keyspace: an element of list {} is missing or cannot be understood",
                            collection_);
}

}  // namespace varve
