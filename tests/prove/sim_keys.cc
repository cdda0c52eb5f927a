// Keys whatever they hold, expiry, and whole databases.
#include <fmt/format.h>

#include <algorithm>

#include "prove/sim_commands.h"

namespace varve::prove {
namespace {

Arguments draw_keys(Draw& draw, const char* name) {
  Arguments args = {name};
  for (uint64_t n = draw.some(); n > 0; --n) args.push_back(draw.any_key());
  return args;
}

void run_del(ModelRun& run) {
  int64_t gone = 0;
  for (size_t i = 1; i < run.args.size(); ++i) {
    if (!run.find(run.args[i])) continue;
    run.erase(run.args[i]);
    ++gone;
  }
  run.integer(gone);
}

void run_exists(ModelRun& run) {
  int64_t there = 0;
  for (size_t i = 1; i < run.args.size(); ++i) there += run.find(run.args[i]) ? 1 : 0;
  run.integer(there);
}

void run_type(ModelRun& run) {
  static constexpr const char* kNames[] = {"string", "hash", "set", "list", "zset", "stream"};
  const Slot* slot = run.find(run.args[1]);
  run.simple(slot ? kNames[static_cast<size_t>(slot->type)] : "none");
}

// --- expiry ---

Arguments draw_expire(Draw& draw, const char* name, bool seconds, bool absolute) {
  int64_t n = draw.away_ms() * (draw.random.one_in(20) ? -1 : 1);
  if (absolute) n += draw.now_ms;
  if (seconds) n = n / 1000 + 1;
  Arguments args = {name, draw.any_key(), std::to_string(n)};
  static constexpr const char* kConditions[] = {"NX", "XX", "GT", "LT"};
  if (draw.random.one_in(4)) args.push_back(kConditions[draw.random.below(4)]);
  return args;
}

void set_expiry(ModelRun& run, Slot slot, int64_t expire_ms) {
  slot.expire_ms = expire_ms;
  run.place(run.args[1], std::move(slot));
}

void run_expire(ModelRun& run) {
  const std::string& name = run.args[0];
  int64_t when = 0;
  parse_number(run.args[2], &when);
  if (name == "EXPIRE" || name == "EXPIREAT") when *= 1000;
  if (name == "EXPIRE" || name == "PEXPIRE") when += run.now_ms;
  const Slot* slot = run.find(run.args[1]);
  if (!slot) return run.integer(0);
  int64_t now = slot->expire_ms;
  if (run.args.size() > 3) {
    const std::string& condition = run.args[3];
    if (condition == "NX" && now != 0) return run.integer(0);
    if (condition == "XX" && now == 0) return run.integer(0);
    if (condition == "GT" && (now == 0 || when <= now)) return run.integer(0);
    if (condition == "LT" && now != 0 && when >= now) return run.integer(0);
  }
  if (when <= run.now_ms)
    run.erase(run.args[1]);
  else if (when != now)
    set_expiry(run, *slot, when);
  run.integer(1);
}

void run_ttl(ModelRun& run) {
  const std::string& name = run.args[0];
  const Slot* slot = run.find(run.args[1]);
  if (!slot) return run.integer(-2);
  if (slot->expire_ms == 0) return run.integer(-1);
  bool left = name == "TTL" || name == "PTTL";
  int64_t ms = slot->expire_ms - (left ? run.now_ms : 0);
  bool seconds = name == "TTL" || name == "EXPIRETIME";
  run.integer(seconds ? (ms + 500) / 1000 : ms);
}

void run_persist(ModelRun& run) {
  const Slot* slot = run.find(run.args[1]);
  if (!slot || slot->expire_ms == 0) return run.integer(0);
  set_expiry(run, *slot, 0);
  run.integer(1);
}

// --- other names, other databases ---

void run_rename(ModelRun& run) {
  const std::string& from = run.args[1];
  const std::string& to = run.args[2];
  bool only_if_free = run.args[0] == "RENAMENX";
  const Slot* source = run.find(from);
  if (!source) return run.error("ERR no such key");
  bool taken = from == to || run.find(to) != nullptr;
  if (only_if_free && taken) return run.integer(0);
  if (from != to) {
    Slot moved = *source;
    run.erase(from);
    run.place(to, std::move(moved));
  }
  only_if_free ? run.integer(1) : run.ok();
}

void run_copy(ModelRun& run) {
  uint32_t db = run.session.db;
  bool replace = false;
  for (size_t i = 3; i < run.args.size(); ++i) {
    if (run.args[i] == "REPLACE") replace = true;
    if (run.args[i] == "DB") db = static_cast<uint32_t>(std::stoul(run.args[i + 1]));
  }
  if (db == run.session.db && run.args[1] == run.args[2]) {
    return run.error("ERR source and destination objects are the same");
  }
  const Slot* source = run.find(run.args[1]);
  if (!source) return run.integer(0);
  if (run.find(db, run.args[2]) && !replace) return run.integer(0);
  Slot copy = *source;
  run.model.place(db, run.args[2], std::move(copy), run.now_ms);
  run.integer(1);
}

void run_move(ModelRun& run) {
  uint32_t db = static_cast<uint32_t>(std::stoul(run.args[2]));
  if (db == run.session.db) return run.error("ERR source and destination objects are the same");
  const Slot* source = run.find(run.args[1]);
  if (!source || run.find(db, run.args[1])) return run.integer(0);
  Slot moved = *source;
  run.erase(run.args[1]);
  run.model.place(db, run.args[1], std::move(moved), run.now_ms);
  run.integer(1);
}

// --- whole databases ---

void run_select(ModelRun& run) {
  run.session.db = static_cast<uint32_t>(std::stoul(run.args[1]));
  run.ok();
}

void run_swapdb(ModelRun& run) {
  uint32_t a = static_cast<uint32_t>(std::stoul(run.args[1]));
  uint32_t b = static_cast<uint32_t>(std::stoul(run.args[2]));
  if (a != b) run.model.swap(a, b);
  run.ok();
}

void run_flushdb(ModelRun& run) {
  run.model.flush(run.session.db);
  run.ok();
}

void run_flushall(ModelRun& run) {
  for (uint32_t db = 0; db < run.model.databases(); ++db) run.model.flush(db);
  run.ok();
}

// Exact but for blind overwrites that compaction has not met and expired keys that are not removed yet.
void run_dbsize(ModelRun& run) {
  ModelDatabase& database = run.whole(run.session.db);
  uint64_t least = database.live_keys(run.now_ms);
  uint64_t most = least + run.count_slack;
  if (!run.expired_gone) most += database.expired_keys(run.now_ms);
  run.check = [least, most](std::string_view reply) -> std::string {
    uint64_t n = std::strtoull(std::string(reply.substr(1)).c_str(), nullptr, 10);
    if (reply[0] == ':' && n >= least && n <= most) return "";
    return fmt::format("between {} and {} keys expected", least, most);
  };
}

}  // namespace

void add_key_rows(std::vector<CommandRow>* rows) {
  auto add = [&](const char* name, int weight, Arguments (*draw)(Draw&), void (*run)(ModelRun&),
                 const char* feature = "", const char* family = "keys") {
    rows->push_back({family, name, weight, draw, run, feature});
  };
  using D = Draw&;
  add(
      "DEL", 12,
      [](D d) {
        return d.random.one_in(2) ? Arguments{"DEL", d.any_key()} : draw_keys(d, "DEL");
      },
      run_del);
  add(
      "UNLINK", 4, [](D d) { return draw_keys(d, "UNLINK"); }, run_del);
  add(
      "EXISTS", 4, [](D d) { return draw_keys(d, "EXISTS"); }, run_exists);
  add(
      "TOUCH", 1, [](D d) { return draw_keys(d, "TOUCH"); }, run_exists);
  add(
      "TYPE", 3,
      [](D d) {
        return Arguments{"TYPE", d.any_key()};
      },
      run_type);
  add(
      "EXPIRE", 3, [](D d) { return draw_expire(d, "EXPIRE", true, false); }, run_expire, "expiry");
  add(
      "PEXPIRE", 6, [](D d) { return draw_expire(d, "PEXPIRE", false, false); }, run_expire, "expiry");
  add(
      "EXPIREAT", 2, [](D d) { return draw_expire(d, "EXPIREAT", true, true); }, run_expire, "expiry");
  add(
      "PEXPIREAT", 3, [](D d) { return draw_expire(d, "PEXPIREAT", false, true); }, run_expire, "expiry");
  add(
      "TTL", 2,
      [](D d) {
        return Arguments{"TTL", d.any_key()};
      },
      run_ttl);
  add(
      "PTTL", 3,
      [](D d) {
        return Arguments{"PTTL", d.any_key()};
      },
      run_ttl);
  add(
      "EXPIRETIME", 1,
      [](D d) {
        return Arguments{"EXPIRETIME", d.any_key()};
      },
      run_ttl);
  add(
      "PEXPIRETIME", 2,
      [](D d) {
        return Arguments{"PEXPIRETIME", d.any_key()};
      },
      run_ttl);
  add(
      "PERSIST", 2,
      [](D d) {
        return Arguments{"PERSIST", d.any_key()};
      },
      run_persist, "expiry");
  add(
      "RENAME", 6,
      [](D d) {
        return Arguments{"RENAME", d.any_key(), d.any_key()};
      },
      run_rename, "multi-key");
  add(
      "RENAMENX", 3,
      [](D d) {
        return Arguments{"RENAMENX", d.any_key(), d.any_key()};
      },
      run_rename, "multi-key");
  add(
      "COPY", 6,
      [](D d) {
        Arguments args = {"COPY", d.any_key(), d.any_key()};
        if (d.random.one_in(3)) args.insert(args.end(), {"DB", d.database()});
        if (d.random.one_in(2)) args.push_back("REPLACE");
        return args;
      },
      run_copy, "multi-key");
  add(
      "MOVE", 3,
      [](D d) {
        return Arguments{"MOVE", d.any_key(), d.database()};
      },
      run_move, "databases", "databases");
  add(
      "SELECT", 6,
      [](D d) {
        return Arguments{"SELECT", d.database()};
      },
      run_select, "databases", "databases");
  add(
      "SWAPDB", 2,
      [](D d) {
        return Arguments{"SWAPDB", d.database(), d.database()};
      },
      run_swapdb, "databases", "databases");
  add(
      "FLUSHDB", 1, [](D) { return Arguments{"FLUSHDB"}; }, run_flushdb, "flush", "databases");
  add(
      "FLUSHALL", 1,
      [](D) {
        return Arguments{"FLUSHALL", "ASYNC"};
      },
      run_flushall, "flush", "databases");
  add(
      "DBSIZE", 3, [](D) { return Arguments{"DBSIZE"}; }, run_dbsize, "", "databases");
}

}  // namespace varve::prove
