#include "command/acl_user.h"

#include <algorithm>

#include "base/words.h"
#include "command/numbers.h"
#include "command/secrets.h"

namespace varve {
namespace {

bool is_hash(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

const char* acl_rule_error_text(AclRuleError error) {
  switch (error) {
    case AclRuleError::kNone:
      return "";
    case AclRuleError::kUnknownName:
      return "Unknown command or category name in ACL";
    case AclRuleError::kSyntax:
      return "Syntax error";
    case AclRuleError::kAllKeysAlready:
      return "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have "
             "any "
             "effect. Try 'resetkeys' to start with an empty list of patterns";
    case AclRuleError::kAllChannelsAlready:
      return "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not "
             "have "
             "any effect. Try 'resetchannels' to start with an empty list of channels";
    case AclRuleError::kNoSuchPassword:
      return "The password you are trying to remove from the user does not exist";
    case AclRuleError::kBadHash:
      return "The password hash must be exactly 64 characters and contain only lowercase hexadecimal "
             "characters";
    case AclRuleError::kArgumentOfSubcommand:
      return "Allowing first-arg of a subcommand is not supported";
    case AclRuleError::kTooMuch:
      return "More than varve keeps of a user: 128 selectors and passwords, 1024 patterns in a selector, "
             "4096 "
             "bytes in a pattern, 16384 in a password";
  }
  return "";
}

bool merge_selectors(const std::vector<std::string_view>& words, std::vector<std::string>* rules,
                     size_t* open) {
  bool inside = false;
  for (size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    bool closes = !word.empty() && word.back() == ')';
    bool opens = !word.empty() && word.front() == '(' && !closes;
    if (inside && opens) {
      rules->back() = word;  // as in Redis, what the parenthesis before it held is lost
    } else if (inside) {
      rules->back().append(" ").append(word.substr(0, word.find('\0')));
      inside = !closes;
    } else {
      rules->emplace_back(word);
    }
    if (opens) {
      inside = true;
      *open = i;
    }
  }
  return !inside;
}

AclUser::AclUser(std::string name, bool all_channels)
    : name_(std::move(name)), selectors_{AclSelector(all_channels)} {}

std::vector<const char*> AclUser::flags() const {
  std::vector<const char*> names = {on_ ? "on" : "off"};
  if (nopass_) names.push_back("nopass");
  if (skip_sanitize_) names.push_back("skip-sanitize-payload");
  if (sanitize_) names.push_back("sanitize-payload");
  return names;
}

bool AclUser::knows_password(std::string_view hash) const {
  bool known = false;
  for (const std::string& password : passwords_) known |= same_secret(hash, password);
  return known;
}

// --- rules ---

AclRuleError AclUser::apply(const AclRules& rules, std::string_view rule) {
  if (rule.empty()) return AclRuleError::kNone;
  std::string_view word = rule.substr(0, rule.find('\0'));
  auto is = [word](const char* name) { return equals_ignoring_case(word, name); };
  if (is("on") || is("off")) {
    on_ = is("on");
  } else if (is("nopass") || is("resetpass")) {
    nopass_ = is("nopass");
    passwords_.clear();
  } else if (is("skip-sanitize-payload") || is("sanitize-payload")) {
    sanitize_ = is("sanitize-payload");
    skip_sanitize_ = !sanitize_;
  } else if (std::string_view("><#!").find(rule[0]) != std::string_view::npos) {
    return apply_password(rule);
  } else if (rule.front() == '(' && rule.back() == ')') {
    return add_selector(rules, rule);
  } else if (is("clearselectors")) {
    selectors_.erase(selectors_.begin() + 1, selectors_.end());
  } else if (is("reset")) {
    reset(rules);
  } else {
    return selectors_[0].apply(rules, rule);
  }
  return AclRuleError::kNone;
}

AclRuleError AclUser::apply_password(std::string_view rule) {
  bool adds = rule[0] == '>' || rule[0] == '#';
  std::string_view given = rule.substr(1);
  bool hashed = rule[0] == '#' || rule[0] == '!';
  if (hashed && !is_hash(given)) return AclRuleError::kBadHash;
  if (given.size() > kPasswordSizeMax) return AclRuleError::kTooMuch;
  std::string hash = hashed ? std::string(given) : sha256_hex(given);
  auto there = std::find(passwords_.begin(), passwords_.end(), hash);
  if (!adds) {
    if (there == passwords_.end()) return AclRuleError::kNoSuchPassword;
    passwords_.erase(there);
    return AclRuleError::kNone;
  }
  nopass_ = false;
  if (there != passwords_.end()) return AclRuleError::kNone;
  if (passwords_.size() >= kAclPasswordsMax) return AclRuleError::kTooMuch;
  passwords_.push_back(std::move(hash));
  return AclRuleError::kNone;
}

// As in Redis, a selector whose quotes do not fit together is an empty one.
AclRuleError AclUser::add_selector(const AclRules& rules, std::string_view rule) {
  if (selectors_.size() > kAclSelectorsMax) return AclRuleError::kTooMuch;
  std::string_view inside = rule.size() < 2 ? std::string_view() : rule.substr(1, rule.size() - 2);
  AclSelector selector(rules.all_channels);
  for (const std::string& word : split_words(inside).value_or(std::vector<std::string>())) {
    AclRuleError error = selector.apply(rules, word);
    if (error != AclRuleError::kNone) return error;
  }
  selectors_.push_back(std::move(selector));
  return AclRuleError::kNone;
}

void AclUser::reset(const AclRules& rules) {
  on_ = nopass_ = skip_sanitize_ = false;
  sanitize_ = true;
  passwords_.clear();
  selectors_.assign(1, AclSelector(rules.all_channels));
}

void AclUser::finish(const CommandTable& table) {
  all_powerful_ = std::any_of(selectors_.begin(), selectors_.end(),
                              [](const AclSelector& selector) { return selector.allows_everything(); });
  text_.clear();
  for (const char* flag : flags()) text_.append(text_.empty() ? "" : " ").append(flag);
  for (const std::string& password : passwords_) text_ += " #" + password;
  commands_texts_.clear();
  for (size_t i = 0; i < selectors_.size(); ++i) {
    const AclSelector& selector = selectors_[i];
    std::string part = selector.keys_text();
    if (!part.empty()) part += ' ';
    std::string channels = selector.channels_text();
    if (!selector.all_channels()) channels = channels.empty() ? "resetchannels" : "resetchannels " + channels;
    part += channels + " " + commands_texts_.emplace_back(selector.commands_text(table));
    text_ += i == 0 ? " " + part : " (" + part + ")";
  }
}

// --- the check ---

AclVerdict AclUser::check(const Command& command, const std::vector<std::string_view>& args,
                          std::vector<FoundKey>* keys, int* position) const {
  AclVerdict told = AclVerdict::kCommand;
  int last = 0;
  bool keys_found = false;
  for (const AclSelector& selector : selectors_) {
    int at = 0;
    AclVerdict verdict = selector.check(command, args, keys, &keys_found, &at);
    if (verdict == AclVerdict::kAllowed) return verdict;
    if (verdict > told || (verdict == told && at > last)) {
      told = verdict;
      last = at;
    }
  }
  *position = last;
  return told;
}

bool AclUser::reads_any_key(const Command& command, const std::vector<std::string_view>& args,
                            std::vector<FoundKey>* keys) const {
  bool found = false;
  int position = 0;
  return std::any_of(selectors_.begin(), selectors_.end(), [&](const AclSelector& selector) {
    return selector.reads_any_key() &&
           selector.check(command, args, keys, &found, &position) == AclVerdict::kAllowed;
  });
}

bool AclUser::has_channel_for(std::string_view channel, bool is_pattern) const {
  return std::any_of(selectors_.begin(), selectors_.end(), [&](const AclSelector& selector) {
    return acl_channel_matches(selector.channels(), channel, is_pattern);
  });
}

size_t AclUser::memory_used() const {
  size_t bytes = sizeof *this + 2 * text_.capacity() + passwords_.size() * 96;
  for (const AclSelector& selector : selectors_) bytes += selector.memory_used();
  return bytes;
}

}  // namespace varve
