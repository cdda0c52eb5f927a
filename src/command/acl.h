// acl.h: who there is, and what each may do: the users, their clients, the log of what was refused.
//
//   ClientState::user ─→ AclUser (null: the user "default")      changed in place, so its clients see it at
//   once
//
// A user that may do everything costs its commands one branch (AclUser::all_powerful). Loop thread only, but
// for parse_acl_file().
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "command/acl_log.h"
#include "command/acl_user.h"
#include "command/client_state.h"
#include "command/host.h"

namespace varve {

class PubSub;

inline constexpr size_t kAclUsersMax = 10000;
inline constexpr size_t kAclBytesMax = 16 << 20;  // of all users together, and of their file

using AclUsers = std::map<std::string, std::shared_ptr<AclUser>, std::less<>>;

// What an ACL file says: users, or what is wrong with it, every wrong line at once.
struct AclFile {
  AclUsers users;
  std::string errors;
};
AclFile parse_acl_file(const AclRules& rules, std::string_view text, const std::string& path);
// One user of a configuration file: the words behind "user". A failure's message names the word.
Result<std::shared_ptr<AclUser>> parse_acl_user(const AclRules& rules, const std::vector<std::string>& words);

class Acl {
 public:
  Acl(Host& host, PubSub& pubsub, const CommandTable& table);

  AclUser& user_of(const ClientState& client) const { return client.user ? *client.user : *default_; }
  const AclUser* find(std::string_view name) const;
  const AclUsers& users() const { return users_; }
  AclRules rules() const { return {table_, host_.new_users_hear_all()}; }
  // Clients must authenticate: the default user has a password, or is off.
  bool needs_auth() const { return !default_->nopass() || !default_->on(); }
  bool default_nopass() const { return default_->nopass(); }
  AclVerdict check(const AclUser& user, const Command& command, const std::vector<std::string_view>& args,
                   int* position) {
    return user.check(command, args, &scratch_, position);
  }
  // Whether the command may read keys that are not among its arguments.
  bool reads_any_key(const AclUser& user, const Command& command, const std::vector<std::string_view>& args) {
    return user.all_powerful() || user.reads_any_key(command, args, &scratch_);
  }

  // AUTH. False: no such user, off, or not its password.
  bool log_in(ClientState& client, std::string_view name, std::string_view password);
  // As a new connection is: the default user's.
  void log_out(ClientState& client) const;

  // requirepass, if it has changed since the last call: the default user's only password, or nopass. True
  // when it has.
  bool follow_password(const std::string& password);
  // Everything or nothing; the error's text without "ERR ". Subscribers that may hear less from now on are
  // closed if they listen to it.
  std::optional<std::string> set_user(std::string_view name, const std::vector<std::string_view>& words);
  // Its clients are closed. False: there is none of that name.
  bool remove(std::string_view name);
  // All users from now on; without a default user in it, there is one that may do everything. Clients of
  // others are closed.
  void install(AclUsers users);
  // Users of the configuration file, at the start.
  Status configure(const std::vector<std::vector<std::string>>& lines);

  // The users as lines of a file, "user alice on ...", each with its newline.
  std::string file_text() const;
  // As words of lines of the configuration file; none if there is only the default user as requirepass makes
  // it.
  std::vector<std::vector<std::string>> config_lines() const;

  AclLog& log() { return log_; }
  size_t memory_used() const { return bytes_ + log_.memory_used(); }

 private:
  std::shared_ptr<AclUser> fresh_default(const std::string& password) const;
  void close_orphans();
  void close_deaf(const AclUser& user, const AclUser& next);
  void count_bytes();

  Host& host_;
  PubSub& pubsub_;
  const CommandTable& table_;
  AclUsers users_;
  std::shared_ptr<AclUser> default_;  // always there
  std::string password_;              // requirepass, as it was last followed
  size_t bytes_ = 0;
  std::vector<FoundKey> scratch_;
  AclLog log_;
};

}  // namespace varve
