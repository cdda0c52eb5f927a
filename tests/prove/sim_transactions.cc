// MULTI and EXEC. What is queued between them, and what EXEC does, is the oracle's (sim_oracle.cc); both are
// sent together with the commands between them (Generator::transaction).
#include "prove/sim_commands.h"

namespace varve::prove {
namespace {

void run_multi(ModelRun& run) {
  run.session.multi = true;
  run.ok();
}

}  // namespace

void add_transaction_rows(std::vector<CommandRow>* rows) {
  auto draw = [](Draw&) { return Arguments{"EXEC"}; };
  rows->push_back({"transactions", "MULTI", 0, draw, run_multi, "multi"});
  rows->push_back({"transactions", "EXEC", 20, draw, [](ModelRun&) {}, "multi"});
}

}  // namespace varve::prove
