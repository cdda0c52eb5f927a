// keys_stream.h: walks of the key space that go on in slices: KEYS on a database too large for one run, and
// RANDOMKEY where very much has expired.
//
// KEYS: a RESP array opens with its length, so the keys
// are counted in a first pass and sent in a second, both in slices over the same snapshot at the same frozen
// time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "command/dispatcher.h"
#include "keyspace/keyspace.h"

namespace varve {

// The keys of a database that match a pattern, in order, from a range of engine keys that holds all that can.
struct KeyWalk {
  DatabaseId database = 0;
  std::string pattern;  // empty with match_all
  bool match_all = false;
  std::string begin;  // engine keys
  std::string end;
  int64_t now_ms = 0;

  KeyWalk(DatabaseId database_id, std::string_view glob, int64_t now);
  // True if what an iterator stands on is a live key that matches. A record that cannot be understood sets
  // read.error.
  bool accept(std::string_view engine_key, std::string_view value, ReadContext& read, std::string_view* key,
              Record* record);

  // What the walk has cost in this slice: it ends when it has cost enough, about a millisecond.
  bool tired() const { return steps > kStepsMax || bytes > kBytesMax; }
  void begin_slice() { steps = bytes = 0; }
  static constexpr uint64_t kStepsMax = 200'000;  // of patterns
  static constexpr uint64_t kBytesMax = 1 << 20;  // of records looked at
  uint64_t steps = 0;
  uint64_t bytes = 0;
};

class KeysStream : public ReplyStream {
 public:
  KeysStream(Engine& engine, KeyWalk walk);
  RunResult step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) override;
  Sequence gate() const override { return snapshot_->sequence(); }

 private:
  Engine& engine_;
  KeyWalk walk_;
  std::unique_ptr<Snapshot> snapshot_;
  std::string at_;  // where the next slice starts
  bool counting_ = true;
  uint64_t count_ = 0;
};

// RANDOMKEY among more expired keys than one run steps over: goes round from a position until it meets a live
// one. Each slice reads what is there then.
class RandomKeyStream : public ReplyStream {
 public:
  RandomKeyStream(Engine& engine, KeyWalk walk, std::string at, int protocol)
      : engine_(engine), walk_(std::move(walk)), start_(at), at_(std::move(at)), protocol_(protocol) {}
  RunResult step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) override;
  Sequence gate() const override { return engine_.last_sequence(); }

 private:
  Engine& engine_;
  KeyWalk walk_;
  std::string start_;
  std::string at_;        // where the next slice starts
  bool wrapped_ = false;  // the walk is before start_
  int protocol_;
};

}  // namespace varve
