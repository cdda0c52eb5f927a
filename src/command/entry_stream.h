// entry_stream.h: long stretches of streams as a reply that goes out piece by piece, under a snapshot: what
// XRANGE, XREVRANGE, XREAD and XINFO STREAM FULL have to say. An array opens with its length, so entries
// whose number is not known from the record are counted in a first pass.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "command/dispatcher.h"
#include "keyspace/types/stream.h"

namespace varve {

// The entries of one stream from `first` to `last`, both included.
struct EntrySelection {
  std::string before;  // the reply's bytes in front of the array of entries
  uint64_t collection = 0;
  StreamId first;
  StreamId last;
  bool reverse = false;
  uint64_t most = UINT64_MAX;  // entries
  bool counted = false;        // `most` is how many there are
};

class EntryStream : public ReplyStream {
 public:
  // `behind`: the reply's bytes behind it all. `gate`: the sequence of what led here.
  EntryStream(Engine& engine, std::vector<EntrySelection> selections, std::string behind, int protocol,
              Sequence gate);
  RunResult step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) override;
  Sequence gate() const override { return gate_; }

 private:
  void open_selection(OutputBuffer& out);
  // Walks on to the end of a slice. True when the pass is complete.
  bool walk(ReadContext& read, OutputBuffer& out, size_t budget, bool* moved);
  // One entry; false on damage.
  bool append_entry(std::string_view key, std::string_view record, OutputBuffer& out);
  // The next piece of the entry that is being sent; false when it is missing.
  bool append_piece(ReadContext& read, OutputBuffer& out);
  void end_pass(OutputBuffer& out);
  // Bytes of a packed entry, in whatever pieces they come, as bulks; false when they make no sense.
  bool unpack(std::string_view bytes, OutputBuffer& out);

  Engine& engine_;
  std::unique_ptr<Snapshot> snapshot_;
  std::vector<EntrySelection> selections_;
  std::string behind_;
  int protocol_;
  Sequence gate_;
  size_t current_ = 0;
  bool counting_ = false;
  uint64_t count_ = 0;  // entries met in this pass
  std::string at_;      // where the next slice starts; in reverse, before it
  // An entry that is being sent in pieces.
  std::string long_key_;  // empty: none
  uint64_t long_length_ = 0;
  uint64_t long_sent_ = 0;
  bool words_known_ = false;  // how many strings it has was told
  uint64_t words_left_ = 0;
  uint64_t word_left_ = 0;  // bytes of the current string
  bool in_word_ = false;
  std::string number_;  // a number that a piece ended in
};

}  // namespace varve
