// past.h: what was written, kept outside of the files: every commit's last sequence and what it changed,
// so that what a recovery brings back can be told to be a prefix of it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lsm/key_format.h"

namespace varve::prove {

// What a user sees: key to value. Of a keyspace: "0/key" to "expiry value" (store.h).
using Contents = std::map<std::string, std::string>;

class History {
 public:
  // A commit up to `last` made the contents be `now`.
  void note(Sequence last, const Contents& now);
  const Contents& contents() const { return contents_; }
  // After all commits whose last sequence is at most `last`.
  Contents at(Sequence last) const;
  // The last sequence of every commit, rising.
  std::vector<Sequence> ends() const;
  // Commits behind `last` never happened.
  void cut(Sequence last);

 private:
  struct Change {
    std::string key;
    std::optional<std::string> value;  // empty: deleted
  };
  struct Commit {
    Sequence last = 0;
    std::vector<Change> changes;
  };
  static void apply(const Commit& commit, Contents* contents);

  std::vector<Commit> commits_;
  Contents contents_;
};

}  // namespace varve::prove
