#include "prove/past.h"

namespace varve::prove {

void History::note(Sequence last, const Contents& now) {
  Commit commit;
  commit.last = last;
  for (const auto& [key, value] : now) {
    auto found = contents_.find(key);
    if (found == contents_.end() || found->second != value) commit.changes.push_back({key, value});
  }
  for (const auto& [key, value] : contents_) {
    if (!now.contains(key)) commit.changes.push_back({key, {}});
  }
  commits_.push_back(std::move(commit));
  contents_ = now;
}

void History::apply(const Commit& commit, Contents* contents) {
  for (const Change& change : commit.changes) {
    if (change.value)
      (*contents)[change.key] = *change.value;
    else
      contents->erase(change.key);
  }
}

Contents History::at(Sequence last) const {
  Contents out;
  for (const Commit& commit : commits_) {
    if (commit.last > last) break;
    apply(commit, &out);
  }
  return out;
}

std::vector<Sequence> History::ends() const {
  std::vector<Sequence> out;
  for (const Commit& commit : commits_) out.push_back(commit.last);
  return out;
}

void History::cut(Sequence last) {
  while (!commits_.empty() && commits_.back().last > last) commits_.pop_back();
  contents_ = at(last);
}

}  // namespace varve::prove
