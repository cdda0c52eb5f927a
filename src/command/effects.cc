// effects.cc: what a run means to others once it counts: clients that watch its keys, that have subscribed to
// its messages and events, that wait for its keys or for the end of a pause.

#include <fmt/format.h>

#include <algorithm>

#include "base/plant.h"
#include "command/dispatcher_impl.h"
#include "command/errors.h"

namespace varve {

// Costs two comparisons while nobody watches or waits.
void Dispatcher::Impl::committed(Transaction& tx, Sequence sequence) {
  if (!watches_.empty() || !blocked_.empty()) {
    for (auto [number, id] : tx.map_changes()) {
      watches_.flushed(number, tx.now_ms());
      blocked_.database_changed(number);
    }
    BatchReader reader(tx.batch().bytes());
    BatchReader::Op op;
    while (reader.next(&op)) {
      DatabaseId database = 0;
      std::string_view key;
      uint32_t number = 0;
      if (op.is_counter || op.kind == Kind::kRangeDelete || !parse_metadata_key(op.key, &database, &key))
        continue;
      if (!tx.number_of(database, &number)) continue;
      Record record;
      if (op.kind == Kind::kPut && decode_record(op.value, &record)) {
        watches_.written(number, key);
        blocked_.key_written(number, key, record.type);
        if (planted(Plant::one_key_wakes)) break;
      } else {
        watches_.removed(number, key);
        blocked_.key_removed(number, key);
      }
    }
  }
  // A command's events go out when its reply is written.
  if (&tx != &tx_ && !tx.events().empty()) deliver(tx.events(), {}, sequence);
}

// Classes that somebody may hear of.
uint32_t Dispatcher::Impl::event_classes() const {
  uint32_t classes = services_.host.event_classes();
  return (classes & kEventChannels) == 0 || pubsub_.silent() ? 0 : classes;
}

void Dispatcher::Impl::deliver(const std::vector<KeyEvent>& events,
                               const std::vector<PublishedMessage>& messages, Sequence gate) {
  Host& host = services_.host;
  uint32_t classes = host.event_classes();
  auto message = messages.begin();
  auto publish_until = [&](size_t events_before) {
    for (; message != messages.end() && message->events_before <= events_before; ++message) {
      pubsub_.publish(host, gate, message->channel, message->message, message->shard);
    }
  };
  for (size_t i = 0; i < events.size(); ++i) {
    publish_until(i);
    const KeyEvent& event = events[i];
    if ((classes & kEventKeyspace) != 0) {
      pubsub_.publish(host, gate, fmt::format("__keyspace@{}__:{}", event.database, event.key), event.name,
                      false);
    }
    if ((classes & kEventKeyevent) != 0) {
      pubsub_.publish(host, gate, fmt::format("__keyevent@{}__:{}", event.database, event.name), event.key,
                      false);
    }
  }
  publish_until(events.size());
}

// A run came to kBlocked.
RunResult Dispatcher::Impl::block(ClientState& client, Invocation& invocation, OutputBuffer& out) {
  Unblock ending = blocked_.ending(client.id);
  if (ending != Unblock::kNo) return end_waiting(client, invocation, ending, out);
  int64_t timeout_ms = invocation.block->timeout_ms;
  // What it did not find was perhaps taken away a moment ago.
  Sequence gate = std::max(invocation.read.seen, keyspace_.map_sequence());
  bool fresh = blocked_.block(client, std::move(*invocation.block), gate);
  // As Redis, it tells which keys it missed when it begins to wait.
  if (fresh && !tx_.events().empty()) deliver(tx_.events(), {}, std::max(client.shown, gate));
  if (fresh && timeout_ms > 0) {
    services_.host.after_ms_for(
        client.id, timeout_ms,
        [this, weak = std::weak_ptr<int>(alive_), id = client.id, arrival = blocked_.arrival(client.id)] {
          if (!weak.expired()) blocked_.time_out(id, arrival);
        });
  }
  return stand_by(invocation);
}

// Its time is over, or CLIENT UNBLOCK.
RunResult Dispatcher::Impl::end_waiting(ClientState& client, Invocation& invocation, Unblock how,
                                        OutputBuffer& out) {
  uint64_t start = out.end();
  Reply reply(out, client.protocol);
  if (how == Unblock::kError) {
    reply.error(errors::kUnblocked);
    count_error(std::string("-") + errors::kUnblocked);
  } else {
    reply.null_array();
  }
  invocation.gate = blocked_.gate(client.id);
  blocked_.finish_run(client);
  ++processed_;
  RunResult result = RunResult::kDone;
  end_reply(client, invocation, out, start, &result);
  return result;
}

// What CLIENT PAUSE WRITE holds back.
bool Dispatcher::Impl::may_change(const Command& command, const ClientState& client) {
  constexpr uint32_t kChanges = kCmdWrite | kCmdMessage;
  if ((command.flags & kCmdExec) != 0) return client.multi && (client.multi->flags & kChanges) != 0;
  return (command.flags & kChanges) != 0;
}

bool Dispatcher::Impl::key_in_service(const Command& command, const std::vector<std::string_view>& args,
                                      uint32_t database, uint64_t client) const {
  if ((command.flags & (kCmdWrite | kCmdReadOnly)) == 0) return false;
  std::vector<FoundKey> keys;
  find_keys(command, args, &keys);
  return std::any_of(keys.begin(), keys.end(), [&](const FoundKey& key) {
    return blocked_.in_service(database, args[static_cast<size_t>(key.position)], client);
  });
}

// Waiting clients of one of its keys are being served: it comes behind them.
bool Dispatcher::Impl::behind_service(const Command& command, const ClientState& client,
                                      const Invocation& invocation) const {
  if ((command.flags & kCmdExec) == 0) {
    return key_in_service(command, invocation.args, client.db, client.id);
  }
  if (!client.multi) return false;
  return std::any_of(client.multi->commands.begin(), client.multi->commands.end(),
                     [&](const QueuedCommand& queued) {
                       std::vector<std::string_view> args(queued.args.begin(), queued.args.end());
                       return key_in_service(*queued.command, args, client.db, client.id);
                     });
}

void Dispatcher::Impl::client_gone(uint64_t id) {
  cursors_.forget_client(id);
  pubsub_.forget(id);
  monitors_.remove(id);
  watches_.forget(id);
  blocked_.forget(id);
  if (blocked_.ready() && services_.engine != nullptr) blocked_.serve(0);
}

}  // namespace varve
