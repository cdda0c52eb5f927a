// What a command that ran must have answered and changed.
#include <fmt/format.h>

#include "base/checksum.h"
#include "prove/sim_core.h"
#include "prove/sim_resp.h"

namespace varve::prove {
namespace {

std::string words(const std::vector<std::string>& args) {
  std::string text;
  for (const std::string& arg : args) text += (text.empty() ? "" : " ") + printable(arg, 60);
  return text;
}

}  // namespace

void World::fold(std::string_view bytes) {
  hash_ = checksum(bytes, hash_);
}

// Refusals a command may get instead of being run, and when that is right.
bool World::is_refusal(std::string_view reply) const {
  constexpr std::string_view kDiscarded = "-EXECABORT Transaction discarded because of: ";
  if (reply.starts_with(kDiscarded)) {
    std::string reason(reply.substr(kDiscarded.size()));
    return is_refusal("-" + reason) || is_refusal("-ERR " + reason);
  }
  if (reply.starts_with("-MISCONF ") || reply.starts_with("-ERR the data could not be read")) {
    return disturbed_ || core_->clients().fenced();
  }
  if (reply.starts_with("-LOADING ")) return core_->stage() == Core::Stage::kLoading;
  // A batch that the tiny log of this life could never hold.
  if (reply.starts_with("-ERR a write of ")) return true;
  return reply.starts_with("-ERR the server is shutting down") && core_->stage() > Core::Stage::kServing;
}

bool World::is_refusal(const Client& client, std::string_view reply) const {
  if (client.session.multi_failed && reply.starts_with("-EXECABORT ")) return true;
  return is_refusal(reply);
}

void World::executed(const Ran& ran) {
  if (!ok()) return;
  const RunResult result = ran.result;
  const std::string& reply = ran.reply;
  const bool wrote = ran.before != *ran.after;
  Client* client = client_of(ran.client);
  if (client == nullptr || client->sent.empty()) return complain("a command ran that nobody had sent");
  const std::vector<std::string>& args = client->sent.front();
  client->idle = result == RunResult::kBlocked;
  if (ran.waits && !ran.had_waited) {
    client->waits_since_us = clock_.monotonic_us();
    count("waits");
  }
  if (result == RunResult::kFault || result == RunResult::kWait || result == RunResult::kBlocked) {
    if (!reply.empty() || wrote) complain(fmt::format("{} did not finish but left something", words(args)));
    return;
  }
  if (args != ran.args)
    return complain(fmt::format("it was {}'s turn, {} ran", words(args), words(ran.args)));
  const CommandRow* row = find_command(args[0]);
  if (row == nullptr) return complain("not in the table: " + args[0]);
  if (client == &checker_)
    count("compared");
  else
    ++ran_[static_cast<size_t>(row - all_commands().data())];
  fold(args[0]);
  fold(reply);
  if (result == RunResult::kDone && is_refusal(*client, reply)) {
    count("refused");
    if (args[0] == "EXEC")
      client->session.end_multi();
    else if (client->session.multi)
      client->session.multi_failed = true;
    if (wrote) return complain(fmt::format("{} was refused but wrote", words(args)));
    client->expected.push_back({.bytes = reply});
    client->waits_since_us = -1;
    client->sent.pop_front();
    return;
  }
  client->sent.pop_front();
  judge(client, *row, ran);
}

// The time of a command that waits for keys is over. Something may have come at the last moment: it stays.
bool World::timed_out(const Client& client, const Ran& ran) {
  if (!ran.had_waited || ran.before != *ran.after) return false;
  if (ran.reply != (client.session.protocol == 3 ? "_\r\n" : "*-1\r\n")) return false;
  int64_t wait_ms = timeout_ms(ran.args);
  return wait_ms > 0 && clock_.monotonic_us() - client.waits_since_us >= wait_ms * 1000;
}

// Its command waits for keys, and there is nothing at any of them; what was replied before it was taken.
bool World::waits_rightly(Client* client) {
  if (client->waits_since_us < 0 || !client->idle || client->sent.empty() || !client->expected.empty())
    return false;
  const std::vector<std::string>& args = client->sent.front();
  ModelRun run(model_, client->session, args, now_ms());
  run.waited = true;
  find_command(args[0])->run(run);
  model_.abandon();
  return run.waits;
}

// Lets the model run the command; what is wrong with the real reply.
std::string World::judge_reply(const CommandRow& row, ModelRun* run, std::string_view reply,
                               RunResult result) {
  if (run->args[0] == "DBSIZE") run->count_slack = core_->engine()->stats().blind_records;
  run->expired_gone = expired_gone_;
  run->real = reply;
  row.run(*run);
  if (run->check) return result == RunResult::kDone ? run->check(reply) : "";
  bool right = result == RunResult::kDone
                   ? reply == run->reply
                   : result != RunResult::kStream || std::string_view(run->reply).starts_with(reply);
  return right ? "" : fmt::format("{} expected", printable(run->reply));
}

// What its commands answer one after another, each as if it ran by itself at the same time.
std::string World::judge_exec(ModelRun* run, std::string_view reply) {
  const auto& queue = run->session.queue;
  std::string header = fmt::format("*{}\r\n", queue.size());
  if (!reply.starts_with(header)) return header.substr(0, header.size() - 2) + " expected";
  std::string_view rest = reply.substr(header.size());
  for (const std::vector<std::string>& args : queue) {
    ModelRun one(model_, run->session, args, run->now_ms);
    std::string_view real = rest.substr(0, reply_length(rest));
    std::string wrong = judge_reply(*find_command(args[0]), &one, real, RunResult::kDone);
    if (!wrong.empty()) return fmt::format("{} inside: {}: {}", words(args), printable(real), wrong);
    run->depends = std::max(run->depends, one.depends);
    rest.remove_prefix(real.size());
  }
  return rest.empty() ? "" : "too long";
}

void World::judge(Client* client, const CommandRow& row, const Ran& ran) {
  const std::vector<std::string>& args = ran.args;
  const std::string& reply = ran.reply;
  const RunResult result = ran.result;
  ModelRun run(model_, client->session, args, ran.now_ms);
  run.waited = ran.had_waited;
  Session& session = client->session;
  std::string wrong;
  if (args[0] == "EXEC" && !session.multi) {
    if (reply != "-ERR EXEC without MULTI\r\n") wrong = "MULTI was refused";
  } else if (args[0] == "EXEC") {
    wrong = judge_exec(&run, reply);
    session.end_multi();
  } else if (session.multi) {
    session.queue.push_back(args);
    run.simple("QUEUED");
    if (reply != run.reply) wrong = "QUEUED expected";
  } else if (timed_out(*client, ran)) {
    count("timed out");
  } else {
    wrong = judge_reply(row, &run, reply, result);
    if (run.waits) wrong = "it does not wait, or not long enough";
    if (ran.had_waited) count("served");
  }
  client->waits_since_us = -1;
  if (!wrong.empty())
    return complain(fmt::format("{} answered {}: {}", words(args), printable(reply), wrong));
  bool wrote = ran.before != *ran.after;
  if (model_.changed() && !wrote) return complain(fmt::format("{} changed nothing", words(args)));
  if (wrote) {
    model_.commit(*ran.after);
    run.depends = model_.next_batch() - 1;
  }
  Expected expected;
  expected.any = result == RunResult::kSuspended || (result == RunResult::kStream && run.check);
  if (result == RunResult::kStream && run.check_stays) expected.check = std::move(run.check);
  if (result == RunResult::kDone) expected.bytes = reply;
  if (result == RunResult::kStream && !run.check) expected.bytes = std::move(run.reply);
  expected.depends = run.depends;
  expected.stream = result == RunResult::kStream;
  expected.wrote = wrote;
  expected.gated = options_.engine.sync == SyncMode::kAlways;
  expected.promises = args[0] == "WAITAOF" && (expected.any || reply == "*2\r\n:1\r\n:0\r\n");
  expected.scan = args[0] == "SCAN";
  client->expected.push_back(std::move(expected));
}

}  // namespace varve::prove
