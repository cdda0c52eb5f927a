// Strings: drawing and meaning.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "prove/sim_commands.h"

namespace varve::prove {
namespace {

constexpr const char* kNotInteger = "ERR value is not an integer or out of range";
constexpr Slot::Type kString = Slot::Type::kString;

// EX, PX, EXAT, PXAT and a time, sometimes.
void draw_expiry(Draw& draw, Arguments* args) {
  if (!draw.expiry() || !draw.random.one_in(2)) return;
  int64_t away = draw.away_ms();
  switch (draw.random.below(4)) {
    case 0:
      args->insert(args->end(), {"EX", std::to_string(away / 1000 + 1)});
      break;
    case 1:
      args->insert(args->end(), {"px", std::to_string(away)});
      break;
    case 2:
      args->insert(args->end(), {"EXAT", std::to_string((draw.now_ms + away) / 1000 + 1)});
      break;
    default:
      args->insert(args->end(), {"PXAT", std::to_string(draw.now_ms + away)});
      break;
  }
}

struct SetOptions {
  bool nx = false, xx = false, get = false, keep_ttl = false, persist = false;
  int64_t expire_ms = 0;
};

SetOptions read_options(const ModelRun& run, size_t first) {
  SetOptions options;
  const Arguments& args = run.args;
  for (size_t i = first; i < args.size(); ++i) {
    int64_t n = 0;
    if (i + 1 < args.size()) parse_number(args[i + 1], &n);
    if (same_word(args[i], "NX")) options.nx = true;
    if (same_word(args[i], "XX")) options.xx = true;
    if (same_word(args[i], "GET")) options.get = true;
    if (same_word(args[i], "KEEPTTL")) options.keep_ttl = true;
    if (same_word(args[i], "PERSIST")) options.persist = true;
    if (same_word(args[i], "EX")) options.expire_ms = run.now_ms + n * 1000;
    if (same_word(args[i], "PX")) options.expire_ms = run.now_ms + n;
    if (same_word(args[i], "EXAT")) options.expire_ms = n * 1000;
    if (same_word(args[i], "PXAT")) options.expire_ms = n;
  }
  return options;
}

void reply_value(ModelRun& run, const Slot* slot) {
  slot ? run.bulk(slot->value) : run.null();
}

Arguments draw_set(Draw& draw) {
  Arguments args = {"SET", draw.random.one_in(8) ? draw.number_key() : draw.key(), draw.value()};
  if (draw.random.one_in(3)) args[2] = draw.random.one_in(4) ? draw.integer() : args[2];
  if (!draw.random.one_in(3)) return args;
  if (draw.random.one_in(4)) args.push_back(draw.random.one_in(2) ? "NX" : "xx");
  if (draw.random.one_in(4)) args.push_back("GET");
  if (draw.random.one_in(4))
    args.push_back("KEEPTTL");
  else
    draw_expiry(draw, &args);
  return args;
}

void run_set(ModelRun& run) {
  SetOptions options = read_options(run, 3);
  if (!options.nx && !options.xx && !options.get && !options.keep_ttl) {
    run.put(run.args[1], run.args[2], options.expire_ms);
    return run.ok();
  }
  const Slot* old = run.find(run.args[1]);
  if (options.get) {
    bool wrong = false;
    run.find(run.args[1], kString, &wrong);
    if (wrong) return;
    reply_value(run, old);
  }
  if ((options.nx && old) || (options.xx && !old)) return options.get ? void() : run.null();
  int64_t expire_ms = options.keep_ttl && old ? old->expire_ms : options.expire_ms;
  run.put(run.args[1], run.args[2], expire_ms);
  if (!options.get) run.ok();
}

void run_get(ModelRun& run) {
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kString, &wrong);
  if (!wrong) reply_value(run, slot);
}

void run_getdel(ModelRun& run) {
  bool wrong = false;
  const Slot* old = run.find(run.args[1], kString, &wrong);
  if (wrong) return;
  reply_value(run, old);
  if (old) run.erase(run.args[1]);
}

void run_getset(ModelRun& run) {
  bool wrong = false;
  const Slot* old = run.find(run.args[1], kString, &wrong);
  if (wrong) return;
  reply_value(run, old);
  run.put(run.args[1], run.args[2]);
}

Arguments draw_getex(Draw& draw) {
  Arguments args = {"GETEX", draw.key()};
  if (draw.random.one_in(4))
    args.push_back("PERSIST");
  else
    draw_expiry(draw, &args);
  return args;
}

void run_getex(ModelRun& run) {
  SetOptions options = read_options(run, 2);
  bool wrong = false;
  const Slot* old = run.find(run.args[1], kString, &wrong);
  if (wrong) return;
  reply_value(run, old);
  if (!old || (options.expire_ms == 0 && !options.persist)) return;
  if (options.expire_ms != 0 && options.expire_ms <= run.now_ms) return run.erase(run.args[1]);
  if (options.expire_ms != old->expire_ms) run.put(run.args[1], old->value, options.expire_ms);
}

void run_setnx(ModelRun& run) {
  if (run.find(run.args[1])) return run.integer(0);
  run.put(run.args[1], run.args[2]);
  run.integer(1);
}

void run_setex(ModelRun& run) {
  int64_t n = 0;
  parse_number(run.args[2], &n);
  run.put(run.args[1], run.args[3], run.now_ms + n * (run.args[0] == "SETEX" ? 1000 : 1));
  run.ok();
}

Arguments draw_pairs(Draw& draw, const char* name) {
  Arguments args = {name};
  // Sometimes too much for one frame of the log: a batch in parts.
  bool parts = draw.options.large_one_in > 0 && draw.random.one_in(3);
  for (uint64_t n = parts ? 4 + draw.random.below(12) : draw.some(); n > 0; --n) {
    args.push_back(draw.key());
    args.push_back(parts ? draw.value_of(2000 + draw.random.below(10'000)) : draw.value());
  }
  return args;
}

void run_mset(ModelRun& run) {
  for (size_t i = 1; i < run.args.size(); i += 2) run.put(run.args[i], run.args[i + 1]);
  run.ok();
}

void run_msetnx(ModelRun& run) {
  bool any = false;
  for (size_t i = 1; i < run.args.size(); i += 2) any |= run.find(run.args[i]) != nullptr;
  if (any) return run.integer(0);
  for (size_t i = 1; i < run.args.size(); i += 2) run.put(run.args[i], run.args[i + 1]);
  run.integer(1);
}

void run_mget(ModelRun& run) {
  run.array(run.args.size() - 1);
  for (size_t i = 1; i < run.args.size(); ++i) {
    const Slot* slot = run.find(run.args[i]);
    reply_value(run, slot && slot->type == kString ? slot : nullptr);
  }
}

void add_to(ModelRun& run, int64_t by) {
  bool wrong = false;
  const Slot* old = run.find(run.args[1], kString, &wrong);
  if (wrong) return;
  int64_t value = 0;
  if (old && !parse_number(old->value, &value)) return run.error(kNotInteger);
  if (__builtin_add_overflow(value, by, &value))
    return run.error("ERR increment or decrement would overflow");
  run.put(run.args[1], std::to_string(value), old ? old->expire_ms : 0);
  run.integer(value);
}

void run_incr(ModelRun& run) {
  add_to(run, run.args[0] == "INCR" ? 1 : -1);
}

void run_incrby(ModelRun& run) {
  int64_t by = 0;
  if (!parse_number(run.args[2], &by)) return run.error(kNotInteger);
  add_to(run, run.args[0] == "INCRBY" ? by : -by);
}

void run_incrbyfloat(ModelRun& run) {
  bool wrong = false;
  const Slot* old = run.find(run.args[1], kString, &wrong);
  if (wrong) return;
  std::string text;
  if (!add_quarters(old ? &old->value : nullptr, run.args[2], &text)) {
    return run.error("ERR value is not a valid float");
  }
  run.put(run.args[1], text, old ? old->expire_ms : 0);
  run.bulk(text);
}

void run_append(ModelRun& run) {
  bool wrong = false;
  const Slot* old = run.find(run.args[1], kString, &wrong);
  if (wrong) return;
  std::string value = (old ? old->value : "") + run.args[2];
  run.integer(static_cast<int64_t>(value.size()));
  run.put(run.args[1], std::move(value), old ? old->expire_ms : 0);
}

void run_setrange(ModelRun& run) {
  int64_t offset = 0;
  parse_number(run.args[2], &offset);
  if (offset < 0) return run.error("ERR offset is out of range");
  bool wrong = false;
  const Slot* old = run.find(run.args[1], kString, &wrong);
  if (wrong) return;
  const std::string& bytes = run.args[3];
  std::string value = old ? old->value : "";
  if (!bytes.empty()) {
    value.resize(std::max(value.size(), static_cast<size_t>(offset) + bytes.size()), '\0');
    value.replace(static_cast<size_t>(offset), bytes.size(), bytes);
  }
  run.integer(static_cast<int64_t>(value.size()));
  if (!bytes.empty()) run.put(run.args[1], std::move(value), old ? old->expire_ms : 0);
}

void run_strlen(ModelRun& run) {
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kString, &wrong);
  if (wrong) return;
  run.integer(slot ? static_cast<int64_t>(slot->value.size()) : 0);
}

void run_getrange(ModelRun& run) {
  int64_t start = 0, end = 0;
  parse_number(run.args[2], &start);
  parse_number(run.args[3], &end);
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kString, &wrong);
  if (wrong) return;
  int64_t size = slot ? static_cast<int64_t>(slot->value.size()) : 0;
  if (start < 0 && end < 0 && start > end) return run.bulk("");
  if (start < 0) start = std::max<int64_t>(0, start + size);
  if (end < 0) end = std::max<int64_t>(0, end + size);
  end = std::min(end, size - 1);
  if (size == 0 || start > end) return run.bulk("");
  run.bulk(
      std::string_view(slot->value).substr(static_cast<size_t>(start), static_cast<size_t>(end - start + 1)));
}

// --- bits: bit 0 is the highest of the first byte ---

bool bit_of(const std::string& bytes, uint64_t bit) {
  return bit / 8 < bytes.size() && (static_cast<unsigned char>(bytes[bit / 8]) >> (7 - bit % 8) & 1) != 0;
}

void set_bit(std::string& bytes, uint64_t bit, bool on) {
  auto mask = static_cast<unsigned char>(0x80u >> (bit % 8));
  auto byte = static_cast<unsigned char>(bytes[bit / 8]);
  bytes[bit / 8] = static_cast<char>(on ? byte | mask : byte & ~mask);
}

std::string draw_bit(Draw& draw) {
  bool far = draw.options.large_one_in > 0 && draw.random.one_in(8);
  return std::to_string(draw.random.below(far ? 240'000 : 400));
}

void run_setbit(ModelRun& run) {
  int64_t bit = 0;
  parse_number(run.args[2], &bit);
  auto at = static_cast<uint64_t>(bit);
  bool wrong = false;
  const Slot* old = run.find(run.args[1], kString, &wrong);
  if (wrong) return;
  bool on = run.args[3] == "1";
  std::string value = old ? old->value : "";
  bool was = bit_of(value, at);
  run.integer(was ? 1 : 0);
  if (old && at / 8 < value.size() && was == on) return;
  value.resize(std::max<size_t>(value.size(), at / 8 + 1), '\0');
  set_bit(value, at, on);
  run.put(run.args[1], std::move(value), old ? old->expire_ms : 0);
}

void run_getbit(ModelRun& run) {
  int64_t bit = 0;
  parse_number(run.args[2], &bit);
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kString, &wrong);
  if (!wrong) run.integer(slot && bit_of(slot->value, static_cast<uint64_t>(bit)) ? 1 : 0);
}

void run_bitcount(ModelRun& run) {
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kString, &wrong);
  if (wrong) return;
  int64_t count = 0;
  for (uint64_t bit = 0; slot && bit < slot->value.size() * 8; ++bit)
    count += bit_of(slot->value, bit) ? 1 : 0;
  run.integer(count);
}

// BITFIELD key SET u32 offset value GET u32 offset
void run_bitfield(ModelRun& run) {
  constexpr uint64_t kBits = 32;
  int64_t first = 0, number = 0;
  parse_number(run.args[4], &first);
  parse_number(run.args[5], &number);
  bool wrong = false;
  const Slot* old = run.find(run.args[1], kString, &wrong);
  if (wrong) return;
  std::string value = old ? old->value : "";
  uint64_t end = static_cast<uint64_t>(first) + kBits;
  bool changes = !old || (end - 1) / 8 >= value.size();
  value.resize(std::max<size_t>(value.size(), (end - 1) / 8 + 1), '\0');
  int64_t before = 0;
  for (uint64_t bit = static_cast<uint64_t>(first); bit < end; ++bit) {
    before = before * 2 + (bit_of(value, bit) ? 1 : 0);
    set_bit(value, bit, (number >> (end - 1 - bit) & 1) != 0);
  }
  changes |= before != number;
  run.array(2);
  run.integer(before);
  run.integer(number);
  if (changes) run.put(run.args[1], std::move(value), old ? old->expire_ms : 0);
}

Arguments draw_bitfield(Draw& draw) {
  std::string at = draw_bit(draw);
  std::string number = std::to_string(draw.random.below(uint64_t{1} << 32));
  return {"BITFIELD", draw.key(), "SET", "u32", at, number, "GET", "u32", at};
}

Arguments draw_range(Draw& draw, const char* name) {
  auto at = [&] {
    int64_t n =
        static_cast<int64_t>(draw.random.one_in(10) ? draw.random.below(40'000) : draw.random.below(60));
    return std::to_string(draw.random.one_in(3) ? -n : n);
  };
  return {name, draw.key(), at(), at()};
}

}  // namespace

void add_string_rows(std::vector<CommandRow>* rows) {
  auto add = [&](const char* name, int weight, Arguments (*draw)(Draw&), void (*run)(ModelRun&),
                 const char* feature = "") {
    rows->push_back({"strings", name, weight, draw, run, feature});
  };
  using D = Draw&;
  add(
      "GET", 40,
      [](D d) {
        return Arguments{"GET", d.key()};
      },
      run_get);
  add("SET", 60, draw_set, run_set);
  add(
      "GETDEL", 3,
      [](D d) {
        return Arguments{"GETDEL", d.key()};
      },
      run_getdel);
  add(
      "GETSET", 3,
      [](D d) {
        return Arguments{"GETSET", d.key(), d.value()};
      },
      run_getset);
  add("GETEX", 3, draw_getex, run_getex, "expiry");
  add(
      "SETNX", 3,
      [](D d) {
        return Arguments{"SETNX", d.key(), d.value()};
      },
      run_setnx);
  add(
      "SETEX", 3,
      [](D d) {
        return Arguments{"SETEX", d.key(), std::to_string(1 + d.away_ms() / 1000), d.value()};
      },
      run_setex, "expiry");
  add(
      "PSETEX", 4,
      [](D d) {
        return Arguments{"PSETEX", d.key(), std::to_string(d.away_ms()), d.value()};
      },
      run_setex, "expiry");
  add(
      "MSET", 10, [](D d) { return draw_pairs(d, "MSET"); }, run_mset, "multi-key");
  add(
      "MSETNX", 4, [](D d) { return draw_pairs(d, "MSETNX"); }, run_msetnx, "multi-key");
  add(
      "MGET", 8,
      [](D d) {
        Arguments args = {"MGET"};
        for (uint64_t n = d.some(); n > 0; --n) args.push_back(d.key());
        return args;
      },
      run_mget, "multi-key");
  add(
      "INCR", 8,
      [](D d) {
        return Arguments{"INCR", d.number_key()};
      },
      run_incr, "numbers");
  add(
      "DECR", 4,
      [](D d) {
        return Arguments{"DECR", d.number_key()};
      },
      run_incr, "numbers");
  add(
      "INCRBY", 4,
      [](D d) {
        return Arguments{"INCRBY", d.number_key(), d.integer()};
      },
      run_incrby, "numbers");
  add(
      "DECRBY", 3,
      [](D d) {
        return Arguments{"DECRBY", d.number_key(), d.integer()};
      },
      run_incrby, "numbers");
  add(
      "INCRBYFLOAT", 3,
      [](D d) {
        return Arguments{"INCRBYFLOAT", d.number_key(), d.integer() + (d.random.one_in(2) ? ".25" : ".5")};
      },
      run_incrbyfloat, "numbers");
  add(
      "APPEND", 6,
      [](D d) {
        return Arguments{"APPEND", d.key(), d.value()};
      },
      run_append, "ranges");
  add(
      "SETRANGE", 6,
      [](D d) {
        uint64_t offset =
            d.options.large_one_in > 0 && d.random.one_in(8) ? d.random.below(30'000) : d.random.below(60);
        return Arguments{"SETRANGE", d.key(), std::to_string(offset), d.random.one_in(12) ? "" : d.value()};
      },
      run_setrange, "ranges");
  add(
      "STRLEN", 4,
      [](D d) {
        return Arguments{"STRLEN", d.key()};
      },
      run_strlen);
  add(
      "GETRANGE", 5, [](D d) { return draw_range(d, "GETRANGE"); }, run_getrange, "ranges");
  add(
      "SUBSTR", 1, [](D d) { return draw_range(d, "SUBSTR"); }, run_getrange, "ranges");
  add(
      "SETBIT", 5,
      [](D d) {
        return Arguments{"SETBIT", d.key(), draw_bit(d), d.random.one_in(3) ? "0" : "1"};
      },
      run_setbit, "ranges");
  add(
      "GETBIT", 4,
      [](D d) {
        return Arguments{"GETBIT", d.key(), draw_bit(d)};
      },
      run_getbit, "ranges");
  add(
      "BITCOUNT", 3,
      [](D d) {
        return Arguments{"BITCOUNT", d.key()};
      },
      run_bitcount, "ranges");
  add("BITFIELD", 4, draw_bitfield, run_bitfield, "ranges");
}

}  // namespace varve::prove
