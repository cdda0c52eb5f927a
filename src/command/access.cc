// access.cc: the dispatcher's questions to ACL: may this client's user run this command on these keys and
// channels? Asked before a command runs or is queued, and again for each when EXEC runs it. Users that may do
// everything do not come here.
#include <fmt/format.h>

#include <utility>

#include "command/client_line.h"
#include "command/dispatcher_impl.h"
#include "command/errors.h"

namespace varve {
namespace {

std::string refusal_text(AclVerdict verdict, const Command& command) {
  if (verdict == AclVerdict::kKey) return errors::kNoPermissionKey;
  if (verdict == AclVerdict::kChannel) return errors::kNoPermissionChannel;
  return fmt::format(errors::kNoPermissionCommand, command.full_name);
}

std::string late_refusal_text(AclVerdict verdict) {
  const char* reason = verdict == AclVerdict::kKey ? "no permission to touch the specified keys"
                       : verdict == AclVerdict::kChannel
                           ? "no permission to access one of the channels used as "
                             "arguments"
                           : "no permission to execute the command or subcommand";
  return fmt::format(errors::kNoPermissionAnyMore, reason);
}

}  // namespace

// What a refusal is about: the argument, or the command.
AclLogEntry Dispatcher::Impl::refusal(AclVerdict verdict, const Command& command, const ClientState& client,
                                      const std::vector<std::string_view>& args, int position) const {
  AclLogEntry entry;
  entry.reason = verdict;
  entry.object = verdict == AclVerdict::kCommand
                     ? command.full_name
                     : std::string(args[static_cast<size_t>(position)].substr(0, AclLog::kTextMax));
  entry.user = acl_.user_of(client).name();
  return entry;
}

bool Dispatcher::Impl::permitted(const Command& command, ClientState& client,
                                 const std::vector<std::string_view>& args, std::string* error) {
  int position = 0;
  AclVerdict verdict = acl_.check(acl_.user_of(client), command, args, &position);
  if (verdict == AclVerdict::kAllowed) return true;
  client.last_command = command.full_name;
  log_refusal(client, client.multi ? AclContext::kMulti : AclContext::kTopLevel,
              refusal(verdict, command, client, args, position));
  *error = refusal_text(verdict, command);
  return false;
}

// False: the command's place in EXEC's reply holds the refusal.
bool Dispatcher::Impl::permitted_in_exec(const QueuedCommand& queued, const ClientState& client,
                                         Reply& reply) {
  const AclUser& user = acl_.user_of(client);
  if (user.all_powerful()) return true;
  std::vector<std::string_view> args(queued.args.begin(), queued.args.end());
  int position = 0;
  AclVerdict verdict = acl_.check(user, *queued.command, args, &position);
  if (verdict == AclVerdict::kAllowed) return true;
  refused_.push_back(refusal(verdict, *queued.command, client, args, position));
  reply.error(late_refusal_text(verdict));
  return false;
}

// What a run that counts was refused: EXEC's commands, and AUTH.
void Dispatcher::Impl::log_refusals(const ClientState& client, AclContext context) {
  for (AclLogEntry& entry : refused_) {
    count_error("-NOPERM ");
    log_refusal(client, context, std::move(entry));
  }
  for (RefusedLogin& login : refused_logins_) {
    AclLogEntry entry;
    entry.reason = AclVerdict::kAuth;
    entry.object = std::move(login.command);
    entry.user = std::move(login.name);
    log_refusal(client, context, std::move(entry));
  }
  refused_.clear();
  refused_logins_.clear();
}

void Dispatcher::Impl::log_refusal(const ClientState& client, AclContext context, AclLogEntry entry) {
  entry.context = context;
  entry.at_ms = services_.clock.now_ms();
  entry.client = client_line(client, acl_, entry.at_ms);
  acl_.log().add(std::move(entry), services_.host.acl_log_max());
}

}  // namespace varve
