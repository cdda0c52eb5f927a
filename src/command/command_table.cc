#include "command/command_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "command/numbers.h"

namespace varve {
namespace {

constexpr size_t kNameMax = 64;

// Eight bytes with A-Z lowered.
uint64_t lower_word(uint64_t word) {
  constexpr uint64_t kEach = 0x0101010101010101;
  uint64_t low_bits = word & 0x7f * kEach;
  uint64_t from_a = low_bits + (0x80 - 'A') * kEach;  // their top bits: at or behind A, behind Z
  uint64_t behind_z = low_bits + (0x7f - 'Z') * kEach;
  return word | ((from_a ^ behind_z) & ~word & 0x80 * kEach) >> 2;
}

// A name in lower case, and its hash.
struct LowerName {
  char bytes[kNameMax];
  size_t size = 0;
  uint64_t hash = 0;

  std::string_view view() const { return {bytes, size}; }
};

// False: too long to be a command.
bool lower_name(std::string_view name, LowerName* lower) {
  if (name.size() > kNameMax) return false;
  lower->size = name.size();
  uint64_t hash = name.size();
  for (size_t at = 0; at < name.size(); at += 8) {
    uint64_t word = 0;
    if (name.size() - at >= 8)
      std::memcpy(&word, name.data() + at, 8);
    else
      std::memcpy(&word, name.data() + at, name.size() - at);
    word = lower_word(word);
    std::memcpy(lower->bytes + at, &word, 8);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 32;
  }
  lower->hash = hash;
  return true;
}

// The text of the lowest bit of `bit` in a list of names.
template <size_t N>
const char* bit_name(const char* const (&names)[N], uint32_t bit) {
  int index = std::countr_zero(bit);
  return bit != 0 && static_cast<size_t>(index) < N ? names[index] : nullptr;
}

// False when the number of keys is none, or larger than what follows it.
bool find_counted_keys(const KeySpec& spec, const std::vector<std::string_view>& args,
                       std::vector<FoundKey>* keys) {
  auto at = static_cast<size_t>(spec.first);
  int64_t count = 0;
  if (at >= args.size() || !parse_integer(args[at], &count)) return false;
  if (count < 1 || static_cast<uint64_t>(count) > args.size() - at - 1) return false;
  for (int i = 1; i <= static_cast<int>(count); ++i) keys->push_back({spec.first + i, spec.flags});
  return true;
}

// False when the keyword is not there. What is last cannot be it.
bool find_keys_behind(const KeySpec& spec, const std::vector<std::string_view>& args,
                      std::vector<FoundKey>* keys) {
  VARVE_CHECK(spec.limit > 0);
  std::string word(spec.keyword);
  for (char& c : word) c = static_cast<char>(c + ('a' - 'A'));
  auto at = static_cast<size_t>(spec.start_from);
  while (at + 1 < args.size() && !equals_ignoring_case(args[at], word)) ++at;
  if (at + 1 >= args.size()) return false;
  size_t count = (args.size() - at - 1) / static_cast<size_t>(spec.limit);
  for (size_t i = 1; i <= count; ++i) keys->push_back({static_cast<int>(at + i), spec.flags});
  return count > 0;
}

}  // namespace

void CommandTable::add(Command command) {
  command.full_name = command.name;
  for (Command& sub : command.subcommands) sub.full_name = command.full_name + "|" + sub.name;
  commands_.push_back(std::make_unique<Command>(std::move(command)));
}

void CommandTable::freeze() {
  slots_.assign(std::bit_ceil(commands_.size() * 4 + 16), nullptr);
  for (const auto& command : commands_) {
    LowerName name;
    VARVE_CHECK(lower_name(command->name, &name));
    size_t slot = name.hash & (slots_.size() - 1);
    while (slots_[slot] != nullptr) {
      VARVE_CHECK(std::strcmp(slots_[slot]->name, command->name) != 0);
      slot = (slot + 1) & (slots_.size() - 1);
    }
    slots_[slot] = command.get();
  }
  number_commands();
}

// By name: descriptions of ACL users list single commands in this order.
void CommandTable::number_commands() {
  for (const auto& command : commands_) {
    by_index_.push_back(command.get());
    for (Command& sub : command->subcommands) {
      sub.parent = command.get();
      by_index_.push_back(&sub);
    }
  }
  std::sort(by_index_.begin(), by_index_.end(),
            [](const Command* a, const Command* b) { return a->full_name < b->full_name; });
  VARVE_CHECK(by_index_.size() <= kCommandsMax - kAclCategories - 1);
  for (const auto& command : commands_) {
    for (Command& sub : command->subcommands) sub.index = index_of(sub);
    command->index = index_of(*command);
  }
  for (const Command* command : by_index_) {
    for (uint32_t number = 0; number < kAclCategories; ++number) {
      if ((command->categories >> number & 1) != 0) in_category_[number].set(command->index);
    }
  }
}

uint32_t CommandTable::index_of(const Command& command) const {
  auto found =
      std::lower_bound(by_index_.begin(), by_index_.end(), &command,
                       [](const Command* a, const Command* b) { return a->full_name < b->full_name; });
  return static_cast<uint32_t>(found - by_index_.begin());
}

const Command* CommandTable::find(std::string_view name) const {
  LowerName lower;
  if (!lower_name(name, &lower)) return nullptr;
  for (size_t slot = lower.hash & (slots_.size() - 1); slots_[slot] != nullptr;
       slot = (slot + 1) & (slots_.size() - 1)) {
    if (slots_[slot]->full_name == lower.view()) return slots_[slot];
  }
  return nullptr;
}

const Command* CommandTable::find_subcommand(const Command& container, std::string_view name) {
  for (const Command& sub : container.subcommands) {
    if (equals_ignoring_case(name, sub.name)) return &sub;
  }
  return nullptr;
}

const Command* CommandTable::find_by_full_name(std::string_view name) const {
  size_t bar = name.find('|');
  const Command* command = find(name.substr(0, bar));
  if (command == nullptr || bar == std::string_view::npos) return command;
  return find_subcommand(*command, name.substr(bar + 1));
}

void CommandTable::reset_stats() {
  for (const auto& command : commands_) {
    command->stats = CommandStats();
    for (const Command& sub : command->subcommands) sub.stats = CommandStats();
  }
}

bool has_keys(const Command& command) {
  if (command.find_keys != nullptr) return true;
  for (const KeySpec& spec : command.keys) {
    if ((spec.flags & kKeyNotKey) == 0) return true;
  }
  return false;
}

bool find_keys(const Command& command, const std::vector<std::string_view>& args,
               std::vector<FoundKey>* keys) {
  if (!command.arity_fits(args.size())) return false;
  if (command.find_keys != nullptr) {
    command.find_keys(args, keys);
    return true;
  }
  int argc = static_cast<int>(args.size());
  size_t before = keys->size();
  for (const KeySpec& spec : command.keys) {
    if ((spec.flags & kKeyNotKey) != 0) continue;
    if (spec.keyword != nullptr && !find_keys_behind(spec, args, keys)) {
      keys->resize(before);
      return false;
    }
    if (spec.first == 0) continue;
    if (spec.counted) {
      if (find_counted_keys(spec, args, keys)) continue;
      keys->resize(before);
      return false;
    }
    int last = spec.last < 0 ? argc + spec.last : spec.last;
    int step = std::max(spec.step, 1);
    for (int i = spec.first; i <= last && i < argc; i += step) keys->push_back({i, spec.flags});
  }
  return true;
}

const char* command_flag_name(uint32_t flag) {
  static constexpr const char* kNames[] = {
      "write",         "readonly",         "denyoom",  "module",      "admin",
      "pubsub",        "noscript",         "blocking", "loading",     "stale",
      "skip_monitor",  "skip_slowlog",     "asking",   "fast",        "no_auth",
      "may_replicate", "no_async_loading", "no_multi", "movablekeys", "allow_busy"};
  return bit_name(kNames, flag);
}

const char* acl_category_name(uint32_t category) {
  static constexpr const char* kNames[] = {
      "keyspace", "read",   "write",       "set",       "sortedset",  "list",        "hash",
      "string",   "bitmap", "hyperloglog", "geo",       "stream",     "pubsub",      "admin",
      "fast",     "slow",   "blocking",    "dangerous", "connection", "transaction", "scripting"};
  return bit_name(kNames, category);
}

const char* key_flag_name(uint32_t flag) {
  static constexpr const char* kNames[] = {
      "RO",     "RW",     "OW",      "RM",         "access",        "update",
      "insert", "delete", "not_key", "incomplete", "variable_flags"};
  return bit_name(kNames, flag);
}

void build_command_table(CommandTable& table, void (*add_more)(CommandTable&)) {
  add_string_commands(table);
  add_bit_commands(table);
  add_lcs_commands(table);
  add_hyperloglog_commands(table);
  add_geo_commands(table);
  add_key_commands(table);
  add_scan_commands(table);
  add_hash_commands(table);
  add_set_commands(table);
  add_list_commands(table);
  add_list_end_commands(table);
  add_sorted_set_commands(table);
  add_stream_commands(table);
  add_sort_commands(table);
  add_connection_commands(table);
  add_client_commands(table);
  add_admin_commands(table);
  add_introspection_commands(table);
  add_transaction_commands(table);
  add_pubsub_commands(table);
  add_observation_commands(table);
  add_memory_commands(table);
  add_acl_commands(table);
  if (add_more != nullptr) add_more(table);
  table.freeze();
}

}  // namespace varve
