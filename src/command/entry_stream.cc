#include "command/entry_stream.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/coding.h"
#include "base/log.h"
#include "resp/reply.h"

namespace varve {
namespace {

constexpr int kEntriesPerStep = 2000;

}  // namespace

EntryStream::EntryStream(Engine& engine, std::vector<EntrySelection> selections, std::string behind,
                         int protocol, Sequence gate)
    : engine_(engine),
      snapshot_(engine.snapshot()),
      selections_(std::move(selections)),
      behind_(std::move(behind)),
      protocol_(protocol),
      gate_(gate) {
  counting_ = !selections_[0].counted;
}

// A step keeps what it has done: after a missing block the next one goes on from there.
RunResult EntryStream::step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) {
  read.begin_run();
  bool moved = false;
  if (!long_key_.empty()) {
    moved = append_piece(read, out);
  } else if (walk(read, out, budget, &moved)) {
    end_pass(out);
  }
  if (!read.error.ok()) {
    log_warning("a streamed range of entries broke off: {}", read.error.to_string());
    *broken = true;
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
  if (current_ < selections_.size()) return RunResult::kStream;
  out.append(behind_);
  return RunResult::kDone;
}

void EntryStream::open_selection(OutputBuffer& out) {
  const EntrySelection& selection = selections_[current_];
  EngineKey key;
  make_entry_key(selection.collection, selection.reverse ? selection.last : selection.first, &key);
  at_.assign(key.view());
  if (selection.reverse) at_.push_back('\0');
  count_ = 0;
  if (counting_) return;
  out.append(selection.before);
  Reply(out, protocol_).array(selection.most);
}

bool EntryStream::walk(ReadContext& read, OutputBuffer& out, size_t budget, bool* moved) {
  if (at_.empty()) open_selection(out);
  const EntrySelection& selection = selections_[current_];
  if (count_ == selection.most) return true;  // nothing is left to read, so nothing can be missing
  EngineKey first;
  EngineKey last;
  make_entry_key(selection.collection, selection.first, &first);
  make_entry_key(selection.collection, selection.last, &last);
  std::string end(last.view());
  end.push_back('\0');
  uint64_t start = out.end();
  std::unique_ptr<LiveIterator> it = engine_.new_iterator(read, first, end, snapshot_.get());
  selection.reverse ? it->seek_before(at_) : it->seek(at_);
  for (int entries = 0; count_ < selection.most; ++entries) {
    if (entries > 0) selection.reverse ? it->prev() : it->next();
    if (it->state() == IterState::kEnd) {
      if (counting_) return true;
      read.error = Status::corruption("keyspace: stream {} has fewer entries than its record says",
                                      selection.collection);
    }
    if (!it->valid() || entries == kEntriesPerStep || out.end() - start >= budget || !long_key_.empty()) {
      return false;
    }
    if (!counting_ && !append_entry(it->key(), it->value(), out)) {
      read.error =
          Status::corruption("keyspace: an entry of stream {} cannot be understood", selection.collection);
      return false;
    }
    *moved = true;
    ++count_;
    at_.assign(it->key());
    if (!selection.reverse) at_.push_back('\0');
  }
  return long_key_.empty();
}

void EntryStream::end_pass(OutputBuffer& out) {
  at_.clear();
  if (counting_) {
    selections_[current_].most = count_;
    counting_ = false;
    return open_selection(out);
  }
  if (++current_ < selections_.size()) counting_ = !selections_[current_].counted;
}

bool EntryStream::append_entry(std::string_view key, std::string_view record, OutputBuffer& out) {
  ElementValue value;
  if (key.size() != kPartPrefixSize + 16 || !decode_element_value(record, &value)) return false;
  Reply reply(out, protocol_);
  reply.array(2);
  reply.bulk(format_stream_id(entry_id(key)));
  words_known_ = in_word_ = false;
  number_.clear();
  if (!value.in_pieces) return unpack(value.bytes, out) && words_known_ && words_left_ == 0;
  long_key_.assign(key);
  long_length_ = value.length;
  long_sent_ = 0;
  return true;
}

bool EntryStream::append_piece(ReadContext& read, OutputBuffer& out) {
  EngineKey key;
  make_piece_key(long_key_, static_cast<uint32_t>(long_sent_ / kLongPieceSize), &key);
  ReadValue found;
  uint64_t expected = std::min<uint64_t>(kLongPieceSize, long_length_ - long_sent_);
  ReadState state = engine_.get(read, key, &found, snapshot_.get());
  if (read.faulted()) return false;
  long_sent_ += expected;
  bool last = long_sent_ == long_length_;
  if (state != ReadState::kFound || found.value.size() != expected || !unpack(found.value, out) ||
      (last && (!words_known_ || words_left_ > 0))) {
    read.error = Status::corruption("keyspace: a long entry of stream {} cannot be understood",
                                    selections_[current_].collection);
    return false;
  }
  if (last) long_key_.clear();
  return true;
}

bool EntryStream::unpack(std::string_view bytes, OutputBuffer& out) {
  while (!bytes.empty()) {
    if (in_word_) {
      std::string_view part = bytes.substr(0, word_left_);
      out.append(part);
      bytes.remove_prefix(part.size());
      word_left_ -= part.size();
    } else {
      if (words_known_ && words_left_ == 0) return false;
      number_.push_back(bytes.front());
      bytes.remove_prefix(1);
      if ((number_.back() & 0x80) != 0 && number_.size() < kMaxVarintSize) continue;
      std::string_view digits = number_;
      uint64_t number = 0;
      if (!get_varint(&digits, &number)) return false;
      number_.clear();
      if (!words_known_) {
        words_known_ = true;
        words_left_ = number;
        Reply(out, protocol_).array(number);
        continue;
      }
      in_word_ = true;
      word_left_ = number;
      out.append(fmt::format("${}\r\n", number));
    }
    if (word_left_ > 0) continue;
    out.append("\r\n");
    in_word_ = false;
    --words_left_;
  }
  return true;
}

}  // namespace varve
