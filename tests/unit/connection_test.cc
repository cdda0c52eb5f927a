// Goal: what a client sees of its connection: order, gate, limits, and that it may go at any moment. Method:
// the real Clients and Connection over a transport and a backend made up here; durability, fetches and
// resumes happen when a test says so.
#include "server/connection.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "resp/reply.h"
#include "server/clients.h"

namespace varve {
namespace {

class TestClock final : public Clock {
 public:
  int64_t now_us() override { return now; }
  int64_t monotonic_us() override { return now; }
  int64_t now = 1'000'000'000;
};

// The far end of a connection, as the test sees it. Outlives the transport.
struct Wire {
  Connection* connection = nullptr;
  bool open = true;
  bool reading = false;
  bool broken = false;
  size_t room = SIZE_MAX;  // what the socket takes before it is full
  std::string sent;
  int writes = 0;

  std::string take() { return std::exchange(sent, {}); }
};

class TestTransport final : public Transport {
 public:
  explicit TestTransport(Wire& wire) : wire_(wire) {}
  ~TestTransport() override { wire_.open = false; }
  int64_t write(std::string_view bytes) override {
    ++wire_.writes;
    if (wire_.broken) return -1;
    size_t n = std::min(bytes.size(), wire_.room);
    wire_.sent.append(bytes.substr(0, n));
    if (wire_.room != SIZE_MAX) wire_.room -= n;
    return static_cast<int64_t>(n);
  }
  size_t pending() const override { return 0; }
  void set_reading(bool on) override { wire_.reading = on; }

 private:
  Wire& wire_;
};

// A stream of `pieces` bulk strings behind an array header.
class TestStream final : public ReplyStream {
 public:
  TestStream(int pieces, int fault_at, Sequence gate, int* alive, ReadContext** read)
      : left_(pieces), fault_at_(fault_at), gate_(gate), alive_(alive), read_(read) {
    ++*alive_;
  }
  ~TestStream() override { --*alive_; }
  RunResult step(ReadContext& read, OutputBuffer& out, size_t budget, bool* broken) override {
    *read_ = &read;
    size_t start = out.size();
    while (left_ > 0 && out.size() - start < budget) {
      if (left_ == fault_at_) {
        fault_at_ = 0;
        return RunResult::kFault;
      }
      if (left_ == -fault_at_) {
        *broken = true;
        return RunResult::kStream;
      }
      Reply(out, 2).bulk(fmt::format("{:08}", left_--));
    }
    return left_ == 0 ? RunResult::kDone : RunResult::kStream;
  }
  Sequence gate() const override { return gate_; }

 private:
  int left_;
  int fault_at_;
  Sequence gate_;
  int* alive_;
  ReadContext** read_;
};

// A few commands with made-up effects:
//   SET v         +OK, takes the next sequence
//   GET           the last value, depends on the sequence of its SET
//   OLD           +old, depends on sequence 1
//   PING          +PONG at once
//   FAULT n text  faults n times, then $text
//   WAIT text     waits for admission, then $text; LARGE for longer, FREE not behind others
//   SUSPEND       goes on when the test resumes it
//   BLOCK v       waits for keys until SERVE
//   LISTEN        subscribes
//   TELL m        a message to itself
//   STREAM n f    a stream of n pieces, a fault before piece f
//   BIG n         n bytes
//   LONG us       +OK, as if it had run for so many microseconds
//   QUIT, LOGIN
class TestBackend final : public Backend {
 public:
  void stream_ended(const ClientState&, Invocation&) override {}
  size_t prefetch(const ClientState&, std::string_view) override { return 1; }
  void prefetch_first(const FirstRequest*, size_t) override {}
  RunResult run(ClientState& client, Invocation& invocation, OutputBuffer& out) override {
    ++runs;
    Reply reply(out, client.protocol);
    const auto& args = invocation.args;
    std::string name(args[0]);
    invocation.gate = 0;
    started_us.push_back(invocation.started_us);
    if (name == "SET") {
      value = args[1];
      value_sequence = invocation.gate = ++last;
      reply.ok();
    } else if (name == "GET") {
      invocation.gate = value_sequence;
      reply.bulk(value);
    } else if (name == "OLD") {
      invocation.gate = 1;
      reply.simple("old");
    } else if (name == "FAULT") {
      int wanted = std::stoi(std::string(args[1]));
      if (invocation.read.restarts < wanted) {
        ++invocation.read.restarts;
        return RunResult::kFault;
      }
      reply.bulk(args[2]);
    } else if (name == "WAIT" || name == "LARGE" || name == "FREE") {
      bool join = invocation.others_wait && name != "FREE";
      bool room = name == "FREE" || (name == "WAIT" ? admitting : admitting && room_for_large);
      if (join || !room) {
        invocation.wait_us = join ? 0 : 5000;
        return RunResult::kWait;
      }
      reply.bulk(args[1]);
    } else if (name == "SUSPEND") {
      suspended.push_back(invocation.resume);
      return RunResult::kSuspended;
    } else if (name == "STREAM") {
      int pieces = std::stoi(std::string(args[1]));
      reply.array(static_cast<uint64_t>(pieces));
      invocation.stream = std::make_unique<TestStream>(pieces, std::stoi(std::string(args[2])),
                                                       value_sequence, &streams, &stream_read);
      return RunResult::kStream;
    } else if (name == "BLOCK") {
      if (!serving) return RunResult::kBlocked;
      invocation.gate = last;
      reply.bulk(args[1]);
    } else if (name == "SERVE") {  // a write, and the client that waited for it, within one run
      invocation.gate = ++last;
      serving = true;
      reply.ok();
      serve();
    } else if (name == "LISTEN") {
      client.subscriptions[kChannel] = 1;
      reply.ok();
    } else if (name == "TELL") {  // itself, while it runs
      PushMessage message({"message", args[1]});
      tell(message);
      reply.ok();
    } else if (name == "BIG") {
      reply.bulk(std::string(std::stoul(std::string(args[1])), 'b'));
    } else if (name == "LONG") {
      invocation.ended_us = invocation.started_us + std::stoi(std::string(args[1]));
      reply.ok();
    } else if (name == "QUIT") {
      client.close_after_reply = true;
      reply.ok();
    } else if (name == "LOGIN") {
      client.authenticated = true;
      reply.ok();
    } else {
      reply.simple("PONG");
    }
    return RunResult::kDone;
  }
  size_t probe(const ClientState&, const std::vector<std::string_view>& args, ReadContext&,
               size_t keys_max) override {
    probed.push_back(std::string(args[0]));
    probe_limits.push_back(keys_max);
    return keys_per_probe;
  }
  void client_gone(uint64_t id) override { gone.push_back(id); }
  void fetch(ReadContext& read, std::function<void()> done) override {
    read.misses.clear();
    fetches.push_back(std::move(done));
  }
  void end_of_turn() override { ++turns; }

  void finish_fetch() {
    auto done = std::move(fetches.front());
    fetches.pop_front();
    done();
  }
  void resume(const std::string& text, Sequence gate) {
    auto call = suspended.front();
    suspended.pop_front();
    call(gate, [text](OutputBuffer& out, int protocol) { Reply(out, protocol).bulk(text); });
  }

  std::string value;
  Sequence value_sequence = 0;
  Sequence last = 1;
  bool admitting = false;
  bool room_for_large = false;
  bool serving = false;
  std::function<void()> serve;
  std::function<void(const PushMessage&)> tell;
  int runs = 0, turns = 0, streams = 0;
  std::vector<int64_t> started_us;     // what each command was told
  ReadContext* stream_read = nullptr;  // of the last step
  std::vector<std::string> probed;
  std::vector<size_t> probe_limits;
  size_t keys_per_probe = 1;
  std::vector<uint64_t> gone;
  std::deque<std::function<void()>> fetches;
  std::deque<std::function<void(Sequence, std::function<void(OutputBuffer&, int)>)>> suspended;
};

struct Fixture {
  TestClock clock;
  TestBackend backend;
  ClientLimits limits;
  std::deque<Wire> wires;
  Clients clients{backend, clock};

  Fixture() {
    clients.set_limits(limits);
    clients.release(1);
  }
  Wire& connect(Peer peer = {"127.0.0.1:1", "127.0.0.1:6379"}) {
    Wire& wire = wires.emplace_back();
    wire.connection = clients.add(std::make_unique<TestTransport>(wire), std::move(peer));
    return wire;
  }
  // Bytes as the loop would bring them, without a turn.
  void feed(Wire& wire, std::string_view bytes) {
    while (!bytes.empty() && wire.open) {
      Connection::Room room = wire.connection->read_room();
      size_t n = std::min(room.size, bytes.size());
      std::memcpy(room.data, bytes.data(), n);
      bytes.remove_prefix(n);
      wire.connection->received(n);
    }
    clients.end_of_poll();
  }
  // Several clients' bytes in one poll.
  void feed_together(const std::vector<std::pair<Wire*, std::string_view>>& all) {
    for (auto [wire, bytes] : all) {
      Connection::Room room = wire->connection->read_room();
      std::memcpy(room.data, bytes.data(), bytes.size());
      wire->connection->received(bytes.size());
    }
  }
  // Turns until nothing goes on by itself.
  void turn() {
    do clients.end_of_turn();
    while (clients.has_work());
  }
  std::string ask(Wire& wire, std::string_view bytes) {
    feed(wire, bytes);
    turn();
    return wire.take();
  }
};

TEST_CASE("connection: a pipeline is answered in order with one write") {
  Fixture f;
  Wire& wire = f.connect();
  CHECK(f.ask(wire, "PING\r\nOLD\r\nBIG 3\r\n") == "+PONG\r\n+old\r\n$3\r\nbbb\r\n");
  CHECK(wire.writes == 1);
  CHECK(f.backend.turns == 1);
}

TEST_CASE("connection: the same replies wherever the pipeline is cut") {
  std::string request = "PING\r\n*2\r\n$3\r\nBIG\r\n$1\r\n5\r\nFAULT 1 x\r\nOLD\r\n*1\r\n$4\r\nPING\r\n";
  std::string expected = "+PONG\r\n$5\r\nbbbbb\r\n$1\r\nx\r\n+old\r\n+PONG\r\n";
  for (size_t cut = 1; cut < request.size(); ++cut) {
    for (bool turn_between : {false, true}) {
      Fixture f;
      Wire& wire = f.connect();
      f.feed(wire, request.substr(0, cut));
      if (turn_between) f.turn();
      f.feed(wire, request.substr(cut));
      f.turn();
      if (!f.backend.fetches.empty()) f.backend.finish_fetch();
      f.turn();
      INFO("cut at " << cut << " turn between: " << turn_between);
      CHECK(wire.take() == expected);
    }
  }
  Fixture f;
  Wire& wire = f.connect();
  for (char c : request) {
    f.feed(wire, {&c, 1});
    f.turn();
    if (!f.backend.fetches.empty()) f.backend.finish_fetch();
  }
  f.turn();
  CHECK(wire.take() == expected);
}

TEST_CASE("gate: a write's reply and a read of it wait; what is durable does not") {
  Fixture f;
  Wire& writer = f.connect();
  Wire& reader = f.connect();
  CHECK(f.ask(writer, "SET a\r\n") == "");
  CHECK(f.ask(reader, "GET\r\n") == "");  // it saw a write that is not durable yet
  Wire& quiet = f.connect();
  CHECK(f.ask(quiet, "OLD\r\nPING\r\n") == "+old\r\n+PONG\r\n");
  f.clients.release(2);
  f.turn();
  CHECK(writer.take() == "+OK\r\n");
  CHECK(reader.take() == "$1\r\na\r\n");
}

TEST_CASE("gate: replies leave up to the first that is not durable, in order") {
  Fixture f;
  Wire& wire = f.connect();
  CHECK(f.ask(wire, "OLD\r\nSET a\r\nPING\r\nSET b\r\nOLD\r\nSET c\r\n") == "+old\r\n");
  f.clients.release(2);
  f.turn();
  CHECK(wire.take() == "+OK\r\n+PONG\r\n");
  f.clients.release(4);
  f.turn();
  CHECK(wire.take() == "+OK\r\n+old\r\n+OK\r\n");
  CHECK(f.ask(wire, "GET\r\n") == "$1\r\nc\r\n");
}

TEST_CASE("gate: open with everysec and no") {
  Fixture f;
  Wire& wire = f.connect();
  CHECK(f.ask(wire, "SET a\r\n") == "");
  f.clients.release(Clients::kEverything);
  f.turn();
  CHECK(wire.take() == "+OK\r\n");
  CHECK(f.ask(wire, "SET b\r\nGET\r\n") == "+OK\r\n$1\r\nb\r\n");
}

TEST_CASE("gate: after a failed sync what waits becomes one error and the connection closes") {
  Fixture f;
  Wire& wire = f.connect();
  Wire& quiet = f.connect();
  CHECK(f.ask(wire, "OLD\r\nSET a\r\nGET\r\n") == "+old\r\n");
  f.clients.fence(1, "disk on fire");
  f.turn();
  CHECK(wire.take() == "-MISCONF varve cannot make writes durable any more, restart it: disk on fire\r\n");
  CHECK_FALSE(wire.open);
  CHECK(f.ask(quiet, "OLD\r\n") == "+old\r\n");  // durable data stays readable
  CHECK(f.ask(quiet, "OLD\r\nGET\r\nOLD\r\n") ==
        "+old\r\n-MISCONF varve cannot make writes durable any more, restart it: disk on fire\r\n");
  CHECK_FALSE(quiet.open);
}

TEST_CASE("parked: the commands behind keep their order and are probed") {
  Fixture f;
  Wire& wire = f.connect();
  Wire& other = f.connect();
  CHECK(f.ask(wire, "PING\r\nFAULT 2 x\r\nOLD\r\nPING\r\n") == "+PONG\r\n");
  CHECK(f.backend.probed == std::vector<std::string>{"OLD", "PING"});
  CHECK(f.ask(wire, "BIG 1\r\n") == "");
  CHECK(f.ask(other, "PING\r\n") == "+PONG\r\n");
  f.backend.finish_fetch();
  f.turn();
  CHECK(wire.take() == "");  // a second fault
  REQUIRE(f.backend.fetches.size() == 1);
  f.backend.finish_fetch();
  f.turn();
  CHECK(wire.take() == "$1\r\nx\r\n+old\r\n+PONG\r\n$1\r\nb\r\n");
}

TEST_CASE("parked: not admitted commands run first come first served") {
  Fixture f;
  Wire& a = f.connect();
  Wire& b = f.connect();
  f.ask(a, "WAIT a\r\nPING\r\n");
  f.ask(b, "WAIT b\r\n");
  CHECK(f.clients.waiting() == 2);
  CHECK(f.backend.runs == 2);
  CHECK(f.clients.wake_at_us() == f.clock.now + 5000);
  int runs = f.backend.runs;
  f.turn();
  CHECK(f.backend.runs == runs);  // not before its time
  f.clock.now += 5000;
  f.turn();
  CHECK(f.backend.runs == runs + 2);  // each asks in its place
  f.backend.admitting = true;
  f.clients.admission_changed();
  CHECK(f.clients.has_work());
  f.turn();
  CHECK(a.take() == "$1\r\na\r\n+PONG\r\n");
  CHECK(b.take() == "$1\r\nb\r\n");
  CHECK(f.clients.waiting() == 0);
  CHECK(f.clients.wake_at_us() == 0);
}

TEST_CASE("admission: a large write keeps its place, those behind it that fit go on") {
  Fixture f;
  Wire& large = f.connect();
  Wire& small = f.connect();
  Wire& late = f.connect();
  Wire& deletes = f.connect();
  f.ask(large, "LARGE l\r\n");
  f.ask(small, "WAIT s\r\n");
  f.backend.admitting = true;
  CHECK(f.ask(late, "WAIT n\r\n") == "");  // there would be room, but others came before
  CHECK(f.ask(deletes, "FREE d\r\n") == "$1\r\nd\r\n");
  CHECK(f.clients.waiting() == 3);
  f.clock.now += 5000;
  f.turn();
  CHECK(large.take() == "");
  CHECK(small.take() == "$1\r\ns\r\n");
  CHECK(late.take() == "$1\r\nn\r\n");
  CHECK(f.clients.waiting() == 1);
  CHECK(f.clients.wake_at_us() == f.clock.now + 5000);
  f.backend.room_for_large = true;
  f.clients.admission_changed();
  f.turn();
  CHECK(large.take() == "$1\r\nl\r\n");
  CHECK(f.clients.waiting() == 0);
}

TEST_CASE("admission: the tries of a turn are bounded") {
  Fixture f;
  f.backend.admitting = true;
  for (int i = 0; i < 200; ++i) f.ask(f.connect(), "LARGE l\r\n");
  int runs = f.backend.runs;
  f.clock.now += 5000;
  f.turn();
  CHECK(f.backend.runs == runs + static_cast<int>(Clients::kRefusalsPerTurn));
  f.backend.room_for_large = true;
  f.clients.admission_changed();
  f.turn();
  CHECK(f.clients.waiting() == 0);
  for (Wire& wire : f.wires) CHECK(wire.take() == "$1\r\nl\r\n");
}

TEST_CASE("admission: who leaves while waiting is noticed, leaves the queue and was not run") {
  for (bool reset : {false, true}) {
    Fixture f;
    Wire& first = f.connect();
    Wire& second = f.connect();
    f.ask(first, "LARGE l\r\n");
    f.ask(second, "WAIT s\r\n");
    CHECK(first.reading);
    f.backend.admitting = true;
    reset ? first.connection->lost("reset") : first.connection->end_of_input();
    CHECK_FALSE(first.open);
    CHECK(f.clients.has_work());
    f.turn();  // at once, not when the first would have asked again
    CHECK(second.take() == "$1\r\ns\r\n");
    CHECK(f.clients.waiting() == 0);
    CHECK(f.backend.gone == std::vector<uint64_t>{1});
  }
}

TEST_CASE("suspended: the client's next command waits for the reply, which passes the gate") {
  Fixture f;
  Wire& wire = f.connect();
  CHECK(f.ask(wire, "SUSPEND\r\nPING\r\n") == "");
  f.backend.resume("done", 2);
  f.turn();
  CHECK(wire.take() == "");
  f.clients.release(2);
  f.turn();
  CHECK(wire.take() == "$4\r\ndone\r\n+PONG\r\n");
}

std::string stream_text(int pieces) {
  std::string text = fmt::format("*{}\r\n", pieces);
  for (int i = pieces; i > 0; --i) text += fmt::format("$8\r\n{:08}\r\n", i);
  return text;
}

TEST_CASE("stream: goes on as the reader takes it, and through a fault") {
  Fixture f;
  f.limits.output_soft = 1 << 20;
  f.clients.set_limits(f.limits);
  Wire& wire = f.connect();
  wire.room = 100'000;
  std::string expected = stream_text(100'000) + "+PONG\r\n";
  f.feed(wire, "STREAM 100000 50000\r\nPING\r\n");
  f.turn();
  size_t largest = 0;
  for (int i = 0; i < 1000 && wire.sent.size() < expected.size(); ++i) {
    largest = std::max(largest, wire.connection->memory_used());
    if (!f.backend.fetches.empty()) f.backend.finish_fetch();
    if (wire.room == 0) {
      wire.room = 100'000;
      wire.connection->writable();
    }
    f.turn();
  }
  CHECK(wire.take() == expected);
  CHECK(largest < 700'000);
  CHECK(f.backend.streams == 0);
}

TEST_CASE("stream: waits for the gate as a whole, and breaks off on an error") {
  Fixture f;
  Wire& wire = f.connect();
  CHECK(f.ask(wire, "SET a\r\nSTREAM 3 0\r\n") == "");
  f.clients.release(2);
  f.turn();
  CHECK(wire.take() == "+OK\r\n" + stream_text(3));
  f.ask(wire, "STREAM 30000 -5\r\n");
  CHECK_FALSE(wire.open);
  CHECK(f.backend.streams == 0);
}

TEST_CASE("stream: what its steps needed does not add up, nor does what came before it") {
  Fixture f;
  Wire& wire = f.connect();
  f.feed(wire, "STREAM 100000 50000\r\n");
  for (int i = 0; i < 1000 && f.backend.fetches.empty(); ++i) {
    f.turn();
    wire.take();
  }
  REQUIRE(f.backend.fetches.size() == 1);
  REQUIRE(f.backend.stream_read != nullptr);
  auto held = std::make_shared<int>(0);
  f.backend.stream_read->restarts = 9;
  f.backend.stream_read->install_hold = held;
  f.backend.finish_fetch();
  f.clients.end_of_turn();
  CHECK(held.use_count() == 1);  // one good step later
}

TEST_CASE("gate: a failed sync inside a reply that has begun to leave closes without a word") {
  Fixture f;
  f.clients.release(Clients::kEverything);
  Wire& wire = f.connect();
  CHECK(f.ask(wire, "SET a\r\n") == "+OK\r\n");
  wire.room = 1000;
  CHECK(f.ask(wire, "STREAM 100000 0\r\n").size() == 1000);
  f.clients.fence(1, "disk on fire");
  wire.room = SIZE_MAX;
  wire.connection->writable();
  f.turn();
  CHECK_FALSE(wire.open);
  CHECK(wire.sent.find("MISCONF") == std::string::npos);
  CHECK(f.backend.streams == 0);
}

TEST_CASE("stream: a reader that takes nothing is cut off") {
  Fixture f;
  Wire& wire = f.connect();
  wire.room = 10;
  f.ask(wire, "STREAM 100000 0\r\n");
  f.clock.now += 59'000'000;
  f.clients.tick();
  CHECK(wire.open);
  f.clock.now += 2'000'000;
  f.clients.tick();
  CHECK_FALSE(wire.open);
  f.turn();
  CHECK(f.backend.streams == 0);
}

TEST_CASE("disconnect while something is under way: nothing comes back to it") {
  for (const char* request :
       {"FAULT 1 x\r\nPING\r\n", "WAIT a\r\nPING\r\n", "SUSPEND\r\nPING\r\n", "STREAM 100000 100000\r\n",
        "STREAM 100000 0\r\n", "SET a\r\n", "SET a\r\nFAULT 1 x\r\n"}) {
    for (bool turn_before : {false, true}) {
      for (bool bury : {false, true}) {
        INFO(request << " turn before: " << turn_before << " buried: " << bury);
        Fixture f;
        Wire& wire = f.connect();
        wire.room = 100;
        f.feed(wire, request);
        if (turn_before) f.turn();
        wire.connection->lost("reset by peer");
        CHECK_FALSE(wire.open);
        if (bury) f.turn();
        std::string sent = wire.sent;
        if (!f.backend.fetches.empty()) f.backend.finish_fetch();
        if (!f.backend.suspended.empty()) f.backend.resume("late", 0);
        f.backend.admitting = true;
        f.clients.admission_changed();
        f.clients.release(100);
        f.turn();
        CHECK(wire.sent == sent);
        CHECK(f.clients.count() == 0);
        CHECK(f.clients.memory_used() == 0);
        CHECK(f.clients.parked() == 0);
        CHECK(f.backend.streams == 0);
        f.turn();
      }
    }
  }
}

TEST_CASE("one poll: short requests of several clients run when all has been read, in the order they came") {
  Fixture f;
  Wire& a = f.connect();
  Wire& b = f.connect();
  f.feed_together({{&a, "SET a\r\n"}, {&b, "GET k\r\n"}});
  CHECK(f.backend.runs == 0);
  CHECK_FALSE(f.clients.all_idle());
  SUBCASE("the turn's end runs them") {
    f.clients.release(2);
    f.turn();
  }
  SUBCASE("so does more from one of them") {
    f.feed_together({{&b, "PING\r\n"}});
    CHECK(f.backend.runs == 2);
    f.clients.release(2);
    f.turn();
    CHECK(b.take() == "$1\r\na\r\n+PONG\r\n");
    return;
  }
  SUBCASE("and the end of one's input: what it sent before counts") {
    b.connection->end_of_input();
    f.clients.release(2);
    f.turn();
    CHECK_FALSE(b.open);
  }
  SUBCASE("and the loss of one") {
    a.connection->lost("reset");
    CHECK(f.backend.runs == 2);
    f.clients.release(2);
    f.turn();
    CHECK(b.take() == "$1\r\na\r\n");
    return;
  }
  CHECK(a.take() == "+OK\r\n");
  CHECK(b.take() == "$1\r\na\r\n");
}

TEST_CASE("one poll: who is closed by then does not run, and the server may go") {
  auto f = std::make_unique<Fixture>();
  Wire& a = f->connect();
  Wire& b = f->connect();
  f->feed_together({{&a, "SET a\r\n"}, {&b, "GET k\r\n"}});
  SUBCASE("one") {
    a.connection->close("killed");
    f->turn();
    CHECK(f->backend.runs == 1);
  }
  SUBCASE("all") {
    f->clients.close_all("server stops");
    f->turn();
    CHECK(f->backend.runs == 0);
  }
}

TEST_CASE("disconnect: the server goes while fetches are in flight") {
  auto f = std::make_unique<Fixture>();
  Wire& wire = f->connect();
  f->feed(wire, "FAULT 1 x\r\n");
  f->clients.close_all("server stops");
  CHECK(f->clients.count() == 0);
  f->backend.finish_fetch();
  f->turn();
}

TEST_CASE("half closed: what was asked is still answered, then it closes") {
  Fixture f;
  Wire& wire = f.connect();
  f.feed(wire, "SET a\r\nFAULT 1 x\r\nPING\r\nPIN");
  wire.connection->end_of_input();
  f.turn();
  CHECK(wire.open);
  f.clients.release(2);
  f.backend.finish_fetch();
  f.turn();
  CHECK(wire.take() == "+OK\r\n$1\r\nx\r\n+PONG\r\n");
  CHECK_FALSE(wire.open);
  Wire& waiting = f.connect();
  f.feed(waiting, "SUSPEND\r\n");
  waiting.connection->end_of_input();
  CHECK_FALSE(waiting.open);
}

TEST_CASE("QUIT and protocol errors: the reply leaves, later commands do not run") {
  Fixture f;
  Wire& quit = f.connect();
  CHECK(f.ask(quit, "PING\r\nQUIT\r\nPING\r\n") == "+PONG\r\n+OK\r\n");
  CHECK_FALSE(quit.open);
  Wire& bad = f.connect();
  CHECK(f.ask(bad, "SET a\r\n*1\r\n$-1\r\nPING\r\n") == "");
  CHECK(bad.open);  // its SET is not durable yet
  f.clients.release(2);
  f.turn();
  CHECK(bad.take() == "+OK\r\n-ERR Protocol error: invalid bulk length\r\n");
  CHECK_FALSE(bad.open);
  CHECK(f.clients.stats().protocol_errors == 1);
}

TEST_CASE("HTTP closes at once") {
  Fixture f;
  for (const char* request : {"POST / HTTP/1.1\r\nPING\r\n", "hOsT: localhost\r\nPING\r\n"}) {
    Wire& wire = f.connect();
    int runs = f.backend.runs;
    CHECK(f.ask(wire, request) == "");
    CHECK_FALSE(wire.open);
    CHECK(f.backend.runs == runs);
  }
}

TEST_CASE("a turn is bounded, and goes on without new input") {
  Fixture f;
  Wire& wire = f.connect();
  Wire& other = f.connect();
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "PING\r\n";
  f.feed(wire, many);
  CHECK(f.backend.runs == Clients::kCommandsPerTurn);
  CHECK_FALSE(wire.reading == false);
  f.feed(other, "OLD\r\n");
  f.clients.end_of_turn();
  CHECK(other.take() == "+old\r\n");
  CHECK(f.clients.has_work());
  f.turn();
  CHECK(f.backend.runs == 1001);
  CHECK(wire.take().size() == 7000);
}

// A socket that holds megabytes would be read many times over before the next client's turn.
TEST_CASE("a turn reads a bounded number of bytes of one client, the next one goes on") {
  Fixture f;
  Wire& wire = f.connect();
  size_t fed = 0;
  while (wire.reading && fed < 10'000'000) {
    std::string some = fmt::format("SET {}\r\n", std::string(10'000, 'x'));
    f.feed(wire, some);
    fed += some.size();
  }
  CHECK(fed < 200'000);
  CHECK(f.backend.runs > 0);
  f.clients.end_of_turn();
  CHECK(wire.reading);
}

TEST_CASE("a turn of long commands ends by their time, not by their number") {
  Fixture f;
  Wire& wire = f.connect();
  std::string many;
  for (int i = 0; i < 20; ++i) many += "LONG 400\r\n";
  f.feed(wire, many);
  CHECK(f.backend.runs == 3);
  f.clients.end_of_turn();
  CHECK(f.backend.runs == 6);
  for (int turns = 0; turns < 20; ++turns) f.turn();
  CHECK(f.backend.runs == 20);
}

// A command that was only queued or refused does not say when it ended: the next one is not charged for it.
TEST_CASE("a command begins when the one before has ended, if that is known") {
  Fixture f;
  Wire& wire = f.connect();
  f.feed(wire, "LONG 100\r\nLONG 50\r\nSET x\r\nGET\r\n");
  const std::vector<int64_t>& started = f.backend.started_us;
  REQUIRE(started.size() == 4);
  CHECK(started[0] > 0);
  CHECK(started[1] == started[0] + 100);
  CHECK(started[2] == started[1] + 50);
  CHECK(started[3] == 0);
}

TEST_CASE("output: a client that does not read is not read from, and goes on when it reads") {
  Fixture f;
  f.limits.output_soft = 1000;
  f.clients.set_limits(f.limits);
  Wire& wire = f.connect();
  wire.room = 0;
  std::string many;
  for (int i = 0; i < 100; ++i) many += "BIG 100\r\n";
  f.ask(wire, many);
  int before = f.backend.runs;
  CHECK(before == 10);
  CHECK_FALSE(wire.reading);
  CHECK(wire.open);
  wire.room = SIZE_MAX;
  wire.connection->writable();
  f.turn();
  CHECK(f.backend.runs == 100);
  CHECK(wire.take().size() == 100 * 108);
  CHECK(wire.reading);
}

TEST_CASE("output: replies that wait for the disk count too") {
  Fixture f;
  f.limits.output_soft = 1000;
  f.clients.set_limits(f.limits);
  Wire& wire = f.connect();
  std::string many = "SET a\r\n";
  for (int i = 0; i < 100; ++i) many += "BIG 100\r\n";
  f.ask(wire, many);
  CHECK(f.backend.runs == 11);
  f.clients.release(2);
  f.turn();
  CHECK(f.backend.runs == 101);
  CHECK(wire.take().size() == 5 + 100 * 108);
}

TEST_CASE("output: the hard limit closes, the soft one after its time") {
  Fixture f;
  f.limits.output = {5000, 1000, 10};
  f.clients.set_limits(f.limits);
  Wire& wire = f.connect();
  wire.room = 0;
  f.ask(wire, "BIG 6000\r\n");
  CHECK_FALSE(wire.open);
  Wire& slow = f.connect();
  slow.room = 0;
  f.ask(slow, "BIG 2000\r\n");
  CHECK(slow.open);
  f.clock.now += 1'000'000;
  f.clients.tick();
  f.clock.now += 10'000'000;
  f.clients.tick();
  CHECK(slow.open);
  f.clock.now += 1'000'000;
  f.clients.tick();
  CHECK_FALSE(slow.open);
  CHECK(f.clients.stats().output_limit_closes == 2);
}

TEST_CASE("input: the query limit closes; a declared length alone takes no memory") {
  Fixture f;
  f.limits.query_buffer = 100'000;
  f.clients.set_limits(f.limits);
  Wire& wire = f.connect();
  f.ask(wire, "*2\r\n$4\r\nPING\r\n$400000000\r\n");
  CHECK(wire.connection->memory_used() < 64 * 1024);
  f.ask(wire, std::string(90'000, 'x'));
  CHECK(wire.open);
  CHECK(wire.connection->memory_used() < 400'000);
  f.ask(wire, std::string(20'000, 'x'));
  CHECK_FALSE(wire.open);
  CHECK(f.clients.stats().query_limit_closes == 1);
}

TEST_CASE("input: a big argument in pieces comes through whole") {
  Fixture f;
  Wire& wire = f.connect();
  std::string big(3'000'000, 'v');
  CHECK(f.ask(wire, fmt::format("PING\r\n*2\r\n$3\r\nSET\r\n${}\r\n{}\r\nPING\r\n", big.size(), big)) ==
        "+PONG\r\n");
  CHECK(f.backend.value == big);
  f.clients.release(2);
  f.turn();
  CHECK(wire.take() == "+OK\r\n+PONG\r\n");
  CHECK(wire.connection->memory_used() < 100'000);
}

TEST_CASE("input: a client that always leaves half a request behind does not grow") {
  Fixture f;
  Wire& wire = f.connect();
  std::string big(3'000'000, 'v');
  f.ask(wire, fmt::format("*2\r\n$4\r\nPING\r\n${}\r\n{}\r\nPI", big.size(), big));
  for (int i = 0; i < 20'000; ++i) f.ask(wire, "NG\r\nPING\r\nPING\r\nPING\r\nPI");
  CHECK(f.backend.runs == 1 + 80'000);
  CHECK(wire.connection->memory_used() < 100'000);
}

TEST_CASE("input: many arguments, or a long quoted one, leave no memory behind") {
  Fixture f;
  Wire& wire = f.connect();
  std::string many = "*200000\r\n$4\r\nPING\r\n";
  for (int i = 1; i < 200'000; ++i) many += "$1\r\nx\r\n";
  CHECK(f.ask(wire, many) == "+PONG\r\n");
  CHECK(f.ask(wire, "PING '" + std::string(60'000, 'x') + "'\r\n") == "+PONG\r\n");
  CHECK(f.ask(wire, "PING\r\nPING\r\n") == "+PONG\r\n+PONG\r\n");
  CHECK(wire.connection->memory_used() < 50'000);
}

TEST_CASE("input: half a request costs no more than a page") {
  Fixture f;
  Wire& wire = f.connect();
  f.ask(wire, "*1\r\n$4\r\nPI");
  CHECK(wire.connection->memory_used() < 7'000);
}

TEST_CASE("parked: reading goes on up to a bound only") {
  Fixture f;
  Wire& wire = f.connect();
  f.ask(wire, "FAULT 1 x\r\n");
  CHECK(wire.reading);
  std::string many;
  for (int i = 0; i < 20'000; ++i) many += "PING\r\n";
  f.ask(wire, many);
  CHECK_FALSE(wire.reading);
  f.backend.finish_fetch();
  f.turn();
  CHECK(wire.reading);
  CHECK(wire.take().size() == 7 + 20'000 * 7);
}

TEST_CASE("unauthenticated clients get less of everything") {
  Fixture f;
  f.limits.password = true;
  f.clients.set_limits(f.limits);
  Wire& args = f.connect();
  CHECK(f.ask(args, "*11\r\n") == "-ERR Protocol error: unauthenticated multibulk length\r\n");
  CHECK_FALSE(args.open);
  Wire& bulk = f.connect();
  CHECK(f.ask(bulk, "*1\r\n$16385\r\n") == "-ERR Protocol error: unauthenticated bulk length\r\n");
  Wire& output = f.connect();
  output.room = 0;
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += "PING\r\n";
  f.ask(output, many);
  CHECK_FALSE(output.reading);
  CHECK(output.connection->memory_used() < 200'000);
  // The password may be the first command of a pipeline.
  Wire& wire = f.connect();
  CHECK(f.ask(wire, "LOGIN\r\n*11\r\n  \r\n") == "+OK\r\n-ERR Protocol error: expected '$', got ' '\r\n");
}

TEST_CASE("accepting: maxclients, protected mode") {
  Fixture f;
  f.limits.maxclients = 1;
  f.clients.set_limits(f.limits);
  Wire& first = f.connect();
  Wire& second = f.connect();
  CHECK(second.connection == nullptr);
  CHECK(second.take() == "-ERR max number of clients reached\r\n");
  CHECK_FALSE(second.open);
  first.connection->lost("gone");
  f.turn();
  Peer stranger{"10.0.0.1:5", "10.0.0.2:6379"};
  stranger.loopback = false;
  Wire& denied = f.connect(stranger);
  CHECK(denied.take() == kProtectedModeError);
  f.limits.protected_mode = false;
  f.clients.set_limits(f.limits);
  CHECK(f.connect(stranger).open);
  CHECK(f.clients.stats().rejected == 1);
  CHECK(f.clients.stats().denied == 1);
}

TEST_CASE("memory of all clients: the largest goes") {
  Fixture f;
  f.limits.memory = 300'000;
  f.clients.set_limits(f.limits);
  Wire& small = f.connect();
  Wire& large = f.connect();
  Wire& kept = f.connect();
  kept.connection->state().no_evict = true;
  for (Wire* wire : {&small, &large, &kept}) wire->room = 0;
  f.ask(kept, "BIG 150000\r\n");
  f.ask(small, "BIG 50000\r\n");
  CHECK(large.open);
  f.ask(large, "BIG 120000\r\n");
  CHECK_FALSE(large.open);
  CHECK(small.open);
  CHECK(kept.open);
  CHECK(f.clients.stats().evicted == 1);
  CHECK(f.clients.count() == 2);
}

TEST_CASE("memory of all clients: of equals the younger one goes, wherever it lies in memory") {
  Fixture f;
  std::vector<Wire*> wires;
  for (int i = 0; i < 4; ++i) wires.push_back(&f.connect());
  f.ask(*wires[1], "QUIT\r\n");
  CHECK_FALSE(wires[1]->open);
  f.turn();
  Wire& youngest = f.connect();  // likely where the one that left was
  wires[1] = &youngest;
  f.limits.memory = 300'000;
  f.clients.set_limits(f.limits);
  for (Wire* wire : wires) wire->room = 0;
  for (Wire* wire : wires) f.ask(*wire, "BIG 70000\r\n");
  CHECK(f.clients.stats().evicted == 1);
  CHECK_FALSE(youngest.open);
}

TEST_CASE("memory of all clients: input that comes within one turn counts at once") {
  Fixture f;
  f.limits.memory = 1'000'000;
  f.clients.set_limits(f.limits);
  std::string half = "*2\r\n$3\r\nSET\r\n$400000\r\n" + std::string(390'000, 'x');
  std::vector<Wire*> wires;
  for (int i = 0; i < 8; ++i) wires.push_back(&f.connect());
  for (Wire* wire : wires) f.feed(*wire, half);
  CHECK(std::count_if(wires.begin(), wires.end(), [](Wire* wire) { return wire->open; }) <= 2);
  CHECK(f.clients.memory_used() <= 1'000'000);
}

TEST_CASE("memory of all clients: when it is NO-EVICT clients', others are looked through once a turn") {
  Fixture f;
  f.limits.memory = 300'000;
  f.clients.set_limits(f.limits);
  Wire& kept = f.connect();
  kept.connection->state().no_evict = true;
  kept.room = 0;
  f.ask(kept, "BIG 400000\r\n");
  Wire& first = f.connect();
  std::string half = "*2\r\n$3\r\nSET\r\n$100000\r\n" + std::string(90'000, 'x');
  f.feed(first, half);  // in vain: that of NO-EVICT alone is more than the limit
  CHECK_FALSE(first.open);
  Wire& third = f.connect();
  f.feed(third, half);
  CHECK(third.open);
  f.turn();
  CHECK_FALSE(third.open);
  CHECK(kept.open);
}

TEST_CASE("memory of a client: another one's many arguments are not its own") {
  Fixture f;
  Wire& many = f.connect();
  Wire& other = f.connect();
  std::string request = "*20001\r\n$4\r\nPING\r\n";
  for (int i = 0; i < 20'000; ++i) request += "$1\r\nx\r\n";
  CHECK(f.ask(many, request) == "+PONG\r\n");
  CHECK(f.ask(other, "PING\r\n") == "+PONG\r\n");
  CHECK(f.clients.states()[1]->total_memory < 50'000);
}

TEST_CASE("memory of all clients: empty buffers are given back before anyone goes") {
  Fixture f;
  std::vector<Wire*> wires;
  for (int i = 0; i < 8; ++i) wires.push_back(&f.connect());
  for (Wire* wire : wires) f.ask(*wire, "BIG 7000\r\n");
  f.limits.memory = 50'000;
  f.clients.set_limits(f.limits);
  f.ask(*wires[0], "PING\r\n");
  CHECK(std::all_of(wires.begin(), wires.end(), [](Wire* wire) { return wire->open; }));
  CHECK(f.clients.memory_used() <= 50'000);
}

TEST_CASE("memory of all clients: who has not given the password goes first") {
  Fixture f;
  f.limits.memory = 300'000;
  f.limits.password = true;
  f.clients.set_limits(f.limits);
  Wire& member = f.connect();
  f.ask(member, "LOGIN\r\n");
  std::vector<Wire*> strangers;
  for (int i = 0; i < 8; ++i) strangers.push_back(&f.connect());
  member.room = 0;
  f.ask(member, "BIG 200000\r\n");
  for (Wire* stranger : strangers) {
    stranger->room = 0;
    f.ask(*stranger, "BIG 30000\r\n");
  }
  CHECK(member.open);
  CHECK(f.clients.stats().evicted >= 4);
}

TEST_CASE("timeout: an idle client goes, one that waits for its command does not") {
  Fixture f;
  f.limits.timeout_s = 10;
  f.clients.set_limits(f.limits);
  Wire& idle = f.connect();
  Wire& parked = f.connect();
  f.ask(parked, "SUSPEND\r\n");
  f.clock.now += 11'000'000;
  f.clients.tick();
  CHECK_FALSE(idle.open);
  CHECK(parked.open);
}

TEST_CASE("timeout: strangers have to authenticate, whatever else they send") {
  Fixture f;
  f.limits.password = true;
  f.limits.handshake_timeout_s = 60;
  f.clients.set_limits(f.limits);
  Wire& silent = f.connect();
  Wire& slow = f.connect();
  Wire& busy = f.connect();
  Wire& known = f.connect();
  CHECK(f.ask(known, "LOGIN\r\n") == "+OK\r\n");
  for (int second = 1; second <= 60; ++second) {
    f.clock.now += 1'000'000;
    f.feed(slow, "*");
    f.ask(busy, "PING\r\n");
    f.clients.tick();
    REQUIRE((silent.open && slow.open && busy.open));
  }
  f.clock.now += 1'000'000;
  f.clients.tick();
  CHECK_FALSE((silent.open || slow.open || busy.open));
  CHECK(f.clients.stats().timeouts == 3);
  // Who has said the password once may be idle for ever, until RESET makes a stranger of it.
  f.clock.now += 86'400'000'000;
  f.clients.tick();
  CHECK(known.open);
  known.connection->state().authenticated = false;
  for (int second = 0; second <= 60; ++second) {
    f.clock.now += 1'000'000;
    f.clients.tick();
    REQUIRE(known.open);
  }
  f.clock.now += 1'000'000;
  f.clients.tick();
  CHECK_FALSE(known.open);
}

TEST_CASE("timeout: half a first request has to come on; idle connections stay") {
  Fixture f;
  f.limits.handshake_timeout_s = 60;
  f.limits.request_timeout_s = 3600;
  f.clients.set_limits(f.limits);
  Wire& pooled = f.connect();  // no request yet
  Wire& used = f.connect();    // none any more
  Wire& blank = f.connect();   // empty lines are no request
  Wire& slow = f.connect();
  Wire& upload = f.connect();
  CHECK(f.ask(used, "PING\r\n") == "+PONG\r\n");
  f.feed(blank, "\r\n\r\n");
  f.feed(upload, "*2\r\n$3\r\nSET\r\n$1000000\r\n");
  f.feed(slow, "*1\r\n$1000\r\n");
  for (int second = 0; second <= 60; ++second) {
    f.feed(slow, "x");
    f.feed(upload, std::string(20, 'x'));
    f.clock.now += 1'000'000;
    f.clients.tick();
    REQUIRE(slow.open);
  }
  f.clock.now += 1'000'000;
  f.clients.tick();
  CHECK_FALSE(slow.open);
  CHECK(upload.open);  // slow as it is
  f.clock.now += 61'000'000;
  f.clients.tick();
  CHECK_FALSE(upload.open);
  f.clock.now += 86'400'000'000;
  f.clients.tick();
  CHECK((pooled.open && used.open && blank.open));
  CHECK(f.clients.stats().timeouts == 2);
}

TEST_CASE("timeout: half a later request has an hour, and only while it is the client's turn") {
  Fixture f;
  f.limits.handshake_timeout_s = 60;
  f.limits.request_timeout_s = 3600;
  f.clients.set_limits(f.limits);
  Wire& pipe = f.connect();     // leaves half a request behind each time
  Wire& waiting = f.connect();  // its earlier command is not done
  Wire& deaf = f.connect();     // has not taken its replies
  f.ask(waiting, "SUSPEND\r\nPI");
  deaf.room = 0;
  f.ask(deaf, "BIG 2000000\r\nPI");
  CHECK_FALSE(deaf.reading);
  f.ask(pipe, "PI");
  auto hours = [&](int n) {
    for (int minute = 0; minute < n * 60; ++minute) {
      f.clients.tick();
      f.clock.now += 60'000'000;
    }
    f.clients.tick();
  };
  CHECK(f.ask(pipe, "NG\r\nPI") == "+PONG\r\n");
  hours(1);
  CHECK(pipe.open);
  CHECK(f.ask(pipe, "NG\r\nPI") == "+PONG\r\n");
  hours(1);
  CHECK(pipe.open);
  hours(1);
  CHECK_FALSE(pipe.open);
  CHECK((waiting.open && deaf.open));
  f.limits.request_timeout_s = 0;
  f.clients.set_limits(f.limits);
  f.backend.resume("done", 0);
  CHECK(f.ask(waiting, "") == "$4\r\ndone\r\n");
  hours(3);
  CHECK(waiting.open);
}

TEST_CASE("shutdown: what is finished is sent, what waits is dropped") {
  Fixture f;
  Wire& writer = f.connect();
  Wire& parked = f.connect();
  Wire& idle = f.connect();
  f.ask(writer, "SET a\r\n");
  f.ask(parked, "FAULT 1 x\r\n");
  f.clients.finish_all();
  f.turn();
  CHECK_FALSE(idle.open);
  CHECK_FALSE(parked.open);
  CHECK(writer.open);
  CHECK_FALSE(f.clients.all_idle());
  f.feed(writer, "PING\r\n");
  f.clients.release(2);
  f.turn();
  CHECK(writer.take() == "+OK\r\n");
  CHECK(f.clients.all_idle());
  f.backend.finish_fetch();
  f.turn();
}

TEST_CASE("kill: another client at once, oneself behind the reply") {
  Fixture f;
  Wire& a = f.connect();
  Wire& b = f.connect();
  CHECK(f.clients.kill(b.connection->id(), a.connection->id()));
  CHECK_FALSE(b.open);
  CHECK(f.clients.kill(a.connection->id(), a.connection->id()));
  CHECK(a.open);
  f.feed(a, "");
  CHECK_FALSE(f.clients.kill(12345, a.connection->id()));
  CHECK(f.clients.states().size() == 1);
}

TEST_CASE("messages: they wait for what their publisher saw, and keep their place") {
  Fixture f;
  Wire& wire = f.connect();
  PushMessage message({"message", "m"});
  std::string bytes = "*2\r\n$7\r\nmessage\r\n$1\r\nm\r\n";
  wire.connection->push(1, message);
  f.turn();
  CHECK(wire.take() == bytes);
  wire.connection->push(2, message);
  CHECK(f.ask(wire, "OLD\r\n") == "");  // behind the message
  CHECK(wire.connection->state().shown == 2);
  f.clients.release(2);
  f.turn();
  CHECK(wire.take() == bytes + "+old\r\n");
  f.ask(wire, "HELLO\r\n");
  wire.connection->state().protocol = 3;
  wire.connection->push(1, message);
  f.turn();
  CHECK(wire.take() == ">2" + bytes.substr(2));
}

TEST_CASE("messages: never inside a reply") {
  Fixture f;
  Wire& wire = f.connect();
  std::string bytes = "*2\r\n$7\r\nmessage\r\n$1\r\nm\r\n";
  f.backend.tell = [&](const PushMessage& message) { wire.connection->push(2, message); };
  f.clients.release(1);
  CHECK(f.ask(wire, "TELL m\r\n") == "+OK\r\n");
  f.clients.release(2);
  f.turn();
  CHECK(wire.take() == bytes);
  // A stream that has not ended; the message needs more than it.
  wire.room = 1000;
  f.feed(wire, "STREAM 100000 0\r\nPING\r\n");
  wire.connection->push(3, PushMessage({"message", "m"}));
  wire.room = SIZE_MAX;
  for (int i = 0; i < 100; ++i) {
    wire.connection->writable();
    f.turn();
  }
  std::string sent = wire.take();
  CHECK(sent.substr(sent.size() - 14) == "$8\r\n00000001\r\n");
  f.clients.release(3);
  f.turn();
  CHECK(wire.take() == bytes + "+PONG\r\n");
}

TEST_CASE("messages: a subscriber that does not read has limits of its own") {
  Fixture f;
  f.limits.output_subscriber = {5000, 1000, 10};
  f.clients.set_limits(f.limits);
  Wire& wire = f.connect();
  Wire& other = f.connect();
  CHECK(f.ask(wire, "LISTEN\r\n") == "+OK\r\n");
  wire.room = other.room = 0;
  PushMessage message({"message", std::string_view(kProtectedModeError, 900)});
  for (int i = 0; i < 6; ++i) {
    wire.connection->push(1, message);
    other.connection->push(1, message);
  }
  f.turn();
  CHECK_FALSE(wire.open);
  CHECK(other.open);
  CHECK(f.clients.stats().output_limit_closes == 1);
}

TEST_CASE("blocked: served within the run that woke it, through the gate") {
  Fixture f;
  Wire& wire = f.connect();
  Wire& pusher = f.connect();
  uint64_t id = wire.connection->id();
  f.backend.serve = [&] {
    CHECK(f.clients.find(id)->run_again());
    CHECK_FALSE(f.clients.find(id)->run_again());  // it waits no more
  };
  CHECK(f.ask(wire, "PING\r\nBLOCK v\r\nPING\r\n") == "+PONG\r\n");
  f.clients.release(1);
  CHECK(f.ask(pusher, "SERVE\r\nPING\r\n") == "");
  CHECK(f.clients.current() == 0);
  CHECK(wire.take() == "");
  f.clients.release(2);
  f.turn();
  CHECK(pusher.take() == "+OK\r\n+PONG\r\n");
  CHECK(wire.take() == "$1\r\nv\r\n+PONG\r\n");
}

TEST_CASE("blocked: a client that closes its side, is killed or is woken for nothing") {
  Fixture f;
  Wire& wire = f.connect();
  f.ask(wire, "BLOCK v\r\n");
  wire.connection->wake();
  f.turn();
  CHECK(f.backend.runs == 2);
  CHECK(wire.connection->run_again());  // and waits again
  wire.connection->end_of_input();
  f.turn();
  CHECK_FALSE(wire.open);
  Wire& other = f.connect();
  f.ask(other, "BLOCK v\r\n");
  uint64_t id = other.connection->id();
  f.clients.kill(id, 0);
  CHECK(f.clients.find(id) == nullptr);
  f.turn();
  CHECK(f.clients.parked() == 0);
}

TEST_CASE("queued commands count against the query buffer") {
  Fixture f;
  f.limits.query_buffer = 10000;
  f.clients.set_limits(f.limits);
  Wire& wire = f.connect();
  f.ask(wire, "PING\r\n");
  size_t before = wire.connection->memory_used();
  wire.connection->state().multi = std::make_unique<MultiState>();
  wire.connection->state().multi->bytes = 9000;
  CHECK(wire.connection->memory_used() == before + 9000);
  CHECK(f.ask(wire, "PING\r\n") == "+PONG\r\n");
  wire.connection->state().multi->bytes = 10001;
  f.ask(wire, "PING\r\n");
  CHECK_FALSE(wire.open);
}

}  // namespace
}  // namespace varve
