// acl_selector.cc: one set of permissions: rules that change it, its check, its description.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cctype>

#include "command/acl_user.h"
#include "command/glob.h"
#include "command/numbers.h"

namespace varve {
namespace {

// Stands for commands that later versions have: only +@all sets it.
constexpr size_t kFutureCommands = kCommandsMax - 1;

bool same_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
         });
}

// A category without commands is remembered by a bit of its own, so that what was said about it is still
// there when a later version has commands in it.
CommandBits members(const CommandTable& table, uint32_t category) {
  CommandBits bits = table.in_category(category);
  if (bits.none()) bits.set(kFutureCommands - 1 - category);
  return bits;
}

// With the subcommands of its containers: rules about a container mean them too.
CommandBits reach(const CommandTable& table, uint32_t category) {
  CommandBits bits = members(table, category);
  for (const Command* command : table.by_index()) {
    if (command->parent != nullptr && bits.test(command->parent->index)) bits.set(command->index);
  }
  return bits;
}

uint8_t access_of(uint32_t key_flags) {
  uint8_t access = 0;
  if ((key_flags & kKeyAccess) != 0) access |= kReadKeys;
  if ((key_flags & (kKeyInsert | kKeyDelete | kKeyUpdate)) != 0) access |= kWriteKeys;
  return access;
}

// The first argument of a command, behind its name (and, of a subcommand, that one's).
size_t first_argument_of(const Command& command) {
  return command.parent != nullptr ? 2 : 1;
}

// Chooses the categories that come nearest to a set of commands, one after another, as Redis does.
class CategoryChoice {
 public:
  CategoryChoice(const CommandTable& table, const CommandBits& wanted, bool additive)
      : table_(table), left_(wanted), additive_(additive) {}

  // The number of the next one; -1: none is nearer than none.
  int next() {
    int best = -1;
    size_t least = SIZE_MAX, most = 0;
    for (uint32_t number = 0; number < kAclCategories; ++number) {
      if ((taken_ >> number & 1) != 0) continue;
      CommandBits all = members(table_, number);
      size_t on = (all & left_).count();
      size_t off = all.count() - on;
      size_t wrong = additive_ ? off : on;
      size_t right = additive_ ? on : off;
      if (right <= wrong || wrong > least || (wrong == least && right <= most)) continue;
      best = static_cast<int>(number);
      least = wrong;
      most = right;
    }
    if (best < 0) return best;
    taken_ |= 1u << best;
    CommandBits covered = reach(table_, static_cast<uint32_t>(best));
    left_ = additive_ ? left_ & ~covered : left_ | covered;
    return best;
  }

 private:
  const CommandTable& table_;
  CommandBits left_;
  bool additive_;
  uint32_t taken_ = 0;
};

}  // namespace

bool acl_has_blanks(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return c == '\0' || std::isspace(static_cast<unsigned char>(c)); });
}

bool acl_channel_matches(const std::vector<std::string>& patterns, std::string_view channel,
                         bool is_pattern) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return is_pattern ? pattern == channel : glob_matches(pattern, channel);
  });
}

// --- rules ---

AclRuleError AclSelector::apply(const AclRules& rules, std::string_view rule) {
  // Names end at a NUL, as in Redis; patterns hold none.
  std::string_view word = rule.substr(0, rule.find('\0'));
  auto is = [word](const char* name) { return equals_ignoring_case(word, name); };
  if (is("allkeys") || is("~*")) {
    all_keys_ = true;
    keys_.clear();
  } else if (is("resetkeys")) {
    all_keys_ = false;
    keys_.clear();
  } else if (is("allchannels") || is("&*")) {
    all_channels_ = true;
    channels_.clear();
  } else if (is("resetchannels")) {
    all_channels_ = false;
    channels_.clear();
  } else if (is("allcommands") || is("+@all")) {
    set_all(true);
  } else if (is("nocommands") || is("-@all")) {
    set_all(false);
  } else if (word.empty()) {
    return AclRuleError::kSyntax;
  } else if (word[0] == '~' || word[0] == '%') {
    return add_keys(rule);
  } else if (word[0] == '&') {
    return add_channels(rule.substr(1));
  } else if ((word[0] == '+' || word[0] == '-') && word.size() > 1 && word[1] == '@') {
    return set_category(rules.table, word.substr(2), word[0] == '+');
  } else if (word[0] == '+') {
    return add_command(rules, word.substr(1));
  } else if (word[0] == '-') {
    const Command* command = rules.table.find_by_full_name(word.substr(1));
    if (command == nullptr) return AclRuleError::kUnknownName;
    set_command(*command, false);
  } else {
    return AclRuleError::kSyntax;
  }
  return AclRuleError::kNone;
}

AclRuleError AclSelector::add_keys(std::string_view rule) {
  if (all_keys_) return AclRuleError::kAllKeysAlready;
  uint8_t access = kReadKeys | kWriteKeys;
  size_t at = 1;
  if (rule[0] == '%') {
    access = 0;
    for (; at < rule.size() && rule[at] != '~'; ++at) {
      uint8_t one = rule[at] == 'r' || rule[at] == 'R'   ? kReadKeys
                    : rule[at] == 'w' || rule[at] == 'W' ? kWriteKeys
                                                         : 0;
      if (one == 0 || (access & one) != 0) return AclRuleError::kSyntax;
      access |= one;
    }
    if (access == 0) return AclRuleError::kSyntax;
    at = std::min(at + 1, rule.size());
  }
  std::string_view pattern = rule.substr(at);
  if (acl_has_blanks(pattern)) return AclRuleError::kSyntax;
  auto there = std::find_if(keys_.begin(), keys_.end(),
                            [pattern](const KeyPattern& known) { return known.pattern == pattern; });
  if (there != keys_.end()) {
    there->access |= access;
    return AclRuleError::kNone;
  }
  if (keys_.size() >= kAclPatternsMax || pattern.size() > kAclPatternSizeMax) return AclRuleError::kTooMuch;
  keys_.push_back({std::string(pattern), access});
  return AclRuleError::kNone;
}

AclRuleError AclSelector::add_channels(std::string_view pattern) {
  if (all_channels_) return AclRuleError::kAllChannelsAlready;
  if (acl_has_blanks(pattern)) return AclRuleError::kSyntax;
  if (std::find(channels_.begin(), channels_.end(), pattern) != channels_.end()) return AclRuleError::kNone;
  if (channels_.size() >= kAclPatternsMax || pattern.size() > kAclPatternSizeMax)
    return AclRuleError::kTooMuch;
  channels_.emplace_back(pattern);
  return AclRuleError::kNone;
}

AclRuleError AclSelector::add_command(const AclRules& rules, std::string_view name) {
  size_t bar = name.rfind('|');
  const Command* command = rules.table.find_by_full_name(name.substr(0, bar));
  if (command == nullptr) return AclRuleError::kUnknownName;
  if (bar == std::string_view::npos) {
    set_command(*command, true);
    return AclRuleError::kNone;
  }
  if (command->parent != nullptr) return AclRuleError::kArgumentOfSubcommand;
  std::string_view argument = name.substr(bar + 1);
  if (argument.empty()) return AclRuleError::kSyntax;
  if (command->subcommands.empty()) return add_first_argument(*command, argument);
  command = rules.table.find_by_full_name(name);
  if (command == nullptr) return AclRuleError::kUnknownName;
  set_command(*command, true);
  return AclRuleError::kNone;
}

AclRuleError AclSelector::add_first_argument(const Command& command, std::string_view argument) {
  std::vector<std::string>& known = first_arguments_[command.index];
  if (std::any_of(known.begin(), known.end(),
                  [argument](const std::string& one) { return same_ignoring_case(one, argument); }))
    return AclRuleError::kNone;
  if (known.size() >= kAclPatternsMax || argument.size() > kAclPatternSizeMax) return AclRuleError::kTooMuch;
  known.emplace_back(argument);
  return AclRuleError::kNone;
}

AclRuleError AclSelector::set_category(const CommandTable& table, std::string_view name, bool allow) {
  for (uint32_t number = 0; number < kAclCategories; ++number) {
    if (!equals_ignoring_case(name, acl_category_name(1u << number))) continue;
    set_category(table, number, allow);
    return AclRuleError::kNone;
  }
  return AclRuleError::kUnknownName;
}

void AclSelector::set_category(const CommandTable& table, uint32_t number, bool allow) {
  CommandBits bits = reach(table, number);
  commands_ = allow ? commands_ | bits : commands_ & ~bits;
  if (!allow) all_commands_ = false;
  std::erase_if(first_arguments_,
                [&](const auto& entry) { return table.in_category(number).test(entry.first); });
}

void AclSelector::set_command(const Command& command, bool allow) {
  commands_.set(command.index, allow);
  for (const Command& sub : command.subcommands) commands_.set(sub.index, allow);
  if (!allow) all_commands_ = false;
  first_arguments_.erase(command.index);
}

void AclSelector::set_all(bool allow) {
  allow ? commands_.set() : commands_.reset();
  all_commands_ = allow;
  first_arguments_.clear();
}

// --- the check ---

bool AclSelector::knows_first_argument(const Command& command,
                                       const std::vector<std::string_view>& args) const {
  auto known = first_arguments_.find(command.index);
  size_t at = first_argument_of(command);
  if (known == first_arguments_.end() || args.size() <= at) return false;
  return std::any_of(known->second.begin(), known->second.end(),
                     [&](const std::string& one) { return same_ignoring_case(one, args[at]); });
}

bool AclSelector::allows_key(std::string_view key, uint32_t flags) const {
  uint8_t access = access_of(flags);
  return std::any_of(keys_.begin(), keys_.end(), [&](const KeyPattern& pattern) {
    return (pattern.access & access) == access && glob_matches(pattern.pattern, key);
  });
}

bool AclSelector::reads_any_key() const {
  return all_keys_ || std::any_of(keys_.begin(), keys_.end(), [](const KeyPattern& pattern) {
           return (pattern.access & kReadKeys) != 0 && pattern.pattern == "*";
         });
}

AclVerdict AclSelector::check(const Command& command, const std::vector<std::string_view>& args,
                              std::vector<FoundKey>* keys, bool* keys_found, int* position) const {
  if (!commands_[command.index] && (command.flags & kCmdNoAuth) == 0 && !knows_first_argument(command, args))
    return AclVerdict::kCommand;
  if (!all_keys_ && has_keys(command)) {
    if (!*keys_found) {
      keys->clear();
      find_keys(command, args, keys);
      *keys_found = true;
    }
    for (const FoundKey& key : *keys) {
      if (allows_key(args[static_cast<size_t>(key.position)], key.flags)) continue;
      *position = key.position;
      return AclVerdict::kKey;
    }
  }
  if (all_channels_ || command.channels == ChannelArguments::kNone) return AclVerdict::kAllowed;
  bool is_pattern = command.channels == ChannelArguments::kAllPatterns;
  size_t end = std::min<size_t>(args.size(), command.channels == ChannelArguments::kFirst ? 2 : SIZE_MAX);
  for (size_t i = 1; i < end; ++i) {
    if (acl_channel_matches(channels_, args[i], is_pattern)) continue;
    *position = static_cast<int>(i);
    return AclVerdict::kChannel;
  }
  return AclVerdict::kAllowed;
}

// --- descriptions ---

std::string AclSelector::keys_text() const {
  if (all_keys_) return "~*";
  std::string text;
  for (const KeyPattern& pattern : keys_) {
    if (!text.empty()) text += ' ';
    text += pattern.access == kReadKeys ? "%R~" : pattern.access == kWriteKeys ? "%W~" : "~";
    text += pattern.pattern;
  }
  return text;
}

std::string AclSelector::channels_text() const {
  if (all_channels_) return "&*";
  std::string text;
  for (const std::string& pattern : channels_) text += (text.empty() ? "&" : " &") + pattern;
  return text;
}

// Redis 7.0 keeps no list of rules: it finds categories that come near to the commands that are allowed, from
// all of them or from none, and names single commands where they differ.
std::string AclSelector::commands_text(const CommandTable& table) const {
  bool additive = !commands_[kFutureCommands];
  AclSelector made(false);
  made.set_all(!additive);
  std::string text = additive ? "-@all" : "+@all";
  CategoryChoice choice(table, commands_, additive);
  for (int number = choice.next(); number >= 0; number = choice.next()) {
    made.set_category(table, static_cast<uint32_t>(number), additive);
    text += fmt::format(" {}@{}", additive ? '+' : '-', acl_category_name(1u << number));
  }
  for (const Command* command : table.by_index()) {
    bool allowed = commands_[command->index];
    if (allowed != made.commands_[command->index]) {
      text += fmt::format(" {}{}", allowed ? '+' : '-', command->full_name);
      made.set_command(*command, allowed);
    }
    auto arguments = first_arguments_.find(command->index);
    if (allowed || arguments == first_arguments_.end()) continue;
    for (const std::string& argument : arguments->second)
      text += fmt::format(" +{}|{}", command->full_name, argument);
  }
  return text;
}

size_t AclSelector::memory_used() const {
  size_t bytes = sizeof *this;
  for (const KeyPattern& pattern : keys_) bytes += sizeof pattern + pattern.pattern.capacity();
  for (const std::string& pattern : channels_) bytes += sizeof pattern + pattern.capacity();
  for (const auto& [index, arguments] : first_arguments_) {
    for (const std::string& argument : arguments) bytes += sizeof argument + argument.capacity();
  }
  return bytes;
}

}  // namespace varve
