#include "prove/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "prove/history_search.h"

namespace varve::prove {
namespace {

struct KindInfo {
  const char* name;
  OperationKind kind;
  int words;  // arguments; -1: any number from 1, -2: any even number from 2
};

constexpr KindInfo kKinds[] = {
    {"get", OperationKind::kGet, 1},        {"set", OperationKind::kSet, 2},
    {"setnx", OperationKind::kSetnx, 2},    {"getset", OperationKind::kGetset, 2},
    {"getdel", OperationKind::kGetdel, 1},  {"del", OperationKind::kDel, 1},
    {"incrby", OperationKind::kIncrby, 2},  {"append", OperationKind::kAppend, 2},
    {"pop", OperationKind::kPop, 1},        {"mset", OperationKind::kMset, -2},
    {"msetnx", OperationKind::kMsetnx, -2}, {"mget", OperationKind::kMget, -1},
    {"rename", OperationKind::kRename, 2},
};

const KindInfo& info_of(OperationKind kind) {
  return *std::find_if(std::begin(kKinds), std::end(kKinds), [&](auto& k) { return k.kind == kind; });
}

bool is_batch_of_values(OperationKind kind) {
  return kind == OperationKind::kMset || kind == OperationKind::kMsetnx;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    size_t end = std::min(line.find(' '), line.size());
    if (end > 0) words.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return words;
}

bool parse_time(std::string_view word, int64_t* time) {
  auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), *time);
  return error == std::errc() && end == word.data() + word.size();
}

// Distributes the words between the operation's name and the arrow.
bool parse_arguments(Operation* op, const std::vector<std::string_view>& words) {
  int want = info_of(op->kind).words, have = static_cast<int>(words.size());
  if (want >= 0 ? have != want : have == 0 || (want == -2 && have % 2 != 0)) return false;
  bool keys_only = op->kind == OperationKind::kMget || op->kind == OperationKind::kRename;
  for (size_t i = 0; i < words.size(); ++i) {
    bool is_key = keys_only || (is_batch_of_values(op->kind) ? i % 2 == 0 : i == 0);
    (is_key ? op->keys : op->values).emplace_back(words[i]);
  }
  int64_t number;
  return op->kind != OperationKind::kIncrby || parse_time(op->values[0], &number);
}

bool parse_operation(const std::vector<std::string_view>& words, Operation* op) {
  auto arrow = std::find(words.begin(), words.end(), "->");
  if (arrow == words.end() || arrow - words.begin() < 4 || words.end() - arrow < 2) return false;
  op->client = words[0];
  op->unanswered = words[2].starts_with('?');
  if (!parse_time(words[1], &op->sent) || !parse_time(words[2].substr(op->unanswered), &op->answered))
    return false;
  auto kind = std::find_if(std::begin(kKinds), std::end(kKinds), [&](auto& k) { return words[3] == k.name; });
  if (kind == std::end(kKinds) || op->answered < op->sent) return false;
  op->kind = kind->kind;
  if (!parse_arguments(op, {words.begin() + 4, arrow})) return false;
  if (op->unanswered) return words.end() - arrow == 2 && arrow[1] == "?";
  op->replies.assign(arrow + 1, words.end());
  return op->replies.size() == (op->kind == OperationKind::kMget ? op->keys.size() : 1);
}

// ------------------------------------------------------------------------------------------- telling what is
// wrong

using Operations = std::vector<Operation>;

constexpr size_t kMaxTold = 12;  // operations in one line of complaint

// The part of a history that one key sees; nothing when a rename takes the key along.
std::optional<Operations> project(const Operations& operations, const std::string& key) {
  Operations out;
  for (const Operation& op : operations) {
    auto at = std::find(op.keys.begin(), op.keys.end(), key);
    if (at == op.keys.end()) continue;
    if (op.kind == OperationKind::kRename || op.kind == OperationKind::kMsetnx) return std::nullopt;
    auto index = static_cast<size_t>(at - op.keys.begin());
    Operation one = op;
    one.keys = {key};
    if (op.kind == OperationKind::kMset) one.kind = OperationKind::kSet, one.values = {op.values[index]};
    if (op.kind == OperationKind::kMget) {
      one.kind = OperationKind::kGet;
      if (!op.unanswered) one.replies = {op.replies[index]};
    }
    out.push_back(std::move(one));
  }
  return out;
}

std::set<std::string> keys_of(const Operations& operations) {
  std::set<std::string> keys;
  for (const Operation& op : operations) keys.insert(op.keys.begin(), op.keys.end());
  return keys;
}

bool rejected(const Operations& operations) {
  return search(operations).contradiction.has_value();
}

bool could_be_written(const Operations& operations, const std::string& value) {
  if (value == "-") return true;
  return std::any_of(operations.begin(), operations.end(), [&](const Operation& op) {
    if (op.kind == OperationKind::kIncrby) return true;
    return std::any_of(op.values.begin(), op.values.end(), [&](const std::string& written) {
      return op.kind == OperationKind::kAppend ? value.ends_with(written) : value == written;
    });
  });
}

// Why the operations of one key (or of several, when batches connect them) contradict each other.
std::string kind_of_contradiction(const Operations& operations, const std::vector<int64_t>& crashes) {
  SearchResult result = search(operations);
  if (!result.contradiction) return "";
  const Operation& last = operations[*result.contradiction];
  bool on_one_key = keys_of(operations).size() == 1;
  if (!on_one_key) return "half batch";
  if (last.kind == OperationKind::kGet && !could_be_written(operations, last.replies[0]))
    return "a value nobody wrote";
  if (last.kind != OperationKind::kGet) return "lost update";
  Operations without_other_reads;
  int64_t acknowledged = INT64_MIN;
  for (const Operation& op : operations) {
    if (!op.is_read() || &op == &last) without_other_reads.push_back(op);
    if (!op.is_read() && !op.unanswered && op.answered < last.sent)
      acknowledged = std::max(acknowledged, op.answered);
  }
  if (!rejected(without_other_reads)) return "un-seen write";
  bool crashed = std::any_of(crashes.begin(), crashes.end(),
                             [&](int64_t crash) { return acknowledged <= crash && crash <= last.sent; });
  return crashed ? "lost write" : "stale read";
}

// Nothing that stays tells of this operation, so leaving it out makes no new contradiction: a read always, a
// write when no other answer depends on it.
bool is_untold(const Operations& operations, const Operation& op) {
  if (op.is_read()) return true;
  if (op.kind == OperationKind::kRename) return false;
  return std::none_of(operations.begin(), operations.end(), [&](const Operation& other) {
    if (&other == &op || other.unanswered) return false;
    bool tells_more =
        !other.is_read() && other.kind != OperationKind::kSet && other.kind != OperationKind::kMset;
    bool meets = std::any_of(op.keys.begin(), op.keys.end(), [&](const std::string& key) {
      return std::find(other.keys.begin(), other.keys.end(), key) != other.keys.end();
    });
    bool shows = std::any_of(op.values.begin(), op.values.end(), [&](const std::string& value) {
      return std::any_of(other.replies.begin(), other.replies.end(),
                         [&](const std::string& reply) { return reply.find(value) != std::string::npos; });
    });
    return meets && (tells_more || shows);
  });
}

// Leaves out what is not needed for the same kind of contradiction.
Operations shortest(Operations operations, const std::string& kind, const std::vector<int64_t>& crashes) {
  for (size_t i = operations.size(); i-- > 0;) {
    if (!is_untold(operations, operations[i])) continue;
    Operations fewer = operations;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    if (kind_of_contradiction(fewer, crashes) == kind) operations = std::move(fewer);
  }
  return operations;
}

std::string describe(const Operations& all, size_t contradiction, const std::vector<int64_t>& crashes) {
  // What came after the contradiction was noticed does not matter.
  Operations component;
  for (const Operation& op : all) {
    if (op.sent <= all[contradiction].answered) component.push_back(op);
  }
  std::string kind;
  for (const std::string& key : keys_of(component)) {
    std::optional<Operations> one = project(component, key);
    if (!one || !rejected(*one)) continue;
    component = std::move(*one);
    break;
  }
  kind = kind_of_contradiction(component, crashes);
  if (kind.empty()) return "contradiction near " + all[contradiction].to_string();
  std::string text = kind + ":";
  Operations few = shortest(std::move(component), kind, crashes);
  size_t first = few.size() > kMaxTold ? few.size() - kMaxTold : 0;
  if (first != 0) text += fmt::format(" ... {} more;", first);
  for (size_t i = first; i < few.size(); ++i) {
    text += fmt::format("{} {}", i == first ? "" : ";", few[i].to_string());
  }
  return text;
}

// Operations by component: keys that one operation names belong together.
std::vector<Operations> components_of(const Operations& operations) {
  std::unordered_map<std::string, std::string> parent;
  auto root = [&](std::string key) {
    while (parent.try_emplace(key, key).first->second != key) key = parent[key];
    return key;
  };
  for (const Operation& op : operations) {
    for (const std::string& key : op.keys) {
      std::string to = root(op.keys[0]);
      parent[root(key)] = to;
    }
  }
  std::map<std::string, Operations> by_root;
  for (const Operation& op : operations) by_root[root(op.keys[0])].push_back(op);
  std::vector<Operations> out;
  for (auto& [key, some] : by_root) out.push_back(std::move(some));
  return out;
}

}  // namespace

std::string Operation::to_string() const {
  std::string text =
      fmt::format("{} {} {}{} {}", client, sent, unanswered ? "?" : "", answered, info_of(kind).name);
  for (size_t i = 0; i < keys.size(); ++i) {
    text += " " + keys[i];
    if (is_batch_of_values(kind)) text += " " + values[i];
  }
  if (!is_batch_of_values(kind) && !values.empty()) text += " " + values[0];
  text += " ->";
  for (const std::string& reply : replies) text += " " + reply;
  return unanswered ? text + " ?" : text;
}

Result<History> parse_history(std::string_view text) {
  History history;
  for (int number = 1; !text.empty(); ++number) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    std::vector<std::string_view> words = words_of(line);
    if (words.empty() || words[0][0] == '#') continue;
    int64_t crash = 0;
    if (words[0] == "crash" && words.size() == 2 && parse_time(words[1], &crash)) {
      history.crashes.push_back(crash);
      continue;
    }
    Operation op;
    if (!parse_operation(words, &op)) return Status::invalid_argument("line {}: {}", number, line);
    // Nobody was shown what an unanswered read found.
    if (!op.unanswered || !op.is_read()) history.operations.push_back(std::move(op));
  }
  return history;
}

Verdict check_history(const History& history) {
  Verdict verdict;
  for (const Operations& component : components_of(history.operations)) {
    SearchResult result = search(component);
    ++verdict.components;
    verdict.given_up += result.given_up;
    verdict.explanations_max = std::max<uint64_t>(verdict.explanations_max, result.explanations_max);
    if (result.contradiction && verdict.violation.empty())
      verdict.violation = describe(component, *result.contradiction, history.crashes);
  }
  return verdict;
}

}  // namespace varve::prove
