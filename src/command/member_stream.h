// member_stream.h: a large hash, set, list or sorted set as a reply that goes out piece by piece, under a
// snapshot: all of it, a random choice, or what follows one element. The number of members is known from the
// record, so one pass suffices.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/random.h"
#include "command/dispatcher.h"
#include "keyspace/keyspace.h"

namespace varve {

enum class MemberPart : uint8_t { kMembers, kValues, kBoth };

// Which members, and what of each.
struct MemberSelection {
  uint64_t collection = 0;
  uint64_t size = 0;    // members there are
  uint64_t wanted = 0;  // of them; fewer than size: a random choice
  MemberPart part = MemberPart::kMembers;
  bool nested = false;  // each pair an array of its own
  uint64_t seed = 0;    // of the choice
  std::string from;     // the engine key of the first of them; empty: that of the collection's main part
  std::string end;      // behind their last one; empty: the main part's
  KeyRange then;        // keys that follow behind that; empty: none
  bool scores = false;  // values are scores
};

class MemberStream : public ReplyStream {
 public:
  // The header of the whole reply is the caller's. `gate`: the sequence of what led here.
  MemberStream(Engine& engine, const MemberSelection& selection, Sequence gate);
  RunResult step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) override;
  Sequence gate() const override { return gate_; }

 private:
  // One member; false on damage.
  bool append_member(std::string_view key, std::string_view record, OutputBuffer& out);
  // The next piece of the value that is being sent.
  bool append_piece(ReadContext& read, OutputBuffer& out);
  RunResult break_off(ReadContext& read, bool* broken) const;

  Engine& engine_;
  std::unique_ptr<Snapshot> snapshot_;
  MemberSelection selection_;
  Random random_;
  Sequence gate_;
  std::string at_;  // where the next step starts
  std::string end_;
  std::string long_key_;  // the main key of a value that is being sent in pieces; empty: none
  uint64_t long_length_ = 0;
  uint64_t long_sent_ = 0;
};

}  // namespace varve
