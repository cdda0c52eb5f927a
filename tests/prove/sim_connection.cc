// Commands about the connection, the server and the disk: their replies show no data, so most are taken as
// they come; what counts is what they set off (flushes, compactions, checkpoints) and what WAITAOF promises.
#include <fmt/format.h>

#include "prove/sim_commands.h"

namespace varve::prove {
namespace {

void run_ping(ModelRun& run) {
  run.args.size() > 1 ? run.bulk(run.args[1]) : run.simple("PONG");
}

void run_echo(ModelRun& run) {
  run.bulk(run.args[1]);
}

void run_hello(ModelRun& run) {
  run.session.protocol = run.args[1] == "3" ? 3 : 2;
  run.check = [three = run.args[1] == "3"](std::string_view reply) {
    return reply.starts_with(three ? "%7\r\n" : "*14\r\n") ? "" : "not HELLO's reply";
  };
}

void run_reset(ModelRun& run) {
  run.session.protocol = 2;
  run.session.db = 0;
  run.session.name.clear();
  run.simple("RESET");
}

void run_client(ModelRun& run) {
  if (run.args[1] == "SETNAME") {
    run.session.name = run.args[2];
    return run.ok();
  }
  if (run.args[1] == "GETNAME") return run.session.name.empty() ? run.null() : run.bulk(run.session.name);
  run.check = [](std::string_view reply) { return reply[0] == ':' ? "" : "not CLIENT ID's reply"; };
}

void run_any(ModelRun& run) {
  run.check = [](std::string_view reply) { return reply[0] != '-' ? "" : "an error"; };
}

void run_config(ModelRun& run) {
  run.ok();
}

Arguments draw_config(Draw& draw) {
  static constexpr const char* kModes[] = {"always", "always", "everysec", "no"};
  uint64_t what = draw.random.below(3);
  if (what == 0) return {"CONFIG", "SET", "appendfsync", kModes[draw.random.below(4)]};
  if (what == 1)
    return {"CONFIG", "SET", "memtable-size", std::to_string(4096 + draw.random.below(64 * 1024))};
  return {"CONFIG", "SET", "block-cache-size", std::to_string(draw.random.below(128 * 1024))};
}

// The work itself answers later; see World::received.
void run_suspended(ModelRun& run) {
  run.check = [](std::string_view) { return ""; };
}

// Everything written so far, not only what this connection saw.
void run_waitaof(ModelRun& run) {
  run.depends = run.model.next_batch() - 1;
  run.check = [](std::string_view) { return ""; };
}

}  // namespace

void add_connection_rows(std::vector<CommandRow>* rows) {
  using D = Draw&;
  auto add = [&](const char* family, const char* name, int weight, Arguments (*draw)(D),
                 void (*run)(ModelRun&), const char* feature = "") {
    rows->push_back({family, name, weight, draw, run, feature});
  };
  add(
      "connection", "PING", 1,
      [](D d) {
        return d.random.one_in(2) ? Arguments{"PING"} : Arguments{"PING", d.value()};
      },
      run_ping);
  add(
      "connection", "ECHO", 1,
      [](D d) {
        return Arguments{"ECHO", d.value()};
      },
      run_echo);
  add(
      "connection", "HELLO", 2,
      [](D d) {
        return Arguments{"HELLO", d.random.one_in(2) ? "2" : "3"};
      },
      run_hello, "hello");
  add(
      "connection", "RESET", 1, [](D) { return Arguments{"RESET"}; }, run_reset, "hello");
  add(
      "client", "CLIENT", 1,
      [](D d) {
        uint64_t what = d.random.below(3);
        if (what == 0) return Arguments{"CLIENT", "SETNAME", fmt::format("name{}", d.random.below(5))};
        return Arguments{"CLIENT", what == 1 ? "GETNAME" : "ID"};
      },
      run_client);
  add(
      "introspection", "COMMAND", 1,
      [](D) {
        return Arguments{"COMMAND", "COUNT"};
      },
      run_any);
  add(
      "admin", "TIME", 1, [](D) { return Arguments{"TIME"}; }, run_any);
  add(
      "admin", "WAITAOF", 3,
      [](D) {
        return Arguments{"WAITAOF", "1", "0", "0"};
      },
      run_waitaof);
  add("admin", "CONFIG", 1, draw_config, run_config, "settings");
  add(
      "admin", "BGREWRITEAOF", 1, [](D) { return Arguments{"BGREWRITEAOF"}; }, run_suspended, "maintenance");
  add(
      "admin", "COMPACT", 1, [](D) { return Arguments{"COMPACT"}; }, run_suspended, "maintenance");
  add(
      "admin", "BGSAVE", 1, [](D) { return Arguments{"BGSAVE"}; }, run_suspended, "checkpoints");
  add(
      "debug", "DEBUG", 2,
      [](D) {
        return Arguments{"DEBUG", "FLUSH"};
      },
      run_suspended, "maintenance");
}

}  // namespace varve::prove
