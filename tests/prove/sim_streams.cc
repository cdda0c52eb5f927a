// Streams: drawing and meaning. In the model a stream's members are its entries: from ids in 16 bytes, which
// order as the ids do, to the array of their fields as a reply holds it; its value is the last id. Trimming
// is exact here: what "~" leaves depends on Redis's nodes and is compared with a Redis elsewhere.
#include <fmt/format.h>

#include <algorithm>

#include "base/coding.h"
#include "prove/sim_commands.h"

namespace varve::prove {
namespace {

constexpr Slot::Type kStream = Slot::Type::kStream;
constexpr size_t kIdSize = 16;
// Ids are drawn from so many milliseconds at once, so that commands meet each other's.
constexpr int64_t kStep = 400;

std::string make_id(uint64_t ms, uint64_t seq) {
  std::string id(kIdSize, '\0');
  encode_big64(id.data(), ms);
  encode_big64(id.data() + 8, seq);
  return id;
}
uint64_t ms_of(std::string_view id) {
  return decode_big64(id.data());
}
uint64_t seq_of(std::string_view id) {
  return decode_big64(id.data() + 8);
}
std::string id_text(std::string_view id) {
  return fmt::format("{}-{}", ms_of(id), seq_of(id));
}
// "ms-seq" or "ms"; "-" and "+". `missing` stands for a sequence that is not given.
std::string parse_id(const std::string& text, uint64_t missing) {
  if (text == "-") return make_id(0, 0);
  if (text == "+") return make_id(UINT64_MAX, UINT64_MAX);
  size_t dash = text.find('-');
  return make_id(std::stoull(text), dash == std::string::npos ? missing : std::stoull(text.substr(dash + 1)));
}
std::string behind(std::string_view id) {
  return seq_of(id) == UINT64_MAX ? make_id(ms_of(id) + 1, 0) : make_id(ms_of(id), seq_of(id) + 1);
}

// --- drawing ---

std::string draw_ms(Draw& draw) {
  int64_t ms = draw.now_ms - draw.now_ms % kStep;
  if (draw.random.one_in(4)) ms -= kStep * static_cast<int64_t>(draw.random.below(3));
  return std::to_string(std::max<int64_t>(1, ms));
}

std::string draw_id(Draw& draw) {
  return fmt::format("{}-{}", draw_ms(draw), draw.random.below(draw.random.one_in(3) ? 60 : 8));
}

std::string draw_bound(Draw& draw, const char* open) {
  if (draw.random.one_in(2)) return open;
  return draw.random.one_in(4) ? draw_ms(draw) : draw_id(draw);
}

Arguments draw_xadd(Draw& draw) {
  Arguments args = {"XADD", draw.stream_key()};
  if (draw.random.one_in(12)) args.push_back("NOMKSTREAM");
  if (draw.random.one_in(5)) {
    uint64_t length = draw.random.one_in(3) ? draw.random.below(200) : draw.random.below(12);
    args.insert(args.end(), {"MAXLEN", std::to_string(length)});
  } else if (draw.random.one_in(12)) {
    args.insert(args.end(), {"MINID", "=", draw_id(draw)});
  }
  args.push_back(draw.random.one_in(8) ? "*" : draw.random.one_in(8) ? draw_id(draw) : draw_ms(draw) + "-*");
  for (uint64_t n = 1 + draw.random.below(3); n > 0; --n) {
    args.push_back(draw.field());
    args.push_back(draw.value());
  }
  return args;
}

Arguments draw_xdel(Draw& draw) {
  Arguments args = {"XDEL", draw.stream_key()};
  for (uint64_t n = draw.some(); n > 0; --n) args.push_back(draw_id(draw));
  return args;
}

Arguments draw_xtrim(Draw& draw) {
  if (draw.random.one_in(3)) return {"XTRIM", draw.stream_key(), "MINID", draw_id(draw)};
  uint64_t length = draw.random.one_in(3) ? draw.random.below(200) : draw.random.below(10);
  return {"XTRIM", draw.stream_key(), "MAXLEN", std::to_string(length)};
}

Arguments draw_range(Draw& draw, bool reverse) {
  std::string first = draw_bound(draw, "-");
  std::string last = draw_bound(draw, "+");
  if (reverse) std::swap(first, last);
  Arguments args = {reverse ? "XREVRANGE" : "XRANGE", draw.stream_key(), first, last};
  if (draw.random.one_in(3)) args.insert(args.end(), {"COUNT", std::to_string(1 + draw.random.below(30))});
  return args;
}

Arguments draw_xread(Draw& draw) {
  Arguments args = {"XREAD"};
  if (draw.random.one_in(2)) args.insert(args.end(), {"COUNT", std::to_string(draw.random.below(20))});
  args.push_back("STREAMS");
  uint64_t keys = 1 + draw.random.below(3);
  for (uint64_t i = 0; i < keys; ++i) args.push_back(draw.stream_key());
  for (uint64_t i = 0; i < keys; ++i) {
    args.push_back(draw.random.one_in(3) ? "0" : draw.random.one_in(8) ? "$" : draw_id(draw));
  }
  return args;
}

// --- meaning ---

// The stream of the first argument as it is, to be changed: empty if there is none.
struct Opened {
  bool wrong = false;  // it is something else, which was replied
  bool there = false;
  Slot slot;

  explicit Opened(ModelRun& run) {
    const Slot* found = run.find(run.args[1], kStream, &wrong);
    there = found != nullptr;
    if (found) slot = *found;
    slot.type = kStream;
    if (!found) slot.value = make_id(0, 0);
  }
};

uint64_t trim(Slot* slot, const std::string& how, const std::string& threshold) {
  size_t before = slot->members.size();
  auto end = how == "MINID" ? slot->members.lower_bound(parse_id(threshold, 0)) : slot->members.begin();
  if (how == "MAXLEN" && before > std::stoull(threshold)) {
    std::advance(end, static_cast<ptrdiff_t>(before - std::stoull(threshold)));
  }
  slot->members.erase(slot->members.begin(), end);
  return before - slot->members.size();
}

// The id that XADD's argument asks for.
std::string chosen_id(const ModelRun& run, const std::string& text, const std::string& last) {
  bool any = text.ends_with("-*");
  if (text != "*" && !any) return parse_id(text, 0);
  uint64_t ms = any ? std::stoull(text) : static_cast<uint64_t>(run.now_ms);
  if (text == "*" && ms < ms_of(last)) return behind(last);
  return ms == ms_of(last) ? behind(last) : make_id(ms, 0);
}

void run_xadd(ModelRun& run) {
  size_t at = 2;
  bool make = run.args[at] != "NOMKSTREAM";
  if (!make) ++at;
  std::string how;
  std::string threshold;
  if (run.args[at] == "MAXLEN" || run.args[at] == "MINID") {
    how = run.args[at++];
    if (run.args[at] == "=") ++at;
    threshold = run.args[at++];
  }
  Opened stream(run);
  if (stream.wrong) return;
  if (!stream.there && !make) return run.null();
  std::string id = chosen_id(run, run.args[at], stream.slot.value);
  if (id <= stream.slot.value) {
    return run.error("ERR The ID specified in XADD is equal or smaller than the target stream top item");
  }
  std::string fields = fmt::format("*{}\r\n", run.args.size() - at - 1);
  for (size_t i = at + 1; i < run.args.size(); ++i) {
    fields += fmt::format("${}\r\n{}\r\n", run.args[i].size(), run.args[i]);
  }
  stream.slot.members[id] = fields;
  stream.slot.value = id;
  if (!how.empty()) trim(&stream.slot, how, threshold);
  run.place(run.args[1], std::move(stream.slot));
  run.bulk(id_text(id));
}

void run_xdel(ModelRun& run) {
  Opened stream(run);
  if (stream.wrong) return;
  int64_t removed = 0;
  for (size_t i = 2; i < run.args.size(); ++i) {
    removed += static_cast<int64_t>(stream.slot.members.erase(parse_id(run.args[i], 0)));
  }
  if (removed > 0) run.place(run.args[1], std::move(stream.slot));
  run.integer(removed);
}

void run_xtrim(ModelRun& run) {
  Opened stream(run);
  if (stream.wrong) return;
  uint64_t removed = trim(&stream.slot, run.args[2], run.args[3]);
  if (removed > 0) run.place(run.args[1], std::move(stream.slot));
  run.integer(static_cast<int64_t>(removed));
}

void run_xlen(ModelRun& run) {
  bool wrong = false;
  const Slot* slot = run.find(run.args[1], kStream, &wrong);
  if (!wrong) run.integer(slot ? static_cast<int64_t>(slot->members.size()) : 0);
}

void reply_entries(ModelRun& run, const std::vector<std::pair<std::string, std::string>>& entries) {
  run.array(entries.size());
  for (const auto& [id, fields] : entries) {
    run.array(2);
    run.bulk(id_text(id));
    run.reply += fields;
  }
}

// The entries from `first` to `last`, both included.
std::vector<std::pair<std::string, std::string>> entries_of(const Slot* slot, const std::string& first,
                                                            const std::string& last) {
  if (!slot || first > last) return {};
  return {slot->members.lower_bound(first), slot->members.upper_bound(last)};
}

void run_range(ModelRun& run) {
  bool wrong = false;
  bool reverse = run.args[0] == "XREVRANGE";
  const Slot* slot = run.find(run.args[1], kStream, &wrong);
  if (wrong) return;
  auto entries = entries_of(slot, parse_id(run.args[reverse ? 3 : 2], 0),
                            parse_id(run.args[reverse ? 2 : 3], UINT64_MAX));
  if (reverse) std::reverse(entries.begin(), entries.end());
  if (run.args.size() > 4 && entries.size() > std::stoull(run.args[5])) {
    entries.resize(std::stoull(run.args[5]));
  }
  reply_entries(run, entries);
}

void run_xread(ModelRun& run) {
  bool counted = run.args[1] == "COUNT";
  uint64_t most = counted ? std::stoull(run.args[2]) : 0;
  size_t first = counted ? 4 : 2;
  size_t keys = (run.args.size() - first) / 2;
  std::vector<const Slot*> slots;
  for (size_t i = 0; i < keys; ++i) {
    bool wrong = false;
    slots.push_back(run.find(run.args[first + i], kStream, &wrong));
    if (wrong) return;
  }
  std::vector<std::pair<std::string, std::vector<std::pair<std::string, std::string>>>> found;
  for (size_t i = 0; i < keys; ++i) {
    const std::string& from = run.args[first + keys + i];
    if (from == "$" || !slots[i]) continue;
    auto entries = entries_of(slots[i], behind(parse_id(from, 0)), make_id(UINT64_MAX, UINT64_MAX));
    if (most > 0 && entries.size() > most) entries.resize(most);
    if (!entries.empty()) found.emplace_back(run.args[first + i], std::move(entries));
  }
  bool map = run.session.protocol == 3;
  if (found.empty()) {
    run.reply += map ? "_\r\n" : "*-1\r\n";
    return;
  }
  run.reply += map ? run.map_header(found.size()) : fmt::format("*{}\r\n", found.size());
  for (const auto& [key, entries] : found) {
    if (!map) run.array(2);
    run.bulk(key);
    reply_entries(run, entries);
  }
}

}  // namespace

void add_stream_rows(std::vector<CommandRow>* rows) {
  auto add = [&](const char* name, int weight, Arguments (*draw)(Draw&), void (*run)(ModelRun&)) {
    rows->push_back({"streams", name, weight, draw, run, "streams"});
  };
  add("XADD", 24, draw_xadd, run_xadd);
  add("XDEL", 5, draw_xdel, run_xdel);
  add("XTRIM", 2, draw_xtrim, run_xtrim);
  add("XREAD", 6, draw_xread, run_xread);
  add(
      "XLEN", 3,
      [](Draw& d) {
        return Arguments{"XLEN", d.stream_key()};
      },
      run_xlen);
  add(
      "XRANGE", 5, [](Draw& d) { return draw_range(d, false); }, run_range);
  add(
      "XREVRANGE", 3, [](Draw& d) { return draw_range(d, true); }, run_range);
}

}  // namespace varve::prove
