// Lists: drawing and meaning. Those that wait for an element: what they wait for is the oracle's affair
// (sim_oracle.cc); here they take what there is.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "prove/sim_commands.h"

namespace varve::prove {
namespace {

constexpr Slot::Type kList = Slot::Type::kList;
using Elements = std::vector<std::string>;

const Elements& elements_of(const Slot* slot) {
  static const Elements none;
  return slot ? slot->elements : none;
}

// The list of the first argument as it is, to be changed: empty if there is none.
struct Opened {
  bool wrong = false;  // it is something else, which was replied
  bool there = false;
  Slot slot;

  Opened(ModelRun& run, const std::string& key) {
    const Slot* found = run.find(key, kList, &wrong);
    there = found != nullptr && !wrong;
    if (there) slot = *found;
    slot.type = kList;
  }
  Elements& elements() { return slot.elements; }
};

// --- pushing ---

Arguments draw_push(Draw& draw, const char* name) {
  Arguments args = {name, draw.list_key()};
  uint64_t n = draw.random.one_in(10) ? 20 + draw.random.below(60) : draw.some();
  for (; n > 0; --n) args.push_back(draw.element());
  return args;
}

void add_at_end(Elements* elements, bool left, const std::string& element) {
  elements->insert(left ? elements->begin() : elements->end(), element);
}

// LPUSH, RPUSH, LPUSHX, RPUSHX
void run_push(ModelRun& run) {
  Opened list(run, run.args[1]);
  if (list.wrong) return;
  if (run.args[0].ends_with('X') && !list.there) return run.integer(0);
  for (size_t i = 2; i < run.args.size(); ++i)
    add_at_end(&list.elements(), run.args[0][0] == 'L', run.args[i]);
  run.integer(static_cast<int64_t>(list.elements().size()));
  run.place(run.args[1], std::move(list.slot));
}

// --- popping ---

Arguments draw_pop(Draw& draw, const char* name) {
  Arguments args = {name, draw.list_key()};
  if (draw.random.one_in(3))
    args.push_back(std::to_string(draw.random.below(draw.random.one_in(5) ? 80 : 5)));
  return args;
}

// The list without so many elements of an end, which are replied.
void pop_elements(ModelRun& run, const std::string& key, Slot list, bool left, size_t count) {
  Elements& elements = list.elements;
  for (; count > 0; --count) {
    run.bulk(left ? elements.front() : elements.back());
    elements.erase(left ? elements.begin() : elements.end() - 1);
  }
  run.place(key, std::move(list));
}

// LPOP, RPOP
void run_pop(ModelRun& run) {
  bool counted = run.args.size() > 2;
  size_t count = counted ? static_cast<size_t>(number_at(run, 2)) : 1;
  Opened list(run, run.args[1]);
  if (list.wrong) return;
  if (!list.there) return counted ? run.null_array() : run.null();
  count = std::min(count, list.elements().size());
  if (counted) run.array(count);
  if (count > 0) pop_elements(run, run.args[1], std::move(list.slot), run.args[0] == "LPOP", count);
}

// A list to be popped from. Whoever has waited passes over what is none. False: that was replied.
bool find_to_pop(ModelRun& run, const std::string& key, const Slot** slot) {
  bool wrong = false;
  *slot = run.waited ? run.find(key) : run.find(key, kList, &wrong);
  if (*slot != nullptr && (*slot)->type != kList) *slot = nullptr;
  return !wrong;
}

struct Pop {
  size_t first_key = 1;
  size_t keys = 1;
  bool left = true;
  size_t count = 1;
  bool nested = false;
};

// False: none of the keys has anything, and nothing was replied.
bool pop_first(ModelRun& run, const Pop& pop) {
  for (size_t i = pop.first_key; i < pop.first_key + pop.keys; ++i) {
    const Slot* slot = nullptr;
    if (!find_to_pop(run, run.args[i], &slot)) return true;
    if (slot == nullptr) continue;
    size_t count = std::min(pop.count, slot->elements.size());
    run.array(2);
    run.bulk(run.args[i]);
    if (pop.nested) run.array(count);
    pop_elements(run, run.args[i], *slot, pop.left, count);
    return true;
  }
  return false;
}

// BLPOP, BRPOP
void run_blocking_pop(ModelRun& run) {
  Pop pop{.keys = run.args.size() - 2, .left = run.args[0] == "BLPOP"};
  if (pop_first(run, pop)) return;
  run.waits = true;
  run.null_array();
}

// LMPOP numkeys key... LEFT|RIGHT [COUNT n], BLMPOP timeout numkeys ...
void run_mpop(ModelRun& run) {
  bool waits = run.args[0] == "BLMPOP";
  size_t at = waits ? 2 : 1;
  Pop pop{.first_key = at + 1, .keys = static_cast<size_t>(number_at(run, at)), .nested = true};
  size_t behind = pop.first_key + pop.keys;
  pop.left = run.args[behind] == "LEFT";
  if (run.args.size() > behind + 1) pop.count = static_cast<size_t>(number_at(run, behind + 2));
  if (pop_first(run, pop)) return;
  run.waits = waits;
  run.null_array();
}

Arguments draw_blocking_pop(Draw& draw, const char* name) {
  Arguments args = {name};
  for (uint64_t n = 1 + draw.random.below(3); n > 0; --n) args.push_back(draw.list_key());
  args.push_back(draw_timeout(draw));
  return args;
}

Arguments draw_mpop(Draw& draw, const char* name, bool waits) {
  Arguments args = {name};
  if (waits) args.push_back(draw_timeout(draw));
  uint64_t keys = 1 + draw.random.below(3);
  args.push_back(std::to_string(keys));
  for (; keys > 0; --keys) args.push_back(draw.list_key());
  args.push_back(draw.random.one_in(2) ? "LEFT" : "RIGHT");
  if (draw.random.one_in(2)) args.insert(args.end(), {"COUNT", std::to_string(1 + draw.random.below(20))});
  return args;
}

// --- moving ---

Arguments draw_move(Draw& draw, const char* name, bool ends, bool waits) {
  Arguments args = {name, draw.list_key(), draw.list_key()};
  for (int i = 0; ends && i < 2; ++i) args.push_back(draw.random.one_in(2) ? "LEFT" : "RIGHT");
  if (waits) args.push_back(draw_timeout(draw));
  return args;
}

// False: there is no source, and nothing was replied.
bool move_element(ModelRun& run, bool from_left, bool to_left) {
  const std::string& from = run.args[1];
  const std::string& to = run.args[2];
  const Slot* source = nullptr;
  if (!find_to_pop(run, from, &source)) return true;
  if (source == nullptr) return false;
  Slot rest = *source;
  Opened target(run, to);
  if (target.wrong) return true;
  std::string element = from_left ? rest.elements.front() : rest.elements.back();
  run.bulk(element);
  rest.elements.erase(from_left ? rest.elements.begin() : rest.elements.end() - 1);
  if (from == to) {
    add_at_end(&rest.elements, to_left, element);
    if (rest.elements != source->elements) run.place(from, std::move(rest));
    return true;
  }
  run.place(from, std::move(rest));
  add_at_end(&target.elements(), to_left, element);
  run.place(to, std::move(target.slot));
  return true;
}

// LMOVE, RPOPLPUSH and those that wait for it
void run_move(ModelRun& run) {
  bool ends = run.args[0].ends_with("MOVE");
  if (move_element(run, ends && run.args[3] == "LEFT", !ends || run.args[4] == "LEFT")) return;
  run.waits = run.args[0][0] == 'B';
  run.null();
}

// --- by index and by value ---

void run_llen(ModelRun& run) {
  bool wrong = false;
  const Elements& elements = elements_of(run.find(run.args[1], kList, &wrong));
  if (!wrong) run.integer(static_cast<int64_t>(elements.size()));
}

// False: there is no such element.
bool resolve(int64_t index, size_t size, size_t* resolved) {
  if (index < 0) index += static_cast<int64_t>(size);
  *resolved = static_cast<size_t>(index);
  return index >= 0 && *resolved < size;
}

void run_lindex(ModelRun& run) {
  bool wrong = false;
  const Elements& elements = elements_of(run.find(run.args[1], kList, &wrong));
  size_t at = 0;
  if (wrong) return;
  resolve(number_at(run, 2), elements.size(), &at) ? run.bulk(elements[at]) : run.null();
}

void run_lset(ModelRun& run) {
  Opened list(run, run.args[1]);
  size_t at = 0;
  if (list.wrong) return;
  if (!list.there) return run.error("ERR no such key");
  if (!resolve(number_at(run, 2), list.elements().size(), &at)) return run.error("ERR index out of range");
  run.ok();
  if (list.elements()[at] == run.args[3]) return;
  list.elements()[at] = run.args[3];
  run.place(run.args[1], std::move(list.slot));
}

void run_lrange(ModelRun& run) {
  bool wrong = false;
  const Elements& elements = elements_of(run.find(run.args[1], kList, &wrong));
  if (wrong) return;
  size_t first = 0;
  size_t count = 0;
  index_range(number_at(run, 2), number_at(run, 3), elements.size(), &first, &count);
  run.array(count);
  for (size_t i = first; i < first + count; ++i) run.bulk(elements[i]);
}

void run_ltrim(ModelRun& run) {
  Opened list(run, run.args[1]);
  if (list.wrong) return;
  run.ok();
  size_t first = 0;
  size_t count = 0;
  Elements& elements = list.elements();
  index_range(number_at(run, 2), number_at(run, 3), elements.size(), &first, &count);
  if (count == elements.size()) return;
  auto begin = elements.begin() + static_cast<std::ptrdiff_t>(first);
  elements = Elements(begin, begin + static_cast<std::ptrdiff_t>(count));
  run.place(run.args[1], std::move(list.slot));
}

void run_linsert(ModelRun& run) {
  Opened list(run, run.args[1]);
  if (list.wrong) return;
  if (!list.there) return run.integer(0);
  auto at = std::find(list.elements().begin(), list.elements().end(), run.args[3]);
  if (at == list.elements().end()) return run.integer(-1);
  list.elements().insert(at + (run.args[2] == "AFTER" ? 1 : 0), run.args[4]);
  run.integer(static_cast<int64_t>(list.elements().size()));
  run.place(run.args[1], std::move(list.slot));
}

void run_lrem(ModelRun& run) {
  Opened list(run, run.args[1]);
  if (list.wrong) return;
  int64_t wanted = number_at(run, 2);
  Elements& elements = list.elements();
  if (wanted < 0) std::reverse(elements.begin(), elements.end());
  size_t most = wanted == 0 ? elements.size() : static_cast<size_t>(std::abs(wanted));
  size_t before = elements.size();
  std::erase_if(elements, [&](const std::string& one) {
    if (most == 0 || one != run.args[3]) return false;
    --most;
    return true;
  });
  if (wanted < 0) std::reverse(elements.begin(), elements.end());
  run.integer(static_cast<int64_t>(before - elements.size()));
  if (elements.size() < before) run.place(run.args[1], std::move(list.slot));
}

Arguments draw_lpos(Draw& draw) {
  Arguments args = {"LPOS", draw.list_key(), draw.element()};
  auto add = [&](const char* word, int64_t value) { args.insert(args.end(), {word, std::to_string(value)}); };
  int64_t rank = 1 + static_cast<int64_t>(draw.random.below(4));
  if (draw.random.one_in(2)) add("RANK", draw.random.one_in(2) ? rank : -rank);
  if (draw.random.one_in(2)) add("COUNT", static_cast<int64_t>(draw.random.below(4)));
  if (draw.random.one_in(4)) add("MAXLEN", static_cast<int64_t>(draw.random.below(30)));
  return args;
}

void run_lpos(ModelRun& run) {
  int64_t rank = 1;
  int64_t most = -1;
  int64_t longest = 0;
  for (size_t i = 3; i < run.args.size(); i += 2) {
    int64_t* option = run.args[i] == "RANK" ? &rank : run.args[i] == "COUNT" ? &most : &longest;
    *option = number_at(run, i + 1);
  }
  bool wrong = false;
  const Elements& elements = elements_of(run.find(run.args[1], kList, &wrong));
  if (wrong) return;
  bool counted = most >= 0;
  size_t wanted = !counted ? 1 : most == 0 ? SIZE_MAX : static_cast<size_t>(most);
  auto looks = std::min(elements.size(), longest == 0 ? SIZE_MAX : static_cast<size_t>(longest));
  int64_t skipped = std::abs(rank) - 1;
  std::vector<size_t> found;
  for (size_t i = 0; i < looks && found.size() < wanted; ++i) {
    size_t at = rank > 0 ? i : elements.size() - 1 - i;
    if (elements[at] == run.args[2] && skipped-- <= 0) found.push_back(at);
  }
  if (!counted) return found.empty() ? run.null() : run.integer(static_cast<int64_t>(found[0]));
  run.array(found.size());
  for (size_t at : found) run.integer(static_cast<int64_t>(at));
}

// Mostly what is left is long; a list that has grown shrinks by this and by popping.
Arguments draw_ltrim(Draw& draw) {
  if (draw.random.one_in(3)) return {"LTRIM", draw.list_key(), draw_index(draw), draw_index(draw)};
  return {"LTRIM", draw.list_key(), std::to_string(draw.random.below(3)),
          std::to_string(-1 - static_cast<int64_t>(draw.random.below(30)))};
}

void add_end_rows(std::vector<CommandRow>* rows) {
  auto add = [&](const char* name, int weight, Arguments (*draw)(Draw&), void (*run)(ModelRun&)) {
    rows->push_back({"lists", name, weight, draw, run, "lists"});
  };
  using D = Draw&;
  add(
      "LPUSH", 14, [](D d) { return draw_push(d, "LPUSH"); }, run_push);
  add(
      "RPUSH", 20, [](D d) { return draw_push(d, "RPUSH"); }, run_push);
  add(
      "LPUSHX", 3, [](D d) { return draw_push(d, "LPUSHX"); }, run_push);
  add(
      "RPUSHX", 3, [](D d) { return draw_push(d, "RPUSHX"); }, run_push);
  add(
      "LPOP", 16, [](D d) { return draw_pop(d, "LPOP"); }, run_pop);
  add(
      "RPOP", 8, [](D d) { return draw_pop(d, "RPOP"); }, run_pop);
  add(
      "LMPOP", 5, [](D d) { return draw_mpop(d, "LMPOP", false); }, run_mpop);
  add(
      "LMOVE", 8, [](D d) { return draw_move(d, "LMOVE", true, false); }, run_move);
  add(
      "RPOPLPUSH", 4, [](D d) { return draw_move(d, "RPOPLPUSH", false, false); }, run_move);
}

void add_blocking_rows(std::vector<CommandRow>* rows) {
  auto add = [&](const char* name, int weight, Arguments (*draw)(Draw&), void (*run)(ModelRun&)) {
    rows->push_back({"blocking", name, weight, draw, run, "blocking"});
  };
  using D = Draw&;
  add(
      "BLPOP", 5, [](D d) { return draw_blocking_pop(d, "BLPOP"); }, run_blocking_pop);
  add(
      "BRPOP", 3, [](D d) { return draw_blocking_pop(d, "BRPOP"); }, run_blocking_pop);
  add(
      "BLMPOP", 3, [](D d) { return draw_mpop(d, "BLMPOP", true); }, run_mpop);
  add(
      "BLMOVE", 4, [](D d) { return draw_move(d, "BLMOVE", true, true); }, run_move);
  add(
      "BRPOPLPUSH", 2, [](D d) { return draw_move(d, "BRPOPLPUSH", false, true); }, run_move);
}

}  // namespace

void add_list_rows(std::vector<CommandRow>* rows) {
  auto add = [&](const char* name, int weight, Arguments (*draw)(Draw&), void (*run)(ModelRun&)) {
    rows->push_back({"lists", name, weight, draw, run, "lists"});
  };
  using D = Draw&;
  add_end_rows(rows);
  add(
      "LLEN", 3,
      [](D d) {
        return Arguments{"LLEN", d.list_key()};
      },
      run_llen);
  add(
      "LINDEX", 5,
      [](D d) {
        return Arguments{"LINDEX", d.list_key(), draw_index(d)};
      },
      run_lindex);
  add(
      "LSET", 6,
      [](D d) {
        return Arguments{"LSET", d.list_key(), draw_index(d), d.element()};
      },
      run_lset);
  add(
      "LRANGE", 8,
      [](D d) {
        return Arguments{"LRANGE", d.list_key(), draw_index(d), draw_index(d)};
      },
      run_lrange);
  add("LTRIM", 4, draw_ltrim, run_ltrim);
  add(
      "LINSERT", 5,
      [](D d) {
        const char* where = d.random.one_in(2) ? "BEFORE" : "AFTER";
        return Arguments{"LINSERT", d.list_key(), where, d.element(), d.element()};
      },
      run_linsert);
  add(
      "LREM", 5,
      [](D d) {
        std::string count = std::to_string(static_cast<int64_t>(d.random.below(7)) - 3);
        return Arguments{"LREM", d.list_key(), count, d.element()};
      },
      run_lrem);
  add("LPOS", 4, draw_lpos, run_lpos);
  add_blocking_rows(rows);
}

}  // namespace varve::prove
