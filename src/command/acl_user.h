// acl_user.h: what a user may do, and the rules that say so: Redis 7.0's language.
//
//   user      := name, on or off, passwords (SHA-256) or nopass, selectors
//   selector  := commands (a set of bits by command index), key patterns, channel patterns
//
// A command is allowed when one selector allows it, all its keys and all its channels. The first selector is
// the user's own; others stand in parentheses.
//
// Loop thread; rules may also be parsed on a worker, on users of its own.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "command/command_table.h"

namespace varve {

// What an administrator can ask for at most (ours; Redis has no limits): checks, descriptions and memory stay
// small.
inline constexpr size_t kAclPatternsMax = 1024;  // key or channel patterns or first arguments of a selector
inline constexpr size_t kAclSelectorsMax = 128;  // of a user
inline constexpr size_t kAclPasswordsMax = 128;  // of a user
inline constexpr size_t kAclPatternSizeMax = 4096;  // bytes of a pattern or a name
inline constexpr size_t kPasswordSizeMax = 16384;   // as long as who is not authenticated can send one

enum class AclVerdict : uint8_t { kAllowed, kCommand, kKey, kAuth, kChannel };  // the higher one is told

enum class AclRuleError : uint8_t {
  kNone,
  kUnknownName,
  kSyntax,
  kAllKeysAlready,
  kAllChannelsAlready,
  kNoSuchPassword,
  kBadHash,
  kArgumentOfSubcommand,
  kTooMuch,
};
// Redis's text.
const char* acl_rule_error_text(AclRuleError error);

// What rules are read against.
struct AclRules {
  const CommandTable& table;
  bool all_channels = false;  // acl-pubsub-default: what new users and selectors may hear
};

enum KeyAccess : uint8_t { kReadKeys = 1, kWriteKeys = 2 };

class AclSelector {
 public:
  explicit AclSelector(bool all_channels) : all_channels_(all_channels) {}

  AclRuleError apply(const AclRules& rules, std::string_view rule);
  // `keys`: those of the command, found when first needed (*keys_found). *position: the argument that was
  // refused.
  AclVerdict check(const Command& command, const std::vector<std::string_view>& args,
                   std::vector<FoundKey>* keys, bool* keys_found, int* position) const;
  // Keys of any name, so that a command may read those it finds out by itself.
  bool reads_any_key() const;
  bool allows_everything() const { return all_commands_ && all_keys_ && all_channels_; }
  void forbid_everything(bool all_channels) { *this = AclSelector(all_channels); }

  bool all_channels() const { return all_channels_; }
  const std::vector<std::string>& channels() const { return channels_; }
  // "~a* %R~b*", "&news", "-@all +get": as ACL GETUSER shows them.
  std::string keys_text() const;
  std::string channels_text() const;
  std::string commands_text(const CommandTable& table) const;
  size_t memory_used() const;

 private:
  struct KeyPattern {
    std::string pattern;
    uint8_t access;
  };

  AclRuleError add_keys(std::string_view rule);
  AclRuleError add_channels(std::string_view pattern);
  AclRuleError add_command(const AclRules& rules, std::string_view name);
  AclRuleError add_first_argument(const Command& command, std::string_view argument);
  AclRuleError set_category(const CommandTable& table, std::string_view name, bool allow);
  void set_category(const CommandTable& table, uint32_t number, bool allow);
  void set_command(const Command& command, bool allow);
  void set_all(bool allow);
  bool knows_first_argument(const Command& command, const std::vector<std::string_view>& args) const;
  bool allows_key(std::string_view key, uint32_t flags) const;

  CommandBits commands_;
  bool all_commands_ = false, all_keys_ = false, all_channels_ = false;
  std::vector<KeyPattern> keys_;
  std::vector<std::string> channels_;
  // +select|0: allowed with these first arguments, though the command is not.
  std::map<uint32_t, std::vector<std::string>> first_arguments_;
};

class AclUser {
 public:
  // As ACL SETUSER makes a new one: off, may do nothing.
  AclUser(std::string name, bool all_channels);

  const std::string& name() const { return name_; }
  bool on() const { return on_; }
  bool nopass() const { return nopass_; }
  // May do everything: nothing else is looked at.
  bool all_powerful() const { return all_powerful_; }
  const std::vector<std::string>& passwords() const { return passwords_; }
  const std::vector<AclSelector>& selectors() const { return selectors_; }
  // "on", "nopass", "sanitize-payload": what GETUSER shows.
  std::vector<const char*> flags() const;
  // The rules that make this user, as ACL LIST and files show them; as finish() found them.
  const std::string& text() const { return text_; }
  // "-@all +get" of a selector, as finish() found it.
  const std::string& commands_text(size_t selector) const { return commands_texts_[selector]; }
  // The hash of what was given is one of the passwords. In time that does not tell which bytes were right.
  bool knows_password(std::string_view hash) const;

  AclRuleError apply(const AclRules& rules, std::string_view rule);
  // Call behind the last rule.
  void finish(const CommandTable& table);

  // Redis's choice of what to tell: the last key or channel that no selector allows; the command, if none
  // allows that. `keys` is scratch.
  AclVerdict check(const Command& command, const std::vector<std::string_view>& args,
                   std::vector<FoundKey>* keys, int* position) const;
  // A selector allows the command as it is, and would with any other keys that it reads. `keys` is scratch.
  bool reads_any_key(const Command& command, const std::vector<std::string_view>& args,
                     std::vector<FoundKey>* keys) const;
  // A channel pattern of one of the selectors covers it (all_channels counts as none).
  bool has_channel_for(std::string_view channel, bool is_pattern) const;
  size_t memory_used() const;

 private:
  AclRuleError apply_password(std::string_view rule);
  AclRuleError add_selector(const AclRules& rules, std::string_view rule);
  void reset(const AclRules& rules);

  std::string name_;
  bool on_ = false, nopass_ = false, sanitize_ = false, skip_sanitize_ = false;
  bool all_powerful_ = false;
  std::vector<std::string> passwords_;
  std::vector<AclSelector> selectors_;  // never empty
  std::string text_;
  std::vector<std::string> commands_texts_;
};

// Words of a rule list with those of a selector, "(+get" "~a*)", put together. False: a parenthesis is never
// closed; *open is where it stands.
bool merge_selectors(const std::vector<std::string_view>& words, std::vector<std::string>* rules,
                     size_t* open);
// Blanks and NULs are in no user's name and in no pattern.
bool acl_has_blanks(std::string_view text);
// The channel matches a pattern; a pattern only the same pattern.
bool acl_channel_matches(const std::vector<std::string>& patterns, std::string_view channel, bool is_pattern);

}  // namespace varve
