// Sets: drawing and meaning.
#include <fmt/format.h>

#include <algorithm>

#include "prove/sim_commands.h"
#include "prove/sim_members.h"
#include "prove/sim_resp.h"

namespace varve::prove {
namespace {

constexpr Slot::Type kSet = Slot::Type::kSet;
using MemberMap = std::map<std::string, std::string>;  // the values are empty

const MemberMap& members_of(const Slot* slot) {
  static const MemberMap none;
  return slot ? slot->members : none;
}

Slot set_of(MemberMap members, int64_t expire_ms) {
  return {.type = kSet, .expire_ms = expire_ms, .value = {}, .members = std::move(members)};
}

// --- one set ---

Arguments draw_members(Draw& draw, const char* name) {
  Arguments args = {name, draw.set_key()};
  uint64_t n = draw.random.one_in(10) ? 40 : draw.some();
  for (; n > 0; --n) args.push_back(draw.member(args[1]));
  return args;
}

void run_sadd(ModelRun& run) {
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kSet, &wrong);
  if (wrong) return;
  MemberMap members = members_of(slot);
  size_t before = members.size();
  for (size_t i = 2; i < run.args.size(); ++i) members.emplace(run.args[i], "");
  run.integer(static_cast<int64_t>(members.size() - before));
  if (members.size() > before) run.place(run.args[1], set_of(std::move(members), slot ? slot->expire_ms : 0));
}

void run_srem(ModelRun& run) {
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kSet, &wrong);
  if (wrong) return;
  MemberMap members = members_of(slot);
  size_t before = members.size();
  for (size_t i = 2; i < run.args.size(); ++i) members.erase(run.args[i]);
  run.integer(static_cast<int64_t>(before - members.size()));
  if (members.size() < before) run.place(run.args[1], set_of(std::move(members), slot->expire_ms));
}

void run_smove(ModelRun& run) {
  bool wrong = false;
  if (!run.find(run.args[1])) {
    run.find(run.args[2]);
    return run.integer(0);
  }
  const Slot* source = run.find(run.args[1], kSet, &wrong);
  if (wrong) return;
  const Slot* target = run.find(run.args[2], kSet, &wrong);
  if (wrong) return;
  const std::string& member = run.args[3];
  if (!source->members.contains(member)) return run.integer(0);
  run.integer(1);
  if (run.args[1] == run.args[2]) return;
  Slot from = *source;
  MemberMap to = members_of(target);
  int64_t to_expire_ms = target ? target->expire_ms : 0;
  from.members.erase(member);
  run.place(run.args[1], std::move(from));
  if (to.emplace(member, "").second) run.place(run.args[2], set_of(std::move(to), to_expire_ms));
}

void run_sismember(ModelRun& run) {
  bool wrong = false;
  const MemberMap& members = members_of(run.find(run.args[1], kSet, &wrong));
  if (wrong) return;
  if (run.args[0] == "SMISMEMBER") run.array(run.args.size() - 2);
  for (size_t i = 2; i < run.args.size(); ++i) run.integer(members.contains(run.args[i]) ? 1 : 0);
}

void run_scard(ModelRun& run) {
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kSet, &wrong);
  if (!wrong) run.integer(static_cast<int64_t>(members_of(slot).size()));
}

void run_smembers(ModelRun& run) {
  bool wrong = false;
  const MemberMap& members = members_of(run.find(run.args[1], kSet, &wrong));
  if (!wrong) reply_all(run, run.set_header(members.size()), members, Shown::kMembers);
}

void run_sscan(ModelRun& run) {
  bool wrong = false;
  const MemberMap& members = members_of(run.find(run.args[1], kSet, &wrong));
  if (!wrong) reply_page(run, members, Shown::kMembers);
}

Arguments draw_some(Draw& draw, const char* name, bool negative) {
  Arguments args = {name, draw.set_key()};
  if (draw.random.one_in(2)) return args;
  int64_t count = static_cast<int64_t>(draw.random.below(draw.random.one_in(3) ? 400 : 6));
  args.push_back(std::to_string(negative && draw.random.one_in(3) ? -count : count));
  return args;
}

void run_srandmember(ModelRun& run) {
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kSet, &wrong);
  if (wrong) return;
  const MemberMap& members = members_of(slot);
  if (run.args.size() == 2) {
    return slot ? reply_some(run, "", members, Shown::kMembers, false, 1, true) : run.null();
  }
  int64_t count = 0;
  parse_number(run.args[2], &count);
  if (!slot) return run.array(0);
  size_t n = static_cast<size_t>(count < 0 ? -count
                                           : std::min<int64_t>(count, static_cast<int64_t>(members.size())));
  reply_some(run, fmt::format("*{}\r\n", n), members, Shown::kMembers, false, n, count > 0);
}

// What was popped is what the reply shows; that it is right is checked.
void run_spop(ModelRun& run) {
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kSet, &wrong);
  if (wrong) return;
  bool counted = run.args.size() > 2;
  int64_t count = 1;
  if (counted) parse_number(run.args[2], &count);
  if (!slot) return counted ? static_cast<void>(run.reply = run.set_header(0)) : run.null();
  Slot left = *slot;
  size_t n = std::min(static_cast<size_t>(count), left.members.size());
  std::string header = counted ? run.set_header(n) : "";
  reply_some(run, header, left.members, Shown::kMembers, false, n, true);
  if (n == 0) return;
  std::vector<std::string> popped;
  if (n < left.members.size()) split_pieces(run.real, header, 1, &popped);
  for (const std::string& piece : popped) {
    std::string member;
    if (parse_bulk(piece, &member)) left.members.erase(member);
  }
  if (n == slot->members.size()) left.members.clear();
  run.place(run.args[1], std::move(left));
}

// --- several sets ---

// Of args [first, last). False: one of them is no set, which was replied.
bool combine(ModelRun& run, std::string_view operation, size_t first, size_t last, MemberMap* result) {
  std::vector<MemberMap> sets;
  for (size_t i = first; i < last; ++i) {
    bool wrong = false;
    sets.push_back(members_of(run.find(run.args[i], kSet, &wrong)));
    if (wrong) return false;
  }
  *result = sets[0];
  for (size_t i = 1; i < sets.size(); ++i) {
    if (operation == "SUNION") {
      result->insert(sets[i].begin(), sets[i].end());
    } else {
      bool stays = operation != "SDIFF";
      std::erase_if(*result, [&](const auto& member) { return sets[i].contains(member.first) != stays; });
    }
  }
  return true;
}

void run_combined(ModelRun& run) {
  MemberMap result;
  if (!combine(run, run.args[0], 1, run.args.size(), &result)) return;
  reply_all(run, run.set_header(result.size()), result, Shown::kMembers);
}

void run_store(ModelRun& run) {
  MemberMap result;
  std::string_view operation = run.args[0];
  operation.remove_suffix(std::string_view("STORE").size());
  if (!combine(run, operation, 2, run.args.size(), &result)) return;
  run.integer(static_cast<int64_t>(result.size()));
  if (!result.empty() || run.find(run.args[1])) run.place(run.args[1], set_of(std::move(result), 0));
}

void run_sintercard(ModelRun& run) {
  MemberMap result;
  int64_t keys = 0;
  int64_t limit = 0;
  parse_number(run.args[1], &keys);
  size_t behind = 2 + static_cast<size_t>(keys);
  if (run.args.size() > behind) parse_number(run.args[behind + 1], &limit);
  if (!combine(run, "SINTER", 2, behind, &result)) return;
  int64_t count = static_cast<int64_t>(result.size());
  run.integer(limit > 0 ? std::min(limit, count) : count);
}

Arguments draw_sets(Draw& draw, const char* name, bool store) {
  Arguments args = {name};
  if (store) args.push_back(draw.set_key());
  for (uint64_t n = 1 + draw.random.below(3); n > 0; --n) args.push_back(draw.set_key());
  return args;
}

Arguments draw_sintercard(Draw& draw) {
  Arguments args = draw_sets(draw, "SINTERCARD", false);
  args.insert(args.begin() + 1, std::to_string(args.size() - 1));
  if (draw.random.one_in(2)) args.insert(args.end(), {"LIMIT", std::to_string(draw.random.below(10))});
  return args;
}

}  // namespace

void add_set_rows(std::vector<CommandRow>* rows) {
  auto add = [&](const char* name, int weight, Arguments (*draw)(Draw&), void (*run)(ModelRun&)) {
    rows->push_back({"sets", name, weight, draw, run, "sets"});
  };
  using D = Draw&;
  add(
      "SADD", 24, [](D d) { return draw_members(d, "SADD"); }, run_sadd);
  add(
      "SREM", 10, [](D d) { return draw_members(d, "SREM"); }, run_srem);
  add(
      "SMOVE", 5,
      [](D d) {
        std::string from = d.set_key();
        return Arguments{"SMOVE", from, d.set_key(), d.member(from)};
      },
      run_smove);
  add(
      "SISMEMBER", 6,
      [](D d) {
        std::string key = d.set_key();
        return Arguments{"SISMEMBER", key, d.member(key)};
      },
      run_sismember);
  add(
      "SMISMEMBER", 4, [](D d) { return draw_members(d, "SMISMEMBER"); }, run_sismember);
  add(
      "SCARD", 3,
      [](D d) {
        return Arguments{"SCARD", d.set_key()};
      },
      run_scard);
  add(
      "SMEMBERS", 6,
      [](D d) {
        return Arguments{"SMEMBERS", d.set_key()};
      },
      run_smembers);
  add(
      "SSCAN", 3, [](D d) { return draw_member_scan(d, "SSCAN", d.set_key()); }, run_sscan);
  add(
      "SRANDMEMBER", 4, [](D d) { return draw_some(d, "SRANDMEMBER", true); }, run_srandmember);
  add(
      "SPOP", 6, [](D d) { return draw_some(d, "SPOP", false); }, run_spop);
  add(
      "SINTER", 3, [](D d) { return draw_sets(d, "SINTER", false); }, run_combined);
  add(
      "SUNION", 3, [](D d) { return draw_sets(d, "SUNION", false); }, run_combined);
  add(
      "SDIFF", 3, [](D d) { return draw_sets(d, "SDIFF", false); }, run_combined);
  add(
      "SINTERSTORE", 3, [](D d) { return draw_sets(d, "SINTERSTORE", true); }, run_store);
  add(
      "SUNIONSTORE", 3, [](D d) { return draw_sets(d, "SUNIONSTORE", true); }, run_store);
  add(
      "SDIFFSTORE", 3, [](D d) { return draw_sets(d, "SDIFFSTORE", true); }, run_store);
  add("SINTERCARD", 3, draw_sintercard, run_sintercard);
}

}  // namespace varve::prove
