// list_search.h: LPOS on a list too long for one run: a search in slices under a snapshot. An array opens
// with its length, so matches are counted in a first pass and told in a second; a single answer needs one
// pass.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "command/dispatcher.h"
#include "keyspace/keyspace.h"

namespace varve {

// What LPOS looks for.
struct ListSearch {
  std::string element;
  bool forward = true;
  uint64_t skipped = 0;  // matches before the first that counts
  bool counted = false;  // the answer is an array; else the first match, or null
  uint64_t most = 1;     // matches told
  uint64_t longest = 0;  // elements looked at, at most all
};

class ListSearchStream : public ReplyStream {
 public:
  // `first_key` is that of element 0, and there are `size`.
  ListSearchStream(Engine& engine, std::string first_key, uint64_t size, ListSearch search, int protocol,
                   Sequence gate);
  RunResult step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) override;
  Sequence gate() const override { return gate_; }

 private:
  enum class Match : uint8_t { kNo, kYes, kUnknown };
  void start_pass();
  // Looks at elements up to the end of a slice. True when it has come farther.
  bool look(ReadContext& read, OutputBuffer& out, size_t budget);
  // kUnknown: a block is missing, or there is damage.
  Match match(ReadContext& read, std::string_view key, std::string_view record);
  void note_match(OutputBuffer& out);
  RunResult end_pass(OutputBuffer& out);
  Status damage() const;

  Engine& engine_;
  std::unique_ptr<Snapshot> snapshot_;
  uint64_t collection_;
  uint64_t first_;  // position of element 0
  uint64_t size_;
  ListSearch search_;
  int protocol_;
  Sequence gate_;
  bool counting_;
  // Where the next slice starts, and what is left of the pass.
  uint64_t index_ = 0;
  uint64_t left_ = 0;
  uint64_t skipped_ = 0;
  uint64_t found_ = 0;
};

}  // namespace varve
