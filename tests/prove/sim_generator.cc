#include "prove/sim_generator.h"

namespace varve::prove {
namespace {

constexpr size_t kLarge = 20'000;  // bytes of a command

// Something for a key that is waited for.
const CommandRow& push(Random& random) {
  static constexpr const char* kPushes[] = {"LPUSH", "RPUSH", "LMOVE", "ZADD"};
  return *find_command(kPushes[random.below(4)]);
}

}  // namespace

Generator::Generator(uint64_t seed, World& world)
    : random_(seed ^ 0x67656e6572617465), world_(world), draw_(random_, world.options().draw) {
  for (int weight : world.options().weights) total_weight_ += static_cast<uint64_t>(weight);
  plan_life();
}

void Generator::plan_life() {
  left_ = random_.one_in(3) ? 1 + random_.below(200) : 200 + random_.below(2000);
  send_percent_ = 5 + random_.below(30);
  turn_percent_ = 5 + random_.below(25);
  job_percent_ = 2 + random_.below(25);
  whole_percent_ = random_.one_in(2) ? 100 : random_.below(100);
}

Action Generator::next() {
  // What takes several writes to the log may be torn between them.
  if (large_sent_ && random_.one_in(3)) {
    large_sent_ = false;
    return {.kind = Action::Kind::kCrashAt, .a = 1 + random_.below(12), .b = random_.next()};
  }
  large_sent_ = false;
  if (sending_ > 0) {
    --sending_;
    return send(sender_);
  }
  const WorldOptions& options = world_.options();
  if (left_-- > 0) return any();
  plan_life();
  if (options.has("shutdown") && random_.one_in(8))
    return {.kind = Action::Kind::kShutdown, .b = random_.next()};
  bool kill = options.has("kill") && (!options.has("power-cut") || random_.one_in(2));
  uint64_t how = !kill ? 1 : options.has("power-cut") && random_.one_in(3) ? 2 : 0;
  return {.kind = Action::Kind::kKill, .a = how, .b = random_.next()};
}

Action Generator::any() {
  const WorldOptions& options = world_.options();
  uint32_t client = static_cast<uint32_t>(random_.below(options.clients));
  uint64_t rare = random_.below(2000);
  if (rare < 2 && options.has("errors")) {
    return {
        .kind = Action::Kind::kFault, .a = random_.below(World::fault_kinds()), .b = 1 + random_.below(10)};
  }
  if (rare == 2 && options.has("short-space"))
    return {.kind = Action::Kind::kSpace, .a = random_.below(200'000)};
  if (rare == 3) {
    return {.kind = Action::Kind::kCrashAt, .a = 1 + random_.below(300), .b = random_.next()};
  }
  if (rare < 6 && (world_.disturbed() || random_.one_in(4))) {
    return {.kind = Action::Kind::kRest, .a = random_.one_in(8) ? 1u : 0u};
  }
  if (rare < 14) return {.kind = Action::Kind::kDisconnect, .client = client, .a = random_.below(3)};
  // Nobody writes after a failed sync; the rest of such a life is soon seen.
  if (rare < 40 && world_.fenced()) left_ = 0;

  // Nobody waits until the end of the life, or little else would happen.
  if (world_.waits(client) && random_.one_in(30))
    return {.kind = Action::Kind::kDisconnect, .client = client, .a = random_.below(3)};
  if (!world_.connected(client)) return {.kind = Action::Kind::kConnect, .client = client};
  uint64_t at = random_.below(100);
  if (at < send_percent_ && world_.unanswered(client) < 200) {
    sender_ = client;
    sending_ = random_.below(options.pipeline);
    return send(client);
  }
  at = random_.below(100);
  if (at < turn_percent_) return {.kind = Action::Kind::kTurn};
  if (at < turn_percent_ + job_percent_) {
    if (random_.one_in(2)) return {.kind = Action::Kind::kComplete, .a = 1 + random_.below(4)};
    return {.kind = Action::Kind::kStep, .a = 1 + random_.below(4)};
  }
  if (random_.one_in(8)) {
    uint64_t us = random_.one_in(10) ? random_.below(200'000) : random_.below(3000);
    return {.kind = Action::Kind::kAdvance, .a = us};
  }
  if (random_.one_in(2)) return {.kind = Action::Kind::kDeliver, .client = client, .a = bytes()};
  return {.kind = Action::Kind::kTake, .client = client, .a = bytes()};
}

uint64_t Generator::bytes() {
  if (random_.below(100) < whole_percent_) return 1 << 30;
  return random_.one_in(2) ? 1 + random_.below(8) : 1 + random_.below(2000);
}

const CommandRow& Generator::row() {
  if (!draw_.awaited.empty() && random_.one_in(5)) return push(random_);
  const auto& weights = world_.options().weights;
  uint64_t at = random_.below(total_weight_);
  size_t i = 0;
  for (; at >= static_cast<uint64_t>(weights[i]); ++i) at -= static_cast<uint64_t>(weights[i]);
  return all_commands()[i];
}

// As World::send_transaction() takes it. Where several keys are waited for, some feed more than one of them.
Arguments Generator::transaction() {
  Arguments args = {"EXEC"};
  bool feeds = draw_.awaited.size() > 1 && random_.one_in(2);
  for (uint64_t n = draw_.some() + feeds; n > 0; --n) {
    const CommandRow& queued = feeds ? push(random_) : row();
    if (!may_be_queued(queued)) continue;
    Arguments words = queued.draw(draw_);
    args.push_back(std::to_string(words.size()));
    args.insert(args.end(), words.begin(), words.end());
  }
  return args;
}

Action Generator::send(uint32_t client) {
  draw_.now_ms = world_.now_ms();
  world_.awaited(&draw_.awaited);
  const CommandRow& drawn = row();
  Arguments args = drawn.name == std::string_view("EXEC") ? transaction() : drawn.draw(draw_);
  bool as_line = world_.options().has("inline") && random_.one_in(8);
  size_t bytes = 0;
  for (const std::string& arg : args) bytes += arg.size();
  large_sent_ = bytes > kLarge;
  return {.kind = Action::Kind::kSend, .client = client, .a = as_line ? 1u : 0u, .args = std::move(args)};
}

}  // namespace varve::prove
