// help.h: small things that several families of commands share.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>

#include "base/status.h"
#include "command/command_context.h"

namespace varve {

// The reply of every NAME HELP: Redis's frame around the lines of the subcommands.
inline void reply_help(Reply& reply, const char* name, std::initializer_list<const char*> lines) {
  reply.array(lines.size() + 3);
  reply.simple(std::string(name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const char* line : lines) reply.simple(line);
  reply.simple("HELP");
  reply.simple("    Prints this help.");
}

// Redis's answer to a subcommand whose arguments do not fit, where its arity alone does not tell.
inline void reply_subcommand_error(CommandContext& context) {
  std::string_view name = context.args[1].substr(0, 128);
  std::string container = context.command.full_name.substr(0, context.command.full_name.find('|'));
  for (char& c : container) c = static_cast<char>(c - ('a' - 'A'));
  context.reply.error(
      fmt::format("ERR unknown subcommand or wrong number of arguments for '{}'. Try {} HELP.",
                  name.substr(0, name.find('\0')), container));
}

// Engine and host may call back before the function that asked has returned; a suspended command must not be
// resumed as early. Make one, wrap the callback, and let it die at the end of the run: a call that comes
// before is put off.
class AfterRun {
 public:
  explicit AfterRun(Host& host) : host_(host) {}
  ~AfterRun() { *running_ = false; }
  AfterRun(const AfterRun&) = delete;
  AfterRun& operator=(const AfterRun&) = delete;

  std::function<void(Status)> wrap(std::function<void(Status)> call) {
    return [&host = host_, running = running_, call = std::move(call)](Status status) {
      if (!*running) return call(std::move(status));
      host.after_ms(0, [call, status] { call(status); });
    };
  }

 private:
  Host& host_;
  std::shared_ptr<bool> running_ = std::make_shared<bool>(true);
};

}  // namespace varve
