// Goal: the checker of histories accepts what can have been and rejects, with the reason, what cannot.
// Method: histories by hand (tests/script/history.txt); random true ones; small spoilt ones beside a search
// through all orders; spoilt big ones that are wrong for certain.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/random.h"
#include "prove/history.h"
#include "support/script.h"

namespace varve::test {
namespace {

using prove::check_history;
using prove::History;
using prove::Operation;
using prove::OperationKind;

using Store = std::map<std::string, std::string>;

std::string value_in(const Store& store, const std::string& key) {
  auto found = store.find(key);
  return found == store.end() ? "-" : found->second;
}

// Runs an operation; its replies.
std::vector<std::string> answer(const Operation& op, Store* store) {
  const std::string& key = op.keys[0];
  std::string old = value_in(*store, key);
  switch (op.kind) {
    case OperationKind::kGet:
      return {old};
    case OperationKind::kSet:
      return (*store)[key] = op.values[0], std::vector<std::string>{"ok"};
    case OperationKind::kGetset:
      return (*store)[key] = op.values[0], std::vector{old};
    case OperationKind::kSetnx:
      return {store->emplace(key, op.values[0]).second ? "1" : "0"};
    case OperationKind::kDel:
      return {store->erase(key) ? "1" : "0"};
    case OperationKind::kGetdel:
      return store->erase(key), std::vector{old};
    case OperationKind::kAppend:
      return {std::to_string(((*store)[key] += op.values[0]).size())};
    case OperationKind::kPop: {
      if (old == "-") return {old};
      std::string front = old.substr(0, old.find(';') + 1);
      if (front == old)
        store->erase(key);
      else
        (*store)[key] = old.substr(front.size());
      return {front};
    }
    case OperationKind::kMset:
      for (size_t i = 0; i < op.keys.size(); ++i) (*store)[op.keys[i]] = op.values[i];
      return {"ok"};
    case OperationKind::kMget: {
      std::vector<std::string> replies;
      for (const std::string& each : op.keys) replies.push_back(value_in(*store, each));
      return replies;
    }
    default:
      return {};
  }
}

// Clients that take turns in being answered: each operation runs at an instant of its own between its ends.
class Generator {
 public:
  Generator(uint64_t seed, size_t clients, size_t keys) : random_(seed), clients_(clients), keys_(keys) {}

  History draw(size_t operations, uint64_t crash_odds) {
    while (history_.operations.size() < operations) {
      ++now_;
      Client& client = clients_[random_.below(clients_.size())];
      if (crash_odds != 0 && random_.one_in(crash_odds))
        crash();
      else if (!client.busy)
        send(&client);
      else if (!client.ran)
        run(&client);
      else
        client.busy = false, history_.operations[client.operation].answered = now_;
    }
    crash();
    return history_;
  }

 private:
  struct Client {
    bool busy = false, ran = false;
    size_t operation = 0;
  };

  std::string key() { return std::string(1, static_cast<char>('x' + random_.below(keys_))); }

  void send(Client* client) {
    static constexpr OperationKind kDrawn[] = {
        OperationKind::kGet,  OperationKind::kGet,   OperationKind::kSet,    OperationKind::kGetset,
        OperationKind::kDel,  OperationKind::kSetnx, OperationKind::kGetdel, OperationKind::kMset,
        OperationKind::kMget, OperationKind::kAppend};
    Operation op;
    op.client = fmt::format("c{}", client - clients_.data());
    op.sent = now_;
    op.kind = kDrawn[random_.below(std::size(kDrawn))];
    op.keys = {key()};
    if (op.kind == OperationKind::kMset || op.kind == OperationKind::kMget) {
      if (std::string other = key(); other != op.keys[0]) op.keys.push_back(other);
    }
    bool takes_value = !op.is_read() && op.kind != OperationKind::kDel && op.kind != OperationKind::kGetdel;
    if (takes_value) op.values.assign(op.keys.size(), fmt::format("{}.", ++tag_));
    *client = {true, false, history_.operations.size()};
    history_.operations.push_back(std::move(op));
  }

  void run(Client* client) {
    Operation& op = history_.operations[client->operation];
    op.replies = answer(op, &store_);
    client->ran = true;
  }

  void crash() {
    history_.crashes.push_back(++now_);
    for (Client& client : clients_) {
      if (!client.busy) continue;
      Operation& op = history_.operations[client.operation];
      op.answered = now_;
      op.unanswered = true;
      op.replies.clear();
      client = Client();
    }
  }

  Random random_;
  std::vector<Client> clients_;
  size_t keys_;
  int64_t now_ = 0;
  int tag_ = 0;
  Store store_;
  History history_;
};

// Every order of all operations, tried to the end.
bool some_order_explains(const std::vector<Operation>& left, const Store& store) {
  if (left.empty()) return true;
  int64_t first_answer = INT64_MAX;
  for (const Operation& op : left) first_answer = std::min(first_answer, op.answered);
  for (size_t i = 0; i < left.size(); ++i) {
    if (left[i].sent > first_answer) continue;  // something was answered before this one was sent
    bool sent_first = std::none_of(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(i),
                                   [&](const Operation& op) { return op.client == left[i].client; });
    if (!sent_first) continue;
    std::vector<Operation> rest = left;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
    Store after = store;
    std::vector<std::string> replies = answer(left[i], &after);
    if ((left[i].unanswered || replies == left[i].replies) && some_order_explains(rest, after)) return true;
    if (left[i].unanswered && some_order_explains(rest, store)) return true;
  }
  return false;
}

std::string print(const History& history) {
  std::string text;
  for (const Operation& op : history.operations) text += op.to_string() + "\n";
  for (int64_t crash : history.crashes) text += fmt::format("crash {}\n", crash);
  return text;
}

TEST_CASE("history: by hand") {
  run_script("script/history.txt", [](const Step& step) -> std::string {
    if (step.name != "check") return "unknown step\n";
    Result<History> history = prove::parse_history(step.input);
    if (!history) return history.status().message() + "\n";
    prove::Verdict verdict = check_history(*history);
    if (!verdict.violation.empty()) return verdict.violation + "\n";
    return fmt::format("ok, {} components\n", verdict.components);
  });
}

TEST_CASE("history: what has happened is accepted") {
  uint64_t first = test_seed(1);
  for (uint64_t seed = first; seed < first + 60; ++seed) {
    CAPTURE(seed);
    History history = Generator(seed, 2 + seed % 6, 1 + seed % 4).draw(300, seed % 3 == 0 ? 0 : 60);
    prove::Verdict verdict = check_history(history);
    CHECK(verdict.violation == "");
    CHECK(verdict.given_up == 0);
    // The text says the same.
    Result<History> again = prove::parse_history(print(history));
    REQUIRE(again.ok());
    CHECK(check_history(*again).violation == "");
  }
}

TEST_CASE("history: small ones, spoilt, beside every order") {
  uint64_t first = test_seed(1);
  int rejected = 0;
  for (uint64_t seed = first; seed < first + 3000; ++seed) {
    Random random(seed);
    History history = Generator(seed, 3, 2).draw(6, 15);
    Operation& op = history.operations[random.below(history.operations.size())];
    const Operation& other = history.operations[random.below(history.operations.size())];
    if (!op.replies.empty() && !other.replies.empty())
      op.replies[0] = random.one_in(4) ? "-" : other.replies[0];
    if (!op.replies.empty() && !other.values.empty() && random.one_in(2)) op.replies[0] = other.values[0];
    bool possible = some_order_explains(history.operations, {});
    INFO("seed " << seed << "\n" << print(history));
    CHECK((check_history(history).violation == "") == possible);
    rejected += !possible;
  }
  CHECK(rejected > 300);
}

TEST_CASE("history: a value that was overwritten for certain is rejected") {
  uint64_t first = test_seed(1);
  int spoilt = 0;
  for (uint64_t seed = first; seed < first + 40; ++seed) {
    CAPTURE(seed);
    History history = Generator(seed, 4, 1).draw(200, 80);
    const Operation* oldest = nullptr;  // its value is gone once `newer` was answered
    const Operation* newer = nullptr;
    for (Operation& op : history.operations) {
      bool sets = op.kind == OperationKind::kSet && !op.unanswered;
      if (sets && oldest && !newer && oldest->answered < op.sent) newer = &op;
      if (sets && !oldest) oldest = &op;
      if (op.kind != OperationKind::kGet || op.unanswered || !newer || newer->answered >= op.sent) continue;
      op.replies[0] = oldest->values[0];
      ++spoilt;
      CHECK(check_history(history).violation != "");
      break;
    }
  }
  CHECK(spoilt > 20);
}

}  // namespace
}  // namespace varve::test
