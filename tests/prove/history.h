// history.h: is what concurrent clients saw possible, if every command took effect at one instant between its
// sending and its reply? Checks histories written by tests/prove/linear.py, across crashes of the server.
//
// A history is a text, one operation a line, in the order of sending:
//
//   CLIENT SENT ANSWERED OPERATION ARGUMENT... -> REPLY     a 10 25 set x 7 -> ok
//   CLIENT SENT ?GONE OPERATION ARGUMENT... -> ?            b 12 ?40 append x 8 -> ?
//   crash GONE                                              crash 40
//
// Times are integers of one monotonic clock. "?40" means: no answer came, and from 40 on the server was known
// to be dead. Such an operation took effect before 40 or never. Words hold no blanks; "-" is nil. Operations:
// get set setnx getset getdel del incrby append pop on one key; mset msetnx mget rename on several. rename
// answers "-" without a source. pop takes the front of a value, up to and with its first ";", and answers it:
// what is appended and popped so is a queue. "#" begins a comment.
//
// What is checked: linearizability of all operations on keys that batches connect (components of keys: two
// keys belong together when one mset, msetnx, mget or rename names both), so batches must be whole and reads
// of several keys one instant. Operations of one client take effect in the order of sending (pipelines too),
// and none after one that never did. After a crash nothing that was answered is gone, and what a reply showed
// stays.
//
// How: just-in-time linearization (Lowe's variant of Wing and Gong's search). All states and choices that
// explain what was answered so far are kept, and grow only when an answer needs it; no explanation left means
// a violation. Bounds: at most 64 operations of a component pending at once and kMaxExplanations
// explanations; beyond that a component counts as given up, not as right.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "varve/status.h"

namespace varve::prove {

enum class OperationKind : uint8_t {
  kGet,
  kSet,
  kSetnx,
  kGetset,
  kGetdel,
  kDel,
  kIncrby,
  kAppend,
  kPop,
  kMset,
  kMsetnx,
  kMget,
  kRename
};

struct Operation {
  std::string client;
  int64_t sent = 0;
  int64_t answered = 0;  // or, unanswered, when the server was known to be dead
  bool unanswered = false;
  OperationKind kind = OperationKind::kGet;
  std::vector<std::string> keys;
  std::vector<std::string> values;   // one a key for mset, else what is set, added or appended
  std::vector<std::string> replies;  // one a key for mget, else one; empty when unanswered

  bool is_read() const { return kind == OperationKind::kGet || kind == OperationKind::kMget; }
  // As in the history, without the arrow's right side when unanswered.
  std::string to_string() const;
};

struct History {
  std::vector<Operation> operations;  // in the order of sending, for each client
  std::vector<int64_t> crashes;
};

// Reads the text above. The error names the line.
Result<History> parse_history(std::string_view text);

struct Verdict {
  // Empty: an explanation exists. Else one line: the kind of contradiction and the fewest operations found
  // that contradict each other. Kinds: "stale read", "lost write" (over a crash), "lost update", "un-seen
  // write" (one reply showed it, a later one does not), "half batch", "a value nobody wrote".
  std::string violation;
  uint64_t components = 0;
  uint64_t given_up = 0;
  uint64_t explanations_max = 0;
};

inline constexpr size_t kMaxExplanations = 100000;

Verdict check_history(const History& history);

}  // namespace varve::prove
