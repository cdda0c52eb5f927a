#include "command/keys_stream.h"

#include <fmt/format.h>

#include "base/log.h"
#include "command/errors.h"
#include "command/glob.h"
#include "resp/reply.h"

namespace varve {
namespace {

constexpr int kKeysPerStep = 2000;

// A slice met a missing block. What it passed before is not looked at again: the next miss is a new one.
RunResult missed(ReadContext& read, bool passed_some) {
  if (passed_some) {
    read.restarts = 0;
    read.install_hold.reset();
    read.pins.clear();
  }
  return RunResult::kFault;
}

}  // namespace

KeyWalk::KeyWalk(DatabaseId database_id, std::string_view glob, int64_t now)
    : database(database_id), pattern(glob), match_all(glob == "*"), now_ms(now) {
  KeyRange range = metadata_range(database);
  bool whole = false;
  std::string prefix = match_all ? "" : glob_literal_prefix(pattern, &whole);
  if (prefix.size() > kMaxKeySize) prefix.resize(kMaxKeySize);
  begin = range.begin + prefix;
  end = whole ? begin + '\0' : prefix.empty() ? range.end : prefix_end(begin);
}

bool KeyWalk::accept(std::string_view engine_key, std::string_view value, ReadContext& read,
                     std::string_view* key, Record* record) {
  DatabaseId id = 0;
  bytes += engine_key.size() + value.size();
  if (!parse_metadata_key(engine_key, &id, key) || !decode_record(value, record)) {
    read.error =
        Status::corruption("keyspace: the record of key '{}' cannot be understood", engine_key.substr(1));
    return false;
  }
  return !record->expired(now_ms) && (match_all || glob_matches(pattern, *key, false, &steps));
}

KeysStream::KeysStream(Engine& engine, KeyWalk walk)
    : engine_(engine), walk_(std::move(walk)), snapshot_(engine.snapshot()), at_(walk_.begin) {}

// A slice keeps what it has done: after a missing block the next one goes on from there.
RunResult KeysStream::step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) {
  read.begin_run();
  walk_.begin_slice();
  Reply reply(out, 2);
  uint64_t start = out.end();
  std::unique_ptr<LiveIterator> it = engine_.new_iterator(read, at_, walk_.end, snapshot_.get());
  it->seek_to_first();
  int keys = 0;
  for (; it->valid() && keys < kKeysPerStep && out.end() - start < budget && !walk_.tired();
       ++keys, it->next()) {
    std::string_view key;
    Record record;
    if (walk_.accept(it->key(), it->value(), read, &key, &record)) {
      if (counting_) {
        ++count_;
      } else {
        reply.bulk(key);
      }
    }
    at_.assign(it->key());
    at_.push_back('\0');
    if (!read.error.ok()) break;
  }
  IterState state = it->state();
  it.reset();
  if (!read.error.ok()) {
    log_warning("KEYS broke off: {}", read.error.to_string());
    if (counting_) {
      reply.error(fmt::format("{} {}", errors::kReadFailed, read.error.to_string()));
    } else {
      *broken = true;
    }
    return RunResult::kDone;
  }
  if (state == IterState::kMiss) return missed(read, keys > 0);
  read.begin_command();
  if (state != IterState::kEnd) return RunResult::kStream;
  if (!counting_) return RunResult::kDone;
  counting_ = false;
  at_ = walk_.begin;
  reply.array(count_);
  return count_ == 0 ? RunResult::kDone : RunResult::kStream;
}

RunResult RandomKeyStream::step(ReadContext& read, OutputBuffer& out, size_t, bool*) {
  read.begin_run();
  walk_.begin_slice();
  Reply reply(out, protocol_);
  std::unique_ptr<LiveIterator> it = engine_.new_iterator(read, at_, wrapped_ ? start_ : walk_.end);
  it->seek_to_first();
  int keys = 0;
  for (; it->valid() && keys < kKeysPerStep && !walk_.tired(); ++keys, it->next()) {
    std::string_view key;
    Record record;
    if (walk_.accept(it->key(), it->value(), read, &key, &record)) {
      reply.bulk(key);
      return RunResult::kDone;
    }
    if (!read.error.ok()) break;
    at_.assign(it->key());
    at_.push_back('\0');
  }
  IterState state = it->state();
  it.reset();
  if (!read.error.ok()) {
    reply.error(fmt::format("{} {}", errors::kReadFailed, read.error.to_string()));
    return RunResult::kDone;
  }
  if (state == IterState::kMiss) return missed(read, keys > 0);
  read.begin_command();
  if (state != IterState::kEnd) return RunResult::kStream;
  if (wrapped_) {
    reply.null();
    return RunResult::kDone;
  }
  wrapped_ = true;
  at_ = walk_.begin;
  return RunResult::kStream;
}

}  // namespace varve
