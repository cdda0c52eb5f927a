// debug.cc: DEBUG: looks into the engine and makes rare replies, for tests. Nothing here stops other clients
// or harms data.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/log.h"
#include "command/command_context.h"
#include "command/families/help.h"
#include "command/families/helpers.h"
#include "command/numbers.h"

namespace varve {
namespace {

bool from_this_machine(const ClientState& client) {
  std::string_view address = client.address;
  return client.unix_socket || address.substr(0, 4) == "127." || address.substr(0, 5) == "[::1]" ||
         address.substr(0, 4) == "::1:";
}

bool allowed(CommandContext& context) {
  auto setting = context.host().config_get("enable-debug-command");
  if (setting.empty()) return false;
  const std::string& value = setting.front().second;
  return value == "yes" || (value == "local" && from_this_machine(context.client));
}

// DEBUG SLEEP seconds: this client's next command waits; the others do not notice.
void sleep(CommandContext& context) {
  double seconds = std::strtod(std::string(context.args[2]).c_str(), nullptr);
  if (!(seconds > 0)) return context.reply.ok();
  Resume resume = context.suspend();
  constexpr double kLongest = 365.0 * 86400;
  auto ms = static_cast<int64_t>(std::ceil(std::min(seconds, kLongest) * 1000));
  // Slow on purpose: it counts as the command's own time, as where it stops the server.
  context.invocation.spent_us += ms * 1000;
  context.host().after_ms_for(context.client.id, ms, [resume] {
    resume(0, [](OutputBuffer& out, int protocol) { Reply(out, protocol).ok(); });
  });
}

// DEBUG FLUSH: everything so far stands in tables.
void flush(CommandContext& context) {
  if (context.engine() == nullptr) return context.reply.error(errors::kLoading);
  Resume resume = context.suspend();
  AfterRun after(context.host());
  context.engine()->flush(after.wrap([resume](Status status) {
    resume(0, [status](OutputBuffer& out, int protocol) {
      Reply reply(out, protocol);
      status.ok() ? reply.ok() : reply.error("ERR flush failed: " + status.message());
    });
  }));
}

void lsm(CommandContext& context) {
  if (context.engine() == nullptr) return context.reply.error(errors::kLoading);
  context.reply.verbatim("txt", context.engine()->debug_string());
}

// DEBUG OBJECT key: Redis's line; nothing here has an address, or is counted as used.
void object(CommandContext& context) {
  if (context.engine() == nullptr) return context.reply.error(errors::kLoading);
  Entry entry;
  if (!context.tx.find(context.db(), context.args[2], &entry)) return context.reply.error(errors::kNoSuchKey);
  const Record& record = entry.record;
  uint64_t length = record.type == ValueType::kString ? record.length() : record.payload.size();
  context.reply.simple(
      fmt::format("Value at:0x0 refcount:1 encoding:{} serializedlength:{} lru:0 lru_seconds_idle:0",
                  object_encoding(record), length));
}

void set_active_expire(CommandContext& context) {
  context.services.active_expire = std::atoi(std::string(context.args[2]).c_str()) != 0;
  context.reply.ok();
}

// DEBUG PROTOCOL type: one example of each type of reply, the same as Redis's.
void protocol(CommandContext& context) {
  Reply& reply = context.reply;
  std::string_view type = context.args[2];
  auto is = [type](const char* name) { return equals_ignoring_case(type, name); };
  if (is("string")) {
    reply.bulk("Hello World");
  } else if (is("integer")) {
    reply.integer(12345);
  } else if (is("double")) {
    reply.real(3.141);
  } else if (is("bignum")) {
    reply.big_number("1234567999999999999999999999999999999");
  } else if (is("null")) {
    reply.null();
  } else if (is("array") || is("set")) {
    is("set") ? reply.set(3) : reply.array(3);
    for (int i = 0; i < 3; i++) reply.integer(i);
  } else if (is("map")) {
    reply.map(3);
    for (int i = 0; i < 3; i++) {
      reply.integer(i);
      reply.boolean(i == 1);
    }
  } else if (is("attrib")) {
    if (reply.protocol() >= 3) {
      reply.attribute(1);
      reply.bulk("key-popularity");
      reply.array(2);
      reply.bulk("key:123");
      reply.integer(90);
    }
    // An attribute is no reply: this is.
    reply.bulk("Some real reply following the attribute");
  } else if (is("push")) {
    if (reply.protocol() < 3) return reply.error("ERR RESP2 is not supported by this command");
    reply.push(2);
    reply.bulk("server-cpu-usage");
    reply.integer(42);
    // A push is no reply: this is.
    reply.bulk("Some real reply following the push reply");
  } else if (is("verbatim")) {
    reply.verbatim("txt", "This is a verbatim\nstring");
  } else if (is("true") || is("false")) {
    reply.boolean(is("true"));
  } else {
    reply.error(
        "ERR Wrong protocol type name. Please use one of the following: "
        "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
  }
}

void help(CommandContext& context) {
  reply_help(
      context.reply, "DEBUG",
      {"ERROR <string>", "    Return a Redis protocol error with <string> as message. Useful for clients",
       "    unit tests to simulate Redis errors.", "FLUSH", "    Write what is in memory into sorted tables.",
       "LOG <message>", "    Write <message> to the server log.", "LSM",
       "    Show the tree of sorted tables.", "OBJECT <key>",
       "    Show what OBJECT tells about <key>, in a line.", "PROTOCOL <type>",
       "    Reply with a test value of the specified type. <type> can be: string,",
       "    integer, double, bignum, null, array, set, map, attrib, push, verbatim, true, false.",
       "SET-ACTIVE-EXPIRE <0|1>",
       "    0: expired keys are gone for readers only; 1: they are removed, as usual.", "SLEEP <seconds>",
       "    Keep this client waiting for <seconds>. Decimals allowed."});
}

void debug(CommandContext& context) {
  if (!allowed(context)) {
    return context.reply.error(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run "
        "it from a local "
        "connection, otherwise you need to set this option in the configuration file, and then restart the "
        "server.");
  }
  std::string_view name = context.args[1];
  size_t more = context.args.size() - 2;
  auto is = [name](const char* known) { return equals_ignoring_case(name, known); };
  if (is("sleep") && more == 1) return sleep(context);
  if (is("flush") && more == 0) return flush(context);
  if (is("lsm") && more == 0) return lsm(context);
  if (is("protocol") && more == 1) return protocol(context);
  if (is("object") && more >= 1) return object(context);
  if (is("set-active-expire") && more == 1) return set_active_expire(context);
  if (is("error") && more == 1) return context.reply.error(context.args[2]);
  if (is("help") && more == 0) return help(context);
  if (is("log") && more == 1) {
    log_warning("DEBUG LOG: {}", context.args[2]);
    return context.reply.ok();
  }
  context.reply.error(fmt::format(
      "ERR unknown subcommand or wrong number of arguments for '{}'. Try DEBUG HELP.", name.substr(0, 128)));
}

}  // namespace

void add_debug_command(CommandTable& table) {
  table.add({.name = "debug",
             .arity = -2,
             .flags = kCmdAdmin | kCmdNoScript | kCmdLoading | kCmdStale,
             .categories = kAclAdmin | kAclSlow | kAclDangerous,
             .run = debug,
             .group = "server",
             .summary = "Looks into the engine and makes rare replies, for tests",
             .complexity = "Depends on subcommand."});
}

}  // namespace varve
