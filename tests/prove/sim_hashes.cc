// Hashes: drawing and meaning.
#include <fmt/format.h>

#include <algorithm>

#include "prove/sim_commands.h"
#include "prove/sim_members.h"

namespace varve::prove {
namespace {

constexpr Slot::Type kHash = Slot::Type::kHash;

// The hash of the first argument as it is, to be changed: empty if there is none.
struct Opened {
  bool wrong = false;  // it is something else, which was replied
  Slot slot;

  explicit Opened(ModelRun& run) {
    const Slot* found = run.find(run.args[1], kHash, &wrong);
    if (found) slot = *found;
    slot.type = kHash;
  }
};

const std::map<std::string, std::string>& fields_of(const Slot* slot) {
  static const std::map<std::string, std::string> none;
  return slot ? slot->members : none;
}

// --- writing ---

Arguments draw_hset(Draw& draw, const char* name) {
  Arguments args = {name, draw.hash_key()};
  for (uint64_t n = draw.some(); n > 0; --n) {
    args.push_back(draw.field());
    args.push_back(draw.random.one_in(4) ? draw.integer() : draw.value());
  }
  return args;
}

void run_hset(ModelRun& run) {
  Opened hash(run);
  if (hash.wrong) return;
  int64_t added = 0;
  for (size_t i = 2; i < run.args.size(); i += 2) {
    added += hash.slot.members.insert_or_assign(run.args[i], run.args[i + 1]).second ? 1 : 0;
  }
  run.place(run.args[1], std::move(hash.slot));
  run.args[0] == "HSET" ? run.integer(added) : run.ok();
}

void run_hsetnx(ModelRun& run) {
  Opened hash(run);
  if (hash.wrong) return;
  if (!hash.slot.members.emplace(run.args[2], run.args[3]).second) return run.integer(0);
  run.place(run.args[1], std::move(hash.slot));
  run.integer(1);
}

void run_hdel(ModelRun& run) {
  Opened hash(run);
  if (hash.wrong) return;
  int64_t removed = 0;
  for (size_t i = 2; i < run.args.size(); ++i) {
    removed += static_cast<int64_t>(hash.slot.members.erase(run.args[i]));
  }
  if (removed > 0) run.place(run.args[1], std::move(hash.slot));
  run.integer(removed);
}

void run_hincrby(ModelRun& run) {
  Opened hash(run);
  if (hash.wrong) return;
  int64_t value = 0;
  int64_t by = 0;
  parse_number(run.args[3], &by);
  auto old = hash.slot.members.find(run.args[2]);
  if (old != hash.slot.members.end() && !parse_number(old->second, &value))
    return run.error("ERR hash value is not an integer");
  if (__builtin_add_overflow(value, by, &value))
    return run.error("ERR increment or decrement would overflow");
  hash.slot.members[run.args[2]] = std::to_string(value);
  run.place(run.args[1], std::move(hash.slot));
  run.integer(value);
}

void run_hincrbyfloat(ModelRun& run) {
  Opened hash(run);
  if (hash.wrong) return;
  auto old = hash.slot.members.find(run.args[2]);
  std::string sum;
  if (!add_quarters(old == hash.slot.members.end() ? nullptr : &old->second, run.args[3], &sum))
    return run.error("ERR hash value is not a float");
  hash.slot.members[run.args[2]] = sum;
  run.place(run.args[1], std::move(hash.slot));
  run.bulk(sum);
}

// --- reading ---

void reply_field(ModelRun& run, const Slot* slot, const std::string& field) {
  const auto& fields = fields_of(slot);
  auto found = fields.find(field);
  found == fields.end() ? run.null() : run.bulk(found->second);
}

void run_hget(ModelRun& run) {
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kHash, &wrong);
  if (!wrong) reply_field(run, slot, run.args[2]);
}

void run_hmget(ModelRun& run) {
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kHash, &wrong);
  if (wrong) return;
  run.array(run.args.size() - 2);
  for (size_t i = 2; i < run.args.size(); ++i) reply_field(run, slot, run.args[i]);
}

// HLEN, HEXISTS, HSTRLEN
void run_number(ModelRun& run) {
  bool wrong = false;
  const auto& fields = fields_of(run.find(run.args[1], kHash, &wrong));
  if (wrong) return;
  if (run.args[0] == "HLEN") return run.integer(static_cast<int64_t>(fields.size()));
  auto found = fields.find(run.args[2]);
  bool there = found != fields.end();
  if (run.args[0] == "HEXISTS") return run.integer(there ? 1 : 0);
  run.integer(there ? static_cast<int64_t>(found->second.size()) : 0);
}

// HGETALL, HKEYS, HVALS
void run_whole(ModelRun& run) {
  bool wrong = false;
  const auto& fields = fields_of(run.find(run.args[1], kHash, &wrong));
  if (wrong) return;
  if (run.args[0] == "HGETALL") return reply_all(run, run.map_header(fields.size()), fields, Shown::kBoth);
  reply_all(run, fmt::format("*{}\r\n", fields.size()), fields,
            run.args[0] == "HKEYS" ? Shown::kMembers : Shown::kValues);
}

void run_hscan(ModelRun& run) {
  bool wrong = false;
  const auto& fields = fields_of(run.find(run.args[1], kHash, &wrong));
  if (!wrong) reply_page(run, fields, Shown::kBoth);
}

Arguments draw_hrandfield(Draw& draw) {
  Arguments args = {"HRANDFIELD", draw.hash_key()};
  if (draw.random.one_in(3)) return args;
  int64_t count = static_cast<int64_t>(draw.random.below(draw.random.one_in(3) ? 400 : 6));
  args.push_back(std::to_string(draw.random.one_in(3) ? -count : count));
  if (draw.random.one_in(2)) args.push_back("WITHVALUES");
  return args;
}

void run_hrandfield(ModelRun& run) {
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kHash, &wrong);
  if (wrong) return;
  const auto& fields = fields_of(slot);
  if (run.args.size() == 2) {
    return slot ? reply_some(run, "", fields, Shown::kMembers, false, 1, true) : run.null();
  }
  if (!slot) return run.array(0);
  int64_t count = 0;
  parse_number(run.args[2], &count);
  Shown shown = run.args.size() > 3 ? Shown::kBoth : Shown::kMembers;
  bool nested = shown == Shown::kBoth && run.session.protocol == 3;
  size_t n =
      static_cast<size_t>(count < 0 ? -count : std::min<int64_t>(count, static_cast<int64_t>(fields.size())));
  size_t words = shown == Shown::kBoth && !nested ? 2 * n : n;
  reply_some(run, fmt::format("*{}\r\n", words), fields, shown, nested, n, count > 0);
}

Arguments draw_fields(Draw& draw, const char* name) {
  Arguments args = {name, draw.hash_key()};
  for (uint64_t n = draw.some(); n > 0; --n) args.push_back(draw.field());
  return args;
}

Arguments draw_field(Draw& draw, const char* name) {
  return {name, draw.hash_key(), draw.field()};
}

}  // namespace

void add_hash_rows(std::vector<CommandRow>* rows) {
  auto add = [&](const char* name, int weight, Arguments (*draw)(Draw&), void (*run)(ModelRun&)) {
    rows->push_back({"hashes", name, weight, draw, run, "hashes"});
  };
  using D = Draw&;
  add(
      "HSET", 24, [](D d) { return draw_hset(d, "HSET"); }, run_hset);
  add(
      "HMSET", 2, [](D d) { return draw_hset(d, "HMSET"); }, run_hset);
  add(
      "HSETNX", 4,
      [](D d) {
        return Arguments{"HSETNX", d.hash_key(), d.field(), d.value()};
      },
      run_hsetnx);
  add(
      "HDEL", 10, [](D d) { return draw_fields(d, "HDEL"); }, run_hdel);
  add(
      "HINCRBY", 5,
      [](D d) {
        return Arguments{"HINCRBY", d.hash_key(), d.field(), d.integer()};
      },
      run_hincrby);
  add(
      "HINCRBYFLOAT", 3,
      [](D d) {
        return Arguments{"HINCRBYFLOAT", d.hash_key(), d.field(), d.integer() + ".25"};
      },
      run_hincrbyfloat);
  add(
      "HGET", 12, [](D d) { return draw_field(d, "HGET"); }, run_hget);
  add(
      "HMGET", 5, [](D d) { return draw_fields(d, "HMGET"); }, run_hmget);
  add(
      "HLEN", 3,
      [](D d) {
        return Arguments{"HLEN", d.hash_key()};
      },
      run_number);
  add(
      "HEXISTS", 2, [](D d) { return draw_field(d, "HEXISTS"); }, run_number);
  add(
      "HSTRLEN", 2, [](D d) { return draw_field(d, "HSTRLEN"); }, run_number);
  add(
      "HGETALL", 5,
      [](D d) {
        return Arguments{"HGETALL", d.hash_key()};
      },
      run_whole);
  add(
      "HKEYS", 2,
      [](D d) {
        return Arguments{"HKEYS", d.hash_key()};
      },
      run_whole);
  add(
      "HVALS", 2,
      [](D d) {
        return Arguments{"HVALS", d.hash_key()};
      },
      run_whole);
  add(
      "HSCAN", 3, [](D d) { return draw_member_scan(d, "HSCAN", d.hash_key()); }, run_hscan);
  add("HRANDFIELD", 4, draw_hrandfield, run_hrandfield);
}

}  // namespace varve::prove
