#include "command/acl.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "command/pubsub.h"
#include "command/secrets.h"

namespace varve {
namespace {

constexpr const char* kDefault = "default";

std::string too_many() {
  return fmt::format("varve keeps {} users, in {} MiB, at most", kAclUsersMax, kAclBytesMax >> 20);
}

std::string_view trimmed(std::string_view text, const char* blanks) {
  size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (size_t end = 0; end != std::string_view::npos;) {
    end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end != std::string_view::npos) text.remove_prefix(end + 1);
  }
  return parts;
}

// Applies the rules of one line; what is wrong with it, as Redis tells.
std::string apply_file_rules(const AclRules& rules, const std::vector<std::string_view>& words,
                             const std::string& place, AclUser* user) {
  std::vector<std::string> merged;
  size_t open = 0;
  if (!merge_selectors(words, &merged, &open))
    return place + ": Unmatched parenthesis in selector definition.";
  std::string errors;
  bool told = false;  // of other errors than unknown names only the first: the others may follow from it
  for (const std::string& rule : merged) {
    std::string_view word = trimmed(rule, "\t\r\n");
    AclRuleError error = user->apply(rules, word);
    if (error == AclRuleError::kNone) continue;
    if (error == AclRuleError::kUnknownName) {
      errors +=
          fmt::format("{}: Error in applying operation '{}': {}. ", place, word, acl_rule_error_text(error));
    } else if (!std::exchange(told, true)) {
      errors += fmt::format("{}: {}. ", place, acl_rule_error_text(error));
    }
  }
  return errors;
}

// One line of a file, with what is wrong with it; an empty one says nothing.
std::string read_file_line(const AclRules& rules, std::string_view line, const std::string& path, int number,
                           AclUsers* users) {
  line = trimmed(line, " \t\r\n");
  if (line.empty()) return "";
  std::string place = fmt::format("{}:{}", path, number);
  std::vector<std::string_view> words = split(line, ' ');
  if (words[0] != "user" || words.size() < 2) {
    return place + " should start with user keyword followed by the username. ";
  }
  if (acl_has_blanks(words[1]) || words[1].size() > kAclPatternSizeMax) {
    return fmt::format("{}: username '{}' contains invalid characters. ", place, words[1]);
  }
  auto [entry, fresh] = users->try_emplace(std::string(words[1]));
  if (!fresh) return fmt::format("WARNING: Duplicate user '{}' found on line {}. ", words[1], number);
  entry->second = std::make_shared<AclUser>(std::string(words[1]), rules.all_channels);
  words.erase(words.begin(), words.begin() + 2);
  std::string errors = apply_file_rules(rules, words, place, entry->second.get());
  entry->second->finish(rules.table);
  return errors;
}

}  // namespace

AclFile parse_acl_file(const AclRules& rules, std::string_view text, const std::string& path) {
  AclFile file;
  int number = 0;
  text = text.substr(0, text.find('\0'));
  for (std::string_view line : split(text, '\n')) {
    file.errors += read_file_line(rules, line, path, ++number, &file.users);
    if (file.users.size() > kAclUsersMax) file.errors += fmt::format("{}:{}: {}. ", path, number, too_many());
    if (file.errors.size() > 16 * 1024) break;
  }
  if (!file.errors.empty()) {
    file.errors += "WARNING: ACL errors detected, no change to the previously active ACL rules was performed";
  }
  return file;
}

Result<std::shared_ptr<AclUser>> parse_acl_user(const AclRules& rules,
                                                const std::vector<std::string>& words) {
  if (words.empty()) return Status::invalid_argument("wrong number of arguments");
  if (acl_has_blanks(words[0]) || words[0].size() > kAclPatternSizeMax)
    return Status::invalid_argument("Spaces not allowed in ACL usernames");
  auto user = std::make_shared<AclUser>(words[0], rules.all_channels);
  std::vector<std::string> merged;
  size_t open = 0;
  if (!merge_selectors({words.begin() + 1, words.end()}, &merged, &open))
    return Status::invalid_argument("Unmatched parenthesis in acl selector starting at '{}'",
                                    words[open + 1]);
  for (const std::string& rule : merged) {
    AclRuleError error = user->apply(rules, rule);
    if (error != AclRuleError::kNone)
      return Status::invalid_argument("Error in user declaration '{}': {}", rule, acl_rule_error_text(error));
  }
  user->finish(rules.table);
  return user;
}

Acl::Acl(Host& host, PubSub& pubsub, const CommandTable& table)
    : host_(host), pubsub_(pubsub), table_(table), default_(fresh_default("")) {
  users_.emplace(kDefault, default_);
  count_bytes();
}

// --- clients ---

const AclUser* Acl::find(std::string_view name) const {
  auto found = users_.find(name);
  return found == users_.end() ? nullptr : found->second.get();
}

bool Acl::log_in(ClientState& client, std::string_view name, std::string_view password) {
  auto found = users_.find(name);
  if (found == users_.end() || !found->second->on()) return false;
  const AclUser& user = *found->second;
  if (!user.nopass()) {
    if (password.size() > kPasswordSizeMax) return false;
    if (!user.knows_password(sha256_hex(password))) return false;
  }
  client.user = found->second == default_ ? nullptr : found->second;
  client.authenticated = true;
  return true;
}

void Acl::log_out(ClientState& client) const {
  client.user = nullptr;
  client.authenticated = !needs_auth();
}

// Closes the clients whose user is not there any more.
void Acl::close_orphans() {
  std::vector<ClientState*> orphans;
  for (const ClientState* client : host_.clients()) {
    if (!client->user || find(client->user->name()) == client->user.get()) continue;
    if (ClientState* there = host_.client(client->id)) orphans.push_back(there);
  }
  for (ClientState* client : orphans) {
    client->user = nullptr;
    client->authenticated = false;
    host_.kill_client(client->id);
  }
}

// Closes the user's subscribers that listen to what they may not hear any more.
void Acl::close_deaf(const AclUser& user, const AclUser& next) {
  if (pubsub_.silent() && pubsub_.shard_channels() == 0) return;
  auto hears_all = [](const AclSelector& selector) { return selector.all_channels(); };
  const auto& selectors = next.selectors();
  if (std::any_of(selectors.begin(), selectors.end(), hears_all)) return;
  auto forbidden = [&](const ClientState& client, Subscription kind) {
    std::vector<std::string> names = pubsub_.names_of(client.id, kind);
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return !next.has_channel_for(name, kind == kPattern);
    });
  };
  std::vector<uint64_t> deaf;
  for (const ClientState* client : host_.clients()) {
    if (&user_of(*client) != &user || !client->is_subscriber()) continue;
    if (forbidden(*client, kPattern) || forbidden(*client, kChannel) || forbidden(*client, kShardChannel))
      deaf.push_back(client->id);
  }
  for (uint64_t id : deaf) host_.kill_client(id);
}

// --- users ---

std::shared_ptr<AclUser> Acl::fresh_default(const std::string& password) const {
  auto user = std::make_shared<AclUser>(kDefault, false);
  AclRules all{table_};
  for (const char* rule : {"+@all", "~*", "&*", "on"}) (void)user->apply(all, rule);
  (void)user->apply(all, password.empty() ? "nopass" : ">" + password);
  user->finish(table_);
  return user;
}

bool Acl::follow_password(const std::string& password) {
  if (password == password_) return false;
  password_ = password;
  AclRules all{table_};
  (void)default_->apply(all, "resetpass");
  (void)default_->apply(all, password.empty() ? "nopass" : ">" + password);
  default_->finish(table_);
  count_bytes();
  return true;
}

std::optional<std::string> Acl::set_user(std::string_view name, const std::vector<std::string_view>& words) {
  std::vector<std::string> merged;
  size_t open = 0;
  if (!merge_selectors(words, &merged, &open))
    return fmt::format("Unmatched parenthesis in acl selector starting at '{}'.", words[open]);
  auto known = users_.find(name);
  AclUser next =
      known != users_.end() ? *known->second : AclUser(std::string(name), host_.new_users_hear_all());
  for (const std::string& rule : merged) {
    AclRuleError error = next.apply(rules(), rule);
    if (error != AclRuleError::kNone) {
      return fmt::format("Error in ACL SETUSER modifier '{}': {}", rule.substr(0, rule.find('\0')),
                         acl_rule_error_text(error));
    }
  }
  next.finish(table_);
  size_t before = known != users_.end() ? known->second->memory_used() : 0;
  if (users_.size() + (known == users_.end()) > kAclUsersMax || name.size() > kAclPatternSizeMax ||
      bytes_ - before + next.memory_used() > kAclBytesMax)
    return too_many();
  if (known != users_.end()) {
    close_deaf(*known->second, next);
    *known->second = std::move(next);
  } else {
    users_.emplace(name, std::make_shared<AclUser>(std::move(next)));
  }
  count_bytes();
  host_.access_changed();
  return std::nullopt;
}

bool Acl::remove(std::string_view name) {
  auto found = users_.find(name);
  if (found == users_.end() || found->second == default_) return false;
  users_.erase(found);
  close_orphans();
  count_bytes();
  return true;
}

void Acl::install(AclUsers users) {
  std::shared_ptr<AclUser>& next = users[kDefault];
  *default_ = next ? *next : *fresh_default("");
  next = default_;
  users_ = std::move(users);
  close_orphans();
  count_bytes();
  host_.access_changed();
}

Status Acl::configure(const std::vector<std::vector<std::string>>& lines) {
  if (lines.size() > kAclUsersMax) return Status::invalid_argument("{}", too_many());
  for (const auto& words : lines) {
    auto user = parse_acl_user(rules(), words);
    if (!user) return user.status();
    if (!(*user)->on()) {
      log_notice(
          "the user '{}' is disabled (there is no 'on' modifier in the user description). Make sure this is "
          "not a configuration error",
          words[0]);
    }
    if (words[0] == kDefault)
      *default_ = **user;
    else
      users_[words[0]] = *user;
  }
  count_bytes();
  host_.access_changed();
  return Status();
}

void Acl::count_bytes() {
  bytes_ = 0;
  for (const auto& [name, user] : users_) bytes_ += user->memory_used();
}

// --- files ---

std::string Acl::file_text() const {
  std::string text;
  for (const auto& [name, user] : users_) text += fmt::format("user {} {}\n", name, user->text());
  return text;
}

std::vector<std::vector<std::string>> Acl::config_lines() const {
  std::vector<std::vector<std::string>> lines;
  if (users_.size() == 1 && default_->text() == fresh_default(password_)->text()) return lines;
  for (const auto& [name, user] : users_) {
    std::vector<std::string>& words = lines.emplace_back();
    words.push_back(name);
    for (std::string_view word : split(user->text(), ' ')) words.emplace_back(word);
  }
  return lines;
}

}  // namespace varve
