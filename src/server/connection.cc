#include "server/connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/plant.h"
#include "resp/reply.h"
#include "server/clients.h"

namespace varve {
namespace {

constexpr size_t kKeptWhileBusy =
    64 * 1024;  // input kept of a client that is not served just now, before its socket waits
// What one client may bring in a turn. The system's buffers hold megabytes, and libuv reads a socket many
// times over before it looks at the next one.
constexpr size_t kReadPerTurn = 128 * 1024;
constexpr size_t kRoomMin = 16 * 1024;
constexpr size_t kRoomMax = 256 * 1024;
constexpr size_t kSpare = 64 * 1024;
constexpr size_t kKeepArgs = 1024;
// What every connection takes: itself, its place in the tables, the transport with its libuv handle.
constexpr size_t kFixedMemory = sizeof(Connection) + 768;
constexpr size_t kStreamChunk = 64 * 1024;
constexpr size_t kStreamAhead = 256 * 1024;  // unsent bytes of a stream before it pauses
constexpr uint64_t kUnauthenticatedQuery = 1 << 20;
constexpr uint64_t kUnauthenticatedOutputSoft = 16 * 1024;
constexpr uint64_t kUnauthenticatedOutput = 64 * 1024;
constexpr uint64_t kRequestProgress = 1024;  // of half a request, within its timeout
constexpr int64_t kIdleBeforeRelease_ms = 2000;
constexpr int64_t kHalfClosedPatience_ms = 10'000;

bool same_word(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != lower[i]) return false;
  }
  return true;
}

// A browser was made to speak to us (cross-protocol scripting): what follows must not be run.
bool is_http(std::string_view command) {
  return same_word(command, "post") || same_word(command, "host:");
}

}  // namespace

Connection::Connection(Clients& clients, ClientState state)
    : clients_(clients), state_(std::move(state)), stranger_since_ms_(state_.created_ms) {}

Connection::~Connection() {
  clients_.remove_gated(*this);
}

void Connection::attach(std::unique_ptr<Transport> transport) {
  transport_ = std::move(transport);
  update_reading();
}

bool Connection::unauthenticated() const {
  return clients_.limits_.password && !state_.authenticated;
}

uint64_t Connection::output_soft_limit() const {
  if (planted(Plant::forget_output)) return UINT64_MAX;
  return unauthenticated() ? kUnauthenticatedOutputSoft : clients_.limits_.output_soft;
}

const OutputLimit& Connection::output_limit() const {
  return state_.is_listener() ? clients_.limits_.output_subscriber : clients_.limits_.output;
}

// --- input ---

// The shared buffer serves everyone but a client in the middle of a big argument, so that ten thousand half
// requests cost no more than their bytes.
Connection::Room Connection::read_room() {
  size_t kept_size = query_.size() - query_head_;
  size_t missing = parser_.wanted() > kept_size ? parser_.wanted() - kept_size : 0;
  reading_in_place_ = starved_ && missing >= Clients::kReadBuffer;
  if (!reading_in_place_) return {clients_.read_buffer_.get(), Clients::kReadBuffer};
  // Never more room than has come already: a length alone costs nothing.
  size_t want = std::clamp(missing, kRoomMin, std::max(kRoomMin, kept_size));
  make_room(want);
  return {query_.data() + query_.size(), std::min(query_.capacity() - query_.size(), kRoomMax)};
}

void Connection::received(size_t n) {
  if (clients_.limits_.time_turns && clients_.turn_began_us_ == 0)
    clients_.turn_began_us_ = clients_.clock_.monotonic_us();
  state_.net_in += n;
  clients_.stats_.net_in += n;
  ++clients_.stats_.reads;
  if (closed_ || state_.close_after_reply || input_ended_) return;
  state_.last_interaction_ms = clients_.clock_.now_ms();
  if (fresh_) clients_.end_of_poll();
  std::string_view input(clients_.read_buffer_.get(), n);
  clients_.mark_dirty(*this);
  bool waits_alone = query_.empty() && !reading_in_place_ && !parked_ && !queued_;
  if (!waits_alone || !clients_.keep_fresh(*this, input)) take(input);
  if (closed_) return;
  turn_bytes_ += n;
  if (turn_bytes_ >= kReadPerTurn && reading_) {
    reading_ = false;  // flush(), at the end of the turn, goes on
    transport_->set_reading(false);
  }
}

// Runs what has come, or keeps it for when its turn comes.
void Connection::take(std::string_view input) {
  fresh_ = false;
  if (closed_ || state_.close_after_reply) return;
  bool may_run = !parked_ && !queued_;
  starved_ = false;
  if (query_.empty() && !reading_in_place_) {
    size_t used = may_run ? run_commands(input) : 0;
    if (!closed_) query_.append(input.substr(used));
  } else {
    if (reading_in_place_)
      query_.resize(query_.size() + input.size());
    else
      make_room(input.size()), query_.append(input);
    if (may_run) drop_kept(run_commands(kept()));
  }
  if (query_.capacity() > kSpare) clients_.input_grew(*this);
  if (!check_limits()) return;
  if (runnable()) clients_.enqueue(*this);
}

// Room for n bytes behind what is kept. Space in front of it is used again, and what a big request has left
// is given back, so that a client that always leaves half a request behind does not grow.
void Connection::make_room(size_t n) {
  size_t kept_size = query_.size() - query_head_;
  if (query_.capacity() > kSpare && kept_size + n < query_.capacity() / 4) {
    Buffer smaller;
    smaller.reserve(kept_size + n);
    smaller.append(kept());
    query_ = std::move(smaller);
    query_head_ = 0;
  } else if (query_head_ > 0 && query_.capacity() - query_.size() < n) {
    std::memmove(query_.data(), query_.data() + query_head_, kept_size);
    query_.resize(kept_size);
    query_head_ = 0;
  }
  query_.reserve(query_.size() + n);
}

void Connection::drop_kept(size_t n) {
  if (closed_) return;
  query_head_ += n;
  VARVE_DCHECK(query_head_ <= query_.size());
  if (query_head_ == query_.size()) {
    query_head_ = 0;
    if (query_.capacity() > kSpare) query_ = Buffer();
    query_.clear();
  }
}

// Runs what stands in `input` until it ends, something parks, or the turn is over. Returns how much was used
// up.
size_t Connection::run_commands(std::string_view input) {
  const ClientLimits& limits = clients_.limits_;
  ParserLimits parser_limits = limits.parser;
  size_t used = 0;
  size_t ahead = 0;  // requests behind this one whose data is on its way
  const int64_t begun_us = clients_.clock_.monotonic_us();
  // Each command begins when the one before has ended, where that says when: one look at this clock for each.
  int64_t now_us = begun_us;
  int64_t ended_us = begun_us;
  for (int commands = 0; commands < Clients::kCommandsPerTurn; ++commands) {
    if (parked_ || closed_ || state_.close_after_reply) return used;
    if (now_us - begun_us >= Clients::kConnectionTurnUs) return used;
    if (out_.size() > output_soft_limit()) return used;
    parser_limits.unauthenticated = unauthenticated();
    ParseResult result = parser_.parse(input.substr(used), parser_limits);
    used += parser_.consumed();
    if (result == ParseResult::kNeedMore) {
      starved_ = true;
      return used;
    }
    if (result == ParseResult::kError) {
      protocol_error();
      return input.size();
    }
    if (ahead > 0) --ahead;
    if (ahead == 0 && used < input.size()) ahead = clients_.backend_.prefetch(state_, input.substr(used));
    clients_.scratch_.started_us = ended_us;
    ended_us = run_one(input.substr(used));
    now_us = std::max(now_us, ended_us);
  }
  return used;
}

// Returns when the command ended, if it has its reply and was run; else 0.
int64_t Connection::run_one(std::string_view rest) {
  Invocation& invocation = clients_.scratch_;
  if (clients_.scratch_owner_ != state_.id) {
    clients_.scratch_owner_ = state_.id;
    invocation.resume = [clients = &clients_, client = state_.id](
                            Sequence gate, const std::function<void(OutputBuffer&, int)>& write) {
      if (Connection* connection = clients->find(client)) connection->resume(gate, write);
    };
  }
  heard_ = true;
  half_since_ms_ = 0;
  parser_.swap_args(invocation.args);
  if (is_http(invocation.args[0])) {
    log_warning(
        "possible security attack: {} sends HTTP (\"{}\"), perhaps through a browser; connection closed",
        state_.address, invocation.args[0]);
    invocation.reset();
    close("HTTP request");
    return 0;
  }
  uint64_t before = out_.end();
  invocation.others_wait = !clients_.waiting_.empty();
  RunResult result = run_backend(invocation);
  if (result != RunResult::kDone) {
    park(result, rest, before);
    add_pushes();
    return 0;
  }
  Sequence gate = invocation.gate;
  int64_t ended_us = invocation.ended_us;
  invocation.reset();
  if (invocation.args.capacity() > kKeepArgs) invocation.args = std::vector<std::string_view>();
  reply_added(before, gate);
  add_pushes();
  return ended_us;
}

// Within a run another client's may come: one that waited for what this one wrote.
RunResult Connection::run_backend(Invocation& invocation) {
  uint64_t outer = std::exchange(clients_.current_, state_.id);
  running_ = true;
  woken_ = false;
  RunResult result = clients_.backend_.run(state_, invocation, out_);
  running_ = false;
  clients_.current_ = outer;
  return result;
}

void Connection::protocol_error() {
  ++clients_.stats_.protocol_errors;
  log_verbose("{}: {}", state_.address, parser_.error());
  uint64_t before = out_.end();
  Reply(out_, state_.protocol).error("ERR " + parser_.error());
  reply_added(before, 0);
  state_.close_after_reply = true;
}

bool Connection::check_limits() {
  if (closed_) return false;
  ClientsStats& stats = clients_.stats_;
  uint64_t query_limit = clients_.limits_.query_buffer;
  if (unauthenticated()) query_limit = std::min(query_limit, kUnauthenticatedQuery);
  if (query_.size() - query_head_ + state_.multi_bytes() > query_limit) {
    ++stats.query_limit_closes;
    log_warning("client {} ({}) closed: its request exceeds {} bytes (client-query-buffer-limit)", state_.id,
                state_.address, query_limit);
    close("query buffer limit");
    return false;
  }
  uint64_t hard = output_limit().hard;
  if (unauthenticated()) hard = hard == 0 ? kUnauthenticatedOutput : std::min(hard, kUnauthenticatedOutput);
  if (planted(Plant::forget_output)) hard = 0;
  if (hard != 0 && out_.size() + pushes_.size() + transport_->pending() > hard) {
    ++stats.output_limit_closes;
    log_warning("client {} ({}) closed: {} bytes of unsent output exceed client-output-buffer-limit",
                state_.id, state_.address, out_.size());
    close("output buffer limit");
    return false;
  }
  return true;
}

bool Connection::runnable() const {
  if (closed_ || state_.close_after_reply || out_.size() > output_soft_limit()) return false;
  if (parked_) return parked_->ready && parked_->reason != RunResult::kWait;
  return !starved_ && query_.size() > query_head_;
}

void Connection::continue_turn() {
  if (closed_) return;
  if (parked_ && parked_->ready) rerun_parked();
  if (!parked_ && !closed_ && !starved_ && !query_.empty()) drop_kept(run_commands(kept()));
  if (!check_limits()) return;
  if (runnable()) clients_.enqueue(*this);
  clients_.mark_dirty(*this);
}

// --- parked commands ---

void Connection::park(RunResult result, std::string_view rest, uint64_t before) {
  Invocation& invocation = clients_.scratch_;
  invocation.own_args();
  parked_ = std::make_shared<Parked>();
  parked_->invocation = std::move(invocation);
  parked_->reason = result;
  invocation = Invocation();
  clients_.scratch_owner_ = 0;
  ++clients_.parked_;
  switch (result) {
    case RunResult::kFault:
      return start_fetch(rest);
    case RunResult::kWait:
      return clients_.wait_for_admission(*this, parked_->invocation.wait_us);
    case RunResult::kStream:
    case RunResult::kSuspended:
    case RunResult::kBlocked:
      return hand_over(before);
    case RunResult::kDone:
      return;
  }
}

// The run of the parked command is over, its reply is not: blocks, failures and the hold that the run came by
// are not the stream's.
void Connection::hand_over(uint64_t before) {
  Invocation& invocation = parked_->invocation;
  invocation.read.begin_command();
  if (parked_->reason == RunResult::kBlocked && woken_) wake();
  if (parked_->reason != RunResult::kStream) return;
  stream_begin_ = before;
  // What the run wrote already is the reply's beginning.
  reply_added(before, std::max(invocation.gate, invocation.stream->gate()));
  if (parked_) parked_->ready = true;
}

void Connection::unpark() {
  if (!parked_) return;
  // The fetch in flight keeps the rest alive, but nothing may go on with the stream.
  if (parked_->invocation.stream) clients_.backend_.stream_ended(state_, parked_->invocation);
  parked_->invocation.stream.reset();
  parked_.reset();
  --clients_.parked_;
}

// Fetches what the parked command misses, and what the next commands of this client would.
void Connection::start_fetch(std::string_view rest) {
  ReadContext& read = parked_->invocation.read;
  parked_->ready = false;
  parked_->fetching = true;
  ++clients_.stats_.faults;
  if (parked_->reason == RunResult::kFault && !unauthenticated()) {
    Status error = read.error;
    Parser& parser = clients_.probe_parser_;
    parser.reset();
    size_t keys = Clients::kProbedKeys;
    for (int i = 0; i < Clients::kProbeAhead && keys > 0; ++i) {
      if (read.misses.size() >= Dispatcher::kProbedMisses) break;
      if (parser.parse(rest, clients_.limits_.parser) != ParseResult::kCommand) break;
      parser.swap_args(clients_.probe_args_);
      keys -= std::min(keys, clients_.backend_.probe(state_, clients_.probe_args_, read, keys));
      rest.remove_prefix(parser.consumed());
    }
    // What a later command will fail with is its own affair.
    read.error = error;
  }
  clients_.backend_.fetch(read, [clients = &clients_, client = state_.id, parked = parked_] {
    parked->fetching = false;
    if (Connection* connection = clients->find(client)) connection->fetched(parked.get());
  });
}

void Connection::fetched(const void* parked) {
  if (closed_ || parked_.get() != parked) return;
  parked_->ready = true;
  clients_.enqueue(*this);
}

void Connection::rerun_parked() {
  if (parked_->reason == RunResult::kStream) return step_stream();
  Invocation& invocation = parked_->invocation;
  uint64_t before = out_.end();
  parked_->ready = false;
  // Whoever has come to the front of the waiting ones, or near it, asks for himself.
  invocation.others_wait = parked_->reason != RunResult::kWait && !clients_.waiting_.empty();
  RunResult result = run_backend(invocation);
  parked_->reason = result;
  switch (result) {
    case RunResult::kDone: {
      Sequence gate = invocation.gate;
      unpark();
      reply_added(before, gate);
      break;
    }
    case RunResult::kFault:
      start_fetch(kept());
      break;
    case RunResult::kWait:
      clients_.wait_for_admission(*this, invocation.wait_us);
      break;
    case RunResult::kStream:
    case RunResult::kSuspended:
    case RunResult::kBlocked:
      hand_over(before);
      break;
  }
  add_pushes();
}

bool Connection::run_again() {
  if (closed_ || !parked_ || parked_->reason != RunResult::kBlocked) return false;
  rerun_parked();
  if (!check_limits()) return true;
  if (runnable()) clients_.enqueue(*this);
  clients_.mark_dirty(*this);
  return true;
}

void Connection::wake() {
  woken_ = running_;
  if (running_) return;
  if (closed_ || !parked_ || parked_->reason != RunResult::kBlocked) return;
  parked_->ready = true;
  clients_.enqueue(*this);
}

bool Connection::retry_waiting() {
  if (closed_ || !parked_ || parked_->reason != RunResult::kWait) return true;
  rerun_parked();
  if (parked_ && parked_->reason == RunResult::kWait) return false;
  if (!closed_ && check_limits()) {
    if (runnable()) clients_.enqueue(*this);
    clients_.mark_dirty(*this);
  }
  return true;
}

void Connection::step_stream() {
  if (out_.size() > kStreamAhead) {
    parked_->ready = false;  // flush() goes on once the peer has taken some
    return;
  }
  Invocation& invocation = parked_->invocation;
  uint64_t before = out_.end();
  bool broken = false;
  invocation.read.begin_run();
  int64_t started_us = clients_.clock_.monotonic_us();
  RunResult result = invocation.stream->step(invocation.read, out_, kStreamChunk, &broken);
  invocation.spent_us += clients_.clock_.monotonic_us() - started_us;
  if (broken) {
    log_warning("client {} ({}) closed: its reply failed after the first byte: {}", state_.id, state_.address,
                invocation.read.error.to_string());
    return close("reply failed");
  }
  Sequence gate = invocation.stream->gate();
  // What it wrote before it met a missing block stays: a stream resumes, it does not run again.
  if (result == RunResult::kFault)
    start_fetch({});
  else
    invocation.read.begin_command();
  if (result == RunResult::kDone) unpark();
  reply_added(before, gate, stream_begin_);
  add_pushes();
}

void Connection::resume(Sequence gate, const std::function<void(OutputBuffer&, int protocol)>& write) {
  if (closed_ || !parked_ || parked_->reason != RunResult::kSuspended) return;
  uint64_t before = out_.end();
  write(out_, state_.protocol);
  unpark();
  reply_added(before, gate);
  if (!check_limits()) return;
  if (runnable()) clients_.enqueue(*this);
  clients_.mark_dirty(*this);
}

// --- output ---

void Connection::push(Sequence gate, const PushMessage& message) {
  if (closed_ || state_.close_after_reply) return;
  std::string_view bytes = message.encoded(state_.protocol);
  if (running_ || (parked_ && parked_->reason == RunResult::kStream)) {
    pushes_.append(bytes);
    pushes_gate_ = std::max(pushes_gate_, gate);
  } else {
    uint64_t before = out_.end();
    out_.append(bytes);
    reply_added(before, gate);
  }
  // Whoever runs just now is looked at when it has finished.
  if (running_ || check_limits()) clients_.mark_dirty(*this);
}

// The reply they would have come into is complete.
void Connection::add_pushes() {
  if (pushes_.empty() || closed_ || (parked_ && parked_->reason == RunResult::kStream)) return;
  uint64_t before = out_.end();
  out_.append(std::string_view(pushes_.data(), pushes_.size()));
  pushes_ = Buffer();
  reply_added(before, std::exchange(pushes_gate_, 0));
}

// A reply stands in the output from `before` on. Its hold begins there, unless an earlier one waits at least
// as long.
void Connection::reply_added(uint64_t before, Sequence gate, uint64_t reply) {
  state_.shown = std::max(state_.shown, gate);
  if (out_.end() == before || gate <= clients_.released_) return;
  if (clients_.fenced_) {
    holds_.push_back({before, gate, reply});
    return fence();
  }
  if (holds_head_ < holds_.size() && gate <= holds_.back().sequence) return;
  holds_.push_back({before, gate, reply});
  clients_.add_gated(*this);
}

bool Connection::release(Sequence durable) {
  if (planted(Plant::gate_off_by_one)) ++durable;
  while (holds_head_ < holds_.size() && holds_[holds_head_].sequence <= durable) ++holds_head_;
  if (holds_head_ < holds_.size()) {
    if (holds_head_ > 1024 && holds_head_ > holds_.size() / 2) {
      holds_.erase(holds_.begin(), holds_.begin() + static_cast<std::ptrdiff_t>(holds_head_));
      holds_head_ = 0;
    }
    clients_.mark_dirty(*this);
    return true;
  }
  holds_head_ = 0;
  holds_.clear();
  if (holds_.capacity() > 256) holds_.shrink_to_fit();
  clients_.mark_dirty(*this);
  return false;
}

void Connection::fence() {
  if (closed_ || holds_head_ == holds_.size()) return;
  uint64_t reply = holds_[holds_head_].reply;
  // An error in the middle of a reply would be taken for data.
  if (reply < out_.begin()) return close("reply cut off by the failed sync");
  out_.truncate(reply);
  pushes_ = Buffer();
  holds_.clear();
  holds_head_ = 0;
  unpark();
  Reply(out_, state_.protocol).error(clients_.fence_error_);
  state_.close_after_reply = true;
  clients_.mark_dirty(*this);
}

void Connection::flush() {
  dirty_ = false;
  if (closed_) return;
  uint64_t limit = releasable();
  if (!writing_blocked_ && limit > out_.begin()) {
    std::string_view bytes = out_.unsent(limit);
    int64_t n = transport_->write(bytes);
    ++clients_.stats_.writes;
    if (n < 0) return close("write failed");
    out_.consume(static_cast<size_t>(n));
    state_.net_out += static_cast<uint64_t>(n);
    clients_.stats_.net_out += static_cast<uint64_t>(n);
    if (n > 0) progress_ms_ = clients_.now_ms_;
    writing_blocked_ = static_cast<size_t>(n) < bytes.size();
  }
  if (parked_ && parked_->reason == RunResult::kStream && !parked_->ready && !parked_->fetching &&
      out_.size() <= kStreamAhead / 2) {
    parked_->ready = true;
  }
  if (runnable()) clients_.enqueue(*this);
  if ((state_.close_after_reply || (input_ended_ && !runnable() && !parked_)) && out_.empty() &&
      transport_->pending() == 0) {
    return close("done");
  }
  turn_bytes_ = 0;
  update_reading();
  clients_.charge(*this);
}

void Connection::update_reading() {
  size_t kept_size = query_.size() - query_head_;
  bool want = !closed_ && !state_.close_after_reply && !input_ended_ && out_.size() <= output_soft_limit() &&
              ((starved_ && !parked_) || kept_size < kKeptWhileBusy);
  if (want == reading_ || !transport_) return;
  reading_ = want;
  transport_->set_reading(want);
}

void Connection::writable() {
  writing_blocked_ = false;
  progress_ms_ = clients_.clock_.now_ms();
  clients_.mark_dirty(*this);
}

// --- the end ---

void Connection::end_of_input() {
  if (fresh_) clients_.end_of_poll();
  if (closed_ || input_ended_) return;
  input_ended_ = true;
  progress_ms_ = clients_.clock_.now_ms();
  // Whoever waits for an event, or for gigabytes, has to keep its side open.
  // A command that waits for admission has not been run, and nobody would read its reply.
  bool waits = parked_ && parked_->reason != RunResult::kFault;
  if (waits) return close("client closed connection");
  clients_.mark_dirty(*this);
}

void Connection::lost(std::string_view reason) {
  if (fresh_) clients_.end_of_poll();
  close(reason);
}

void Connection::finish() {
  if (closed_) return;
  unpark();
  state_.close_after_reply = true;
  clients_.mark_dirty(*this);
}

void Connection::close(std::string_view reason) {
  if (closed_) return;
  closed_ = true;
  log_verbose("client {} ({}): {}", state_.id, state_.address, reason);
  unpark();
  transport_.reset();
  if (waiting_) clients_.retry_waiting_ = true;  // those behind need not wait for its turn
  clients_.dead_.push_back(state_.id);
}

bool Connection::idle() const {
  return !parked_ && !fresh_ && !runnable() && out_.empty() && transport_->pending() == 0;
}

// From its start, or from the RESET that took its rights away.
bool Connection::handshake_overdue(int64_t now_ms) {
  if (!unauthenticated()) {
    stranger_since_ms_ = 0;
    return false;
  }
  if (stranger_since_ms_ == 0) stranger_since_ms_ = now_ms;
  int64_t timeout_s = clients_.limits_.handshake_timeout_s;
  return timeout_s > 0 && now_ms - stranger_since_ms_ > timeout_s * 1000;
}

// Only while it is the client's turn: not when its input waits for us, or for replies it has not taken.
bool Connection::request_overdue(int64_t now_ms) {
  if (!starved_ || parked_ || !reading_ || query_.size() == query_head_) {
    half_since_ms_ = 0;
    return false;
  }
  if (half_since_ms_ == 0 || state_.net_in - half_net_in_ >= kRequestProgress) {
    half_since_ms_ = now_ms;
    half_net_in_ = state_.net_in;
  }
  const ClientLimits& limits = clients_.limits_;
  int64_t timeout_s = heard_ ? limits.request_timeout_s : limits.handshake_timeout_s;
  return timeout_s > 0 && now_ms - half_since_ms_ > timeout_s * 1000;
}

void Connection::check_times(int64_t now_ms) {
  if (closed_) return;
  const ClientLimits& limits = clients_.limits_;
  int64_t idle_ms = now_ms - state_.last_interaction_ms;
  if (limits.timeout_s > 0 && idle_ms > limits.timeout_s * 1000 && !parked_ && !state_.is_listener()) {
    ++clients_.stats_.timeouts;
    return close("idle timeout");
  }
  if (handshake_overdue(now_ms)) {
    ++clients_.stats_.timeouts;
    return close("not authenticated (handshake-timeout)");
  }
  if (request_overdue(now_ms)) {
    ++clients_.stats_.timeouts;
    return close(heard_ ? "half a request (request-timeout)" : "half a request (handshake-timeout)");
  }
  int64_t stalled_ms = now_ms - progress_ms_;
  bool streaming = parked_ && parked_->reason == RunResult::kStream;
  if (streaming && writing_blocked_ && limits.stream_timeout_s > 0 &&
      stalled_ms > limits.stream_timeout_s * 1000) {
    log_notice("client {} ({}) closed: it took nothing of its reply for {} s (stream-timeout)", state_.id,
               state_.address, limits.stream_timeout_s);
    return close("stream timeout");
  }
  if (input_ended_ && writing_blocked_ && stalled_ms > kHalfClosedPatience_ms)
    return close("half closed and not reading");
  const OutputLimit& output = output_limit();
  if (output.soft != 0 && out_.size() > output.soft) {
    if (soft_limit_since_ms_ == 0) soft_limit_since_ms_ = now_ms;
    if (now_ms - soft_limit_since_ms_ > output.soft_seconds * 1000) {
      ++clients_.stats_.output_limit_closes;
      log_warning(
          "client {} ({}) closed: {} bytes of unsent output for longer than client-output-buffer-limit "
          "allows",
          state_.id, state_.address, out_.size());
      return close("output buffer limit");
    }
  } else {
    soft_limit_since_ms_ = 0;
  }
  if (idle_ms >= kIdleBeforeRelease_ms) {
    release_spare();
    clients_.charge(*this);
  }
}

// Buffers with nothing in them, kept for the next command.
void Connection::release_spare() {
  if (out_.empty() && out_.memory_used() > 0) out_.release_memory();
  if (query_.empty() && query_.capacity() > 0) drop_input();
}

void Connection::drop_input() {
  query_ = Buffer();
  query_head_ = 0;
}

size_t Connection::memory_used() const {
  size_t n = kFixedMemory + query_.capacity() + holds_.capacity() * sizeof(Hold) + parser_.memory_used();
  if (!planted(Plant::forget_output)) n += out_.memory_used();
  n += state_.name.capacity() + state_.lib_name.capacity() + state_.lib_version.capacity() +
       state_.cursor_bytes + pushes_.capacity() + state_.multi_bytes() + state_.watch_bytes +
       state_.subscription_bytes + state_.block_bytes;
  if (transport_) n += transport_->pending();
  if (parked_) {
    n += sizeof(Parked);
    for (const std::string& arg : parked_->invocation.owned)
      n += sizeof(std::string) + sizeof(std::string_view) + arg.capacity();
  }
  return n;
}

void Connection::update_counts() {
  state_.query_buffer = query_.size() - query_head_;
  state_.query_buffer_free = query_.capacity() - query_.size() + query_head_;
  state_.args_memory = 0;
  if (parked_) {
    for (const std::string& arg : parked_->invocation.owned) state_.args_memory += arg.capacity();
  }
  state_.output_bytes = out_.size();
  state_.output_list = 0;
  state_.output_memory = out_.memory_used() + pushes_.capacity() + (transport_ ? transport_->pending() : 0);
  state_.total_memory = memory_used();
}

}  // namespace varve
