// Goal: streams hold what ordered maps would hold, whatever is trimmed, deleted, copied, and nothing of what
// was removed stays behind. Method: random commands to the command layer in process and to the model, in
// several ways of placing the data. Entries are drawn long now and then, so that they stand in pieces; whole
// batches of them are added, so that ranges are streamed. What an approximate trim leaves is only held to its
// bounds: which nodes Redis has made is compared with a Redis in the system tests.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/coding.h"
#include "base/random.h"
#include "keyspace/entry_format.h"
#include "keyspace/types/stream.h"
#include "server/in_process.h"
#include "support/script.h"

namespace varve::test {
namespace {

using Strings = std::vector<std::string>;

struct Model {
  bool there = false;
  StreamId last;
  StreamId max_deleted;
  uint64_t added = 0;
  std::map<StreamId, Strings> entries;
};

// The bulks, integers and errors of a reply, arrays flattened.
Strings flat(const std::string& reply) {
  Strings all;
  for (size_t at = 0; at < reply.size();) {
    size_t line = reply.find("\r\n", at);
    std::string rest = reply.substr(at + 1, line - at - 1);
    char kind = reply[at];
    at = line + 2;
    if (kind == '$' && rest != "-1") {
      all.push_back(reply.substr(at, std::stoul(rest)));
      at += std::stoul(rest) + 2;
    } else if (kind != '*' || rest == "-1") {
      all.push_back(rest);
    }
  }
  return all;
}

struct StreamWorld {
  StreamWorld(uint64_t seed, InProcessOptions options) : random(seed), server(options) {}

  Random random;
  InProcessServer server;
  std::map<std::string, Model> streams;

  bool multi = false;  // replies come with EXEC
  Strings queued;
  void expect(const Strings& args, const Strings& expected) {
    std::string reply = server.run(1, args);
    if (!multi) {
      REQUIRE((flat(reply) == expected));
      return;
    }
    REQUIRE(reply == "+QUEUED\r\n");
    queued.insert(queued.end(), expected.begin(), expected.end());
  }

  std::string key() { return "s" + std::to_string(random.below(3)); }
  std::string word() {
    std::string text = std::to_string(random.below(random.one_in(2) ? 5 : 100'000));
    if (random.one_in(600)) text.append(random.below(700'000), 'x');
    if (random.one_in(30)) text.append(random.below(900), 'y');
    return text;
  }
  // Near one that is there.
  StreamId id(const Model& model) {
    if (model.entries.empty() || random.one_in(8)) return {random.below(model.last.ms + 3), random.below(4)};
    auto at = model.entries.begin();
    std::advance(at, static_cast<ptrdiff_t>(random.below(model.entries.size())));
    StreamId near = at->first;
    if (random.one_in(4)) random.one_in(2) ? increase(&near) : decrease(&near);
    return near;
  }
  std::string bound(const Model& model, StreamId* value, const char* open, StreamId at_open) {
    *value = at_open;
    if (random.one_in(3)) return open;
    *value = id(model);
    return format_stream_id(*value);
  }

  void add(const std::string& name) {
    Model& model = streams[name];
    uint64_t count = random.one_in(12) ? random.below(1500) : 1 + random.below(4);
    for (; count > 0; --count) {
      StreamId next = {model.last.ms + random.below(3), random.below(3)};
      if (next <= model.last) increase(&(next = model.last));
      Strings args = {"XADD", name};
      bool trims = random.one_in(10);
      uint64_t length = random.below(model.entries.size() + 2);
      if (trims) args.insert(args.end(), {"MAXLEN", "=", std::to_string(length)});
      args.push_back(format_stream_id(next));
      Strings words;
      for (uint64_t i = 1 + random.below(2); i > 0; --i) {
        words.push_back(random.one_in(4) ? word() : "field");
        words.push_back(word());
      }
      args.insert(args.end(), words.begin(), words.end());
      model.there = true;
      model.last = next;
      ++model.added;
      model.entries[next] = words;
      if (trims) keep_last(&model, length);
      expect(args, {format_stream_id(next)});
    }
  }

  static uint64_t keep_last(Model* model, uint64_t length) {
    uint64_t removed = 0;
    for (; model->entries.size() > length; ++removed) model->entries.erase(model->entries.begin());
    return removed;
  }

  void remove(const std::string& name) {
    Model& model = streams[name];
    Strings args = {"XDEL", name};
    bool front = random.one_in(3);
    int64_t removed = 0;
    for (uint64_t i = 1 + random.below(random.one_in(8) ? 200 : 5); i > 0; --i) {
      StreamId gone = front && !model.entries.empty() ? model.entries.begin()->first : id(model);
      args.push_back(format_stream_id(gone));
      if (model.entries.erase(gone) == 0) continue;
      ++removed;
      model.max_deleted = std::max(model.max_deleted, gone);
    }
    expect(args, {std::to_string(removed)});
  }

  void trim(const std::string& name) {
    Model& model = streams[name];
    uint64_t removed = 0;
    if (random.one_in(2)) {
      uint64_t length = random.below(model.entries.size() + 3);
      if (!random.one_in(4)) length = model.entries.size() - std::min(model.entries.size(), length / 8);
      removed = keep_last(&model, length);
      return expect({"XTRIM", name, "MAXLEN", std::to_string(length)}, {std::to_string(removed)});
    }
    StreamId first = id(model);
    auto end = model.entries.lower_bound(first);
    removed = static_cast<uint64_t>(std::distance(model.entries.begin(), end));
    model.entries.erase(model.entries.begin(), end);
    expect({"XTRIM", name, "MINID", format_stream_id(first)}, {std::to_string(removed)});
  }

  void trim_roughly(const std::string& name) {
    if (multi) return;
    Model& model = streams[name];
    uint64_t length = random.below(model.entries.size() + 2);
    Strings args = {"XTRIM", name, "MAXLEN", "~", std::to_string(length)};
    if (random.one_in(2)) args.insert(args.end(), {"LIMIT", std::to_string(random.below(400))});
    uint64_t removed = std::stoull(flat(server.run(1, args))[0]);
    REQUIRE((removed == 0 || model.entries.size() - removed >= length));
    if (args.size() > 5 && args.back() != "0") REQUIRE(removed <= std::stoull(args.back()));
    keep_last(&model, model.entries.size() - removed);
  }

  void replace(const std::string& name) {
    std::string other = key();
    if (random.one_in(6)) {
      expect({"DEL", name}, {streams[name].there ? "1" : "0"});
      streams[name] = Model();
    } else if (other != name && streams[name].there) {
      uint64_t bytes = 0;
      for (const auto& [ignored, words] : streams[name].entries) {
        for (const std::string& one : words) bytes += one.size() + 40;
      }
      bool copy = random.one_in(2) && bytes < 4'000'000;
      copy ? expect({"COPY", name, other, "REPLACE"}, {"1"}) : expect({"RENAME", name, other}, {"OK"});
      streams[other] = streams[name];
      if (!copy) streams[name] = Model();
    }
  }

  void range(const std::string& name) {
    const Model& model = streams[name];
    StreamId from;
    StreamId to;
    std::string first = bound(model, &from, "-", {});
    std::string last = bound(model, &to, "+", kLastStreamId);
    bool reverse = random.one_in(2);
    Strings args = {reverse ? "XREVRANGE" : "XRANGE", name, reverse ? last : first, reverse ? first : last};
    uint64_t most = random.one_in(2) ? 1 + random.below(2 * model.entries.size() + 5) : UINT64_MAX;
    if (most != UINT64_MAX) args.insert(args.end(), {"COUNT", std::to_string(most)});
    std::vector<std::pair<StreamId, const Strings*>> found;
    for (auto at = model.entries.lower_bound(from); at != model.entries.end() && at->first <= to; ++at) {
      found.emplace_back(at->first, &at->second);
    }
    if (reverse) std::reverse(found.begin(), found.end());
    Strings expected;
    for (size_t i = 0; i < found.size() && i < most; ++i) append(found[i].first, *found[i].second, &expected);
    expect(args, expected);
  }

  static void append(StreamId id, const Strings& words, Strings* out) {
    out->push_back(format_stream_id(id));
    out->insert(out->end(), words.begin(), words.end());
  }

  void read(const std::string& name) {
    std::string other = key();
    StreamId from = id(streams[name]);
    Strings expected;
    for (const auto& [stream, behind] : {std::pair(name, from), std::pair(other, StreamId())}) {
      const auto& entries = streams[stream].entries;
      auto at = entries.upper_bound(behind);
      if (at != entries.end()) expected.push_back(stream);
      for (; at != entries.end(); ++at) append(at->first, at->second, &expected);
    }
    if (expected.empty()) expected = {"-1"};
    expect({"XREAD", "STREAMS", name, other, format_stream_id(from), "0"}, expected);
  }

  void check(const std::string& name) {
    const Model& model = streams[name];
    expect({"XLEN", name}, {std::to_string(model.entries.size())});
    Strings all;
    for (const auto& [id, words] : model.entries) append(id, words, &all);
    expect({"XRANGE", name, "-", "+"}, all);
    if (!model.there || multi) return;
    Strings info = flat(server.run(1, {"XINFO", "STREAM", name}));
    auto said = [&](const char* field) {
      return *(std::find(info.begin(), info.end(), std::string(field)) + 1);
    };
    StreamId first = model.entries.empty() ? StreamId() : model.entries.begin()->first;
    CHECK(said("length") == std::to_string(model.entries.size()));
    CHECK(said("last-generated-id") == format_stream_id(model.last));
    CHECK(said("max-deleted-entry-id") == format_stream_id(model.max_deleted));
    CHECK(said("entries-added") == std::to_string(model.added));
    CHECK(said("recorded-first-entry-id") == format_stream_id(first));
  }

  // What stands under collection ids is entries, their pieces and all nodes but the last of each stream.
  void check_nothing_else() {
    int64_t nodes = 0;
    int64_t entries = 0;
    int64_t pieces = 0;
    for (const auto& [name, model] : streams) {
      if (!model.there) continue;
      Strings info = flat(server.run(1, {"XINFO", "STREAM", name}));
      nodes += std::max<int64_t>(0, std::stoll(info[3]) - 1);
      entries += static_cast<int64_t>(model.entries.size());
      for (const auto& [id, words] : model.entries) pieces += pieces_of(words);
    }
    ReadContext read;
    read.blocking = true;
    const std::string begin(1, kElementSpace);
    std::unique_ptr<LiveIterator> it = server.engine().new_iterator(read, begin, prefix_end(begin));
    for (it->seek_to_first(); it->valid(); it->next()) {
      auto part = static_cast<Part>(it->key()[kPartPrefixSize - 1]);
      --(part == Part::kMain ? entries : part == Part::kCounts ? nodes : pieces);
    }
    CHECK(nodes == 0);
    CHECK(entries == 0);
    CHECK(pieces == 0);
  }

  static int64_t pieces_of(const Strings& words) {
    std::string packed;
    put_varint(&packed, words.size());
    for (const std::string& one : words) put_length_prefixed(&packed, one);
    return packed.size() <= kLongPieceSize
               ? 0
               : static_cast<int64_t>((packed.size() + kLongPieceSize - 1) / kLongPieceSize);
  }

  void step() {
    std::string name = key();
    switch (random.below(16)) {
      case 0:
      case 1:
        return remove(name);
      case 2:
        return trim(name);
      case 3:
        return trim_roughly(name);
      case 4:
        return random.one_in(4) ? replace(name) : void();
      case 5:
      case 6:
        return range(name);
      case 7:
        return read(name);
      default:
        return add(name);
    }
  }

  // Some steps in one EXEC: the later ones work on what the earlier ones have written. Its reply is held in
  // memory, so not with very long streams.
  void step_exec() {
    size_t bytes = 0;
    for (const auto& [name, model] : streams) {
      for (const auto& [id, words] : model.entries) {
        for (const std::string& one : words) bytes += one.size() + 40;
      }
    }
    if (bytes > 300'000) return step();
    REQUIRE(server.run(1, {"MULTI"}) == "+OK\r\n");
    multi = true;
    for (uint64_t i = 2 + random.below(6); i > 0; --i) step();
    check(key());
    multi = false;
    Strings expected = std::move(queued);
    queued.clear();
    expect({"EXEC"}, expected);
  }
};

TEST_CASE("streams against a model") {
  uint64_t seed = test_seed(47);
  CAPTURE(seed);
  const InProcessOptions ways[] = {{},
                                   {.seed = seed, .random_miss_one_in = 3, .flush_often = true},
                                   {.seed = seed, .block_cache_size = 0, .flush_often = true}};
  for (const InProcessOptions& way : ways) {
    StreamWorld world(seed, way);
    int steps = way.flush_often ? 60 : 1000;
    for (int step = 0; step < steps; ++step) {
      CAPTURE(step);
      world.random.one_in(12) ? world.step_exec() : world.step();
      if (world.random.one_in(200)) world.random.one_in(2) ? world.server.compact() : world.server.reopen();
      if (world.random.one_in(8)) world.check(world.key());
      if (world.random.one_in(40)) world.check_nothing_else();
    }
  }
}

// Goal: a long stream is trimmed to a short one in a few records, and both of its ends are right after it.
// Method: entries enough for many nodes; the trims that find their end from behind and from the front.
TEST_CASE("a long stream is trimmed") {
  InProcessServer server({.flush_often = false});
  constexpr int kEntries = 20'000;
  auto fill = [&] {
    server.run(1, {"DEL", "s"});
    for (int i = 1; i <= kEntries; ++i) {
      server.run(1, {"XADD", "s", std::to_string(i) + "-0", "field", std::to_string(i)});
    }
  };
  auto first = [&] { return flat(server.run(1, {"XRANGE", "s", "-", "+", "COUNT", "1"}))[0]; };
  auto records = [&](const Strings& args) {
    Sequence before = server.engine().last_sequence();
    std::string reply = server.run(1, args);
    CHECK(server.engine().last_sequence() - before < 8);
    return flat(reply)[0];
  };
  fill();
  server.flush();
  CHECK(records({"XTRIM", "s", "MAXLEN", "150"}) == std::to_string(kEntries - 150));
  CHECK(first() == "19851-0");
  CHECK(records({"XTRIM", "s", "MAXLEN", "0"}) == "150");
  CHECK(flat(server.run(1, {"XRANGE", "s", "-", "+"})).empty());
  fill();
  CHECK(records({"XTRIM", "s", "MAXLEN", "15050"}) == "4950");
  CHECK(first() == "4951-0");
  CHECK(records({"XTRIM", "s", "MINID", "15000"}) == "10049");
  CHECK(first() == "15000-0");
  CHECK(records({"XTRIM", "s", "MAXLEN", "~", "10", "LIMIT", "0"}) == "4901");
  CHECK(first() == "19901-0");
  CHECK(records({"XTRIM", "s", "MINID", "~", "30000"}) == "100");
  CHECK(flat(server.run(1, {"XLEN", "s"}))[0] == "0");
}

}  // namespace
}  // namespace varve::test
