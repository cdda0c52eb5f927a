#include "prove/history_search.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <unordered_map>
#include <unordered_set>

namespace varve::prove {
namespace {

constexpr uint32_t kNil = 0;

// Values as small numbers; equal values have equal numbers.
class Values {
 public:
  Values() { number_of("-"); }

  uint32_t number_of(const std::string& value) {
    auto [found, fresh] = numbers_.try_emplace(value, static_cast<uint32_t>(values_.size()));
    if (fresh) values_.push_back(value);
    return found->second;
  }
  const std::string& at(uint32_t number) const { return values_[number]; }

 private:
  std::unordered_map<std::string, uint32_t> numbers_;
  std::vector<std::string> values_;
};

struct Compiled {
  OperationKind kind;
  bool is_read;
  bool unanswered;
  std::vector<size_t> keys;
  std::vector<uint32_t> values;
  std::vector<uint32_t> replies;
  int64_t step = 0;              // of incrby
  std::optional<size_t> before;  // the same client's last operation
};

// One explanation of everything answered so far: the values of all keys, and which pending operations have
// taken effect (a bit a slot).
struct Explanation {
  std::vector<uint32_t> state;
  uint64_t done = 0;

  bool operator==(const Explanation& other) const = default;
};

struct HashExplanation {
  size_t operator()(const Explanation& e) const {
    uint64_t hash = e.done * 0x9e3779b97f4a7c15u;
    for (uint32_t value : e.state) hash = (std::rotl(hash, 23) ^ value) * 0xff51afd7ed558ccdu;
    return static_cast<size_t>(hash ^ (hash >> 32));
  }
};

using Explanations = std::unordered_set<Explanation, HashExplanation>;

class Search {
 public:
  explicit Search(const std::vector<Operation>& operations) {
    std::unordered_map<std::string, size_t> keys, last_of_client;
    ok_ = values_.number_of("ok");
    for (size_t i = 0; i < operations.size(); ++i) {
      compile(operations[i], &keys);
      if (auto last = last_of_client.find(operations[i].client); last != last_of_client.end())
        operations_[i].before = last->second;
      last_of_client[operations[i].client] = i;
      events_.push_back({operations[i].sent, 0, i});
      events_.push_back({operations[i].answered, 1, i});
    }
    slot_.resize(operations.size());
    // At one instant all sendings come first (they overlap with what is answered then), and of what a crash
    // cut off the later ones of a client go first, for they need the earlier ones.
    std::sort(events_.begin(), events_.end(), [&](const Event& a, const Event& b) {
      if (a.time != b.time) return a.time < b.time;
      if (a.answer != b.answer) return a.answer < b.answer;
      bool crash_a = operations_[a.operation].unanswered, crash_b = operations_[b.operation].unanswered;
      if (a.answer && crash_a != crash_b) return crash_b;
      return a.answer && crash_a ? a.operation > b.operation : a.operation < b.operation;
    });
    Explanation empty;
    empty.state.assign(keys.size(), kNil);
    explanations_.insert(std::move(empty));
  }

  SearchResult run() {
    SearchResult result;
    for (const Event& event : events_) {
      if (event.answer == 0) {
        if (!take_slot(event.operation)) return result.given_up = true, result;
        continue;
      }
      if (!answer(event.operation)) return result.given_up = true, result;
      result.explanations_max = std::max(result.explanations_max, explanations_.size());
      if (explanations_.empty()) return result.contradiction = event.operation, result;
    }
    return result;
  }

 private:
  struct Event {
    int64_t time;
    int answer;
    size_t operation;
  };

  void compile(const Operation& op, std::unordered_map<std::string, size_t>* keys) {
    Compiled c{op.kind, op.is_read(), op.unanswered, {}, {}, {}, 0, std::nullopt};
    for (const std::string& key : op.keys)
      c.keys.push_back(keys->try_emplace(key, keys->size()).first->second);
    for (const std::string& value : op.values) c.values.push_back(values_.number_of(value));
    for (const std::string& reply : op.replies) c.replies.push_back(values_.number_of(reply));
    if (op.kind == OperationKind::kIncrby)
      std::from_chars(op.values[0].data(), op.values[0].data() + op.values[0].size(), c.step);
    operations_.push_back(std::move(c));
  }

  bool take_slot(size_t operation) {
    if (~taken_ == 0) return false;
    auto slot = static_cast<size_t>(std::countr_one(taken_));
    taken_ |= uint64_t{1} << slot;
    slot_[operation] = slot;
    pending_.push_back(operation);
    return true;
  }

  uint64_t bit(size_t operation) const { return uint64_t{1} << slot_[operation]; }

  bool is_pending(size_t operation) const {
    return std::find(pending_.begin(), pending_.end(), operation) != pending_.end();
  }

  // The operation may take effect now: it has not, and what its client sent before has.
  bool may_run(const Explanation& e, size_t operation) const {
    if (e.done & bit(operation)) return false;
    std::optional<size_t> before = operations_[operation].before;
    return !before || !is_pending(*before) || (e.done & bit(*before)) != 0;
  }

  // Keeps the explanations in which `operation` has taken effect (all, when nobody was answered), adding
  // those that other pending operations' effects make possible. False when there are too many.
  bool answer(size_t operation) {
    Explanations kept;
    Explanations seen;
    std::vector<Explanation> open;
    bool optional = operations_[operation].unanswered;
    for (const Explanation& e : explanations_) {
      if (optional) kept.insert(without(e, operation));
      if (e.done & bit(operation))
        kept.insert(without(e, operation));
      else
        open.push_back(e);
    }
    while (!open.empty()) {
      Explanation e = std::move(open.back());
      open.pop_back();
      if (!seen.insert(e).second) continue;
      if (seen.size() + kept.size() > kMaxExplanations) return false;
      expand(e, operation, &open, &kept);
    }
    explanations_ = std::move(kept);
    pending_.erase(std::find(pending_.begin(), pending_.end(), operation));
    taken_ &= ~bit(operation);
    return true;
  }

  // One more operation takes effect in `e`. A read that fits goes at once: it changes nothing, so no other
  // order can do better.
  void expand(const Explanation& e, size_t operation, std::vector<Explanation>* open, Explanations* kept) {
    std::vector<Explanation> next;
    for (size_t other : pending_) {
      if (!may_run(e, other)) continue;
      Explanation after = e;
      if (!run(operations_[other], &after.state)) continue;
      after.done |= bit(other);
      if (operations_[other].is_read) next.clear();
      next.push_back(std::move(after));
      if (operations_[other].is_read) break;
    }
    for (Explanation& after : next) {
      if (after.done & bit(operation))
        kept->insert(without(after, operation));
      else
        open->push_back(std::move(after));
    }
  }

  Explanation without(Explanation e, size_t operation) const {
    e.done &= ~bit(operation);
    return e;
  }

  bool replied(const Compiled& op, uint32_t reply) const { return op.unanswered || op.replies[0] == reply; }
  uint32_t number(int64_t n) { return values_.number_of(std::to_string(n)); }

  // Applies the operation; false when its reply would have been another.
  bool run(const Compiled& op, std::vector<uint32_t>* state) {
    uint32_t& value = (*state)[op.keys[0]];
    uint32_t old = value;
    switch (op.kind) {
      case OperationKind::kGet:
        return replied(op, old);
      case OperationKind::kSet:
        return value = op.values[0], replied(op, ok_);
      case OperationKind::kSetnx:
        return value = old == kNil ? op.values[0] : old, replied(op, number(old == kNil));
      case OperationKind::kGetset:
        return value = op.values[0], replied(op, old);
      case OperationKind::kGetdel:
        return value = kNil, replied(op, old);
      case OperationKind::kDel:
        return value = kNil, replied(op, number(old != kNil));
      case OperationKind::kIncrby:
        return increment(op, &value);
      case OperationKind::kAppend: {
        std::string longer = (old == kNil ? "" : values_.at(old)) + values_.at(op.values[0]);
        value = values_.number_of(longer);
        return replied(op, number(static_cast<int64_t>(longer.size())));
      }
      case OperationKind::kPop: {
        std::string rest = values_.at(old);  // a copy: numbers are given out meanwhile
        if (old == kNil) return replied(op, kNil);
        std::string front = rest.substr(0, rest.find(';') + 1);
        rest.erase(0, front.size());
        value = rest.empty() ? kNil : values_.number_of(rest);
        return replied(op, values_.number_of(front));
      }
      default:
        return run_batch(op, state);
    }
  }

  bool increment(const Compiled& op, uint32_t* value) {
    int64_t n = 0;
    if (*value != kNil) {
      const std::string& text = values_.at(*value);
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
      if (error != std::errc() || end != text.data() + text.size()) return false;
    }
    *value = number(n + op.step);
    return replied(op, *value);
  }

  bool run_batch(const Compiled& op, std::vector<uint32_t>* state) {
    if (op.kind == OperationKind::kMget) {
      for (size_t i = 0; i < op.keys.size(); ++i) {
        if (!op.unanswered && op.replies[i] != (*state)[op.keys[i]]) return false;
      }
      return true;
    }
    if (op.kind == OperationKind::kRename) {
      uint32_t moved = (*state)[op.keys[0]];
      if (moved == kNil) return replied(op, kNil);
      (*state)[op.keys[0]] = kNil;
      (*state)[op.keys[1]] = moved;
      return replied(op, ok_);
    }
    bool any = std::any_of(op.keys.begin(), op.keys.end(), [&](size_t key) { return (*state)[key] != kNil; });
    bool only_new = op.kind == OperationKind::kMsetnx;
    if (!only_new || !any) {
      for (size_t i = 0; i < op.keys.size(); ++i) (*state)[op.keys[i]] = op.values[i];
    }
    return replied(op, only_new ? number(any ? 0 : 1) : ok_);
  }

  Values values_;
  uint32_t ok_ = 0;
  std::vector<Compiled> operations_;
  std::vector<Event> events_;
  std::vector<size_t> slot_;
  std::vector<size_t> pending_;
  uint64_t taken_ = 0;
  Explanations explanations_;
};

}  // namespace

SearchResult search(const std::vector<Operation>& operations) {
  return Search(operations).run();
}

}  // namespace varve::prove
