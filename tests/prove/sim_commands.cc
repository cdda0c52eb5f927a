#include "prove/sim_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace varve::prove {

std::string Draw::key() {
  if (random.one_in(60)) return any_key();
  // A few hot keys, and a shared prefix as real keys have.
  uint64_t n = random.one_in(3) ? random.below(options.hot_keys) : random.below(options.keys);
  return fmt::format("key:{:05}", n);
}

std::string Draw::hash_key() {
  return random.one_in(40) ? set_key() : fmt::format("hash:{}", random.below(1 + options.keys / 12));
}

std::string Draw::set_key() {
  return random.one_in(40) ? key() : fmt::format("set:{}", random.below(1 + options.keys / 12));
}

std::string Draw::stream_key() {
  return random.one_in(40) ? key() : fmt::format("stream:{}", random.below(1 + options.keys / 20));
}

std::string Draw::any_key() {
  switch (random.below(9)) {
    case 0:
      return hash_key();
    case 1:
      return set_key();
    case 2:
      return list_key();
    case 3:
      return zset_key();
    case 4:
      return stream_key();
    default:
      return key();
  }
}

// Who pushes mostly means those who wait.
bool Draw::draw_awaited(std::string_view prefix, std::string* key) {
  if (awaited.empty() || random.one_in(2)) return false;
  *key = awaited[random.below(awaited.size())];
  return key->starts_with(prefix);
}

std::string Draw::list_key() {
  std::string key;
  if (draw_awaited("list:", &key)) return key;
  return random.one_in(60) ? any_key() : fmt::format("list:{}", random.below(2 + options.keys / 16));
}

std::string Draw::zset_key() {
  std::string key;
  if (draw_awaited("zset:", &key)) return key;
  return random.one_in(60) ? any_key() : fmt::format("zset:{}", random.below(2 + options.keys / 16));
}

std::string Draw::lex_key() {
  return fmt::format("lex:{}", random.below(2));
}

std::string Draw::sum_key() {
  return fmt::format("sum:{}", random.below(2));
}

std::string Draw::scored_member() {
  uint64_t n = random.below(options.scored);
  return fmt::format("{}{}", n % 3 == 0 ? "" : "member:", n) + std::string(n % 32 == 1 ? 100 : 0, '.');
}

std::string Draw::score() {
  if (random.one_in(80)) return random.one_in(2) ? "inf" : "-inf";
  // Few, so that many members share one; or fine ones.
  int64_t quarters = random.one_in(2) ? 4 * (static_cast<int64_t>(random.below(9)) - 4)
                                      : static_cast<int64_t>(random.below(4000)) - 2000;
  return real_text(static_cast<double>(quarters) / 4);
}

std::string Draw::element() {
  return random.one_in(3) ? fmt::format("element:{}", random.below(8)) : value();
}

std::string Draw::field() {
  uint64_t n = random.below(options.fields);
  if (n % 3 == 0) return std::to_string(n);
  return fmt::format("field:{}{}", n, std::string(n % 16 == 1 ? 100 : 0, '.'));
}

std::string Draw::member(std::string_view set) {
  return set.back() % 2 == 0 && !random.one_in(400) ? std::to_string(random.below(options.fields)) : field();
}

std::string Draw::number_key() {
  return random.one_in(10) ? key() : fmt::format("number:{}", random.below(1 + options.keys / 8));
}

std::string Draw::value() {
  uint64_t size = random.below(options.value_size + 1);
  if (options.large_one_in > 0 && random.one_in(options.large_one_in)) size = 4000 + random.below(30'000);
  if (options.huge_one_in > 0 && random.one_in(options.huge_one_in)) size = (1 << 20) + random.below(1 << 19);
  return value_of(size);
}

std::string Draw::value_of(uint64_t size) {
  std::string value = fmt::format("<{}>", ++tag_);
  char filler = static_cast<char>('a' + random.below(26));
  value.append(size, filler);
  // Long ones must show which part of them is where.
  for (size_t at = 4096; at < value.size(); at += 4096) value[at] = static_cast<char>('A' + at / 4096 % 26);
  return value;
}

std::string Draw::integer() {
  return std::to_string(static_cast<int64_t>(random.below(2000)) - 1000);
}

const std::vector<CommandRow>& all_commands() {
  static const std::vector<CommandRow> rows = [] {
    std::vector<CommandRow> all;
    add_string_rows(&all);
    add_hash_rows(&all);
    add_set_rows(&all);
    add_list_rows(&all);
    add_sorted_set_rows(&all);
    add_sorted_set_range_rows(&all);
    add_stream_rows(&all);
    add_key_rows(&all);
    add_scan_rows(&all);
    add_connection_rows(&all);
    add_transaction_rows(&all);
    return all;
  }();
  return rows;
}

const CommandRow* find_command(std::string_view name) {
  static const auto by_name = [] {
    std::unordered_map<std::string_view, const CommandRow*> map;
    for (const CommandRow& row : all_commands()) map[row.name] = &row;
    return map;
  }();
  auto at = by_name.find(name);
  return at == by_name.end() ? nullptr : at->second;
}

Arguments draw_member_scan(Draw& draw, const char* name, const std::string& key) {
  Arguments args = {name, key,
                    draw.random.one_in(2) ? "0" : std::to_string(draw.random.below(uint64_t{1} << 32))};
  if (draw.random.one_in(2)) args.insert(args.end(), {"COUNT", std::to_string(1 + draw.random.below(400))});
  return args;
}

bool may_be_queued(const CommandRow& row) {
  std::string_view family = row.family;
  return family == "strings" || family == "hashes" || family == "sets" || family == "lists" ||
         family == "sorted-sets" || family == "streams" || family == "blocking" || family == "keys" ||
         family == "scan" || family == "databases";
}

bool parse_number(std::string_view text, int64_t* value) {
  if (!is_integer(text)) return false;
  bool negative = text[0] == '-';
  // Digits are drawn short: only their number could be too large.
  __int128 sum = 0;
  for (char c : text.substr(negative ? 1 : 0)) {
    sum = sum * 10 + (c - '0');
    if (sum > (__int128{1} << 64)) return false;
  }
  if (negative) sum = -sum;
  if (sum > INT64_MAX || sum < INT64_MIN) return false;
  *value = static_cast<int64_t>(sum);
  return true;
}

int64_t number_at(const ModelRun& run, size_t at) {
  int64_t value = 0;
  parse_number(run.args[at], &value);
  return value;
}

std::string draw_timeout(Draw& draw) {
  if (draw.random.one_in(3)) return "0";
  return fmt::format("0.{:03}", 1 + draw.random.below(draw.random.one_in(3) ? 900 : 30));
}

int64_t timeout_ms(const Arguments& args) {
  const std::string& text = args[0].ends_with("MPOP") ? args[1] : args.back();
  return static_cast<int64_t>(std::strtod(text.c_str(), nullptr) * 1000 + 0.5);
}

void index_range(int64_t start, int64_t stop, size_t size, size_t* first, size_t* count) {
  auto length = static_cast<int64_t>(size);
  start = std::max<int64_t>(0, start < 0 ? start + length : start);
  stop = std::min(length - 1, stop < 0 ? stop + length : stop);
  *first = start > stop ? 0 : static_cast<size_t>(start);
  *count = start > stop ? 0 : static_cast<size_t>(stop - start + 1);
}

std::string draw_index(Draw& draw) {
  int64_t index = static_cast<int64_t>(draw.random.below(draw.random.one_in(4) ? 600 : 8));
  return std::to_string(draw.random.one_in(2) ? index : -1 - index);
}

bool is_integer(std::string_view text) {
  std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || digits.size() > 19) return false;
  for (char c : digits) {
    if (c < '0' || c > '9') return false;
  }
  return digits[0] != '0' || text == "0";
}

bool add_quarters(const std::string* old, const std::string& by, std::string* sum) {
  long double value = 0;
  if (old != nullptr) {
    char* end = nullptr;
    value = std::strtold(old->c_str(), &end);
    if (old->empty() || end != old->c_str() + old->size() || old->size() > 30) return false;
  }
  value += std::strtold(by.c_str(), nullptr);
  *sum = fmt::format("{:.17f}", value);
  sum->erase(sum->find_last_not_of('0') + 1);
  if (sum->back() == '.') sum->pop_back();
  if (*sum == "-0") *sum = "0";
  return true;
}

bool same_word(std::string_view text, std::string_view upper) {
  if (text.size() != upper.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (std::toupper(static_cast<unsigned char>(text[i])) != upper[i]) return false;
  }
  return true;
}

}  // namespace varve::prove
