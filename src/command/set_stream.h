// set_stream.h: unions, intersections and differences of sets too large for one run. An array opens with its
// length, so the members are counted in a first pass and sent in a second, both in slices over the same
// snapshot; the count alone is SINTERCARD's reply.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "command/dispatcher.h"
#include "keyspace/keyspace.h"
#include "keyspace/types/set_algebra.h"

namespace varve {

// One of the sets, by what its record says.
struct SetOperand {
  MemberLayout layout;  // its collection 0: a small set
  std::string packed;
};

class SetStream : public ReplyStream {
 public:
  // What it answers: the members, or how many there are, counted up to `limit`.
  enum class Answer : uint8_t { kMembers, kCount };
  SetStream(Engine& engine, SetOperation operation, std::vector<SetOperand> operands, Answer answer,
            uint64_t limit, int protocol, Sequence gate);
  RunResult step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) override;
  Sequence gate() const override { return gate_; }

 private:
  std::vector<SetSource> sources(ReadContext& read);
  RunResult end_pass(OutputBuffer& out);

  Engine& engine_;
  std::unique_ptr<Snapshot> snapshot_;
  SetOperation operation_;
  std::vector<SetOperand> operands_;
  Answer answer_;
  uint64_t limit_;
  int protocol_;
  Sequence gate_;
  Overlay nothing_;  // a stream has no writes of its own
  bool counting_ = true;
  uint64_t count_ = 0;
  // Where the next slice starts.
  uint32_t hash_ = 0;
  std::string member_;
};

}  // namespace varve
