// backend.h: what connections need of the commands and the engine behind them. The server joins Dispatcher
// and Engine to one; tests bring a scripted one. Loop thread only.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "command/dispatcher.h"

namespace varve {

class Backend {
 public:
  virtual ~Backend() = default;
  // As Dispatcher::run, prefetch, prefetch_first, probe and client_gone.
  virtual RunResult run(ClientState& client, Invocation& invocation, OutputBuffer& out) = 0;
  static constexpr size_t kPrefetched = Dispatcher::kPrefetched;
  virtual size_t prefetch(const ClientState& client, std::string_view input) = 0;
  virtual void prefetch_first(const FirstRequest* requests, size_t count) = 0;
  virtual size_t probe(const ClientState& client, const std::vector<std::string_view>& args,
                       ReadContext& read, size_t keys_max) = 0;
  virtual void client_gone(uint64_t id) = 0;
  // As Dispatcher::stream_ended.
  virtual void stream_ended(const ClientState& client, Invocation& invocation) = 0;
  // As Engine::fetch: `done` may be called before this returns; `read` must live until then.
  virtual void fetch(ReadContext& read, std::function<void()> done) = 0;
  // Everything run in this turn has been run: the log write may start.
  virtual void end_of_turn() = 0;
};

}  // namespace varve
